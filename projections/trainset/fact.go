package trainset

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// fact is one interaction as the log has it; user, item and act are places in names. It is 32 bytes.
type fact struct {
	time       int64
	id         uint64
	user, item int32
	act        int32
	// turn orders facts that one partition recorded: one that corrects another, and is later, has a greater one.
	turn uint32
}

// fresh is in the turns of facts that were just read, over those of any that a file has.
const fresh = 1 << 31

// compare orders facts: by time, person and id as samples are, then by what they say, so that repetitions are together,
// and then by where they were recorded.
func (a *fact) compare(b *fact) int {
	if a.time != b.time {
		return cmp.Compare(a.time, b.time)
	}
	return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id), cmp.Compare(a.item, b.item), cmp.Compare(a.act, b.act),
		cmp.Compare(a.turn, b.turn))
}

// stars are a rating in hundredths, of which one above 0 has one at least; 0 for none. No definition of signals and no
// feature tells ratings apart that have the same.
type stars uint16

func starsOf(rating float64) stars {
	if rating > 0 && rating <= 5 {
		return stars(max(1, math.Round(rating*100)))
	}
	return 0
}

func (s stars) rating() float64 { return float64(s) / 100 }

// names are what facts name, in order. An act is its kind, its stars and the partition that recorded it.
type names struct{ users, items, acts []string }

const actTail = 1 + 2 + 4 // bytes after the kind, of which none is 0

func appendAct(dst []byte, kind string, s stars, partition int32) []byte {
	dst = binary.BigEndian.AppendUint16(append(append(dst, kind...), 0), uint16(s))
	return binary.BigEndian.AppendUint32(dst, uint32(partition))
}

// acts are the acts of names, in their order: those that say the same are together.
type acts struct {
	kinds     []string
	kind      []int32 // place in kinds
	stars     []stars
	partition []int32
}

// read gives the acts of names.
func (n *names) read() *acts {
	a := &acts{}
	for _, name := range n.acts {
		kind, tail := name[:len(name)-actTail], []byte(name[len(name)-actTail+1:])
		if k := len(a.kinds); k == 0 || a.kinds[k-1] != kind {
			a.kinds = append(a.kinds, kind)
		}
		a.kind = append(a.kind, int32(len(a.kinds)-1))
		a.stars = append(a.stars, stars(binary.BigEndian.Uint16(tail)))
		a.partition = append(a.partition, int32(binary.BigEndian.Uint32(tail[2:])))
	}
	return a
}

// repeats says whether two facts are one, recorded twice.
func (a *acts) repeats(f, g *fact) bool {
	return f.time == g.time && f.user == g.user && f.id == g.id && f.item == g.item && a.kind[f.act] == a.kind[g.act] && a.stars[f.act] == a.stars[g.act]
}

// mark is how far a partition was read.
type mark struct {
	next int64  // offset of the first record that was not
	last int64  // offset of the last that was, -1 for none
	sum  uint32 // of that one
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumAt tells the record at an offset from others that may stand there; 0 where there is none.
func sumAt(ctx context.Context, feed streams.Feed, tp streams.TP, offset int64) (sum uint32, err error) {
	if offset < 0 {
		return 0, nil
	}
	for r, err := range feed.Read(ctx, tp, offset) {
		if err != nil || r.Offset != offset {
			return 0, err
		}
		sum = crc32.Checksum(strconv.AppendInt(nil, r.Recorded.UnixMilli(), 10), castagnoli)
		for _, b := range [][]byte{r.Key, r.Value} {
			sum = crc32.Update(sum, castagnoli, b)
		}
		for _, h := range r.Headers {
			sum = crc32.Update(crc32.Update(sum, castagnoli, []byte(h.Key)), castagnoli, h.Value)
		}
		break
	}
	return sum, nil
}

// told is how many records progress is told at a time.
const told = 4096

// run is the facts of a piece of one partition.
type run struct {
	users, items, acts interner
	facts              []fact
	mark               mark
}

// readRun reads a partition from where it was read to, up to an offset or the head. read is told how many records were.
func readRun(ctx context.Context, feed streams.Feed, tp streams.TP, from mark, next int64, read func(n int64)) (*run, error) {
	head, err := feed.Head(ctx, tp, time.Time{})
	if err != nil {
		return nil, err
	}
	next = max(from.next, min(next, head)) // what is to come is not of any cut yet
	r := &run{mark: mark{next, from.last, from.sum}, facts: make([]fact, 0, next-from.next)}
	var reader streams.FactReader
	var room events.Interaction
	var ev events.Event
	var act []byte
	for rec, err := range feed.Read(ctx, tp, from.next) {
		if err != nil {
			return nil, err
		}
		if rec.Offset >= next {
			break
		}
		if r.mark.last = rec.Offset; rec.Offset%told == 0 {
			read(told)
		}
		room = events.Interaction{}
		if reader.Read(rec, &ev, &room) != nil {
			continue
		}
		if x, ok := ev.Data.(*events.Interaction); ok {
			act = appendAct(act[:0], x.Kind, starsOf(x.Rating), tp.Partition)
			r.facts = append(r.facts, fact{time: ev.Time.UnixMilli(), id: events.FactHash(ev.Source, ev.ID, x),
				user: r.users.of(x.UserID), item: r.items.of(x.MovieID), act: r.acts.ofBytes(act), turn: fresh | uint32(len(r.facts))})
		}
	}
	if r.mark.last != from.last {
		if r.mark.sum, err = sumAt(ctx, feed, tp, r.mark.last); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// settle gives the facts their places in names, and puts them in order. Most logs have them by time already.
func (r *run) settle(n *names) {
	users, items, acts := r.users.places(n.users), r.items.places(n.items), r.acts.places(n.acts)
	for i := range r.facts {
		f := &r.facts[i]
		f.user, f.item, f.act = users[f.user], items[f.item], acts[f.act]
	}
	compare := func(a, b fact) int { return a.compare(&b) }
	for from := 0; from < len(r.facts); {
		to := from + 1
		for to < len(r.facts) && r.facts[to].time == r.facts[from].time {
			to++
		}
		if to < len(r.facts) && r.facts[to].time < r.facts[from].time {
			slices.SortFunc(r.facts, compare)
			return
		}
		slices.SortFunc(r.facts[from:to], compare)
		from = to
	}
}

// interner numbers strings as they come.
type interner struct {
	index map[string]int32
	names []string
}

func (n *interner) of(s string) int32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	if n.index == nil {
		n.index = map[string]int32{}
	}
	s = strings.Clone(s)
	i := int32(len(n.names))
	n.index[s] = i
	n.names = append(n.names, s)
	return i
}

func (n *interner) ofBytes(b []byte) int32 {
	if i, ok := n.index[string(b)]; ok {
		return i
	}
	return n.of(string(b))
}

// places are where the names stand in a list in order that has them all, by number.
func (n *interner) places(sorted []string) []int32 {
	places := make([]int32, len(n.names))
	for i, s := range sorted {
		if k, ok := n.index[s]; ok {
			places[k] = int32(i)
		}
	}
	return places
}

// union is lists as one in order, each name once.
func union(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// places are where the names of a list stand in another, both in order, the other one with all of them.
func places(list, sorted []string) []int32 {
	out, at := make([]int32, len(list)), 0
	for i, s := range list {
		for sorted[at] != s {
			at++
		}
		out[i] = int32(at)
	}
	return out
}
