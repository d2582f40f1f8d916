// Package projections folds the log into what can be asked for. A view is a pure fold: it has no
// effects and no clock, its state and its cursor go into one Pebble batch, and deleting it costs only
// the time to fold it again. A view that reads several partitions must commute over them.
package projections
