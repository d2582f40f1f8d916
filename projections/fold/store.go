package fold

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/flush"
	"github.com/projectionist/projectionist/streams"
)

// Keys of the store. A view's pairs stand under its generation's number; a rebuild folds into a new
// generation, the swap is one write, and the old range is deleted.
//
//	f                  format of the store: "projectionist-views 1"
//	n                  next generation, uint32 BE
//	m NAME             JSON meta: generation and format of a view
//	c GEN              JSON cursor: the cut the generation has folded
//	p GEN OFFSET       a commit of the ledger that the generation has passed over because it could not be read; no value
//	g GEN KEY          a view's own pairs
const (
	storeFormat = "projectionist-views 1"
	genPrefix   = 'g'
)

// Store keeps all views of one program in one Pebble database. Several runners may fold into it.
type Store struct {
	db      *pebble.DB
	options *pebble.Options
	fs      vfs.FS
	dir     string

	mu      sync.Mutex
	next    uint32    // generation
	sampled time.Time // when the free space was looked at
	full    error

	damage atomic.Pointer[string]
}

type viewMeta struct {
	Gen        uint32     `json:"gen"`
	Format     int        `json:"format"`
	Definition Definition `json:"definition,omitzero"` // that it is the fold under
}

// StoreOptions tune a Store; the zero value is right.
type StoreOptions struct {
	FS         vfs.FS // default: the disk
	CacheBytes int64  // of blocks, and of what is not in files yet; default 36 MiB
	// Logf hears of files that cannot be written, while it is tried again; default nobody.
	Logf func(format string, args ...any)
}

// quiet drops Pebble's own chatter: errors come back from the calls that met them.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("views store: "+format, args...))
}

// OpenStore opens the store in dir, or makes it. A store of another program or of a newer format is
// refused; a damaged one too, with the hint that deleting it loses nothing: [Open] does that.
func OpenStore(dir string, o StoreOptions) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 36 << 20
	}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	opts := &pebble.Options{
		Cache:                       cache,
		FS:                          o.FS,
		MemTableSize:                uint64(min(8<<20, o.CacheBytes/4)), // Pebble takes it out of the cache: blocks have to stay there beside some
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8, // replays are write bound; reads of a cold view can bear a few more files
		L0StopWritesThreshold:       64,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      quiet{},
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	opts.EnsureDefaults()
	s := &Store{options: opts, fs: opts.FS, dir: dir}
	// Without a listener of ours Pebble ends the process: at every start, for views that can be made again.
	var failures flush.Failures
	opts.EventListener = &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) { s.damaged(info.Path, info.Details) },
		BackgroundError: func(err error) {
			if failures.Met(err) && o.Logf != nil && pebble.ExtractDataCorruptionInfo(err) == nil { // else damaged has told it
				o.Logf("the views in %s cannot be written, which is tried again: %v", dir, err)
			}
		},
	}
	if err := s.marked(); err != nil {
		return nil, refused(dir, err)
	}
	var err error
	if s.db, err = pebble.Open(dir, opts); err != nil {
		if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) || errors.Is(err, pebble.ErrDBNotPristine) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, refused(dir, err)
	}
	if err := errors.Join(s.check(dir), opts.FS.RemoveAll(filepath.Join(dir, savingDir))); err != nil {
		s.db.Close() //nolint:errcheck // the other error says more
		return nil, err
	}
	return s, nil
}

func refused(dir string, err error) error {
	return &fault.Error{Code: fault.Corrupt, Message: "cannot open the views in " + dir, Err: err,
		Hint: "views can be deleted at any time, they are folded again from the log: remove that folder and start again"}
}

func (s *Store) check(dir string) error {
	v, ok, err := get(s.db, []byte{'f'})
	if err != nil {
		return err
	}
	if !ok {
		it, err := s.db.NewIter(nil)
		if err != nil {
			return err
		}
		foreign, ours := it.First(), false
		if foreign {
			ours = bytes.IndexByte([]byte("ncmpg"), it.Key()[0]) >= 0
		}
		if err := it.Close(); err != nil {
			return err
		}
		if ours {
			return refused(dir, fmt.Errorf("%w: they lack the mark of their format", ErrDamaged))
		}
		if foreign {
			return fault.New(fault.Corrupt, "%s holds a database of another program", dir).WithHint("choose another data folder")
		}
		return s.db.Set([]byte{'f'}, []byte(storeFormat), pebble.Sync)
	}
	if string(v) != storeFormat {
		return fault.New(fault.Corrupt, "the views in %s have the format %q; this program knows %q", dir, v, storeFormat).
			WithHint("run the newer program, or remove that folder: views are folded again from the log")
	}
	if v, ok, err = get(s.db, []byte{'n'}); err != nil {
		return err
	} else if ok && len(v) == 4 {
		s.next = binary.BigEndian.Uint32(v)
	}
	return s.dropOrphans()
}

// dropOrphans deletes generations that no view points at: left by a rebuild that did not finish.
func (s *Store) dropOrphans() error {
	used := map[uint32]bool{}
	err := scan(s.db, []byte{'m'}, []byte{'m' + 1}, false, func(_, v []byte) error {
		var m viewMeta
		if err := json.Unmarshal(v, &m); err != nil {
			return err
		}
		used[m.Gen] = true
		return nil
	})
	if err != nil {
		return err
	}
	for g := range s.next {
		if !used[g] {
			if err := s.drop(g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) drop(gen uint32) error {
	lo := genKey(gen, nil)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: Key(lo).End()})
	if err != nil {
		return err
	}
	any := it.First()
	if err := it.Close(); err != nil || !any {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	over := passKey(gen)
	if err := errors.Join(b.DeleteRange(lo, Key(lo).End(), nil), b.DeleteRange(over, Key(over).End(), nil), b.Delete(cursorKey(gen), nil)); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.NoSync)
}

// meta is what the store knows of a view; ok is false for a view it has never seen.
func (s *Store) meta(name string) (m viewMeta, ok bool, err error) {
	v, ok, err := get(s.db, append([]byte{'m'}, name...))
	if err != nil || !ok {
		return m, false, err
	}
	return m, true, json.Unmarshal(v, &m)
}

// newGeneration reserves a generation number.
func (s *Store) newGeneration() (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.next
	s.next++
	return g, s.db.Set([]byte{'n'}, binary.BigEndian.AppendUint32(nil, s.next), pebble.NoSync)
}

// point makes gen the generation of the view, in one write.
func (s *Store) point(name string, m viewMeta) error {
	v, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.db.Set(append([]byte{'m'}, name...), v, pebble.Sync)
}

func (s *Store) cursor(gen uint32) (streams.Cut, error) {
	v, ok, err := get(s.db, cursorKey(gen))
	if err != nil || !ok {
		return streams.Cut{}, err
	}
	return streams.ParseCut(string(v))
}

// Close flushes and closes the store.
func (s *Store) Close() error {
	return flush.Close(s.db, flush.Patience)
}

// Views stop being written while less than a twentieth of the disk is free, within these bounds: half of
// what the log leaves, so that the log refuses first and what it took can still be folded.
const (
	reserveMin  = 32 << 20
	reserveMax  = 256 << 20
	sampleEvery = 100 * time.Millisecond
)

// errFull is wrapped by the error of room.
var errFull = errors.New("disk full")

// room says whether there is disk space to write on.
func (s *Store) room() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.sampled) < sampleEvery {
		return s.full
	}
	s.sampled, s.full = time.Now(), nil
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return nil // a file system that does not say
	}
	if reserve := min(max(usage.TotalBytes/20, reserveMin), reserveMax); usage.AvailBytes < reserve {
		e := fault.New(fault.Unavailable, "views are not folded further: %s has %d MiB free and %d MiB are held in reserve", s.dir, usage.AvailBytes>>20, reserve>>20)
		e.Err, e.Hint = errFull, "free space on that disk; nothing else is needed"
		s.full = e
	}
	return s.full
}

// Disk is the size and the free space of the disk that the store is on, in bytes.
func (s *Store) Disk() (size, free uint64, err error) {
	usage, err := s.fs.GetDiskUsage(s.dir)
	return usage.TotalBytes, usage.AvailBytes, err
}

// DiskBytes is the store's size on disk.
func (s *Store) DiskBytes() int64 { return int64(s.db.Metrics().DiskSpaceUsage()) }

func cursorKey(gen uint32) []byte { return binary.BigEndian.AppendUint32([]byte{'c'}, gen) }

// passOver notes commits that a generation is about to pass over because they cannot be read.
func (s *Store) passOver(gen uint32, offsets []int64) error {
	for _, offset := range offsets {
		if err := s.db.Set(binary.BigEndian.AppendUint64(passKey(gen), uint64(offset)), nil, pebble.NoSync); err != nil {
			return fault.Wrap(fault.Unavailable, err, "cannot write the views")
		}
	}
	return nil
}

// passedOver are the offsets that passOver has noted, ascending.
func (s *Store) passedOver(gen uint32) ([]int64, error) {
	lo := passKey(gen)
	var offsets []int64
	err := scan(s.db, lo, Key(lo).End(), false, func(k, _ []byte) error {
		if len(k) != len(lo)+8 {
			return ErrKey
		}
		offsets = append(offsets, int64(binary.BigEndian.Uint64(k[len(lo):])))
		return nil
	})
	return offsets, err
}

func passKey(gen uint32) []byte { return binary.BigEndian.AppendUint32([]byte{'p'}, gen) }

func genKey(gen uint32, key []byte) []byte {
	k := make([]byte, 0, 5+len(key))
	return append(binary.BigEndian.AppendUint32(append(k, genPrefix), gen), key...)
}

func get(r pebble.Reader, key []byte) ([]byte, bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, damageOf(err)
	}
	v = append([]byte(nil), v...)
	return v, true, closer.Close()
}

func scan(r pebble.Reader, lo, hi []byte, back bool, f func(k, v []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return damageOf(err)
	}
	return walk(it, back, f)
}

// walk gives every pair of an iterator to f, and closes it.
func walk(it *pebble.Iterator, back bool, f func(k, v []byte) error) error {
	first, step := it.First, it.Next
	if back {
		first, step = it.Last, it.Prev
	}
	for ok := first(); ok; ok = step() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key(), v)
		}
		if err != nil {
			it.Close() //nolint:errcheck // the other error says more
			return damageOf(err)
		}
	}
	return damageOf(it.Close()) // with the iterator's own error
}

// batch is a Writer into one generation. Reads see the committed state, or with an indexed batch also
// its own writes.
type batch struct {
	space
	b   *pebble.Batch
	buf []byte
}

func (s *Store) newBatch(gen uint32, indexed bool) *batch {
	if indexed {
		b := s.db.NewIndexedBatch()
		return &batch{space: space{s, b, gen}, b: b}
	}
	return &batch{space: space{s, s.db, gen}, b: s.db.NewBatch()}
}

func (b *batch) key(key []byte) []byte {
	b.buf = binary.BigEndian.AppendUint32(append(b.buf[:0], genPrefix), b.gen)
	b.buf = append(b.buf, key...)
	return b.buf
}

func (b *batch) Set(key, value []byte) error { return b.b.Set(b.key(key), value, nil) }
func (b *batch) Delete(key []byte) error     { return b.b.Delete(b.key(key), nil) }

// commit writes the batch with the cursor it leads to: the whole of exactly-once.
func (s *Store) commit(b *batch, cursor streams.Cut) error {
	if err := b.b.Set(cursorKey(b.gen), []byte(cursor.String()), nil); err != nil {
		return err
	}
	last, err := s.lastOf(b.b)
	if err != nil {
		return err
	}
	if err := s.db.Apply(last, pebble.NoSync); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot write the views")
	}
	return errors.Join(last.Close(), b.b.Close())
}

// lastOf is a batch of the last word of another on each key, in the order of keys: what a store takes most quickly, and
// has no more of than it needs. A chunk of events writes many rows over and over.
func (s *Store) lastOf(b *pebble.Batch) (*pebble.Batch, error) {
	type word struct {
		key, value []byte
		set        bool
	}
	words := make([]word, 0, b.Count())
	for r := b.Reader(); ; {
		kind, key, value, ok, err := r.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindDelete {
			return nil, fault.New(fault.Internal, "a batch of views sets and deletes; it has an operation of kind %s", kind)
		}
		words = append(words, word{key, value, kind == pebble.InternalKeyKindSet})
	}
	slices.SortStableFunc(words, func(a, b word) int { return bytes.Compare(a.key, b.key) })
	last := s.db.NewBatchWithSize(b.Len())
	for i := range words {
		w := &words[i]
		if i+1 < len(words) && bytes.Equal(w.key, words[i+1].key) {
			continue
		}
		var err error
		if w.set {
			err = last.Set(w.key, w.value, nil)
		} else {
			err = last.Delete(w.key, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

// StoreDir is where a data folder keeps its views.
func StoreDir(dir string) string { return filepath.Join(dir, "views") }
