// Package fold is the engine under the views: it reads the log, decodes every record once, gives it to
// each view that has not folded it, and keeps state and cursor in one Pebble batch. It rebuilds a view
// beside the running one, folds copies up to a moment, and verifies that both give the same bytes.
//
// It knows no view and no event's meaning, but for the one that lets an operator pass over a record.
package fold
