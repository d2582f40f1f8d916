package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/api/mlflow"
)

// Where mlflow is installed, the machine's python3 says; what it says in vain leaves the program as it is.
func TestFindMLflowPages(t *testing.T) {
	dir := t.TempDir()
	installed, skinny := filepath.Join(dir, "site", "mlflow"), filepath.Join(dir, "skinny", "mlflow")
	pages := filepath.Join(installed, "server", "js", "build")
	for _, d := range []string{pages, skinny, filepath.Join(dir, "bin")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(pages, "index.html"), []byte(`<script src="static-files/x.js"></script>`), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin"))
	for _, c := range []struct {
		name, python string
		found        bool
	}{
		{"no python3", "", false},
		{"without mlflow", "#!/bin/sh\necho\n", false},
		{"that fails", "#!/bin/sh\necho " + installed + "\nexit 1\n", false},
		{"with mlflow-skinny", "#!/bin/sh\necho " + skinny + "\n", false},
		{"with mlflow", "#!/bin/sh\n[ \"$PWD\" = / ] && echo " + installed + "\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			python := filepath.Join(dir, "bin", "python3")
			if c.python != "" {
				if err := os.WriteFile(python, []byte(c.python), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			a := &App{mlflowPages: &mlflow.Pages{}, opts: Options{Logger: slog.New(slog.DiscardHandler)}}
			a.findMLflowPages(t.Context())
			if got := fmt.Sprint(a.mlflowPages.Dir() != ""); got != fmt.Sprint(c.found) {
				t.Errorf("found: %s", got)
			}
			if err := a.mlflowPages.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMLflowPagesRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Open(t.Context(), Options{Dir: dir, MLflowUI: t.TempDir()}); err == nil {
		t.Fatal("a folder without MLflow's pages is taken")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a data folder was made")
	}
}
