// Package local is the embedded log: both halves of [streams.Log] on one Pebble database in a folder of
// its own. Everything acknowledged has been fsynced; many writers share their fsyncs; no reader sees
// what is not durable yet. The stored form of a record is its tail in Kafka's wire format, so that a
// server of Kafka's protocol can hand it out as it lies there.
//
// A log can be filled as another one was (restore.go): its partitions then may have holes, which are written
// down, so that a missing record is still found.
//
// What it cannot do: after a crash, damage (not a torn write) within the last two 32 KiB blocks of the
// WAL looks to Pebble like the place where writing ended. Everywhere else, and everywhere after Close,
// damage is found and named.
//
// The package must not know what any event means.
package local
