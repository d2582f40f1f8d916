package projections

// What tests from outside look at.

var (
	Summary    = summary
	FloatOrder = floatOrder
	FloatOf    = floatOf

	PushedValuesOf = pushedValuesOf
)

// CellsAtOnce is as many runs as a search takes in hand together.
var CellsAtOnce = &cellsAtOnce
