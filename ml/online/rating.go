package online

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/projectionist/projectionist/ml/signal"
)

// rated is an event with stars of which more is to be known than its entry says. Those of one user, time, item and kind
// are one group: the last of it counts and has an entry, the others are kept so that a repetition is known for one.
//
// Nearly every group is one event of kind "rating", recorded where most of its person's are: then the entry says it all.
type rated struct {
	entry
	kind      uint32 // index
	partition int32  // the least of those it was recorded in
}

// usualKind is the index of the kind that nearly all events with stars are of.
const usualKind, usualKindName = 0, "rating"

// Rate is [Model.Add] for an event with stars, that says of which kind it is and in which partition it was recorded. Of
// several of one user, item, kind and time the last recorded counts alone: those of a partition in the order in which they
// come, those of different ones in the order of the partitions. A repetition was recorded where its first was; of several
// partitions, in the least. id covers all that the event says.
//
// It gives the stars, in hundredths, that counted before and that count now; 0 where there were none. A repetition changes
// nothing.
func (m *Model) Rate(userID, itemID string, timeMillis int64, id uint64, meaning signal.Signal, kind string, partition int32) (was, is int) {
	u := m.user(userID)
	if u == nil {
		u = m.newUser(userID)
	}
	m.settle(u, partition)
	r := rated{entry{timeMillis, id, m.internItem(itemID), valid(meaning)}, m.internKind(kind), partition}
	var last *entry
	group := m.group(u, &r)
	if n := len(group); n > 0 {
		e := group[n-1].entry
		last, was = &e, e.signal.RatingCenti()
	}
	if at := slices.IndexFunc(group, func(g rated) bool { return g.id == id }); at >= 0 {
		if group[at].partition <= partition {
			return was, was
		}
		group = slices.Delete(group, at, at+1)
	}
	at := len(group)
	for at > 0 && group[at-1].partition > partition {
		at--
	}
	group = slices.Insert(group, at, r)
	m.touchUser(u)
	now := group[len(group)-1].entry
	if last == nil || last.id != now.id {
		if last != nil {
			m.remove(u, last)
		}
		m.put(u, now)
	}
	m.note(u, &r, group)
	return was, now.signal.RatingCenti()
}

// put takes an event in that is not there.
func (m *Model) put(u *user, e entry) {
	list := u.list(e.signal)
	at, _ := place(*list, &e)
	*list = insert(*list, at, e)
	m.tally(u, at, e, +1)
}

// remove takes an event out that is there.
func (m *Model) remove(u *user, e *entry) {
	list := u.list(e.signal)
	at, _ := place(*list, e)
	m.tally(u, at, *e, -1)
	*list = slices.Delete(*list, at, at+1)
}

// settle makes a partition home if it is the least that events with stars of the person were recorded in. Of those that
// were recorded at home until now more is to be kept from now on.
func (m *Model) settle(u *user, partition int32) {
	if u.home != 0 && u.home <= partition+1 {
		return
	}
	m.touchUser(u)
	if u.home != 0 {
		kept := u.ratings
		for _, list := range [][]entry{u.counted, u.other} {
			for k := range list {
				if e := &list[k]; e.signal.RatingCenti() > 0 && !u.noted(e) {
					kept = append(kept, rated{*e, usualKind, u.home - 1})
				}
			}
		}
		slices.SortStableFunc(kept, func(a, b rated) int { return m.compareGroups(&a, &b) })
		u.ratings = kept
	}
	u.home = partition + 1
}

// group are those of r's user, time, item and kind, in the order in which they were recorded.
func (m *Model) group(u *user, r *rated) []rated {
	if lo, hi := m.notes(u, r); lo < hi {
		return slices.Clone(u.ratings[lo:hi])
	}
	if r.kind != usualKind {
		return nil
	}
	for _, list := range [][]entry{u.counted, u.other} {
		at := len(list)
		if at > 0 && list[at-1].time > r.time { // most events come in order
			at = sort.Search(at, func(i int) bool { return list[i].time > r.time })
		}
		for ; at > 0 && list[at-1].time == r.time; at-- {
			if e := &list[at-1]; e.item == r.item && e.signal.RatingCenti() > 0 && !u.noted(e) {
				return []rated{{*e, usualKind, u.home - 1}}
			}
		}
	}
	return nil
}

// noted says whether more is kept of an event than its entry.
func (u *user) noted(e *entry) bool {
	at := sort.Search(len(u.ratings), func(i int) bool { return u.ratings[i].time >= e.time })
	for ; at < len(u.ratings) && u.ratings[at].time == e.time; at++ {
		if u.ratings[at].id == e.id {
			return true
		}
	}
	return false
}

// notes is where what is kept of r's group begins and ends, or would stand.
func (m *Model) notes(u *user, r *rated) (lo, hi int) {
	lo = sort.Search(len(u.ratings), func(i int) bool { return m.compareGroups(&u.ratings[i], r) >= 0 })
	for hi = lo; hi < len(u.ratings) && m.compareGroups(&u.ratings[hi], r) == 0; hi++ {
	}
	return lo, hi
}

func (m *Model) compareGroups(a, b *rated) int {
	if a.time != b.time {
		return cmp.Compare(a.time, b.time)
	}
	return cmp.Or(strings.Compare(m.items[a.item].id, m.items[b.item].id), strings.Compare(m.kinds[a.kind], m.kinds[b.kind]))
}

// note keeps of r's group what the entry of its last does not say.
func (m *Model) note(u *user, r *rated, group []rated) {
	if len(group) == 1 && u.usual(&group[0]) {
		group = nil
	}
	lo, hi := m.notes(u, r)
	if len(group) > 0 || lo < hi {
		u.ratings = slices.Replace(u.ratings, lo, hi, group...)
	}
}

// usual says whether of an event that is alone in its group all is known by its entry.
func (u *user) usual(r *rated) bool { return r.kind == usualKind && r.partition == u.home-1 }

func (m *Model) internKind(kind string) uint32 {
	k, ok := m.kindAt[kind]
	if !ok {
		k = uint32(len(m.kinds))
		m.kinds = append(m.kinds, strings.Clone(kind))
		m.kindAt[m.kinds[k]] = k
	}
	return k
}
