package trainset

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// world is a log in memory.
type world struct {
	*testing.T
	log        *local.Log
	dispatcher *handlers.Dispatcher
	corrected  int // ratings that naive has left out
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log, err := local.OpenMem(local.Options{ReserveBytes: -1, Logf: func(string, ...any) {}})
	w := &world{T: t, log: log}
	w.must(err)
	t.Cleanup(func() { w.must(log.Close()) })
	w.dispatcher = handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) dispatch(c commands.Command) {
	w.Helper()
	_, err := w.dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
	w.must(err)
}

func (w *world) facts(facts ...handlers.Identified) {
	w.Helper()
	_, err := w.dispatcher.PublishMany(context.Background(), events.UserEventsTopic, facts, handlers.Meta{})
	w.must(err)
}

func act(id, user, film, kind string, stars float64, minute int) handlers.Identified {
	return handlers.Identified{ID: id, Fact: &commands.RecordInteraction{Interaction: events.Interaction{UserID: user, MovieID: film, Kind: kind, Rating: stars,
		Timestamp: events.FormatTime(time.Date(2024, 1, 1, 0, minute, 0, 0, time.UTC))}}}
}

func (w *world) head() streams.Cut {
	w.Helper()
	cut, err := fold.HeadCut(context.Background(), w.log, time.Time{})
	w.must(err)
	return cut
}

func (w *world) load(cut streams.Cut) *Set {
	w.Helper()
	s, err := Load(context.Background(), w.log, cut, nil)
	w.must(err)
	return s
}

// said are the samples as USER FILM@MINUTE=WEIGHT.
func (s *Set) said() (list []string) {
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for _, x := range s.Data.Samples {
		weight := "0"
		if x.Weight > 0 {
			weight = "+"
		} else if x.Weight < 0 {
			weight = "-"
		}
		list = append(list, s.Data.Users[x.User]+" "+s.Data.Items[x.Item]+"@"+time.UnixMilli(x.Time-start).UTC().Format("04")+"="+weight)
	}
	return list
}

func TestLoad(t *testing.T) {
	w := newWorld(t)
	w.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "7", Title: "Seven", Year: 1995, Genres: []string{"Crime"}}})
	w.facts(act("a", "2", "7", "rating", 5, 30), act("b", "1", "8", "view", 0, 10), act("c", "10", "7", "rating", 1, 20))
	w.facts(act("a", "2", "7", "rating", 5, 30), act("d", "1", "7", "like", 0, 10)) // a repetition, and one of the same minute
	tp := streams.TP{Topic: events.UserEventsTopic, Partition: 1}
	w.must(w.log.Feed().Publish(context.Background(), tp.Topic, []streams.Record{{Key: []byte("x"), Value: []byte("{no fact")}}))
	s := w.load(w.head())
	if want := []string{"1 7@10=+", "1 8@10=0", "10 7@20=-", "2 7@30=+"}; !slices.Equal(sorted(s.said()), sorted(want)) || s.said()[2] != want[2] || s.said()[3] != want[3] {
		t.Errorf("%v; want %v", s.said(), want)
	}
	if !slices.Equal(s.Data.Users, []string{"1", "10", "2"}) || !slices.Equal(s.Data.Items, []string{"7", "8"}) {
		t.Errorf("users %v, items %v", s.Data.Users, s.Data.Items)
	}
	if len(s.Signals) != 4 || s.Signals[3].Rating() != 5 || s.Data.Samples[3].Rating != 5 || !math.IsNaN(float64(s.Data.Samples[0].Rating)) {
		t.Errorf("signals %v", s.Signals)
	}
	in := s.Input()
	if c := in.Content("7"); c.Year != 1995 || !slices.Equal(c.Genres, []string{"Crime"}) {
		t.Errorf("content %+v", c)
	}
	if c := in.Content("8"); c.Year != 0 || c.Genres != nil {
		t.Errorf("of a film that is not listed %+v is known", c)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// Nothing after the cut is in the set, and what is in it does not depend on the order of arrival.
func TestCut(t *testing.T) {
	w := newWorld(t)
	w.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "7", Title: "Seven", Genres: []string{"Crime"}}})
	w.dispatch(&commands.DefineFeatures{Definitions: "x", Hash: strings.Repeat("ab", 32)})
	w.facts(act("a", "1", "7", "like", 0, 1), act("b", "1", "8", "like", 0, 2), act("c", "2", "8", "like", 0, 3))
	cut := w.head()
	before := w.load(cut)
	w.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "7", Title: "Seven", Genres: []string{"War"}}})
	w.dispatch(&commands.DefineFeatures{Definitions: "y", Hash: strings.Repeat("cd", 32)})
	w.facts(act("d", "0", "1", "like", 0, 0))
	again := w.load(cut)
	if !slices.Equal(again.said(), before.said()) || len(again.said()) != 3 || again.FeaturesHash != strings.Repeat("ab", 32) || again.Movies["7"].Genres[0] != "Crime" {
		t.Errorf("%v, features %s, films %v", again.said(), again.FeaturesHash, again.Movies)
	}
	after := w.load(w.head())
	if len(after.said()) != 4 || after.FeaturesHash != strings.Repeat("cd", 32) || after.Movies["7"].Genres[0] != "War" {
		t.Errorf("%v, features %s, films %v", after.said(), after.FeaturesHash, after.Movies)
	}

	other := newWorld(t)
	other.facts(act("d", "0", "1", "like", 0, 0), act("c", "2", "8", "like", 0, 3))
	other.facts(act("b", "1", "8", "like", 0, 2), act("a", "1", "7", "like", 0, 1))
	if got := other.load(other.head()); !slices.Equal(got.said(), after.said()) {
		t.Errorf("in another order of arrival: %v; want %v", got.said(), after.said())
	}
}

func TestNothingToTrainOn(t *testing.T) {
	w := newWorld(t)
	if _, err := Load(context.Background(), w.log, w.head(), nil); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "nothing to train on") {
		t.Error(err)
	}
}

func TestLoadEnds(t *testing.T) {
	w := newWorld(t)
	w.facts(act("a", "1", "7", "like", 0, 1))
	cut := w.head()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, w.log, cut, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// version is what the registry has of a training on the whole log.
func (w *world) version(algorithm string, given map[string]string) *events.ModelVersionRegistered {
	w.Helper()
	r, err := all.Find(algorithm)
	w.must(err)
	p, err := r.Parse(given)
	w.must(err)
	cut := w.head()
	trained, err := r.Make(context.Background(), w.load(cut).Input(), p, recipe.Hooks{})
	w.must(err)
	return &events.ModelVersionRegistered{Name: r.Name, Version: 1, Algorithm: r.Name, Params: p, CodeVersion: r.CodeVersion(), DatasetCut: cut.String(), Blob: trained.SHA256}
}

func (w *world) some() {
	w.Helper()
	var facts []handlers.Identified
	for i := range 60 {
		facts = append(facts, act(uuid.NewString(), string(rune('a'+i%7)), string(rune('A'+i*5%11)), "rating", []float64{5, 4.5, 1}[i%3], i))
	}
	w.facts(facts...)
}

// Every recipe's versions are made again from the log alone, whatever has come after.
func TestRebuild(t *testing.T) {
	w := newWorld(t)
	w.some()
	var versions []*events.ModelVersionRegistered
	for _, r := range all.Recipes() {
		versions = append(versions, w.version(r.Name, map[string]string{recipe.HoldoutShare: "0.2"}))
	}
	w.some()
	for _, v := range versions {
		stages := map[string]bool{}
		again, err := Rebuild(context.Background(), w.log, v, func(stage string, _, _ int64) { stages[stage] = true })
		w.must(err)
		if again.SHA256 != v.Blob || !stages[recipe.StageFit] {
			t.Errorf("%s: %s; registered %s; stages %v", v.Algorithm, again.SHA256, v.Blob, stages)
		}
	}
	v := *versions[0]
	v.Algorithm = "" // of before versions stated it
	if again, err := Rebuild(context.Background(), w.log, &v, nil); err != nil || again.SHA256 != v.Blob {
		t.Error("a version without its algorithm:", err)
	}
}

func TestRebuildRefuses(t *testing.T) {
	w := newWorld(t)
	w.some()
	good := w.version("", nil)
	for _, test := range []struct {
		name, says string
		code       fault.Code
		change     func(v *events.ModelVersionRegistered)
	}{
		{"algorithm", "want one of als", fault.Conflict, func(v *events.ModelVersionRegistered) { v.Algorithm = "magic" }},
		{"elsewhere", "made elsewhere", fault.Conflict, func(v *events.ModelVersionRegistered) { v.Algorithm, v.Blob = "", "" }},
		{"code", "was trained by code", fault.Conflict, func(v *events.ModelVersionRegistered) { v.CodeVersion = "hybrid-ials/1 amd64 go" }},
		{"cut", "data set", fault.Corrupt, func(v *events.ModelVersionRegistered) { v.DatasetCut = "yesterday" }},
		{"parameter", "als.dims", fault.Corrupt, func(v *events.ModelVersionRegistered) { v.Params = map[string]string{"als.dims": "3"} }},
		{"no facts", "nothing to train on", fault.Conflict, func(v *events.ModelVersionRegistered) { v.DatasetCut = "user-events/0:0" }},
	} {
		v := *good
		test.change(&v)
		if _, err := Rebuild(context.Background(), w.log, &v, nil); !fault.Is(err, test.code) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
