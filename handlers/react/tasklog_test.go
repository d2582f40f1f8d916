package react_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
)

// logs are the texts of all that was kept, by task and try: a task's may be kept when the next one is over.
func (b *bench) logs() (texts []string) {
	b.Helper()
	kept := all[events.TaskLogKept](b)
	slices.SortStableFunc(kept, func(x, y *events.TaskLogKept) int {
		if (x.Task == knead) != (y.Task == knead) { // the first task
			return map[bool]int{true: -1, false: 1}[x.Task == knead]
		}
		return cmp.Compare(x.Try, y.Try)
	})
	for _, e := range kept {
		text, err := b.blobs.Get(e.Log)
		b.must(err)
		if int64(len(text)) != e.Bytes {
			b.Errorf("the log of %s, try %d, has %d bytes, and is said to have %d", e.Task, e.Try, len(text), e.Bytes)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// TestTaskLogs has each try's log kept before its run ends, with what the engine and the work said of it, and no secret.
func TestTaskLogs(t *testing.T) {
	bubble(t, func(b *bench) {
		c := b.config(b.TempDir(), nil)
		var err error
		c.TaskLogs, err = tasklog.Open(filepath.Join(c.Dir, "tasklogs"))
		b.must(err)
		c.TaskLogs.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
		tries := 0
		b.run(c, roles(func(_ context.Context, w *react.Work) (map[string]string, error) {
			w.Log().Warn("the oven is cold", "key", "hunter2")
			w.Progress("rise", 1, 2)
			w.Progress("rise", 2, 2)
			if tries++; tries == 1 {
				return nil, errors.New("no yeast for hunter2\nnor salt")
			}
			return map[string]string{"loaf": "of hunter2"}, nil
		}, well, nil))
		b.request("r1")
		run := b.ended("r1")
		logs := b.logs()
		if run.State != "success" || len(logs) != 3 {
			t.Fatalf("%d logs; %+v", len(logs), run)
		}
		for i, want := range []string{"task started|WARN  the oven is cold key=***|rise: 1 of 2|rise: 2 of 2|ERROR no yeast for ***|ERROR nor salt|tried again at", "task started|loaf = of ***|task succeeded", "task started|task succeeded"} {
			rest := logs[i]
			for _, w := range strings.Split(want, "|") {
				at := strings.Index(rest, w)
				if at < 0 {
					t.Errorf("log %d lacks %q:\n%s", i, w, logs[i])
					break
				}
				rest = rest[at:]
			}
		}
		kept := run.TaskOf(knead)
		if y, ok := kept.Tried(1); !ok || y.Log == "" || strings.Contains(y.Error, "hunter2") || kept.Output["loaf"] != "of ***" {
			t.Errorf("%+v", kept)
		}
		if left, err := c.TaskLogs.Leftover(); len(left) != 0 || err != nil {
			t.Errorf("%v, %v", left, err)
		}
		for _, line := range b.history() {
			if strings.Contains(line, "hunter2") {
				t.Errorf("the ledger has %s", line)
			}
		}
	})
}

// TestTaskLogOfTheDead has the next process keep what one that was killed had written, once.
func TestTaskLogOfTheDead(t *testing.T) {
	bubble(t, func(b *bench) {
		dir, m := b.TempDir(), &mortal{Dispatcher: b.outer}
		said := make(chan struct{})
		_, stop := b.run(b.config(dir, m), roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
			w.Log().Info("half of it is done")
			m.dead.Store(true)
			close(said)
			<-ctx.Done()
			return nil, ctx.Err()
		}, well, nil))
		b.request("r1")
		<-said
		stop()
		if n := len(b.logs()); n != 0 {
			t.Fatalf("%d logs were kept by a process that is dead", n)
		}
		b.run(b.config(dir, nil), roles(well, well, nil))
		if run := b.ended("r1"); run.State != "success" {
			t.Errorf("%+v", run)
		}
		logs := b.logs()
		if len(logs) != 3 || !strings.Contains(logs[0], "half of it is done") || !strings.Contains(logs[0], "ERROR the process that worked on it is gone") {
			t.Errorf("%q", logs)
		}
	})
}

// stalled is a place for blobs that does not answer.
type stalled struct{ blob.Remote }

func (stalled) Put(ctx context.Context, _ string, _ *io.SectionReader, _ int64) error {
	<-ctx.Done()
	return fault.Wrap(fault.Unavailable, ctx.Err(), "the place for blobs does not answer")
}

// TestLogHoldsUpNothing: where logs cannot be kept, many runs end no later than one does, and the next start keeps them.
func TestLogHoldsUpNothing(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: many\nmax_active_runs: 100\ntasks: [{name: stir, operator: stir}]\n")
		b.blobs.Remote = stalled{}
		dir, began := t.TempDir(), time.Now()
		_, stop := b.run(b.config(dir, nil), roles(well, well, nil))
		const runs = 40
		for i := range runs {
			b.runOf("many", fmt.Sprint("r", i))
		}
		for i := range runs {
			if run := b.ended(fmt.Sprint("r", i)); run.State != projections.StateSuccess {
				t.Errorf("%+v", run)
			}
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("they took %v", took)
		}
		stop()
		if n := len(b.logs()); n != 0 {
			t.Errorf("%d logs were kept", n)
		}
		b.blobs.Remote = nil
		b.run(b.config(dir, nil), roles(well, well, nil))
		b.settle()
		if n := len(b.logs()); n != runs {
			t.Errorf("%d of %d logs were kept by the next start", n, runs)
		}
	})
}
