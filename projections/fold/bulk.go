package fold

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/streams"
)

const (
	// bulkMemory is what a save holds in memory while it is sorted.
	bulkMemory = 16 << 20
	// bulkBatch is up to which size a save is one batch. A larger one comes into the store as tables: it is written once instead of
	// three times (to the batch, the WAL, a table), and need not fit memory. Pebble's batches end at 4 GiB.
	bulkBatch = 4 << 20
	// bulkTable is the size of such a table, the last one's apart.
	bulkTable = 32 << 20
	// savingDir is where tables are until they are the store's; what a process left of them is deleted by the next.
	savingDir = "saving"
)

// bulk is the Writer of a save: pairs in any order, each key once, of any size together. Reads see the committed state.
type bulk struct {
	space
	sorted *spill.Sorter
	bytes  int64 // keys and values
	buf    []byte
}

func (s *Store) newBulk(gen uint32) *bulk {
	return &bulk{space: space{s, s.db, gen}, sorted: spill.NewSorter(filepath.Join(s.dir, savingDir), bulkMemory)}
}

// A record that is sorted: key, value, whether the key is deleted, length of the key. No key is a prefix of another, so records are in the
// order of their keys.
const bulkTail = 1 + 4

func (b *bulk) put(key, value []byte, deleted byte) error {
	b.buf = append(binary.BigEndian.AppendUint32(append(b.buf[:0], genPrefix), b.gen), key...)
	size := len(b.buf)
	b.buf = append(append(b.buf, value...), deleted)
	b.buf = binary.BigEndian.AppendUint32(b.buf, uint32(size))
	b.bytes += int64(len(b.buf))
	return b.sorted.Add(b.buf)
}

func (b *bulk) Set(key, value []byte) error { return b.put(key, value, 0) }
func (b *bulk) Delete(key []byte) error     { return b.put(key, nil, 1) }

// target takes sorted pairs: a batch or a table.
type target interface {
	Set(key, value []byte) error
	Delete(key []byte) error
}

// next gives a record to a target, and what it takes; io.EOF after the last.
func (b *bulk) next(to target) (int, error) {
	record, err := b.sorted.Next()
	if err != nil {
		return 0, err
	}
	at := len(record) - bulkTail
	size := binary.BigEndian.Uint32(record[at+1:])
	if key := record[:size]; record[at] == 1 {
		err = to.Delete(key)
	} else {
		err = to.Set(key, record[size:at])
	}
	return len(record), err
}

func (b *bulk) close() { b.sorted.Close() } //nolint:errcheck // scratch

// commitBulk is commit, for a save. It ends without an error and without a commit where dropped is set meanwhile.
func (s *Store) commitBulk(b *bulk, cursor streams.Cut, dropped *atomic.Bool) error {
	defer b.close()
	err := s.commitSorted(b, cursor, dropped)
	if f := (*fault.Error)(nil); err == nil || errors.As(err, &f) {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "cannot write the views")
}

func (s *Store) commitSorted(b *bulk, cursor streams.Cut, dropped *atomic.Bool) error {
	if b.bytes > bulkBatch {
		return s.ingest(b, cursor, dropped)
	}
	batch := s.db.NewBatchWithSize(int(b.bytes) + 1024)
	defer batch.Close()
	if err := fill(pairsOf{batch}, b, cursor); err != nil || dropped.Load() {
		return err
	}
	return s.db.Apply(batch, pebble.NoSync)
}

// pairsOf is a batch as a target.
type pairsOf struct{ b *pebble.Batch }

func (p pairsOf) Set(key, value []byte) error { return p.b.Set(key, value, nil) }
func (p pairsOf) Delete(key []byte) error     { return p.b.Delete(key, nil) }

func fill(to target, b *bulk, cursor streams.Cut) error {
	err := to.Set(cursorKey(b.gen), []byte(cursor.String()))
	for err == nil {
		_, err = b.next(to)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// ingest makes tables of a save, and of its cursor one by itself (it sorts far from the rows), which become the store's at once. As the cursor was
// written by the save before, Pebble has what that one wrote on the disk first.
func (s *Store) ingest(b *bulk, cursor streams.Cut, dropped *atomic.Bool) (err error) {
	var paths []string
	defer func() {
		for _, path := range paths {
			s.fs.Remove(path) //nolint:errcheck // the store has it, or the next start deletes it
		}
	}()
	table := func(write func(w *sstable.Writer) error) error {
		path := filepath.Join(s.dir, savingDir, fmt.Sprintf("%d-%d", b.gen, len(paths)))
		paths = append(paths, path)
		return s.table(path, write)
	}
	if err := s.fs.MkdirAll(filepath.Join(s.dir, savingDir), 0o700); err != nil {
		return err
	}
	err = table(func(w *sstable.Writer) error { return w.Set(cursorKey(b.gen), []byte(cursor.String())) })
	for more := true; more && err == nil && !dropped.Load(); {
		err = table(func(w *sstable.Writer) error {
			for size := 0; size < bulkTable; {
				n, err := b.next(w)
				if size += n; err == io.EOF {
					more = false
					return nil
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil || dropped.Load() {
		return err
	}
	return s.db.Ingest(context.Background(), paths)
}

// table writes one, synced.
func (s *Store) table(path string, write func(w *sstable.Writer) error) error {
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.options.MakeWriterOptions(0, s.db.TableFormat()))
	return errors.Join(write(w), w.Close()) // which syncs the file
}
