package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/livecopy"
	"github.com/projectionist/projectionist/streams"
)

// TestDamagedRecord flips bytes of a table: the record that lay there is named, and what follows it is
// not given as if nothing had been there.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	for i := range 2 { // two tables
		recs := make([]streams.Record, 1000)
		for n := range recs {
			sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)}) // does not compress: many blocks
			recs[n] = streams.Record{Key: []byte("k"), Value: fmt.Appendf(nil, "%d-%x%x", i*1000+n, sum, sum)}
		}
		if err := l.Feed().Publish(context.Background(), driftTP.Topic, recs); err != nil {
			t.Fatal(err)
		}
		if err := l.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, pebbleDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v, %v", tables, err)
	}
	largest := ""
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		if largest == "" || len(b) > len(mustRead(t, largest)) {
			largest = table
		}
	}
	b := mustRead(t, largest)
	b[len(b)/2] ^= 0x10
	if err := os.WriteFile(largest, b, 0o644); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, Options{})
	next := int64(0)
	var readErr error
	for r, err := range l.Feed().Read(context.Background(), driftTP, 0) {
		if err != nil {
			readErr = err
			break
		}
		if r.Offset != next || !strings.HasPrefix(string(r.Value), fmt.Sprint(next, "-")) {
			t.Fatalf("record %d where %d was to come", r.Offset, next)
		}
		next++
	}
	if readErr == nil {
		t.Fatalf("all %d records are read from a damaged table", next)
	}
	wantError(t, readErr, fault.Corrupt, fmt.Sprintf("%s@%d", driftTP, next), largest)
	if text := readErr.Error(); strings.ContainsAny(text, "<\n") {
		t.Errorf("%q has what is for Pebble's own use", text)
	}
}

// TestDamagedTable_Background: Pebble's background work meets damage again and again, which is told once, keeps
// nobody from appending or reading elsewhere, and does not hold up Close.
func TestDamagedTable_Background(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, "log", Options{FS: fs})
	write := func(l *Log, name string) {
		t.Helper()
		for i := range 1000 {
			mustAppend(t, l, fmt.Sprint(name, i), "s")
		}
		if err := l.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	write(l, "a")
	fs = clone(fs)
	table, size := "", int64(0)
	for path, content := range snapshot(t, fs) {
		if strings.HasSuffix(path, ".sst") && int64(len(content)) > size {
			table, size = path, int64(len(content))
		}
	}
	b, err := readFile(fs, table)
	if err != nil {
		t.Fatal(err)
	}
	if err := replace(fs, table, flipped(b, len(b)/2, rand.New(rand.NewPCG(1, 1)))); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	l, err = Open("log", Options{FS: fs, Logf: func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); strings.Contains(text, table) {
			told.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		write(l, fmt.Sprint("b", i, "-"))
	}
	if _, err := dump(l); !fault.Is(err, fault.Corrupt) {
		t.Errorf("what is damaged is read: %v", err)
	}
	if err := l.Damaged(); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), table) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("the log says of its damage: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := told.Load(); n != 1 {
		t.Errorf("the damage is told %d times; want once", n)
	}
}

// TestDamagedWAL flips a bit of a WAL that was not closed, here and there up to its end: Open says that the
// log is damaged and does not take the damage for the place where writing ended.
func TestDamagedWAL(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, filepath.Join(dir, "log"), Options{})
	recs := make([]streams.Record, 60)
	for range 40 {
		for n := range recs {
			recs[n] = streams.Record{Key: []byte("k"), Value: []byte(strings.Repeat("x", 150))}
		}
		if err := l.Feed().Publish(context.Background(), driftTP.Topic, recs); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		crashed := filepath.Join(dir, fmt.Sprint("crashed", i))
		livecopy.Copy(t, crashed, filepath.Join(dir, "log"))
		logs, err := filepath.Glob(filepath.Join(crashed, pebbleDir, "*.log"))
		if err != nil || len(logs) == 0 {
			t.Fatal(logs, err)
		}
		last := logs[len(logs)-1] // the one that is written to
		b := mustRead(t, last)
		if len(b) < 128<<10 {
			t.Fatalf("the WAL has %d bytes", len(b))
		}
		used := len(bytes.TrimRight(b, "\x00"))
		at := used * (2*i + 1) / 24
		b[at] ^= 0x04
		if err := os.WriteFile(last, b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = Open(crashed, Options{Logf: t.Logf})
		if err == nil {
			t.Fatalf("a bit flipped at %d of %d went unnoticed", at, len(b))
		}
		wantError(t, err, fault.Corrupt, crashed)
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMissingRecord deletes records behind the log's back.
func TestMissingRecord(t *testing.T) {
	for _, gone := range []int64{0, 3, 9} {
		l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
		for i := range 10 {
			mustAppend(t, l, fmt.Sprint("c", i), "s")
		}
		if err := l.db.Delete(l.ledger.key(gone), nil); err != nil {
			t.Fatal(err)
		}
		for name, seq := range map[string]func(func(*streams.Committed, error) bool){
			"Read": l.Ledger().Read(context.Background(), 0), "ReadStream": l.Ledger().ReadStream(context.Background(), "s", 0),
		} {
			n := int64(0)
			var last error
			for _, err := range seq {
				if last = err; err == nil {
					n++
				}
			}
			if n != gone {
				t.Errorf("%s gives %d commits before the one that is missing, %d", name, n, gone)
			}
			wantError(t, last, fault.Corrupt, fmt.Sprintf("@%d", gone))
		}
	}
}

// damageN is how many random damages TestDamage does beside those it always does.
const damageN = "DAMAGE_N"

// TestDamage damages every file of a log's folder in turn, and then as many at random as DAMAGE_N says: bits
// flipped, pages lost, files cut short, emptied and deleted, one at a time. The log is refused, when it is opened
// or where the damage is read, or it is whole: never less, and no offset is given out twice. What is refused when
// it is opened stays as it was.
func TestDamage(t *testing.T) {
	n := 200
	if s := os.Getenv(damageN); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s=%q; want a number", damageN, s)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("DAMAGE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAMAGE_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 11))
	logs := damageable(t)
	counts := map[string]int{}
	for _, d := range logs {
		for _, name := range d.files {
			for _, kind := range damageKinds {
				counts[d.suffer(t, rng, name, kind)]++
			}
		}
	}
	for range n {
		d := logs[rng.IntN(len(logs))]
		counts[d.suffer(t, rng, d.files[rng.IntN(len(d.files))], damageKinds[rng.IntN(len(damageKinds))])]++
	}
	t.Logf("%v", counts)
	if counts[damageRefused] == 0 || counts[damageWhole] == 0 || counts[damageRead] == 0 {
		t.Errorf("outcomes %v; want some of each", counts)
	}
}

// What comes of a damage.
const (
	damageWhole   = "whole"
	damageRefused = "refused"
	damageRead    = "refused where it is read"
)

type damageKind struct {
	name string
	do   func(rng *rand.Rand, b []byte) []byte // nil: the file is deleted
}

var damageKinds = []damageKind{
	{"a bit flipped", func(rng *rand.Rand, b []byte) []byte { return flipped(b, rng.IntN(len(b)), rng) }},
	{"a bit flipped near the end", func(rng *rand.Rand, b []byte) []byte { return flipped(b, len(b)-1-rng.IntN(min(len(b), 2000)), rng) }},
	{"a bit flipped in what was written last", func(rng *rand.Rand, b []byte) []byte {
		used := len(b)
		for used > 1 && b[used-1] == 0 {
			used--
		}
		return flipped(b, used-1-rng.IntN(min(used, 2000)), rng)
	}},
	{"a sector of zeros", func(rng *rand.Rand, b []byte) []byte {
		at := rng.IntN(len(b)) / 512 * 512
		clear(b[at:min(at+512, len(b))])
		return b
	}},
	{"a page of noise", func(rng *rand.Rand, b []byte) []byte {
		at := rng.IntN(len(b)) / 4096 * 4096
		for i := at; i < min(at+4096, len(b)); i++ {
			b[i] = byte(rng.Uint32())
		}
		return b
	}},
	{"cut short", func(rng *rand.Rand, b []byte) []byte { return b[:rng.IntN(len(b))] }},
	{"its last byte gone", func(_ *rand.Rand, b []byte) []byte { return b[:len(b)-1] }},
	{"emptied", func(*rand.Rand, []byte) []byte { return []byte{} }},
	{"deleted", func(*rand.Rand, []byte) []byte { return nil }},
}

func flipped(b []byte, at int, rng *rand.Rand) []byte {
	b[at] ^= 1 << rng.IntN(8)
	return b
}

// damaged is a log that is to be damaged.
type damaged struct {
	name  string
	fs    *vfs.MemFS
	files []string
	want  contents
}

const damageDir = "log"

// suffer damages a file of a copy of the log and says what came of it.
func (d *damaged) suffer(t *testing.T, rng *rand.Rand, file string, kind damageKind) (outcome string) {
	t.Helper()
	fs := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	b, err := readFile(fs, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 && kind.name != "deleted" {
		return damageWhole
	}
	if b = kind.do(rng, b); b == nil {
		err = fs.Remove(file)
	} else {
		err = replace(fs, file, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	what := fmt.Sprintf("log %s, file %s: %s", d.name, file, kind.name)
	before := snapshot(t, fs)
	opts := Options{FS: fs, Logf: func(string, ...any) {}, Fatal: func(err error) { t.Errorf("%s: the process would end: %v", what, err) }}
	l, err := Open(damageDir, opts)
	if err != nil {
		checkRefusal(t, what, err)
		if after := snapshot(t, fs); !maps.Equal(after, before) {
			t.Errorf("%s: refused with %v, and the folder has changed:\n%v\nbefore:\n%v", what, err, slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
		}
		return damageRefused
	}
	have, err := dump(l)
	if err != nil {
		checkRefusal(t, what, err)
		if err := l.Close(); err != nil {
			t.Errorf("%s: the log cannot be closed: %v", what, err)
		}
		return damageRead
	}
	if !reflect.DeepEqual(have, d.want) {
		t.Errorf("%s: it opens with less:\n%v\nwant:\n%v", what, have.ends, d.want.ends)
	}
	r := mustAppend(t, l, "after-the-damage", "s")
	if r.Position.Offset != d.want.ends[r.Position.TP] {
		t.Errorf("%s: a commit is given offset %d; want %d", what, r.Position.Offset, d.want.ends[r.Position.TP])
	}
	if err := l.Close(); err != nil {
		t.Errorf("%s: the log cannot be closed: %v", what, err)
	}
	return damageWhole
}

func checkRefusal(t *testing.T, what string, err error) {
	t.Helper()
	text := err.Error()
	if !fault.Is(err, fault.Corrupt) || strings.Contains(text, "carrier") || !strings.Contains(text, damageDir) && !strings.Contains(text, "@") {
		t.Errorf("%s: refused with code %q and %q; want %q, and the folder or the record's name", what, fault.CodeOf(err), text, fault.Corrupt)
	}
}

func replace(fs vfs.FS, file string, b []byte) error {
	f, err := fs.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// snapshot is every file's content but the locks'.
func snapshot(t *testing.T, fs vfs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, dir := range []string{damageDir, fs.PathJoin(damageDir, pebbleDir)} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			path := fs.PathJoin(dir, name)
			if info, err := fs.Stat(path); err != nil || info.IsDir() || name == lockFile {
				continue
			}
			b, err := readFile(fs, path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = string(b)
		}
	}
	return files
}

// contents is all that a log gives.
type contents struct {
	records map[string]string // by position
	commits map[string]string // by stream and revision
	offsets map[string]string // of consumer groups
	ends    streams.Cut
}

func dump(l *Log) (c contents, err error) {
	ctx := context.Background()
	c = contents{map[string]string{}, map[string]string{}, map[string]string{}, streams.Cut{}}
	seen := map[string]bool{}
	for _, p := range l.partitions {
		if c.ends[p.TP], err = l.Feed().Head(ctx, p.TP, time.Time{}); err != nil {
			return c, err
		}
		for r, err := range l.Feed().Read(ctx, p.TP, 0) {
			if err != nil {
				return c, err
			}
			c.records[r.Position.String()] = fmt.Sprintf("%s %x %v", r.Key, sha256.Sum256(r.Value), r.Recorded)
		}
	}
	for commit, err := range l.Ledger().Read(ctx, 0) {
		if err != nil {
			return c, err
		}
		// Its id is known, and it is found in its stream.
		again, err := l.Ledger().Append(ctx, commit.Commit)
		if err != nil {
			return c, err
		}
		if !again.Duplicate || again.Position != commit.Position {
			return c, fmt.Errorf("commit %s is taken again: %+v", commit.ID, again)
		}
		if seen[commit.Stream] {
			continue
		}
		seen[commit.Stream] = true
		for s, err := range l.Ledger().ReadStream(ctx, commit.Stream, 0) {
			if err != nil {
				return c, err
			}
			c.commits[fmt.Sprint(s.Stream, " ", s.Revision)] = s.ID
		}
	}
	groups, err := l.Groups()
	if err != nil {
		return c, err
	}
	for name := range groups {
		offsets, err := l.GroupOffsets(name)
		if err != nil {
			return c, err
		}
		for _, o := range offsets {
			c.offsets[fmt.Sprint(name, " ", o.TP)] = fmt.Sprint(o.Offset)
		}
	}
	return c, nil
}

// damageable are logs in several states: killed with all of it in the WAL, killed with tables and a WAL, closed in
// good order, and killed after only consumer groups' offsets had been committed.
func damageable(t *testing.T) (logs []*damaged) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	add := func(name string, fs *vfs.MemFS, want contents) {
		d := &damaged{name: name, fs: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}), want: want}
		for path := range snapshot(t, d.fs) {
			d.files = append(d.files, path)
		}
		slices.Sort(d.files)
		logs = append(logs, d)
	}
	fs := vfs.NewCrashableMem()
	opts := Options{FS: fs, Logf: func(string, ...any) {}, Now: func() time.Time { return time.UnixMilli(1_000) }}
	l := mustOpen(t, damageDir, opts)
	n := 0
	write := func(rounds int) contents {
		t.Helper()
		for range rounds {
			mustAppend(t, l, fmt.Sprint("c", n), fmt.Sprint("run/", n%4))
			var recs []streams.Record
			for i := range 12 {
				sum := sha256.Sum256(fmt.Append(nil, n, i))
				recs = append(recs, streams.Record{Key: fmt.Append(nil, n*12+i), Value: bytes.Repeat(sum[:], 8)})
			}
			if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
				t.Fatal(err)
			}
			if err := l.CommitOffsets("g", []GroupOffset{{TP: driftTP, Offset: int64(n)}}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		c, err := dump(l)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := write(40)
	add("in the WAL", fs, want)
	for range 3 {
		if err := l.db.Flush(); err != nil {
			t.Fatal(err)
		}
		want = write(15)
	}
	add("in tables and the WAL", fs, want)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	add("closed", fs, want)
	l = mustOpen(t, damageDir, opts)
	if err := l.CommitOffsets("g", []GroupOffset{{TP: driftTP, Offset: 4711}}); err != nil {
		t.Fatal(err)
	}
	want, err := dump(l)
	if err != nil {
		t.Fatal(err)
	}
	add("with an offset in the WAL", fs, want)
	return logs
}
