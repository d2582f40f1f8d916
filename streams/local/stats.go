package local

import (
	"sync/atomic"

	"github.com/projectionist/projectionist/streams"
)

// counters are bumped as things happen and read by Stats at any time.
type counters struct {
	commits, duplicates, conflicts, facts, refused atomic.Uint64
	groups, bytes, recordsMax                      atomic.Uint64
	recordsRead, carried                           atomic.Uint64
}

// Stats is a snapshot of the counters.
func (l *Log) Stats() streams.Stats {
	s := &l.stats
	return streams.Stats{
		Commits: s.commits.Load(), Duplicates: s.duplicates.Load(), Conflicts: s.conflicts.Load(),
		Facts: s.facts.Load(), Refused: s.refused.Load(), Syncs: s.groups.Load(),
		GroupRecords: s.recordsMax.Load(), Bytes: s.bytes.Load(), RecordsRead: s.recordsRead.Load(),
		Carried: s.carried.Load(),
	}
}
