package kafka

import (
	"context"
	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
)

// Identity is which log this is: two logs of one identity are nodes of the same one.
type Identity struct {
	Cluster string `json:"cluster"` // the cluster's id
	Topic   string `json:"topic"`   // the ledger's, on the brokers
	TopicID string `json:"topic_id"`
}

// Identity of the log, as the index is tied to it.
func (l *Log) Identity() Identity {
	s := l.index.snapshot()
	return Identity{s.Cluster, s.Topic, s.TopicID}
}

// Checkpoint writes a copy of the index, as far as the ledger has been folded, into a new folder: another
// node of the same log can take it as Options.Dir and goes on from there. The log goes on meanwhile.
// Errors: fault.Invalid for an index in memory; fault.Unavailable when the copy cannot be written.
func (l *Log) Checkpoint(dir string) error {
	if err := l.ops.Enter(context.Background()); err != nil {
		return err
	}
	defer l.ops.Leave()
	if l.opts.Dir == "" {
		return fault.New(fault.Invalid, "an index in memory cannot be copied").WithHint("open the log with a folder for its index")
	}
	return fault.Wrap(fault.Unavailable, l.index.db.Checkpoint(dir, pebble.WithFlushedWAL()), "the ledger's index cannot be copied into %s", dir)
}
