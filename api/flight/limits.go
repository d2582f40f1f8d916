package flight

import "time"

const (
	bodyBytesMax      = 4 << 30   // of a table that is sent: it goes to the disk
	messageBytesMax   = 256 << 20 // of a record batch, which is held: some ten million entity rows
	commandBytesMax   = 1 << 20   // of a command, which is held
	messageBytesShown = 6 << 10   // of a message of an error: clients take headers of 8 KiB
	spoolMemoryBytes  = 1 << 20   // of a table, and of its rows' keys, before they go to the disk

	// batchRows and batchBytes end a record batch of an answer.
	batchRows  = 1 << 16
	batchBytes = 16 << 20

	// sortMemoryBytes is what the rows of a table that is recorded take before they go to the disk, rowsAtOnce how many are compared
	// with the log at once, groupBytesMax what these may take, those of one entity and one time together. factsAtOnce is how many are
	// written to the log at once, rowBytesMax what the values of one take.
	// recordedBytesMax bounds the rows of one table on the disk: a column without values takes nothing of a table, and its name of each row.
	sortMemoryBytes  = 16 << 20
	recordedBytesMax = 64 << 30
	groupBytesMax    = 16 << 20
	rowsAtOnce       = 4096
	factsAtOnce      = 1000
	rowBytesMax      = 900_000

	putsMax = 16              // tables that were put and not yet asked for
	putKept = 5 * time.Minute // after which another may take the place of one
)
