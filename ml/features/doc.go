// Package features computes features of users and movies, for training and for serving, with one
// function. What a feature is stands in a definitions file ([Parse]); a model stores the file's
// [Definitions.Hash] and refuses another's.
//
// # The function
//
// A [State] is the fold of one entity's facts: who did what, when, with which rating. Three readers
// use the same State and the same [State.Values]:
//
//   - an online read: the State folded up to now;
//   - an as-of read: a State folded from the facts with event time ≤ as-of and recorded time ≤ known-at;
//   - the point-in-time join ([Join]): one sweep over an entity's facts, read at every row's time.
//
// A State holds integers only (counts, hundredths of rating points, sparse day buckets), so the
// order of its facts leaves no trace: any order, and any split into states that are then merged
// ([State.Merge]), gives the same bytes.
//
// # Corrections
//
// Of several facts of one person, film, kind and event time that carry a rating, the one that the log took last counts
// alone, of those that may be known. Which comes after which is the [Fact.Turn] that whoever reads the log gives them.
//
// # Genres are joined at read time
//
// A film's genres come from the catalogue, another topic than the facts. Were they folded into the
// user's state, the bytes would depend on which topic was read first. So a user's State counts per
// movie and kind, never per genre, and the genre features add up those counts under the catalogue
// that the reader hands in. That is linear in the number of distinct films of the user, and a later
// correction of a film's genres shows at once in every user's features.
//
// # Time
//
// A read at now sees everything in the State. A State must not hold facts later than now: fold it
// from the facts up to now, and where [State.LastMillis] of a live state lies after now, fold anew.
//
// Windows and decay work on UTC days. With D(t) = ⌊t / 86,400,000⌋, the age of a fact in whole days
// is a = D(now) − D(fact). A window of w days holds the facts with a < w: today up to now and the
// w−1 whole days before. A decayed count is Σ 2^(−a/h), summed from the oldest day to the newest,
// each product rounded, so that every machine gets the same bits. Recency and age are exact, to the
// millisecond: (now − newest fact) and (now − oldest fact), in days.
//
// A view's ttl works as in Feast: where the entity's newest fact is older than now − ttl, its
// features are [OutsideMaxAge] and carry no value. Attributes of the catalogue do not age.
//
// The package is pure: no clock, no randomness, no dependence on map order, no I/O but the reader
// and writer that the CSV helpers are given.
package features
