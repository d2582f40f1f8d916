package online

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/projectionist/projectionist/ml/signal"
)

// A row is encoded as
//
//	user: version 2 | list of counted events | list of other events
//	list: n | n × (time | id, 8 bytes little-endian | signal | item)
//	item: version 2 | total | rated | rating sum
//	      | n | n × (day | count)
//	      | n | m | n × (number of a decimal item id | count) | m × (other item id | count)
//
// in ascending order, numbers as varints. The first time and day are zigzag, later ones, and the
// numbers of item ids, the difference to the one before. An item in a list is number<<1, or
// length<<1|1 and its bytes; elsewhere length and bytes. Nothing in a row depends on an index.
const rowVersion = 2

// entryBytesMin bounds what a forged length can make a reader allocate.
const entryBytesMin = 1 + 8 + 1 + 1

// Users gives every user id in ascending order.
func (m *Model) Users() iter.Seq[string] { return sortedIDs(len(m.users), m.userID) }

// Items gives the id of every item that has an event, in ascending order.
func (m *Model) Items() iter.Seq[string] {
	var live []uint32
	for i := range m.items {
		if m.items[i].total > 0 {
			live = append(live, uint32(i))
		}
	}
	return sortedIDs(len(live), func(k int) string { return m.items[live[k]].id })
}

// DirtyUsers gives, in ascending order, the users whose row changed since [Model.ClearDirty].
func (m *Model) DirtyUsers() iter.Seq[string] {
	return sortedIDs(len(m.dirtyUsers), func(k int) string { return m.users[m.dirtyUsers[k]].id })
}

// DirtyItems gives, in ascending order, the items whose row changed since [Model.ClearDirty].
func (m *Model) DirtyItems() iter.Seq[string] {
	return sortedIDs(len(m.dirtyItems), func(k int) string { return m.items[m.dirtyItems[k]].id })
}

func (m *Model) userID(i int) string { return m.users[i].id }

func sortedIDs(n int, id func(int) string) iter.Seq[string] {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = id(i)
	}
	slices.Sort(ids)
	return slices.Values(ids)
}

// ClearDirty forgets which rows changed. Call it after the batch with their rows is written.
func (m *Model) ClearDirty() {
	for _, i := range m.dirtyUsers {
		m.users[i].dirty = false
	}
	for _, i := range m.dirtyItems {
		m.items[i].dirty = false
	}
	m.dirtyUsers, m.dirtyItems = m.dirtyUsers[:0], m.dirtyItems[:0]
}

// EncodeUser appends a user's row to dst; nothing for a stranger.
func (m *Model) EncodeUser(dst []byte, userID string) []byte {
	at, ok := m.userAt[userID]
	if !ok {
		return dst
	}
	dst = append(dst, rowVersion)
	dst = m.appendEntries(dst, m.users[at].counted)
	return m.appendEntries(dst, m.users[at].other)
}

func (m *Model) appendEntries(dst []byte, list []entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for k := range list {
		e := &list[k]
		if k == 0 {
			dst = binary.AppendVarint(dst, e.time)
		} else {
			dst = binary.AppendUvarint(dst, uint64(e.time)-uint64(list[k-1].time))
		}
		dst = binary.LittleEndian.AppendUint64(dst, e.id)
		dst = binary.AppendUvarint(dst, uint64(e.signal))
		if it := &m.items[e.item]; it.decimal {
			dst = binary.AppendUvarint(dst, it.num<<1)
		} else {
			dst = binary.AppendUvarint(dst, uint64(len(it.id))<<1|1)
			dst = append(dst, it.id...)
		}
	}
	return dst
}

// EncodeItem appends an item's row to dst. It appends nothing when no event is left on the item
// (its last was superseded, see [Model.Add]): then the stored row has to be deleted.
func (m *Model) EncodeItem(dst []byte, itemID string) []byte {
	at, ok := m.itemAt[itemID]
	if !ok || m.items[at].total == 0 {
		return dst
	}
	it := &m.items[at]
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

	type numbered struct {
		num   uint64
		count uint32
	}
	decimals := make([]numbered, 0, it.next.used)
	var texts []slot
	for _, s := range it.next.slots {
		if s.count == 0 {
			continue
		}
		if j := &m.items[s.key-1]; j.decimal {
			decimals = append(decimals, numbered{j.num, s.count})
		} else {
			texts = append(texts, s)
		}
	}
	slices.SortFunc(decimals, func(a, b numbered) int {
		if a.num < b.num {
			return -1
		}
		return 1
	})
	slices.SortFunc(texts, func(a, b slot) int {
		return strings.Compare(m.items[a.key-1].id, m.items[b.key-1].id)
	})
	dst = binary.AppendUvarint(dst, uint64(len(decimals)))
	dst = binary.AppendUvarint(dst, uint64(len(texts)))
	last := uint64(0)
	for _, d := range decimals {
		dst = binary.AppendUvarint(dst, d.num-last)
		dst = binary.AppendUvarint(dst, uint64(d.count))
		last = d.num
	}
	for _, s := range texts {
		id := m.items[s.key-1].id
		dst = binary.AppendUvarint(dst, uint64(len(id)))
		dst = append(dst, id...)
		dst = binary.AppendUvarint(dst, uint64(s.count))
	}
	return dst
}

// Row is an encoded row and the id it belongs to.
type Row struct {
	ID   string
	Data []byte
}

// RestoreUser takes one row, as [Model.RestoreUsers] does.
func (m *Model) RestoreUser(userID string, data []byte) error {
	return m.RestoreUsers([]Row{{userID, data}})
}

// RestoreItem takes one row, as [Model.RestoreItems] does.
func (m *Model) RestoreItem(itemID string, data []byte) error {
	return m.RestoreItems([]Row{{itemID, data}})
}

// RestoreUsers takes rows that EncodeUser wrote, in any number of calls, on all processors; it is
// fastest after RestoreItems. A row that EncodeUser cannot have written, or a user that is there
// already, is an error; the model is then incomplete and has to be thrown away. Data is not kept.
func (m *Model) RestoreUsers(rows []Row) error {
	first := len(m.users)
	for _, row := range rows {
		if _, ok := m.userAt[row.ID]; ok {
			return fmt.Errorf("online: user %q is restored twice: restore into a new model", row.ID)
		}
		m.internUser(row.ID)
	}
	return restore("user", rows, func(k int, r *reader) { m.readUser(r, uint32(first+k)) })
}

// RestoreItems takes rows that EncodeItem wrote; it is fastest with all of them in one call, since
// rows name each other. Errors are as for [Model.RestoreUsers].
func (m *Model) RestoreItems(rows []Row) error {
	at := make([]uint32, len(rows))
	for k, row := range rows {
		at[k] = m.internItem(row.ID)
	}
	taken := make([]bool, len(m.items))
	for k, i := range at {
		if taken[i] || m.items[i].total > 0 {
			return fmt.Errorf("online: item %q is restored twice: restore into a new model", rows[k].ID)
		}
		taken[i] = true
	}
	err := restore("item", rows, func(k int, r *reader) { m.readItem(r, at[k]) })
	if err != nil {
		return err
	}
	for _, i := range at {
		for _, b := range m.items[i].buckets {
			m.days = addDay(m.days, b.day, b.count)
		}
	}
	m.daysChange++
	return nil
}

// restore reads rows side by side while no id is interned, so that the tables may be shared; rows
// that name an item for the first time are read again afterwards, one by one.
func restore(kind string, rows []Row, read func(k int, r *reader)) error {
	faults := make([]error, len(rows))
	var next atomic.Int64
	work := func() {
		for {
			k := int(next.Add(1)) - 1
			if k >= len(rows) {
				return
			}
			r := reader{data: rows[k].Data, frozen: true}
			read(k, &r)
			faults[k] = r.err
		}
	}
	var workers sync.WaitGroup
	for range min(len(rows), runtime.GOMAXPROCS(0)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	for k, err := range faults {
		if err == errFrozen {
			r := reader{data: rows[k].Data}
			read(k, &r)
			err = r.err
		}
		if err != nil {
			return fmt.Errorf("online: row of %s %q: %w: rebuild the view", kind, rows[k].ID, err)
		}
	}
	return nil
}

func (m *Model) readUser(r *reader, at uint32) {
	r.version()
	counted := m.readEntries(r, true)
	other := m.readEntries(r, false)
	r.end()
	if len(counted)+len(other) == 0 {
		r.fail("no events")
	}
	for a, b := 0, 0; a < len(counted) && b < len(other); {
		switch c := counted[a].compare(&other[b]); {
		case c < 0:
			a++
		case c > 0:
			b++
		default:
			r.fail("one event twice")
			return
		}
	}
	if r.err == nil {
		m.users[at].counted, m.users[at].other = counted, other
	}
}

func (m *Model) readEntries(r *reader, counted bool) []entry {
	n := r.length(entryBytesMin)
	if n == 0 {
		return nil
	}
	list := make([]entry, n)
	for k := range list {
		e := &list[k]
		if k == 0 {
			e.time = r.varint()
		} else {
			before := list[k-1].time
			delta := r.uvarint()
			e.time = int64(uint64(before) + delta)
			if delta > uint64(math.MaxInt64)-uint64(before) {
				r.fail("time out of range")
			}
		}
		e.id = r.uint64()
		meaning := r.uvarint()
		e.signal = signal.Signal(meaning)
		if meaning > math.MaxUint32 || !e.signal.Valid() || e.signal.Counted() != counted {
			r.fail("signal out of place")
		}
		ref := r.uvarint()
		if r.err != nil {
			return nil
		}
		if ref&1 == 0 {
			e.item = m.internDecimal(r, ref>>1)
		} else {
			e.item = m.internText(r, ref>>1)
		}
		if k > 0 && list[k-1].compare(e) >= 0 {
			r.fail("events out of order")
		}
		if r.err != nil {
			return nil
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

	decimals, texts := r.length(2), r.length(2)
	if r.err != nil {
		return
	}
	if decimals+texts > 0 && counted == 0 {
		r.fail("neighbours without a counted event")
		return
	}
	var next row
	if decimals+texts > 0 {
		next.restore(decimals + texts)
	}
	num := uint64(0)
	for k := range decimals {
		delta := r.uvarint()
		count := r.count()
		num += delta
		if k > 0 && delta == 0 || num < delta {
			r.fail("neighbours out of order")
		}
		j := m.internDecimal(r, num)
		if r.err == nil && (j == at || !next.put(j, count)) {
			r.fail("a neighbour out of place")
		}
		if r.err != nil {
			return
		}
	}
	last := ""
	for k := range texts {
		j := m.internText(r, r.uvarint())
		count := r.count()
		if r.err == nil && (j == at || k > 0 && m.items[j].id <= last || !next.put(j, count)) {
			r.fail("a neighbour out of place")
		}
		if r.err != nil {
			return
		}
		last = m.items[j].id
	}
	r.end()
	if r.err != nil {
		return
	}
	it := &m.items[at]
	it.total, it.rated, it.ratingSum = total, rated, ratingSum
	it.buckets, it.next = buckets, next
	m.counted[at] = uint32(counted)
	if k := len(buckets); k > 0 {
		m.lastDay[at] = buckets[k-1].day
	}
}

func (m *Model) internDecimal(r *reader, num uint64) uint32 {
	if at, ok := m.decimalAt.get(num); ok {
		return at
	}
	id := strconv.FormatUint(num, 10)
	if _, ok := parseDecimal(id); !ok {
		r.fail("item number out of range")
	}
	return m.internNew(r, id)
}

func (m *Model) internText(r *reader, length uint64) uint32 {
	id := r.bytes(length)
	if _, ok := parseDecimal(string(id)); ok {
		r.fail("a number spelled as text")
	}
	if at, ok := m.itemAt[string(id)]; ok {
		return at
	}
	return m.internNew(r, string(id))
}

func (m *Model) internNew(r *reader, id string) uint32 {
	if r.frozen && r.err == nil {
		r.err = errFrozen
	}
	if r.err != nil {
		return 0
	}
	return m.internItem(id)
}

// Check compares the totals of items with the histories they come from, and names the first that
// differs. It is for a restored model, whose rows each may be sound and yet not belong together.
// Co-counts are not recomputed.
func (m *Model) Check() error {
	type totals struct{ total, counted, rated, ratingSum uint64 }
	sums := make([]totals, len(m.items))
	for k := range m.users {
		for _, list := range [][]entry{m.users[k].counted, m.users[k].other} {
			for i := range list {
				s := &sums[list[i].item]
				s.total++
				if list[i].signal.Counted() {
					s.counted++
				}
				if r := list[i].signal.RatingCenti(); r > 0 {
					s.rated++
					s.ratingSum += uint64(r)
				}
			}
		}
	}
	for i := range m.items {
		it := &m.items[i]
		if sums[i] != (totals{it.total, uint64(m.counted[i]), it.rated, it.ratingSum}) {
			return fmt.Errorf("online: item %q counts other events than the histories hold: rebuild the view", it.id)
		}
	}
	return nil
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
	data   []byte
	at     int
	frozen bool // an id that is not interned yet is errFrozen
	err    error
}

var (
	errRow    = errors.New("malformed row")
	errFrozen = errors.New("names an item for the first time")
)

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errRow, what)
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
