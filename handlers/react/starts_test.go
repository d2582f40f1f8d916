package react_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
)

// said are the ledger's words on beginnings and ends, in its order, each with the run it is of: start, success, log and end.
func (b *bench) said() (words []string) {
	b.Helper()
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		b.must(err)
		for i := range c.Events {
			switch e := c.Events[i].Data.(type) {
			case *events.TaskStarted:
				words = append(words, "start "+e.RunID)
			case *events.TaskSucceeded:
				words = append(words, "success "+e.RunID)
			case *events.TaskLogKept:
				words = append(words, "log "+e.RunID)
			case *events.WorkflowRunEnded:
				words = append(words, "end "+e.RunID)
			}
		}
	}
	return words
}

// place is the place of the first, or the last, word that begins so; -1 without one.
func place(words []string, begins string, last bool) int {
	at := -1
	for i, word := range words {
		if strings.HasPrefix(word, begins) {
			if at = i; !last {
				return at
			}
		}
	}
	return at
}

const single = "name: single\nmax_active_runs: 1000\ntasks: [{name: t, operator: stir}]\n"

// TestStartsBeforeEnds: of many runs that are due at once all tasks begin before a log is kept, or a run ended: what can wait takes no time from what is late.
func TestStartsBeforeEnds(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(single)
		const n = 20
		for i := range n {
			b.runOf("single", fmt.Sprint("r", i))
		}
		newKitchen(b, map[string]func(context.Context, *react.Work) error{"t": func(context.Context, *react.Work) error { time.Sleep(100 * time.Millisecond); return nil }})
		for i := range n {
			b.ended(fmt.Sprint("r", i))
		}
		words := b.said()
		if last, log, end := place(words, "start", true), place(words, "log", false), place(words, "end", false); last > log || last > end || log < 0 {
			t.Errorf("the last task begins at %d, the first log is kept at %d, the first run ends at %d: %v", last, log, end, words)
		}
	})
}

// TestEndsAmongStarts: where tasks never cease to come, runs end all the same, while others begin.
func TestEndsAmongStarts(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(single)
		k := newKitchen(b) // has room for 200 a second
		k.stirs["t"] = func(context.Context, *react.Work) error { time.Sleep(20 * time.Millisecond); return nil }
		const n = 300 // in a second and a half
		for i := range n {
			b.runOf("single", fmt.Sprint("r", i))
			time.Sleep(5 * time.Millisecond)
		}
		b.ended(fmt.Sprint("r", n-1))
		words := b.said()
		last := place(words, "start", true)
		for i := range n / 10 {
			if end := place(words, fmt.Sprintf("end r%d", i), false); end < 0 || end > last {
				t.Fatalf("run %d of %d ends at %d; the last task begins at %d", i, n, end, last)
			}
		}
	})
}

// slow holds back the word that a task has succeeded, until it may be said.
type slow struct {
	react.Dispatcher
	may func()
}

func (d *slow) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	if _, ends := c.(*commands.SucceedTask); ends {
		d.may()
	}
	return d.Dispatcher.Dispatch(ctx, c, m)
}

// TestSlotWhileTheEndIsSaid: a role's slot is for work: it is another's while a task's end is said. A pool's is not, for the ledger says what is in it.
func TestSlotWhileTheEndIsSaid(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(single)
		var both sync.WaitGroup
		both.Add(2)
		c := b.config(b.TempDir(), &slow{b.outer, both.Wait})
		all := roles(well, well, nil)
		all[3].Slots = 1
		all[3].Tasks[stir] = func(context.Context, *react.Work) (map[string]string, error) { both.Done(); return nil, nil }
		b.run(c, all)
		b.runOf("single", "r0")
		b.runOf("single", "r1")
		b.ended("r0")
		b.ended("r1")
	})
	bubble(t, func(b *bench) {
		b.dispatch(&commands.DefinePool{Pool: "oven", Slots: 1})
		b.define(strings.Replace(single, "stir", "stir, pool: oven", 1))
		b.run(b.config(b.TempDir(), &slow{b.outer, func() { time.Sleep(time.Second) }}), roles(well, well, nil))
		for i := range 3 {
			b.runOf("single", fmt.Sprint("r", i))
		}
		for i := range 3 {
			b.ended(fmt.Sprint("r", i))
		}
		at := ""
		for _, word := range b.said() {
			kind, run, _ := strings.Cut(word, " ")
			switch {
			case kind == "start" && at != "":
				t.Errorf("%s begins while %s has not ended", run, at)
			case kind == "start":
				at = run
			case kind == "success":
				at = ""
			}
		}
	})
}
