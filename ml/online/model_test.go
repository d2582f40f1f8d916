package online

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/signal"
)

type event struct {
	user, item string
	time       int64
	id         uint64
	signal     signal.Signal
}

func (e event) addTo(m *Model) bool { return m.Add(e.user, e.item, e.time, e.id, e.signal) }

func liked(user, item string, time int64) event {
	return event{user, item, time, uint64(time), signal.Default().Of("like", 0)}
}

// rows exports a whole model: "u/" or "i/" and id → bytes.
func rows(m *Model) map[string]string {
	out := map[string]string{}
	for id := range m.Users() {
		out["u/"+id] = string(m.EncodeUser(nil, id))
	}
	for id := range m.Items() {
		out["i/"+id] = string(m.EncodeItem(nil, id))
	}
	return out
}

func diffRows(t *testing.T, got, want map[string]string) {
	t.Helper()
	for k := range want {
		if got[k] != want[k] {
			t.Fatalf("row %s is %x, want %x", k, got[k], want[k])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// randomEvents has repeated films, equal times, every signal, ids of both spellings, times before
// 1970, and events that claim another's name.
func randomEvents(rng *rand.Rand, n int) []event {
	var out []event
	for range n {
		e := event{
			user:   fmt.Sprintf("u%d", rng.IntN(3)),
			item:   fmt.Sprint(rng.IntN(40)),
			time:   int64(rng.IntN(200)-20) * dayMillis / 3,
			id:     rng.Uint64() >> rng.IntN(64),
			signal: signal.Default().Of([]string{"rating", "click", "like", "dislike", "impression", "wishlist"}[rng.IntN(6)], float64(rng.IntN(11))/2),
		}
		if rng.IntN(4) == 0 {
			e.item = "film-" + e.item
		}
		if len(out) > 0 && rng.IntN(10) == 0 {
			o := out[rng.IntN(len(out))]
			e.user, e.time, e.id = o.user, o.time, o.id
		}
		out = append(out, e)
	}
	return out
}

// naive counts from the set of events by the definition.
func naive(events []event) (pairs map[[2]string]uint32, stats map[string]ItemStats) {
	type name struct {
		user string
		time int64
		id   uint64
	}
	kept := map[name]event{}
	for _, e := range events {
		k := name{e.user, e.time, e.id}
		o, ok := kept[k]
		if !ok || e.item < o.item || e.item == o.item && e.signal < o.signal {
			kept[k] = e
		}
	}
	byUser := map[string][]event{}
	stats = map[string]ItemStats{}
	for _, e := range kept {
		s := stats[e.item]
		s.Total++
		if r := e.signal.RatingCenti(); r > 0 {
			s.Rated++
			s.RatingSumCenti += uint64(r)
		}
		if e.signal.Counted() {
			s.Counted++
			byUser[e.user] = append(byUser[e.user], e)
		}
		stats[e.item] = s
	}
	pairs = map[[2]string]uint32{}
	for _, list := range byUser {
		slices.SortFunc(list, func(a, b event) int {
			return (&entry{time: a.time, id: a.id}).compare(&entry{time: b.time, id: b.id})
		})
		for p := range list {
			for q := p + 1; q < len(list) && q <= p+Window; q++ {
				if list[p].item != list[q].item {
					pairs[[2]string{list[p].item, list[q].item}]++
				}
			}
		}
	}
	return pairs, stats
}

func TestCountsAreTheDefinition(t *testing.T) {
	for seed := range uint64(20) {
		events := randomEvents(rand.New(rand.NewPCG(seed, 1)), 300)
		m := New()
		for _, e := range events {
			e.addTo(m)
		}
		pairs, stats := naive(events)
		total := uint32(0)
		for i := range m.items {
			for _, s := range m.items[i].next.slots {
				total += s.count
			}
			if id := m.items[i].id; m.Stats(id) != stats[id] {
				t.Fatalf("seed %d: stats of %s are %+v, want %+v", seed, id, m.Stats(id), stats[id])
			}
		}
		for p, n := range pairs {
			if got := m.CoCount(p[0], p[1]); got != n {
				t.Fatalf("seed %d: c(%s→%s) = %d, want %d", seed, p[0], p[1], got, n)
			}
			total -= n
		}
		if total != 0 {
			t.Fatalf("seed %d: %d pairs that should not be", seed, total)
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLateEventMovesTheWindow(t *testing.T) {
	m := New()
	for k := range Window + 1 {
		liked("u", fmt.Sprint(100+k), int64(2*k)).addTo(m)
	}
	if got := m.CoCount("100", "120"); got != 1 {
		t.Fatalf("c(first→last) = %d at distance %d, want 1", got, Window)
	}
	liked("u", "7", 9).addTo(m)
	if got := m.CoCount("100", "120"); got != 0 {
		t.Fatalf("c(first→last) = %d at distance %d, want 0", got, Window+1)
	}
	if before, after := m.CoCount("104", "7"), m.CoCount("7", "105"); before != 1 || after != 1 {
		t.Fatalf("the late event pairs %d and %d times, want 1 and 1", before, after)
	}
}

func TestAnyOrderGivesTheSameBytesAndScores(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 2))
		events := randomEvents(rng, 300)
		var want map[string]string
		var wantScores string
		for turn := range 8 {
			m := New()
			for _, e := range events {
				e.addTo(m)
			}
			got := rows(m)
			scores := scoresByID(m)
			if turn == 0 {
				want, wantScores = got, scores
			}
			diffRows(t, got, want)
			if scores != wantScores {
				t.Fatalf("seed %d, turn %d: scores depend on the order of arrival", seed, turn)
			}
			for range 40 {
				events = append(events, events[rng.IntN(len(events))])
			}
			rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		}
	}
}

// scoresByID writes the bits of every score, explanation and neighbour of every item with an event.
func scoresByID(m *Model) string {
	var b strings.Builder
	var s Scratch
	const now = 60 * dayMillis
	for _, source := range []Source{Popularity, DecayedPopularity, CoCounts, Blend} {
		dst := m.Score(nil, "u1", now, source, &s)
		for id := range m.Items() {
			at, _ := m.Lookup(id)
			fmt.Fprintf(&b, "%s %08x\n", id, math.Float32bits(dst[at]))
		}
	}
	for id := range m.Items() {
		fmt.Fprintln(&b, m.Explain("u2", now, &s, id), m.Similar(id, 5))
	}
	return b.String()
}

func TestDuplicateIsIgnored(t *testing.T) {
	m := New()
	e := liked("u", "1", 5)
	if !e.addTo(m) {
		t.Fatal("a new event was not added")
	}
	want := rows(m)
	m.ClearDirty()
	if e.addTo(m) {
		t.Fatal("a duplicate was added")
	}
	for id := range m.DirtyItems() {
		t.Fatalf("a duplicate made %s dirty", id)
	}
	diffRows(t, rows(m), want)
}

func TestConflictKeepsTheLesser(t *testing.T) {
	m := New()
	liked("u", "2", 5).addTo(m)
	if liked("u", "3", 5).addTo(m) {
		t.Fatal("the greater content was added")
	}
	if !liked("u", "1", 5).addTo(m) {
		t.Fatal("the lesser content was not added")
	}
	if ids := slices.Collect(m.Items()); !slices.Equal(ids, []string{"1"}) {
		t.Fatalf("items are %v, want 1", ids)
	}
	if !slices.Contains(slices.Collect(m.DirtyItems()), "2") || m.EncodeItem(nil, "2") != nil {
		t.Fatal("the item that lost its only event must be dirty and encode to nothing")
	}
}

func TestUserEntriesNewestFirst(t *testing.T) {
	m := New()
	for k, kind := range []string{"like", "dislike", "click", "dislike", "impression"} {
		event{"u", fmt.Sprint(k), int64(k), 1, signal.Default().Of(kind, 0)}.addTo(m)
	}
	var got []string
	for e := range m.UserEntries("u") {
		got = append(got, m.ItemID(e.Item))
	}
	if want := []string{"4", "3", "2", "1", "0"}; !slices.Equal(got, want) {
		t.Fatalf("entries are %v, want %v", got, want)
	}
	for range m.UserEntries("stranger") {
		t.Fatal("a stranger has an entry")
	}
}

// A store that takes only dirty rows, at random moments, must hold what a full export holds, and a
// model restored from it must go on as if nothing had happened.
func TestDirtyRowsAreEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	events := randomEvents(rng, 600)
	store := map[string]string{}
	m := New()
	flush := func() {
		for id := range m.DirtyUsers() {
			store["u/"+id] = string(m.EncodeUser(nil, id))
		}
		for id := range m.DirtyItems() {
			if row := m.EncodeItem(nil, id); len(row) > 0 {
				store["i/"+id] = string(row)
			} else {
				delete(store, "i/"+id)
			}
		}
		m.ClearDirty()
	}
	whole := New()
	for k, e := range events {
		e.addTo(m)
		e.addTo(whole)
		if rng.IntN(7) == 0 {
			flush()
		}
		if k == 300 {
			flush()
			m = restored(t, store)
		}
	}
	flush()
	diffRows(t, store, rows(whole))
	diffRows(t, rows(restored(t, store)), rows(whole))
	if scoresByID(m) != scoresByID(whole) || scoresByID(restored(t, store)) != scoresByID(whole) {
		t.Fatal("a restored model scores differently")
	}
}

func restored(t testing.TB, store map[string]string) *Model {
	t.Helper()
	m := New()
	for _, k := range slices.Sorted(maps.Keys(store)) {
		restore := m.RestoreUser
		if k[0] == 'i' {
			restore = m.RestoreItem
		}
		if err := restore(k[2:], []byte(store[k])); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRestoreInBulk(t *testing.T) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(7, 7)), 500) {
		e.addTo(m)
	}
	var users, items []Row
	for id := range m.Users() {
		users = append(users, Row{id, m.EncodeUser(nil, id)})
	}
	for id := range m.Items() {
		items = append(items, Row{id, m.EncodeItem(nil, id)})
	}
	for _, order := range []string{"items first", "users first", "items in two calls"} {
		t.Run(order, func(t *testing.T) {
			n := New()
			var err error
			switch order {
			case "items first":
				err = errors.Join(n.RestoreItems(items), n.RestoreUsers(users))
			case "users first":
				err = errors.Join(n.RestoreUsers(users), n.RestoreItems(items))
			default:
				err = errors.Join(n.RestoreItems(items[:9]), n.RestoreUsers(users), n.RestoreItems(items[9:]))
			}
			if err = errors.Join(err, n.Check()); err != nil {
				t.Fatal(err)
			}
			diffRows(t, rows(n), rows(m))
			if scoresByID(n) != scoresByID(m) {
				t.Fatal("a restored model scores differently")
			}
		})
	}
	if err := New().RestoreItems(append(items, items[0])); err == nil {
		t.Fatal("an item was taken twice in one call")
	}
	if err := New().RestoreUsers(append(users, users[0])); err == nil {
		t.Fatal("a user was taken twice in one call")
	}
	items[3].Data = items[3].Data[:4]
	if err := New().RestoreItems(items); err == nil || !strings.Contains(err.Error(), strconv.Quote(items[3].ID)) {
		t.Fatalf("error %v does not name item %s", err, items[3].ID)
	}
}

func TestRestoreRefuses(t *testing.T) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(4, 4)), 200) {
		e.addTo(m)
	}
	for key, row := range rows(m) {
		for cut := range len(row) {
			if err := restoreOne(New(), key, []byte(row[:cut])); err == nil {
				t.Fatalf("%s was taken cut at %d of %d", key, cut, len(row))
			}
		}
		if err := restoreOne(New(), key, append([]byte(row), 0)); err == nil {
			t.Fatalf("%s was taken with a byte too many", key)
		}
		if err := restoreOne(m, key, []byte(row)); err == nil {
			t.Fatalf("%s was taken twice", key)
		}
	}
	n := New()
	if err := n.RestoreItem("1", m.EncodeItem(nil, "1")); err != nil {
		t.Fatal(err)
	}
	if n.Check() == nil {
		t.Fatal("an item without its histories passed the check")
	}
}

func restoreOne(m *Model, key string, row []byte) error {
	if key[0] == 'i' {
		return m.RestoreItem(key[2:], row)
	}
	return m.RestoreUser(key[2:], row)
}

// What restore takes, it gives back byte for byte; the rest it refuses without a panic.
func FuzzRestore(f *testing.F) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(5, 5)), 60) {
		e.addTo(m)
	}
	for key, row := range rows(m) {
		f.Add(key[0] == 'i', []byte(row))
	}
	f.Fuzz(func(t *testing.T, isItem bool, row []byte) {
		m := New()
		if isItem {
			if m.RestoreItem("1", row) == nil && !bytes.Equal(m.EncodeItem(nil, "1"), row) {
				t.Fatal("an item row changed")
			}
		} else if m.RestoreUser("1", row) == nil && !bytes.Equal(m.EncodeUser(nil, "1"), row) {
			t.Fatal("a user row changed")
		}
		var s Scratch
		m.Score(nil, "1", 0, Blend, &s)
		m.Add("1", "1", 0, 0, signal.Default().Of("like", 0))
		m.Score(nil, "1", 0, Blend, &s)
		m.Similar("1", 3)
	})
}
