// Package handlers turns commands into events.
//
// A decider per kind of stream folds the stream's events into what its rules need and decides a command
// into new events, or refuses it: pure functions, told in testdata as given/when/then. The [Dispatcher]
// is the loop around them: load, decide, append with the revision the decision was made at, and anew if
// somebody else was first. Facts are not decided: [Dispatcher.Publish] writes them to their feed.
//
// Refusals are *fault.Error: NotFound for what the stream does not have, Conflict for what its state
// does not allow (now, or any more), Invalid for a request that can never be right. What is so already
// is no refusal: no event is decided, and the [Result] is unchanged.
//
// Rules that need two streams (a run's experiment exists) are the caller's: it asks a view first.
package handlers
