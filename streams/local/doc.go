// Package local is the embedded log: both halves of [streams.Log] on one Pebble database in a folder of
// its own. Everything acknowledged has been fsynced; many writers share their fsyncs; no reader sees
// what is not durable yet. The stored form of a record is its tail in Kafka's wire format, so that a
// server of Kafka's protocol can hand it out as it lies there.
//
// A log can be filled as another one was (restore.go): its partitions then may have holes, which are written
// down, so that a missing record is still found.
//
// A log knows how far it went that was acknowledged (proof.go), and is not opened when it ends before that, or
// has lost files: it is looked at first without a change (survey.go). An operator may give up what is missing
// (loss.go). Damage inside of it is found and named where it is read.
//
// What it cannot see: after a power cut, not after the end of the process, that of what was acknowledged within
// the last tenth of a second something at the end of the WAL is damaged or gone; and that the whole folder is an
// older copy of itself.
//
// The package must not know what any event means.
package local
