package projections

// What tests from outside look at.

var (
	Summary    = summary
	FloatOrder = floatOrder
	FloatOf    = floatOf

	PushedValuesOf = pushedValuesOf
)

// HistoryTimesMax is how many acts of a history are looked at, and HistoryLookMax how many of it for a page.
var (
	HistoryTimesMax = &historyTimesMax
	HistoryLookMax  = &historyLookMax
)

// CellsAtOnce is as many runs as a search takes in hand together.
var CellsAtOnce = &cellsAtOnce
