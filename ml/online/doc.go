// Package online is the recommender that learns from each interaction at once: item co-counts,
// time-bucketed popularity and every person's history, without training.
//
// # Law
//
// A [Model] holds integers only, and what it holds is a function of the set of events given to
// [Model.Add]: any order of arrival, with any repetition, exports the same bytes. Scores are
// computed from those integers in an order that does not depend on arrival either. Of [Model.Rate] that is a set of events by
// partition, each partition's in its order, whichever partition is read first. Ids are interned
// to dense indices as they arrive; an index is good for one Model in one process, and ties between
// equal scores must be broken by id, never by index.
//
// # What is counted
//
// A person's counted events (see [signal.Signal.Counted]) stand in a row by (event time, event id). An
// item pair i→j is counted once for every two places of that row, at most [Window] apart, where j
// stands after i. An event that arrives late moves the events after it one place on: the pairs it
// adds are added, and those it pushes out of the window are subtracted.
//
// # What is at hand
//
// A Model that is made event by event has everything in memory. One that is restored ([Model.Restore]) begins with a small
// row for each item, and reads the rows of people and of what came after items when they are wanted: Fetch… comes before
// what needs them, and what was not fetched is a panic, not an answer.
//
// # Concurrency
//
// Methods that change a Model (Add, Restore, Fetch…, Rest, Save and its Step) need exclusive access; all others may run
// beside each other. A [Scratch] belongs to one goroutine at a time.
package online
