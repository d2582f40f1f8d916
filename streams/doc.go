// Package streams is the log: the only thing the program writes. It has two halves, because they
// promise different things.
//
// The [Ledger] is one totally ordered sequence of commits, each of 1..n events of one stream, judged
// by the revision it expects: the control plane. A [Feed] is a set of partitioned topics of facts that
// anyone may publish: the data plane. Adapters live in their own folders (local on Pebble, kafka,
// eventstore) and pass the same suite (streams/conformance).
//
// The package must not know what any event means.
package streams
