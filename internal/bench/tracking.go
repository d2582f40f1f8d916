package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// trackers are the servers that are measured in turns: ours, and MLflow's where it can be had.
type trackers struct {
	ours *tracker
	real *mlflow // or nil
}

// sampled measures something of both servers once per run, each time by as many samples as fn takes, and makes of each
// quantile of them a figure.
func (b *bench) sampled(t trackers, unit unit, quantiles map[string]float64, named func(q string) (string, aim), fn func(*tracker) ([]float64, error)) error {
	rows := map[string]*figure{}
	order := make([]string, 0, len(quantiles))
	for q := range quantiles {
		order = append(order, q)
	}
	slices.Sort(order)
	for _, q := range order {
		name, wanted := named(q)
		rows[q] = &figure{name: name, unit: unit, aim: wanted}
	}
	err := b.eachRun(func(int) error {
		samples, err := fn(t.ours)
		for q, p := range quantiles {
			rows[q].ours = append(rows[q].ours, quantile(p, samples))
		}
		if err != nil || t.real == nil {
			return err
		}
		samples, err = fn(t.real.tracker)
		for q, p := range quantiles {
			rows[q].peer, rows[q].peerName = append(rows[q].peer, quantile(p, samples)), t.real.tracker.name
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", rows[order[0]].name, err)
	}
	for _, q := range order {
		b.add(*rows[q])
	}
	return nil
}

// one measures one value of both servers once per run.
func (b *bench) one(t trackers, name string, unit unit, wanted aim, fn func(*tracker) (float64, error)) error {
	return b.sampled(t, unit, map[string]float64{"": .5}, func(string) (string, aim) { return name, wanted }, func(t *tracker) ([]float64, error) {
		v, err := fn(t)
		return []float64{v}, err
	})
}

// tracking measures what MLflow's clients ask for.
func (b *bench) tracking() (err error) {
	t := trackers{}
	if t.ours, err = b.ourTracker(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.ours.stop()) }()
	var none skipped
	if t.real, err = b.realTracker(); errors.As(err, &none) {
		b.say("SKIPPED, NOT COMPARED: %s", none.reason)
		b.add(figure{name: "MLflow's API beside MLflow's server", missing: "SKIPPED, ours alone: " + none.reason})
		t.real = nil
	} else if err != nil {
		return err
	} else {
		defer t.real.tracker.stop() //nolint:errcheck // it is of no use any more
		defer t.real.peer.close()   //nolint:errcheck // nothing is asked of it any more
	}
	for _, step := range []func(trackers) error{b.idleTracking, b.logging, b.manyRuns, b.searching, b.longRun, b.manyFiles} {
		if err := step(t); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) idleTracking(t trackers) error {
	if err := b.rest(); err != nil {
		return err
	}
	return b.memoryOf(t, "resident when idle, of all processes", aim{})
}

func (b *bench) memoryOf(t trackers, name string, wanted aim) error {
	f := figure{name: name, unit: mebibytes, aim: wanted}
	v, err := t.ours.resident()
	f.ours = []float64{v}
	if err == nil && t.real != nil {
		v, err = t.real.resident()
		f.peer, f.peerName = []float64{v}, t.real.tracker.name
	}
	b.add(f)
	return err
}

// batch is ten metrics at a step, written by hand: the bench shares the processors with what it measures.
func batch(run string, step int) json.RawMessage {
	b := append(make([]byte, 0, 700), `{"run_id":"`+run+`","metrics":[`...)
	for k := range 10 {
		if k > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"key":"m`...), int64(k), 10)
		b = strconv.AppendInt(append(b, `","value":`...), int64(step+k), 10)
		b = strconv.AppendInt(append(b, `,"timestamp":`...), int64(step+1), 10)
		b = strconv.AppendInt(append(b, `,"step":`...), int64(step), 10)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

func (b *bench) logging(t trackers) error {
	var experiments []string
	servers := t.all()
	for _, s := range servers {
		id, err := s.makeExperiment("logging")
		if err != nil {
			return err
		}
		experiments = append(experiments, id)
	}
	experiment := func(s *tracker) string { return experiments[slices.Index(servers, s)] }
	step := 0
	latency := func(name string, n int, fn func(s *tracker, run string, i int) error) error {
		return b.sampled(t, seconds, map[string]float64{"p50": .5, "p99": .99}, func(q string) (string, aim) { return name + ", " + q, aim{} }, func(s *tracker) ([]float64, error) {
			run, err := s.makeRun(s.web, experiment(s), 1)
			var took []float64
			for range n {
				began := time.Now()
				step++
				err = errors.Join(err, fn(s, run, step))
				took = append(took, time.Since(began).Seconds())
			}
			return took, err
		})
	}
	if err := latency("create a run", b.size(200, 30), func(s *tracker, _ string, i int) error {
		_, err := s.makeRun(s.web, experiment(s), int64(i))
		return err
	}); err != nil {
		return err
	}
	if err := latency("log-metric, one client", b.size(200, 30), func(s *tracker, run string, i int) error {
		return s.post(s.web, "runs/log-metric", map[string]any{"run_id": run, "key": "loss", "value": i, "timestamp": i, "step": i})
	}); err != nil {
		return err
	}
	if err := latency("log-batch of 10 metrics, one client", b.size(200, 30), func(s *tracker, run string, i int) error {
		return s.post(s.web, "runs/log-batch", batch(run, i))
	}); err != nil {
		return err
	}
	return b.one(t, "log-batch of 10 metrics, 20 clients", perSecond, atLeast(5000), func(s *tracker) (float64, error) {
		n := b.size(2000, 300)
		if s != t.ours {
			n = b.size(50, 8)
		}
		return concurrently(20, n, func(web *client) (func(int) error, error) {
			run, err := s.makeRun(web, experiment(s), 1)
			return func(i int) error { return s.post(web, "runs/log-batch", batch(run, i)) }, err
		})
	})
}

func (t trackers) all() []*tracker {
	if t.real == nil {
		return []*tracker{t.ours}
	}
	return []*tracker{t.ours, t.real.tracker}
}

// concurrently has clients call each n times, and gives how many calls were done in a second.
func concurrently(clients, n int, prepare func(*client) (func(int) error, error)) (float64, error) {
	calls := make([]func(int) error, clients)
	for i := range calls {
		var err error
		if calls[i], err = prepare(newPatientClient()); err != nil {
			return 0, err
		}
	}
	var wait sync.WaitGroup
	errs := make([]error, clients)
	began := time.Now()
	for c := range calls {
		wait.Go(func() {
			for i := 0; i < n && errs[c] == nil; i++ {
				errs[c] = calls[c](i)
			}
		})
	}
	wait.Wait()
	return float64(clients*n) / time.Since(began).Seconds(), errors.Join(errs...)
}

const (
	runMetrics = 50
	runsStart  = 1_700_000_000_000
)

// metricAt is metric k of run i, as tracking.py has it.
func metricAt(i, k int) int { return (i*7919 + k*104729) % 1000003 }

// manyRuns gives both servers many runs of many metrics: ours by its API, MLflow's in its database.
func (b *bench) manyRuns(t trackers) (err error) {
	n := b.size(20_000, 2000)
	for _, s := range t.all() {
		if s.runs, err = s.makeExperiment("many"); err != nil {
			return err
		}
	}
	const clients = 8
	b.say("making %s runs of %d metrics", thousands(int64(n)), runMetrics)
	var next atomic.Int64
	rate, err := concurrently(clients, n/clients, func(web *client) (func(int) error, error) {
		return func(int) error {
			i := int(next.Add(1) - 1)
			run, err := t.ours.makeRun(web, t.ours.runs, int64(runsStart+i))
			if err != nil {
				return err
			}
			metrics := make([]map[string]any, runMetrics)
			for k := range metrics {
				metrics[k] = map[string]any{"key": "m" + strconv.Itoa(k), "value": metricAt(i, k), "timestamp": 1, "step": 0}
			}
			return t.ours.post(web, "runs/log-batch", map[string]any{"run_id": run, "metrics": metrics, "params": []map[string]any{{"key": "lr", "value": strconv.Itoa(i % 10)}}})
		}, nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: fmt.Sprintf("runs of %d metrics made and logged, %d clients", runMetrics, clients), unit: perSecond, ours: []float64{rate}})
	if t.real != nil {
		err := t.real.fill(map[string]any{"do": "runs", "database": t.real.database, "experiment": t.real.runs, "location": "mlflow-artifacts:/" + t.real.runs, "count": n,
			"metrics": runMetrics, "start": runsStart})
		if err != nil {
			return err
		}
	}
	if err := b.rest(); err != nil {
		return err
	}
	return b.memoryOf(t, fmt.Sprintf("resident after %s runs × %d metrics", thousands(int64(n)), runMetrics), atMost(150<<20))
}

// call2 asks the peer for something it has no answer to.
func (m *mlflow) fill(request map[string]any) error { return m.peer.call(request, &struct{}{}) }

func (b *bench) searching(t trackers) error {
	n := b.size(20_000, 2000)
	for _, page := range []int{100, 1000} {
		turn := 0
		err := b.sampled(t, seconds, map[string]float64{"p50": .5, "p95": .95}, func(q string) (string, aim) {
			name, wanted := fmt.Sprintf("search of %s runs by a metric, page of %d, %s", thousands(int64(n)), page, q), aim{}
			if q == "p95" {
				wanted = atMost(15e-3)
			}
			return name, wanted
		}, func(s *tracker) (took []float64, err error) {
			samples := b.size(100, 20)
			if s != t.ours {
				samples = b.size(20, 5)
			}
			for range samples {
				turn++
				var v struct {
					Runs []struct{} `json:"runs"`
				}
				began := time.Now()
				err := s.call(s.web, "POST", "mlflow/runs/search", map[string]any{"experiment_ids": []string{s.runs}, "max_results": page,
					"filter": fmt.Sprintf("metrics.m%d > %d", turn%runMetrics, 100_000+turn%7*50_000), "order_by": []string{fmt.Sprintf("metrics.m%d DESC", turn%runMetrics)}}, nil)
				took = append(took, time.Since(began).Seconds())
				if err == nil {
					err = json.Unmarshal(s.web.body.Bytes(), &v)
				}
				if err != nil {
					return nil, err
				}
				if len(v.Runs) != page {
					return nil, fmt.Errorf("%s found %d runs; want %d", s.name, len(v.Runs), page)
				}
			}
			return took, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// longRun logs a million points to one run while versions are promoted, and then reads them.
func (b *bench) longRun(t trackers) error {
	points := b.size(1_000_000, 50_000)
	for _, s := range t.all() {
		var err error
		if s.long, err = s.makeRun(s.web, s.runs, 1); err != nil {
			return err
		}
		if err := s.makeModel(); err != nil {
			return err
		}
	}
	f := figure{name: fmt.Sprintf("promotion while a run logs %s points, p99", thousands(int64(points))), unit: seconds}
	took, err := t.ours.promoteWhile(points, 1)
	if err != nil {
		return err
	}
	f.ours = []float64{quantile(.99, took)}
	b.say("%d promotions meanwhile", len(took))
	if t.real != nil {
		// Of MLflow's a part of it: all would take it minutes.
		if took, err = t.real.promoteWhile(points/20, 1); err != nil {
			return err
		}
		f.peer, f.peerName = []float64{quantile(.99, took)}, t.real.tracker.name
		history, err := t.real.makeRun(t.real.web, t.real.runs, 1)
		if err != nil {
			return err
		}
		t.real.long = history
		if err := t.real.fill(map[string]any{"do": "history", "database": t.real.database, "run": history, "key": "loss", "count": points}); err != nil {
			return err
		}
	}
	alone, err := t.ours.promote(b.size(300, 50), nil)
	if err != nil {
		return err
	}
	b.add(f, figure{name: "promotion when nobody logs, p99", unit: seconds, ours: []float64{quantile(.99, alone)}})
	if err := b.one(t, fmt.Sprintf("%s points of a metric, a chart's sample", thousands(int64(points))), seconds, aim{}, func(s *tracker) (float64, error) {
		began := time.Now()
		err := s.web.get(s.base + "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?max_results=320&metric_key=loss&run_ids=" + s.long)
		return time.Since(began).Seconds(), err
	}); err != nil {
		return err
	}
	return b.one(t, "… all of them, in pages of 25,000", seconds, aim{}, func(s *tracker) (float64, error) {
		began, n := time.Now(), 0
		for token := ""; ; {
			var v struct {
				Metrics []struct{} `json:"metrics"`
				Next    string     `json:"next_page_token"`
			}
			if err := s.call(s.web, "GET", "mlflow/metrics/get-history?max_results=25000&metric_key=loss&run_id="+s.long+"&page_token="+url.QueryEscape(token), nil, &v); err != nil {
				return 0, err
			}
			if n += len(v.Metrics); v.Next == "" {
				break
			}
			token = v.Next
		}
		if n != points {
			return 0, fmt.Errorf("%s has %d of %d points", s.name, n, points)
		}
		return time.Since(began).Seconds(), nil
	})
}

func (t *tracker) makeModel() error {
	if err := t.post(t.web, "registered-models/create", map[string]any{"name": "bench"}); err != nil {
		return err
	}
	for range 2 {
		if err := t.post(t.web, "model-versions/create", map[string]any{"name": "bench", "source": "s3://bucket/model"}); err != nil {
			return err
		}
	}
	return nil
}

// promote moves the two versions to Staging in turns, n times, or until it is to stop.
func (t *tracker) promote(n int, stop *atomic.Bool) (took []float64, err error) {
	web := newPatientClient()
	for i := 0; (n == 0 || i < n) && (stop == nil || !stop.Load()); i++ {
		began := time.Now()
		err := t.post(web, "model-versions/transition-stage", map[string]any{"name": "bench", "version": strconv.Itoa(1 + i%2), "stage": "Staging", "archive_existing_versions": true})
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began).Seconds())
	}
	return took, nil
}

// promoteWhile promotes while so many points are logged, by as many clients.
func (t *tracker) promoteWhile(points, clients int) ([]float64, error) {
	const each = 1000
	var stop atomic.Bool
	logged := make(chan error, 1)
	var at atomic.Int64
	go func() {
		_, err := concurrently(clients, points/each/clients, func(web *client) (func(int) error, error) {
			return func(int) error {
				from := int(at.Add(each) - each)
				metrics := make([]map[string]any, each)
				for k := range metrics {
					metrics[k] = map[string]any{"key": "loss", "value": float64((from + k) % 1000), "timestamp": from + k + 1, "step": from + k}
				}
				return t.post(web, "runs/log-batch", map[string]any{"run_id": t.long, "metrics": metrics})
			}, nil
		})
		stop.Store(true)
		logged <- err
	}()
	took, err := t.promote(0, &stop)
	return took, errors.Join(err, <-logged)
}

// manyFiles lists a folder of many files.
func (b *bench) manyFiles(t trackers) (err error) {
	n := b.size(10_000, 400)
	for _, s := range t.all() {
		if s.files, err = s.makeRun(s.web, s.runs, 1); err != nil {
			return err
		}
	}
	b.say("giving a run %s files", thousands(int64(n)))
	const clients = 8
	var next atomic.Int64
	rate, err := concurrently(clients, n/clients, func(web *client) (func(int) error, error) {
		return func(int) error {
			i := next.Add(1) - 1
			return web.do("PUT", fmt.Sprintf("%s/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/f%05d.txt", t.ours.base, t.ours.runs, t.ours.files, i), []byte(strconv.Itoa(int(i))))
		}, nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: fmt.Sprintf("files of a run, up to %s of them, %d clients", thousands(int64(n)), clients), unit: perSecond, ours: []float64{rate}})
	if t.real != nil {
		if err := t.real.fill(map[string]any{"do": "files", "folder": filepath.Join(t.real.artifacts, t.real.runs, t.real.files, "artifacts"), "count": n}); err != nil {
			return err
		}
	}
	return b.one(t, fmt.Sprintf("list of %s artifacts", thousands(int64(n))), seconds, aim{}, func(s *tracker) (float64, error) {
		began := time.Now()
		if err := s.web.get(s.base + "/api/2.0/mlflow/artifacts/list?run_id=" + s.files); err != nil {
			return 0, err
		}
		took := time.Since(began).Seconds()
		if got := strings.Count(s.web.body.String(), `"path"`); got != n {
			return 0, fmt.Errorf("%s lists %d of %d files", s.name, got, n)
		}
		return took, nil
	})
}
