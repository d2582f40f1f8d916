package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// ratingBytes is what a rating takes where it is kept in an array: time, person, film, stars.
const ratingBytes = 24

// ten brings ten million ratings in as a person would, waits until they are learned from, and asks for lists while people
// click. It does so once: that takes minutes.
func (b *bench) ten() error {
	p := popular{ratings: b.size(10_000_000, 50_000), people: b.size(100_000, 1_000), films: b.size(20_000, 500), seed: 1}
	files, err := b.folder("popular")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	if err := p.write(files); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(files, "ratings.csv"))
	if err != nil {
		return err
	}
	copied, err := sequential(filepath.Join(files, "sequential"), info.Size())
	if err != nil {
		return err
	}
	parent, err := b.folder("ten")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	dir, name := filepath.Join(parent, "data"), p.String()
	b.say("importing %s", name)
	c, err := b.serve(dir, "--data", files)
	if err != nil {
		return err
	}
	defer c.kill()
	imported := 0.0
	err = c.wait(b.ctx, "has imported", func() bool { return strings.Contains(c.out.tail(), "s  imported ") })
	if imported = time.Since(c.begun).Seconds(); err != nil {
		return err
	}
	if err := c.filled(b.ctx); err != nil {
		return err
	}
	ready := time.Since(c.begun).Seconds()
	peak, err := c.status("VmHWM:")
	if err != nil {
		return err
	}
	if err := b.rest(); err != nil {
		return err
	}
	kept, err := c.resident()
	if err != nil {
		return err
	}
	arrays := []float64{float64(p.ratings) * ratingBytes}
	b.add(figure{name: "import of " + name, unit: seconds, ours: []float64{imported}, peer: []float64{copied}, peerName: "its file's bytes written to one file + fsync"},
		figure{name: "… to ready: learned from, trained on and judged", unit: seconds, ours: []float64{ready}, peer: []float64{imported}, peerName: "the import"},
		figure{name: "… resident at most", unit: mebibytes, ours: []float64{peak}, peer: arrays, peerName: "the ratings in an array", aim: ratioAtMost(11)},
		figure{name: "… resident when ready", unit: mebibytes, ours: []float64{kept}, peer: arrays, peerName: "the ratings in an array", aim: ratioAtMost(6.7)})
	if err := b.lists(c, p); err != nil {
		return err
	}
	if err := c.stop(); err != nil {
		return err
	}
	return b.startTen(parent, dir, name)
}

// lists are asked for while somebody clicks.
func (b *bench) lists(c *child, p popular) error {
	least, err := b.limit()
	if err != nil {
		return err
	}
	defer least.kill()
	var stop atomic.Bool
	clicked := make(chan error, 1)
	go func() { clicked <- clickOn(c, p, &stop) }()
	rng, web := rand.New(rand.NewPCG(1, 4)), newClient()
	for _, k := range []int{10, 1000} {
		var ours, limit timings
		err = b.eachRun(func(int) error {
			var took, plain []float64
			for range b.size(1000, 60) {
				t := time.Now()
				if err := web.get(fmt.Sprintf("%s/api/v1/recommendations?k=%d&user_id=%d", c.base, k, 1+rng.IntN(p.people))); err != nil {
					return err
				}
				took = append(took, time.Since(t).Seconds())
				url := least.base + "/plain?bytes=" + strconv.Itoa(web.body.Len())
				t = time.Now()
				if err := web.get(url); err != nil {
					return err
				}
				plain = append(plain, time.Since(t).Seconds())
			}
			ours.add(took)
			limit.add(plain)
			return nil
		})
		if err != nil {
			break
		}
		b.add(figures(fmt.Sprintf("… a list of %d while a hundred click in a second", k), ours, limit, "HTTP answer of as many bytes",
			atMost(map[int]float64{10: 10e-3, 1000: 40e-3}[k]))...)
	}
	stop.Store(true)
	return errors.Join(err, <-clicked)
}

// clickOn sends a click every ten milliseconds.
func clickOn(c *child, p popular, stop *atomic.Bool) error {
	rng, web := rand.New(rand.NewPCG(1, 5)), newClient()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for !stop.Load() {
		<-every.C
		body, err := json.Marshal(map[string]any{"user_id": strconv.Itoa(1 + rng.IntN(p.people)), "movie_id": strconv.Itoa(1 + rng.IntN(p.films)), "rating": 4})
		if err != nil {
			return err
		}
		if err := web.do("POST", c.base+"/api/v1/feedback", body); err != nil {
			return err
		}
	}
	return nil
}

// startTen is the time to the first recommendation, beside that of a folder that holds next to nothing.
func (b *bench) startTen(parent, dir, name string) error {
	tiny := filepath.Join(parent, "tiny")
	c, err := b.serve(tiny, "--simulate", "users=20,movies=20,events=200")
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
	var ours, least []float64
	err = b.eachRun(func(int) error {
		s, err := b.timeStart(tiny, nil)
		if err != nil {
			return err
		}
		least = append(least, s)
		s, err = b.timeStart(dir, nil)
		ours = append(ours, s)
		return err
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "start with " + name + ", to the first recommendation", unit: seconds, ours: ours, peer: least, peerName: "the same with 200", aim: atMost(1.2)})
	return nil
}
