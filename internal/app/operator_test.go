package app_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestOperators: a workflow imports a data set, deploys a version that was kept back, and copies all into a backup that
// can be served; what cannot be is said at the first try.
func TestOperators(t *testing.T) {
	dir, data, backups := filepath.Join(t.TempDir(), "data"), t.TempDir(), t.TempDir()
	ratings(t, data, 3000)
	a := startedIn(t, app.Options{Dir: dir})
	if err := a.Define(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Reactors.Run(ctx) }()
	defer func() { stop(); <-ended }()
	do := func(c commands.Command) {
		t.Helper()
		if _, err := a.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "anna"}); err != nil {
			t.Fatal(err)
		}
	}
	define := func(source string) {
		t.Helper()
		d, err := workflow.Parse([]byte(source), roles.Operators())
		if err != nil {
			t.Fatal(err)
		}
		do(&commands.DefineWorkflow{Workflow: d.Name, Source: source, Hash: d.Hash()})
	}
	n := 0
	run := func(name string, conf map[string]string) projections.WorkflowRun {
		t.Helper()
		n++
		id := fmt.Sprint("run:", n)
		do(&commands.RequestWorkflowRun{RunID: id, Workflow: name, RunType: "manual", Conf: conf})
		var r projections.WorkflowRun
		until(t, "the end of "+id, func() bool {
			var err error
			var ok bool
			r, ok, err = fold.Of[*projections.Workflows](a.Views).Run(id)
			return err == nil && ok && r.Ended()
		})
		return r
	}
	define("name: fill\nparams: [{name: from}]\ntasks:\n  - {name: load, operator: import, with: {path: \"{{ params.from }}\"}}\n" +
		"  - {name: copy, operator: backup, needs: [load], with: {to: " + backups + "}}\n")
	first := run("fill", map[string]string{"from": data})
	if load := first.TaskOf("load"); first.State != "success" || load.Output["interactions_added"] != "3000" || load.Output["already_imported"] != "false" {
		t.Fatalf("%s %s: %+v", first.State, first.Reason, first.Tasks)
	}
	again := run("fill", map[string]string{"from": data})
	if load := again.TaskOf("load"); again.State != "success" || load.Output["already_imported"] != "true" || records(t, a.Log) != 3000 {
		t.Errorf("%s %s: %+v", again.State, again.Reason, load)
	}
	copied := first.TaskOf("copy").Output["folder"]
	if filepath.Dir(copied) != backups || copied == again.TaskOf("copy").Output["folder"] {
		t.Errorf("backups are in %q and %q", copied, again.TaskOf("copy").Output["folder"])
	}
	if got := records(t, startedIn(t, app.Options{Dir: copied}).Log); got != 3000 {
		t.Errorf("the backup has %d acts", got)
	}
	if r := run("fill", map[string]string{"from": "nowhere"}); r.State != "failed" || r.TaskOf("load").Try != 1 || !strings.Contains(r.Reason, "path: ") {
		t.Errorf("%s after %d tries: %s", r.State, r.TaskOf("load").Try, r.Reason)
	}

	trained := run(roles.TrainingPipeline, nil)
	made := trained.TaskOf("register_model_to_mlflow").Output
	if trained.State != "success" {
		t.Fatal(trained.Reason)
	}
	define("name: serve\nparams: [{name: version, default: latest}, {name: slot, default: trial}]\ntasks:\n" +
		"  - {name: put, operator: deploy, with: {model: " + made["model"] + ", version: \"{{ params.version }}\", slot: \"{{ params.slot }}\"}}\n")
	put := run("serve", nil)
	if put.State != "success" || put.TaskOf("put").Output["version"] != made["version"] {
		t.Fatalf("%s %s: %+v", put.State, put.Reason, put.Tasks)
	}
	settle(t, a)
	slot, ok, err := fold.Of[*projections.Deployments](a.Views).Slot("trial")
	if err != nil || !ok || fmt.Sprint(slot.Current.Version) != made["version"] || !strings.Contains(slot.Current.Reason, put.RunID) {
		t.Errorf("%+v %v %v", slot, ok, err)
	}
	if r := run("serve", map[string]string{"version": "77", "slot": events.ProductionSlot}); r.State != "failed" || r.TaskOf("put").Try != 1 {
		t.Errorf("%s after %d tries: %s", r.State, r.TaskOf("put").Try, r.Reason)
	}
	define("name: look\nparams: [{name: least, default: '500'}]\ntasks:\n  - {name: ready, operator: features}\n  - {name: file, operator: export, needs: [ready], with: {what: model, model: " + made["model"] + ", path: w.safetensors}}\n" +
		"  - {name: beside, operator: try, needs: [file], with: {model: " + made["model"] + ", people: 20}}\n  - {name: measure, operator: drift, needs: [beside], with: {least: \"{{ params.least }}\"}}\n")
	looked := run("look", nil)
	if looked.State != "success" {
		t.Fatalf("%s: %+v", looked.Reason, looked.Tasks)
	}
	if out := looked.TaskOf("ready").Output; out["cut"] == "" || out["features"] == "0" {
		t.Errorf("%v", out)
	}
	if out := looked.TaskOf("beside").Output; out["people"] != "20" || out["serving"] != made["model"]+"/"+made["version"] || out["overlap"] != "1" || out["same"] != "20" { // it is what serves
		t.Errorf("%v", out)
	}
	if out := looked.TaskOf("measure").Output; out["measured"] != "false" || out["model"] != made["model"] || out["acts"] != "0" {
		t.Errorf("%v", out)
	}
	if r := run(roles.TrainingPipeline, map[string]string{"algorithm": "popularity"}); r.State != "success" {
		t.Fatal(r.Reason)
	}
	define("name: swap\ntasks: [{name: put, operator: deploy, with: {model: popularity}}]\n")
	if r := run("swap", nil); r.State != "success" {
		t.Fatal(r.Reason)
	}
	swapped := run("look", nil)
	if out := swapped.TaskOf("beside").Output; out["serving"] != "popularity/1" || out["overlap"] == "1" || out["same"] == "20" || out["most_different"] == "" {
		t.Errorf("%v", out)
	}
	if r := run("serve", map[string]string{"version": "the best"}); r.State != "failed" || !strings.Contains(r.Reason, "latest") {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
}
