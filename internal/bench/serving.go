package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// timings are the percentiles of one thing, a value per run.
type timings struct{ p50, p99 []float64 }

func (t *timings) add(samples []float64) {
	t.p50, t.p99 = append(t.p50, quantile(.5, samples)), append(t.p99, quantile(.99, samples))
}

// figures are the two rows of ours beside a limit.
func figures(name string, ours, limit timings, limitName string, p99 aim) []figure {
	return []figure{
		{name: name + ", p50", unit: seconds, ours: ours.p50, peer: limit.p50, peerName: limitName},
		{name: name + ", p99", unit: seconds, ours: ours.p99, peer: limit.p99, peerName: limitName, aim: p99},
	}
}

// featureCount is how many features of one entity are read at once.
const featureCount = 250

// featureDefinitions has as many features of either entity, of the kinds of the built-in ones: windows
// of every length, decay, shares and means of genres.
func featureDefinitions() string {
	var y strings.Builder
	y.WriteString("entities:\n  - {name: user, join_key: user_id}\n  - {name: movie, join_key: movie_id}\nfeature_views:\n")
	genres := []string{"Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "War"}
	kinds := []string{"", ", kinds: [rating]", ", kinds: [view, watch]", ", kinds: [click]"}
	for _, entity := range []string{"user", "movie"} {
		fmt.Fprintf(&y, "  - name: wide_%s\n    entity: %s\n    features:\n", entity, entity)
		for i := range featureCount {
			of, parameters := "", kinds[i/8%len(kinds)]
			switch genre := genres[i/8%len(genres)]; i % 8 {
			case 0:
				of = fmt.Sprintf("count, window: %dd", 1+i)
			case 1:
				of = fmt.Sprintf("rating_count, window: %dd", 1+i)
			case 2:
				of = fmt.Sprintf("mean, prior_mean: 3, prior_count: 5, window: %dd", 1+i)
			case 3:
				of = fmt.Sprintf("decayed_count, half_life: %dd", 7*(1+i/64))
			case 4:
				of = fmt.Sprintf("active_days, window: %dd", 1+i)
			case 5:
				of = "recency"
			case 6:
				if of = "genre_share, genre: " + genre; entity == "movie" {
					parameters = ""
				}
			case 7:
				if of = "genre_mean, genre: " + genre; entity == "movie" {
					of, parameters = "attribute, of: year", ""
				}
			}
			fmt.Fprintf(&y, "      - {name: f%d, aggregation: %s%s}\n", i, of, parameters)
		}
	}
	return y.String()
}

// features reads 250 features of one person, and of one film, over one connection, in turns with a
// server that answers as many bytes and does nothing for it.
func (b *bench) features() error {
	dir, err := b.millionFolder()
	if err != nil {
		return err
	}
	c, err := b.serve(dir)
	if err != nil {
		return err
	}
	defer c.kill()
	web := newClient()
	if err := c.ready(b.ctx, web); err != nil {
		return err
	}
	if err := web.do("POST", c.base+"/api/v1/features/definitions", []byte(featureDefinitions())); err != nil {
		return err
	}
	least, err := b.limit()
	if err != nil {
		return err
	}
	defer least.kill()
	if err := b.rest(); err != nil {
		return err
	}
	for _, entity := range []struct {
		name, path string
		of         int
	}{{"film", "/api/v1/features/movie/", millionMovies}, {"person", "/api/v1/features/user/", millionUsers}} {
		urls, err := known(c.base+entity.path, entity.of, b.size(500, 50), web)
		if err != nil {
			return err
		}
		var ours, limit timings
		err = b.eachRun(func(int) error {
			var took, plain []float64
			for i := range b.size(5000, 300) {
				t := time.Now()
				if err := web.get(urls[i%len(urls)]); err != nil {
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
			return err
		}
		b.add(figures(fmt.Sprintf("read of %d features of one %s over HTTP", featureCount, entity.name), ours, limit,
			"HTTP answer of as many bytes", atMost(.5e-3))...)
	}
	return c.stop()
}

// known are the addresses of entities that the server knows something of, in random order, each seen to
// have all features.
func known(base string, of, want int, web *client) ([]string, error) {
	var urls []string
	var err error
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(of) {
		url := base + strconv.Itoa(i+1)
		if err = web.get(url); err != nil {
			continue // nobody did anything there
		}
		var answer struct {
			Features map[string]any `json:"features"`
		}
		if err := json.Unmarshal(web.body.Bytes(), &answer); err != nil {
			return nil, err
		}
		if len(answer.Features) != featureCount {
			return nil, fmt.Errorf("%s has %d features, not %d", url, len(answer.Features), featureCount)
		}
		if urls = append(urls, url); len(urls) == want {
			return urls, nil
		}
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("the server knows no entity under %s: %w", base, err)
	}
	return urls, nil
}

// click sends a rating of the film that a person is recommended first, asks for their recommendations
// again and sees to it that the film has left them.
func (b *bench) click() error {
	million, err := b.millionFolder()
	if err != nil {
		return err
	}
	parent, err := b.folder("small")
	if err != nil {
		return err
	}
	small := filepath.Join(parent, "data")
	for _, world := range []struct {
		name, dir string
		users     int
	}{{thousands(int64(b.size(1_000_000, 60_000))) + " events", million, millionUsers}, {"the default world", small, 600}} {
		if err := b.clickIn(world.name, world.dir, world.users); err != nil {
			return fmt.Errorf("%s: %w", world.name, err)
		}
	}
	return nil
}

type list struct {
	Items []struct {
		MovieID string `json:"movie_id"`
	} `json:"items"`
}

func (l *list) has(movie string) bool {
	for _, it := range l.Items {
		if it.MovieID == movie {
			return true
		}
	}
	return false
}

func (b *bench) clickIn(name, dir string, users int) error {
	c, err := b.serve(dir)
	if err != nil {
		return err
	}
	defer c.kill()
	if dir != b.million.dir {
		if err := c.filled(b.ctx); err != nil {
			return err
		}
	}
	web := newClient()
	if err := c.ready(b.ctx, web); err != nil {
		return err
	}
	least, err := b.limit()
	if err != nil {
		return err
	}
	defer least.kill()
	if err := b.rest(); err != nil {
		return err
	}
	var both, post, twice, once timings
	people := rand.New(rand.NewPCG(1, 3)).Perm(users)
	next := 0
	err = b.eachRun(func(int) error {
		var samples [4][]float64
		for range b.size(1000, 60) {
			user := strconv.Itoa(people[next%users] + 1)
			next++
			url := c.base + "/api/v1/recommendations?k=10&user_id=" + user
			before, err := listOf(web, url)
			if err != nil {
				return err
			}
			if len(before.Items) == 0 {
				return fmt.Errorf("nothing is recommended to user %s", user)
			}
			movie := before.Items[0].MovieID
			body, err := json.Marshal(map[string]any{"user_id": user, "movie_id": movie, "rating": 4.5})
			if err != nil {
				return err
			}
			t := time.Now()
			if err := web.do("POST", c.base+"/api/v1/feedback", body); err != nil {
				return err
			}
			clicked := time.Since(t).Seconds()
			if err := web.get(url); err != nil {
				return err
			}
			changed := time.Since(t).Seconds()
			bytes := strconv.Itoa(web.body.Len())
			var after list
			if err := json.Unmarshal(web.body.Bytes(), &after); err != nil {
				return err
			}
			if after.has(movie) {
				return fmt.Errorf("film %s is still recommended to user %s after the click", movie, user)
			}
			t = time.Now()
			if err := web.do("POST", least.base+"/synced?bytes=200", body); err != nil {
				return err
			}
			synced := time.Since(t).Seconds()
			if err := web.get(least.base + "/synced?bytes=" + bytes); err != nil {
				return err
			}
			for i, s := range []float64{changed, clicked, time.Since(t).Seconds(), synced} {
				samples[i] = append(samples[i], s)
			}
		}
		for i, t := range []*timings{&both, &post, &twice, &once} {
			t.add(samples[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figures("click → changed recommendation over HTTP, "+name, both, twice, "two HTTP requests that each append + fsync", atMost(5e-3))...)
	b.add(figures("… of it the click (durable and learned from), "+name, post, once, "one such request", aim{})...)
	return c.stop()
}

func listOf(web *client, url string) (l list, err error) {
	if err = web.get(url); err == nil {
		err = json.Unmarshal(web.body.Bytes(), &l)
	}
	return l, err
}

// memory is what a server that rests holds.
func (b *bench) memory() error {
	parent, err := b.folder("tiny")
	if err != nil {
		return err
	}
	tiny := filepath.Join(parent, "data")
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
	million, err := b.millionFolder()
	if err != nil {
		return err
	}
	events := thousands(int64(b.size(1_000_000, 60_000)))
	for _, folder := range []struct{ name, dir string }{
		{"resident, started and idle, a world of 200 events", tiny},
		{"resident, started and idle, " + events + " events", million},
	} {
		var ours []float64
		err := b.eachRun(func(int) error {
			c, err := b.serve(folder.dir)
			if err != nil {
				return err
			}
			defer c.kill()
			if err := c.ready(b.ctx, newClient()); err != nil {
				return err
			}
			if err := b.rest(); err != nil {
				return err
			}
			bytes, err := c.resident()
			if err != nil {
				return err
			}
			ours = append(ours, bytes)
			return c.stop()
		})
		if err != nil {
			return err
		}
		b.add(figure{name: folder.name, unit: mebibytes, ours: ours})
	}
	b.add(figure{name: "resident of the process that took the " + events + " and trained on them (once)", unit: mebibytes, ours: b.million.resident})
	return nil
}
