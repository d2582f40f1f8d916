// Package conformance is the suite that every adapter of the log passes: what streams.Ledger and
// streams.Feed promise, tried on a real log. An adapter's test calls [Run] with a way to make a log.
//
// The package must not know which adapter it tries.
package conformance
