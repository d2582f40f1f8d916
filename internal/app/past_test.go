package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
)

// TestPastAcrossAStart: what a killed process had folded of the past is gone at the next start and harms nothing, the past
// is the same then, and a clean end leaves nothing of it.
func TestPastAcrossAStart(t *testing.T) {
	dir := t.TempDir()
	past := filepath.Join(dir, "scratch", "past")
	a := openAt(t, dir)
	for _, name := range []string{"one", "two"} {
		if _, err := a.Dispatcher.Dispatch(t.Context(), &commands.CreateExperiment{Name: name}, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() string {
		t.Helper()
		got := apitest.Ask(a.Servers["tracking"], "GET", "/at/mlops-events/0@0/api/2.0/mlflow/experiments/search?max_results=5", "")
		if got.Code != 200 {
			t.Fatalf("%d %s", got.Code, got.Text)
		}
		return got.Text
	}
	want := ask()
	kept, err := os.ReadDir(past)
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %v: %v", kept, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadDir(past); err != nil || len(after) > 0 {
		t.Errorf("after a clean end there are %v: %v", after, err)
	}
	left := filepath.Join(past, kept[0].Name(), "views") // as if the process had been killed
	if err := errors.Join(os.MkdirAll(left, 0o700), os.WriteFile(filepath.Join(left, "CURRENT"), []byte("MANIFEST-000001\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	a = openAt(t, dir)
	if _, err := os.Stat(filepath.Join(past, kept[0].Name())); !os.IsNotExist(err) {
		t.Errorf("what was left behind is still there: %v", err)
	}
	if got := ask(); got != want {
		t.Errorf("%s\nit was %s", got, want)
	}
}
