package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
)

// Nodes of one log that are told to import the same at the same moment write every fact once.
func TestNodesImportTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newImporter(t)
		results := make(chan Result, 3)
		for range 3 {
			im := &Importer{Log: first.Log, Dispatcher: first.Dispatcher, Shared: true}
			go func() {
				res, err := im.Import(t.Context(), source("a", 40_000), "test", nil)
				if err != nil {
					t.Error(err)
				}
				results <- res
			}()
		}
		added, done := int64(0), 0
		for range 3 {
			res := <-results
			added += res.FactsAdded
			if res.AlreadyDone {
				done++
			}
		}
		if n := facts64(t, first); n != 40_000 || added != 40_000 || done != 2 {
			t.Errorf("%d facts in the log, %d added, %d found it done; want 40,000, 40,000 and 2", n, added, done)
		}
	})
}

// One whose node died is gone on with once the log has been quiet.
func TestImportOfADeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		im := newImporter(t)
		im.Shared = true
		src := source("a", 500)
		if _, err := im.Dispatcher.Dispatch(t.Context(), &commands.StartImport{Dataset: src.Dataset, Digest: src.Digest}, handlers.Meta{}); err != nil {
			t.Fatal(err)
		}
		began, stages := time.Now(), map[string]bool{}
		res, err := im.Import(t.Context(), src, "test", func(p Progress) { stages[p.Stage] = true })
		if err != nil || res.AlreadyDone || res.FactsAdded != 500 || facts64(t, im) != 500 {
			t.Errorf("%+v, %v", res, err)
		}
		if took := time.Since(began); took < turnQuiet || took > 2*turnQuiet {
			t.Errorf("gone on with after %v; want about %v", took, turnQuiet)
		}
		if !stages["watching another node import the same"] {
			t.Errorf("it did not say what it waits for: %v", stages)
		}
	})
}
