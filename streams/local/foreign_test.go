package local_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// foreignEnv is the folder of a log that no program has open, a blank, and a stream, to which the test below appends.
const foreignEnv = "PROJECTIONIST_FOREIGN"

// TestAppendForeign gives a log a commit as another program, or a newer release, writes it: of an event type that is not known here. Every view of the ledger
// halts there.
//
//	PROJECTIONIST_FOREIGN="$PWD/data/log model/als" go test -count=1 -run TestAppendForeign -v ./streams/local
func TestAppendForeign(t *testing.T) {
	dir, stream, ok := strings.Cut(os.Getenv(foreignEnv), " ")
	if !ok {
		t.Skipf("SKIPPED: for checks of halted views: set %s to the folder of a log and a stream", foreignEnv)
	}
	if files, err := os.ReadDir(dir); !filepath.IsAbs(dir) || err != nil || len(files) == 0 {
		t.Fatalf("%s names %q: want the whole path of a log that there is (%v)", foreignEnv, dir, err)
	}
	l, err := local.Open(dir, local.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"foreign","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Ledger().Append(t.Context(), streams.Commit{ID: "foreign", Stream: stream, Expected: streams.AnyRevision, Events: []events.Event{ev}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Log(r.Position)
}
