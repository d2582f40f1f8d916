package recommend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// world is a log in memory with the views that recommendations are made of, and a service over them.
type world struct {
	testing.TB
	log        *local.Log
	dispatcher *handlers.Dispatcher
	views      *fold.Runner
	service    *Service

	mu    sync.Mutex
	blobs map[string][]byte

	reads []events.ViewRead // stated by what is registered
}

// now is the event time at which lists are asked for.
var now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, blobs: map[string][]byte{}}
	var err error
	w.log, err = local.OpenMem(local.Options{ReserveBytes: -1, Logf: func(string, ...any) {}})
	w.must(err)
	t.Cleanup(func() { w.must(w.log.Close()) })
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	w.must(err)
	t.Cleanup(func() { w.must(store.Close()) })
	w.views, err = fold.NewRunner(context.Background(), w.log, store,
		func() fold.View { return projections.NewCatalogue() }, func() fold.View { return projections.NewOnline() },
		func() fold.View { return projections.NewDeployments() }, func() fold.View { return projections.NewRegistry() },
		func() fold.View { return projections.NewWorkflows() })
	w.must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.views.Run(ctx) }()
	t.Cleanup(func() { w.service.Close(); stop(); w.must(<-ended) })
	w.dispatcher = handlers.New(handlers.Config{Ledger: w.log.Ledger(), Feed: w.log.Feed(), Now: time.Now, NewID: uuid.NewString})
	w.service = New(w.views, w.blob)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) blob(hash string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, ok := w.blobs[hash]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "no blob %s", hash)
}

func (w *world) keep(hash string, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blobs[hash] = b
}

// folded waits until the views have what was said.
func (w *world) folded(p streams.Position) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	w.must(w.views.Wait(ctx, p))
}

func (w *world) dispatch(c commands.Command) events.Data {
	w.Helper()
	res, err := w.dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	if len(res.Events) == 0 {
		return nil
	}
	return res.Events[0].Data
}

// list lists films, each "ID year genre genre …".
func (w *world) list(films ...string) {
	w.Helper()
	var last streams.Position
	for _, f := range films {
		parts := strings.Fields(f)
		year, err := strconv.Atoi(parts[1])
		w.must(err)
		res, err := w.dispatcher.Dispatch(context.Background(), &commands.ListMovie{Dataset: "test",
			Movie: events.Movie{MovieID: parts[0], Title: "Film " + parts[0], Year: year, Genres: parts[2:]}}, handlers.Meta{Actor: "test"})
		w.must(err)
		last = res.Position
	}
	w.folded(last)
}

type rating struct {
	user, film string
	stars      float64
	at         time.Time
}

func (w *world) rate(ratings ...rating) {
	w.Helper()
	facts := make([]handlers.Identified, len(ratings))
	for i, r := range ratings {
		facts[i] = handlers.Identified{ID: uuid.NewString(), Fact: &commands.RecordInteraction{Interaction: events.Interaction{
			UserID: r.user, MovieID: r.film, Kind: "rating", Rating: r.stars, Timestamp: events.FormatTime(r.at)}}}
	}
	cut, err := w.dispatcher.PublishMany(context.Background(), events.UserEventsTopic, facts, handlers.Meta{})
	w.must(err)
	for tp, n := range cut {
		if n > 0 {
			w.folded(streams.Position{TP: tp, Offset: n - 1})
		}
	}
}

// fill makes people of two tastes, who meet films of their own half, some films far more often than others.
func (w *world) fill(films, people, facts int) {
	w.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]string, films)
	genres := []string{"Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Thriller", "War"}
	for i := range list {
		list[i] = fmt.Sprintf("%d %d %s %s", i+1, 1950+i%70, genres[4*(i%2)+rng.IntN(4)], genres[4*(i%2)+rng.IntN(4)])
	}
	w.list(list...)
	popular := rand.NewZipf(rng, 1.1, 20, uint64(films/2-1))
	ratings := make([]rating, facts)
	start := now.AddDate(-3, 0, 0)
	for i := range ratings {
		u := rng.IntN(people)
		film := int(popular.Uint64())*2 + u%2
		ratings[i] = rating{strconv.Itoa(u + 1), strconv.Itoa(film + 1), .5 * float64(1+rng.IntN(10)), start.Add(time.Duration(i) * now.Sub(start) / time.Duration(facts+1))}
	}
	w.rate(ratings...)
}

// train registers a version that an algorithm trains on all there is, under its name, and returns its number.
func (w *world) train(algorithm string, params map[string]string) int {
	w.Helper()
	r, err := all.Find(algorithm)
	w.must(err)
	p, err := r.Parse(params)
	w.must(err)
	ctx := context.Background()
	cut, err := fold.HeadCut(ctx, w.log, time.Time{})
	w.must(err)
	set, err := trainset.Load(ctx, w.log, cut, nil)
	w.must(err)
	trained, err := r.Make(ctx, set.Input(), p, recipe.Hooks{})
	w.must(err)
	return w.register(r.Name, r.Name, trained.Bytes)
}

// trainOn registers a version of als that says that it was trained on feature views.
func (w *world) trainOn(views []events.ViewRead) int {
	w.Helper()
	w.reads = views
	defer func() { w.reads = nil }()
	return w.train("als", map[string]string{"als.dim": "4", "als.sweeps": "2"})
}

// register registers a version with these weights, and returns its number.
func (w *world) register(name, algorithm string, weights []byte) int {
	w.Helper()
	sum := sha256.Sum256(weights)
	hash := hex.EncodeToString(sum[:])
	w.keep(hash, bytes.Clone(weights))
	if _, err := w.dispatcher.Dispatch(context.Background(), &commands.RegisterModel{Name: name}, handlers.Meta{}); err != nil && !fault.Is(err, fault.Conflict) {
		w.Fatal(err)
	}
	v := w.dispatch(&commands.RegisterModelVersion{Name: name, RunID: strings.Repeat("a", 32), Algorithm: algorithm, CodeVersion: "test/1",
		DatasetID: "d", DatasetCut: "mlops-events/0:1", FeaturesHash: hash, Blob: hash, Bytes: int64(len(weights)), Slot: events.ProductionSlot,
		FeatureViews: w.reads})
	return v.(*events.ModelVersionRegistered).Version
}

func (w *world) deploy(name string, version int) {
	w.Helper()
	c := &commands.DeployModel{Slot: events.ProductionSlot, Model: name, Version: version}
	slot, ok, err := fold.Of[*projections.Deployments](w.views).Slot(events.ProductionSlot)
	w.must(err)
	if ok {
		c.Served = commands.Served{events.ProductionSlot: {Model: slot.Current.Model, Version: slot.Current.Version}}
	}
	w.dispatch(c)
}

func (w *world) forget(hash string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.blobs, hash)
}

// commit writes an event of the model "als" as no command of this program does.
func (w *world) commit(d events.Data) {
	w.Helper()
	id := uuid.NewString()
	r, err := w.log.Ledger().Append(context.Background(), streams.Commit{ID: id, Stream: "model/als", Expected: streams.AnyRevision,
		Events: []events.Event{{ID: id, Source: "/test", Subject: "model/als", Time: now, Schema: 1, Data: d}}})
	w.must(err)
	w.folded(r.Position)
}

// forceBlend gives the trained factors of the deployed version a share of every score.
func (w *world) forceBlend(share float32) {
	w.Helper()
	slot, _, err := fold.Of[*projections.Deployments](w.views).Slot(events.ProductionSlot)
	w.must(err)
	b, err := w.blob(slot.Current.Blob)
	w.must(err)
	a, err := ml.DecodeArtifact(b)
	w.must(err)
	for i := range a.Tensors {
		if a.Tensors[i].Name == "als_weight" {
			a.Tensors[i].Data[0] = share
		}
	}
	b, err = a.Encode()
	w.must(err)
	w.deploy("als", w.register("als", "als", b))
}
