package app

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// countedLedger counts the commits that are read.
type countedLedger struct {
	streams.Ledger
	read int
}

func (l *countedLedger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range l.Ledger.Read(ctx, from) {
			if l.read++; !yield(c, err) {
				return
			}
		}
	}
}

// Of the ledger, as of what is named by it, a later process reads only what came since; a file that is damaged, or of
// another ledger, is not used.
func TestNamesAreKept(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ledger := func(seed string, films int) *countedLedger {
		t.Helper()
		log, err := local.OpenMem(local.Options{ReserveBytes: -1, Logf: func(string, ...any) {}})
		must(err)
		t.Cleanup(func() { must(log.Close()) })
		d := handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})
		dispatch := func(c commands.Command) {
			t.Helper()
			_, err := d.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"})
			must(err)
		}
		dispatch(&commands.RequestWorkflowRun{RunID: "r", Workflow: "w", RunType: "manual"})
		dispatch(&commands.StartTask{RunID: "r", Task: "t", Holder: "h", LeaseMillis: 60_000})
		dispatch(&commands.RenewTaskLease{RunID: "r", Task: "t", Holder: "h", Try: 1, LeaseMillis: 60_000, Checkpoint: sumOf([]byte(seed))})
		for i := range films {
			dispatch(&commands.FetchMovie{Movie: events.Movie{MovieID: fmt.Sprint(i), Title: "One"}, RawSHA256: sumOf([]byte(fmt.Sprint(seed, i)))})
		}
		return &countedLedger{Ledger: log.Ledger()}
	}
	path := filepath.Join(t.TempDir(), namesFile)
	load := func(l *countedLedger) *names {
		t.Helper()
		n := &names{}
		l.read = 0
		must(n.load(t.Context(), path, l))
		must(n.read(t.Context(), l))
		return n
	}
	l := ledger("a", 20)
	all := load(l)
	if l.read != 23 || len(all.ever) != 20 || len(all.held["r"]) != 1 {
		t.Fatalf("%d commits were read, %v", l.read, all)
	}
	same := func(n *names) bool {
		return n.next == all.next && n.last == all.last && reflect.DeepEqual(n.ever, all.ever) && reflect.DeepEqual(n.held, all.held)
	}
	must(all.save(path))
	if n := load(l); !same(n) || l.read != 1 { // that it ends with
		t.Errorf("%d commits were read; %v, want %v", l.read, n, all)
	}
	whole, err := os.ReadFile(path)
	must(err)
	for at := range 2 * len(whole) {
		damaged := slices.Clone(whole)
		if at < len(whole) {
			damaged[at] ^= 1 << (at % 8)
		} else {
			damaged = damaged[:at-len(whole)]
		}
		must(os.WriteFile(path, damaged, 0o600))
		if n := load(l); !same(n) || l.read < 23 {
			t.Fatalf("damaged at %d of %d: %d commits were read", at, len(whole), l.read)
		}
	}
	must(os.WriteFile(path, whole, 0o600))
	for _, other := range []struct {
		seed  string
		films int
	}{{"b", 20}, {"a", 5}} {
		n := load(ledger(other.seed, other.films))
		if len(n.ever) != other.films || n.ever[sumOf([]byte(other.seed+"0"))] != 1 {
			t.Errorf("of another ledger, with %d films, %d blobs are named", other.films, len(n.ever))
		}
	}
}
