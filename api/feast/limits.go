package feast

const (
	// valuesMax is how many values one request may ask for, features times rows: they are held until all are read, some 40
	// bytes each.
	valuesMax = 100_000
	// keptMax and keptBytesMax bound the choices of features that are resolved once and kept, and their names.
	keptMax      = 256
	keptBytesMax = 4 << 20
	// detailsMax is how much of what is wrong with a body is told.
	detailsMax = 50
)
