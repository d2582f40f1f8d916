package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

// models measures what recommenders are made of: a fit in closed form, what a click costs the counts, lists as a server gives
// them, and what a large training holds.
func (b *bench) models() error {
	for _, measure := range []func() error{b.ease, b.learn, b.catalogue, b.trained} {
		if err := measure(); err != nil {
			return err
		}
	}
	return nil
}

const (
	easeItems  = 4000
	easeUsers  = 20_000
	easeLambda = 500
	// easeAgrees is how far a weight may be from the peer's, whose sums go in another order.
	easeAgrees = 1e-3
)

// ease fits EASE beside numpy, both in float32 and on all cores: the matrix of who liked what in memory, to the weights. Ours
// also picks the strongest weights of each film, which theirs does not. They have to be the same.
func (b *bench) ease() error {
	name := fmt.Sprintf("EASE on %s films", thousands(int64(b.size(easeItems, 400))))
	p, err := b.implicit(runtime.NumCPU())
	if err == nil {
		var v struct {
			Version string `json:"version"`
		}
		err = p.call(map[string]any{"do": "version", "of": "numpy"}, &v)
		p.name = "numpy " + v.Version
	}
	if err != nil {
		if b.ctx.Err() != nil {
			return err
		}
		b.say("SKIPPED, NOT COMPARED: %v", err)
		b.add(figure{name: name, missing: "SKIPPED: numpy cannot be had: " + err.Error()})
		return nil
	}
	defer p.close() //nolint:errcheck // nothing is asked of it any more
	items := b.size(easeItems, 400)
	path, out := filepath.Join(b.dir, "matrix"), filepath.Join(b.dir, "weights")
	defer os.Remove(path)
	defer os.Remove(out)
	var made struct {
		Pairs int64 `json:"pairs"`
	}
	err = p.call(map[string]any{"do": "matrix", "path": path, "users": easeUsers, "items": items, "draws": b.size(1_500_000, 50_000)}, &made)
	if err != nil {
		return err
	}
	d, err := readMatrix(path)
	if err != nil {
		return err
	}
	var ours, theirs []float64
	err = b.eachRun(func(int) error {
		t := time.Now()
		w, _, err := ml.TrainEASE(b.ctx, d, ml.EASEParams{Lambda: easeLambda, Items: items, Keep: 500}, ml.LinearHooks{})
		if err != nil {
			return err
		}
		ours = append(ours, time.Since(t).Seconds())
		var answer struct {
			Seconds float64 `json:"seconds"`
		}
		if err := p.call(map[string]any{"do": "ease", "path": path, "out": out, "regularization": easeLambda}, &answer); err != nil {
			return err
		}
		theirs = append(theirs, answer.Seconds)
		return sameWeights(w, out)
	})
	if err != nil {
		return err
	}
	b.add(figure{name: fmt.Sprintf("%s, %s pairs", name, thousands(made.Pairs)), unit: seconds, ours: ours, peer: theirs, peerName: p.name, aim: ratioAtMost(1)})
	return nil
}

// sameWeights compares weights with those that peer.py wrote, row by row.
func sameWeights(w *ml.ItemWeights, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := w.Rows()
	if len(raw) != 4*n*n {
		return fmt.Errorf("%d bytes of weights, not those of %d films", len(raw), n)
	}
	for i := range n {
		items, weights := w.Row(int32(i))
		for k, j := range items {
			theirs := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*(i*n+int(j)):]))
			if diff := math.Abs(float64(weights[k] - theirs)); !(diff <= easeAgrees) {
				return fmt.Errorf("the weight from film %d to %d is %v, the peer's %v", i, j, weights[k], theirs)
			}
		}
	}
	return nil
}

// learn has the online model learn from facts one by one, and measures the last of them. The least that there is to do is to
// count the pairs with the films before, wherever they stand in memory.
func (b *bench) learn() error {
	facts, err := worldFacts(b.size(1_000_000, 60_000))
	if err != nil {
		return err
	}
	const pairs = 32 << 20 // counts of 4 bytes, far more than the caches hold
	counts, rng := make([]uint32, pairs), rand.New(rand.NewPCG(1, 7))
	measured := len(facts) / 10
	var ours, limit timings
	err = b.eachRun(func(int) error {
		m := online.New()
		took, counted := make([]float64, 0, measured), make([]float64, 0, measured)
		for i := range facts {
			f := &facts[i]
			x := events.Interaction{UserID: f.UserID, MovieID: f.MovieID, Kind: f.Kind, Rating: f.Rating}
			id, meaning := events.FactHash("bench", fmt.Sprint(i), &x), signal.Default().Of(f.Kind, f.Rating)
			t := time.Now()
			if f.Rating > 0 {
				m.Rate(f.UserID, f.MovieID, f.TimeMillis, id, meaning, f.Kind, 0)
			} else {
				m.Add(f.UserID, f.MovieID, f.TimeMillis, id, meaning)
			}
			if i < len(facts)-measured {
				continue
			}
			took = append(took, time.Since(t).Seconds())
			t = time.Now()
			for range online.Window {
				counts[rng.IntN(pairs)]++
			}
			counted = append(counted, time.Since(t).Seconds())
		}
		ours.add(took)
		limit.add(counted)
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figures(fmt.Sprintf("the online model learns from a fact, after %s", thousands(int64(len(facts)-measured))), ours, limit,
		fmt.Sprintf("%d counts anywhere in 128 MiB", online.Window), atMost(20e-6))...)
	return nil
}
