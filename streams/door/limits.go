package door

import (
	"time"

	"github.com/projectionist/projectionist/streams"
)

// Limits: what any client may cost. Memory is bounded by connections × small + the budgets.
const (
	// connectionsMax is far above what tools of one machine open.
	connectionsMax = 1000
	// frameBytesMax bounds a Produce request; Kafka's default is 100 MiB, its batches 1 MiB.
	frameBytesMax = 16 << 20
	// smallFrameBytesMax bounds every other request: the largest is a group leader's assignment.
	// Parsing can take a hundred times the frame's size.
	smallFrameBytesMax = 256 << 10
	// strangerFrameBytesMax bounds requests before a client has authenticated.
	strangerFrameBytesMax = 8 << 10
	// heavyFrameBytes and heavyFrames: so many requests larger than that are parsed at once.
	heavyFrameBytes = 4 << 10
	heavyFrames     = 4
	// readStep is how a buffer grows: with the data, not with what a client announces.
	readStep = 64 << 10

	// batchBytesMax bounds one record batch as it is sent, and is told as max.message.bytes: no batch of
	// so many bytes holds a record that the log does not take, unless it is compressed. Kafka's default
	// is 1,048,588; clients split larger ones.
	batchBytesMax = streams.RecordBytesMax + batchHeadBytes + recordHeadBytes
	// batchPlainBytesMax bounds one batch when decompressed.
	batchPlainBytesMax = 8 << 20
	// decompressions is how many batches are decompressed at once.
	decompressions = 4
	// produceBudget bounds the bytes of Produce requests that are read and not answered yet.
	produceBudget = 64 << 20
	// produceInFlight bounds a connection's Produce requests that are not answered yet; clients have
	// five.
	produceInFlight = 16
	// requestPartitionsMax bounds the partitions that one request may name.
	requestPartitionsMax = 1000

	// fetchBytesMax and fetchPartitionBytesMax bound one Fetch's answer whatever the client allows.
	fetchBytesMax          = 4 << 20
	fetchPartitionBytesMax = 1 << 20
	// fetchBudget bounds the bytes of all answers under way; who gets none of it gets fetchBytesMin.
	fetchBudget   = 128 << 20
	fetchBytesMin = 64 << 10
	// fetchBatchBytes is where a batch handed out ends.
	fetchBatchBytes = 512 << 10
	// fetchWaitMax bounds a long poll.
	fetchWaitMax = time.Minute

	// groupsMax, groupMembersMax, membersMax, protocolsMax bound the consumer groups; clients' session
	// and rebalance timeouts are held within the others.
	groupsMax           = 10_000
	groupMembersMax     = 500
	membersMax          = 5_000
	protocolsMax        = 20
	memberBytesMax      = 16 << 10 // a member's metadata in all its protocols, or its assignment
	sessionTimeoutMin   = 500 * time.Millisecond
	sessionTimeoutMax   = 30 * time.Minute
	rebalanceTimeoutMin = 500 * time.Millisecond
	rebalanceTimeoutMax = 5 * time.Minute
	// rebalanceDelay lets the members of a new group come together before the first generation.
	rebalanceDelay = 200 * time.Millisecond
	// filtersMax is more than there are states of groups.
	filtersMax = 20
	// describeBytesMax bounds an answer that may name one group a thousand times.
	describeBytesMax = 16 << 20
	// messageBytesMax bounds the error messages that clients get; the wire allows 32,767.
	messageBytesMax = 1000
	// offsetMetadataBytesMax is Kafka's default.
	offsetMetadataBytesMax = 4096

	// stateRetention is how long idempotent producers and groups without members are remembered, as Kafka;
	// startGrace is how long the latter are at the least after a start.
	stateRetention = 7 * 24 * time.Hour
	startGrace     = 24 * time.Hour
	expireInterval = time.Hour

	strangerTimeout = 10 * time.Second // until a client has authenticated
	frameTimeout    = 30 * time.Second // from a frame's first byte to its last
	idleTimeout     = 10 * time.Minute
	writeTimeout    = 30 * time.Second
	closeTimeout    = 5 * time.Second

	// A catch-up read that finds the log being written to by others reads no more than paceBytes, and
	// then pauses paceFactor times as long as it took, at most paceMax: two scanners at full speed
	// raise the tail of the appends' latency tenfold on two cores.
	// Who is fewer than catchUpRecords behind is not catching up.
	catchUpRecords = 500
	paceBytes      = 128 << 10
	paceFactor     = 10
	paceMax        = 50 * time.Millisecond
)
