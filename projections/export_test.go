package projections

// What tests from outside look at.

var (
	Summary    = summary
	FloatOrder = floatOrder
	FloatOf    = floatOf

	PushedValuesOf = pushedValuesOf
)

// HistoryTimesMax is how many acts of a history are looked at.
var HistoryTimesMax = &historyTimesMax

// CellsAtOnce is as many runs as a search takes in hand together.
var CellsAtOnce = &cellsAtOnce
