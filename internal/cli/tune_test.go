package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// A search on a folder that nobody serves: its trials are told, and the best is a version that can be made again.
func TestTune(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "--dir", dir, "simulate", "--users", "60", "--movies", "120", "--events", "6000")
	out := ok(t, "--dir", dir, "tune", "popularity", "--trials", "3")
	contains(t, "tune", out, "rung 1 of 1, on 100 % of the people", "trial   0  ndcg@10 0.", "popularity.half_life_days=90", "the best of 3 is trial ", "registered popularity version 1 ")
	contains(t, "tune what predicts", ok(t, "--dir", dir, "tune", "neural_cf", "--trials", "2", "--param", "neural_cf.epochs=1", "--parallel", "2"), "trial   1  rmse ", ", rmse ", "registered neural_cf version 1 ")
	var done struct {
		Model   string
		Version int
		Trials  int
		Score   float64
		Search  string `json:"search_run_id"`
	}
	if err := json.Unmarshal([]byte(ok(t, "--dir", dir, "--json", "tune", "popularity", "--trials", "3")), &done); err != nil || done.Version != 2 || done.Trials != 3 || !(done.Score > 0) {
		t.Error(done, err)
	}
	contains(t, "the search's run", ok(t, "--dir", dir, "runs", "show", done.Search), "tune popularity", "FINISHED", "search.trials", "best_trial")
	contains(t, "rebuild", ok(t, "--dir", dir, "models", "rebuild", "popularity", "2"), "equal: true")
	for _, bad := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"tune"}, exitUsage, "arg"},
		{[]string{"tune", "als", "--param", "x"}, exitUsage, "NAME=VALUE"},
		{[]string{"tune", "als", "--trials", "x"}, exitUsage, "trials"},
		{[]string{"tune", "nope"}, exitFailed, "want one of als"},
		{[]string{"tune", "movie_predictor"}, exitFailed, "want one of als"},
		{[]string{"tune", "als", "--trials", "1"}, exitFailed, "want 2 to 1000"},
		{[]string{"tune", "als", "--parallel", "1000"}, exitFailed, "want 1 to 64"},
		{[]string{"tune", "als", "--param", "als.dim=0"}, exitFailed, "als.dim"},
	} {
		r := command(append([]string{"--dir", dir}, bad.args...)...)
		if r.code != bad.code || !strings.Contains(r.err, bad.says) {
			t.Errorf("%v: exit code %d, %s; want %d, %q", bad.args, r.code, r.err, bad.code, bad.says)
		}
	}
}
