package online

import (
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

// prefixes are how rows below name tables.
var prefixes = map[Table]string{UserRows: "u/", ItemRows: "i/", NextRows: "n/"}

// rows exports a whole model: prefix and id → bytes.
func rows(m *Model) stored {
	out := stored{}
	add := func(table Table, id string) {
		if row := m.Encode(nil, table, id); len(row) > 0 {
			out[prefixes[table]+id] = string(row)
		}
	}
	for id := range m.Users() {
		add(UserRows, id)
	}
	for id := range m.Items() {
		add(ItemRows, id)
		add(NextRows, id)
	}
	return out
}

// stored is a store of a model's rows.
type stored map[string]string

func (s stored) Row(t Table, id string) ([]byte, error) {
	if row, ok := s[prefixes[t]+id]; ok {
		return []byte(row), nil
	}
	return nil, nil
}

func (s stored) write(t Table, id string, row []byte) error {
	if len(row) == 0 {
		delete(s, prefixes[t]+id)
	} else {
		s[prefixes[t]+id] = string(row)
	}
	return nil
}

// save writes what has changed of a model.
func (s stored) save(t testing.TB, m *Model) {
	t.Helper()
	finish(t, m.Save(s.write))
}

func finish(t testing.TB, save *Save) {
	t.Helper()
	for {
		if done, err := save.Step(); err != nil {
			t.Fatal(err)
		} else if done {
			return
		}
	}
}

// open is a model over the store, with nothing at hand that need not be.
func (s stored) open() (*Model, error) {
	m := New()
	return m, m.Restore(func(yield func(Row, error) bool) {
		for _, k := range slices.Sorted(maps.Keys(s)) {
			if id, ok := strings.CutPrefix(k, "i/"); ok && !yield(Row{id, []byte(s[k])}, nil) {
				return
			}
		}
	}, s)
}

// fetched is a model over the store with everything at hand.
func (s stored) fetched() (*Model, error) {
	m, err := s.open()
	if err != nil {
		return m, err
	}
	for k := range s {
		if id, ok := strings.CutPrefix(k, "u/"); ok {
			if err := m.FetchUser(id); err != nil {
				return m, err
			}
		}
	}
	if left, err := m.FetchNexts(len(s)); err != nil || left > 0 {
		return m, fmt.Errorf("%d rows left: %w", left, err)
	}
	return m, nil
}

func diffRows(t *testing.T, got, want stored) {
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
			after := make([]uint32, len(m.items))
			m.items[i].next.spread(after)
			for _, n := range after {
				total += n
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
		var want stored
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
	stored{}.save(t, m)
	if e.addTo(m) {
		t.Fatal("a duplicate was added")
	}
	changed := stored{}
	if changed.save(t, m); len(changed) > 0 {
		t.Fatalf("a duplicate has changed %v", changed)
	}
	diffRows(t, rows(m), want)
}

func TestConflictKeepsTheLesser(t *testing.T) {
	m := New()
	liked("u", "2", 5).addTo(m)
	stored{}.save(t, m)
	if liked("u", "3", 5).addTo(m) {
		t.Fatal("the greater content was added")
	}
	if !liked("u", "1", 5).addTo(m) {
		t.Fatal("the lesser content was not added")
	}
	if ids := slices.Collect(m.Items()); !slices.Equal(ids, []string{"1"}) {
		t.Fatalf("items are %v, want 1", ids)
	}
	store := stored{"i/2": "what was there"}
	if store.save(t, m); store["i/2"] != "" || store["i/1"] == "" {
		t.Fatal("the row of an item that lost its only event is still there")
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

// A store that takes only what has changed, at random moments and while events go on coming, holds what a whole export
// held when the save began; a model that is opened over it, and lets go of people now and then, goes on as if nothing had
// happened.
func TestSavedRowsAreEnough(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		store := stored{}
		m, err := store.open()
		if err != nil {
			t.Fatal(err)
		}
		whole := New()
		var save *Save
		var saved stored // by the save under way, and what the store is to be then
		var want stored
		for _, e := range randomEvents(rng, 600) {
			if err := m.FetchUser(e.user); err != nil {
				t.Fatal(err)
			}
			e.addTo(m)
			e.addTo(whole)
			switch {
			case save == nil && rng.IntN(7) == 0:
				saved, want = maps.Clone(store), rows(whole)
				save = m.Save(saved.write)
			case save == nil && rng.IntN(3) == 0:
				m.Rest()
			case save == nil && rng.IntN(30) == 0:
				finish(t, m.Save(store.write))
				if m, err = store.open(); err != nil {
					t.Fatal(err)
				}
			case save != nil:
				done, err := save.Step()
				if err != nil {
					t.Fatal(err)
				}
				if done {
					save = nil
					diffRows(t, saved, want)
					maps.DeleteFunc(store, func(k, _ string) bool { return saved[k] == "" })
					maps.Copy(store, saved)
				}
			}
			if err := m.Fetch("u1"); err != nil {
				t.Fatal(err)
			}
			var s, w Scratch
			got, want := m.Score(nil, "u1", 0, Blend, &s), whole.Score(nil, "u1", 0, Blend, &w)
			for i, x := range got {
				if at, ok := whole.Lookup(m.ItemID(i)); !ok || math.Float32bits(want[at]) != math.Float32bits(x) {
					t.Fatalf("seed %d: the score of %s is %v, want %v", seed, m.ItemID(i), x, want[at])
				}
			}
		}
		if save != nil {
			finish(t, save)
			maps.DeleteFunc(store, func(k, _ string) bool { return saved[k] == "" })
			maps.Copy(store, saved)
		}
		store.save(t, m)
		diffRows(t, store, rows(whole))
		again, err := store.fetched()
		if err != nil {
			t.Fatal(err)
		}
		diffRows(t, rows(again), rows(whole))
		if scoresByID(again) != scoresByID(whole) || !slices.Equal(again.days, whole.days) {
			t.Fatal("a restored model scores differently")
		}
	}
}

// What is not at hand is not taken for what is not there.
func TestWhatWasNotFetchedIsNotAnswered(t *testing.T) {
	store := rows(small())
	for name, read := range map[string]func(m *Model){
		"a person's events":    func(m *Model) { m.UserEvents("a") },
		"a score":              func(m *Model) { m.Score(nil, "a", 0, Blend, new(Scratch)) },
		"an event":             func(m *Model) { liked("a", "1", 7).addTo(m) },
		"co-counts":            func(m *Model) { m.CoCount("1", "2") },
		"similar items":        func(m *Model) { m.Similar("2", 1) },
		"a score without rows": func(m *Model) { m.FetchUser("a"); m.Score(nil, "a", 0, Blend, new(Scratch)) }, //nolint:errcheck // of a map
	} {
		t.Run(name, func(t *testing.T) {
			m, err := store.open()
			if err != nil {
				t.Fatal(err)
			}
			if m.Fetched("a") {
				t.Error("all is at hand")
			}
			defer func() {
				if recover() == nil {
					t.Error("it was answered")
				}
			}()
			read(m)
		})
	}
}

func TestRestLetsGoOfPeople(t *testing.T) {
	m, err := rows(small()).open()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "stranger"} {
		if err := m.Fetch(id); err != nil {
			t.Fatal(err)
		}
	}
	liked("a", "1", 7).addTo(m)
	m.Rest()
	if err := m.Fetch("b"); err != nil || len(m.users) != 3 {
		t.Fatalf("%d people at hand, who were met just before; %v", len(m.users), err)
	}
	m.Rest()
	if ids := slices.Sorted(maps.Keys(m.users)); !slices.Equal(ids, []string{"a", "b"}) {
		t.Fatalf("%q are at hand: want a, who is not saved, and b, who was met", ids)
	}
}

func TestRestoreRefuses(t *testing.T) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(4, 4)), 200) {
		e.addTo(m)
	}
	whole := rows(m)
	for key, row := range whole {
		without := maps.Clone(whole)
		for cut := range len(row) {
			without[key] = row[:cut]
			if _, err := without.fetched(); err == nil {
				t.Fatalf("%s was taken cut at %d of %d", key, cut, len(row))
			} else if !strings.Contains(err.Error(), strconv.Quote(key[2:])) {
				t.Fatalf("error %v does not name %s", err, key)
			}
		}
		without[key] = row + "\x00"
		if _, err := without.fetched(); err == nil {
			t.Fatalf("%s was taken with a byte too many", key)
		}
		if key[0] != 'i' {
			continue
		}
		delete(without, key)
		if _, err := without.fetched(); err == nil {
			t.Fatalf("%s is missing, and others that name it were taken", key)
		}
	}
	if m.Restore(func(func(Row, error) bool) {}, whole) == nil {
		t.Fatal("a model that is not new was restored into")
	}
	twice := func(yield func(Row, error) bool) {
		for range 2 {
			if !yield(Row{"1", []byte(whole["i/1"])}, nil) {
				return
			}
		}
	}
	if New().Restore(twice, whole) == nil {
		t.Fatal("an item was taken twice")
	}
}

// What restore takes, it gives back byte for byte; the rest it refuses without a panic.
func FuzzRestore(f *testing.F) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(5, 5)), 60) {
		e.addTo(m)
	}
	for key, row := range rows(m) {
		f.Add(uint8(strings.IndexByte("uin", key[0])), []byte(row))
	}
	whole, item := rows(m), ""
	for id := range m.Items() {
		if whole["n/"+id] != "" {
			item = id
		}
	}
	f.Fuzz(func(t *testing.T, table uint8, row []byte) {
		id := item
		if Table(table)%3 == UserRows {
			id = "u1"
		}
		changed, key := maps.Clone(whole), prefixes[Table(table)%3]+id
		if changed[key] = string(row); len(row) == 0 {
			delete(changed, key)
		}
		m, err := changed.fetched()
		if err != nil {
			return
		}
		if err := m.Fetch("u1"); err != nil {
			t.Fatal(err)
		}
		if got := m.Encode(nil, Table(table)%3, id); string(got) != changed[key] {
			t.Fatalf("the row is %x, was %x", got, row)
		}
		if err := m.Fetch("1"); err != nil {
			t.Fatal(err)
		}
		var s Scratch
		m.Score(nil, "1", 0, Blend, &s)
		m.Add("1", "1", 0, 0, signal.Default().Of("like", 0))
		m.Score(nil, "1", 0, Blend, &s)
		m.Similar("1", 3)
	})
}
