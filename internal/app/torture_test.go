package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/cli"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// The test's own binary is also the program: with this variable set it runs the command line.
const childVariable = "PROJECTIONIST_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// child is the program in a process of its own.
type child struct {
	cmd     *exec.Cmd
	out     bytes.Buffer
	address string
	exited  chan error
}

// start runs `serve` on a folder and waits until it listens.
func start(t testing.TB, dir string, args ...string) *child {
	t.Helper()
	return startWith(t, dir, nil, args...)
}

func startWith(t testing.TB, dir string, env []string, args ...string) *child {
	t.Helper()
	c := &child{exited: make(chan error, 1)}
	c.cmd = exec.Command(os.Args[0], append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	c.cmd.Env = append(append(os.Environ(), childVariable+"=1"), env...)
	c.cmd.Dir = t.TempDir() // no .env of the repository
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.exited <- c.cmd.Wait() }()
	deadline := time.Now().Add(5 * time.Minute)
	for time.Now().Before(deadline) {
		if s, ok := app.ReadServing(dir); ok && s.PID == c.cmd.Process.Pid {
			c.address = "http://" + s.Address
			return c
		}
		select {
		case err := <-c.exited:
			t.Fatalf("the program ended at start: %v\n%s", err, c.out.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
	c.kill()
	t.Fatalf("the program does not listen\n%s", c.out.String())
	return nil
}

func (c *child) kill() {
	c.cmd.Process.Signal(syscall.SIGKILL)
	<-c.exited
}

func (c *child) stop(t testing.TB) {
	t.Helper()
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.exited:
		if err != nil {
			t.Fatalf("the program did not end well: %v\n%s", err, c.out.String())
		}
	case <-time.After(5 * time.Minute):
		c.kill()
		t.Fatalf("the program does not end\n%s", c.out.String())
	}
}

func (c *child) ready(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(c.address + "/readyz")
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
		}
	}
	c.kill()
	t.Fatalf("not ready after five minutes\n%s", c.out.String())
}

// until waits for something that the program comes to by itself.
func (c *child) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.kill()
			t.Fatalf("%s does not come\n%s", what, c.out.String())
		}
	}
}

// acknowledged is what the program has promised to keep.
type acknowledged struct {
	mu    sync.Mutex
	facts map[string]string // event id -> position
	notes map[string]bool   // names of registered models
	lost  int               // requests that were not answered
}

// TestTorture kills the program with SIGKILL at random moments while people click and operators command,
// starts it again each time, and in the end looks for everything that was ever acknowledged, folds every
// view again and compares, and counts how often each task of the training run was ended.
func TestTorture(t *testing.T) {
	kills := 20
	if v := os.Getenv("TORTURE_KILLS"); v != "" {
		var err error
		if kills, err = strconv.Atoi(v); err != nil || kills < 1 {
			t.Fatalf("TORTURE_KILLS=%q: want a number from 1", v)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("TORTURE_SEED"); v != "" {
		seed, _ = strconv.ParseUint(v, 10, 64)
	}
	t.Logf("%d kills, seed %d", kills, seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(t.TempDir(), "data")
	world := []string{"--simulate", "users=60,movies=120,events=6000"}
	ack := &acknowledged{facts: map[string]string{}, notes: map[string]bool{}}
	for i := range kills {
		c := start(t, dir, world...)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				ack.work(ctx, c.address, fmt.Sprintf("%d-%d", i, w))
			}()
		}
		longest := 500 // ms: within import and training; now and then long enough for both to end
		if i%5 == 4 {
			longest = 3000
		}
		time.Sleep(time.Duration(rng.IntN(longest)) * time.Millisecond)
		if i%5 == 4 {
			c.until(t, "an answer to each kind of request", func() bool {
				ack.mu.Lock()
				defer ack.mu.Unlock()
				return len(ack.facts) > 0 && len(ack.notes) > 0
			})
		}
		c.kill()
		cancel()
		wg.Wait()
	}
	c := start(t, dir, world...)
	c.ready(t)
	c.until(t, "the end of a training", func() bool {
		return slices.ContainsFunc(c.trainings(), func(r projections.WorkflowRun) bool { return r.Ended() })
	})
	c.stop(t)
	t.Logf("%d facts and %d commands acknowledged, %d requests unanswered", len(ack.facts), len(ack.notes), ack.lost)
	if len(ack.facts) == 0 || len(ack.notes) == 0 {
		t.Fatal("nothing was ever acknowledged: the test shows nothing")
	}
	check(t, dir, ack)
}

func (a *acknowledged) work(ctx context.Context, address, worker string) {
	client := &http.Client{Timeout: 5 * time.Second}
	post := func(path string, body any) (map[string]any, bool) {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		req, err := http.NewRequestWithContext(ctx, "POST", address+path, bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			a.mu.Lock()
			a.lost++
			a.mu.Unlock()
			return nil, false
		}
		defer resp.Body.Close()
		var answer map[string]any
		if json.NewDecoder(resp.Body).Decode(&answer) != nil {
			return nil, false
		}
		return answer, resp.StatusCode/100 == 2
	}
	for n := 0; ctx.Err() == nil; n++ {
		answer, ok := post("/api/v1/feedback", map[string]any{"user_id": fmt.Sprintf("t-%s-%d", worker, n%7), "movie_id": n%120 + 1, "rating": 4.5})
		if id, _ := answer["event_id"].(string); ok && id != "" {
			position, _ := answer["position"].(string)
			a.mu.Lock()
			a.facts[id] = position
			a.mu.Unlock()
		} else {
			time.Sleep(5 * time.Millisecond) // the catalogue may not have the film yet
		}
		if n%20 == 3 {
			name := fmt.Sprintf("model-%s-%d", worker, n)
			if _, ok := post("/api/v1/models", map[string]any{"name": name}); ok {
				a.mu.Lock()
				a.notes[name] = true
				a.mu.Unlock()
			}
		}
	}
}

func check(t *testing.T, dir string, ack *acknowledged) {
	t.Helper()
	ctx := context.Background()
	a, err := app.Open(ctx, app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()

	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		next := int64(0)
		for rec, err := range a.Log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if rec.Offset != next { // the embedded log leaves none out
				t.Fatalf("%s: offset %d follows %d", tp, rec.Offset, next-1)
			}
			next++
		}
	}
	checkFacts(t, a, ack.facts)
	foldedAll(t, a)
	registry := fold.Of[*projections.Registry](a.Views)
	for name := range ack.notes {
		if _, ok, err := registry.Model(name); err != nil || !ok {
			t.Errorf("model %s was acknowledged and is not there: %v", name, err)
		}
	}

	checkEnds(t, a)

	reports, err := a.Views.Verify(ctx, filepath.Join(dir, "scratch"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if !rep.Equal {
			t.Errorf("view %s differs from its replay: %s", rep.View, rep.Diff)
		}
	}
}
