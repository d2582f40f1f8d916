package online

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// together is the model of all events at once.
func together(events []event) *Model {
	var users, items []string
	place := func(list *[]string, id string) int32 {
		if i := slices.Index(*list, id); i >= 0 {
			return int32(i)
		}
		*list = append(*list, id)
		return int32(len(*list) - 1)
	}
	list := []Event{}
	for _, e := range events {
		list = append(list, Event{place(&users, e.user), place(&items, e.item), e.time, e.id, e.signal})
	}
	// Nobody has done anything of the last two.
	return Of(append(users, "nobody"), append(items, "nothing"), len(list), func(i int) Event { return list[i] })
}

// saved are the rows that have changed.
func saved(t *testing.T, m *Model) stored {
	t.Helper()
	out := stored{}
	save := m.Save(func(table Table, id string, row []byte) error {
		out[prefixes[table]+id] = string(row)
		return nil
	})
	for {
		if done, err := save.Step(); done || err != nil {
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
}

// A model of all events at once is the one that took them one by one, whatever comes afterwards.
func TestOf(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 8))
		events := randomEvents(rng, rng.IntN(700))
		if seed%3 > 0 { // else in no order, and with repetitions
			slices.SortFunc(events, func(a, b event) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id)) })
			events = slices.CompactFunc(events, func(a, b event) bool { return a.time == b.time && a.id == b.id })
		}
		if seed%6 == 1 && len(events) > 0 {
			events[rng.IntN(len(events))].signal = math.MaxUint32 // not valid
		}
		one := New()
		for _, e := range events {
			e.addTo(one)
		}
		all := together(events)
		diffRows(t, rows(all), rows(one))
		diffRows(t, saved(t, all), saved(t, one))
		var a, b Scratch
		for _, e := range randomEvents(rng, 100) {
			if e.addTo(one) != e.addTo(all) {
				t.Fatalf("%+v is new to only one of the two", e)
			}
			x, y := one.Score(nil, e.user, e.time, Blend, &a), all.Score(nil, e.user, e.time, Blend, &b)
			if !slices.Equal(x, y) {
				t.Fatalf("scores %v, want %v", y, x)
			}
		}
		diffRows(t, rows(all), rows(one))
	}
}
