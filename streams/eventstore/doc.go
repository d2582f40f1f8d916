// Package eventstore is the log with its ledger on EventStoreDB or KurrentDB, 23.10 or newer. Feeds stay
// elsewhere (Options.Feed), and [Relay] copies every commit to the ledger's topic there, so that Kafka's
// tools still see every event.
//
// # What is stored
//
// A commit is one append: each of its events is one event of the stream "<category>-<stream>", with the
// payload as data, the CloudEvents attributes and the commit's id, index and count as metadata, and an
// event id that derives from the commit's id and the index (codec.go). The offset of a commit is the
// position of its last event in $all.
//
// # Who decides
//
// The server does: an append carries the native expected revision. What the server cannot promise is that
// a repeated commit is written once: with an exact revision it compares event ids, with "any" it asks a
// cache that it may have lost. A catch-up subscription to $all, filtered by the category, therefore folds
// the ledger in every process and voids what is no commit or has an id that was accepted before (fold.go).
// A writer waits for its commit to come by there, which also tells a repetition from the original: every
// attempt has a mark of its own in the metadata.
//
// Void events take up numbers of the server's stream. The fold knows them, and translates the revisions
// of this log into the server's.
//
// # What it needs
//
// The fold is held in memory (about 150 bytes per commit and as many per stream) and made anew at every
// start by reading the category once. The user of the connection must be allowed to read $all. Streams of
// the category must not be deleted, truncated or given a maximum age or count: a read that misses events
// says so and fails.
//
// Ledger reads, Head and Wait speak of what this process has folded: everything it has acknowledged
// itself, and what other nodes wrote up to some milliseconds ago.
//
// The package must not know what any event means.
package eventstore
