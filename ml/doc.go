// Package ml holds the recommender's mathematics: factorisation, neighbours, ranking, metrics and
// splits. It is pure: no clock, no randomness but a seed passed in, no map order, no I/O, no logger;
// the same input gives the same bytes.
package ml
