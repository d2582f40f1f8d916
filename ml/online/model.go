package online

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/projectionist/projectionist/ml/signal"
)

// Window is how many places after an event still pair with it.
const Window = 20

const dayMillis = 24 * 60 * 60 * 1000

// Model is the online model. Make one with [New]; see the package comment for its law.
type Model struct {
	users map[string]*user

	items  []item
	itemAt map[string]uint32
	// decimalAt is itemAt for ids that are numbers, as stored rows name them.
	decimalAt decimals
	// What a scan over all items reads, apart from items so that it stays in the cache.
	lastDay []int32  // day of the newest bucket, noDay without one
	counted []uint32 // events that count, the sum of the item's buckets
	order   *order   // as of the last save

	days       []bucket // counted events of all items, by day
	daysChange uint64   // grows when a day other than the newest changes
	ticks      uint64   // grows with every change of an item's buckets
	ticked     [tickedKept]uint32

	kinds  []string // of events with stars
	kindAt map[string]uint32

	sheet  sheet
	stored Rows // where the rows are that are not here; nil: all are here
	unread int  // items whose row of what came after them is not here
	look   int  // up to this index none is

	changed changes
	save    *Save // under way

	origin *Model // that this is a view of; nil for itself
}

type user struct {
	id string
	// By (time, id). Apart, so that a window over counted events is a range of places.
	counted, other []entry
	ratings        []rated // by time, item and kind; those of one group by when they were recorded
	changed        uint32  // period of its last change, 0 for none that is not saved
	home           int32   // the least partition that events with stars were recorded in, + 1; 0 for none
	met            bool    // since the last Rest
}

// entry is one event: 24 bytes.
type entry struct {
	time   int64 // event time, Unix milliseconds
	id     uint64
	item   uint32
	signal signal.Signal
}

func (e *entry) compare(f *entry) int {
	if e.time != f.time {
		return cmp.Compare(e.time, f.time)
	}
	return cmp.Compare(e.id, f.id)
}

// item starts with what every pair touches.
type item struct {
	next        row    // what came after
	nextChanged uint32 // period of its last change, 0 for none that is not saved
	held        int32  // of what is loose, what the save under way has to write; -1 for no such limit
	unread      bool   // what is packed is still only stored
	decimal     bool   // whether id spells a number, num
	changed     uint32 // period of the last change of what follows
	num         uint64
	id          string
	buckets     []bucket
	total       uint64 // events of any signal
	rated       uint64 // events with a rating
	ratingSum   uint64 // of the rated, in hundredths of a star
}

type bucket struct {
	day   int32 // since 1970-01-01 UTC
	count uint32
}

const noDay = math.MinInt32

// tickedKept is how many items are kept whose buckets changed last: who has scored before then has little to do again.
const tickedKept = 1 << 10

// New makes an empty model.
func New() *Model {
	m := &Model{users: map[string]*user{}, itemAt: map[string]uint32{}, kindAt: map[string]uint32{}, changed: changes{period: 1}}
	m.internKind(usualKindName)
	return m
}

// Add takes one event: at timeMillis (event time) user met item. id is a hash of the event's id.
// A user, time and id name one event: a repetition changes nothing and gives false. Where two
// events claim the same name with different contents, the one with the lesser item id, then the
// lesser signal, is kept, whichever came first. Of a model with rows elsewhere the person is at hand:
// see [Model.FetchUser]. Events with stars of which one may correct another are for [Model.Rate].
func (m *Model) Add(userID, itemID string, timeMillis int64, id uint64, meaning signal.Signal) (added bool) {
	meaning = valid(meaning)
	u := m.user(userID)
	if u == nil {
		u = m.newUser(userID)
	}
	e := entry{time: timeMillis, id: id, signal: meaning}
	for _, list := range []*[]entry{&u.counted, &u.other} {
		at, found := place(*list, &e)
		if !found {
			continue
		}
		old := (*list)[at]
		if c := cmp.Compare(itemID, m.items[old.item].id); c > 0 || c == 0 && meaning >= old.signal {
			return false
		}
		m.touchUser(u)
		m.remove(u, &old)
		break
	}
	m.touchUser(u)
	e.item = m.internItem(itemID)
	m.put(u, e)
	return true
}

func (u *user) list(s signal.Signal) *[]entry {
	if s.Counted() {
		return &u.counted
	}
	return &u.other
}

// place is where e stands or would stand in list; the end is tried first, where most events go.
func place(list []entry, e *entry) (int, bool) {
	if n := len(list); n == 0 || list[n-1].compare(e) < 0 {
		return n, false
	}
	return sort.Find(len(list), func(i int) int { return e.compare(&list[i]) })
}

// insert grows a full list by a quarter: half of all people have one event, and doubling would
// leave a third of ten million entries empty.
func insert(list []entry, at int, e entry) []entry {
	if n := len(list); n == cap(list) {
		grown := make([]entry, n, n+n/4+1)
		copy(grown, list)
		list = grown
	}
	return slices.Insert(list, at, e)
}

// tally counts (sign +1) or takes back (-1) event e, which stands at place at of its list of u.
func (m *Model) tally(u *user, at int, e entry, sign int32) {
	if m.tallyItem(e.item, e.time, e.signal, sign); !e.signal.Counted() {
		return
	}
	list := u.counted
	for before := max(0, at-Window); before < at; before++ {
		m.pair(list[before].item, e.item, sign)
	}
	for after := at + 1; after < min(len(list), at+Window+1); after++ {
		m.pair(e.item, list[after].item, sign)
	}
	// With e between them, these stand one place too far apart.
	for before := max(0, at-Window); before < at && before+Window+1 < len(list); before++ {
		m.pair(list[before].item, list[before+Window+1].item, -sign)
	}
}

// tallyItem is what an event counts for its item alone.
func (m *Model) tallyItem(i uint32, timeMillis int64, meaning signal.Signal, sign int32) {
	m.touchItem(i)
	it := &m.items[i]
	step := uint64(int64(sign))
	it.total += step
	if r := meaning.RatingCenti(); r > 0 {
		it.rated += step
		it.ratingSum += step * uint64(r)
	}
	if !meaning.Counted() {
		return
	}
	m.counted[i] += uint32(sign)
	day := dayOf(timeMillis)
	if n := len(m.days); n == 0 || m.days[n-1].day != day {
		m.daysChange++
	}
	m.days = addDay(m.days, day, uint32(sign))
	it.buckets = addDay(it.buckets, day, uint32(sign))
	m.ticked[m.ticks%tickedKept] = i
	m.ticks++
	m.lastDay[i] = noDay
	if n := len(it.buckets); n > 0 {
		m.lastDay[i] = it.buckets[n-1].day
	}
}

func (m *Model) pair(i, j uint32, sign int32) {
	if i == j {
		return
	}
	it := &m.items[i]
	m.touchNext(i, it)
	if it.next.add(j, sign) && it.held < 0 && !it.unread {
		it.next.pack(&m.sheet, len(m.items))
	}
}

// dayOf clamps to int32: five million years to either side.
func dayOf(timeMillis int64) int32 {
	day := timeMillis / dayMillis
	if timeMillis%dayMillis < 0 {
		day--
	}
	return int32(min(max(day, math.MinInt32+1), math.MaxInt32))
}

// addDay adds delta, which may be a negative number in two's complement, and drops an empty day.
func addDay(list []bucket, day int32, delta uint32) []bucket {
	at := len(list)
	switch {
	case at > 0 && list[at-1].day == day: // where most events fall
		at--
	case at > 0 && list[at-1].day > day:
		at = sort.Search(at, func(i int) bool { return list[i].day >= day })
	}
	if at == len(list) || list[at].day != day {
		list = slices.Insert(list, at, bucket{day: day})
	}
	if list[at].count += delta; list[at].count == 0 {
		list = slices.Delete(list, at, at+1)
	}
	return list
}

func (m *Model) newUser(id string) *user {
	id = strings.Clone(id) // not the message it was cut from
	u := &user{id: id}
	m.users[id] = u
	return u
}

func (m *Model) internItem(id string) uint32 {
	at, ok := m.itemAt[id]
	if !ok {
		id = strings.Clone(id)
		at = uint32(len(m.items))
		m.itemAt[id] = at
		num, decimal := parseDecimal(id)
		if decimal {
			m.decimalAt.put(num, at)
		}
		m.items = append(m.items, item{id: id, num: num, decimal: decimal, held: -1})
		m.lastDay = append(m.lastDay, noDay)
		m.counted = append(m.counted, 0)
	}
	return at
}

// ItemCount is the size of the dense item universe; indices run from 0. Items are never taken out.
func (m *Model) ItemCount() int { return len(m.items) }

// ItemID is the id of the item at index idx, 0 ≤ idx < ItemCount.
func (m *Model) ItemID(idx int) string { return m.items[idx].id }

// Lookup is the index of an item.
func (m *Model) Lookup(itemID string) (idx int, ok bool) {
	at, ok := m.itemAt[itemID]
	return int(at), ok
}

// UserEvents is how many events of a person count, 0 for a stranger.
func (m *Model) UserEvents(userID string) int {
	n, _ := m.UserDigest(userID)
	return n
}

// UserDigest is how many events of a person count, 0 for a stranger, and the sum of their ids: other events have another
// one.
func (m *Model) UserDigest(userID string) (n int, ids uint64) {
	u := m.user(userID)
	if u == nil {
		return 0, 0
	}
	for _, list := range [][]entry{u.counted, u.other} {
		for k := range list {
			ids += list[k].id
		}
	}
	return len(u.counted) + len(u.other), ids
}

// Entry is one event of a person's history.
type Entry struct {
	Item       int   // index of the item
	TimeMillis int64 // event time
	ID         uint64
	Signal     signal.Signal
}

// UserEntries gives the events of a person, newest first; none for a stranger.
func (m *Model) UserEntries(userID string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		u := m.user(userID)
		if u == nil {
			return
		}
		a, b := u.counted, u.other
		for len(a)+len(b) > 0 {
			from := &a
			if len(a) == 0 || len(b) > 0 && b[len(b)-1].compare(&a[len(a)-1]) > 0 {
				from = &b
			}
			e := (*from)[len(*from)-1]
			*from = (*from)[:len(*from)-1]
			if !yield(Entry{int(e.item), e.time, e.id, e.signal}) {
				return
			}
		}
	}
}

// ItemStats are the totals of one item.
type ItemStats struct {
	Total          uint64 // events
	Counted        uint64 // events that take part in counts
	Rated          uint64 // events with a rating
	RatingSumCenti uint64 // of the rated, in hundredths of a star
}

// Stats gives the totals of an item; zeros for one that is not known.
func (m *Model) Stats(itemID string) ItemStats {
	at, ok := m.itemAt[itemID]
	if !ok {
		return ItemStats{}
	}
	it := &m.items[at]
	return ItemStats{it.total, uint64(m.counted[at]), it.rated, it.ratingSum}
}

// CoCount is how often next came after prev within the window.
func (m *Model) CoCount(prev, next string) uint32 {
	i, ok := m.itemAt[prev]
	j, known := m.itemAt[next]
	if !ok || !known {
		return 0
	}
	return m.next(i).count(j)
}
