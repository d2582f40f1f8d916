package recommend

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// quick parameters of a small model.
var quick = map[string]string{"als.dim": "4", "als.sweeps": "2", "holdout_events": "20"}

func (w *world) recommend(user string, k int) *Result {
	w.Helper()
	res, err := w.service.Recommend(Request{UserID: user, K: k, NowMillis: now.UnixMilli(), Current: true})
	w.must(err)
	return res
}

func (r *Result) ids() (list []string) {
	for _, it := range r.Items {
		list = append(list, it.MovieID)
	}
	return list
}

// small is forty films, thirty people and no model.
func small(t *testing.T) *world {
	w := newWorld(t)
	w.fill(40, 30, 400)
	return w
}

func TestWithoutAModel(t *testing.T) {
	w := small(t)
	res := w.recommend("1", 40)
	if res.Strategy != "online" || res.ModelName != "" || res.ModelVersion != 0 || res.Cut == "" || len(res.Items) == 0 {
		t.Fatalf("%+v", res)
	}
	met := map[string]bool{}
	err := fold.Of[*projections.Online](w.views).ReadFor("1", func(m *online.Model, _ streams.Cut) {
		for e := range m.UserEntries("1") {
			met[m.ItemID(e.Item)] = true
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(met) == 0 || len(res.Items) != 40-len(met) {
		t.Errorf("%d films of 40 to someone who has met %d", len(res.Items), len(met))
	}
	for i, it := range res.Items {
		if met[it.MovieID] || it.Title != "Film "+it.MovieID || it.Year == 0 || len(it.Genres) == 0 {
			t.Errorf("place %d: %+v", i, it)
		}
		if i > 0 && it.Score > res.Items[i-1].Score {
			t.Errorf("place %d has %v after %v", i, it.Score, res.Items[i-1].Score)
		}
	}
	if it := res.Items[0]; it.Sources["online"] != it.Score || len(it.Because) == 0 || it.Because[0].Title != "" {
		t.Errorf("the first is %+v; want its reasons, whose titles nobody has asked for", it)
	}
	if err := w.service.Ready(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no model is deployed") {
		t.Error("ready before anything was trained:", err)
	}
}

func TestStranger(t *testing.T) {
	w := small(t)
	w.deploy("als", w.train("als", quick))
	for _, user := range []string{"", "nobody"} {
		res := w.recommend(user, 5)
		if res.Strategy != "cold" || len(res.Items) != 5 || res.ModelName != "als" {
			t.Errorf("%q: %+v", user, res)
		}
		for _, it := range res.Items {
			if len(it.Because) > 0 {
				t.Errorf("a stranger is told %+v", it.Because)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t)
	for _, k := range []int{0, -1, KMax + 1} {
		_, err := w.service.Recommend(Request{K: k})
		_, popular := w.service.Popular(k)
		_, similar := w.service.Near(Version{}, "1", k)
		for _, err := range []error{err, popular, similar} {
			var f *fault.Error
			if !errors.As(err, &f) || f.Field != "k" {
				t.Errorf("k %d: %v", k, err)
			}
		}
	}
	if res := w.recommend("1", 10); res.Items == nil || len(res.Items) != 0 {
		t.Error("of no films are recommended", res)
	}
	if err := w.service.Ready(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "catalogue is empty") {
		t.Error(err)
	}
}

func TestWithAModel(t *testing.T) {
	w := small(t)
	w.deploy("als", w.train("als", quick))
	blended := 0
	for u := range 30 {
		res, err := w.service.Recommend(Request{UserID: strconv.Itoa(u + 1), K: 5, NowMillis: now.UnixMilli(), Explain: true})
		w.must(err)
		if res.ModelName != "als" || res.ModelVersion != 1 {
			t.Fatalf("%+v", res)
		}
		for _, it := range res.Items {
			var sum float64
			for _, part := range it.Sources {
				sum += part
			}
			if sum < it.Score-1e-6 { // parts below 0 are not told
				t.Errorf("parts %v of %v", it.Sources, it.Score)
			}
			reasons := 0.
			for _, why := range it.Because {
				if why.MovieID != "" && why.Title != "Film "+why.MovieID || why.Source == "" {
					t.Errorf("because %+v", why)
				}
				reasons += why.Score
			}
			if math.Abs(reasons-it.Score) > 1e-6 {
				t.Errorf("reasons add up to %v of %v: %v", reasons, it.Score, it.Because)
			}
		}
		if res.Strategy == "blend" {
			blended++
		}
	}
	w.must(w.service.Ready())
	if err := w.service.Behind(); err != nil {
		t.Error(err)
	}
	t.Logf("%d of 30 lists are blended", blended)
}

// What is recorded of a list does not depend on whether reasons were asked for, but for those of the factors.
func TestReasonsOfOnlineCounts(t *testing.T) {
	w := small(t)
	plain, err := w.service.Recommend(Request{UserID: "3", K: 5, NowMillis: now.UnixMilli()})
	w.must(err)
	explained, err := w.service.Recommend(Request{UserID: "3", K: 5, NowMillis: now.UnixMilli(), Explain: true})
	w.must(err)
	for i, it := range plain.Items {
		films := slices.DeleteFunc(explained.Items[i].Because, func(why Reason) bool { return why.MovieID == "" })
		for k, why := range films[:min(len(films), reasonsMax)] {
			why.Title = ""
			if it.Because[k] != why {
				t.Errorf("place %d, reason %d: %+v and %+v", i, k, it.Because[k], why)
			}
		}
	}
}

// However long a history is, so many reasons are told, and the others as one.
func TestReasonsAreBounded(t *testing.T) {
	var because []recipe.Reason
	var want float64
	for i := range 500 {
		because = append(because, recipe.Reason{ID: strconv.Itoa(i), Score: float32(250-i) / 1000, Source: "ease"})
		want += float64(because[i].Score)
	}
	for k, most := range map[int]int{1: explainedMax, 1000: explainedMax, listMax / 10: 10, listMax: reasonsMax} {
		got := reasons(because, true, k)
		var sum float64
		for _, why := range got {
			sum += float64(why.Score)
		}
		if len(got) != most || math.Abs(sum-want) > 1e-5 || !slices.ContainsFunc(got, func(r recipe.Reason) bool { return r.Source == sourceMore && r.ID == "" }) {
			t.Errorf("k %d: %d reasons, which add up to %v; want %d and %v", k, len(got), sum, most, want)
		}
	}
	if got := reasons(because, false, 10); len(got) != reasonsMax || len(reasons(because[:7], true, 10)) != 7 {
		t.Errorf("%d reasons", len(got))
	}
}

// A model that says nothing of a film's content ranks a new one by what its genres say of it: genres that
// change reach it, one film at a time.
func TestChangedGenres(t *testing.T) {
	w := newWorld(t)
	var films []string
	for i := range 40 {
		films = append(films, fmt.Sprintf("%02d 2000 %s", i, []string{"Drama", "Comedy"}[i%2]))
	}
	w.list(films...)
	var ratings []rating
	for u := range 30 {
		for k := range 12 {
			ratings = append(ratings, rating{strconv.Itoa(u), fmt.Sprintf("%02d", (2*((u*7+k*3)%20))+u%2), 5, now.Add(time.Duration(u*20+k-2000) * time.Hour)})
		}
	}
	w.rate(ratings...)
	w.deploy("als", w.train("als", map[string]string{"als.dim": "8", "content_lambda": "0.1", "als.unobserved_weight": "0.3"}))
	w.forceBlend(.9)
	w.list("new 2000 Drama")
	score := func() float64 {
		for _, it := range w.recommend("0", 100).Items { // person 0 likes drama
			if it.MovieID == "new" {
				return it.Score
			}
		}
		return -1
	}
	drama := score()
	before := w.service.films.ranked
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "new", Title: "Film new", Year: 2000, Genres: []string{"Comedy"}}})
	comedy := score()
	if drama <= comedy {
		t.Errorf("a film is scored %v as a drama and %v as a comedy", drama, comedy)
	}
	if res := w.recommend("0", 100); w.service.films.ranked == before || !slices.Contains(res.ids(), "new") {
		t.Error("the film is gone, or was not taken in")
	}
	// A title is shown, and makes no ranker anew.
	before = w.service.films.ranked
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "new", Title: "Another title", Year: 2000, Genres: []string{"Comedy"}}})
	res := w.recommend("0", 100)
	at := slices.Index(res.ids(), "new")
	if res.Items[at].Title != "Another title" || w.service.films.ranked != before {
		t.Errorf("title %q; rankers made anew: %v", res.Items[at].Title, w.service.films.ranked != before)
	}
}

// Few films are taken in by the next request, whether it insists or not.
func TestNewFilm(t *testing.T) {
	w := small(t)
	w.recommend("1", 5)
	w.list("zz 1999 Drama")
	res, err := w.service.Recommend(Request{UserID: "1", K: 100, NowMillis: now.UnixMilli()})
	w.must(err)
	if !slices.Contains(res.ids(), "zz") {
		t.Error("a new film is not offered")
	}
	// And in no order of ids: places move.
	w.list("-a 1999 Drama")
	top := w.recommend("1", 100)
	if !slices.Contains(top.ids(), "-a") || len(top.Items) != len(res.Items)+1 {
		t.Errorf("%d films after %d", len(top.Items), len(res.Items))
	}
	for _, it := range top.Items {
		if it.Title != "Film "+it.MovieID {
			t.Errorf("film %s is called %s", it.MovieID, it.Title)
		}
	}
}

// Many films are taken in beside requests, which go on with those before; whoever insists waits.
func TestManyFilms(t *testing.T) {
	w := small(t)
	w.deploy("als", w.train("als", quick))
	before := len(w.recommend("nobody", KMax).Items)
	w.service.catching.Lock() // somebody is at it
	var films []string
	for i := range changesFew + 50 {
		films = append(films, fmt.Sprintf("m%d 1999 Drama", i))
	}
	w.list(films...)
	res, err := w.service.Recommend(Request{UserID: "nobody", K: KMax, NowMillis: now.UnixMilli()})
	w.must(err)
	if len(res.Items) != before {
		t.Errorf("%d films while %d are taken in; want the %d before", len(res.Items), len(films), before)
	}
	current := make(chan int)
	go func() { current <- len(w.recommend("nobody", KMax).Items) }()
	for range 10_000 { // it has every chance to go on with the films before
		runtime.Gosched()
	}
	w.service.catching.Unlock()
	if n := <-current; n != before+len(films) {
		t.Errorf("%d films to who insists; want %d", n, before+len(films))
	}
	for i := range changesFew + 1 {
		films[i] = fmt.Sprintf("n%d 1999 Drama", i)
	}
	w.list(films[:changesFew+1]...)
	if res, err = w.service.Recommend(Request{UserID: "nobody", K: KMax, NowMillis: now.UnixMilli()}); err != nil || len(res.Items) < before+len(films) {
		t.Fatal(len(res.Items), err)
	}
	w.service.background.Wait()
	if res, err = w.service.Recommend(Request{UserID: "nobody", K: KMax, NowMillis: now.UnixMilli()}); err != nil || len(res.Items) != before+len(films)+changesFew+1 {
		t.Errorf("%d films once they are taken in: %v", len(res.Items), err)
	}
}

// A view that was folded again is read anew.
func TestRebuiltCatalogue(t *testing.T) {
	w := small(t)
	n := len(w.recommend("nobody", 100).Items)
	was := w.service.films.view
	w.must(w.views.Rebuild(context.Background(), "catalogue", nil))
	if got := len(w.recommend("nobody", 100).Items); got != n || w.service.films.view == was {
		t.Errorf("%d films after a rebuild; want %d, from the new view", got, n)
	}
}

func TestNamedVersion(t *testing.T) {
	w := small(t)
	first := w.train("als", quick)
	w.train("als", map[string]string{"als.dim": "6", "als.sweeps": "2", "holdout_events": "20"})
	popular := w.train("popularity", nil)
	w.deploy("als", first)
	req := Request{UserID: "2", K: 5, NowMillis: now.UnixMilli(), Explain: true}
	for _, want := range []version{{model: "als", number: 2}, {model: "als", number: 1}, {model: "popularity", number: popular}} {
		res, err := w.service.RecommendBy(want.model, want.number, req)
		w.must(err)
		if res.ModelName != want.model || res.ModelVersion != want.number || len(res.Items) != 5 {
			t.Errorf("%+v", res)
		}
		if want.model == "popularity" {
			it := res.Items[0]
			if res.Strategy != "popularity" || it.Score < .999 || it.Sources["popularity"] != it.Score || len(it.Because) != 1 || it.Because[0].Source != "popular lately" || it.Because[0].MovieID != "" {
				t.Errorf("%+v of %+v", it, res)
			}
		}
	}
	if res := w.recommend("2", 5); res.ModelName != "als" || res.ModelVersion != first {
		t.Errorf("the slot is ranked by %s %d", res.ModelName, res.ModelVersion)
	}
	for _, no := range []version{{model: "als", number: 9}, {model: "none", number: 1}} {
		if _, err := w.service.RecommendBy(no.model, no.number, req); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s %d: %v", no.model, no.number, err)
		}
	}
	w.deploy("popularity", popular)
	if res := w.recommend("2", 5); res.ModelName != "popularity" || res.Strategy != "popularity" {
		t.Errorf("%+v", res)
	}
}

// Only so many versions are kept, the one that serves among them; weights are read again for the others.
func TestVersionsKept(t *testing.T) {
	w := small(t)
	var reads atomic.Int64
	w.service.weights = func(hash string) ([]byte, error) { reads.Add(1); return w.blob(hash) }
	var versions []int
	for i := range loadedMax + 2 {
		versions = append(versions, w.train("popularity", map[string]string{"popularity.half_life_days": strconv.Itoa(i + 1)}))
	}
	w.deploy("popularity", versions[0])
	w.recommend("1", 5)
	for _, v := range versions {
		if _, err := w.service.RecommendBy("popularity", v, Request{UserID: "1", K: 5, NowMillis: now.UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	if n := reads.Load(); n != int64(len(versions)) {
		t.Errorf("weights were read %d times for %d versions", n, len(versions))
	}
	w.recommend("1", 5)
	if n := reads.Load(); n != int64(len(versions)) {
		t.Error("the version that serves was not kept")
	}
	if len(w.service.loaded) > loadedMax {
		t.Errorf("%d versions are kept", len(w.service.loaded))
	}
	if _, err := w.service.RecommendBy("popularity", versions[1], Request{UserID: "1", K: 5}); err != nil || reads.Load() != int64(len(versions))+1 {
		t.Errorf("one that is not kept: %v after %d reads", err, reads.Load())
	}
}

// Versions registered before versions stated their algorithm are the default recipe's.
func TestVersionWithoutAlgorithm(t *testing.T) {
	w := small(t)
	w.train("als", quick)
	v, _, err := fold.Of[*projections.Registry](w.views).Version("als", 1)
	w.must(err)
	b, err := w.blob(v.Blob)
	w.must(err)
	w.commit(&events.ModelVersionRegistered{Name: "als", Version: 2, Blob: v.Blob, Slot: events.ProductionSlot})
	w.deploy("als", 2)
	if res := w.recommend("1", 5); res.ModelVersion != 2 || len(b) == 0 {
		t.Errorf("%+v", res)
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	w := small(t)
	v := w.register("magic", "magic", []byte("spell"))
	_, err := w.service.RecommendBy("magic", v, Request{UserID: "1", K: 5})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "one of als") {
		t.Error(err)
	}
	registered, _, err := fold.Of[*projections.Registry](w.views).Version("magic", v)
	w.must(err)
	if err := w.service.Check("magic", &registered); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "cannot be served by this program") {
		t.Error("as the version to be deployed:", err)
	}
	// Another program has deployed it: what served before goes on, also in a process that begins so.
	good := w.train("popularity", nil)
	w.deploy("popularity", good)
	w.deploy("magic", v)
	for range 2 {
		if res := w.recommend("1", 5); res.ModelName != "popularity" || res.ModelVersion != good {
			t.Errorf("%+v", res)
		}
		if err := w.service.Behind(); !fault.Is(err, fault.Conflict) {
			t.Error("nobody says why the deployed version does not serve:", err)
		}
		w.service.Close()
		w.service = New(w.views, w.blob)
	}
}

// Weights that are missing or damaged do not stop what served before. They are looked at again after a while.
func TestBadWeights(t *testing.T) {
	for name, spoil := range map[string]func(w *world, hash string, weights []byte){
		"missing": func(w *world, hash string, _ []byte) { w.forget(hash) },
		"damaged": func(w *world, hash string, weights []byte) {
			b := bytes.Clone(weights)
			b[len(b)/2] ^= 1
			w.keep(hash, b)
		},
		"empty": func(w *world, hash string, _ []byte) { w.keep(hash, nil) },
		"not a number": func(w *world, hash string, weights []byte) {
			b := bytes.Clone(weights)
			at := 16 + int(binary.LittleEndian.Uint32(b[12:])) // of the first tensor
			binary.LittleEndian.PutUint32(b[at:], math.Float32bits(float32(math.NaN())))
			w.keep(hash, binary.LittleEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli))))
		},
		"of another recipe": func(w *world, hash string, _ []byte) {
			v, _, err := fold.Of[*projections.Registry](w.views).Version("popularity", 1)
			w.must(err)
			b, err := w.blob(v.Blob)
			w.must(err)
			w.keep(hash, b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := small(t)
			clock := now
			w.service.now = func() time.Time { return clock }
			w.train("popularity", nil)
			good, bad := w.train("als", quick), w.train("als", map[string]string{"als.dim": "5", "als.sweeps": "2", "holdout_events": "20"})
			v, _, err := fold.Of[*projections.Registry](w.views).Version("als", bad)
			w.must(err)
			weights, err := w.blob(v.Blob)
			w.must(err)
			spoil(w, v.Blob, weights)

			w.deploy("als", bad)
			if res := w.recommend("1", 5); res.ModelName != "" || res.Strategy != "online" || len(res.Items) != 5 {
				t.Errorf("nothing served before, and weights are bad: %+v", res)
			}
			if err := w.service.Behind(); err == nil || !strings.Contains(err.Error(), "weights of als version 2") {
				t.Error("nobody says why the deployed version does not serve:", err)
			}
			if err := w.service.Ready(); err == nil {
				t.Error("ready with bad weights and nothing else")
			}
			w.deploy("als", good)
			if res := w.recommend("1", 5); res.ModelVersion != good {
				t.Fatalf("%+v", res)
			}
			w.deploy("als", bad)
			if res := w.recommend("1", 5); res.ModelVersion != good || len(res.Items) != 5 {
				t.Errorf("with a bad version deployed: %+v", res)
			}
			w.must(w.service.Ready())
			if err := w.service.Behind(); err == nil || !strings.Contains(err.Error(), "weights of als version 2") {
				t.Error("nobody says why the deployed version does not serve:", err)
			}
			if _, err := w.service.RecommendBy("als", bad, Request{UserID: "1", K: 5}); err == nil {
				t.Error("the bad version ranks by its name")
			}
			if err := w.service.Check("als", &v); err == nil || !strings.Contains(err.Error(), "weights of als version 2") {
				t.Error("it may be deployed:", err)
			}
			next := New(w.views, w.blob) // a process that begins so
			if res, err := next.Recommend(Request{UserID: "1", K: 5, NowMillis: now.UnixMilli(), Current: true}); err != nil || res.ModelVersion != good {
				t.Errorf("the next process: %+v, %v", res, err)
			}
			next.Close()
			w.keep(v.Blob, weights) // mended
			if res := w.recommend("1", 5); res.ModelVersion != good {
				t.Error("looked at again at once")
			}
			clock = clock.Add(loadAgain)
			if res := w.recommend("1", 5); res.ModelVersion != bad {
				t.Errorf("after it was mended: %+v", res)
			}
			if err := w.service.Behind(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A deployment can be folded before the version it names.
func TestDeployedBeforeRegistered(t *testing.T) {
	w := small(t)
	w.service.registryLag = time.Millisecond
	v := version{"als", 1, strings.Repeat("ab", 32)}
	_, _, err := w.service.at(v, "mlops-events/0@999999")
	if !fault.Is(err, fault.Unavailable) || len(w.service.failed) > 0 {
		t.Errorf("%v, remembered: %v", err, w.service.failed)
	}
	if _, _, err := w.service.at(v, "mlops-events/0@0"); !fault.Is(err, fault.NotFound) {
		t.Error("weights that nobody has, once the registry is there:", err)
	}
}

func TestPopular(t *testing.T) {
	w := newWorld(t)
	w.list("a 2000 Drama", "b 2000 Drama", "c 2000 Drama", "d 2000 Drama")
	like := func(user, film string) rating { return rating{user, film, 5, now.Add(-time.Hour)} }
	w.rate(like("1", "c"), like("2", "c"), like("3", "c"), like("1", "b"), like("2", "b"), like("3", "a"), like("4", "a"), like("1", "d"),
		like("1", "gone"), like("2", "gone"), like("3", "gone"), like("4", "gone"))
	for k, want := range map[int][]string{1: {"c"}, 2: {"c", "a"}, 3: {"c", "a", "b"}, 100: {"c", "a", "b", "d"}} {
		items, err := w.service.Popular(k)
		w.must(err)
		if got := (&Result{Items: items}).ids(); !slices.Equal(got, want) {
			t.Errorf("the %d most popular are %v; want %v", k, got, want)
		}
	}
	items, err := w.service.Popular(1)
	w.must(err)
	if it := items[0]; it.Score != 3 || it.Title != "Film c" {
		t.Errorf("%+v", it)
	}
	w.rate(like("5", "d"), like("6", "d"), like("7", "d"))
	if items, _ = w.service.Popular(1); items[0].MovieID != "d" {
		t.Errorf("after three more: %+v", items)
	}
}

func TestSimilar(t *testing.T) {
	w := newWorld(t)
	w.list("7 2000 Drama", "8 2000 Drama", "9 2000 Drama")
	for u := range 5 {
		id := strconv.Itoa(u)
		w.rate(rating{id, "7", 5, now.Add(-3 * time.Hour)}, rating{id, "8", 5, now.Add(-2 * time.Hour)}, rating{id, "gone", 5, now.Add(-time.Hour)})
	}
	near := func(by Version, id string, want ...string) {
		t.Helper()
		items, err := w.service.Near(by, id, 10)
		w.must(err)
		var got []string
		for _, it := range items {
			for source := range it.Sources {
				got = append(got, it.MovieID+" "+source)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("like %s: %v; want %v", id, got, want)
		}
	}
	near(Version{}, "7", "8 co_counts", "9 content")
	near(Version{}, "9", "7 content", "8 content") // which nobody has met
	w.list("10 0", "11 1999 Comedy Drama", "5 1990 Comedy")
	near(Version{}, "10", "7 popularity", "8 popularity", "11 popularity", "5 popularity", "9 popularity") // of which nothing is known
	near(Version{}, "11", "7 content", "8 content", "9 content", "5 content")
	if items, err := w.service.Near(Version{}, "7", 1); err != nil || len(items) != 1 || items[0].Title != "Film 8" || items[0].Score <= 0 {
		t.Errorf("%+v, %v", items, err)
	}
	if _, err := w.service.Near(Version{}, "gone", 10); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// Somebody without an id is ranked for by the films they name, by each recipe that can, and nothing is learned from it.
func TestGuest(t *testing.T) {
	w := newWorld(t)
	w.fill(60, 40, 800)
	w.list("new 1987 Horror War")
	ask := Request{K: 60, NowMillis: now.UnixMilli(), Films: []string{"movie_001", "3", "new", "5"}}
	before := w.views.FoldedTo("online", streams.TP{Topic: events.UserEventsTopic})
	taste := func(res *Result) (same int) { // films of odd ids go together
		for _, it := range res.Items[:10] {
			if n, err := strconv.Atoi(it.MovieID); err == nil && n%2 == 1 {
				same++
			}
		}
		return same
	}
	for _, r := range all.Recipes() {
		v := w.train(r.Name, nil)
		res, err := w.service.RecommendEach(Version{r.Name, v}, []string{""}, ask)
		if r.OfPeople {
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s ranks by films: %v", r.Name, err)
			}
		} else {
			w.must(err)
			if got := taste(res[0]); r.Name != "popularity" && got < 7 || !res[0].Guest {
				t.Errorf("%s: %d of ten are of the taste", r.Name, got)
			}
		}
		w.deploy(r.Name, v)
		slot, err := w.service.Recommend(ask)
		w.must(err)
		if r.OfPeople && slot.Strategy != "online" || !r.OfPeople && slot.ModelName != r.Name {
			t.Errorf("with %s deployed it is by %q, %s", r.Name, slot.ModelName, slot.Strategy)
		}
		if ids := slot.ids(); len(ids) != 57 || slices.Contains(ids, "1") || slices.Contains(ids, "3") || slices.Contains(ids, "new") {
			t.Errorf("%s shows what was named: %v", r.Name, ids)
		}
		again := ask
		again.Again = true
		if slot, err := w.service.Recommend(again); err != nil || len(slot.Items) != 60 {
			t.Errorf("%s: %d films, %v", r.Name, len(slot.Items), err)
		}
	}
	if got := w.views.FoldedTo("online", streams.TP{Topic: events.UserEventsTopic}); got != before {
		t.Errorf("the log has gone on from %d to %d", before, got)
	}
	for _, bad := range []Request{{K: 5, Films: []string{"1", "nope"}}, {K: 5, Films: make([]string, FilmsMax+1)}, {K: 5, UserID: "1", Films: []string{"1"}}} {
		if _, err := w.service.Recommend(bad); err == nil {
			t.Errorf("%+v is answered", bad)
		}
	}
}

// By each recipe, films like one come from what it has learned, and those like one that nobody has met from content: of the
// version that is named, and of the one that is deployed.
func TestSimilarOfEachRecipe(t *testing.T) {
	w := newWorld(t)
	w.fill(60, 40, 800)
	w.list("new 1987 Horror War", "blank 0")
	for _, r := range all.Recipes() {
		v := Version{r.Name, w.train(r.Name, nil)}
		for _, by := range []Version{v, {Model: r.Name}, {}} {
			for _, film := range []string{"1", "new", "blank"} {
				items, err := w.service.Near(by, film, 10)
				if err != nil || len(items) != 10 {
					t.Fatalf("%s, %+v, %s: %d films, %v", r.Name, by, film, len(items), err)
				}
				_, learned := items[0].Sources[r.Name]
				_, content := items[0].Sources["content"]
				if film == "1" && by.Model != "" && r.Name != "popularity" && !learned || film == "new" && !content {
					t.Errorf("%s, %+v: like %s: %+v", r.Name, by, film, items[0])
				}
				for i, it := range items {
					if it.MovieID == film || i > 0 && it.MovieID == items[i-1].MovieID {
						t.Errorf("%s: like %s: %v", r.Name, film, (&Result{Items: items}).ids())
					}
				}
			}
		}
		w.deploy(r.Name, v.Number)
	}
	for _, by := range []Version{{Model: "als", Number: 9}, {Model: "none"}} {
		if _, err := w.service.Near(by, "1", 10); !fault.Is(err, fault.NotFound) {
			t.Errorf("%+v: %v", by, err)
		}
	}
}

// Requests of all kinds go on, each with a whole answer, while films, facts and versions come.
func TestWhileEverythingChanges(t *testing.T) {
	w := small(t)
	w.deploy("als", w.train("als", quick))
	popular := w.train("popularity", nil)
	ctx, stop := context.WithCancel(context.Background())
	asked := make(chan struct{})
	var asking sync.WaitGroup
	for n := range 4 {
		asking.Go(func() {
			defer stop() // all end when one does
			for i := 0; ctx.Err() == nil; i++ {
				req := Request{UserID: strconv.Itoa(1 + i%35), K: 10, NowMillis: now.UnixMilli(), Explain: i%2 == 0, Current: i%7 == 0}
				var res *Result
				var err error
				switch {
				case n == 0 && i%2 == 0:
					res, err = w.service.RecommendBy("popularity", popular, req)
				case n == 0 && i%3 == 0:
					_, err = w.service.Popular(10)
				default:
					res, err = w.service.Recommend(req)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if res != nil {
					for _, it := range res.Items {
						if it.Title != "Film "+it.MovieID || it.Year == 0 {
							t.Errorf("%+v", it)
						}
					}
				}
				select {
				case asked <- struct{}{}:
				default:
				}
			}
		})
	}
	film := 0
	for round := range 12 {
		var films []string
		for range []int{3, changesFew + 40}[round%2] {
			films = append(films, fmt.Sprintf("x%d 1990 Drama", film%900)) // some are listed again, with other genres
			film++
		}
		w.list(films...)
		w.rate(rating{"1", "x1", 4, now.Add(time.Duration(round) * time.Second)}, rating{strconv.Itoa(40 + round), "x2", 5, now})
		if round%4 == 3 {
			w.deploy([]string{"als", "popularity"}[round/4%2], 1)
		}
		for range 8 {
			select {
			case <-asked:
			case <-ctx.Done():
			}
		}
	}
	stop()
	asking.Wait()
	count, err := fold.Of[*projections.Catalogue](w.views).Count()
	w.must(err)
	w.recommend("1", 5)
	if n := w.service.films.ranked.Len(); int64(n) != count {
		t.Errorf("%d films are ranked of %d", n, count)
	}
	for v, l := range w.service.loaded {
		if l.ranker.Films() != w.service.films.ranked {
			t.Errorf("the ranker of %+v ranks other films", v)
		}
	}
}

// TestServedByItsFeatures: a version whose feature views are defined otherwise now does not take the place of the one that serves; one that serves already
// goes on, and is not ready.
func TestServedByItsFeatures(t *testing.T) {
	w := small(t)
	hash := func(c string) string { return strings.Repeat(c, 64) }
	now := map[string]string{"m": hash("1")}
	w.service.Fits = func(what string, views []events.ViewRead) error {
		for _, v := range views {
			if now[v.View] != v.Hash {
				return fault.New(fault.Conflict, "%s was trained on feature view %s as it is not any more", what, v.View)
			}
		}
		return nil
	}
	clock := time.Now()
	w.service.now = func() time.Time { return clock }
	none := w.train("als", map[string]string{"als.dim": "4", "als.sweeps": "1"})
	w.deploy("als", none)
	now["m"] = hash("2")
	if res := w.recommend("1", 5); res.ModelVersion != none {
		t.Fatalf("a version that reads no feature view: %+v", res)
	}
	reads := w.trainOn([]events.ViewRead{{View: "m", Hash: hash("1")}})
	w.deploy("als", reads)
	if res := w.recommend("1", 5); res.ModelVersion != none {
		t.Errorf("a version of other features serves: %+v", res)
	}
	says := fmt.Sprintf("version %d of model als was trained on feature view m", reads)
	if err := w.service.Behind(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("nobody says so: %v", err)
	}
	now["m"] = hash("1")
	clock = clock.Add(loadAgain)
	if res := w.recommend("1", 5); res.ModelVersion != reads {
		t.Errorf("of its features: %+v", res)
	}
	w.must(w.service.Ready())
	now["m"] = hash("3")
	if res := w.recommend("1", 5); res.ModelVersion != reads {
		t.Errorf("it does not go on: %+v", res)
	}
	if err := w.service.Ready(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("ready: %v", err)
	}
}
