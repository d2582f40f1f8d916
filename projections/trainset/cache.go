package trainset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Cache loads sets, and keeps the facts of the newest cuts in files, and in memory what the ledger says, so that the next
// set needs of the log only what came since. A set is the same with it and without: files may be deleted at any time, and one that is damaged or of
// another log is not used. The zero value keeps nothing.
type Cache struct {
	Dir string // "" keeps nothing
	// Warn is told what keeps the facts from being kept; may be nil.
	Warn func(error)

	mu   sync.Mutex // one set at a time: the facts of a log may be most of what memory there is
	said *ledger    // of the log, as far as it was read for a set; nil: not yet
}

const (
	// filesMax is how many files are kept: the newest, and the one before it for a run that has pinned its cut.
	filesMax = 2
	// freshShare is the share of a file, as 1 of so many, that has to be new for another to be written.
	freshShare = 16
	suffix     = ".facts"
)

// Load is [Load].
func (c *Cache) Load(ctx context.Context, log streams.Log, cut streams.Cut, progress func(done, total int64)) (*Set, error) {
	return c.load(ctx, log, cut, false, progress)
}

// LoadActs is [Load], with Set.Acts.
func (c *Cache) LoadActs(ctx context.Context, log streams.Log, cut streams.Cut, progress func(done, total int64)) (*Set, error) {
	return c.load(ctx, log, cut, true, progress)
}

func (c *Cache) load(ctx context.Context, log streams.Log, cut streams.Cut, acts bool, progress func(done, total int64)) (*Set, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := loading{c: c, log: log, set: &Set{Cut: cut.Clone()}, acts: acts, progress: progress}
	for _, n := range cut {
		l.total += n
	}
	said, err := c.ledger(ctx, log, cut[streams.TP{Topic: events.LedgerTopic}], l.read)
	if err != nil {
		return nil, err
	}
	said.fill(l.set, acts)
	base, err := c.base(ctx, log, cut)
	if err != nil {
		return nil, err
	}
	done := l.done
	err = l.facts(ctx, base)
	if errors.Is(err, errDamaged) {
		c.remove(base.path)
		l.done = done
		err = l.facts(ctx, nil)
	}
	if err == nil && len(l.set.Signals) == 0 {
		err = fault.New(fault.Conflict, "the log holds no interactions up to %s: there is nothing to train on", cut).
			WithHint("import ratings first: projectionist import PATH")
	}
	return l.set, err
}

// loading is a set while it is made.
type loading struct {
	c        *Cache
	log      streams.Log
	set      *Set
	acts     bool
	progress func(done, total int64)

	mu          sync.Mutex // guards done
	done, total int64
}

// read counts records.
func (l *loading) read(n int64) {
	if l.progress == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	const every = 65536
	if l.done += n; l.done/every != (l.done-n)/every {
		l.progress(l.done, l.total)
	}
}

// facts fills the set from a file, which is closed, and what the log has after it.
func (l *loading) facts(ctx context.Context, base *file) error {
	if base == nil {
		base = &file{}
	}
	defer base.close()
	runs, err := l.runs(ctx, base)
	if err != nil {
		return err
	}
	n := &names{base.names.users, base.names.items, base.names.acts}
	marks := map[int32]mark{}
	fresh := 0
	for p, r := range runs {
		n.users, n.items, n.acts = union(n.users, r.users.names), union(n.items, r.items.names), union(n.acts, r.acts.names)
		marks[p] = r.mark
		fresh += len(r.facts)
	}
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	sources := []source{base.source(n)}
	for _, r := range runs {
		workers.Go(func() error { r.settle(n); return nil })
		sources = append(sources, &inMemory{r})
	}
	workers.Wait() //nolint:errcheck // always nil
	acts := n.read()
	facts := acts.settled(acts.merged(sources))
	var out *writer
	if l.c.keeps(marks, base.count, fresh) {
		if out, err = create(l.c.Dir, n, marks); err != nil {
			l.c.warn(err)
			out = nil
		} else {
			facts = out.tee(facts)
		}
	}
	l.set.fill(n, acts, base.count+fresh, l.acts, facts)
	if base.err != nil {
		out.abandon()
		return base.err
	}
	if out != nil {
		if err := out.finish(filepath.Join(l.c.Dir, fileName(marks))); err != nil {
			l.c.warn(err)
		} else {
			l.c.prune()
		}
	}
	return nil
}

// runs reads what the log has after a file, partitions side by side.
func (l *loading) runs(ctx context.Context, base *file) (map[int32]*run, error) {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	runs := map[int32]*run{}
	var mu sync.Mutex
	for _, tp := range l.set.Cut.Partitions() {
		if tp.Topic != events.UserEventsTopic {
			continue
		}
		from, ok := base.marks[tp.Partition]
		if !ok {
			from.last = -1
		}
		l.read(from.next)
		work.Go(func() error {
			r, err := readRun(ctx, l.log.Feed(), tp, from, l.set.Cut[tp], l.read)
			mu.Lock()
			defer mu.Unlock()
			runs[tp.Partition] = r
			return err
		})
	}
	return runs, work.Wait()
}

// source gives facts in order; the fact is valid until the next one.
type source interface{ next() *fact }

type inMemory struct{ run *run }

func (s *inMemory) next() *fact {
	if len(s.run.facts) == 0 {
		return nil
	}
	f := &s.run.facts[0]
	s.run.facts = s.run.facts[1:]
	return f
}

func (c *Cache) warn(err error) {
	if c.Warn != nil {
		c.Warn(err)
	}
}

// kept are the files there are, by their marks.
func (c *Cache) kept() map[string][]int64 {
	found := map[string][]int64{}
	if c.Dir == "" {
		return found
	}
	entries, _ := os.ReadDir(c.Dir) // one that cannot be read keeps nothing
	for _, e := range entries {
		if offsets, ok := parseName(e.Name()); ok {
			found[filepath.Join(c.Dir, e.Name())] = offsets
		}
	}
	return found
}

// A file is called as the offsets it ends at, by partition: "334-333-0.facts".
func fileName(marks map[int32]mark) string {
	var parts []string
	for p := range int32(len(marks)) {
		parts = append(parts, fmt.Sprint(marks[p].next))
	}
	return strings.Join(parts, "-") + suffix
}

func parseName(name string) (offsets []int64, ok bool) {
	parts, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return nil, false
	}
	for part := range strings.SplitSeq(parts, "-") {
		var n int64
		if _, err := fmt.Sscanf(part, "%d", &n); err != nil || fmt.Sprint(n) != part {
			return nil, false
		}
		offsets = append(offsets, n)
	}
	return offsets, true
}

func records(offsets []int64) (n int64) {
	for _, o := range offsets {
		n += o
	}
	return n
}

// base opens the newest file that a cut holds the whole of, nil without any. One that is not of this log is removed.
func (c *Cache) base(ctx context.Context, log streams.Log, cut streams.Cut) (*file, error) {
	files := c.kept()
	var fits []string
	for path, offsets := range files {
		inside := true
		for p, next := range offsets {
			inside = inside && next <= cut[streams.TP{Topic: events.UserEventsTopic, Partition: int32(p)}]
		}
		if inside {
			fits = append(fits, path)
		}
	}
	slices.SortFunc(fits, func(a, b string) int {
		return cmp.Or(cmp.Compare(records(files[b]), records(files[a])), cmp.Compare(a, b))
	})
	for _, path := range fits {
		f, err := open(path)
		for p, m := range f.marks {
			if err != nil {
				break
			}
			var sum uint32
			if sum, err = sumAt(ctx, log.Feed(), streams.TP{Topic: events.UserEventsTopic, Partition: p}, m.last); err == nil && sum != m.sum {
				err = errDamaged
			}
		}
		if err == nil && fileName(f.marks) == filepath.Base(path) {
			return f, nil
		}
		f.close()
		if err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		c.remove(path)
	}
	return nil, nil
}

// keeps says whether facts up to the marks are worth a file of their own.
func (c *Cache) keeps(marks map[int32]mark, base, fresh int) bool {
	if c.Dir == "" || fresh == 0 || fresh < base/freshShare {
		return false
	}
	n := int64(0)
	for p := range int32(len(marks)) {
		m, ok := marks[p]
		if !ok {
			return false
		}
		n += m.next
	}
	for _, offsets := range c.kept() {
		if records(offsets) >= n {
			return false // of a cut that came before
		}
	}
	return true
}

// prune removes all files but the newest.
func (c *Cache) prune() {
	files := c.kept()
	var paths []string
	for path := range files {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(records(files[b]), records(files[a])) })
	for _, path := range paths[min(filesMax, len(paths)):] {
		c.remove(path)
	}
}

func (c *Cache) remove(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.warn(err)
	}
}
