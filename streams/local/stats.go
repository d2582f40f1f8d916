package local

import "sync/atomic"

// counters are bumped as things happen and read by Stats at any time.
type counters struct {
	commits, duplicates, conflicts, facts, refused atomic.Uint64
	groups, bytes, recordsMax                      atomic.Uint64
	recordsRead                                    atomic.Uint64
}

// Stats counts what the log has done since Open.
type Stats struct {
	Commits      uint64 // accepted by the ledger, without duplicates
	Duplicates   uint64 // commits appended again
	Conflicts    uint64 // commits refused for their expected revision
	Facts        uint64 // records published to feeds
	Refused      uint64 // appends refused for a full disk
	Syncs        uint64 // groups written, each waiting for one fsync (that the WAL may share)
	GroupRecords uint64 // most records in one group
	Bytes        uint64 // written to the WAL
	RecordsRead  uint64
}

// Stats is a snapshot of the counters.
func (l *Log) Stats() Stats {
	s := &l.stats
	return Stats{
		Commits: s.commits.Load(), Duplicates: s.duplicates.Load(), Conflicts: s.conflicts.Load(),
		Facts: s.facts.Load(), Refused: s.refused.Load(), Syncs: s.groups.Load(),
		GroupRecords: s.recordsMax.Load(), Bytes: s.bytes.Load(), RecordsRead: s.recordsRead.Load(),
	}
}
