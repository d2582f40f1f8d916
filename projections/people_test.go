package projections_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// peopleScript has people 7, 10, 100 and anna who act, 8 and zoe of whom something is said alone, and 10, of whom both is so.
func peopleScript() *foldtest.Script {
	s := foldtest.NewScript()
	s.Fact("user-events", 0, "a", 300, 1000, rate("7", "42", 4.5))
	s.Fact("user-events", 0, "a", 300, 1001, rate("7", "42", 4.5)) // published again
	s.Fact("user-events", 1, "b", 200, 1002, rate("user_007", "43", 3))
	s.Fact("user-events", 2, "c", 200, 1003, rate("anna", "42", 0.5))
	s.Fact("user-events", 2, "d", -5, 2000, rate("10", "42", 1))
	s.Fact("user-events", 1, "e", 400, 2001, rate("100", "42", 1))
	s.Commit("user/10", 1, 1, &events.UserDescribed{User: events.User{UserID: "10", Age: 25}, Dataset: "ml-1m"})
	s.Commit("user/8", 1, 1, &events.UserDescribed{User: events.User{UserID: "8", Gender: "F"}, Dataset: "ml-1m"})
	s.Commit("user/zoe", 1, 3, &events.UserDescribed{User: events.User{UserID: "zoe", Age: 40}, Since: events.FormatTime(events.TimeOf(foldtest.Day(2)))})
	return s
}

func peopleOf(t *testing.T, s *foldtest.Script) projections.People {
	return projections.People{Histories: foldtest.Opened(t, projections.NewHistories(), s.In), Users: foldtest.Opened(t, projections.NewUsers(), s.In)}
}

func briefPeople(all []projections.Person) string {
	var out []string
	for _, p := range all {
		first, last := "", ""
		if p.First != nil {
			first, last = fmt.Sprint(p.First.EventMillis), p.Last.Position
		}
		out = append(out, fmt.Sprintf("%s %d %s %s %d%s", p.UserID, p.Acts, first, last, p.Age, p.Gender))
	}
	return strings.Join(out, "; ")
}

// People who acted come first, numbers by their size, then those of whom something was said alone; and each moment has those who were known then.
func TestPeople(t *testing.T) {
	people := peopleOf(t, peopleScript())
	const p7, p10, p100, anna, p8, zoe = "7 2 200 user-events/0@0 0", "10 1 -5 user-events/2@1 25", "100 1 400 user-events/1@1 0", "anna 1 200 user-events/2@0 0", "8 0   0F", "zoe 0   40"
	far := foldtest.Day(100)
	cut := func(zero, one, two, ledger int64) fold.At {
		tp := func(n int32) streams.TP { return streams.TP{Topic: "user-events", Partition: n} }
		return fold.At{Cut: streams.Cut{tp(0): zero, tp(1): one, tp(2): two, {Topic: "mlops-events"}: ledger}}
	}
	for _, c := range []struct {
		what string
		q    projections.PeopleQuery
		want []string
	}{
		{"all", projections.PeopleQuery{}, []string{p7, p10, p100, anna, p8, zoe}},
		{"ids that begin with 10, by which one is the id", projections.PeopleQuery{Prefix: "10"}, []string{p10, p100}},
		{"another spelling of an id", projections.PeopleQuery{Prefix: "user_7"}, []string{p7}},
		{"letters", projections.PeopleQuery{Prefix: "an"}, []string{anna}},
		{"one of whom something was said alone", projections.PeopleQuery{Prefix: "zoe"}, []string{zoe}},
		{"nobody but one", projections.PeopleQuery{UserID: "user_010"}, []string{p10}},
		{"nobody", projections.PeopleQuery{UserID: "1"}, nil},
		{"as known by a time", projections.PeopleQuery{At: fold.At{RecordedMillis: 1002}}, []string{p7}},
		{"as known at a cut, where one who acted had only been spoken of", projections.PeopleQuery{At: cut(1, 0, 1, 2)}, []string{"7 1 300 user-events/0@0 0", anna, "10 0   25", "8 0   0F"}},
		{"as of a time", projections.PeopleQuery{At: fold.At{EventMillis: 250}}, []string{"7 1 200 user-events/1@0 0", p10, anna, p8, zoe}},
		{"before it was said from when on it is so", projections.PeopleQuery{SaidMillis: foldtest.Day(1)}, []string{p7, p10, p100, anna, p8}},
	} {
		for limit := 1; limit <= 7; limit++ {
			got := foldtest.Pages(t, limit, func(page fold.PageQuery) (fold.Page[projections.Person], error) {
				q := c.q
				if q.Page = page; q.SaidMillis == 0 {
					q.SaidMillis = far
				}
				return people.List(context.Background(), q)
			})
			want := strings.Join(c.want, "; ")
			if briefPeople(got) != want {
				t.Errorf("%s, by %d:\n got %s\nwant %s", c.what, limit, briefPeople(got), want)
			}
		}
	}
	for _, cursor := range []string{"x", "!", fold.PageCursor([]byte("u\x01")), fold.PageCursor(fold.Table('m').ID("7")), fold.PageCursor(append(fold.Table('u').ID("7"), 1)), fold.PageCursor(fold.Table('s').Str("7")[:2])} {
		if _, err := people.List(context.Background(), projections.PeopleQuery{Page: fold.PageQuery{Cursor: cursor}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := people.List(stopped, projections.PeopleQuery{}); err == nil {
		t.Error("whoever has gone away is answered")
	}
}

// Every cell of a grid has what a plain count has, the grid is no larger than wanted and no coarser than need be.
func TestHistoryTimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		s := foldtest.NewScript()
		spread := int64(1) << rnd.IntN(42)
		type both struct{ event, recorded int64 }
		n, late := rnd.IntN(300), int64(-1<<62)
		all := []both{}
		for i := range n {
			b := both{rnd.Int64N(spread) - spread/3, rnd.Int64N(1 << rnd.IntN(40))}
			kind := []string{"rating", "like"}[i%2]
			x := &events.Interaction{UserID: "7", MovieID: "42", Kind: kind}
			if kind == "rating" {
				x.Rating, x.MovieID = 3, fmt.Sprint(i) // none corrects another
			}
			id := fmt.Sprint("e", i)
			s.Fact("user-events", 0, id, b.event, b.recorded, x)
			if i%5 == 0 {
				s.Fact("user-events", 0, id, b.event, b.recorded, x) // again
			}
			all = append(all, b)
			late = max(late, b.recorded-b.event)
		}
		h := foldtest.Opened(t, projections.NewHistories(), s.In)
		buckets := 2 + rnd.IntN(30)
		got := must[projections.HistoryTimes](t)(h.UserTimes(context.Background(), "7", projections.HistoryQuery{}, buckets))
		if got.Facts != n || !got.Complete || n == 0 {
			if n == 0 && got.Facts == 0 && len(got.Cells) == 0 && got.MostLate == nil {
				continue
			}
			t.Fatalf("round %d: %d facts, want %d", round, got.Facts, n)
		}
		floor := func(v, by int64) int64 {
			q := v / by
			if v%by < 0 {
				q--
			}
			return q * by
		}
		want := map[both]int{}
		for _, b := range all {
			want[both{floor(b.event, got.Event.Bucket), floor(b.recorded, got.Recorded.Bucket)}]++
		}
		have := map[both]int{}
		for _, c := range got.Cells {
			have[both{c.EventMillis, c.RecordedMillis}] += c.Facts
		}
		equal(t, fmt.Sprint("cells of round ", round), fmt.Sprint(have), fmt.Sprint(want))
		for name, a := range map[string]projections.TimesAxis{"event": got.Event, "recorded": got.Recorded} {
			wide := func(by int64) int64 { return (floor(a.Last, by)-floor(a.First, by))/by + 1 }
			if wide(a.Bucket) > int64(buckets) || a.Bucket > 1000 && wide(a.Bucket/2) <= int64(buckets) {
				t.Errorf("round %d: the axis %s has %d of %d buckets of %d ms", round, name, wide(a.Bucket), buckets, a.Bucket)
			}
		}
		if l := got.MostLate; l == nil || l.RecordedMillis-l.EventMillis != late {
			t.Errorf("round %d: the latest is %+v, want one %d ms after", round, l, late)
		}
		rated := 0
		for _, k := range got.Kinds {
			if rated += k.Rated; k.Kind == "rating" && (k.Mean == nil || *k.Mean != 3 || k.Rated != k.Facts) {
				t.Errorf("round %d: %+v", round, k)
			}
		}
		if rated != (n+1)/2 {
			t.Errorf("round %d: %d are rated of %d", round, rated, n)
		}
	}
	h := foldtest.Opened(t, projections.NewHistories(), historyScript().In)
	film := must[projections.HistoryTimes](t)(h.MovieTimes(context.Background(), "0042", projections.HistoryQuery{At: fold.At{RecordedMillis: 1003}}, 60))
	equal(t, "a film's, as known", show(film.Kinds), `[{"interaction_type":"rating","facts":2,"rated":2,"mean_rating":2.5}]`)
	for _, buckets := range []int{-1, 0, 1, projections.TimesBucketsMax + 1} {
		if _, err := h.UserTimes(context.Background(), "7", projections.HistoryQuery{}, buckets); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d buckets: %v", buckets, err)
		}
	}
}

// What is looked at of a history is bounded, and ends with whoever asks, also where nothing of it was known at the moment.
func TestHistoriesLookedAt(t *testing.T) {
	before := *projections.HistoryTimesMax
	*projections.HistoryTimesMax = 10
	t.Cleanup(func() { *projections.HistoryTimesMax = before })
	s := foldtest.NewScript()
	for i := range int64(50) {
		s.Fact("user-events", 0, fmt.Sprint("e", i), 100+i, 1000, rate("7", "42", 3))
	}
	for i := range int64(10) {
		s.Fact("user-events", 0, fmt.Sprint("f", i), 100+i, 1000, rate("8", "43", 3))
	}
	people := peopleOf(t, s)
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		at       fold.At
		id       string
		acts     int
		complete bool
	}{{fold.At{RecordedMillis: 999}, "7", 0, false}, {fold.At{}, "7", 9, false}, {fold.At{RecordedMillis: 999}, "8", 0, true}, {fold.At{}, "8", 10, true}} {
		q := projections.HistoryQuery{At: c.at}
		got := must[projections.HistoryTimes](t)(people.Histories.UserTimes(context.Background(), c.id, q, 60))
		if got.Facts != c.acts || got.Complete != c.complete {
			t.Errorf("%s at %+v: %d acts, complete %t; want %d, %t", c.id, c.at, got.Facts, got.Complete, c.acts, c.complete)
		}
		list := must[fold.Page[projections.Person]](t)(people.List(context.Background(), projections.PeopleQuery{UserID: c.id, At: c.at}))
		if n := len(list.Items); (n == 0) != (c.acts == 0 && c.complete) || n > 0 && (list.Items[0].Acts != c.acts || list.Items[0].ActsMore == c.complete || (list.Items[0].Last == nil) != (c.acts == 0)) {
			t.Errorf("%s at %+v: %+v", c.id, c.at, list.Items)
		}
		if _, err := people.Histories.UserTimes(stopped, c.id, q, 60); !errors.Is(err, context.Canceled) {
			t.Errorf("%s at %+v, for whoever has gone away: %v", c.id, c.at, err)
		}
		if _, err := people.List(stopped, projections.PeopleQuery{UserID: c.id, At: c.at}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s at %+v, listed for whoever has gone away: %v", c.id, c.at, err)
		}
	}
}
