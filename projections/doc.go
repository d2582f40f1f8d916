// Package projections holds the views: what can be asked for, a file per noun. A view is a pure fold of
// the log: it has no effects and no clock, and deleting it costs only the time to fold it again. A view
// that reads several partitions must commute over them. What runs them stands in the folder fold.
package projections
