package local

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/streams"
)

// Options of a log; the zero value is what the program runs with.
type Options struct {
	// Topics are made when missing; default streams.Topics. The ledger's has one partition.
	Topics []streams.Topic
	// Now gives the recorded times; default time.Now. A clock that steps back is held at the last time.
	Now func() time.Time
	// Restoring opens an empty log, or one whose filling was begun, to be filled from another one: see
	// [streams.Restorer]. Appends are refused meanwhile.
	Restoring bool
	// ReadOnly opens a whole log that nobody writes to, and changes nothing of it: it is not locked, and appends are
	// refused. Its write-ahead log is read into memory.
	ReadOnly bool
	// AcceptLoss opens a log that ends before what was acknowledged, or cannot prove its end, and says why that
	// is to be taken: what is missing is given up for good, and written down with the reason. Empty refuses it.
	AcceptLoss string
	// FS holds the folder; default the disk.
	FS vfs.FS
	// Fatal is called once, when a write to disk has failed: what was not acknowledged is in doubt, and
	// the process has to end and start anew from what is on disk. Default: log it and os.Exit(3).
	// Should it return, the log answers every append with an error.
	Fatal func(error)
	// ReserveBytes is the free disk space below which appends are refused, until there is more again;
	// default a tenth of the disk, 64 to 512 MiB; negative for no guard.
	ReserveBytes int64
	// CacheBytes bounds the cache of blocks and the memtables together; default 24 MiB: catch-up reads are
	// sequential and need little, commit-id look-ups need the filters.
	CacheBytes int64
	// CloseTimeout bounds how long Close waits for readers to notice; default 10 s.
	CloseTimeout time.Duration
	// Logf reports what happens in the background; default log.Printf.
	Logf func(format string, args ...any)
}

// ExitCode is the process's status after a failed write to disk, with the default Fatal.
const ExitCode = 3

func (o *Options) setDefaults() {
	if o.Topics == nil {
		o.Topics = streams.Topics
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logf == nil {
		o.Logf = log.Printf
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			log.Printf("the log cannot be written, the program ends: %v", err)
			os.Exit(ExitCode)
		}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = cacheBytesDefault
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = closeTimeoutDefault
	}
}

// pebbleOptions are tuned for a log: keys only grow within a partition, nothing is overwritten or
// deleted, reads are long scans and single records.
func (l *Log) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:     l.opts.FS,
		Logger: pebbleLogger{l},
		// Pinned, so that a newer Pebble does not change what an older program can read.
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   l.opts.CacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		// Records arrive in key order per partition, and tables are cut between partitions (below), so
		// L0 hardly overlaps and most compactions only move a table: a late start costs readers little
		// and a deep L0 must not stop an import.
		L0CompactionThreshold:     4,
		L0CompactionFileThreshold: 500,
		L0StopWritesThreshold:     64,
		LBaseMaxBytes:             256 << 20,
		// Smooth writeback: a WAL fsync behind a large dirty table waits for that table on ext4.
		BytesPerSync:    1 << 20,
		WALBytesPerSync: 1 << 20,
		MaxOpenFiles:    1000,
		EventListener: &pebble.EventListener{
			DataCorruption:  l.foundDamage,
			BackgroundError: l.backgroundError,
			FlushEnd:        l.flushed,
		},
	}
	o.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 64 << 20 // few large tables: there is nothing to rewrite them for
	}
	for i := range o.Levels {
		o.Levels[i] = pebble.LevelOptions{
			BlockSize: 32 << 10, // scans; a single record costs one block
			// Measured on imports: the processor time of none (what it costs is saved in writing), a
			// third of its disk, and scans as fast; MinLZ was no better.
			Compression: func() *block.CompressionProfile { return block.SnappyCompression },
			// A new commit's id is looked up and not found: the filter answers that without a read.
			FilterPolicy: bloom.FilterPolicy(10),
		}
	}
	o.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, tableEnd(start), nil
	}
	return o
}

// pebbleLogger passes Pebble's word on.
type pebbleLogger struct{ l *Log }

func (pebbleLogger) Infof(string, ...any) {}

func (p pebbleLogger) Errorf(format string, args ...any) {
	p.l.opts.Logf("%s", damage.Text(fmt.Sprintf("pebble: "+format, args...)))
}

// Fatalf must not return: Pebble's state is undefined after it.
func (p pebbleLogger) Fatalf(format string, args ...any) {
	err := damage.Of(fmt.Errorf(format, args...))
	p.l.fail(err)
	panic(err)
}
