package fold

import (
	"bytes"
	"errors"
	"iter"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
)

// generation is one fold of a view, in the store under a number of its own. When another takes its place, who
// has been given the view before reads on there: views may be kept for as long as one likes.
type generation struct {
	number uint32
	after  atomic.Pointer[generation] // what has taken its place
}

func (g *generation) newest() *generation {
	for {
		next := g.after.Load()
		if next == nil {
			return g
		}
		g = next
	}
}

// space is one generation seen as a Reader, also through a batch.
type space struct {
	store *Store
	r     pebble.Reader
	gen   uint32
}

func (s space) Get(key []byte) ([]byte, bool, error) { return get(s.r, genKey(s.gen, key)) }

func (s space) Scan(lo, hi []byte) iter.Seq2[KV, error]     { return s.scan(lo, hi, false) }
func (s space) ScanBack(lo, hi []byte) iter.Seq2[KV, error] { return s.scan(lo, hi, true) }
func (s space) Cut() (streams.Cut, error)                   { return s.store.cursor(s.gen) }

func (s space) scan(lo, hi []byte, back bool) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		yieldAll(yield, back, func() (*pebble.Iterator, error) { return s.iter(lo, hi) })
	}
}

func (s space) Under(prefixes iter.Seq[Key]) iter.Seq2[KV, error] {
	return under(prefixes, func() (*pebble.Iterator, uint32, error) {
		it, err := s.iter(nil, nil)
		return it, s.gen, err
	})
}

// under yields what an iterator over a generation has under each prefix.
func under(prefixes iter.Seq[Key], open func() (*pebble.Iterator, uint32, error)) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		it, gen, err := open()
		if err != nil {
			yield(KV{}, err)
			return
		}
		defer it.Close() //nolint:errcheck // its error is told below
		for prefix := range prefixes {
			within := genKey(gen, prefix)
			for ok := it.SeekGE(within); ok && bytes.HasPrefix(it.Key(), within); ok = it.Next() {
				v, err := it.ValueAndErr()
				if err != nil {
					yield(KV{}, damageOf(err))
					return
				}
				if !yield(KV{it.Key()[5:], v}, nil) {
					return
				}
			}
			if err := it.Error(); err != nil {
				yield(KV{}, damageOf(err))
				return
			}
		}
	}
}

func (s space) Firsts(ranges iter.Seq[Range]) iter.Seq2[KV, error] {
	return firsts(ranges, func() (*pebble.Iterator, uint32, error) {
		it, err := s.iter(nil, nil)
		return it, s.gen, err
	})
}

// firsts yields what an iterator over a generation has first in each range.
func firsts(ranges iter.Seq[Range], open func() (*pebble.Iterator, uint32, error)) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		it, gen, err := open()
		if err != nil {
			yield(KV{}, err)
			return
		}
		defer it.Close() //nolint:errcheck // its error is told below
		for r := range ranges {
			if it.SeekGE(genKey(gen, r.Lo)) && bytes.Compare(it.Key(), genKey(gen, r.Hi)) < 0 {
				v, err := it.ValueAndErr()
				if err != nil {
					yield(KV{}, damageOf(err))
					return
				}
				if !yield(KV{it.Key()[5:], v}, nil) {
					return
				}
			}
			if err := it.Error(); err != nil {
				yield(KV{}, damageOf(err))
				return
			}
		}
	}
}

func (s space) iter(lo, hi []byte) (*pebble.Iterator, error) {
	lower, upper := genKey(s.gen, lo), Key(genKey(s.gen, nil)).End()
	if hi != nil {
		upper = genKey(s.gen, hi)
	}
	it, err := s.r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	return it, damageOf(err)
}

var errStop = errors.New("stop")

func yieldAll(yield func(KV, error) bool, back bool, open func() (*pebble.Iterator, error)) {
	it, err := open()
	if err == nil {
		err = walk(it, back, func(k, v []byte) error {
			if !yield(KV{k[5:], v}, nil) {
				return errStop
			}
			return nil
		})
	}
	if err != nil && err != errStop {
		yield(KV{}, err)
	}
}

// current is the newest generation of a view seen as a Reader: what a view reads from for its whole life.
type current struct {
	store *Store
	gen   *generation
}

// steady calls read on the newest generation, and again where another has taken its place meanwhile: its pairs may
// have been dropped while they were read.
func (c current) steady(read func(space) error) error {
	for {
		g := c.gen.newest()
		err := read(space{c.store, c.store.db, g.number})
		if g.after.Load() == nil {
			return err
		}
	}
}

func (c current) Get(key []byte) (value []byte, ok bool, err error) {
	err = c.steady(func(s space) error {
		value, ok, err = s.Get(key)
		return err
	})
	return value, ok, err
}

func (c current) Cut() (cut streams.Cut, err error) {
	err = c.steady(func(s space) error {
		cut, err = s.Cut()
		return err
	})
	return cut, err
}

func (c current) Scan(lo, hi []byte) iter.Seq2[KV, error]     { return c.scan(lo, hi, false) }
func (c current) ScanBack(lo, hi []byte) iter.Seq2[KV, error] { return c.scan(lo, hi, true) }

func (c current) scan(lo, hi []byte, back bool) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		yieldAll(yield, back, func() (*pebble.Iterator, error) {
			it, _, err := c.iter(lo, hi)
			return it, err
		})
	}
}

func (c current) Under(prefixes iter.Seq[Key]) iter.Seq2[KV, error] {
	return under(prefixes, func() (*pebble.Iterator, uint32, error) { return c.iter(nil, nil) })
}

func (c current) Firsts(ranges iter.Seq[Range]) iter.Seq2[KV, error] {
	return firsts(ranges, func() (*pebble.Iterator, uint32, error) { return c.iter(nil, nil) })
}

// iter takes an iterator, which sees the store as it is when it is made, and is steady in that; and its generation.
func (c current) iter(lo, hi []byte) (it *pebble.Iterator, gen uint32, err error) {
	err = c.steady(func(s space) error {
		if it != nil {
			it.Close() //nolint:errcheck // nothing was read of it
		}
		gen = s.gen
		it, err = s.iter(lo, hi)
		return err
	})
	return it, gen, err
}
