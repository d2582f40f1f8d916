package projections_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// engaged folds records in their order, and gives what came of it.
func engaged(t *testing.T, in []fold.Input) ([]projections.EngagementDay, projections.EngagementCounts) {
	t.Helper()
	v, s := projections.NewEngagement(), foldtest.NewMemory()
	must0(t, v.Open(s))
	b := s.Batch(true)
	for i := range in {
		must0(t, v.Apply(b, in[i:i+1]))
	}
	b.Commit()
	days, err := v.Days(0, foldtest.Day(1000), 1000)
	must0(t, err)
	all, err := v.All()
	must0(t, err)
	return days, all
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

func (l *engagementLog) list(millis int64, user, model string, films ...string) {
	x := &events.RecommendationServed{RequestID: fmt.Sprint("r", len(l.in)), UserID: user, ModelName: model, Timestamp: events.FormatTime(time.UnixMilli(millis))}
	if model != "" {
		x.ModelVersion = 1
	}
	for _, f := range films {
		x.Items = append(x.Items, events.RecommendedItem{MovieID: f})
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

// What came of a list is counted on its day, by what made it.
func TestEngagement(t *testing.T) {
	l, day := &engagementLog{}, foldtest.Day(400)
	late := day + 23*hour
	l.list(late, "1", "als", "7", "8", "9")
	l.act(late+10*minute, "1", "7", "impression", 0, "") // shown once more, not taken up
	l.act(late+70*minute, "1", "8", "click", 0, "")      // the next day, of the list before; a session of its own
	l.act(late+80*minute, "1", "8", "rating", 4.5, "")
	l.act(late+81*minute, "1", "3", "like", 0, "") // was shown by no list
	l.list(late+90*minute, "1", "", "8", "9")
	l.act(late+91*minute, "1", "8", "rating", 1, "")          // the doing of the second list
	l.act(late+25*hour+91*minute, "1", "9", "click", 0, "s1") // too late
	l.act(late+26*hour+91*minute, "1", "9", "click", 0, "s1") // the same session, however long
	l.record(events.UserEventsTopic, 1, late+2*minute, events.ActorImporter, &events.Interaction{UserID: "1", MovieID: "9", Kind: "click"})
	days, all := engaged(t, l.in)
	want := []projections.EngagementDay{
		{DayMillis: day, EngagementCounts: projections.EngagementCounts{Sessions: 1, People: 1}},
		{DayMillis: day, ModelName: "als", ModelVersion: 1, EngagementCounts: projections.EngagementCounts{Lists: 1, ListsTaken: 1, Films: 3, FilmsTaken: 1, FilmsLiked: 1}},
		{DayMillis: day + 24*hour, EngagementCounts: projections.EngagementCounts{Lists: 1, ListsTaken: 1, Films: 2, FilmsTaken: 1, FilmsDisliked: 1, Sessions: 1, People: 1}},
		{DayMillis: day + 48*hour, EngagementCounts: projections.EngagementCounts{Sessions: 1, People: 1}},
	}
	if !reflect.DeepEqual(days, want) {
		t.Errorf("got\n%+v, want\n%+v", days, want)
	}
	if want := (projections.EngagementCounts{Lists: 2, ListsTaken: 2, Films: 5, FilmsTaken: 2, FilmsLiked: 1, FilmsDisliked: 1, Sessions: 3}); all != want {
		t.Errorf("of all days %+v, want %+v", all, want)
	}
}

// The counts are what the definition says, computed from the whole, in whatever order lists and acts come; a rating that is corrected is
// taken back.
func TestEngagementEqualsNaive(t *testing.T) {
	taken := 0
	for seed := range uint64(300) {
		rng, l := rand.New(rand.NewPCG(seed, 5)), &engagementLog{}
		span := []int64{40 * minute, 3 * hour, 60 * hour}[rng.IntN(3)]
		film := func() string { return pick(rng, "7", "8", "tt9") }
		for i := range 5 + rng.Int64N(60) {
			millis, user := foldtest.Day(400)+rng.Int64N(span)/minute*minute, pick(rng, "1", "anna")
			if rng.IntN(3) == 0 {
				l.list(millis+i, user, pick(rng, "", "als"), []string{film(), film()}[:1+rng.IntN(2)]...)
				continue
			}
			kind, rating := pick(rng, "click", "impression", "dislike", "hummed"), 0.
			if rng.IntN(2) == 0 {
				kind, rating = "rating", float64(1+rng.IntN(10))/2
			}
			l.act(millis, user, film(), kind, rating, pick(rng, "", "", "s1"))
		}
		want, wantAll := naive(l.in)
		rng.Shuffle(len(l.in), func(i, j int) { l.in[i], l.in[j] = l.in[j], l.in[i] })
		days, all := engaged(t, l.in)
		if !reflect.DeepEqual(days, want) || all != wantAll {
			t.Fatalf("seed %d: got\n%+v\n%+v, want\n%+v\n%+v", seed, days, all, want, wantAll)
		}
		taken += int(all.FilmsTaken)
	}
	if taken < 500 {
		t.Errorf("%d films were taken up: the test's data does not try it", taken)
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
func naive(in []fold.Input) (days []projections.EngagementDay, all projections.EngagementCounts) {
	type of struct {
		day     int64
		model   string
		version int
	}
	byDay := map[of]*projections.EngagementCounts{}
	at := func(millis int64, model string, version int) *projections.EngagementCounts {
		key := of{millis - millis%(24*hour), model, version}
		if byDay[key] == nil {
			byDay[key] = &projections.EngagementCounts{}
		}
		return byDay[key]
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
		session := a.UserID + "/" + a.SessionID
		if before, ok := last[session]; !ok || a.SessionID == "" && a.millis-before > 30*minute {
			at(a.millis, "", 0).Sessions++
		}
		last[session] = a.millis
		if person := fmt.Sprint(a.UserID, a.millis/(24*hour)); !met[person] {
			met[person] = true
			at(a.millis, "", 0).People++
		}
	}
	counted := slices.DeleteFunc(slices.Clone(acts), func(a act) bool {
		return slices.ContainsFunc(acts, func(b act) bool {
			return a.UserID == b.UserID && a.MovieID == b.MovieID && a.Kind == b.Kind && a.millis == b.millis && a.offset < b.offset
		})
	})
	shows := func(l list, film string) bool {
		return slices.ContainsFunc(l.Items, func(it events.RecommendedItem) bool { return it.MovieID == film })
	}
	for _, l := range lists {
		c, films, takenUp := at(l.millis, l.ModelName, l.ModelVersion), map[string]bool{}, 0
		c.Lists++
		for _, it := range l.Items {
			if films[it.MovieID] {
				continue
			}
			films[it.MovieID] = true
			c.Films++
			met, liked, disliked := false, false, false
			for _, a := range counted {
				if a.UserID != l.UserID || a.MovieID != it.MovieID || !a.means.Meets() || a.millis <= l.millis || a.millis-l.millis > 24*hour {
					continue
				}
				if slices.ContainsFunc(lists, func(m list) bool {
					return m.UserID == l.UserID && shows(m, it.MovieID) && m.millis < a.millis && m.millis > l.millis
				}) {
					continue
				}
				met, liked, disliked = true, liked || a.means.Weight() > 0, disliked || a.means.Weight() < 0
			}
			for flag, n := range map[*uint64]bool{&c.FilmsTaken: met, &c.FilmsLiked: liked, &c.FilmsDisliked: disliked} {
				if n {
					*flag++
				}
			}
			if met {
				takenUp++
			}
		}
		if takenUp > 0 {
			c.ListsTaken++
		}
	}
	for key, c := range byDay {
		if *c != (projections.EngagementCounts{}) {
			days = append(days, projections.EngagementDay{DayMillis: key.day, ModelName: key.model, ModelVersion: key.version, EngagementCounts: *c})
		}
		one := *c
		one.People = 0
		all.Add(&one)
	}
	slices.SortFunc(days, func(a, b projections.EngagementDay) int {
		return slices.Compare([]string{fmt.Sprint(a.DayMillis), a.ModelName}, []string{fmt.Sprint(b.DayMillis), b.ModelName})
	})
	return days, all
}
