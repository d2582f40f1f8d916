package streams

import "context"

// Restorer is a log that can be filled as another one was: every record at its old position and with its
// old recorded time, so that whatever names a position (a model version's data, a cut, after=) goes on
// meaning the same, and the views come out the same to the byte.
//
// A log is opened for it (the adapters' option Restoring), and only an empty one, or one whose filling was
// begun before, can be. Until [Restorer.Restored] no open without that option succeeds: half a log is
// never taken for a whole one.
type Restorer interface {
	Log
	// Restore appends records of one partition, ascending by offset, none below the partition's head, and
	// returns when all are durable. An offset that is passed over becomes a hole that no reader sees.
	// Records of the ledger's topic are those of [CommitRecord], accepted commits only; their ids and
	// revisions are checked as in an append. Errors: fault.Conflict for an offset below the head,
	// fault.Corrupt for a commit that would not be accepted; any part may have been written before
	// another error, and the head tells how far.
	Restore(ctx context.Context, tp TP, recs []Record) error
	// Restored ends the filling: from now on the log can be opened as any other.
	Restored(ctx context.Context) error
}
