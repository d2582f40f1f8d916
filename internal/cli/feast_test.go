package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFeast: Feast's commands, under its names: the same lists, and what an apply has changed.
func TestFeast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	on := func(args ...string) string { return ok(t, append(args, "--dir", dir)...) }
	contains(t, "simulate", on("simulate", "--users", "3", "--movies", "2", "--events", "9"), "9 interactions added", "3 people described")
	contains(t, "the first apply", on("feast", "apply"), "created entity user: user_id", "created feature view user_features", "created feature service movie_card")
	contains(t, "apply", on("feast", "apply"), "no changes")
	file := filepath.Join(t.TempDir(), "definitions.yaml")
	text := on("features", "definitions")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "k: 3", "k: 4", 1)), 0o600); err != nil || !strings.Contains(text, "k: 3") {
		t.Fatal("the definitions have no k: 3", err)
	}
	contains(t, "apply FILE", on("feast", "apply", file), "updated feature view user_features\n  updated feature genres_preferred: string_list top_genres k=4")
	contains(t, "apply again", on("feast", "apply"), "  updated feature genres_preferred: string_list top_genres k=3", "was string_list top_genres k=4")
	for _, noun := range []string{"feature-views", "entities", "feature-services"} {
		if got, want := on("feast", noun, "list"), on(noun, "list"); got != want || got == "" {
			t.Errorf("feast %s list:\n%s\n%s list:\n%s", noun, got, noun, want)
		}
	}
	contains(t, "feature views", on("feast", "feature-views", "list"), "user_features", "movie_features")
	if r := command("feast", "apply", filepath.Join(dir, "none"), "--dir", dir); r.code == 0 || !strings.Contains(r.err, "none") {
		t.Errorf("a file that is not there: %+v", r)
	}
	if err := os.WriteFile(file, []byte("feature_views: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command("feast", "apply", file, "--dir", dir); r.code == 0 || !strings.Contains(r.err, "entities") {
		t.Errorf("a file that is wrong: %+v", r)
	}
	contains(t, "the age", on("features", "get", "user", "1", "--features", "age"), "age")
}

// TestFeastInit: the repository that is written is that of deploy/feast, into a folder that has nothing in it.
func TestFeastInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "films")
	contains(t, "feast init", ok(t, "feast", "init", dir, "--dir", t.TempDir()), "feature_store.yaml", "feast apply")
	written, err := os.ReadDir(dir)
	if err != nil || len(written) < 5 {
		t.Fatalf("%d files, %v", len(written), err)
	}
	for _, f := range written {
		got, err := os.ReadFile(filepath.Join(dir, f.Name()))
		want, err2 := os.ReadFile(filepath.Join("../../deploy/feast", f.Name()))
		if err != nil || err2 != nil || string(got) != string(want) {
			t.Errorf("%s is another than that of deploy/feast: %v, %v", f.Name(), err, err2)
		}
	}
	if r := command("feast", "init", dir, "--dir", t.TempDir()); r.code == 0 || !strings.Contains(r.err, "is not empty") {
		t.Errorf("a folder that is not empty: %d %s", r.code, r.err)
	}
}
