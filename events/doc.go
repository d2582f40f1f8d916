// Package events is the vocabulary of the log: what can have happened, in the past tense, one file
// per noun. Every event travels in a CloudEvents 1.0 envelope ([Event]); its payload is one of the
// types registered in registry.go under a written-out wire name and a schema version.
//
// The package is pure data: it may not read clocks, draw random numbers or do I/O.
package events
