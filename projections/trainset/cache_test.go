package trainset

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/streams"
)

// naive is what a set says, read from the beginning of the log in the plainest way.
func (w *world) naive(cut streams.Cut) string {
	w.Helper()
	meanings := signal.Default()
	for com, err := range w.log.Ledger().Read(context.Background(), 0) {
		w.must(err)
		for i := range com.Events {
			if e, ok := com.Events[i].Data.(*events.SignalsDefined); ok && cut.Covers(com.Position) {
				meanings, err = signal.Parse([]byte(e.Definitions))
				w.must(err)
			}
		}
	}
	type fact struct {
		time       int64
		user, item string
		id         uint64
		signal     signal.Signal
		kind       string
		rating     float64
		place      streams.Position
	}
	var facts []fact
	users, items := map[string]bool{}, map[string]bool{}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		for rec, err := range w.log.Feed().Read(context.Background(), tp, 0) {
			w.must(err)
			ev, err := streams.ReadFact(rec)
			x, ok := ev.Data.(*events.Interaction)
			if err != nil || !ok || !cut.Covers(rec.Position) {
				continue
			}
			users[x.UserID], items[x.MovieID] = true, true
			facts = append(facts, fact{ev.Time.UnixMilli(), x.UserID, x.MovieID, events.FactHash(ev.Source, ev.ID, x), meanings.Of(x.Kind, x.Rating), x.Kind, x.Rating, rec.Position})
		}
	}
	slices.SortFunc(facts, func(a, b fact) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id), cmp.Compare(a.item, b.item), cmp.Compare(a.signal, b.signal),
			cmp.Compare(a.place.Partition, b.place.Partition), cmp.Compare(a.place.Offset, b.place.Offset))
	})
	facts = slices.CompactFunc(facts, func(a, b fact) bool { return a.time == b.time && a.user == b.user && a.id == b.id })
	all := slices.Clone(facts)
	facts = slices.DeleteFunc(facts, func(a fact) bool {
		return a.rating > 0 && slices.ContainsFunc(all, func(b fact) bool {
			return b.rating > 0 && a.time == b.time && a.user == b.user && a.item == b.item && a.kind == b.kind &&
				(a.place.Partition < b.place.Partition || a.place.Partition == b.place.Partition && a.place.Offset < b.place.Offset)
		})
	})
	w.corrected += len(all) - len(facts)
	out := fmt.Sprintln(meanings.Hash(), keys(users), keys(items))
	for _, f := range facts {
		out += fmt.Sprintln(f.time, f.user, f.item, f.signal, f.signal.Rating(), f.signal.Weight(), f.kind, f.rating)
	}
	return out
}

func keys(m map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}

// whole is all that a set with its acts says.
func (s *Set) whole() string {
	out := fmt.Sprintln(s.SignalsHash, s.Data.Users, s.Data.Items)
	for i, x := range s.Data.Samples {
		out += fmt.Sprintln(x.Time, s.Data.Users[x.User], s.Data.Items[x.Item], s.Signals[i], x.Rating, x.Weight, s.Acts.Kind(i), s.Acts.Rating(i))
	}
	return out
}

func (w *world) kept(c *Cache) []string {
	w.Helper()
	if c.Dir == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	w.must(err)
	return names
}

const otherSignals = "rating: {liked: 4.5, disliked: 1, seen: forever}\nkinds:\n  view: {weight: 0.25, popularity: true, seen: 7d}\n  like: {weight: -0.5}\nother: {seen: 1d}\n"

// happens publishes some random acts: late ones, of one time, repetitions, of people and films that nobody knows
// yet, and records that nobody can read.
func (w *world) happens(rng *rand.Rand, n int) {
	w.Helper()
	var acts []handlers.Identified
	for range n {
		id, user, film, minute := rng.IntN(60), rng.IntN(20), rng.IntN(15), rng.IntN(30)
		if rng.IntN(4) == 0 && len(acts) > 0 {
			acts = append(acts, acts[rng.IntN(len(acts))])
			continue
		}
		kind := []string{"rating", "like", "view", "dislike", "impression"}[rng.IntN(5)]
		rated := 0.
		if kind == "rating" {
			rated = float64(1+rng.IntN(50)) / 10
		}
		acts = append(acts, act(fmt.Sprint(id), fmt.Sprint(user), fmt.Sprint(film), kind, rated, minute))
		for rated > 0 && rng.IntN(3) == 0 { // another word on it
			acts = append(acts, act(fmt.Sprint(id, rng.IntN(9)), fmt.Sprint(user), fmt.Sprint(film), kind, float64(1+rng.IntN(50))/10, minute))
		}
	}
	if rng.IntN(4) == 0 { // by somebody who has another idea of partitions
		var recs []streams.Record
		for _, a := range acts {
			x := a.Fact.(*commands.RecordInteraction).Interaction
			at, err := time.Parse(time.RFC3339, x.Timestamp)
			w.must(err)
			rec, err := streams.FactRecord(fmt.Sprint(rng.IntN(9)), &events.Event{ID: a.ID, Source: "/elsewhere", Time: at, Data: &x})
			w.must(err)
			recs = append(recs, rec)
		}
		w.must(w.log.Feed().Publish(context.Background(), events.UserEventsTopic, recs))
	} else {
		w.facts(acts...)
	}
	if rng.IntN(3) == 0 {
		w.must(w.log.Feed().Publish(context.Background(), events.UserEventsTopic, []streams.Record{{Key: []byte(fmt.Sprint(rng.IntN(9))), Value: []byte("{no fact")}}))
	}
}

// said is something new of a film, a person or features.
func (w *world) said(rng *rand.Rand) {
	w.Helper()
	id := fmt.Sprint(rng.IntN(4))
	switch rng.IntN(4) {
	case 0:
		w.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: id, Title: fmt.Sprint("Film ", rng.IntN(9)), Year: 1990 + rng.IntN(9)}})
	case 1:
		w.dispatch(&commands.DescribeUser{User: events.User{UserID: id, Age: 1 + rng.IntN(90)}, Since: fmt.Sprintf("2024-01-%02dT00:00:00.000Z", 1+rng.IntN(20))})
	case 2:
		w.dispatch(&commands.DefineFeatures{Definitions: id, Hash: strings.Repeat(fmt.Sprintf("%02x", rng.IntN(9)), 32)})
	}
}

// Of the ledger, as of what people did, a later set reads only what came since.
func TestLedgerIsReadOnce(t *testing.T) {
	w := newWorld(t)
	log := &countingLog{Log: w.log}
	rng := rand.New(rand.NewPCG(8, 8))
	w.happens(rng, 20)
	for range 50 {
		w.said(rng)
	}
	c := &Cache{Dir: t.TempDir()}
	load := func(cut streams.Cut, want int) {
		t.Helper()
		log.commits = 0
		_, err := c.LoadActs(context.Background(), log, cut, nil)
		w.must(err)
		if log.commits != want {
			t.Errorf("%d commits were read, want %d", log.commits, want)
		}
	}
	early := w.head()
	there := int(early[streams.TP{Topic: events.LedgerTopic}])
	load(early, there)
	load(early, 0)
	w.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "new", Title: "New"}})
	load(early, 0)
	load(w.head(), 1)
	load(early, there) // of an earlier cut from the beginning
	load(w.head(), 0)
}

type countingLog struct {
	streams.Log
	commits int
}

func (l *countingLog) Ledger() streams.Ledger { return countingLedger{l.Log.Ledger(), l} }

type countingLedger struct {
	streams.Ledger
	log *countingLog
}

func (l countingLedger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range l.Ledger.Read(ctx, from) {
			if !yield(c, err) {
				return
			}
			l.log.commits++
		}
	}
}

// A set made of what was kept and of what came since is the one that the log gives from its beginning, at any cut, in
// any order of cuts, whatever acts meant when the facts were kept.
func TestCache(t *testing.T) {
	corrected := 0
	defer func() {
		if corrected < 1000 {
			t.Errorf("%d ratings were corrected: the logs do not try it", corrected)
		}
	}()
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 4))
		w := newWorld(t)
		defer func() { corrected += w.corrected }()
		c := &Cache{Dir: filepath.Join(t.TempDir(), "facts"), Warn: func(err error) { t.Error(err) }}
		if seed == 0 {
			c.Dir = ""
		}
		var cuts []streams.Cut
		type loaded struct{ s, alone *Set }
		var sets []loaded
		for step := range 30 {
			w.happens(rng, 1+rng.IntN(20))
			if rng.IntN(8) == 0 {
				text := []string{signal.DefaultYAML(), otherSignals}[rng.IntN(2)]
				d, err := signal.Parse([]byte(text))
				w.must(err)
				w.dispatch(&commands.DefineSignals{Definitions: text, Hash: d.Hash()})
			}
			cut := w.head()
			for tp := range cut { // part of what came last
				if tp.Topic == events.UserEventsTopic && rng.IntN(3) == 0 && cut[tp] > 0 {
					cut[tp] -= int64(rng.IntN(int(min(cut[tp], 4))))
				}
			}
			cuts = append(cuts, cut)
			if rng.IntN(3) == 0 {
				cut = cuts[rng.IntN(len(cuts))]
			}
			w.said(rng)
			want := w.naive(cut)
			alone, err := new(Cache).LoadActs(context.Background(), w.log, cut, nil)
			w.must(err)
			s, err := c.LoadActs(context.Background(), w.log, cut, nil)
			w.must(err)
			if got := s.whole(); got != want {
				t.Fatalf("seed %d, step %d, at %s, with %v:\n%s\nwant\n%s", seed, step, cut, w.kept(c), got, want)
			}
			if s.FeaturesHash != alone.FeaturesHash || !reflect.DeepEqual(s.Movies, alone.Movies) || !reflect.DeepEqual(s.People, alone.People) {
				t.Fatalf("seed %d, step %d, at %s: of films, people and features\n%v %v %s\nwant\n%v %v %s", seed, step, cut, s.Movies, s.People, s.FeaturesHash, alone.Movies, alone.People, alone.FeaturesHash)
			}
			if len(sets) > 0 && rng.IntN(2) == 0 { // what an earlier set has does not change
				if i := rng.IntN(len(sets)); !reflect.DeepEqual(sets[i].s.People, sets[i].alone.People) || !reflect.DeepEqual(sets[i].s.Movies, sets[i].alone.Movies) {
					t.Fatalf("seed %d, step %d: a set has changed", seed, step)
				}
			}
			sets = append(sets, loaded{s, alone})
			plain, err := c.Load(context.Background(), w.log, cut, nil)
			w.must(err)
			if !slices.Equal(plain.said(), s.said()) || !slices.Equal(plain.Signals, s.Signals) || plain.Acts != nil {
				t.Fatalf("seed %d: without acts it is another set", seed)
			}
			if info, err := os.Stat(c.Dir); c.Dir != "" && (err != nil || info.Mode().Perm() != 0o700) {
				t.Fatalf("the folder of what people did may be read by others: %v, %v", info.Mode(), err)
			}
			if n := len(w.kept(c)); n > filesMax || c.Dir != "" && n == 0 {
				t.Fatalf("%d files are kept", n)
			}
		}
	}
}

// A file that is damaged anywhere, cut off, called otherwise, or of another log is not used, and does not stay.
func TestCacheDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	w := newWorld(t)
	w.happens(rng, 40)
	cut := w.head()
	want := w.naive(cut)
	c := &Cache{Dir: t.TempDir(), Warn: func(err error) { t.Error(err) }}
	load := func(c *Cache, w *world) string {
		t.Helper()
		s, err := c.LoadActs(context.Background(), w.log, w.head(), nil)
		w.must(err)
		return s.whole()
	}
	if load(c, w) != want || len(w.kept(c)) != 1 {
		t.Fatalf("kept %v", w.kept(c))
	}
	path := w.kept(c)[0]
	whole, err := os.ReadFile(path)
	w.must(err)
	w.must(os.WriteFile(path+tmpSuffix, whole, 0o600)) // of a process that was killed
	for at := range 2 * len(whole) {
		damaged := slices.Clone(whole)
		if at < len(whole) {
			damaged[at] ^= byte(1 + rng.IntN(255))
		} else {
			damaged = damaged[:at-len(whole)]
		}
		w.must(os.WriteFile(path, damaged, 0o600))
		if got := load(c, w); got != want {
			t.Fatalf("damaged at %d of %d:\n%s\nwant\n%s", at, len(whole), got, want)
		}
		if now, err := os.ReadFile(path); err != nil || !slices.Equal(now, whole) {
			t.Fatalf("damaged at %d of %d, the file stayed: %v", at, len(whole), err)
		}
		if n := len(w.kept(c)); n != 1 {
			t.Fatalf("left are %v", w.kept(c))
		}
	}

	// One that says it ends earlier than it does.
	w.must(os.Rename(path, filepath.Join(c.Dir, "1-1-1"+suffix)))
	early := streams.Cut{}
	for p := range int32(3) {
		early[streams.TP{Topic: events.UserEventsTopic, Partition: p}] = 1
	}
	s, err := c.LoadActs(context.Background(), w.log, early, nil)
	w.must(err)
	if got, want := s.whole(), w.naive(early); got != want {
		t.Fatalf("early:\n%s\nwant\n%s", got, want)
	}
	if load(c, w) != want {
		t.Fatal("after an early one it is another set")
	}

	other := newWorld(t) // with as many records, and others in it
	for len(w.kept(c)) > 0 && fmt.Sprint(other.head()) != fmt.Sprint(cut) {
		for tp, n := range cut {
			if tp.Topic != events.UserEventsTopic || other.head()[tp] >= n {
				continue
			}
			for user := range 100 {
				if streams.PartitionOf([]byte(fmt.Sprint(user)), 3) == tp.Partition {
					other.facts(act("x", fmt.Sprint(user), "1", "like", 0, rng.IntN(9)))
					break
				}
			}
		}
	}
	if got, want := load(c, other), other.naive(other.head()); got != want {
		t.Fatalf("of another log:\n%s\nwant\n%s", got, want)
	}
}

// Of two facts under one name, which only hashes that meet can give, the one of the lesser film and then of the lesser
// signal is in the set.
func TestOneName(t *testing.T) {
	n := &names{users: []string{"1"}, items: []string{"7", "8"}}
	for kind, stars := range map[string]float64{"like": 0, "rating": 1, "review": .5, "view": 0} {
		n.acts = append(n.acts, string(appendAct(nil, kind, starsOf(stars), 0)))
	}
	slices.Sort(n.acts)
	acts := n.read()
	same := []fact{{9, 5, 0, 0, 0, 0}, {9, 5, 0, 0, 1, 0}, {9, 5, 0, 0, 3, 0}, {9, 5, 0, 1, 2, 0}, {9, 6, 0, 1, 2, 0}}
	for range 20 {
		var sources []source
		for _, f := range same {
			sources = append(sources, &inMemory{&run{facts: []fact{f, f}}})
		}
		rand.Shuffle(len(sources), func(i, k int) { sources[i], sources[k] = sources[k], sources[i] })
		s := &Set{meanings: signal.Default()}
		s.fill(n, acts, 9, true, acts.settled(acts.merged(sources)))
		least := min(s.meanings.Of("like", 0), s.meanings.Of("rating", 1), s.meanings.Of("view", 0))
		if len(s.Signals) != 2 || s.Signals[0] != least || s.meanings.Of(s.Acts.Kind(0), s.Acts.Rating(0)) != least || s.Data.Samples[0].Item != 0 || s.Data.Samples[0].Weight != least.Weight() {
			t.Fatalf("%v", s.whole())
		}
	}
}

// What cannot be kept is no reason not to train.
func TestCacheCannotWrite(t *testing.T) {
	w := newWorld(t)
	w.facts(act("a", "1", "7", "like", 0, 1))
	path := filepath.Join(t.TempDir(), "file")
	w.must(os.WriteFile(path, nil, 0o600))
	warned := 0
	c := &Cache{Dir: path, Warn: func(error) { warned++ }}
	if s, err := c.Load(context.Background(), w.log, w.head(), nil); err != nil || len(s.Signals) != 1 || warned != 1 {
		t.Fatal(err, warned)
	}
}

// A cut that is ahead of the log holds what there is, and nothing is kept as if it were all.
func TestCacheAheadOfTheLog(t *testing.T) {
	w := newWorld(t)
	c := &Cache{Dir: t.TempDir()}
	w.facts(act("a", "1", "7", "like", 0, 1))
	cut := w.head()
	for tp := range cut {
		cut[tp] += 1 << 40
	}
	for range 3 {
		s, err := c.Load(context.Background(), w.log, cut, nil)
		w.must(err)
		if got, want := len(s.Signals), int(w.head()[streams.TP{Topic: events.UserEventsTopic}]+w.head()[streams.TP{Topic: events.UserEventsTopic, Partition: 1}]+w.head()[streams.TP{Topic: events.UserEventsTopic, Partition: 2}]); got != want {
			t.Fatalf("%d samples, want %d", got, want)
		}
		w.facts(act("b"+fmt.Sprint(len(s.Signals)), "1", "7", "like", 0, 1), act("c"+fmt.Sprint(len(s.Signals)), "2", "7", "like", 0, 1))
	}
}
