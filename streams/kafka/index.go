package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/flush"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// index is the fold of the ledger's partition, kept in Pebble: which records are accepted commits, what
// stands in which stream, and how far it has come. Only [index.fold] writes.
type index struct {
	db       *pebble.DB
	dir      string
	logf     func(string, ...any)
	met      damage.Met
	failures flush.Failures

	mu    sync.RWMutex
	state state
	heads map[string]streams.Revision // a cache; under mu
}

// state is written in the same batch as what it describes.
type state struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"` // the cluster's id
	Topic   string `json:"topic"`   // the ledger's topic on the brokers
	TopicID string `json:"topic_id"`

	Cursor int64 `json:"cursor"` // offset of the first record that has not been judged
	Head   int64 `json:"head"`   // offset after the last accepted commit
	Millis int64 `json:"millis"` // recorded time of the last record
	// Last and LastSum name the last judged record, so that a log that was cut off and grew again is
	// not taken for the one that was folded.
	Last    int64            `json:"last"`
	LastSum uint32           `json:"last_sum"`
	Counts  [verdicts]uint64 `json:"counts"` // records by verdict
}

const (
	indexFormat = 1

	hintDelete = "stop the program, delete the index's folder, and start it: the index is folded anew"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openIndex opens the index in a folder, or makes it; the empty name is one in memory.
func openIndex(dir string, logf func(string, ...any)) (*index, error) {
	ix := &index{logf: logf, heads: map[string]streams.Revision{}}
	opts := &pebble.Options{
		Logger:       indexLogger{logf},
		CacheSize:    indexCacheBytes,
		MemTableSize: indexMemTableBytes,
		// Pinned, so that a newer Pebble does not change what an older program can read.
		FormatMajorVersion: pebble.FormatValueSeparation,
		EventListener: &pebble.EventListener{
			// Without it Pebble takes damage for fatal. Who reads gets the error.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				if ix.met.Note(info.Path, info.Details) {
					logf("the ledger's index is damaged: %s: %v", info.Path, info.Details)
				}
			},
			BackgroundError: func(err error) {
				if ix.failures.Met(err) {
					logf("the background work of the ledger's index failed and is tried again: %v", damage.Of(err))
				}
			},
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // a new commit's id is looked up and not found
	}
	if dir == "" {
		dir, opts.FS = "index", vfs.NewMem()
	}
	open := func() (*pebble.DB, error) { return pebble.Open(dir, opts) }
	db, err := open()
	if err != nil {
		if pebble.IsCorruptionError(err) {
			f := fault.New(fault.Corrupt, "the ledger's index in %s is damaged", dir).WithHint(hintDelete)
			f.Err = damage.Of(err)
			return nil, f
		}
		f := fault.New(fault.Unavailable, "the ledger's index in %s cannot be opened", dir).
			WithHint("another process may have it open: every node needs a folder of its own")
		if damage.Permission(err) {
			f.Hint = "let the user that this program runs as read and write the folder and all that is in it"
		}
		f.Err = err
		return nil, f
	}
	ix.db, ix.dir = db, dir
	if err := ix.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return ix, nil
}

func (ix *index) load() error {
	ix.state = state{Format: indexFormat, Last: -1}
	v, closer, err := ix.db.Get(stateKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return ix.broken(err)
	}
	defer closer.Close()
	if err := json.Unmarshal(v, &ix.state); err != nil {
		return ix.broken(err)
	}
	if ix.state.Format != indexFormat {
		ix.logf("the ledger's index in %s has format %d, not %d: it is folded anew", ix.dir, ix.state.Format, indexFormat)
		ix.state = state{Format: indexFormat, Last: -1}
		return ix.broken(ix.db.DeleteRange([]byte{0}, []byte{0xff}, pebble.Sync))
	}
	return nil
}

func (ix *index) close() error { return flush.Close(ix.db, flush.Patience) }

// broken gives an error of the index its code and remedy; nil stays nil.
func (ix *index) broken(err error) error {
	if err == nil {
		return nil
	}
	f := fault.New(fault.Unavailable, "the ledger's index in %s cannot be read or written", ix.dir)
	if pebble.IsCorruptionError(err) {
		f = fault.New(fault.Corrupt, "the ledger's index in %s is damaged", ix.dir).WithHint(hintDelete)
	}
	f.Err = damage.Of(err)
	return f
}

// adopt ties a fresh index to a topic, and refuses one of another.
func (ix *index) adopt(cluster, topic, topicID string) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	s := &ix.state
	if s.Cursor == 0 {
		s.Cluster, s.Topic, s.TopicID = cluster, topic, topicID
		return nil
	}
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(s.Cluster, cluster) || differ(s.Topic, topic) {
		return fault.New(fault.Corrupt, "the ledger's index in %s is of topic %s on cluster %s; this is topic %s on cluster %s", ix.dir, s.Topic, s.Cluster, topic, cluster).
			WithHint("give the brokers it belongs to or another folder, or delete it: the index is folded anew")
	}
	if differ(s.TopicID, topicID) {
		return lost(ix.dir, "topic %s was deleted and made anew (it has id %s; what was folded had %s)", topic, topicID, s.TopicID)
	}
	return nil
}

// lost is what stands in the index and no longer in the log.
func lost(dir, format string, args ...any) error {
	return fault.New(fault.Corrupt, "the brokers lost data of the ledger: "+format, args...).
		WithHint("restore the topic; or, to go on with what the brokers still have, delete the ledger's index in %s and every view on all nodes", dir)
}

// recordSum identifies a record.
func recordSum(tail []byte) uint32 { return crc32.Checksum(tail, castagnoli) }

// fold judges records, which follow those judged before, up to the offset next, and makes the outcome
// visible at once. Records below the cursor are left out: they have been judged.
func (ix *index) fold(recs func(yield func(*streams.Record) bool), next int64) error {
	ix.mu.RLock()
	s := ix.state
	ix.mu.RUnlock()
	if next <= s.Cursor {
		return nil
	}
	batch := ix.db.NewBatch()
	defer batch.Close()
	heads, ids := map[string]streams.Revision{}, map[string]bool{}
	var failed error
	var tail []byte
	recs(func(r *streams.Record) bool {
		if r.Offset < s.Cursor {
			return true
		}
		tail = streams.AppendTail(tail[:0], r)
		s.Last, s.LastSum = r.Offset, recordSum(tail)
		s.Millis = max(s.Millis, r.Recorded.UnixMilli())
		s.Cursor = r.Offset + 1
		f, ok := parseFrame(r)
		if !ok {
			s.Counts[garbage]++
			return true
		}
		known := ids[f.id]
		if !known {
			_, found, err := ix.entry(f.id)
			if err != nil {
				failed = err
				return false
			}
			known = found
		}
		head, ok := heads[f.stream]
		if !ok {
			if head, failed = ix.head(f.stream); failed != nil {
				return false
			}
		}
		v := judge(&f, head, known)
		s.Counts[v]++
		if v != accepted {
			return true
		}
		e := lookup.Entry{Offset: r.Offset, Last: head + streams.Revision(f.events), Millis: s.Millis, Stream: f.stream}
		value := streams.AppendTail(lookup.AppendHead(make([]byte, 0, len(tail)+18), s.Millis, head+1), framed(r))
		failed = errors.Join(
			batch.Set(offsetKey(r.Offset), value, nil),
			lookup.Put(batch, f.id, e),
		)
		heads[f.stream], ids[f.id] = e.Last, true
		s.Head = r.Offset + 1
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	s.Cursor = next
	v, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	// NoSync: after a crash the fold goes on from an earlier cursor, to the same end.
	if err := errors.Join(batch.Set(stateKey, v, nil), batch.Commit(pebble.NoSync)); err != nil {
		return ix.broken(err)
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.state = s
	if len(ix.heads) > headsMax {
		clear(ix.heads)
	}
	for stream, head := range heads {
		ix.heads[stream] = head
	}
	return nil
}

// framed is a record with only those of its headers that a commit has: a producer of another program may have set any
// number, and [streams.ParseTail] reads no more than the log itself would take.
func framed(r *streams.Record) *streams.Record {
	f := streams.Record{Key: r.Key, Value: r.Value}
	for _, name := range []string{judgedType, judgedID, judgedExpected} {
		f.Headers = append(f.Headers, streams.Header{Key: name, Value: header(r, name)})
	}
	return &f
}

// snapshot is the state now.
func (ix *index) snapshot() state {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.state
}

// entry looks an accepted commit up by its id.
func (ix *index) entry(id string) (lookup.Entry, bool, error) {
	e, ok, err := lookup.Find(ix.db, id)
	return e, ok, ix.broken(err)
}

// head is the revision of a stream's last event, or NoStream.
func (ix *index) head(stream string) (streams.Revision, error) {
	ix.mu.RLock()
	head, ok := ix.heads[stream]
	ix.mu.RUnlock()
	if ok {
		return head, nil
	}
	head, err := lookup.Head(ix.db, stream)
	return head, ix.broken(err)
}

// indexLogger passes Pebble's word on.
type indexLogger struct{ logf func(string, ...any) }

func (indexLogger) Infof(string, ...any) {}

func (p indexLogger) Errorf(format string, args ...any) {
	p.logf("%s", damage.Text(fmt.Sprintf("pebble: "+format, args...)))
}

// Fatalf must not return: Pebble's state is undefined after it.
func (p indexLogger) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	panic("the ledger's index cannot be written: see the line above")
}
