package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/internal/app"
)

// startUp is the time from the start of the process to the first recommendation, on a folder of ten
// million events with a deployed model, after a good end and after SIGKILL. Files are in the page cache.
func (b *bench) startUp() error {
	parent, err := b.folder("start")
	if err != nil {
		return err
	}
	dir, small := filepath.Join(parent, "data"), filepath.Join(parent, "small")
	total := b.size(10_000_000, 1_000_000)
	// MovieLens-10M's shape. The program fills the folder with the beginnings and trains a model; the rest
	// is published past the importer, which would have a model trained on everything again.
	shape := world.Params{Seed: 1, Users: b.size(70_000, 7_000), Movies: b.size(10_000, 2_000), Events: total, End: worldEnd}
	const first = 60_000
	for _, folder := range []struct{ dir, simulate string }{
		{small, fmt.Sprintf("events=%d", first)},
		{dir, fmt.Sprintf("users=%d,movies=%d,events=%d", shape.Users, shape.Movies, first)},
	} {
		c, err := b.serve(folder.dir, "--simulate", folder.simulate)
		if err != nil {
			return err
		}
		defer c.kill()
		if err := c.filled(b.ctx); err != nil {
			return err
		}
		if err := c.stop(); err != nil {
			return err
		}
	}
	if err := b.grow(dir, shape); err != nil {
		return err
	}
	var clean, killed, least []float64
	err = b.eachRun(func(run int) error {
		s, err := b.timeStart(small, nil)
		if err != nil {
			return err
		}
		least = append(least, s)
		// Killed right after clicks were acknowledged: the next start has a tail to fold.
		if s, err = b.timeStart(dir, func(c *child) error { return clickMany(c, run) }); err != nil {
			return err
		}
		clean = append(clean, s)
		if s, err = b.timeStart(dir, nil); err != nil {
			return err
		}
		killed = append(killed, s)
		return nil
	})
	if err != nil {
		return err
	}
	name, than := "start with "+thousands(int64(total))+" events to the first recommendation", "the same with 60,000"
	b.add(figure{name: name + ", after a good end", unit: seconds, ours: clean, peer: least, peerName: than, aim: atMost(2)},
		figure{name: name + ", after kill -9 right after a thousand clicks", unit: seconds, ours: killed, peer: least, peerName: than, aim: atMost(2)})
	return nil
}

// timeStart starts the program and returns how long it took to the first recommendation. Then the child is
// ended well or, after what is given, killed.
func (b *bench) timeStart(dir string, thenKill func(*child) error) (float64, error) {
	c, err := b.serve(dir)
	if err != nil {
		return 0, err
	}
	defer c.kill()
	if err := c.ready(b.ctx, newClient()); err != nil {
		return 0, err
	}
	took := time.Since(c.begun).Seconds()
	if thenKill == nil {
		return took, c.stop()
	}
	return took, thenKill(c)
}

// clickMany sends a thousand clicks in ten requests.
func clickMany(c *child, run int) error {
	web := newClient()
	for batch := range 10 {
		var clicks []map[string]any
		for i := range 100 {
			n := run*1000 + batch*100 + i
			clicks = append(clicks, map[string]any{"user_id": strconv.Itoa(n%5000 + 1), "movie_id": strconv.Itoa(n%1000 + 1), "rating": 4})
		}
		body, err := json.Marshal(clicks)
		if err != nil {
			return err
		}
		if err := web.do("POST", c.base+"/api/v1/feedback", body); err != nil {
			return err
		}
	}
	return nil
}

// grow publishes a world's facts to the log of a data folder that is not being served, and folds them.
func (b *bench) grow(dir string, shape world.Params) error {
	src, err := ingest.FromWorld(shape, time.Now())
	if err != nil {
		return err
	}
	a, err := app.Open(b.ctx, app.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer a.Close()
	const batch = 8192
	var w writer
	facts := make([]ingest.Fact, 0, batch)
	done, told := 0, time.Now()
	flush := func() error {
		if err := w.publish(b.ctx, a.Log, facts, done); err != nil {
			return err
		}
		done += len(facts)
		facts = facts[:0]
		if time.Since(told) > tellEvery {
			told = time.Now()
			b.say("%s of %s facts published", thousands(int64(done)), thousands(src.Total))
		}
		return nil
	}
	for f, err := range src.Facts {
		if err != nil {
			return err
		}
		if facts = append(facts, f); len(facts) == batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	for {
		views, err := a.Views.Status(b.ctx)
		if err != nil {
			return err
		}
		var lag int64
		for _, v := range views {
			if v.Halted != nil {
				return v.Halted
			}
			lag = max(lag, v.Lag)
		}
		if lag == 0 {
			return a.Close()
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			b.say("%s facts to be folded", thousands(lag))
		}
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tellEvery is how often long work tells how far it is.
const tellEvery = 5 * time.Second
