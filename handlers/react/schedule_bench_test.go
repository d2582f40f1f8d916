package react_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/streams/local"
)

// BenchmarkScheduled is a minute of 1,000 workflows that run each minute, on a log on disk: how long it is from the slot to the end of the last run, how many
// seconds of a processor that takes, and how long it is from the slot to when a task begins.
func BenchmarkScheduled(b *testing.B) {
	const n = 1000
	log, err := local.Open(b.TempDir(), local.Options{ReserveBytes: -1, Logf: func(string, ...any) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	var ahead atomic.Int64
	now := time.Now().Truncate(time.Minute)
	clock := func() time.Time { return now.Add(time.Duration(ahead.Load())) }
	d := handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: clock, NewID: uuid.NewString})
	say := func(c commands.Command) {
		if _, err := d.Dispatch(b.Context(), c, handlers.Meta{Actor: "bench"}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		parsed, err := workflow.Parse(fmt.Appendf(nil, "name: w%d\nschedule: '* * * * *'\ntasks: [{name: stir, operator: stir}]\n", i), operators())
		if err != nil {
			b.Fatal(err)
		}
		say(&commands.DefineWorkflow{Workflow: parsed.Name, Source: parsed.Source(), Hash: parsed.Hash()})
	}
	blobs, err := blob.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	all := roles(well, well, nil)
	all[3].Slots = 64
	r, err := react.New(react.Config{Dispatcher: d, Ledger: log.Ledger(), Feed: log.Feed(), Blobs: blobs, Dir: b.TempDir(), Operators: operators(), Clock: clock, Exclusive: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, all...)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	defer func() { stop(); running.Wait() }()
	at, _ := log.Ledger().Head(ctx, time.Time{})
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	}
	before, paused := used(), false
	var late []time.Duration
	for b.Loop() {
		ahead.Add(int64(time.Minute))
		slot := time.Now()
		if paused = !paused; paused { // which has the schedules looked at: the machine's clock has not come to the slot
			say(&commands.PauseWorkflow{Workflow: "w0"})
		} else {
			say(&commands.UnpauseWorkflow{Workflow: "w0"})
		}
		for ended := 0; ended < n-1; {
			if err := log.Ledger().Wait(ctx, at); err != nil {
				b.Fatal(err)
			}
			for c, err := range log.Ledger().Read(ctx, at) {
				if err != nil {
					b.Fatal(err)
				}
				at = c.Position.Offset + 1
				for i := range c.Events {
					switch e := c.Events[i].Data.(type) {
					case *events.TaskStarted:
						late = append(late, time.Since(slot))
					case *events.WorkflowRunEnded:
						if e.State == "success" && e.RunID[:3] != "w0@" {
							ended++
						}
					}
				}
			}
		}
	}
	b.ReportMetric((used()-before)/float64(b.N), "cpu-s/minute")
	slices.Sort(late)
	b.ReportMetric(late[len(late)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(late[len(late)/2].Seconds()*1000, "p50-ms")
}
