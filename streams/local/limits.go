package local

import "time"

// Sizes and limits of the log, each with its reason. What a caller may choose is in options.go, what records,
// commits and names may be in package streams.
const (
	// groupBytes bounds a group commit (group.go), and so how long one batch holds up the next: about half a
	// millisecond.
	groupBytes = 256 << 10
	// groupRequests bounds it for many small commits.
	groupRequests = 1024
	// carriedBytesMax bounds what a large publish has applied and not yet synced.
	carriedBytesMax = 4 << 20

	// headsMax bounds the cache of streams' heads; when it is full it starts anew.
	headsMax = 100_000
	// producersMax bounds the cache of idempotent producers' states; when it is full it starts anew.
	producersMax = 10_000
	// producerBatchesMax is how many of a producer's last batches are known again when they are sent
	// again: clients have at most five in flight.
	producerBatchesMax = 5
	// producerBlock is how many producer ids one synced write reserves.
	producerBlock = 1000
	// expireBatch bounds how many keys one step of an expiry looks at.
	expireBatch = 10_000
	// GroupBytesMax bounds a consumer group's name.
	GroupBytesMax = 249

	// openTries is how often Pebble may fail to write the WAL's records to tables before it counts as a log that
	// cannot be opened.
	openTries = 5

	// checkEvery is how many records a reader may yield before it looks at its context and at Close.
	checkEvery = 256
	// fileBytesMax is how many bytes are looked at in a file that may be anyone's. END has 8 KiB, or more for
	// hundreds of partitions.
	fileBytesMax = 4 << 20

	// proofSyncAfter is how long what was acknowledged may be proven in the operating system's memory only: a
	// power cut, not the end of the process, loses the proof of that, and damage there would go unseen. Every
	// sync of END costs appends about a sync of the WAL; ten a second are not to be measured.
	proofSyncAfter = 100 * time.Millisecond

	// memTableBytes: larger ones make fewer, larger tables and so less compaction during an import, but
	// are replayed from the WAL at start (about .1 s each) and held in memory, at most memTables of them.
	memTableBytes = 8 << 20
	memTables     = 4

	// Pebble takes the memtables out of the cache: with no more than them, no block would stay in it.
	cacheBytesDefault   = 24 << 20
	closeTimeoutDefault = 10 * time.Second

	// The default reserve of disk space is a tenth of the disk, within these. It holds what Pebble may still
	// write for records already taken: the queued memtables once more as tables, and the output of one running
	// compaction; on a small disk, where there cannot be much to compact, the lesser will do.
	reserveBytesMin = 64 << 20
	reserveBytesMax = 512 << 20
	// guardInterval and guardBytes bound how old a sample of the free space may be. A sample costs some
	// microseconds; others write to the disk too.
	guardInterval = 100 * time.Millisecond
	guardBytes    = 16 << 20
)
