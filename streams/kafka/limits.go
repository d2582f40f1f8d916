package kafka

import "time"

// Sizes and limits of the log, each with its reason. What a caller may choose is in options.go, what records,
// commits and names may be in package streams, by what a record of the ledger is judged in judge.go, and what
// topics must be set to in topics.go.
const (
	// batchBytes keeps a batch below the brokers' default limit of 1,048,588, with room for its header.
	batchBytes = 1_040_000
	// recordOverhead is what a record costs beyond its tail: its length, attributes, and deltas.
	recordOverhead = 16
	// chunkBytes is how a large publish is cut: two chunks make a batch, and the next two are being made
	// while it is written.
	chunkBytes = batchBytes / 2
	// queueMax bounds the requests that wait for a partition's writer; more make their callers wait.
	queueMax = 64
	// topicPrefixMax leaves Kafka's 249 characters enough for the topics' own names.
	topicPrefixMax = 200

	// fetchBytesDefault: at 1 MiB a fetch costs noticeably more round trips than work; above 4 MiB the
	// garbage collector sees larger heaps for no gain.
	fetchBytesDefault = 2 << 20
	// probeBytes: brokers give whole batches, so a probe brings one.
	probeBytes = 1
	// tailBytes bounds what a wait fetches: it needs to know only that there is something.
	tailBytes = 64 << 10
	// tailWait is how long a fetch for those who wait stays in the broker.
	tailWait = 500 * time.Millisecond
	// keptFor is how long a read that was ended early leaves what it had fetched for the next one.
	keptFor = 2 * time.Second

	// followWait is how long a fetch of the ledger's tail waits in the broker for a record. It bounds
	// nothing but how often an idle node asks.
	followWait = 500 * time.Millisecond
	// catchUpWait is the same while there is known to be more: only a leader just elected makes use of it.
	catchUpWait = 100 * time.Millisecond
	// knownPause is how long follow rests after a fetch that brought only what was judged from
	// acknowledgements: else every append would cost the brokers and this node a fetch too, in its way.
	knownPause = 2 * time.Millisecond
	// lostTries: an offset that is out of range is asked for so often before the log counts as cut off.
	lostTries = 5
	// watchEvery is how often it is looked whether somebody has changed the topics.
	watchEvery = 30 * time.Second

	// headsMax bounds the cache of streams' heads; when it is full it starts anew.
	headsMax           = 100_000
	indexCacheBytes    = 32 << 20 // out of which Pebble takes the memtables
	indexMemTableBytes = 8 << 20

	// holeMax bounds the records that one hole is filled with: half a second, and 30 MB for ever. Holes
	// are left by refused commits and by transactions; a longer one is more likely a mistake.
	holeMax = 1_000_000
	// aheadMax is how long Restored waits for a last record that is not in the past.
	aheadMax = time.Minute

	// groupSession is after how long without a heartbeat the brokers take a member of a group for dead: the
	// least they allow by default.
	groupSession   = 6 * time.Second
	groupHeartbeat = 2 * time.Second
	// groupRebalance is how long the others wait for a member that is in the middle of a message. Its work
	// goes on; the message is given to another member, which finds that the work is taken.
	groupRebalance = 10 * time.Second

	clientIDDefault     = "projectionist"
	writeTimeoutDefault = 30 * time.Second
	readTimeoutDefault  = 15 * time.Second
	closeTimeoutDefault = 10 * time.Second
	// netTimeout bounds one request on a connection, so that a broker that hangs without closing its
	// connections is noticed; a produce may wait in the broker for its replicas for produceMillis of it.
	netTimeout    = 5 * time.Second
	produceMillis = 4000
	// metadataTimeout is shorter: any broker can answer, and one that hangs may be asked first.
	metadataTimeout = 2 * time.Second
	// adminTimeout is longer: topics are made once, and on a busy cluster that takes a while.
	adminTimeout = 15 * time.Second
	// idleMax bounds the idle connections to one broker.
	idleMax = 8
)
