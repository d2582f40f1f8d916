package online

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml/signal"
)

// A row is encoded as
//
//	user: version 4 | home + 1 | list of counted events | list of other events | ratings
//	list: n | n × (time | id, 8 bytes little-endian | signal | item)
//	ratings: n | n × (time | id, 8 bytes | signal | item | partition | length of its kind, 0 for "rating" | kind)
//	item: version 4 | total | rated | rating sum | n | n × (day | count)
//	next: version 4 | n | m | n × (number of a decimal item id | count) | m × (other item id | count)
//
// in ascending order, numbers as varints. The first time and day are zigzag, later ones, and the
// numbers of item ids, the difference to the one before. An item in a list is number<<1, or
// length<<1|1 and its bytes; elsewhere length and bytes. Nothing in a row depends on an index.
const rowVersion = 4

// entryBytesMin bounds what a forged length can make a reader allocate.
const entryBytesMin = 1 + 8 + 1 + 1

// Users gives the id of every person at hand who has an event, in ascending order.
func (m *Model) Users() iter.Seq[string] {
	var ids []string
	for id, u := range m.users {
		if len(u.counted)+len(u.other) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Values(ids)
}

// Items gives the id of every item that has an event, in ascending order.
func (m *Model) Items() iter.Seq[string] {
	var ids []string
	for i := range m.items {
		if m.items[i].total > 0 {
			ids = append(ids, m.items[i].id)
		}
	}
	slices.Sort(ids)
	return slices.Values(ids)
}

// Encode appends a row to dst; nothing where there is none, such as that of a stranger. Of a row that is stored
// elsewhere it needs to be at hand.
func (m *Model) Encode(dst []byte, t Table, id string) []byte {
	if t == UserRows {
		if u := m.user(id); u != nil {
			dst = m.appendUser(dst, u)
		}
		return dst
	}
	at, ok := m.itemAt[id]
	switch {
	case !ok:
		return dst
	case t == ItemRows:
		return m.appendItem(dst, &m.items[at])
	}
	r := m.next(at)
	return m.appendNext(dst, r, len(r.loose), m.ordered())
}

// appendUser appends nothing for a stranger.
func (m *Model) appendUser(dst []byte, u *user) []byte {
	if len(u.counted)+len(u.other) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, rowVersion), uint64(u.home))
	dst = m.appendEntries(dst, u.counted)
	dst = m.appendEntries(dst, u.other)
	return m.appendRatings(dst, u.ratings)
}

func (m *Model) appendEntries(dst []byte, list []entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for k := range list {
		var before *entry
		if k > 0 {
			before = &list[k-1]
		}
		dst = m.appendEntry(dst, before, &list[k])
	}
	return dst
}

func (m *Model) appendEntry(dst []byte, before, e *entry) []byte {
	if before == nil {
		dst = binary.AppendVarint(dst, e.time)
	} else {
		dst = binary.AppendUvarint(dst, uint64(e.time)-uint64(before.time))
	}
	dst = binary.LittleEndian.AppendUint64(dst, e.id)
	dst = binary.AppendUvarint(dst, uint64(e.signal))
	it := &m.items[e.item]
	if it.decimal {
		return binary.AppendUvarint(dst, it.num<<1)
	}
	dst = binary.AppendUvarint(dst, uint64(len(it.id))<<1|1)
	return append(dst, it.id...)
}

func (m *Model) appendRatings(dst []byte, list []rated) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for k := range list {
		var before *entry
		if k > 0 {
			before = &list[k-1].entry
		}
		dst = m.appendEntry(dst, before, &list[k].entry)
		dst = binary.AppendUvarint(dst, uint64(list[k].partition))
		kind := m.kinds[list[k].kind]
		if list[k].kind == usualKind {
			kind = ""
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(kind))), kind...)
	}
	return dst
}

// appendItem appends nothing when no event is left on the item (its last was superseded, see [Model.Add]).
func (m *Model) appendItem(dst []byte, it *item) []byte {
	if it.total == 0 {
		return dst
	}
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, it.total)
	dst = binary.AppendUvarint(dst, it.rated)
	dst = binary.AppendUvarint(dst, it.ratingSum)
	dst = binary.AppendUvarint(dst, uint64(len(it.buckets)))
	for k, b := range it.buckets {
		if k == 0 {
			dst = binary.AppendVarint(dst, int64(b.day))
		} else {
			dst = binary.AppendUvarint(dst, uint64(int64(b.day)-int64(it.buckets[k-1].day)))
		}
		dst = binary.AppendUvarint(dst, uint64(b.count))
	}
	return dst
}

// appendNext appends a row as it was with the first of what is loose; nothing for one without counts. The order
// has every item of it.
func (m *Model) appendNext(dst []byte, r *row, loose int, o *order) []byte {
	s := sheets.Get().(*sheet)
	defer sheets.Put(s)
	s.take(r, loose, len(o.place), o.place)
	b, decimals, texts, last := s.buffer[:0], 0, 0, uint64(0)
	for place, n := range s.drain {
		j := &m.items[o.sorted[place]]
		if j.decimal {
			b = binary.AppendUvarint(b, j.num-last)
			last = j.num
			decimals++
		} else {
			b = append(binary.AppendUvarint(b, uint64(len(j.id))), j.id...)
			texts++
		}
		b = binary.AppendUvarint(b, uint64(n))
	}
	s.buffer = b
	if decimals+texts == 0 {
		return dst
	}
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, uint64(decimals))
	dst = binary.AppendUvarint(dst, uint64(texts))
	return append(dst, b...)
}

// readUser reads a person's row. It names items that are there.
func (m *Model) readUser(r *reader, u *user) {
	r.version()
	home := r.uvarint()
	if home > math.MaxInt32 {
		r.fail("partition out of range")
	}
	u.home = int32(home)
	u.counted = m.readEntries(r, true)
	u.other = m.readEntries(r, false)
	u.ratings = m.readRatings(r, u)
	r.end()
	if len(u.counted)+len(u.other) == 0 {
		r.fail("no events")
	}
	for a, b := 0, 0; a < len(u.counted) && b < len(u.other); {
		switch c := u.counted[a].compare(&u.other[b]); {
		case c < 0:
			a++
		case c > 0:
			b++
		default:
			r.fail("one event twice")
			return
		}
	}
}

func (m *Model) readEntries(r *reader, counted bool) []entry {
	n := r.length(entryBytesMin)
	if n == 0 {
		return nil
	}
	list := make([]entry, n)
	for k := range list {
		var before *entry
		if k > 0 {
			before = &list[k-1]
		}
		e := &list[k]
		m.readEntry(r, before, e)
		if e.signal.Counted() != counted {
			r.fail("signal out of place")
		}
		if k > 0 && before.compare(e) >= 0 {
			r.fail("events out of order")
		}
		if r.err != nil {
			return nil
		}
	}
	return list
}

func (m *Model) readEntry(r *reader, before, e *entry) {
	if before == nil {
		e.time = r.varint()
	} else {
		delta := r.uvarint()
		e.time = int64(uint64(before.time) + delta)
		if delta > uint64(math.MaxInt64)-uint64(before.time) {
			r.fail("time out of range")
		}
	}
	e.id = r.uint64()
	meaning := r.uvarint()
	e.signal = signal.Signal(meaning)
	if meaning > math.MaxUint32 || !e.signal.Valid() {
		r.fail("signal out of place")
	}
	ref := r.uvarint()
	if r.err != nil {
		return
	}
	if ref&1 == 0 {
		e.item = m.decimalItem(r, ref>>1)
	} else {
		e.item = m.textItem(r, ref>>1)
	}
}

func (m *Model) readRatings(r *reader, u *user) []rated {
	n := r.length(entryBytesMin + 2)
	if n == 0 {
		return nil
	}
	list := make([]rated, n)
	for k := range list {
		g := &list[k]
		var before *entry
		if k > 0 {
			before = &list[k-1].entry
		}
		m.readEntry(r, before, &g.entry)
		partition := r.uvarint()
		if partition+1 < uint64(u.home) || partition >= math.MaxInt32 || u.home == 0 {
			r.fail("partition out of range")
		}
		g.partition = int32(partition)
		if kind := string(r.bytes(r.uvarint())); kind == usualKindName {
			r.fail("a kind in other words")
		} else if kind != "" {
			g.kind = m.internKind(kind)
		}
		if r.err != nil {
			return nil
		}
		if k > 0 {
			if c := m.compareGroups(&list[k-1], g); c > 0 || c == 0 && list[k-1].partition > g.partition {
				r.fail("ratings out of order")
			}
		}
	}
	for k := range list {
		g := &list[k]
		at, found := place(*u.list(g.signal), &g.entry)
		if found = found && (*u.list(g.signal))[at] == g.entry; found != (k+1 == n || m.compareGroups(g, &list[k+1]) != 0) {
			r.fail("another than the last rating counts")
		}
	}
	return list
}

func (m *Model) readItem(r *reader, at uint32) {
	r.version()
	total, rated, ratingSum := r.uvarint(), r.uvarint(), r.uvarint()

	buckets := make([]bucket, r.length(2))
	counted := uint64(0)
	for k := range buckets {
		day := int64(0)
		if k == 0 {
			day = r.varint()
		} else {
			delta := r.uvarint()
			if delta == 0 || delta > math.MaxUint32 {
				r.fail("days out of order")
				return
			}
			day = int64(buckets[k-1].day) + int64(delta)
		}
		if day <= noDay || day > math.MaxInt32 {
			r.fail("day out of range")
		}
		buckets[k] = bucket{int32(day), r.count()}
		counted += uint64(buckets[k].count)
	}
	if r.err == nil && (total == 0 || counted > min(total, math.MaxUint32) || rated > total ||
		rated > math.MaxUint64/signal.RatingCentiMax || ratingSum < rated || ratingSum > rated*signal.RatingCentiMax) {
		r.fail("totals contradict each other")
	}

	r.end()
	if r.err != nil {
		return
	}
	it := &m.items[at]
	it.total, it.rated, it.ratingSum, it.buckets = total, rated, ratingSum, buckets
	m.counted[at] = uint32(counted)
	if k := len(buckets); k > 0 {
		m.lastDay[at] = buckets[k-1].day
	}
}

// readNext reads what is stored of what came after an item. It names items that are there.
func (m *Model) readNext(r *reader, at uint32) {
	r.version()
	decimals, texts := r.length(2), r.length(2)
	if decimals+texts == 0 {
		r.fail("no neighbours")
	}
	s := &m.sheet
	s.widen(len(m.items))
	put := func(j, count uint32) {
		if j == at {
			r.fail("a neighbour out of place")
		}
		if r.err == nil {
			s.add(j, count)
		}
	}
	num := uint64(0)
	for k := 0; k < decimals && r.err == nil; k++ {
		delta := r.uvarint()
		count := r.count()
		num += delta
		if k > 0 && delta == 0 || num < delta {
			r.fail("neighbours out of order")
		}
		put(m.decimalItem(r, num), count)
	}
	last := ""
	for k := 0; k < texts && r.err == nil; k++ {
		j := m.textItem(r, r.uvarint())
		count := r.count()
		if r.err == nil && k > 0 && m.items[j].id <= last {
			r.fail("neighbours out of order")
		}
		if put(j, count); r.err == nil {
			last = m.items[j].id
		}
	}
	r.end()
	if r.err != nil {
		s.empty()
		return
	}
	m.items[at].next.fill(s)
	m.items[at].next.packed = slices.Clip(m.items[at].next.packed)
}

// decimalItem is the item whose id spells a number.
func (m *Model) decimalItem(r *reader, num uint64) uint32 {
	at, ok := m.decimalAt.get(num)
	if !ok {
		r.fail("names an item without a row")
		return 0
	}
	return at
}

func (m *Model) textItem(r *reader, length uint64) uint32 {
	id := r.bytes(length)
	at, ok := m.itemAt[string(id)]
	if !ok || m.items[at].decimal {
		r.fail("names an item without a row")
		return 0
	}
	return at
}

// parseDecimal reads an id that is a number in its one decimal spelling, of at most 18 digits so
// that a tag bit fits beside it.
func parseDecimal(id string) (uint64, bool) {
	if id == "" || len(id) > 18 || id[0] == '0' && id != "0" {
		return 0, false
	}
	num := uint64(0)
	for i := 0; i < len(id); i++ {
		if id[i] < '0' || id[i] > '9' {
			return 0, false
		}
		num = num*10 + uint64(id[i]-'0')
	}
	return num, true
}

// reader takes values off a row. After the first fault it gives zeros and keeps the fault.
type reader struct {
	data []byte
	at   int
	err  error
}

// ErrRow is wrapped by the error of a stored row that a model cannot have written.
var ErrRow = errors.New("malformed row")

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrRow, what)
	}
	r.data, r.at = nil, 0
}

func (r *reader) version() {
	if len(r.data) == 0 || r.data[0] != rowVersion {
		r.fail("unknown version")
		return
	}
	r.at = 1
}

func (r *reader) uvarint() uint64 {
	if r.at < len(r.data) && r.data[r.at] < 0x80 { // most are this short
		r.at++
		return uint64(r.data[r.at-1])
	}
	return r.uvarintLong()
}

func (r *reader) uvarintLong() uint64 {
	v, n := binary.Uvarint(r.data[r.at:])
	if n <= 0 || r.data[r.at+n-1] == 0 { // a last byte of 0 is padding: not the one spelling
		r.fail("bad number")
		return 0
	}
	r.at += n
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) uint64() uint64 {
	if len(r.data)-r.at < 8 {
		r.fail("cut short")
		return 0
	}
	r.at += 8
	return binary.LittleEndian.Uint64(r.data[r.at-8:])
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)-r.at) {
		r.fail("cut short")
		return nil
	}
	r.at += int(n)
	return r.data[r.at-int(n) : r.at]
}

// count reads a count, which is never 0.
func (r *reader) count() uint32 {
	v := r.uvarint()
	if v == 0 || v > math.MaxUint32 {
		r.fail("count out of range")
	}
	return uint32(v)
}

// length reads the length of a list whose elements take at least size bytes each.
func (r *reader) length(size int) int {
	v := r.uvarint()
	if v > uint64((len(r.data)-r.at)/size) {
		r.fail("cut short")
		return 0
	}
	return int(v)
}

func (r *reader) end() {
	if r.at < len(r.data) {
		r.fail("bytes left over")
	}
}
