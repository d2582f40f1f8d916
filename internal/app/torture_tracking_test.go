package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

// TestTortureTracking kills the program with SIGKILL in the middle of every operation of the tracking API, by many clients
// at once, starts it again each time, and reads back everything that each client has touched: what was acknowledged is
// there as it was said, what was not is there whole or not at all, and nobody else's words are among it. In the end
// every view is folded again and compared.
func TestTortureTracking(t *testing.T) {
	kills := 4
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
	rng := rand.New(rand.NewPCG(seed, 2))
	dir := filepath.Join(t.TempDir(), "data")
	serve := func() *child {
		return start(t, dir, "--simulate", "off", "--mlflow-ui", "off", "--listen-tracking", "127.0.0.1:0")
	}
	var clients []*tracker
	var answers atomic.Int64
	for i := range 8 {
		clients = append(clients, &tracker{name: fmt.Sprint("c", i), answers: &answers, rng: rand.New(rand.NewPCG(seed, uint64(i+10))), done: map[string]int{}, cut: map[string]int{}})
	}
	for i := range kills {
		c := serve()
		at := trackingOf(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		before := answers.Load()
		for _, k := range clients {
			wg.Go(func() { k.round(ctx, at, c.address) })
		}
		c.until(t, "the first answer", func() bool { return answers.Load() > before })
		longest := 250
		if i%10 == 9 {
			longest = 1500
		}
		time.Sleep(time.Duration(20+rng.IntN(longest)) * time.Millisecond)
		c.kill()
		cancel()
		wg.Wait()
	}
	c := serve()
	at := trackingOf(t, dir)
	done, cut := map[string]int{}, map[string]int{}
	for _, k := range clients {
		k.begin(t.Context(), at, c.address)
		for _, x := range k.things {
			if !k.check(x) {
				t.Errorf("%s: %s %s is not answered", k.name, x.kind, x.id)
			}
		}
		for _, fault := range k.faults {
			t.Errorf("%s: %s", k.name, fault)
		}
		for op, n := range k.done {
			done[op] += n
		}
		for op, n := range k.cut {
			cut[op] += n
		}
	}
	c.stop(t)
	for _, op := range slices.Sorted(maps.Keys(operations)) {
		t.Logf("%-24s %6d acknowledged, %3d cut off", op, done[op], cut[op])
		if done[op] == 0 && kills >= 20 {
			t.Errorf("%s was never acknowledged: the test shows nothing of it", op)
		}
	}
	a, err := app.Open(t.Context(), app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	foldedAll(t, a)
	reports, err := a.Views.Verify(t.Context(), filepath.Join(dir, "scratch"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if !rep.Equal {
			t.Errorf("view %s differs from its replay: %s", rep.View, rep.Diff)
		}
	}
}

func trackingOf(t *testing.T, dir string) string {
	t.Helper()
	s, _ := app.ReadServing(dir)
	for _, a := range s.Also {
		if a.Name == "tracking" {
			return "http://" + a.Address
		}
	}
	t.Fatalf("no address for tracking among %v", s.Also)
	return ""
}

// thing is something that a client has made: an experiment, a run, a model, a webhook. Nobody else writes to it.
type thing struct {
	kind, id string
	has      map[string]string // what it has, as it is read back; "" is nothing
	change   map[string]string // what the operation under way makes of that, not known whether it did
	touched  bool              // since it was last read
	n        int               // operations, for names that are new
	story    []string          // what was done, to be told of a fault
}

// tracker is a client. It does one thing after another.
type tracker struct {
	name      string
	rng       *rand.Rand
	http      http.Client
	ctx       context.Context
	at, main  string
	things    []*thing
	done, cut map[string]int // by operation
	faults    []string
	made      int
	answers   *atomic.Int64 // to all clients
}

var errCut = errors.New("no answer")

func (k *tracker) begin(ctx context.Context, at, main string) {
	k.ctx, k.at, k.main = ctx, at, main
	k.http = http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{}}
}

// round reads back what the last round touched, and works until the program is gone.
func (k *tracker) round(ctx context.Context, at, main string) {
	k.begin(ctx, at, main)
	for _, x := range k.things {
		if (x.touched || k.rng.IntN(20) == 0) && !k.check(x) {
			return // the program is gone again: what is not known yet stays so
		}
	}
	names := slices.Sorted(maps.Keys(operations))
	for ctx.Err() == nil && len(k.faults) == 0 {
		name := names[k.rng.IntN(len(names))]
		if err := k.do(name); errors.Is(err, errCut) {
			k.cut[name]++
			return
		} else if err != nil {
			k.faults = append(k.faults, fmt.Sprintf("%s: %v", name, err))
		}
	}
}

// do does an operation on a thing of the kind that it needs, the last ones rather than the first.
func (k *tracker) do(name string) error {
	op := operations[name]
	var of []*thing
	for _, x := range k.things {
		if x.kind == op.kind && (op.fits == nil || op.fits(x)) {
			of = append(of, x)
		}
	}
	var x *thing
	if !op.makes {
		if len(of) == 0 {
			return nil
		}
		x = of[max(0, len(of)-1-k.rng.IntN(4))]
		x.touched, x.n = true, x.n+1
	}
	k.made++
	change, err := op.act(k, x)
	if x != nil {
		x.story = append(x.story, fmt.Sprintf("%s %d: %v", name, x.n, err))
	}
	if x != nil && errors.Is(err, errCut) {
		x.change = change
	}
	if err == nil && change != nil {
		k.done[name]++
		if x != nil {
			maps.Copy(x.has, change)
		}
	}
	return err
}

// check reads a thing and compares; false if it was not answered. Of what was under way when the program was killed, all
// or nothing is there.
func (k *tracker) check(x *thing) bool {
	got, err := readers[x.kind](k, x.id)
	if errors.Is(err, errCut) {
		return false
	}
	if err != nil {
		k.faults = append(k.faults, fmt.Sprintf("%s %s cannot be read: %v", x.kind, x.id, err))
		return true
	}
	after := maps.Clone(x.has)
	maps.Copy(after, x.change)
	if x.change != nil && same(got, after) {
		x.has = after
	} else if !same(got, x.has) {
		k.faults = append(k.faults, fmt.Sprintf("%s %s: has %v\nwas acknowledged %v\nunder way %v\n%s", x.kind, x.id, got, x.has, x.change, strings.Join(x.story[max(0, len(x.story)-6):], ", ")))
	}
	x.change, x.touched = nil, false
	return true
}

// same compares what there is; "" is nothing.
func same(a, b map[string]string) bool {
	none := func(_, v string) bool { return v == "" }
	a, b = maps.Clone(a), maps.Clone(b)
	maps.DeleteFunc(a, none)
	maps.DeleteFunc(b, none)
	return maps.Equal(a, b)
}

// ask sends a request, of which only a 2xx is an answer, and a 4xx a fault of this test or of the program.
func (k *tracker) ask(method, address string, body any) (map[string]any, error) {
	var in io.Reader
	if raw, ok := body.([]byte); ok {
		in = bytes.NewReader(raw)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(k.ctx, method, address, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, errCut
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode >= 500:
		return nil, errCut
	case resp.StatusCode >= 400:
		return nil, fmt.Errorf("%s %s: %d %s", method, address, resp.StatusCode, b)
	}
	k.answers.Add(1)
	var answer map[string]any
	if json.Unmarshal(b, &answer) != nil {
		return map[string]any{"text": string(b)}, nil
	}
	return answer, nil
}

func (k *tracker) mlflow(method, path string, body any) (map[string]any, error) {
	return k.ask(method, k.at+"/api/2.0/mlflow/"+path, body)
}

// add keeps a thing that was made.
func (k *tracker) add(kind, id string, has map[string]string) (map[string]string, error) {
	k.things = append(k.things, &thing{kind: kind, id: id, has: has, touched: true})
	return has, nil
}

type object = map[string]any

func dig(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(object)
		v = m[p]
	}
	return v
}

func word(v any, path ...string) string {
	v = dig(v, path...)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// pairs are the items of a list by one of their fields.
func pairs(into map[string]string, prefix string, list any, key, value string) {
	items, _ := list.([]any)
	for _, item := range items {
		into[prefix+word(item, strings.Split(key, ".")...)] = word(item, strings.Split(value, ".")...)
	}
}

var readers = map[string]func(k *tracker, id string) (map[string]string, error){
	"experiment": func(k *tracker, id string) (map[string]string, error) {
		v, err := k.mlflow("GET", "experiments/get?experiment_id="+id, nil)
		if err != nil && strings.Contains(err.Error(), "RESOURCE_DOES_NOT_EXIST") {
			return nil, nil
		}
		v, _ = v["experiment"].(object)
		got := map[string]string{"name": word(v, "name"), "stage": word(v, "lifecycle_stage")}
		pairs(got, "tag ", v["tags"], "key", "value")
		return got, err
	},
	"run": func(k *tracker, id string) (map[string]string, error) {
		v, err := k.mlflow("GET", "runs/get?run_id="+id, nil)
		if err != nil && strings.Contains(err.Error(), "RESOURCE_DOES_NOT_EXIST") {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		got := map[string]string{"name": word(v, "run", "info", "run_name"), "status": word(v, "run", "info", "status"), "stage": word(v, "run", "info", "lifecycle_stage")}
		pairs(got, "metric ", dig(v, "run", "data", "metrics"), "key", "value")
		pairs(got, "param ", dig(v, "run", "data", "params"), "key", "value")
		pairs(got, "tag ", dig(v, "run", "data", "tags"), "key", "value")
		delete(got, "tag mlflow.runName")
		pairs(got, "input ", dig(v, "run", "inputs", "dataset_inputs"), "dataset.name", "dataset.digest")
		pairs(got, "output ", dig(v, "run", "outputs", "model_outputs"), "model_id", "step")
		files, err := k.mlflow("GET", "artifacts/list?run_id="+id, nil)
		pairs(got, "file ", files["files"], "path", "file_size")
		return got, err
	},
	"model": func(k *tracker, id string) (map[string]string, error) {
		v, err := k.mlflow("GET", "registered-models/get?name="+id, nil)
		if err != nil && strings.Contains(err.Error(), "RESOURCE_DOES_NOT_EXIST") {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		got := map[string]string{"is": "there", "text": word(v, "registered_model", "description")}
		pairs(got, "tag ", dig(v, "registered_model", "tags"), "key", "value")
		pairs(got, "alias ", dig(v, "registered_model", "aliases"), "alias", "version")
		found, err := k.mlflow("GET", "model-versions/search?max_results=1000&filter="+url.QueryEscape("name = '"+id+"'"), nil)
		pairs(got, "version ", found["model_versions"], "version", "current_stage")
		versions, _ := found["model_versions"].([]any)
		for _, one := range versions {
			pairs(got, "version tag "+word(one, "version")+" ", dig(one, "tags"), "key", "value")
		}
		return got, err
	},
	"webhook": func(k *tracker, id string) (map[string]string, error) {
		v, err := k.mlflow("GET", "webhooks/"+id, nil)
		if err != nil && strings.Contains(err.Error(), "RESOURCE_DOES_NOT_EXIST") {
			return nil, nil
		}
		return map[string]string{"name": word(v, "webhook", "name"), "status": word(v, "webhook", "status")}, err
	},
}
