package projections

// What tests from outside look at.

var (
	Summary    = summary
	FloatOrder = floatOrder
	FloatOf    = floatOf
)
