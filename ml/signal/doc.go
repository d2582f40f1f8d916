// Package signal says what an act of a person towards a film means: how much they like the film by it, whether it
// counts as popularity, and for how long the film is not shown to them again. It is one definition, which the
// online model, training, evaluation and the filter of what was seen all read acts by, so that they cannot
// disagree.
//
// A [Definition] is data (YAML), put in force by an event, and versioned by its hash. A [Signal] is an act read by
// one: it holds its whole meaning, and needs no definition any more.
package signal
