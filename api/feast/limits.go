package feast

const (
	// valuesMax is how many values one request may ask for, features times rows: they are held until all are read, some 40
	// bytes each.
	valuesMax = 100_000
	// keptMax and keptBytesMax bound the choices of features that are resolved once and kept, and their names.
	keptMax      = 256
	keptBytesMax = 4 << 20
	// pushBodyBytesMax is what a body of pushed values may take, pushRowsMax how many rows it may have, and pushValuesMax how
	// many values: they are held, some 100 bytes each, until the log has them.
	pushBodyBytesMax = 16 << 20
	pushRowsMax      = 20_000
	pushValuesMax    = 1_000_000
	// pushBatch is how many rows are written to the log at once.
	pushBatch = 1000
	// detailsMax is how much of what is wrong with a body is told.
	detailsMax = 50
)
