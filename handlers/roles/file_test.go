package roles_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/ml"
)

// Files for people are where the configuration says, and none of them in the data folder then.
func TestFiles(t *testing.T) {
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.Files = filepath.Join(t.TempDir(), "root")
	server := tmdbOf(t, `{"id":601,"title":"One"}`, map[string]string{"601": `{"id":601,"title":"One","release_date":"1999-03-30"}`})
	own.TMDB = tmdb.Config{Key: "k", BaseURL: server.URL}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	training := b.waitEnded(b.importWorld(2000))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.DataCollection, RunType: "manual"})
	collection := b.waitEnded("r1")
	if training.State != "success" || collection.State != "success" {
		t.Fatal(training.Reason, collection.Reason)
	}
	said := training.TaskOf("register_model_to_mlflow").Output
	for _, path := range []string{collection.TaskOf(taskFetch).Output["raw"], collection.TaskOf(taskProcess).Output["path"], said["file"], said["movie_predictor.file"]} {
		if info, err := os.Stat(filepath.Join(own.Files, path)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", path, info, err)
		}
	}
	if said["folder"] != own.Files || said["file"] != "models/trained/als-1.safetensors" {
		t.Errorf("%v", said)
	}
	for _, name := range []string{"data", "models"} {
		if _, err := os.Stat(filepath.Join(own.Dir, name)); err == nil {
			t.Errorf("the data folder has %s too", name)
		}
	}
	// The file is the registered weights.
	raw, err := os.ReadFile(filepath.Join(own.Files, said["file"]))
	must(t, err)
	file, err := ml.DecodeSafetensors(raw)
	must(t, err)
	weights, err := b.blobs.Get(training.TaskOf(taskTrain).Output["blob"])
	must(t, err)
	a, err := ml.DecodeArtifact(weights)
	must(t, err)
	want, err := a.Safetensors()
	must(t, err)
	made, err := want.File()
	must(t, err)
	var encoded bytes.Buffer
	_, err = made.WriteTo(&encoded)
	must(t, err)
	if len(file.Tensors) == 0 || !bytes.Equal(raw, encoded.Bytes()) {
		t.Errorf("%d tensors; the file is not what was registered", len(file.Tensors))
	}
}

// A folder that nobody can write to holds no model up, and the task says why there is no file.
func TestFiles_Unwritable(t *testing.T) {
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.Files = filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(own.Files, nil, 0o600)) // no folder
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	run := b.waitEnded(b.importWorld(2000))
	out := run.TaskOf("register_model_to_mlflow").Output
	if run.State != "success" || out["version"] != "1" || !strings.Contains(out["no_file"], own.Files) || out["file"] != "" {
		t.Errorf("%s: %v", run.State, out)
	}
}

// The watch log is in order of time, then of people's names, and has each act once, however it came.
func TestWatchLog(t *testing.T) {
	const acts = 5000
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.TMDB = tmdb.Config{Key: "k", BaseURL: tmdbOf(t, "", nil).URL}
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "m1", Title: `A "quoted", one`, Year: 1999, Genres: []string{"Drama", "War"}}})
	old, later := "1970-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z"
	var want []string
	var facts []handlers.Identified
	add := func(i events.Interaction) {
		facts = append(facts, handlers.Identified{ID: fmt.Sprint(len(facts)), Fact: &commands.RecordInteraction{Interaction: i}})
	}
	for i := range acts {
		at := time.UnixMilli(int64(i+1) * 1000).UTC().Format(time.RFC3339)
		add(events.Interaction{UserID: fmt.Sprint("u", i), MovieID: "m2", Kind: "view", Timestamp: at})
		want = append(want, fmt.Sprintf("u%d|m2||||view|", i))
	}
	slices.Reverse(facts)
	add(events.Interaction{UserID: "2", MovieID: "m1", Kind: "rating", Rating: 4.5, Timestamp: later})
	add(events.Interaction{UserID: "10", MovieID: "m1", Kind: "like", Timestamp: later})
	add(events.Interaction{UserID: "1", MovieID: "m3", Kind: "like", Timestamp: later})
	add(events.Interaction{UserID: "2", MovieID: "m1", Kind: "rating", Rating: 0.5, Timestamp: old})
	want = append(append([]string{`2|m1|A "quoted", one|1999|Drama, War|rating|0.5`}, want...),
		"1|m3||||like|", `10|m1|A "quoted", one|1999|Drama, War|like|`, `2|m1|A "quoted", one|1999|Drama, War|rating|4.5`)
	for _, some := range [][]handlers.Identified{facts, facts[acts+1 : acts+2]} { // some of them twice
		_, err := b.outer.PublishMany(t.Context(), events.UserEventsTopic, some, handlers.Meta{})
		must(t, err)
	}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.DataCollection, RunType: "manual"})
	if run := b.waitEnded("r1"); run.State != "success" {
		t.Fatal(run.Reason)
	}
	f, err := os.Open(filepath.Join(own.Dir, "data/processed/watch_log.csv"))
	must(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	must(t, err)
	if len(rows) != len(want)+1 {
		t.Fatalf("%d rows; want %d", len(rows)-1, len(want))
	}
	for i, row := range rows[1:] {
		row[4] = strings.ReplaceAll(row[4], "|", ", ")
		if got := strings.Join(row[:7], "|"); got != want[i] {
			t.Fatalf("row %d is %q; want %q", i, got, want[i])
		}
	}
	if rows[1][7] != "1970-01-01T00:00:00.000Z" || rows[len(rows)-1][7] != "2024-01-01T00:00:00.500Z" {
		t.Errorf("from %s to %s", rows[1][7], rows[len(rows)-1][7])
	}
	if left, err := filepath.Glob(filepath.Join(own.Dir, "scratch", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
