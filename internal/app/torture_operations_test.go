package app_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// operation is one that a client does to one of its things, or that makes one. act returns what the thing has by it;
// nil where there was nothing to do.
type operation struct {
	kind  string // of the thing
	makes bool
	fits  func(x *thing) bool
	act   func(k *tracker, x *thing) (map[string]string, error)
}

func active(x *thing) bool  { return x.has["stage"] == "active" }
func deleted(x *thing) bool { return x.has["stage"] == "deleted" }
func there(x *thing) bool   { return x.has["is"] == "there" }

// without is a change that leaves nothing of a thing.
func without(x *thing) map[string]string {
	gone := map[string]string{}
	for key := range x.has {
		gone[key] = ""
	}
	return gone
}

// versionsOf are the versions that a model has, oldest first.
func versionsOf(x *thing) (all []int) {
	for key, stage := range x.has {
		if n, err := strconv.Atoi(strings.TrimPrefix(key, "version ")); err == nil && stage != "" {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// nextVersion is the number of the next one. Those of deleted versions are not given again.
func nextVersion(x *thing) int {
	last := 0
	for key := range x.has {
		if n, err := strconv.Atoi(strings.TrimPrefix(key, "version ")); err == nil {
			last = max(last, n)
		}
	}
	return last + 1
}

func hasVersions(x *thing) bool { return there(x) && len(versionsOf(x)) > 0 }

// names of new things are a client's own.
func (k *tracker) fresh(kind string) string { return fmt.Sprintf("%s-%s-%d", kind, k.name, k.made) }

// change is an operation of one request.
func change(method, path string, of func(k *tracker, x *thing) (body any, does map[string]string)) func(k *tracker, x *thing) (map[string]string, error) {
	return func(k *tracker, x *thing) (map[string]string, error) {
		body, does := of(k, x)
		_, err := k.mlflow(method, strings.ReplaceAll(path, "{id}", x.id), body)
		return does, err
	}
}

// note is a change of one field of a thing.
func note(method, path, id, prefix, key string) func(k *tracker, x *thing) (map[string]string, error) {
	return change(method, path, func(_ *tracker, x *thing) (any, map[string]string) {
		at, v := fmt.Sprint("k", x.n%5), fmt.Sprint("v", x.n)
		return object{id: x.id, key: at, "value": v}, map[string]string{prefix + at: v}
	})
}

// mark is a change of a thing's stage.
func mark(path, id, stage string) func(k *tracker, x *thing) (map[string]string, error) {
	return change("POST", path, func(_ *tracker, x *thing) (any, map[string]string) {
		return object{id: x.id}, map[string]string{"stage": stage}
	})
}

func fileOf(x *thing) string { return fmt.Sprintf("f%d.txt", x.n%3) }

func filesAt(k *tracker, x *thing) string {
	return k.at + "/api/2.0/mlflow-artifacts/artifacts/0/" + x.id + "/artifacts/" + fileOf(x)
}

var operations = map[string]operation{
	"create experiment": {kind: "experiment", makes: true, act: func(k *tracker, _ *thing) (map[string]string, error) {
		name := k.fresh("experiment")
		v, err := k.mlflow("POST", "experiments/create", object{"name": name, "tags": []object{{"key": "a", "value": "1"}}})
		if err != nil {
			return nil, err
		}
		return k.add("experiment", word(v, "experiment_id"), map[string]string{"name": name, "stage": "active", "tag a": "1"})
	}},
	"rename experiment": {kind: "experiment", fits: active, act: change("POST", "experiments/update", func(k *tracker, x *thing) (any, map[string]string) {
		name := k.fresh("renamed")
		return object{"experiment_id": x.id, "new_name": name}, map[string]string{"name": name}
	})},
	"delete experiment":  {kind: "experiment", fits: active, act: mark("experiments/delete", "experiment_id", "deleted")},
	"restore experiment": {kind: "experiment", fits: deleted, act: mark("experiments/restore", "experiment_id", "active")},
	"tag experiment":     {kind: "experiment", fits: active, act: note("POST", "experiments/set-experiment-tag", "experiment_id", "tag ", "key")},

	"create run": {kind: "run", makes: true, act: func(k *tracker, _ *thing) (map[string]string, error) {
		name := k.fresh("run")
		v, err := k.mlflow("POST", "runs/create", object{"experiment_id": "0", "run_name": name, "tags": []object{{"key": "a", "value": "1"}}})
		if err != nil {
			return nil, err
		}
		return k.add("run", word(v, "run", "info", "run_id"), map[string]string{"name": name, "stage": "active", "status": "RUNNING", "tag a": "1"})
	}},
	"log batch": {kind: "run", fits: active, act: change("POST", "runs/log-batch", func(_ *tracker, x *thing) (any, map[string]string) {
		n := strconv.Itoa(x.n)
		return object{"run_id": x.id, "metrics": []object{{"key": "b", "value": x.n, "timestamp": x.n, "step": x.n}, {"key": "c", "value": -x.n, "timestamp": x.n, "step": x.n}},
				"params": []object{{"key": "p" + n, "value": n}}, "tags": []object{{"key": "t", "value": n}}},
			map[string]string{"metric b": n, "metric c": "-" + n, "param p" + n: n, "tag t": n}
	})},
	"log metric": {kind: "run", fits: active, act: change("POST", "runs/log-metric", func(_ *tracker, x *thing) (any, map[string]string) {
		return object{"run_id": x.id, "key": "m", "value": x.n, "timestamp": x.n, "step": x.n}, map[string]string{"metric m": strconv.Itoa(x.n)}
	})},
	"log param": {kind: "run", fits: active, act: change("POST", "runs/log-parameter", func(_ *tracker, x *thing) (any, map[string]string) {
		n := strconv.Itoa(x.n)
		return object{"run_id": x.id, "key": "q" + n, "value": n}, map[string]string{"param q" + n: n}
	})},
	"set tag": {kind: "run", fits: active, act: note("POST", "runs/set-tag", "run_id", "tag ", "key")},
	"log inputs": {kind: "run", fits: active, act: change("POST", "runs/log-inputs", func(_ *tracker, x *thing) (any, map[string]string) {
		n := strconv.Itoa(x.n)
		return object{"run_id": x.id, "datasets": []object{{"dataset": object{"name": "d" + n, "digest": n, "source_type": "x", "source": "{}"}}}}, map[string]string{"input d" + n: n}
	})},
	"log outputs": {kind: "run", fits: active, act: change("POST", "runs/outputs", func(k *tracker, x *thing) (any, map[string]string) {
		id := fmt.Sprintf("m-%s%026x", x.id[:6], x.n)
		return object{"run_id": x.id, "models": []object{{"model_id": id, "step": x.n}}}, map[string]string{"output " + id: strconv.Itoa(x.n)}
	})},
	"update run": {kind: "run", fits: active, act: change("POST", "runs/update", func(k *tracker, x *thing) (any, map[string]string) {
		status := []string{"FINISHED", "FAILED", "KILLED"}[x.n%3]
		return object{"run_id": x.id, "status": status, "end_time": 1_700_000_000_000 + x.n}, map[string]string{"status": status}
	})},
	"rename run": {kind: "run", fits: active, act: change("POST", "runs/update", func(k *tracker, x *thing) (any, map[string]string) {
		name := k.fresh("renamed")
		return object{"run_id": x.id, "run_name": name}, map[string]string{"name": name}
	})},
	"upload file": {kind: "run", fits: active, act: func(k *tracker, x *thing) (map[string]string, error) {
		body := []byte(strings.Repeat("x", 1+x.n%1000))
		_, err := k.ask("PUT", filesAt(k, x), body)
		return map[string]string{"file " + fileOf(x): strconv.Itoa(len(body))}, err
	}},
	"delete file": {kind: "run", fits: func(x *thing) bool { return active(x) && x.has["file f0.txt"] != "" }, act: func(k *tracker, x *thing) (map[string]string, error) {
		x.n += (3 - x.n%3) % 3
		_, err := k.ask("DELETE", filesAt(k, x), nil)
		return map[string]string{"file f0.txt": ""}, err
	}},
	"delete run":  {kind: "run", fits: active, act: mark("runs/delete", "run_id", "deleted")},
	"restore run": {kind: "run", fits: deleted, act: mark("runs/restore", "run_id", "active")},
	"gc": {kind: "run", fits: deleted, act: func(k *tracker, x *thing) (map[string]string, error) {
		_, err := k.ask("POST", k.main+"/api/v1/ops/gc", object{"run_ids": []string{x.id}})
		return without(x), err
	}},

	"create model": {kind: "model", makes: true, act: func(k *tracker, _ *thing) (map[string]string, error) {
		name := k.fresh("model")
		if _, err := k.mlflow("POST", "registered-models/create", object{"name": name, "tags": []object{{"key": "a", "value": "1"}}}); err != nil {
			return nil, err
		}
		return k.add("model", name, map[string]string{"is": "there", "tag a": "1"})
	}},
	"create version": {kind: "model", fits: there, act: func(k *tracker, x *thing) (map[string]string, error) {
		n := strconv.Itoa(nextVersion(x))
		_, err := k.mlflow("POST", "model-versions/create", object{"name": x.id, "source": "s3://bucket/" + n, "tags": []object{{"key": "a", "value": "1"}}})
		return map[string]string{"version " + n: "None", "version tag " + n + " a": "1"}, err
	}},
	"transition version": {kind: "model", fits: hasVersions, act: change("POST", "model-versions/transition-stage", func(_ *tracker, x *thing) (any, map[string]string) {
		all := versionsOf(x)
		n, does := all[x.n%len(all)], map[string]string{}
		for _, other := range all {
			if key := fmt.Sprint("version ", other); x.has[key] == "Production" {
				does[key] = "Archived"
			}
		}
		does[fmt.Sprint("version ", n)] = "Production"
		return object{"name": x.id, "version": strconv.Itoa(n), "stage": "Production", "archive_existing_versions": true}, does
	})},
	"set alias": {kind: "model", fits: hasVersions, act: change("POST", "registered-models/alias", func(_ *tracker, x *thing) (any, map[string]string) {
		all := versionsOf(x)
		n := strconv.Itoa(all[x.n%len(all)])
		return object{"name": x.id, "alias": "best", "version": n}, map[string]string{"alias best": n}
	})},
	"delete alias": {kind: "model", fits: func(x *thing) bool { return there(x) && x.has["alias best"] != "" }, act: change("DELETE", "registered-models/alias", func(_ *tracker, x *thing) (any, map[string]string) {
		return object{"name": x.id, "alias": "best"}, map[string]string{"alias best": ""}
	})},
	"tag model": {kind: "model", fits: there, act: note("POST", "registered-models/set-tag", "name", "tag ", "key")},
	"describe model": {kind: "model", fits: there, act: change("PATCH", "registered-models/update", func(_ *tracker, x *thing) (any, map[string]string) {
		text := fmt.Sprint("said ", x.n)
		return object{"name": x.id, "description": text}, map[string]string{"text": text}
	})},
	"tag version": {kind: "model", fits: hasVersions, act: change("POST", "model-versions/set-tag", func(_ *tracker, x *thing) (any, map[string]string) {
		n, v := strconv.Itoa(versionsOf(x)[0]), fmt.Sprint("v", x.n)
		return object{"name": x.id, "version": n, "key": "k", "value": v}, map[string]string{"version tag " + n + " k": v}
	})},
	"delete version": {kind: "model", fits: func(x *thing) bool { return there(x) && len(versionsOf(x)) > 1 }, act: change("DELETE", "model-versions/delete", func(_ *tracker, x *thing) (any, map[string]string) {
		n := strconv.Itoa(versionsOf(x)[0])
		does := map[string]string{"version " + n: ""}
		for key := range x.has {
			if strings.HasPrefix(key, "version tag "+n+" ") {
				does[key] = ""
			}
		}
		if x.has["alias best"] == n {
			does["alias best"] = ""
		}
		return object{"name": x.id, "version": n}, does
	})},
	"delete model": {kind: "model", fits: func(x *thing) bool { return there(x) && x.n > 8 }, act: change("DELETE", "registered-models/delete", func(_ *tracker, x *thing) (any, map[string]string) {
		return object{"name": x.id}, without(x)
	})},

	"create webhook": {kind: "webhook", makes: true, act: func(k *tracker, _ *thing) (map[string]string, error) {
		name := k.fresh("hook")
		v, err := k.mlflow("POST", "webhooks", object{"name": name, "url": "https://192.0.2.1.invalid/x", "events": []object{{"entity": "PROMPT", "action": "CREATED"}}})
		if err != nil {
			return nil, err
		}
		return k.add("webhook", word(v, "webhook", "webhook_id"), map[string]string{"name": name, "status": "ACTIVE"})
	}},
	"change webhook": {kind: "webhook", fits: func(x *thing) bool { return x.has["name"] != "" }, act: change("PATCH", "webhooks/{id}", func(k *tracker, x *thing) (any, map[string]string) {
		does := map[string]string{"name": k.fresh("changed"), "status": []string{"ACTIVE", "DISABLED"}[x.n%2]}
		return does, does
	})},
	"delete webhook": {kind: "webhook", fits: func(x *thing) bool { return x.has["name"] != "" && x.n > 2 }, act: func(k *tracker, x *thing) (map[string]string, error) {
		_, err := k.mlflow("DELETE", "webhooks/"+x.id, nil)
		return without(x), err
	}},
}
