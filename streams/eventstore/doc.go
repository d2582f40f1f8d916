// Package eventstore is the log with its ledger on EventStoreDB or KurrentDB, 23.10 or newer. Feeds are on
// another log (Options.Feeds), to whose ledger every commit is copied, so that Kafka's tools still see
// every event (relay.go).
//
// # What is stored
//
// A commit is one append: each of its events is one event of the stream "<category>-<stream>", with the
// payload as data, the CloudEvents attributes and the commit's id, index and count as metadata, and an
// event id that derives from the commit's id and the index (codec.go). The offset of a commit is counted
// by the fold, from 0 and without holes, so that it means the same on any other log.
//
// # Who decides
//
// The server does: an append carries the native expected revision. What the server cannot promise is that
// a repeated commit is written once: with an exact revision it compares event ids, with "any" it asks a
// cache that it may have lost. A catch-up subscription to $all, filtered by the category, therefore folds
// the ledger in every process and voids what is no commit or has an id that was accepted before (fold.go).
// The events of a commit follow one another, as those of one append do; else they are void.
// A writer waits for its commit to come by there, which also tells a repetition from the original: every
// attempt has a mark of its own in the metadata.
//
// Void events take up numbers of the server's stream. The fold knows them, and translates the revisions
// of this log into the server's.
//
// # A ledger that was another one
//
// A ledger can be filled from another log (streams.Restorer, restore.go): its commits bring their offsets
// and recorded times along in the metadata. That is forged as easily as written, so it counts only where
// it does no harm. The filling has a beginning and an end, which are events of the category too: of all
// beginnings the first counts, if no commit was accepted before it, and of all ends the first after that;
// the rest are void. In between only commits with an offset count, outside only those without; and an
// offset must be above the last one (what it jumps over is a hole) and at most 2⁶², a time not before the
// last one, the id new and the expected revision the stream's head, as ever. Everything else is void, for
// every process, and the commits that follow the end count on from the last offset, with the server's
// time or the last one's, whichever is later.
//
// # The copy
//
// The relay appends the ledger's commits to that of Options.Feeds in order, each as it is, and one at a
// time: what stands there is always a beginning of this ledger, however many processes do it and whenever
// they end, since a repetition is known by its id. At its start it reads all of the copy, which says where
// to go on, and whether anybody else has written to it. Then it stops for good and says so
// (Options.RelayHalted, [Log.Relay]); the log goes on. The feeds' log may be exchanged for an empty one.
//
// # What it needs
//
// The fold is held in memory (about 160 bytes per commit and as many per stream) and made anew at every
// start by reading the category once. The user of the connection must be allowed to read $all. Streams of
// the category must not be deleted, truncated or given a maximum age or count: a read that misses events
// says so and fails.
//
// Ledger reads, Head and Wait speak of what this process has folded: everything it has acknowledged
// itself, and what other nodes wrote up to some milliseconds ago.
//
// The tests run against the simulated server of package fake, and against a real one with
// ESDB_URL=esdb://… go test -run Live ./streams/eventstore, in categories of their own.
//
// The package must not know what any event means.
package eventstore
