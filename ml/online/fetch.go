package online

import (
	"fmt"
	"iter"
)

// Rows are where a model's rows are stored. Of a restored model those of people and of what came after items are read
// when they are wanted first: see [Model.Fetch].
type Rows interface {
	// Row gives a row of [UserRows] or [NextRows]; nil where there is none.
	Row(t Table, id string) ([]byte, error)
}

// Row is an encoded row and the id it belongs to.
type Row struct {
	ID   string
	Data []byte
}

// Restore makes a new model the one of which stored has the rows, and items are all of [ItemRows]. An item whose row
// cannot have been written by [Model.Save] is an error.
func (m *Model) Restore(items iter.Seq2[Row, error], stored Rows) error {
	if len(m.users)+len(m.items) > 0 {
		return fmt.Errorf("online: restored into a model that is not new")
	}
	m.stored = stored
	var days calendar
	for row, err := range items {
		if err != nil {
			return err
		}
		if _, ok := m.itemAt[row.ID]; ok {
			return malformed("item", row.ID, fmt.Errorf("%w: it is there already", ErrRow))
		}
		at := m.internItem(row.ID)
		r := reader{data: row.Data}
		if m.readItem(&r, at); r.err != nil {
			return malformed("item", row.ID, r.err)
		}
		it := &m.items[at]
		for _, b := range it.buckets {
			days.add(b)
		}
		if len(it.buckets) > 0 {
			it.unread = true
			m.unread++
		}
	}
	m.days = days.list()
	m.daysChange++
	return nil
}

func malformed(kind, id string, err error) error {
	return fmt.Errorf("online: row of %s %q: %w", kind, id, err)
}

// FetchUser sees to it that a person's row is at hand. It needs exclusive access.
func (m *Model) FetchUser(id string) error {
	if m.stored == nil {
		return nil
	}
	if u, ok := m.users[id]; ok {
		u.met = true
		return nil
	}
	data, err := m.stored.Row(UserRows, id)
	if err != nil {
		return err
	}
	u := &user{}
	if data != nil {
		r := reader{data: data}
		if m.readUser(&r, u); r.err != nil {
			return malformed("user", id, r.err)
		}
	}
	kept := m.newUser(id)
	kept.counted, kept.other, kept.ratings, kept.home, kept.met = u.counted, u.other, u.ratings, u.home, true
	return nil
}

// Fetch sees to it that all rows are at hand that [Model.Score] reads for a person. It needs exclusive access.
func (m *Model) Fetch(userID string) error {
	if err := m.FetchUser(userID); err != nil {
		return err
	}
	h := m.history(m.user(userID))
	for _, i := range h.items[:h.n] {
		if err := m.fetchNext(i); err != nil {
			return err
		}
	}
	return nil
}

// Fetched says whether they are.
func (m *Model) Fetched(userID string) bool {
	if m.stored == nil {
		return true
	}
	u, ok := m.users[userID]
	if !ok {
		return false
	}
	h := m.history(u)
	for _, i := range h.items[:h.n] {
		if m.items[i].unread {
			return false
		}
	}
	return true
}

// FetchNexts reads the rows of at most n items of what came after them, and says how many are still to be read.
// [Model.Similar] wants them all. It needs exclusive access.
func (m *Model) FetchNexts(n int) (left int, err error) {
	for ; n > 0 && m.unread > 0; m.look++ {
		if m.items[m.look].unread {
			if err := m.fetchNext(uint32(m.look)); err != nil {
				return m.unread, err
			}
			n--
		}
	}
	return m.unread, nil
}

// Unread is how many items' rows of what came after them are not at hand.
func (m *Model) Unread() int { return m.unread }

func (m *Model) fetchNext(i uint32) error {
	it := &m.items[i]
	if !it.unread {
		return nil
	}
	data, err := m.stored.Row(NextRows, it.id)
	if err != nil {
		return err
	}
	if data != nil {
		r := reader{data: data}
		if m.readNext(&r, i); r.err != nil {
			return malformed("what came after item", it.id, r.err)
		}
	}
	it.unread = false
	m.unread--
	return nil
}

// Rest lets go of the rows of people that were not met since it was called last. It needs exclusive access; what
// was saved is stored, and no save is under way.
func (m *Model) Rest() {
	if m.stored == nil {
		return
	}
	for id, u := range m.users {
		if !u.met && u.changed == 0 {
			delete(m.users, id)
		}
		u.met = false
	}
}

// user is nil for a stranger.
func (m *Model) user(id string) *user {
	u := m.users[id]
	if u == nil && m.stored != nil {
		panic(fmt.Sprintf("online: user %q was not fetched", id))
	}
	return u
}

// next is the row of what came after an item.
func (m *Model) next(i uint32) *row {
	it := &m.items[i]
	if it.unread {
		panic(fmt.Sprintf("online: what came after item %q was not fetched", it.id))
	}
	return &it.next
}
