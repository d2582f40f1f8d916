package registry

const (
	// callBytesMax is what one call may bring: a declaration, with room for what it nests.
	callBytesMax = 1 << 20
	// listedMax is how many objects of a kind there may be: they are listed at once.
	listedMax = 2000
)
