package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Training by hand, and weights that leave and come back, on a folder that nobody serves.
func TestTrain(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "--dir", dir, "simulate", "--users", "60", "--movies", "120", "--events", "12000")
	out := ok(t, "--dir", dir, "train", "neural_cf", "--num-users", "100", "--num-movies", "1000", "--epochs", "2")
	contains(t, "train neural_cf", out, "97,281", "rows are nobody's yet", "epoch 1/2  loss ", "validation loss ", "registered neural_cf version 1 ")
	contains(t, "train movie_predictor", ok(t, "--dir", dir, "train", "movie_predictor", "--epochs", "3"), "training ratings ", "validation ratings ", "epoch 3/3  loss ",
		"rmse ", "registered movie_predictor version 1 ")
	contains(t, "train with patience", ok(t, "--dir", dir, "train", "neural_cf", "--epochs", "400", "--param", "neural_cf.patience=1", "--lr", ".05"), "/400  loss ", "ended after epoch ", " of 400: the validation loss had stopped falling")
	var done struct {
		Model   string
		Version int
	}
	if err := json.Unmarshal([]byte(ok(t, "--dir", dir, "--json", "train", "--algorithm", "popularity", "--param", "popularity.half_life_days=30")), &done); err != nil || done.Model != "popularity" {
		t.Error(done, err)
	}
	ok(t, "--dir", dir, "models", "export", "neural_cf", "1", "out.safetensors")
	if b, err := os.ReadFile("out.safetensors"); err != nil || len(b) < 4*97_281 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	ok(t, "--dir", dir, "models", "export", "neural_cf", "1", "--format", "onnx")
	ok(t, "--dir", dir, "models", "export", "neural_cf", "1", "named.onnx")
	ok(t, "--dir", dir, "models", "export", "movie_predictor", "1", "baseline.onnx")
	if a, err := os.ReadFile("neural_cf-1.onnx"); err != nil || len(a) < 4*97_281 || !strings.Contains(string(a[:200]), "Gather") {
		t.Errorf("%d bytes, %v", len(a), err)
	} else if b, err := os.ReadFile("named.onnx"); err != nil || string(a) != string(b) {
		t.Errorf("another file by its name: %v", err)
	}
	t.Setenv(envFiles, "for-people")
	contains(t, "files", ok(t, "--dir", dir, "train", "popularity"), filepath.Join("for-people", "models", "trained", "popularity-2.safetensors"))
	for _, at := range []string{filepath.Join(dir, "models/trained/neural_cf-1.safetensors"), "for-people/models/trained/popularity-2.safetensors"} {
		if info, err := os.Stat(at); err != nil || info.Size() == 0 {
			t.Error(at, info, err)
		}
	}
	contains(t, "import", ok(t, "--dir", dir, "models", "import", "other", "out.safetensors"), "parameters 97,281", "registered other version 1 ")
	ok(t, "--dir", dir, "models", "export", "other", "1", "again.safetensors")
	if err := os.WriteFile("half.safetensors", []byte(strings.Repeat("\x00", 7)), 0o600); err != nil {
		t.Fatal(err)
	}
	records := regexp.MustCompile(`mlops-events\s+\S+`).FindString(ok(t, "--dir", dir, "log", "topics"))
	for _, bad := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"train"}, exitUsage, "say what to train"},
		{[]string{"train", "als", "--algorithm", "popularity"}, exitUsage, "--algorithm"},
		{[]string{"train", "als", "--param", "x"}, exitUsage, "NAME=VALUE"},
		{[]string{"train", "als", "--param", "als.dim=8", "--param", "als.dim=9"}, exitUsage, "als.dim is given twice, as 8 and 9"},
		{[]string{"train", "neural_cf", "--epochs", "1", "--param", "neural_cf.epochs=2"}, exitUsage, "neural_cf.epochs is given twice"},
		{[]string{"train", "nope"}, exitFailed, "one of als, popularity, neural_cf, "},
		{[]string{"train", "neural_cf", "--lr", "0"}, exitFailed, "neural_cf.learning_rate"},
		{[]string{"train", "als", "--num-users", "3"}, exitFailed, "als.users"},
		{[]string{"models", "export", "neural_cf", "9", "x.safetensors"}, exitFailed, "no version 9"},
		{[]string{"models", "export", "neural_cf", "1", "out.safetensors"}, exitFailed, "exists"},
		{[]string{"models", "export", "neural_cf", "1", "x", "--format", "pickle"}, exitFailed, "format"},
		{[]string{"models", "export", "popularity", "1", "x.onnx"}, exitFailed, "popularity is no graph of ONNX; those of neural_cf, "},
		{[]string{"models", "import", "other", "nowhere.safetensors"}, exitFailed, "no such file"},
		{[]string{"models", "import", "other", "half.safetensors"}, exitFailed, "no safetensors file"},
		{[]string{"models", "import", "a:b", "out.safetensors"}, exitFailed, "colon"},
		{[]string{"models", "import", "", "out.safetensors"}, exitFailed, "empty"},
		{[]string{"models", "import", "other", "."}, exitFailed, "is a folder"},
		{[]string{"features", "apply", "."}, exitFailed, "is a folder"},
	} {
		r := command(append([]string{"--dir", dir}, bad.args...)...)
		if r.code != bad.code || !strings.Contains(r.err, bad.says) {
			t.Errorf("%v: exit code %d, %s; want %d, %q", bad.args, r.code, r.err, bad.code, bad.says)
		}
	}
	if now := regexp.MustCompile(`mlops-events\s+\S+`).FindString(ok(t, "--dir", dir, "log", "topics")); now != records || now == "" {
		t.Errorf("the log has %q, before what was refused %q", now, records)
	}
	contains(t, "verify", ok(t, "--dir", dir, "verify"), "views equal")
}
