package online

import "github.com/projectionist/projectionist/ml/signal"

// Guest is the model with somebody more in it, under the id "", who at a moment has met items, the last one last, by acts of
// one meaning. Nothing is counted by them, and items that the model does not know are left out. It is a view of the model:
// it holds as long as that is at rest, and is only to be asked. Their rows are at hand: see [Model.FetchItems].
func (m *Model) Guest(items []string, timeMillis int64, meaning signal.Signal) *Model {
	u := &user{}
	list := u.list(meaning)
	for k, id := range items {
		if at, ok := m.itemAt[id]; ok {
			*list = append(*list, entry{timeMillis, uint64(k), at, meaning})
		}
	}
	guest := *m
	guest.users, guest.origin = map[string]*user{"": u}, m.Origin()
	return &guest
}

// Origin is the model that a view of it with a [Model.Guest] was made of, and itself of any other: their items are the same,
// by the same index.
func (m *Model) Origin() *Model {
	if m.origin != nil {
		return m.origin
	}
	return m
}

// FetchItems sees to it that all rows are at hand that [Model.Score] reads for who has met items. It needs exclusive access.
func (m *Model) FetchItems(items []string) error {
	for _, id := range items {
		if at, ok := m.itemAt[id]; ok {
			if err := m.fetchNext(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// FetchedItems says whether they are.
func (m *Model) FetchedItems(items []string) bool {
	for _, id := range items {
		if at, ok := m.itemAt[id]; ok && m.items[at].unread {
			return false
		}
	}
	return true
}
