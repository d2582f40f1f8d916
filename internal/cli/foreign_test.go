package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// foreign appends to the ledger of a folder what another program writes there, and gives where.
func foreign(t *testing.T, a *app.App, id, stream, eventType, data string) string {
	t.Helper()
	ev, err := events.ReadForeign(json.RawMessage(fmt.Sprintf(
		`{"specversion":"1.0","id":"%s","source":"/other","type":"%s","subject":"%s","time":"2024-05-06T07:00:00Z","schemaversion":1,"data":%s}`, id, eventType, stream, data)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Log.Ledger().Append(t.Context(), streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: []events.Event{ev}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Position.String()
}

// within opens a folder without serving it.
func within(t *testing.T, dir string, do func(*app.App)) {
	t.Helper()
	a, err := app.Open(context.Background(), app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	do(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// Commits that this release cannot read are in the ledger: every command answers, from what was folded before them, or
// says which record it cannot get past; so does a server, with views and without; and all goes on once everyone was told to
// pass over them.
func TestForeignCommits(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	s.end(t)
	var bad, worse string
	within(t, dir, func(a *app.App) {
		bad = foreign(t, a, "f0", "model/als", "trial.begun", `{"n":1}`)
		worse = foreign(t, a, "f1", "model/knn", "model.registered", `[1,2,3]`)
	})
	on := func(args ...string) result { t.Helper(); return command(append(args, "--dir", dir)...) }
	said := func(what string, parts ...string) {
		t.Helper()
		r := on(strings.Fields(what)...)
		if r.code != 0 {
			t.Errorf("%s: exit code %d: %s", what, r.code, r.err)
		}
		contains(t, what, r.out, parts...)
	}
	refused := func(what string, parts ...string) {
		t.Helper()
		r := on(strings.Fields(what)...)
		if r.code == 0 {
			t.Errorf("%s: %s", what, r.out)
		}
		contains(t, what, r.out+r.err, parts...)
	}
	halts := []string{"trial.begun (f0) at " + bad, "registry", "audit", `unknown event type "trial.begun"`}
	check := func() {
		t.Helper()
		refused("status", append(halts, "NOT READY", "histories")...)
		said("views", "halted at "+bad)
		said("verify", allEqual)
		said("recommend --user 7 -k 3", "model als version 1")
		said("models show als", "als")
		said("models rebuild als 1", "equal: true")
		said("log tail mlops-events -n 6", "trial.begun", `UNREADABLE: "unknown event type`, `{"n":1}`)
		said("log show model/als", "model.deployed", `UNREADABLE: "unknown event type`)
		said("log show model/knn", "[1,2,3]")
		said("audit -n 3")
		refused("replay --view registry", bad, "trial.begun")
		refused("models deploy als 1 --slot canary", "trial.begun at "+bad+", of stream model/als", "views skip --all "+bad)
		said("workflows run movie_training_pipeline")
		refused("workflows run movie_training_pipeline --follow", "halted at "+bad)
		said("feedback 7 1 --rating 4", "recorded at user-events/")
		refused("import "+movielens(t), "halted at "+bad)
	}
	check()

	// A server says so, and serves what was folded; also when it has to fold all anew.
	for _, views := range []bool{true, false} {
		if !views {
			if err := os.RemoveAll(fold.StoreDir(dir)); err != nil {
				t.Fatal(err)
			}
		}
		args, last := []string{"--dir", dir}, "skip --all "
		if views {
			args, last = append(args, "--data", movielens(t)), "NOT IMPORTED: "
		}
		s := serve(t, args...)
		contains(t, "serve", s.until(t, last), "HALTED: all views of the ledger, at "+bad, "skip --all "+bad)
		check()
		s.end(t)
	}

	// A copy of the log has them where they were.
	within(t, dir, func(a *app.App) {
		to := filepath.Join(t.TempDir(), "backup")
		if _, err := a.Backup(t.Context(), to, func(string, int64, int64) {}); err != nil {
			t.Error(err)
		}
		if removed, _, err := a.Sweep(t.Context()); err != nil {
			t.Errorf("swept %d, %v", removed, err)
		}
	})
	copied := filepath.Join(t.TempDir(), "copy")
	ok(t, "log", "copy", "--from", dir, "--to", copied, "--no-views")
	contains(t, "the copy", command("log", "show", "model/knn", "--dir", copied).out, "[1,2,3]")
	if r := command("log", "copy", "--from", dir, "--to", filepath.Join(t.TempDir(), "other")); r.code == 0 || !strings.Contains(r.err, bad) {
		t.Errorf("a copy whose views are compared: %+v", r)
	}

	s = serve(t, "--dir", dir)
	s.until(t, "skip --all ")
	refused("views skip --all user-events/0@0 --reason test", "quarantine")
	refused("views skip --all mlops-events/0@0 --reason test", "can be read")
	refused("views skip --all mlops-events/0@999999 --reason test", "no commit")
	said("views skip --all "+bad+" --reason test", "view.event_skipped in view/*")
	said("models deploy als 1 --slot canary", "model.deployed")
	said("views skip --all "+bad+" "+worse+" --reason test", "unchanged", "view.event_skipped in view/*, revision 1")
	s.until(t, "ready: ")
	said("status", "ready")
	said("verify", allEqual)
	said("replay --view registry", "rebuilt and in place")
	said("workflows run movie_training_pipeline --follow", ": success")
	said("audit -n 500", "all who cannot read it pass over "+bad)
	s.end(t)
	if err := os.RemoveAll(fold.StoreDir(dir)); err != nil {
		t.Fatal(err)
	}
	said("status", "ready")
	said("verify", allEqual)
	within(t, dir, func(a *app.App) { // what stands behind them cannot be read either
		third := foreign(t, a, "f2", "trial/1", "trial.ended", `7`)
		if err := a.Define(t.Context()); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), third) {
			t.Errorf("definitions behind it: %v", err)
		}
	})
	refused("status", "trial.ended (f2)")
}

// movielens is a small data set.
func movielens(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"movies.csv": "movieId,title,genres\n1,Heat (1995),Crime\n", "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
