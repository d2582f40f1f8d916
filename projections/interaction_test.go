package projections_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

func collect[T any](t testing.TB, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		must0(t, err)
		all = append(all, v)
	}
	return all
}

func rate(user, movie string, rating float64) *events.Interaction {
	return &events.Interaction{UserID: user, MovieID: movie, Kind: "rating", Rating: rating, SessionID: "s1"}
}

func brief(facts []projections.Fact) (out []string) {
	for _, f := range facts {
		out = append(out, fmt.Sprintf("%s %s %s %g @%d", f.UserID, f.MovieID, f.Kind, f.Rating, f.EventMillis))
	}
	return out
}

func historyScript() *foldtest.Script {
	s := foldtest.NewScript()
	s.Fact("user-events", 0, "a", 300, 1000, rate("7", "42", 4.5))
	s.Fact("user-events", 0, "b", 100, 1001, rate("user_007", "movie_43", 3))
	s.Fact("user-events", 0, "a", 300, 1002, rate("7", "42", 4.5)) // published again
	s.Fact("user-events", 1, "c", 200, 1003, rate("anna", "42", 0.5))
	s.Fact("user-events", 2, "a", 300, 999, rate("7", "42", 4.5)) // again, by another key, and recorded first
	s.Fact("user-events", 0, "d", 300, 1004, &events.Interaction{UserID: "7", MovieID: "42", Kind: "hummed"})
	s.Fact("user-events", 0, "e", -5, 1005, rate("7", "tt1", 10.0/3)) // before 1970
	s.In = append(s.In, fold.Input{Event: &events.Event{Data: &events.SystemHealth{}}})
	return s
}

func TestHistories(t *testing.T) {
	h := foldtest.Opened(t, projections.NewHistories(), historyScript().In)
	equal(t, "a person's facts", brief(collect(t, h.User("user_7", fold.At{}))),
		[]string{"7 tt1 rating 3.3333333333333335 @-5", "7 43 rating 3 @100", "7 42 hummed 0 @300", "7 42 rating 4.5 @300"})
	equal(t, "a film's facts", brief(collect(t, h.Movie("0042", fold.At{}))),
		[]string{"anna 42 rating 0.5 @200", "7 42 hummed 0 @300", "7 42 rating 4.5 @300"})

	facts := collect(t, h.User("7", fold.At{}))
	want := projections.Fact{UserID: "7", MovieID: "42", Kind: "rating", Rating: 4.5, EventMillis: 300, RecordedMillis: 999, Partition: 2, SessionID: "s1", EventID: "a", Source: "/test"}
	equal(t, "of a fact published three times the first recorded", facts[3], want)
	equal(t, "its record", facts[3].Position().String(), "user-events/2@0")
	equal(t, "nobody", brief(collect(t, h.User("8", fold.At{}))), nil)

	ids := func(all ...string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, id := range all {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
	many := []string{"8", "7", "user_7", "42", "anna", "ann"}
	for i := range 3000 { // more than are looked up together
		many = append(many, fmt.Sprint("x", i), "7")
	}
	var unknown []string
	for _, id := range many {
		if id != "7" && id != "user_7" && id != "anna" {
			unknown = append(unknown, id)
		}
	}
	equal(t, "unknown people", collect(t, h.UnknownUsers(ids(many...))), unknown)
	equal(t, "unknown films", collect(t, h.UnknownMovies(ids("7", "0042", "43", "44"))), []string{"7", "44"})
	equal(t, "people", collect(t, h.UserIDs()), []string{"7", "anna"})
	equal(t, "films", collect(t, h.MovieIDs()), []string{"42", "43", "tt1"})
	equal(t, "of nothing", collect(t, foldtest.Opened(t, projections.NewHistories(), nil).MovieIDs()), nil)
}

func TestHistoriesAt(t *testing.T) {
	h := foldtest.Opened(t, projections.NewHistories(), historyScript().In)
	equal(t, "as of 100", brief(collect(t, h.User("7", fold.At{EventMillis: 100}))), []string{"7 tt1 rating 3.3333333333333335 @-5", "7 43 rating 3 @100"})
	equal(t, "known at 1001", brief(collect(t, h.User("7", fold.At{RecordedMillis: 1001}))), []string{"7 43 rating 3 @100", "7 42 rating 4.5 @300"})
	cut := streams.Cut{{Topic: "user-events", Partition: 0}: 3}
	facts := collect(t, h.User("7", fold.At{Cut: cut}))
	equal(t, "known at a cut", brief(facts), []string{"7 43 rating 3 @100", "7 42 rating 4.5 @300"})
	equal(t, "the first recorded that the cut covers", facts[1].Position().String(), "user-events/0@0")
	equal(t, "known at the empty cut", brief(collect(t, h.User("7", fold.At{Cut: streams.Cut{}}))), nil)
}

// TestHistoriesCorrections: of ratings of one person, film, kind and event time the last recorded counts: by offset within a
// partition, then by the partition's number.
func TestHistoriesCorrections(t *testing.T) {
	s := foldtest.NewScript()
	s.Fact("user-events", 1, "a", 300, 1000, rate("7", "42", 2))
	s.Fact("user-events", 1, "b", 300, 1001, rate("7", "42", 4.5))
	s.Fact("user-events", 1, "a", 300, 1002, rate("7", "42", 2)) // a repetition changes nothing
	s.Fact("user-events", 1, "c", 300, 1003, &events.Interaction{UserID: "7", MovieID: "42", Kind: "review", Rating: 1})
	s.Fact("user-events", 1, "d", 300, 1004, &events.Interaction{UserID: "7", MovieID: "42", Kind: "click"})
	s.Fact("user-events", 1, "e", 301, 1005, rate("7", "42", 3))
	s.Fact("user-events", 1, "f", 300, 1006, rate("7", "43", 3))
	s.Fact("user-events", 0, "g", 300, 1007, rate("7", "42", 5))   // an earlier partition
	s.Fact("user-events", 0, "b", 300, 1008, rate("7", "42", 4.5)) // so that this was recorded there too
	s.Fact("user-events", 1, "h", 300, 1009, rate("8", "42", 1))
	h := foldtest.Opened(t, projections.NewHistories(), s.In)
	shown := func(facts []projections.Fact) (out []string) {
		for _, f := range facts {
			out = append(out, fmt.Sprintf("%s %s %g %d %v", f.UserID+f.MovieID, f.Kind, f.Rating, f.Turn, f.Superseded))
		}
		slices.Sort(out)
		return out
	}
	others := []string{"742 click 0 0 false", "742 rating 3 0 false", "742 review 1 0 false", "743 rating 3 0 false"}
	for _, c := range []struct {
		known int64
		want  []string
	}{
		{1000, []string{"742 rating 2 0 false"}},
		{1002, []string{"742 rating 2 1 true", "742 rating 4.5 2 false"}},
		{1007, append([]string{"742 rating 2 2 true", "742 rating 4.5 3 false", "742 rating 5 1 true"}, others...)},
		{0, append([]string{"742 rating 2 3 false", "742 rating 4.5 2 true", "742 rating 5 1 true"}, others...)},
	} {
		slices.Sort(c.want)
		at := fold.At{RecordedMillis: c.known}
		equal(t, fmt.Sprint("known at ", c.known), shown(collect(t, h.User("7", at))), c.want)
		film := slices.DeleteFunc(collect(t, h.Movie("42", at)), func(f projections.Fact) bool { return f.UserID == "8" })
		equal(t, fmt.Sprint("of the film, known at ", c.known), shown(film), slices.DeleteFunc(c.want, func(s string) bool { return s[:3] == "743" }))
	}
	page := must[fold.Page[projections.Fact]](t)(h.UserPage("7", projections.HistoryQuery{Newest: true, Page: fold.PageQuery{Limit: 100}}))
	equal(t, "newest first", shown(page.Items), shown(collect(t, h.User("7", fold.At{}))))
}

// TestOnlineCountsAsHistories: of a log with corrections and repetitions, some over several partitions, both views have the
// same facts count, of every film and every person.
func TestOnlineCountsAsHistories(t *testing.T) {
	log := randomLog(rand.New(rand.NewPCG(5, 6)), 3000)
	var in []fold.Input
	for tp, part := range log {
		if tp.Topic == events.UserEventsTopic {
			in = append(in, admittedBy(projections.NewHistories().Spec(), part)...)
		}
	}
	histories, learned := foldtest.Opened(t, projections.NewHistories(), in), foldtest.Opened(t, projections.NewOnline(), in)
	superseded := 0
	for _, film := range []string{"movie_42", "7", "tt9"} {
		want := features.NewState(features.Movie)
		for _, f := range collect(t, histories.Movie(film, fold.At{})) {
			if f.Superseded {
				superseded++
			} else {
				want.Add(features.Fact{TimeMillis: f.EventMillis, Kind: f.Kind, Rating: f.Rating})
			}
		}
		must0(t, learned.Film(film, func(s *features.State) {
			equal(t, "state of "+film, fmt.Sprintf("%x", s.AppendTo(nil)), fmt.Sprintf("%x", want.AppendTo(nil)))
		}))
	}
	if superseded < 50 {
		t.Errorf("%d ratings were superseded: the log does not try it", superseded)
	}
	for _, user := range []string{"1", "007", "user_12", "anna", "0"} {
		n := 0
		for _, f := range collect(t, histories.User(user, fold.At{})) {
			if !f.Superseded {
				n++
			}
		}
		must0(t, learned.ReadFor(user, func(m *online.Model, _ streams.Cut) { equal(t, "facts of "+user, m.UserEvents(user), n) }))
	}
}

// TestHistoryPages reads a history with bursts and duplicates in pages of every size, both ways, and
// compares with the whole.
func TestHistoryPages(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	s := foldtest.NewScript()
	for i := range 200 {
		millis, recorded := int64(rng.IntN(4)), int64(i)
		if i > 120 {
			millis = 2 // more than 32 in one millisecond
		}
		s.Fact("user-events", int32(rng.IntN(3)), fmt.Sprint("e", rng.IntN(90)), millis, recorded, rate("7", "42", 1))
	}
	h := foldtest.Opened(t, projections.NewHistories(), s.In)
	all := collect(t, h.User("7", fold.At{}))
	seen := map[string]bool{}
	for _, f := range all {
		k := fmt.Sprint(f.EventMillis, f.EventID)
		if seen[k] {
			t.Fatalf("event %s at %d is there twice", f.EventID, f.EventMillis)
		}
		seen[k] = true
	}
	distinct := map[string]int64{}
	for _, in := range s.In {
		k := fmt.Sprint(in.Event.Time.UnixMilli(), in.Event.ID)
		if at, ok := distinct[k]; !ok || in.RecordedMillis < at {
			distinct[k] = in.RecordedMillis
		}
	}
	equal(t, "facts without duplicates", len(all), len(distinct))
	for _, f := range all {
		if want := distinct[fmt.Sprint(f.EventMillis, f.EventID)]; f.RecordedMillis != want {
			t.Fatalf("event %s at %d was first recorded at %d, not %d", f.EventID, f.EventMillis, want, f.RecordedMillis)
		}
	}
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for _, limit := range []int{1, 7, 64, 1000} {
		for _, newest := range []bool{false, true} {
			want := all
			if newest {
				want = backwards
			}
			var got []projections.Fact
			q := projections.HistoryQuery{Newest: newest, Page: fold.PageQuery{Limit: limit}}
			for {
				p := must[fold.Page[projections.Fact]](t)(h.UserPage("7", q))
				if len(p.Items) > limit {
					t.Fatalf("page of %d facts; limit %d", len(p.Items), limit)
				}
				got = append(got, p.Items...)
				if q.Page.Cursor = p.Next; p.Next == "" {
					break
				}
			}
			equal(t, fmt.Sprintf("pages of %d, newest %v", limit, newest), got, want)
		}
	}
	p := must[fold.Page[projections.Fact]](t)(h.UserPage("7", projections.HistoryQuery{FromMillis: 1, ToMillis: 2}))
	for _, f := range p.Items {
		equal(t, "event time within [1, 2)", f.EventMillis, 1)
	}
	if len(p.Items) == 0 {
		t.Error("nothing within [1, 2)")
	}
}

func TestHistoryPageRefuses(t *testing.T) {
	h := foldtest.Opened(t, projections.NewHistories(), historyScript().In)
	for _, q := range []fold.PageQuery{{Limit: -1}, {Limit: fold.PageLimitMax + 1}, {Cursor: "x"}, {Cursor: "!"}} {
		if _, err := h.MoviePage("42", projections.HistoryQuery{Page: q}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: error %v; want an invalid one", q, err)
		}
	}
}

type discard struct {
	foldtest.Memory
	bytes, pairs int64
}

func (d *discard) Set(k, v []byte) error {
	d.bytes += int64(len(k) + len(v))
	d.pairs++
	return nil
}
func (d *discard) Delete([]byte) error { return nil }

// BenchmarkHistoriesApply folds chunks of 8192 facts into a writer that drops them.
func BenchmarkHistoriesApply(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 5))
	s := foldtest.NewScript()
	for i := range 8192 {
		in := rate(fmt.Sprint(rng.IntN(160_000)), fmt.Sprint(rng.IntN(60_000)), 3.5)
		in.SessionID = ""
		s.Fact("user-events", int32(i%3), fmt.Sprintf("%08x-0000-4000-8000-%012x", rng.Uint32(), i), 1_400_000_000_000+rng.Int64N(1e11), 1_700_000_000_000+int64(i), in)
		s.In[i].Position.Offset += 5_000_000
		s.In[i].Event.Source = "/import/movietweetings"
	}
	h, w := projections.NewHistories(), &discard{}
	b.ReportAllocs()
	for b.Loop() {
		must0(b, h.Apply(w, s.In))
	}
	b.ReportMetric(float64(b.N)*8192/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(w.bytes)/float64(w.pairs/2), "bytes/event")
}

// BenchmarkHistoriesRead reads a person's thousand facts.
func BenchmarkHistoriesRead(b *testing.B) {
	s := foldtest.NewScript()
	for i := range 1000 {
		s.Fact("user-events", 0, fmt.Sprintf("00000000-0000-4000-8000-%012x", i), int64(i), int64(i), rate("7", fmt.Sprint(i), 3.5))
	}
	h := foldtest.Opened(b, projections.NewHistories(), s.In)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range h.User("7", fold.At{}) {
			must0(b, err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "facts/s")
}

// A page looks at a bounded number of acts, admitted or not, up to the end of a millisecond, and pages lead through all of them.
func TestHistoryPagesAreBounded(t *testing.T) {
	before := *projections.HistoryLookMax
	*projections.HistoryLookMax = 10
	t.Cleanup(func() { *projections.HistoryLookMax = before })
	s := foldtest.NewScript()
	for i := range int64(100) {
		s.Fact("user-events", int32(i%3), fmt.Sprint("e", i), 100+i/4, 1000+i%50, rate("7", fmt.Sprint(i), 3)) // four in a millisecond
	}
	for i := range int64(30) {
		s.Fact("user-events", 0, fmt.Sprint("m", i), 200, 5000, rate("7", fmt.Sprint("m", i), 3)) // and thirty in one
	}
	h := foldtest.Opened(t, projections.NewHistories(), s.In)
	after := streams.Cut{}
	for _, in := range s.In[:90] {
		after[in.Position.TP] = max(after[in.Position.TP], in.Position.Offset+1)
	}
	for name, q := range map[string]projections.HistoryQuery{
		"all": {}, "newest": {Newest: true}, "early": {At: fold.At{RecordedMillis: 1003}}, "early, newest": {At: fold.At{RecordedMillis: 1003}, Newest: true}, "nothing": {At: fold.At{RecordedMillis: 1}, Newest: true},
		"later": {After: after}, "later, newest": {After: after, Newest: true},
	} {
		var want []string
		for _, f := range collect(t, h.User("7", q.At)) {
			if q.After == nil || !q.After.Covers(f.Position()) {
				want = append(want, f.EventID)
			}
		}
		if q.Newest {
			slices.Reverse(want)
		}
		var got []string
		pages := 0
		for q.Page.Limit = 7; ; pages++ {
			p := must[fold.Page[projections.Fact]](t)(h.UserPage("7", q))
			for _, f := range p.Items {
				got = append(got, f.EventID)
			}
			if q.Page.Cursor = p.Next; p.Next == "" {
				break
			}
			if pages > 60 {
				t.Fatalf("%s: pages without an end", name)
			}
		}
		if q.At.RecordedMillis != 0 && pages < 8 {
			t.Errorf("%s: %d pages of 130 acts, of which each looks at some ten", name, pages+1)
		}
		equal(t, name, got, want)
	}
}
