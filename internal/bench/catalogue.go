package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

// A simulated world of as many films as MovieLens 20M has.
const (
	catalogueFilms  = 27_000
	catalogueUsers  = 10_000
	catalogueEvents = 1_000_000
)

// catalogue measures lists among many films, as a server gives them: one after another, as many as there can be in a second, a
// hundred in one request, and while versions are promoted.
func (b *bench) catalogue() error {
	parent, err := b.folder("catalogue")
	if err != nil {
		return err
	}
	dir := filepath.Join(parent, "data")
	b.say("filling a folder with %s films and training on it", thousands(int64(b.size(catalogueFilms, 400))))
	c, err := b.serve(dir, "--listen-inference", "127.0.0.1:0",
		"--simulate", fmt.Sprintf("users=%d,movies=%d,events=%d", b.size(catalogueUsers, 300), b.size(catalogueFilms, 400), b.size(catalogueEvents, 30_000)))
	if err != nil {
		return err
	}
	defer c.kill()
	if err := c.filled(b.ctx); err != nil {
		return err
	}
	s := &lister{b: b, child: c, web: newPatientClient(), films: thousands(int64(b.size(catalogueFilms, 400))), people: b.size(catalogueUsers, 300)}
	if err := c.ready(b.ctx, s.web); err != nil {
		return err
	}
	at, _ := app.ReadServing(dir)
	for _, also := range at.Also {
		if also.Name == "inference" {
			s.inference = "http://" + also.Address
		}
	}
	if s.inference == "" {
		return errors.New("the program does not say where it answers for models")
	}
	if s.least, err = b.limit(); err != nil {
		return err
	}
	defer s.least.kill()
	if err := b.rest(); err != nil {
		return err
	}
	if err := s.measured("als"); err != nil {
		return err
	}
	if err := s.promoted(); err != nil {
		return err
	}
	version, err := s.train("blend", nil)
	if err != nil {
		return err
	}
	if err := s.deploy("blend", version); err != nil {
		return err
	}
	if err := s.measured("blend"); err != nil {
		return err
	}
	return c.stop()
}

// lister asks a server for lists.
type lister struct {
	*child
	b         *bench
	web       *client
	least     *child // the limit
	inference string // its other address
	films     string
	people    int
}

// listed is what is read of a list.
type listed struct {
	ModelName    string `json:"model_name"`
	ModelVersion int    `json:"model_version"`
	Recorded     bool   `json:"recorded"`
	list
}

func (l *listed) ids() []string {
	ids := make([]string, len(l.Items))
	for i := range ids {
		ids[i] = l.Items[i].MovieID
	}
	return ids
}

// listMost is the aim of one list, of its p99 at the server.
const listMost = time.Millisecond

// measured measures lists by what serves.
func (s *lister) measured(name string) error {
	rng := rand.New(rand.NewPCG(1, 8))
	person := func(r *rand.Rand) string { return strconv.Itoa(1 + r.IntN(s.people)) }
	for _, record := range []bool{false, true} {
		var ours, limit timings
		var served []float64 // p99 at the server
		err := s.b.eachRun(func(int) error {
			before, err := s.requestTimes()
			if err != nil {
				return err
			}
			var took, plain []float64
			for range s.b.size(2000, 60) {
				t := time.Now()
				got, err := s.list(s.web, person(rng), record)
				if err != nil {
					return err
				}
				took = append(took, time.Since(t).Seconds())
				if got.ModelName != name {
					return fmt.Errorf("%q made the list, not %s", got.ModelName, name)
				}
				path := map[bool]string{false: "/plain?bytes=", true: "/synced?bytes="}[record]
				t = time.Now()
				if err := s.web.get(s.least.base + path + strconv.Itoa(s.web.body.Len())); err != nil {
					return err
				}
				plain = append(plain, time.Since(t).Seconds())
			}
			after, err := s.requestTimes()
			if err != nil {
				return err
			}
			ours.add(took)
			limit.add(plain)
			served = append(served, after.since(before).quantile(.99))
			return nil
		})
		if err != nil {
			return err
		}
		what, limitName, most := "", "HTTP answer of as many bytes", atMost(listMost.Seconds())
		if record {
			what, limitName, most = " and recorded", "HTTP request that appends + fsyncs", aim{}
		}
		title := fmt.Sprintf("list of 10 among %s films by %s%s", s.films, name, what)
		s.b.add(figure{name: title + ", at the server, p99", unit: seconds, ours: served, aim: most})
		s.b.add(figures(title+", over HTTP", ours, limit, limitName, aim{})...)
	}
	const clients = 32
	var rates []float64
	err := s.b.eachRun(func(int) error {
		rate, err := concurrently(clients, s.b.size(10_000, 640)/clients, func(web *client) (func(int) error, error) {
			rng := rand.New(rand.NewPCG(2, rng.Uint64()))
			return func(int) error {
				got, err := s.list(web, person(rng), true)
				if err == nil && !got.Recorded {
					err = errors.New("a list was not recorded")
				}
				return err
			}, nil
		})
		rates = append(rates, rate)
		return err
	})
	if err != nil {
		return err
	}
	s.b.add(figure{name: fmt.Sprintf("lists of 10 among %s films by %s, all recorded, %d clients", s.films, name, clients), unit: perSecond, ours: rates, aim: atLeast(1000)})
	return s.batches(name, person, rng)
}

// batches are of a hundred lists each.
func (s *lister) batches(name string, person func(*rand.Rand) string, rng *rand.Rand) error {
	const lists = 100
	var ours, limit timings
	err := s.b.eachRun(func(int) error {
		var took, plain []float64
		for range s.b.size(200, 10) {
			users := make([]string, lists)
			for i := range users {
				users[i] = person(rng)
			}
			body, err := json.Marshal(map[string]any{"user_ids": users, "k": 10})
			if err != nil {
				return err
			}
			t := time.Now()
			if err := s.web.do("POST", s.inference+"/recommend", body); err != nil {
				return err
			}
			took = append(took, time.Since(t).Seconds())
			var got struct {
				Lists []listed `json:"lists"`
			}
			if err := json.Unmarshal(s.web.body.Bytes(), &got); err != nil {
				return err
			}
			if len(got.Lists) != lists || !got.Lists[lists-1].Recorded || got.Lists[0].ModelName != name {
				return fmt.Errorf("%d lists of %d, by %q; recorded: %t", len(got.Lists), lists, got.Lists[0].ModelName, got.Lists[len(got.Lists)-1].Recorded)
			}
			t = time.Now()
			if err := s.web.get(s.least.base + "/synced?bytes=" + strconv.Itoa(s.web.body.Len())); err != nil {
				return err
			}
			plain = append(plain, time.Since(t).Seconds())
		}
		ours.add(took)
		limit.add(plain)
		return nil
	})
	if err != nil {
		return err
	}
	s.b.add(figures(fmt.Sprintf("%d lists of 10 among %s films by %s in one request, all recorded", lists, s.films, name), ours, limit,
		"HTTP request that appends + fsyncs", atMost(30e-3))...)
	return nil
}

// list asks for a list of 10.
func (s *lister) list(web *client, user string, record bool) (l listed, err error) {
	if err = web.get(s.base + "/api/v1/recommendations?k=10&record=" + strconv.FormatBool(record) + "&user_id=" + user); err == nil {
		err = json.Unmarshal(web.body.Bytes(), &l)
	}
	if err == nil && len(l.Items) != 10 {
		err = fmt.Errorf("%d films for user %s", len(l.Items), user)
	}
	return l, err
}

// train trains at once and gives the number of the version.
func (s *lister) train(algorithm string, params map[string]string) (int, error) {
	s.b.say("training %s", algorithm)
	body, err := json.Marshal(map[string]any{"algorithm": algorithm, "params": params})
	if err != nil {
		return 0, err
	}
	if err := s.web.do("POST", s.base+"/api/v1/ops/train", body); err != nil {
		return 0, err
	}
	var last struct {
		Result struct {
			Version int `json:"version"`
		} `json:"result"`
	}
	lines := bytes.Split(bytes.TrimSpace(s.web.body.Bytes()), []byte{'\n'})
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Result.Version == 0 {
		return 0, fmt.Errorf("training %s ended with %s: %v", algorithm, lines[len(lines)-1], err)
	}
	return last.Result.Version, nil
}

// deploy makes a version serve, and waits until it does.
func (s *lister) deploy(model string, version int) error {
	if err := s.promote(s.web, model, version); err != nil {
		return err
	}
	return s.wait(s.b.ctx, fmt.Sprintf("serves %s %d", model, version), func() bool {
		l, err := s.list(s.web, "1", false)
		return err == nil && l.ModelName == model && l.ModelVersion == version
	})
}

func (s *lister) promote(web *client, model string, version int) error {
	return web.do("POST", fmt.Sprintf("%s/api/v1/models/%s/versions/%d/deploy", s.base, model, version), []byte("{}"))
}

const (
	promotedRate  = 1000 // requests in a second
	promotedEvery = 250 * time.Millisecond
	promotedFor   = 200 // people who ask
)

// promoted asks for lists at a set rate while two versions take turns in the slot. Each answer has to be, film by film, the list
// of the version that it names.
func (s *lister) promoted() error {
	second, err := s.train("als", map[string]string{"als.dim": "32", "als.seed": "2"})
	if err != nil {
		return err
	}
	versions := []int{1, second}
	want := map[int][][]string{}
	for _, v := range versions {
		if err := s.deploy("als", v); err != nil {
			return err
		}
		for u := range promotedFor {
			l, err := s.list(s.web, strconv.Itoa(1+u), false)
			if err != nil {
				return err
			}
			want[v] = append(want[v], l.ids())
		}
	}
	same := 0
	for u := range promotedFor {
		if slices.Equal(want[versions[0]][u], want[versions[1]][u]) {
			same++
		}
	}
	if same > promotedFor/2 {
		return fmt.Errorf("both versions have the same list for %d people of %d: a mixed one would not be seen", same, promotedFor)
	}
	var rates, promotions []float64
	var times timings
	err = s.b.eachRun(func(int) error {
		took, n, rate, err := s.whilePromoted(versions, want)
		if err != nil {
			return err
		}
		times.add(took)
		rates, promotions = append(rates, rate), append(promotions, float64(n))
		return nil
	})
	if err != nil {
		return err
	}
	title := fmt.Sprintf("lists while a version is promoted every %v (%.0f times), no error, none mixed", promotedEvery, median(promotions))
	s.b.add(figure{name: title, unit: perSecond, ours: rates, aim: atLeast(.99 * promotedRate)},
		figure{name: "… from when each was due, p50", unit: seconds, ours: times.p50}, figure{name: "… p99", unit: seconds, ours: times.p99})
	return nil
}

// whilePromoted gives the times of requests, how often a version was promoted, and how many requests were answered in a second.
func (s *lister) whilePromoted(versions []int, want map[int][][]string) (took []float64, promotions int, rate float64, err error) {
	const clients = 64
	n := s.b.size(10*promotedRate, promotedRate)
	var next atomic.Int64
	var seen [2]atomic.Int64 // answers by version
	var mu sync.Mutex
	done, ended := make(chan struct{}), make(chan error, 1)
	began := time.Now()
	go func() {
		web := newPatientClient()
		for {
			select {
			case <-done:
				ended <- nil
				return
			case <-time.After(promotedEvery):
			}
			promotions++
			if err := s.promote(web, "als", versions[promotions%2]); err != nil {
				ended <- err
				return
			}
		}
	}()
	_, err = concurrently(clients, n/clients, func(web *client) (func(int) error, error) {
		return func(int) error {
			i := next.Add(1) - 1
			due := began.Add(time.Duration(i) * time.Second / promotedRate)
			time.Sleep(time.Until(due))
			u := int(i) % promotedFor
			l, err := s.list(web, strconv.Itoa(1+u), true)
			if err != nil {
				return err
			}
			late := time.Since(due).Seconds()
			lists, ok := want[l.ModelVersion]
			if !ok || l.ModelName != "als" || !slices.Equal(lists[u], l.ids()) {
				return fmt.Errorf("a mixed list: %s %d for user %d has %v, not %v", l.ModelName, l.ModelVersion, 1+u, l.ids(), lists)
			}
			seen[slices.Index(versions, l.ModelVersion)].Add(1)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, late)
			return nil
		}, nil
	})
	lasted := time.Since(began).Seconds()
	close(done)
	if err = errors.Join(err, <-ended); err == nil && min(seen[0].Load(), seen[1].Load()) == 0 {
		err = errors.New("one of the versions made no list")
	}
	return took, promotions, float64(len(took)) / lasted, err
}

// histogram is how many requests took at most so many seconds.
type histogram struct {
	bounds []float64 // ascending, the last one infinite
	counts []float64 // up to each
}

// requestTimes are those of lists, as the server tells them.
func (s *lister) requestTimes() (h histogram, err error) {
	if err := s.web.get(s.base + "/metrics"); err != nil {
		return h, err
	}
	return readHistogram(&s.web.body, `http_request_duration_seconds_bucket{method="GET",route="/api/v1/recommendations",le="`)
}

// readHistogram reads the buckets whose lines begin so.
func readHistogram(text *bytes.Buffer, begin string) (h histogram, err error) {
	for in := bufio.NewScanner(text); in.Scan(); {
		rest, ok := strings.CutPrefix(in.Text(), begin)
		if !ok {
			continue
		}
		bound, count, _ := strings.Cut(rest, `"} `)
		v, err := strconv.ParseFloat(bound, 64)
		n, other := strconv.ParseFloat(count, 64)
		if err := cmp.Or(err, other); err != nil {
			return h, err
		}
		h.bounds, h.counts = append(h.bounds, v), append(h.counts, n)
	}
	if len(h.bounds) == 0 {
		err = fmt.Errorf("/metrics has no line %s…", begin)
	}
	return h, err
}

// since is what came after another reading.
func (h histogram) since(before histogram) histogram {
	counts := slices.Clone(h.counts)
	for i := range counts {
		counts[i] -= before.counts[i]
	}
	return histogram{h.bounds, counts}
}

// quantile is estimated as Prometheus does: times of a bucket lie evenly in it.
func (h histogram) quantile(p float64) float64 {
	last := len(h.counts) - 1
	rank := p * h.counts[last]
	for i, n := range h.counts {
		if n < rank || n == 0 {
			continue
		}
		low, below := 0., 0.
		if i > 0 {
			low, below = h.bounds[i-1], h.counts[i-1]
		}
		if math.IsInf(h.bounds[i], 1) {
			return low
		}
		return low + (h.bounds[i]-low)*(rank-below)/(n-below)
	}
	return math.NaN()
}
