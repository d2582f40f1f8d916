package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// millionUsers and millionMovies are of MovieLens-1M's shape.
const millionUsers, millionMovies = 6040, 3700

// worldEnd is when the simulated worlds end that no server is asked for.
var worldEnd = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func shapedWorld(n int) world.Params {
	return world.Params{Seed: 1, Users: millionUsers, Movies: millionMovies, Events: n, End: worldEnd}
}

// worldFacts are simulated facts, in memory.
func worldFacts(n int) ([]ingest.Fact, error) {
	src, err := ingest.FromWorld(shapedWorld(n), time.Now())
	if err != nil {
		return nil, err
	}
	facts := make([]ingest.Fact, 0, n)
	for f, err := range src.Facts {
		if err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	return facts, nil
}

func newImporter(l *local.Log) *ingest.Importer {
	return &ingest.Importer{Log: l, Dispatcher: handlers.New(handlers.Config{Ledger: l.Ledger(), Feed: l.Feed(), Now: time.Now, NewID: uuid.NewString})}
}

// bulkImport is the importer's way from facts in memory to facts on disk.
func (b *bench) bulkImport() error {
	b.say("making the facts in memory")
	facts, err := worldFacts(b.size(1_000_000, 100_000))
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(b.group))
	src := ingest.Source{Dataset: "bench", Origin: world.Source, Digest: hex.EncodeToString(digest[:]), Total: int64(len(facts)),
		Movies: func(func(events.Movie, error) bool) {},
		Facts: func(yield func(ingest.Fact, error) bool) {
			for _, f := range facts {
				if !yield(f, nil) {
					return
				}
			}
		}}
	var ours, limit []float64
	err = b.eachRun(func(int) error {
		l, dir, err := b.openLog("import")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		defer l.Close()
		t := time.Now()
		res, err := newImporter(l).Import(b.ctx, src, "bench", nil)
		took := time.Since(t).Seconds()
		if err == nil && res.FactsAdded != int64(len(facts)) {
			err = errors.New("the importer left facts out")
		}
		if err != nil {
			return err
		}
		write, err := sequential(filepath.Join(dir, "sequential"), int64(l.Stats().Bytes))
		if err != nil {
			return err
		}
		ours, limit = append(ours, float64(len(facts))/took), append(limit, float64(len(facts))/write)
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "bulk import of " + thousands(int64(len(facts))) + " facts into the log", unit: perSecond, ours: ours, peer: limit,
		peerName: "its WAL's bytes written to one file + fsync", aim: atLeast(500_000)})
	return nil
}

// replayCores is how many cores the aim of a replay speaks of.
const replayCores = 2

// replay folds a whole log into empty views.
func (b *bench) replay() error {
	n := b.size(1_000_000, 50_000)
	b.say("filling a log with %s facts", thousands(int64(n)))
	l, dir, err := b.openLog("replay")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer l.Close()
	src, err := ingest.FromWorld(shapedWorld(n), time.Now())
	if err != nil {
		return err
	}
	if _, err := newImporter(l).Import(b.ctx, src, "bench", nil); err != nil {
		return err
	}
	head, err := fold.HeadCut(b.ctx, l, time.Time{})
	if err != nil {
		return err
	}
	var records int64
	for _, n := range head {
		records += n
	}
	var ours, limit []float64
	err = onCores(replayCores, func() error {
		return b.eachRun(func(int) error {
			t := time.Now()
			if err := decodeAll(b.ctx, l, head); err != nil {
				return err
			}
			limit = append(limit, float64(records)/time.Since(t).Seconds())
			views, err := b.folder("views")
			if err != nil {
				return err
			}
			defer os.RemoveAll(views)
			store, err := fold.OpenStore(views, fold.StoreOptions{})
			if err != nil {
				return err
			}
			defer store.Close()
			t = time.Now()
			if _, err := fold.Replay(b.ctx, l, store, head, nil, projections.All()...); err != nil {
				return err
			}
			ours = append(ours, float64(records)/time.Since(t).Seconds())
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "replay of " + thousands(records) + " records into all views, 2 cores", unit: perSecond, ours: ours, peer: limit,
		peerName: "reading and decoding them", aim: atLeast(300_000)})
	return nil
}

// decodeAll reads every record, each partition on a goroutine of its own.
func decodeAll(ctx context.Context, log streams.Log, head streams.Cut) error {
	done := make(chan error, len(head))
	for tp := range head {
		go func() { done <- decode(ctx, log, tp) }()
	}
	var errs error
	for range head {
		errs = errors.Join(errs, <-done)
	}
	return errs
}

func decode(ctx context.Context, log streams.Log, tp streams.TP) error {
	if tp.Topic == events.LedgerTopic {
		for _, err := range log.Ledger().Read(ctx, 0) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for rec, err := range log.Feed().Read(ctx, tp, 0) {
		if err != nil {
			return err
		}
		if _, err := streams.ReadFact(rec); err != nil {
			return err
		}
	}
	return nil
}
