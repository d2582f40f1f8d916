package projections_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

var breakdowns = []projections.Breakdown{projections.ByVersion, projections.ByStrategy, projections.BySource, projections.ByPosition}

// engaged folds records in their order, and gives what came of it: the rows of all breakdowns, one after the other.
func engaged(t *testing.T, in []fold.Input) (rows []projections.EngagementDay, all projections.EngagementCounts) {
	t.Helper()
	v, s := projections.NewEngagement(), foldtest.NewMemory()
	must0(t, v.Open(s))
	b := s.Batch(true)
	for i := range in {
		must0(t, v.Apply(b, in[i:i+1]))
	}
	b.Commit()
	for _, by := range breakdowns {
		days, err := v.Days(by, 0, foldtest.Day(1000), 1000)
		must0(t, err)
		rows = append(rows, days...)
	}
	all, err := v.All()
	must0(t, err)
	return rows, all
}

// engagementLog makes records.
type engagementLog struct {
	in   []fold.Input
	next map[streams.TP]int64
}

func (l *engagementLog) record(topic string, partition int32, millis int64, actor string, d events.Data) {
	if l.next == nil {
		l.next = map[streams.TP]int64{}
	}
	tp := streams.TP{Topic: topic, Partition: partition}
	l.in = append(l.in, fold.Input{Position: streams.Position{TP: tp, Offset: l.next[tp]},
		Event: &events.Event{ID: fmt.Sprint(tp, l.next[tp]), Time: time.UnixMilli(millis).UTC(), Actor: actor, Data: d}})
	l.next[tp]++
}

// list shows films, named as FILM or FILM/SOURCE.
func (l *engagementLog) list(millis int64, user, model string, films ...string) {
	x := &events.RecommendationServed{RequestID: fmt.Sprint("r", len(l.in)), UserID: user, ModelName: model, Strategy: "online", Timestamp: events.FormatTime(time.UnixMilli(millis))}
	if model != "" {
		x.ModelVersion, x.Strategy = 1, "blend"
	}
	for _, f := range films {
		film, source, ok := strings.Cut(f, "/")
		it := events.RecommendedItem{MovieID: film}
		if ok {
			it.Sources = map[string]float64{source: .5, "zz": .5, "aa": .25}
		}
		x.Items = append(x.Items, it)
	}
	l.record(events.RecommendationsTopic, 0, millis, "api", x)
}

func (l *engagementLog) act(millis int64, user, film, kind string, rating float64, session string) {
	l.record(events.UserEventsTopic, 0, millis, "api", &events.Interaction{UserID: user, MovieID: film, Kind: kind, Rating: rating, SessionID: session})
}

const (
	minute = int64(60 * 1000)
	hour   = 60 * minute
)

// What came of a list is counted on its day, by what made it, and by its strategy and the films' sources and places.
func TestEngagement(t *testing.T) {
	l, day := &engagementLog{}, foldtest.Day(400)
	late := day + 23*hour
	l.list(late, "1", "als", "7/als", "8/als", "9")
	l.act(late+10*minute, "1", "7", "impression", 0, "") // shown once more, not taken up
	l.act(late+70*minute, "1", "8", "click", 0, "")      // the next day, of the list before; a session of its own
	l.act(late+80*minute, "1", "8", "rating", 4.5, "")
	l.act(late+81*minute, "1", "3", "like", 0, "") // was shown by no list, and is missed by the last
	l.list(late+90*minute, "1", "", "8", "9")
	l.act(late+91*minute, "1", "8", "rating", 2, "")          // the doing of the second list; met before it
	l.act(late+92*minute, "1", "8", "rating", 1, "")          // the last stars count
	l.act(late+25*hour+91*minute, "1", "9", "click", 0, "s1") // too late
	l.act(late+26*hour+91*minute, "1", "9", "click", 0, "s1") // the same session, however long
	l.record(events.UserEventsTopic, 1, late+2*minute, events.ActorImporter, &events.Interaction{UserID: "1", MovieID: "9", Kind: "click"})
	l.list(late+92*minute, events.Anonymous, "als", "7") // to nobody of whom one could hear again
	rows, all := engaged(t, l.in)
	next := day + 24*hour
	first := projections.EngagementCounts{Lists: 1, ListsTaken: 1, Films: 3, FilmsTaken: 1, FilmsLiked: 1, FilmsRated: 1, StarsCenti: 450, Met: 2, Hits5: 1, Hits10: 1, Hits20: 1}
	taken := projections.EngagementCounts{Films: 1, FilmsTaken: 1, FilmsLiked: 1, FilmsRated: 1, StarsCenti: 450}
	second := projections.EngagementCounts{Lists: 1, ListsTaken: 1, Films: 2, FilmsTaken: 1, FilmsDisliked: 1, FilmsRated: 1, StarsCenti: 100}
	secondDay := second
	secondDay.Sessions, secondDay.People = 1, 1
	both := taken
	both.Films = 2
	want := []projections.EngagementDay{
		{DayMillis: day, EngagementCounts: projections.EngagementCounts{Sessions: 1, People: 1}},
		{DayMillis: day, ModelName: "als", ModelVersion: 1, EngagementCounts: first},
		{DayMillis: next, EngagementCounts: secondDay},
		{DayMillis: day + 48*hour, EngagementCounts: projections.EngagementCounts{Sessions: 1, People: 1}},

		{DayMillis: day, ModelName: "als", ModelVersion: 1, Strategy: "blend", EngagementCounts: first},
		{DayMillis: next, Strategy: "online", EngagementCounts: second},

		{DayMillis: day, ModelName: "als", ModelVersion: 1, EngagementCounts: projections.EngagementCounts{Films: 1}},
		{DayMillis: day, ModelName: "als", ModelVersion: 1, Source: "als", EngagementCounts: both},
		{DayMillis: next, EngagementCounts: projections.EngagementCounts{Films: 2, FilmsTaken: 1, FilmsDisliked: 1, FilmsRated: 1, StarsCenti: 100}},

		{DayMillis: day, ModelName: "als", ModelVersion: 1, Position: 1, EngagementCounts: projections.EngagementCounts{Films: 1}},
		{DayMillis: day, ModelName: "als", ModelVersion: 1, Position: 2, EngagementCounts: taken},
		{DayMillis: day, ModelName: "als", ModelVersion: 1, Position: 3, EngagementCounts: projections.EngagementCounts{Films: 1}},
		{DayMillis: next, Position: 1, EngagementCounts: projections.EngagementCounts{Films: 1, FilmsTaken: 1, FilmsDisliked: 1, FilmsRated: 1, StarsCenti: 100}},
		{DayMillis: next, Position: 2, EngagementCounts: projections.EngagementCounts{Films: 1}},
	}
	for i := range max(len(rows), len(want)) {
		if i >= len(rows) || i >= len(want) || rows[i] != want[i] {
			t.Fatalf("row %d: got\n%+v, want\n%+v", i, rows[min(i, len(rows)):], want[min(i, len(want)):])
		}
	}
	sum := first
	sum.Add(&second)
	sum.Sessions = 3
	if all != sum {
		t.Errorf("of all days %+v, want %+v", all, sum)
	}
}

// A version that takes another's place between a list and a click does not get the click: it is the list's.
func TestEngagementOfASwappedVersion(t *testing.T) {
	l, day := &engagementLog{}, foldtest.Day(400)
	l.list(day, "1", "als", "7", "8")
	l.list(day+minute, "2", "", "8", "7") // by what serves now
	l.act(day+2*minute, "1", "7", "click", 0, "")
	rows, _ := engaged(t, l.in)
	if got := rows[1].EngagementCounts; rows[1].ModelName != "als" || got.FilmsTaken != 1 || got.Hits1 != 1 || rows[0].FilmsTaken+rows[0].Met != 0 {
		t.Errorf("got %+v", rows)
	}
}

// The counts are what the definition says, computed from the whole, in whatever order lists and acts come; a rating that is corrected is
// taken back.
func TestEngagementEqualsNaive(t *testing.T) {
	taken, hits, behind := 0, 0, 0
	for seed := range uint64(300) {
		rng, l := rand.New(rand.NewPCG(seed, 5)), &engagementLog{}
		span := []int64{40 * minute, 3 * hour, 60 * hour}[rng.IntN(3)]
		film := func() string { return pick(rng, "7", "8", "tt9") }
		for i := range 5 + rng.Int64N(60) {
			millis, user := foldtest.Day(400)+rng.Int64N(span)/minute*minute, pick(rng, "1", "anna")
			if rng.IntN(3) == 0 {
				var films []string
				for k := range rng.IntN(30) - 5 {
					films = append(films, fmt.Sprint("f", k))
				}
				for range 1 + rng.IntN(2) {
					films = append(films, film()+pick(rng, "", "/als", "/zz", "/zzz"))
				}
				l.list(millis+i, user, pick(rng, "", "als"), films...)
				continue
			}
			kind, rating := pick(rng, "click", "impression", "dislike", "hummed"), 0.
			if rng.IntN(2) == 0 {
				kind, rating = "rating", float64(1+rng.IntN(10))/2
			}
			l.act(millis, user, film(), kind, rating, pick(rng, "", "", "s1"))
		}
		if seed%4 == 0 { // somebody who has met more films than are read at once
			for k := range 70 {
				l.act(foldtest.Day(400)+rng.Int64N(span)/minute*minute, "1", fmt.Sprint("g", k), "click", 0, "")
			}
		}
		want, wantAll := naive(l.in)
		rng.Shuffle(len(l.in), func(i, j int) { l.in[i], l.in[j] = l.in[j], l.in[i] })
		rows, all := engaged(t, l.in)
		if !reflect.DeepEqual(rows, want) || all != wantAll {
			t.Fatalf("seed %d: got\n%+v\n%+v, want\n%+v\n%+v", seed, rows, all, want, wantAll)
		}
		taken += int(all.FilmsTaken)
		hits += int(all.Hits5)
		behind += int(all.Met - all.Hits20)
	}
	if taken < 500 || hits < 100 || behind < 100 {
		t.Errorf("%d films were taken up, of those met %d were among the first five and %d behind all: the test's data does not try it", taken, hits, behind)
	}
}

// A rating that is sent again after it was corrected is a repetition, wherever it was recorded.
func TestEngagementOfARepetition(t *testing.T) {
	for _, again := range []int32{0, 1} {
		l, day := &engagementLog{}, foldtest.Day(400)
		l.list(day, "1", "als", "7")
		l.act(day+minute, "1", "7", "rating", 5, "")
		first := l.in[len(l.in)-1]
		l.act(day+minute, "1", "7", "rating", 1, "")
		l.record(events.UserEventsTopic, again, day+minute, "api", first.Event.Data)
		l.in[len(l.in)-1].Event.ID = first.Event.ID
		for range 3 {
			if _, all := engaged(t, l.in); all.FilmsTaken != 1 || all.FilmsLiked != 0 || all.FilmsDisliked != 1 {
				t.Errorf("again in partition %d: %+v", again, all)
			}
			slices.Reverse(l.in)
		}
	}
}

// naive is the definition, word by word.
func naive(in []fold.Input) (rows []projections.EngagementDay, all projections.EngagementCounts) {
	tables := map[projections.Breakdown]map[projections.EngagementDay]*projections.EngagementCounts{}
	for _, by := range breakdowns {
		tables[by] = map[projections.EngagementDay]*projections.EngagementCounts{}
	}
	at := func(by projections.Breakdown, key projections.EngagementDay) *projections.EngagementCounts {
		key.DayMillis -= key.DayMillis % (24 * hour)
		if tables[by][key] == nil {
			tables[by][key] = &projections.EngagementCounts{}
		}
		return tables[by][key]
	}
	type act struct {
		*events.Interaction
		millis, offset int64
		means          signal.Signal
	}
	type list struct {
		*events.RecommendationServed
		millis int64
	}
	var acts []act
	var lists []list
	for i := range in {
		millis := in[i].Event.Time.UnixMilli()
		switch x := in[i].Event.Data.(type) {
		case *events.Interaction:
			acts = append(acts, act{x, millis, in[i].Position.Offset, signal.Default().Of(x.Kind, x.Rating)})
		case *events.RecommendationServed:
			lists = append(lists, list{x, millis})
		}
	}
	slices.SortStableFunc(acts, func(a, b act) int { return int(a.millis - b.millis) })
	last := map[string]int64{}
	met := map[string]bool{}
	for _, a := range acts {
		day := projections.EngagementDay{DayMillis: a.millis}
		session := a.UserID + "/" + a.SessionID
		if before, ok := last[session]; !ok || a.SessionID == "" && a.millis-before > 30*minute {
			at(projections.ByVersion, day).Sessions++
		}
		last[session] = a.millis
		if person := fmt.Sprint(a.UserID, a.millis/(24*hour)); !met[person] {
			met[person] = true
			at(projections.ByVersion, day).People++
		}
	}
	counted := slices.DeleteFunc(slices.Clone(acts), func(a act) bool {
		return slices.ContainsFunc(acts, func(b act) bool {
			return a.UserID == b.UserID && a.MovieID == b.MovieID && a.Kind == b.Kind && a.millis == b.millis && a.offset < b.offset
		})
	})
	slices.SortStableFunc(counted, func(a, b act) int {
		return cmp.Or(cmp.Compare(a.millis, b.millis), cmp.Compare(a.Kind, b.Kind))
	})
	position := func(l list, film string) int {
		return 1 + slices.IndexFunc(l.Items, func(it events.RecommendedItem) bool { return it.MovieID == film })
	}
	for _, l := range lists {
		key := projections.EngagementDay{DayMillis: l.millis, ModelName: l.ModelName, ModelVersion: l.ModelVersion}
		byStrategy := key
		byStrategy.Strategy = l.Strategy
		whole := []*projections.EngagementCounts{at(projections.ByVersion, key), at(projections.ByStrategy, byStrategy)}
		films, takenUp := map[string]bool{}, 0
		for i, it := range l.Items {
			if films[it.MovieID] {
				continue
			}
			films[it.MovieID] = true
			bySource, byPosition := key, key
			for source := range it.Sources { // its own has the most with zz, and the first by name counts
				if source != "aa" && (bySource.Source == "" || source < bySource.Source) {
					bySource.Source = source
				}
			}
			byPosition.Position = min(i+1, 21)
			var c projections.EngagementCounts
			c.Films = 1
			for _, a := range counted {
				if a.UserID != l.UserID || a.MovieID != it.MovieID || !a.means.Meets() || a.millis <= l.millis || a.millis-l.millis > 24*hour {
					continue
				}
				if slices.ContainsFunc(lists, func(m list) bool {
					return m.UserID == l.UserID && position(m, it.MovieID) > 0 && m.millis < a.millis && m.millis > l.millis
				}) {
					continue
				}
				c.FilmsTaken = 1
				if a.means.Weight() > 0 {
					c.FilmsLiked = 1
				}
				if a.means.Weight() < 0 {
					c.FilmsDisliked = 1
				}
				if a.Rating > 0 {
					c.FilmsRated, c.StarsCenti = 1, uint64(a.Rating*100)
				}
			}
			takenUp += int(c.FilmsTaken)
			for _, counts := range append(slices.Clone(whole), at(projections.BySource, bySource), at(projections.ByPosition, byPosition)) {
				counts.Add(&c)
			}
		}
		for _, counts := range whole {
			counts.Add(&projections.EngagementCounts{Lists: 1, ListsTaken: uint64(min(takenUp, 1))})
		}
	}
	first := map[[2]string]bool{}
	for _, a := range acts {
		if pair := [2]string{a.UserID, a.MovieID}; !a.means.Meets() || first[pair] {
			continue
		} else {
			first[pair] = true
		}
		var l list // the last before it; no two are of one moment
		for _, m := range lists {
			if m.UserID == a.UserID && m.millis < a.millis && m.millis > l.millis {
				l = m
			}
		}
		if l.millis == 0 || a.millis-l.millis > 24*hour {
			continue
		}
		key := projections.EngagementDay{DayMillis: l.millis, ModelName: l.ModelName, ModelVersion: l.ModelVersion}
		byStrategy := key
		byStrategy.Strategy = l.Strategy
		c := projections.EngagementCounts{Met: 1}
		if p := position(l, a.MovieID); p > 0 {
			for k, hits := range map[int]*uint64{1: &c.Hits1, 5: &c.Hits5, 10: &c.Hits10, 20: &c.Hits20} {
				if p <= k {
					*hits = 1
				}
			}
		}
		at(projections.ByVersion, key).Add(&c)
		at(projections.ByStrategy, byStrategy).Add(&c)
	}
	for _, by := range breakdowns {
		var days []projections.EngagementDay
		for key, c := range tables[by] {
			key.EngagementCounts = *c
			days = append(days, key)
			if by == projections.ByVersion {
				one := *c
				one.People = 0
				all.Add(&one)
			}
		}
		slices.SortFunc(days, func(a, b projections.EngagementDay) int {
			return cmp.Or(cmp.Compare(a.DayMillis, b.DayMillis), cmp.Compare(a.ModelName, b.ModelName), cmp.Compare(a.Strategy, b.Strategy), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Position, b.Position))
		})
		rows = append(rows, days...)
	}
	return rows, all
}

// A page of a list is counted at the places it has behind the pages before it, by the sources that it names.
func TestEngagementOfAPage(t *testing.T) {
	l, day := &engagementLog{}, foldtest.Day(400)
	l.record(events.RecommendationsTopic, 0, day, "api", &events.RecommendationServed{RequestID: "r", UserID: "1", ModelName: "als", ModelVersion: 1, Strategy: "blend", Timestamp: events.FormatTime(time.UnixMilli(day)),
		Rules: events.ListRules{Offset: 20}, Items: []events.RecommendedItem{{MovieID: "7", Position: 21, Source: "editor"}, {MovieID: "8"}}})
	l.act(day+minute, "1", "7", "click", 0, "")
	rows, all := engaged(t, l.in)
	if all.Met != 1 || all.Hits20 != 0 {
		t.Errorf("a film at place 21 is a hit: %+v", all)
	}
	for _, row := range rows {
		if row.Position != 0 && (row.Position != projections.EngagementPositions+1 || row.Films != 2 || row.FilmsTaken != 1) || row.Source != "" && (row.Source != "editor" || row.FilmsTaken != 1) {
			t.Errorf("%+v", row)
		}
	}
	if len(rows) != 6 { // the day's sessions, and by version, by strategy, by each of two sources, by place
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
}
