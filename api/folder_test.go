package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

func TestNewFolder(t *testing.T) {
	home := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	data := at("homes", "data")
	for _, dir := range []string{at("homes", "data", "log"), at("homes", "data", "views"), at("full", "x"), at("empty")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"link": data, "homes/data/out": at("empty"), "up": at("homes"), "nowhere": at("homes", "data", "later"), "round": at("round")} {
		if err := os.Symlink(to, at(filepath.FromSlash(from))); err != nil {
			t.Skipf("SKIPPED: no links here: %v", err)
		}
	}
	for path, says := range map[string]string{
		at("new"):                          "",
		at("new", "below"):                 "",
		at("empty"):                        "",
		at("homes", "data.copy"):           "",
		at("homes", "data", "out", "copy"): "", // leads out of it
		"relative":                         "not absolute",
		at("full"):                         "not empty",
		data:                               "is the data folder",
		data + "/":                         "is the data folder",
		at("homes", "data", "copy"):        "in it",
		at("homes", "data", "a", "b"):      "in it",
		at("homes", "data", "log"):         "in it",
		at("homes", "data", "views"):       "in it",
		at("homes", "x", "..", "data"):     "is the data folder",
		at("link"):                         "is the data folder",
		at("link", "copy"):                 "in it",
		at("up", "data", "copy"):           "in it",
		at("homes"):                        "holds the data folder",
		at("up"):                           "holds the data folder",
		home:                               "holds the data folder",
		at("nowhere"):                      "no such file",
		at("nowhere", "copy"):              "no such file",
		at("round", "copy"):                "",
	} {
		err := api.NewFolder("to", path, data)
		switch {
		case strings.HasPrefix(path, at("round")):
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", path, err)
			}
		case says == "" && err != nil:
			t.Errorf("%s: %v", path, err)
		case says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v, want %s", path, err, says)
		}
	}
	if err := api.NewFolder("to", at("link", "copy"), at("link")); !fault.Is(err, fault.Invalid) {
		t.Errorf("a data folder that is named by a link: %v", err)
	}
}
