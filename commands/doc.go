// Package commands is what can be asked for, in the imperative: data and Validate, one file per noun.
//
// A [Command] is for one stream of the ledger: handlers decide it into events, or refuse it. A [Fact]
// is already true when it arrives (somebody watched a film, a service is well): it is published to a
// feed and cannot be refused for the state of anything.
//
// Validate looks at the request alone and reports all its faults at once, joined; each is a
// *fault.Error of code Invalid that names the field by its JSON name. What needs the state of the
// stream is the decider's business. The package is pure: no clock, no randomness, no I/O.
package commands
