package react

import "time"

// How often and how long things are tried is in retry.go and lease.go; what a caller may set is in config.go.
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

	// blobTimeout bounds the wait for a blob that another node has, and blobPoll how often it is looked for.
	blobTimeout = time.Minute
	blobPoll    = 100 * time.Millisecond

	// endTimeout bounds how long the word on a try's end may take when the program ends.
	endTimeout = 5 * time.Second
	// closeDefault bounds the wait for the work under way to stop, within what supervisors give a program.
	closeDefault = 8 * time.Second

	// keyBytesMax is the longest idempotency key that is readable; a longer one is hashed.
	keyBytesMax = 200
)
