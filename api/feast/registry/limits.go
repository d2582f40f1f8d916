package registry

const (
	// callBytesMax is what one call may bring: a declaration, with room for what it nests.
	callBytesMax = 1 << 20
	// messageBytesMax is how much is told of what is wrong: it travels in a trailer, of which clients take 8 KiB, escaped.
	messageBytesMax = 1500
	// listedMax is how many objects of a kind there may be: they are listed at once.
	listedMax = 2000
)
