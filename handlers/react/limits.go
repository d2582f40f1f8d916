package react

import "time"

// What a caller may set of these is in config.go.

// How often and how long things are tried.
const (
	// handlerRetriesDefault is how often an event whose handling fails is handled again, before the dead letter.
	handlerRetriesDefault = 4
	// handlerBackoffDefault is the wait before the first of them, doubling to handlerBackoffMax.
	handlerBackoffDefault = 200 * time.Millisecond
	handlerBackoffMax     = 10 * time.Second

	// retryDelayMax bounds the wait before another try.
	retryDelayMax = 24 * time.Hour
	// finishAgain is how long it is waited before the end of a run is said again that could not be said.
	finishAgain = time.Second
	// slotsDefault is how many tasks of a role are worked on at once.
	slotsDefault = 1

	// crashesDefault is how many workers may be gone in a row without a new checkpoint, before the task is
	// taken to be what kills them.
	crashesDefault = 20

	// resendMax bounds the wait before an event that was not dealt with is delivered again.
	resendMax = 30 * time.Second
)

// How long a task is kept by whoever works on it.
const (
	// leaseDefault is how long the work of a process that died stays untouched.
	leaseDefault = 15 * time.Second
	// heartbeatsPerLease is how often a lease is renewed within its length: one may fail before it runs out.
	heartbeatsPerLease = 3
)

const (
	// pendingMax bounds the wanted events in memory while the slowest reactor is busy: a day of workflow
	// runs. Beyond it all reactors wait for that one.
	pendingMax = 20_000
	// publishEvery is after how many commits of a long read its events are handed on.
	publishEvery = 512
	// backoffMin and backoffMax bound how long a ledger that cannot be read is left alone.
	backoffMin = 100 * time.Millisecond
	backoffMax = 10 * time.Second
	// skippedMax is how far a cursor runs ahead of its file while nothing is wanted: reading that many
	// commits again takes milliseconds.
	skippedMax = 2000

	// pollDefault is how often a task that somebody else has is looked at.
	pollDefault = 2 * time.Second
	// awaitLeast bounds how often a waiting reactor reads a run's stream.
	awaitLeast = 10 * time.Millisecond
	// checkpointDefault is the time between checkpoints: what a crash costs.
	checkpointDefault = 5 * time.Second

	// blobTimeout bounds the wait for a blob that is not on this node.
	blobTimeout = time.Minute

	// endTimeout bounds how long the word on a try's end may take when the program ends.
	endTimeout = 5 * time.Second
	// closeDefault bounds the wait for the work under way to stop, within what supervisors give a program.
	closeDefault = 8 * time.Second

	// keyBytesMax is the longest idempotency key that is readable; a longer one is hashed.
	keyBytesMax = 200
)
