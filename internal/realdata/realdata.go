// Package realdata finds published data sets for tests: in the folder that PROJECTIONIST_TEST_DATA names, or
// else in shared/data beside the project's own folder.
package realdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable names the folder. Where it is set, what is not there fails the test.
const Variable = "PROJECTIONIST_TEST_DATA"

// stateVariable changes with the data, where somebody sets it: go test keeps results by the variables that a test has asked for, and
// does not look at files elsewhere.
const stateVariable = Variable + "_STATE"

// Path is where a data set, or a file of one, lies: "ml-latest-small", "movietweetings-100k/ratings.dat". A test
// that finds none is skipped, loudly.
func Path(t testing.TB, name string) string {
	t.Helper()
	dir, named := os.LookupEnv(Variable)
	os.Getenv(stateVariable)
	if !named || dir == "" {
		named, dir = false, filepath.Join(root(t), "..", "shared", "data")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	switch _, err := os.Stat(path); {
	case err == nil:
		return path
	case named:
		t.Fatalf("%s says %s: %v", Variable, dir, err)
	}
	t.Skipf("SKIPPED, NOT TESTED: no real data at %s; set %s to a folder that holds %s", path, Variable, name)
	return ""
}

// root is the project's folder: that of go.mod, above the test's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}
