package online

import (
	"cmp"
	"slices"
)

// Table is one of the three that a model is stored in, each with rows by id.
type Table uint8

const (
	UserRows Table = iota // what a person did
	ItemRows              // how often an item was met, and when
	NextRows              // what came after an item
)

// changes are what has changed since a save began last: a period. Periods count from 1.
type changes struct {
	period       uint32
	users        []*user
	items, nexts []uint32
}

// Save writes what had changed of a model when the save began, row by row, while the model goes on: a row that is
// about to change again is written before.
type Save struct {
	m     *Model
	of    changes
	write func(t Table, id string, row []byte) error
	order *order
	row   []byte
	err   error // of a row that was written because it was about to change
}

// Save begins to write every row that has changed since the last save began. write is called by [Save.Step], and by
// Add; a row without bytes is to be deleted, and those it has are not kept. One save at a time may be under
// way.
func (m *Model) Save(write func(t Table, id string, row []byte) error) *Save {
	if m.save != nil {
		panic("online: a save is under way")
	}
	m.save = &Save{m: m, of: m.changed, write: write}
	m.changed = changes{period: m.changed.period + 1}
	return m.save
}

// Step writes some rows, a tenth of a millisecond's work for most, and says whether that was the last. After an error
// the model is to be thrown away.
func (s *Save) Step() (done bool, err error) {
	const together = 16 // of the small ones
	for range together {
		switch n := len(s.of.users); {
		case s.err != nil:
			return false, s.err
		case n > 0:
			s.user(s.of.users[n-1])
			s.of.users = s.of.users[:n-1]
		case len(s.of.items) > 0:
			n := len(s.of.items)
			s.item(s.of.items[n-1])
			s.of.items = s.of.items[:n-1]
		case len(s.of.nexts) > 0:
			n := len(s.of.nexts)
			s.next(s.of.nexts[n-1])
			s.of.nexts = s.of.nexts[:n-1]
			return false, s.err
		default:
			s.m.save = nil
			return true, nil
		}
	}
	return false, s.err
}

func (s *Save) put(t Table, id string) {
	if err := s.write(t, id, s.row); s.err == nil {
		s.err = err
	}
}

// user writes a person's row unless it is written.
func (s *Save) user(u *user) {
	if u.changed == s.of.period {
		u.changed = 0
		s.row = s.m.appendUser(s.row[:0], u)
		s.put(UserRows, u.id)
	}
}

func (s *Save) item(i uint32) {
	if it := &s.m.items[i]; it.changed == s.of.period {
		it.changed = 0
		s.row = s.m.appendItem(s.row[:0], it)
		s.put(ItemRows, it.id)
	}
}

func (s *Save) next(i uint32) {
	m, it := s.m, &s.m.items[i]
	if it.unread {
		if s.err = m.fetchNext(i); s.err != nil {
			return
		}
	}
	loose := len(it.next.loose)
	if it.held >= 0 {
		loose, it.held = int(it.held), -1
	} else {
		it.nextChanged = 0
	}
	if s.order == nil { // of all items that the rows name, and perhaps more
		s.order = m.ordered()
	}
	s.row = m.appendNext(s.row[:0], &it.next, loose, s.order)
	s.put(NextRows, it.id)
	it.next.pack(&m.sheet, len(m.items))
	it.next.trim()
}

// touchUser is called before a person's row changes.
func (m *Model) touchUser(u *user) {
	u.met = true
	if u.changed == m.changed.period {
		return
	}
	if u.changed != 0 {
		m.save.user(u)
	}
	u.changed = m.changed.period
	m.changed.users = append(m.changed.users, u)
}

// touchItem is called before an item's own row changes.
func (m *Model) touchItem(i uint32) {
	it := &m.items[i]
	if it.changed == m.changed.period {
		return
	}
	if it.changed != 0 {
		m.save.item(i)
	}
	it.changed = m.changed.period
	m.changed.items = append(m.changed.items, i)
}

// touchNext is called before something is added to the row of what came after an item.
func (m *Model) touchNext(i uint32, it *item) {
	if it.nextChanged == m.changed.period {
		return
	}
	if it.nextChanged != 0 { // the save under way is to have what is there
		it.held = int32(len(it.next.loose))
	}
	it.nextChanged = m.changed.period
	m.changed.nexts = append(m.changed.nexts, i)
}

// order is the items as rows name them: numbers first, by number, then the others, by their bytes.
type order struct {
	sorted   []uint32
	place    []uint32 // of an item in sorted
	decimals int
}

// ordered is the order of the items there are. Nobody changes it.
func (m *Model) ordered() *order {
	if m.order != nil && len(m.order.sorted) == len(m.items) {
		return m.order
	}
	o := &order{sorted: make([]uint32, len(m.items)), place: make([]uint32, len(m.items))}
	for i := range m.items {
		o.sorted[i] = uint32(i)
		if m.items[i].decimal {
			o.decimals++
		}
	}
	slices.SortFunc(o.sorted, func(a, b uint32) int {
		x, y := &m.items[a], &m.items[b]
		switch {
		case x.decimal && y.decimal:
			return cmp.Compare(x.num, y.num)
		case x.decimal:
			return -1
		case y.decimal:
			return 1
		}
		return cmp.Compare(x.id, y.id)
	})
	for at, i := range o.sorted {
		o.place[i] = uint32(at)
	}
	m.order = o
	return o
}
