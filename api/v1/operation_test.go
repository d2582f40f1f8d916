package v1_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	v1 "github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
)

// corrupted is the catalogue, which after a switch folds something that the log does not say.
type corrupted struct {
	*projections.Catalogue
	on *bool
}

func (c corrupted) Apply(w fold.Writer, in []fold.Input) error {
	if *c.on && len(in) > 0 {
		if err := w.Set([]byte("zzz"), []byte("not of the log")); err != nil {
			return err
		}
	}
	return c.Catalogue.Apply(w, in)
}

func TestVerify(t *testing.T) {
	w := newFixture(t)
	a := w.post("/api/v1/ops/verify", nil)
	r := a.result()
	if r["equal"] != true || len(r["views"].([]any)) != len(projections.All()) || a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("result: %v", r)
	}
	first := a.lines()[0]
	if first["stage"] == nil || first["done"] == nil || first["total"] == nil || first["rate"] == nil {
		t.Errorf("progress: %v", first)
	}
}

func TestVerifyFindsADifference(t *testing.T) {
	on := true
	w := newFixture(t, func(c *setup) {
		store, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		factories := projections.All()
		factories[0] = func() fold.View { return corrupted{projections.NewCatalogue(), &on} }
		views, err := fold.NewRunner(context.Background(), c.cfg.Log, store, factories...)
		if err != nil {
			t.Fatal(err)
		}
		c.cfg.Views, c.own.Factories = views, factories
	})
	on = false // the fold is right again, what it has stored is not
	r := w.post("/api/v1/ops/verify", nil).result()
	if r["equal"] != false {
		t.Fatalf("result: %v", r)
	}
	for _, v := range r["views"].([]any) {
		if view := v.(map[string]any); view["equal"] != (view["view"] != "catalogue") {
			t.Errorf("view: %v", view)
		}
	}
}

// choosy is another catalogue, which cannot fold one film.
type choosy struct{ *projections.Catalogue }

func (c choosy) Spec() fold.Spec {
	spec := c.Catalogue.Spec()
	spec.Name = "choosy"
	return spec
}

func (c choosy) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if m, ok := in[i].Event.Data.(*events.MovieListed); ok && m.MovieID == "666" {
			return fold.PoisonAt(&in[i], errors.New("not this one"))
		}
	}
	return c.Catalogue.Apply(w, in)
}

// TestHaltedView: /readyz goes red and names the event; the operator's word to pass over it mends that.
func TestHaltedView(t *testing.T) {
	w := newFixture(t, func(c *setup) {
		store, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		c.own.Factories = projections.All()
		c.own.Factories = append(c.own.Factories, func() fold.View { return choosy{projections.NewCatalogue()} })
		views, err := fold.NewRunner(context.Background(), c.cfg.Log, store, c.own.Factories...)
		if err != nil {
			t.Fatal(err)
		}
		c.cfg.Views = views
		c.own.Recommend = recommend.New(views, c.own.Blobs.Get)
		c.own.Features = featurestore.New(views, c.cfg.Log)
	})
	w.train()
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	w.get("/readyz").want(200)
	res, err := w.cfg.Dispatcher.Dispatch(context.Background(), &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "666", Title: "Poison"}}, handlers.Meta{})
	w.must(err)
	position := res.Position.String()
	if err := w.core.Views.Wait(context.Background(), res.Position); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the view did not halt: %v", err)
	}
	p := w.get("/readyz").problem(503, "")
	if p.Errors[0].Field != "view choosy" || !strings.Contains(p.Errors[0].Message, position) || !strings.Contains(p.Errors[0].Message, res.Events[0].ID) {
		t.Fatalf("problem: %+v", p)
	}
	if m := samples(t, string(w.get("/metrics").Body)); m[`projection_halted{view="choosy"}`] != 1 {
		t.Error("the metric does not say that it halted")
	}
	a := w.post("/api/v1/views/choosy/skip", map[string]string{"position": position, "reason": "it is poison"}).want(200)
	w.folded(streamsPosition(t, a.at("position")))
	w.get("/readyz").want(200)
}

func TestReplay(t *testing.T) {
	w := newFixture(t)
	r := w.post("/api/v1/ops/replay", `{"view":"histories"}`).result()
	if got := jsonAt(r, "rebuilt.0"); got != "histories" {
		t.Errorf("result: %v", r)
	}
	r = w.post("/api/v1/ops/replay", `{}`).result()
	if got := jsonAt(r, "rebuilt."+strconv.Itoa(len(projections.All())-1)); got == "<none>" {
		t.Errorf("result: %v", r)
	}
	if r = w.post("/api/v1/ops/verify", nil).result(); r["equal"] != true {
		t.Errorf("after the rebuild: %v", r)
	}
	into := filepath.Join(t.TempDir(), "copy")
	now := w.post("/api/v1/ops/replay", map[string]string{"into": into}).result()
	if entries, err := os.ReadDir(into); err != nil || len(entries) == 0 {
		t.Errorf("nothing at %s: %v", into, err)
	}
	w.post("/api/v1/ops/replay", map[string]string{"into": into}).problem(400, "into")
	then := w.post("/api/v1/ops/replay", `{"until":"mlops-events/0@3","view":"catalogue"}`).result()
	if jsonAt(then, "views.0.view") != "catalogue" || jsonAt(then, "views.0.sha256") == jsonAt(now, "views.0.sha256") || !strings.Contains(jsonAt(then, "cut"), "mlops-events/0:4") {
		t.Errorf("then %v", then)
	}
	w.post("/api/v1/ops/checkpoint", nil).result()
}

func TestRebuildModel(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.post("/api/v1/feedback", `{"user_id":"42","movie_id":"1"}`).want(200) // after the version's cut
	r := w.post("/api/v1/ops/models/als/1/rebuild", nil).result()
	if r["equal"] != true || r["sha256"] != r["registered_sha256"] || len(r["sha256"].(string)) != 64 || r["blob"] != "whole" {
		t.Errorf("result: %v", r)
	}
	hash := r["sha256"].(string)
	want, err := w.blobs.Get(hash)
	w.must(err)
	for state, harm := range map[string]func(path string) error{
		"put back: it was damaged": func(path string) error {
			return os.WriteFile(path, append(bytes.Clone(want[:len(want)-1]), want[len(want)-1]^1), 0o600)
		},
		"put back: it was missing": os.Remove,
	} {
		f, err := w.blobs.Open(t.Context(), hash)
		w.must(err)
		w.must(f.Close())
		w.must(harm(f.Name()))
		if r := w.post("/api/v1/ops/models/als/1/rebuild", nil).result(); r["equal"] != true || r["blob"] != state {
			t.Errorf("%s: %v", state, r)
		}
		if got, err := w.blobs.Get(hash); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", state, len(got), err)
		}
	}
	w.post("/api/v1/ops/models/als/2/rebuild", nil).problem(404, "")
}

func TestReplayedRecommendations(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.clock.set(day0.Add(time.Hour))
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	was := w.get("/api/v1/recommendations?user_id=1&k=5").want(200)
	if was.at("strategy") != "blend" {
		t.Fatalf("answer: %s", was.Body)
	}
	w.clock.set(day0.Add(2 * time.Hour))
	top := was.at("items.0.movie_id")
	w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"`+top+`","rating":1}`).want(200)
	w.folded(streamsPosition(t, was.at("position")))
	if got := w.get("/api/v1/recommendations?user_id=1&k=5").at("items.0.movie_id"); got == top {
		t.Fatal("the rating changed nothing")
	}
	// As known then: the same answer again, item by item.
	r := w.post("/api/v1/ops/recommendations", `{"user_id":1,"k":5,"known_at":"2024-06-01T13:00:00Z"}`).result()
	var same any
	was.into(&same)
	if jsonAt(r, "items") != jsonAt(same, "items") || jsonAt(r, "replayed") != "true" {
		t.Errorf("replayed %s\nshown %s", jsonAt(r, "items"), jsonAt(same, "items"))
	}
	if got := w.get("/api/v1/recommendations?user_id=1&k=5&known_at=2024-06-01T13:00:00Z").want(200).at("items"); got != jsonAt(same, "items") {
		t.Errorf("replayed %s", got)
	}
	// As of February by event time: no model had been deployed, and most ratings had not been given.
	feb := w.get("/api/v1/recommendations?user_id=1&k=12&as_of=2024-02-02").want(200)
	if feb.at("strategy") != "online" || feb.at("model_name") != "null" {
		t.Errorf("in February: %s", feb.Body)
	}
	if cold := w.get("/api/v1/recommendations?user_id=10&k=12&as_of=2024-02-02").want(200); cold.at("strategy") != "cold" {
		t.Errorf("before their first rating: %s", cold.Body)
	}
	w.post("/api/v1/ops/recommendations", `{"user_id":1}`).problem(400, "known_at")
}

// A replay that goes on from an earlier one answers as one that begins with the log does: of the same moment, of a later
// one, of an earlier one, along each of the two times, and with another definition of what acts mean.
func TestReplaysGoOn(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	beginning := w.fromTheBeginning()
	var told []string
	rng := rand.New(rand.NewPCG(3, 3))
	for step := range 40 {
		w.clock.set(day0.Add(time.Duration(step+1) * time.Minute))
		body := fmt.Sprintf(`{"user_id":"%d","movie_id":"%d","rating":%d,"timestamp":"2024-05-%02dT12:00:00Z"}`, 1+rng.IntN(12), 1+rng.IntN(12), 1+rng.IntN(5), 1+rng.IntN(28))
		told = append(told, w.post("/api/v1/feedback", body).want(200).at("position"))
		if step%9 == 4 {
			w.post("/api/v1/signals", fmt.Sprintf("rating: {liked: 5, disliked: %d, seen: %dd}\n", step%3, 1+step%2*3000)).want(200)
		}
		moment := "known_at=" + url.QueryEscape(told[len(told)-1])
		switch rng.IntN(6) {
		case 0:
			moment = "known_at=" + url.QueryEscape(told[rng.IntN(len(told))])
		case 1:
			moment = "as_of=2024-05-14"
		case 2:
			moment += "&as_of=2024-05-14"
		}
		ask := fmt.Sprintf("/api/v1/recommendations?user_id=%d&k=12&explain=true&%s", 1+rng.IntN(12), moment)
		got := w.get(ask).want(200)
		again := w.get(ask).want(200)
		if step%10 == 0 { // else the next one may go on from here
			w.core.Past().Forget()
		}
		if string(again.Body) != string(got.Body) {
			t.Fatalf("step %d: %s\nagain %s\nat first %s", step, ask, again.Body, got.Body)
		}
		if other := beginning(ask); other.Code != 200 || other.Text != string(got.Body) {
			t.Fatalf("step %d: %s, going on:\n%s\nfrom the beginning:\n%s", step, ask, got.Body, other.Text)
		}
	}
}

// fromTheBeginning asks another server over the same log, which keeps nothing of the past.
func (w *fixture) fromTheBeginning() func(path string) apitest.Answer {
	w.t.Helper()
	cfg := w.cfg
	cfg.ScratchDir = w.t.TempDir()
	core, err := api.New(cfg)
	w.must(err)
	w.t.Cleanup(func() { w.must(core.Close()) })
	surface, err := v1.New(core, w.own)
	w.must(err)
	server := core.Serve(surface)
	return func(path string) apitest.Answer {
		defer core.Past().Forget()
		return apitest.Ask(server, http.MethodGet, path, "")
	}
}

// Replays of several moments at once do not mix.
func TestReplaysAtOnce(t *testing.T) {
	w := newFixture(t)
	beginning := w.fromTheBeginning()
	moments := []string{"as_of=2024-05-14", "as_of=2024-03-01", "known_at=" + url.QueryEscape("user-events/0@3"), "known_at=" + url.QueryEscape("user-events/0@9")}
	want := map[string]string{}
	for _, m := range moments {
		want[m] = beginning("/api/v1/recommendations?user_id=1&k=12&" + m).Text
	}
	var asking sync.WaitGroup
	for k := range 2 { // as many as may be under way
		asking.Go(func() {
			for i := range 8 {
				m := moments[(i*(k+1)+k)%len(moments)]
				if got := w.get("/api/v1/recommendations?user_id=1&k=12&" + m); got.Status != 200 || string(got.Body) != want[m] {
					t.Errorf("%s: %d %s\nwant %s", m, got.Status, got.Body, want[m])
				}
			}
		})
	}
	asking.Wait()
	w.core.Past().Forget()
	if entries, err := os.ReadDir(w.cfg.ScratchDir); err != nil || len(entries) > 0 {
		t.Errorf("in scratch are %v: %v", entries, err)
	}
}

// Views that were kept and cannot be read any more are made again.
func TestReplayOfDamagedViews(t *testing.T) {
	w := newFixture(t)
	want := w.get("/api/v1/recommendations?user_id=1&k=5&as_of=2024-05-14").want(200)
	files, err := filepath.Glob(filepath.Join(w.cfg.ScratchDir, "*", "views", "*"))
	w.must(err)
	for _, path := range files {
		w.must(os.WriteFile(path, []byte("damaged"), 0o600))
	}
	if got := w.get("/api/v1/recommendations?user_id=1&k=5&as_of=2024-05-14").want(200); len(files) == 0 || string(got.Body) != string(want.Body) {
		t.Errorf("%d files; %s\nwant %s", len(files), got.Body, want.Body)
	}
}

func TestBackup(t *testing.T) {
	var to string
	w := newFixture(t, func(c *setup) {
		c.own.Dir = t.TempDir()
		c.own.Backup = func(_ context.Context, dir string, progress func(string, int64, int64)) (any, error) {
			to = dir
			progress("copying the log", 0, 0)
			return map[string]string{"cut": "mlops-events/0:3"}, nil
		}
	})
	dir := filepath.Join(t.TempDir(), "backup")
	if r := w.post("/api/v1/ops/backup", map[string]string{"to": dir}).result(); to != dir || r["cut"] != "mlops-events/0:3" {
		t.Errorf("copied to %q: %v", to, r)
	}
	w.post("/api/v1/ops/backup", `{"to":"."}`).problem(400, "to")
	for _, inside := range []string{w.own.Dir, filepath.Join(w.own.Dir, "backup"), filepath.Join(w.own.Dir, "log", "x"), filepath.Dir(w.own.Dir)} {
		w.post("/api/v1/ops/backup", map[string]string{"to": inside}).problem(400, "to")
		w.post("/api/v1/ops/replay", map[string]string{"into": inside}).problem(400, "into")
	}
	if to != dir {
		t.Errorf("copied to %q", to)
	}
	w.surface.Backup = nil
	w.post("/api/v1/ops/backup", map[string]string{"to": dir}).problem(503, "")
}

func TestImport(t *testing.T) {
	w := newFixture(t)
	body := `{"simulate":{"users":5,"movies":8,"events":60,"seed":1,"end":"2024-05-01"}}`
	r := w.post("/api/v1/imports", body).result()
	if r["interactions_added"] != 60.0 || r["already_imported"] != false {
		t.Errorf("result: %v", r)
	}
	if r = w.post("/api/v1/imports", body).result(); r["already_imported"] != true {
		t.Errorf("again: %v", r)
	}
	head, err := fold.HeadCut(context.Background(), w.log, time.Time{})
	w.must(err)
	for _, tp := range head.Partitions() {
		if head[tp] > 0 {
			w.folded(streamsPosition(t, tp.String()+"@"+strconv.FormatInt(head[tp]-1, 10)))
		}
	}
	if got := w.get("/api/v1/imports").at("items.0.state"); got != "completed" {
		t.Errorf("state: %s", got)
	}
	w.post("/api/v1/imports", `{"simulate":{"users":-1}}`).want(400)
	w.post("/api/v1/imports", `{"simulate":{"end":"soon"}}`).problem(400, "simulate.end")
}

func TestOperationsAreBounded(t *testing.T) {
	w := newFixture(t)
	var ends []func()
	for {
		end, err := w.core.Begin()
		if err != nil {
			break
		}
		if ends = append(ends, end); len(ends) > 100 {
			t.Fatal("a hundred operations at once")
		}
	}
	w.post("/api/v1/ops/verify", nil).problem(503, "")
	ends[0]()
	w.post("/api/v1/ops/checkpoint", nil).result()
}
