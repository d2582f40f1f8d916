package v1_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"

	"github.com/projectionist/projectionist/api/v1"
)

// Acts behind a point of the curve come page by page, each with what the log has of it and of its judgement, those of a version and outcome alone, and as they were known.
func TestQualityActs(t *testing.T) {
	w := newFixture(t)
	version := w.train()
	n := 0
	judge := func(hour time.Time, version int, ranks ...int) streams.Position {
		t.Helper()
		c := &commands.JudgeQuality{QualityJudged: events.QualityJudged{Hour: hour.UTC().Format(events.HourLayout), ModelName: "als", ModelVersion: version, Sources: []string{"served", "popularity"}}}
		if version == 0 {
			c.ModelName = ""
		}
		for _, rank := range ranks {
			c.Acts = append(c.Acts, events.JudgedAct{Position: fmt.Sprint("user-events/0@", n), TimeMillis: hour.UnixMilli() + int64(n), Of: 1, Films: testMovies, Ranks: []int{rank, 2}})
			n++
		}
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
		w.must(err)
		w.folded(res.Position)
		return res.Position
	}
	judge(day0, 0, 1, 12)
	then := judge(day0.Add(time.Hour), version, 3, 0, 11, 10)
	w.clock.set(day0.Add(2 * time.Hour))
	last := judge(day0.Add(time.Hour), version, 1, 12)
	type act struct {
		Position string
		UserID   string `json:"user_id"`
		MovieID  string `json:"movie_id"`
		Kind     string `json:"interaction_type"`
		Films    int
		Ranks    map[string]int
		Model    string `json:"model_name"`
		Judged   struct{ Position string }
	}
	type page struct {
		Items []act
		Next  string `json:"next_cursor"`
	}
	ask := func(query string) (p page) {
		t.Helper()
		w.get("/api/v1/quality/acts?from=2024-06-01&to=2024-06-02" + query).want(200).into(&p)
		return p
	}
	places := func(p page) (all []string) {
		for _, a := range p.Items {
			all = append(all, strings.TrimPrefix(a.Position, "user-events/0@"))
		}
		return all
	}
	whole := ask("")
	if got := places(whole); fmt.Sprint(got) != "[0 1 2 3 4 5 6 7]" || whole.Next != "" {
		t.Fatalf("all are %v, then %q", got, whole.Next)
	}
	var fact struct {
		Items []struct {
			Data struct {
				UserID  string `json:"user_id"`
				MovieID string `json:"movie_id"`
				Kind    string `json:"interaction_type"`
			}
		}
	}
	w.get("/api/v1/log/topics/user-events/records?order=asc&limit=1&partition=0&from=7").want(200).into(&fact)
	if a, f := whole.Items[7], fact.Items[0].Data; a.UserID == "" || a.UserID != events.CanonicalUser(f.UserID) || a.MovieID != events.CanonicalMovie(f.MovieID) || a.Kind != f.Kind ||
		a.Ranks["served"] != 12 || a.Ranks["popularity"] != 2 || a.Films != testMovies || a.Model != "als" || a.Judged.Position != last.String() {
		t.Errorf("the last is %+v, of %+v", a, f)
	}
	for limit := 1; limit < 9; limit++ {
		var all []string
		for p := ask(fmt.Sprint("&limit=", limit)); ; p = ask(fmt.Sprint("&limit=", limit, "&cursor=", url.QueryEscape(p.Next))) {
			if len(p.Items) > limit {
				t.Fatalf("a page of %d has %d", limit, len(p.Items))
			}
			if all = append(all, places(p)...); p.Next == "" {
				break
			}
		}
		if fmt.Sprint(all) != "[0 1 2 3 4 5 6 7]" {
			t.Errorf("pages of %d are %v", limit, all)
		}
	}
	for query, want := range map[string]string{
		"&outcome=missed":            "[1 3 4 7]",
		"&outcome=hit":               "[0 2 5 6]",
		"&model=als":                 "[2 3 4 5 6 7]",
		"&model=als&version=7":       "[]",
		"&known_at=" + then.String(): "[0 1 2 3 4 5]",
		"&known_at=2024-05-01":       "[]",
		"&outcome=hit&limit=2&model=als&known_at=" + url.QueryEscape(events.FormatTime(day0.Add(time.Hour))): "[2 5]",
	} {
		if got := places(ask(query)); fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	var hour page
	w.get("/api/v1/quality/acts?from=2024-06-01T13:00:00.003Z&to=2024-06-01T13:00:00.006Z").want(200).into(&hour)
	if got := places(hour); fmt.Sprint(got) != "[3 4 5]" {
		t.Errorf("of three milliseconds: %v", got)
	}
}

// A page ends where it has looked at many acts, whether they are of the model that is asked for and were known or not; pages go on behind them.
func TestQualityActsLookedAt(t *testing.T) {
	w := newFixture(t)
	w.train()
	before := *v1.JudgedScanMax
	*v1.JudgedScanMax = 3
	t.Cleanup(func() { *v1.JudgedScanMax = before })
	n := 0
	judge := func(hour time.Time, version, acts int) {
		t.Helper()
		c := &commands.JudgeQuality{QualityJudged: events.QualityJudged{Hour: hour.UTC().Format(events.HourLayout), ModelName: "als", ModelVersion: version, Sources: []string{"served"}}}
		for range acts {
			c.Acts = append(c.Acts, events.JudgedAct{Position: fmt.Sprint("user-events/0@", n), TimeMillis: hour.UnixMilli() + int64(n), Of: 1, Films: testMovies, Ranks: []int{1}})
			n++
		}
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
		w.must(err)
		w.folded(res.Position)
	}
	judge(day0, 1, 5)
	judge(day0, 2, 1)
	judge(day0.Add(5*time.Hour), 2, 2)
	for query, want := range map[string]string{
		"&model=als&version=2":                     "5 6 7",
		"&model=als&version=1":                     "0 1 2 3 4",
		"&model=als&version=1&limit=2":             "0 1 2 3 4",
		"&model=als&version=2&known_at=2024-05-31": "",
		"": "0 1 2 3 4 5 6 7",
	} {
		var all []string
		pages, cursor := 0, ""
		for pages == 0 || cursor != "" {
			var p struct {
				Items []struct{ Position string }
				Next  string `json:"next_cursor"`
			}
			w.get("/api/v1/quality/acts?from=2024-06-01T12:00:00Z&to=2024-06-01T18:00:00Z" + query + "&cursor=" + url.QueryEscape(cursor)).want(200).into(&p)
			for _, a := range p.Items {
				all = append(all, strings.TrimPrefix(a.Position, "user-events/0@"))
			}
			if pages++; pages == 1 && strings.Contains(query, "version=2") && (len(p.Items) != 0 || p.Next == "") {
				t.Errorf("%s: the first page is %v, then %q", query, p.Items, p.Next)
			}
			if cursor = p.Next; pages > 20 {
				t.Fatalf("%s: pages without an end", query)
			}
		}
		if strings.Join(all, " ") != want || pages < 2 {
			t.Errorf("%s: %v in %d pages, want %s", query, all, pages, want)
		}
	}
}

// What took how long is counted by minute, by rankings that were asked for.
func TestServingLatency(t *testing.T) {
	w := newFixture(t)
	for range 5 {
		w.get("/api/v1/recommendations?user_id=1&k=3&record=false").want(200)
		w.clock.set(w.clock.Now().Add(time.Minute))
	}
	var v struct {
		Since      string
		StepMillis int64 `json:"step_millis"`
		Operations map[string]struct {
			Total struct {
				Count         int
				P50, P95, P99 float64
			}
			Steps []struct {
				TimeMillis int64 `json:"time_millis"`
				Count      int
			}
		}
	}
	w.get("/api/v1/serving/latency").want(200).into(&v)
	rank := v.Operations["rank"]
	if v.Since != events.FormatTime(day0) || v.StepMillis != 60_000 || rank.Total.Count != 5 || len(rank.Steps) != 5 || rank.Steps[0].TimeMillis != day0.UnixMilli() || !(rank.Total.P50 > 0 && rank.Total.P50 <= rank.Total.P99) || len(v.Operations["predict"].Steps) != 0 {
		t.Errorf("%+v", v)
	}
	w.get("/api/v1/serving/latency?minutes=3").want(200).into(&v)
	if n := v.Operations["rank"].Total.Count; n != 2 { // the minute that runs, and two before
		t.Errorf("of three minutes: %d", n)
	}
}

// Acts of a window of acts are found by their numbers, which the window says, whatever hours they happened in: page by page, of a version or an outcome, and as they were known.
func TestQualityActsByNumber(t *testing.T) {
	w := newFixture(t)
	w.train()
	before := *v1.JudgedScanMax
	*v1.JudgedScanMax = 40
	t.Cleanup(func() { *v1.JudgedScanMax = before })
	n, then := 0, streams.Position{}
	for i, acts := range []int{70, 80, 1, 120, 9} { // blocks end within events
		hour := day0.Add(time.Duration(i%2) * 3 * time.Hour)
		c := &commands.JudgeQuality{QualityJudged: events.QualityJudged{Hour: hour.UTC().Format(events.HourLayout), ModelName: "als", ModelVersion: 1 + i%2, Sources: []string{"served"}}}
		for range acts {
			c.Acts = append(c.Acts, events.JudgedAct{Position: fmt.Sprint("user-events/0@", 1000+n), TimeMillis: hour.UnixMilli() + int64(n), Of: 1, Films: testMovies, Ranks: []int{1 + n%testMovies}})
			n++
		}
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
		w.must(err)
		w.folded(res.Position)
		if i == 1 {
			then = res.Position
		}
	}
	read := func(query string) (all []int) {
		t.Helper()
		for pages, cursor := 0, ""; pages == 0 || cursor != ""; pages++ {
			var p struct {
				Items []struct{ Position string }
				Next  string `json:"next_cursor"`
			}
			w.get("/api/v1/quality/acts?" + query + "&cursor=" + url.QueryEscape(cursor)).want(200).into(&p)
			for _, a := range p.Items {
				at, err := strconv.Atoi(strings.TrimPrefix(a.Position, "user-events/0@"))
				w.must(err)
				all = append(all, at-1000)
			}
			if cursor = p.Next; pages > 100 {
				t.Fatalf("%s: pages without an end", query)
			}
		}
		return all
	}
	which := func(first, last int, keep func(i int) bool) (all []int) {
		for i := first - 1; i < min(last, n); i++ {
			if keep(i) {
				all = append(all, i)
			}
		}
		return all
	}
	every := func(int) bool { return true }
	var curve struct {
		Windows []struct {
			First   int `json:"first_act"`
			Last    int `json:"last_act"`
			Version int `json:"model_version"`
			Judged  int
		}
	}
	w.get("/api/v1/quality?window=100&last=10").want(200).into(&curve)
	second := func(i int) bool { return i >= 70 && i < 150 || i >= 151 && i < 271 }
	total := 0
	for _, x := range curve.Windows {
		of := func(i int) bool { return second(i) == (x.Version == 2) }
		got := read(fmt.Sprintf("first_act=%d&last_act=%d&model=als&version=%d", x.First, x.Last, x.Version))
		if want := which(x.First, x.Last, of); !slices.Equal(got, want) || len(got) != x.Judged || x.First%100 != 1 {
			t.Errorf("window %+v: acts %v, want %v", x, got, want)
		}
		total += x.Judged
	}
	if total != n {
		t.Errorf("the windows are of %d acts, of %d", total, n)
	}
	for query, want := range map[string][]int{
		"first_act=1&last_act=280":                                 which(1, 280, every),
		"first_act=95&last_act=205&limit=7":                        which(95, 205, every),
		"first_act=95&last_act=205&outcome=hit":                    which(95, 205, func(i int) bool { return i%testMovies < 10 }),
		"first_act=5&last_act=5000&known_at=" + then.String():      which(5, 150, every),
		"first_act=5&last_act=500&known_at=2024-05-01":             nil,
		"first_act=281&last_act=300":                               nil,
		"last_act=3":                                               which(1, 3, every),
		"first_act=101&last_act=200&model=als&version=1&limit=200": which(101, 200, func(i int) bool { return !second(i) }),
	} {
		if got := read(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for query, field := range map[string]string{"first_act=0": "first_act", "first_act=9&last_act=8": "last_act", "first_act=1&last_act=2000001": "last_act", "first_act=1&from=2024-01-01": "from",
		"first_act=1&last_act=9&cursor=10": "cursor", "first_act=1&last_act=9&cursor=x": "cursor", "first_act=1&version=2": "version"} {
		w.get("/api/v1/quality/acts?"+query).problem(400, field)
	}
	w.get("/api/v1/quality/acts?first_act=1&model=none").problem(404, "")
}
