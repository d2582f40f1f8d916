package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

//go:embed feast.py
var feastProgram string

// feastVersion is the feature server that is measured beside ours.
const feastVersion = "0.67.0"

// feastViews are the views of pushed values that both have: how many features each has. There are feastFilms films in each.
var feastViews = []struct {
	name     string
	features int
}{{"wide", featureCount}, {"mid", 50}, {"thin", 5}}

const feastFilms = 2000

// featureServer answers Feast's clients: ours, or Feast's own.
type featureServer struct {
	name string
	base string
	pid  int
	web  *client
	stop func() error
}

// feast measures what Feast's clients ask for, beside `feast serve` with SQLite as its online store and the joins of Feast's offline stores. Feast's server in Go
// is not among them: it is no part of what is installed, and its sources build only after their protocol buffers are generated with Feast's own tools.
func (b *bench) feast() (err error) {
	python, err := b.pythonWith("bench-feast", "feast", feastVersion, "feast[duckdb]=="+feastVersion)
	var p *peer
	if err == nil {
		p, err = startPeer(exec.CommandContext(b.ctx, python, "-c", feastProgram), "Feast")
	}
	if err != nil {
		b.say("SKIPPED, NOT COMPARED: %v", err)
		b.add(figure{name: "features beside Feast", missing: "SKIPPED, ours alone: Feast cannot be had: " + err.Error()})
		p = nil
	} else {
		defer p.close() //nolint:errcheck // nothing is asked of it any more
	}
	if err := b.feastServing(p, python); err != nil {
		return err
	}
	if err := b.feastComputed(); err != nil {
		return err
	}
	return b.feastJoin(p)
}

// feastOf starts the program on a folder, with its port for Feast's clients.
func (b *bench) feastOf(dir string, args ...string) (*featureServer, *child, error) {
	c, err := b.serve(dir, append([]string{"--listen-features", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	s, _ := app.ReadServing(dir)
	f := &featureServer{name: "ours", pid: c.cmd.Process.Pid, web: newPatientClient(), stop: c.stop}
	for _, also := range s.Also {
		if also.Name == "features" {
			f.base = "http://" + also.Address
		}
	}
	if f.base == "" {
		c.kill()
		return nil, nil, errors.New("the program does not say where it answers Feast's clients")
	}
	return f, c, nil
}

// feastDefinitions declares the views of pushed values.
func feastDefinitions() string {
	var y strings.Builder
	y.WriteString(featureDefinitions() + "external_views:\n")
	for _, v := range feastViews {
		fmt.Fprintf(&y, "  - name: %s\n    entity: movie\n    features:\n", v.name)
		for k := range v.features {
			fmt.Fprintf(&y, "      - {name: f%d, type: float64}\n", k)
		}
	}
	return y.String()
}

// feastFrame is so many films of a view from one on, as a body of /push; feast.py has the same.
func feastFrame(view string, first, count, features int) []byte {
	b := fmt.Appendf(nil, `{"push_source_name": "%s_push", "to": "online", "df": {"movie_id": [`, view)
	column := func(value func(i int)) {
		for i := range count {
			if i > 0 {
				b = append(b, ',')
			}
			value(first + i)
		}
	}
	column(func(i int) { b = strconv.AppendInt(b, int64(i), 10) })
	b = append(b, `], "event_timestamp": [`...)
	column(func(int) { b = append(b, `"2026-01-01T00:00:00Z"`...) })
	for k := range features {
		b = append(strconv.AppendInt(append(b, `], "f`...), int64(k), 10), `": [`...)
		column(func(i int) { b = strconv.AppendFloat(b, feastValue(i, k), 'f', -1, 64) })
	}
	return append(b, "]}}"...)
}

func feastValue(i, k int) float64 { return float64((i*7919+k*104729)%1000003) / 8 }

// feastAsks is a request for features of films.
func feastAsks(view string, films []int, features int) []byte {
	refs := make([]string, features)
	for k := range refs {
		refs[k] = fmt.Sprintf("%s:f%d", view, k)
	}
	body, err := json.Marshal(map[string]any{"features": refs, "entities": map[string]any{"movie_id": films}})
	if err != nil {
		panic(err) // texts and numbers
	}
	return body
}

// check sees to it that a server answers with what was pushed.
func (s *featureServer) check(view string, films []int, features int) error {
	if err := s.web.do("POST", s.base+"/get-online-features", feastAsks(view, films, features)); err != nil {
		return err
	}
	var v struct {
		Results []struct {
			Values []float64 `json:"values"`
		} `json:"results"`
		Metadata struct {
			Names []string `json:"feature_names"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(s.web.body.Bytes(), &v); err != nil {
		return err
	}
	seen := 0
	for c, name := range v.Metadata.Names {
		k, err := strconv.Atoi(strings.TrimPrefix(name, "f"))
		if err != nil {
			continue // a join key
		}
		for i, film := range films {
			if got := v.Results[c].Values[i]; got != feastValue(film, k) {
				return fmt.Errorf("%s has %v as feature %d of film %d of %s; want %v", s.name, got, k, film, view, feastValue(film, k))
			}
			seen++
		}
	}
	if seen != len(films)*features {
		return fmt.Errorf("%s answers with %d of %d values", s.name, seen, len(films)*features)
	}
	return nil
}

// feastServe starts Feast's server on a repository, with a worker for each core.
func (b *bench) feastServe(p *peer, python, dir string) (*featureServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close() //nolint:errcheck // the port was to be found
	out := &lines{each: func(string) {}}
	cmd := exec.CommandContext(b.ctx, filepath.Join(filepath.Dir(python), "feast"), "-c", dir, "serve", "--host", "127.0.0.1", "--port", strconv.Itoa(address.Port),
		"--no-access-log", "--workers", strconv.Itoa(runtime.NumCPU()))
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, out, out, append(os.Environ(), "FEAST_USAGE=False")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, exited: make(chan struct{}), out: out}
	go func() {
		c.err = cmd.Wait()
		close(c.exited)
	}()
	s := &featureServer{name: p.name, base: "http://" + address.String(), pid: cmd.Process.Pid, web: newPatientClient(), stop: func() error {
		err := end()
		<-c.exited
		return err
	}}
	return s, c.wait(b.ctx, "answers", func() bool {
		time.Sleep(100 * time.Millisecond)
		return s.web.get(s.base+"/health") == nil
	})
}

// feastServing compares two servers that have the same values.
func (b *bench) feastServing(p *peer, python string) error {
	parent, err := b.folder("feast")
	if err != nil {
		return err
	}
	ours, c, err := b.feastOf(filepath.Join(parent, "data"), "--simulate", "users=20,movies=20,events=200")
	if err != nil {
		return err
	}
	defer c.kill()
	if err := c.filled(b.ctx); err != nil {
		return err
	}
	if err := newPatientClient().do("POST", c.base+"/api/v1/features/definitions", []byte(feastDefinitions())); err != nil {
		return err
	}
	million, films := b.size(1_000_000, 20_000), map[string]int{"wide": feastFilms, "mid": feastFilms}
	films["thin"] = million
	servers, views := []*featureServer{ours}, map[string][2]int{}
	for _, v := range feastViews {
		views[v.name] = [2]int{films[v.name], v.features}
		b.say("pushing %s films × %d features", thousands(int64(films[v.name])), v.features)
		batch := min(10_000, 500_000/v.features)
		for first := 1; first <= films[v.name]; first += batch {
			if err := ours.web.do("POST", ours.base+"/push", feastFrame(v.name, first, min(batch, films[v.name]+1-first), v.features)); err != nil {
				return err
			}
		}
	}
	if p != nil {
		dir := filepath.Join(parent, "repo")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		b.say("filling Feast's online store with the same")
		if err := p.call(map[string]any{"do": "repo", "folder": dir, "views": views}, &struct{}{}); err != nil {
			return err
		}
		real, err := b.feastServe(p, python, dir)
		if err != nil {
			return err
		}
		defer real.stop() //nolint:errcheck // it is of no use any more
		servers = append(servers, real)
	}
	for _, s := range servers {
		for _, v := range feastViews {
			if err := s.check(v.name, []int{1, films[v.name]}, v.features); err != nil {
				return err
			}
		}
	}
	if err := b.rest(); err != nil {
		return err
	}
	if err := b.feastMemory(servers, fmt.Sprintf("resident with %s entities × %d pushed features, of all processes", thousands(int64(million)), 5)); err != nil {
		return err
	}
	if err := b.feastLatency(servers, fmt.Sprintf("read of %d pushed features of one entity", featureCount), "wide", 1, featureCount, .05, .5e-3); err != nil {
		return err
	}
	if err := b.feastLatency(servers, "read of 50 pushed features of 100 entities", "mid", 100, 50, 0, 0); err != nil {
		return err
	}
	if err := b.feastEach(servers, fmt.Sprintf("reads of %d pushed features of one entity, 20 clients", featureCount), perSecond, aim{}, func(s *featureServer) (float64, error) {
		n := b.size(500, 20)
		if s != ours {
			n = b.size(20, 3)
		}
		return concurrently(20, n, func(web *client) (func(int) error, error) {
			web.http.Timeout = 10 * time.Minute
			return func(i int) error {
				return web.do("POST", s.base+"/get-online-features", feastAsks("wide", []int{1 + i*37%feastFilms}, featureCount))
			}, nil
		})
	}); err != nil {
		return err
	}
	rows := b.size(10_000, 500)
	body := feastFrame("thin", 1, rows, 5)
	if err := b.feastEach(servers, fmt.Sprintf("push of %s rows × 5 features in one request, rows", thousands(int64(rows))), perSecond, aim{}, func(s *featureServer) (float64, error) {
		began := time.Now()
		err := s.web.do("POST", s.base+"/push", body)
		return float64(rows) / time.Since(began).Seconds(), err
	}); err != nil {
		return err
	}
	return c.stop()
}

// feastEach measures one value of each server once per run, in turns.
func (b *bench) feastEach(servers []*featureServer, name string, unit unit, wanted aim, fn func(*featureServer) (float64, error)) error {
	f := figure{name: name, unit: unit, aim: wanted}
	err := b.eachRun(func(int) error {
		for i, s := range servers {
			v, err := fn(s)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, s.name, err)
			}
			if i == 0 {
				f.ours = append(f.ours, v)
			} else {
				f.peer, f.peerName = append(f.peer, v), s.name
			}
		}
		return nil
	})
	b.add(f)
	return err
}

func (b *bench) feastMemory(servers []*featureServer, name string) error {
	f := figure{name: name, unit: mebibytes}
	for i, s := range servers {
		v, err := (&tracker{pid: s.pid}).resident()
		if err != nil {
			return err
		}
		if i == 0 {
			f.ours = []float64{v}
		} else {
			f.peer, f.peerName = []float64{v}, s.name
		}
	}
	b.add(f)
	return nil
}

// feastLatency measures requests one by one, over one connection: those of a run to one server, then to the other.
func (b *bench) feastLatency(servers []*featureServer, name, view string, entities, features int, ratio, p99 float64) error {
	rows := [2]figure{{name: name + ", p50", unit: seconds}, {name: name + ", p99", unit: seconds}}
	if ratio > 0 {
		rows[0].aim = ratioAtMost(ratio)
	}
	if p99 > 0 {
		rows[1].aim = atMost(p99)
	}
	rng := rand.New(rand.NewPCG(1, 4))
	err := b.eachRun(func(int) error {
		for i, s := range servers {
			n := b.size(3000, 100)
			if i > 0 {
				n = b.size(200, 10)
			}
			var took []float64
			for range n {
				films := make([]int, entities)
				for k := range films {
					films[k] = 1 + rng.IntN(feastFilms)
				}
				body := feastAsks(view, films, features)
				began := time.Now()
				if err := s.web.do("POST", s.base+"/get-online-features", body); err != nil {
					return err
				}
				took = append(took, time.Since(began).Seconds())
			}
			for q, p := range []float64{.5, .99} {
				if v := quantile(p, took); i == 0 {
					rows[q].ours = append(rows[q].ours, v)
				} else {
					rows[q].peer, rows[q].peerName = append(rows[q].peer, v), s.name
				}
			}
		}
		return nil
	})
	b.add(rows[:]...)
	return err
}

// feastComputed reads computed features by Feast's protocol: Feast has nothing that computes when it is asked.
func (b *bench) feastComputed() error {
	dir, err := b.millionFolder()
	if err != nil {
		return err
	}
	ours, c, err := b.feastOf(dir)
	if err != nil {
		return err
	}
	defer c.kill()
	if err := c.ready(b.ctx, newPatientClient()); err != nil {
		return err
	}
	if err := newPatientClient().do("POST", c.base+"/api/v1/features/definitions", []byte(featureDefinitions())); err != nil {
		return err
	}
	if err := b.rest(); err != nil {
		return err
	}
	for _, of := range []struct {
		name, key, view string
		most            int
	}{{"film", "movie_id", "wide_movie", millionMovies}, {"person", "user_id", "wide_user", millionUsers}} {
		var t timings
		err := b.eachRun(func(int) error {
			var took []float64
			for i := range b.size(3000, 100) {
				body := []byte(strings.Replace(string(feastAsks(of.view, []int{1 + i*37%min(500, of.most)}, featureCount)), `"movie_id"`, strconv.Quote(of.key), 1))
				began := time.Now()
				if err := ours.web.do("POST", ours.base+"/get-online-features", body); err != nil {
					return err
				}
				took = append(took, time.Since(began).Seconds())
			}
			t.add(took)
			return nil
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("read of %d computed features of one %s by Feast's protocol", featureCount, of.name)
		b.add(figure{name: name + ", p50", unit: seconds, ours: t.p50}, figure{name: name + ", p99", unit: seconds, ours: t.p99, aim: atMost(.5e-3)})
	}
	return c.stop()
}

// feastJoin joins rows of people with 20 features, ours computed from a million facts, Feast's from a file that has a row of them for each fact. What Feast's stores
// take minutes or the memory for is joined smaller, and rates are compared.
func (b *bench) feastJoin(p *peer) error {
	dir, err := b.millionFolder()
	if err != nil {
		return err
	}
	_, c, err := b.feastOf(dir)
	if err != nil {
		return err
	}
	defer c.kill()
	web := newPatientClient()
	if err := c.ready(b.ctx, web); err != nil {
		return err
	}
	if err := web.do("POST", c.base+"/api/v1/features/definitions", []byte(featureDefinitions())); err != nil {
		return err
	}
	const features = 20
	rows := b.size(1_000_000, 20_000)
	path := filepath.Join(b.dir, "rows.csv")
	if err := writeRows(path, rows); err != nil {
		return err
	}
	defer os.Remove(path) //nolint:errcheck // the scratch goes
	names := make([]string, features)
	for k := range names {
		names[k] = fmt.Sprintf("wide_user:f%d", k)
	}
	url := c.base + "/api/v1/features/historical?features=" + strings.Join(names, ",")
	stores := []struct {
		store string
		rows  int
	}{{"duckdb", b.size(1_000_000, 5000)}, {"file", b.size(20_000, 1000)}}
	figures := []figure{}
	for _, s := range stores {
		figures = append(figures, figure{name: fmt.Sprintf("point-in-time join of %s rows × %d features, rows", thousands(int64(rows)), features), unit: perSecond,
			peerName: fmt.Sprintf("Feast %s, %s of %s rows", feastVersion, s.store, thousands(int64(s.rows)))})
	}
	folder, err := b.folder("join")
	if err != nil {
		return err
	}
	facts := b.size(1_000_000, 60_000)
	err = b.eachRun(func(int) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		began := time.Now()
		n, err := web.lines(url, "text/csv", file)
		if err != nil {
			return err
		}
		if n != rows+1 {
			return fmt.Errorf("%d lines are joined of %d", n, rows+1)
		}
		rate := float64(rows) / time.Since(began).Seconds()
		for i, s := range stores {
			figures[i].ours = append(figures[i].ours, rate)
			if p == nil {
				continue
			}
			var v struct {
				Seconds float64
				Rows    int
			}
			if err := p.call(map[string]any{"do": "join", "folder": folder, "store": s.store, "users": millionUsers, "facts": facts, "rows": s.rows, "features": features}, &v); err != nil {
				return err
			}
			figures[i].peer = append(figures[i].peer, float64(s.rows)/v.Seconds)
		}
		return nil
	})
	b.add(figures...)
	if err != nil {
		return err
	}
	return c.stop()
}

// writeRows writes rows of people at random moments of the two years before the worlds' end.
func writeRows(path string, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out, rng := bufio.NewWriter(f), rand.New(rand.NewPCG(1, 5))
	fmt.Fprintln(out, "user_id,event_timestamp")
	for range n {
		fmt.Fprintf(out, "%d,%s\n", 1+rng.IntN(millionUsers), worldEnd.Add(-time.Duration(rng.IntN(730*24*3600))*time.Second).Format(time.RFC3339))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}
