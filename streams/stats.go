package streams

// Stats counts what an embedded log has done since it was opened.
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
	Carried      uint64 // facts that were folded without being read: see Carrier
}

// Relay says how far the copying of a ledger that is elsewhere to its feeds' log is, for Kafka's tools.
type Relay struct {
	Copied int64 // commits that are there
	Behind int64 // commits that are not
	Err    error // why it has ended for good; nil while it goes on
}
