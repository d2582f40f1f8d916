package react_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/racing"
)

// scheduled are the slots that runs were asked for, and their notes.
func (b *bench) scheduled() (slots, notes []string) {
	b.Helper()
	for _, e := range all[events.WorkflowRunRequested](b) {
		slots = append(slots, time.UnixMilli(e.IntervalEndMillis).UTC().Format("15:04"))
		if e.Note != "" {
			notes = append(notes, e.Note)
		}
		if want := workflow.ScheduledRunID(e.Workflow, time.UnixMilli(e.IntervalEndMillis)); e.RunType != "scheduled" || e.RunID != want {
			b.Errorf("%+v; want the id %s", e, want)
		}
	}
	return slots, notes
}

// TestSchedule: a slot has one run, however many processes there are and however often they start; what was missed is
// left out but for the last, or made up for.
func TestSchedule(t *testing.T) {
	for name, test := range map[string]struct {
		catchup string
		want    string
		note    string
	}{
		"the last alone": {"false", "00:10 00:20 00:30 02:40 02:50", "12 slots before this one, from 2000-01-01T00:40:00Z on"},
		"all of them":    {"true", "00:10 00:20 00:30 00:40 00:50 01:00 01:10 01:20 01:30 01:40 01:50 02:00 02:10 02:20 02:30 02:40 02:50", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				b.define("name: often\nschedule: '*/10 * * * *'\ncatchup: " + test.catchup + "\ntasks: [{name: stir, operator: stir}]\n")
				one, two := newKitchen(b), newKitchen(b)
				time.Sleep(35 * time.Minute)
				one.stop()
				two.stop()
				time.Sleep(2*time.Hour + 10*time.Minute)
				newKitchen(b)
				newKitchen(b)
				time.Sleep(6 * time.Minute)
				slots, notes := b.scheduled()
				if slices.Sort(slots); strings.Join(slots, " ") != test.want {
					t.Errorf("%v", slots)
				}
				if got := strings.Join(notes, "; "); !strings.Contains(got, test.note) || test.note == "" && got != "" {
					t.Errorf("notes: %s", got)
				}
				if missed := all[events.SlotsMissed](b); (test.note != "") != (len(missed) == 1) || len(missed) == 1 && (missed[0].Count != 12 || len(missed[0].SlotsMillis) != 12 ||
					time.UnixMilli(missed[0].SlotsMillis[11]).UTC().Format("15:04") != "02:30") {
					t.Errorf("missed: %+v", missed)
				}
				for _, e := range all[events.WorkflowRunRequested](b) {
					if run := b.ended(e.RunID); run.State != "success" {
						t.Errorf("%+v", run)
					}
				}
			})
		})
	}
}

// TestScheduleHolds has clocks jump ahead and back, processes start, end, die and be alone or two, over a change of the zone's clock: each slot has a
// run, or, without catchup, one word that it was missed; and none has two.
func TestScheduleHolds(t *testing.T) {
	zones := []string{"Australia/Lord_Howe", "America/New_York", "Europe/Berlin", "America/St_Johns"}
	for seed, zone := range zones[:racing.Rounds(len(zones))] {
		for _, text := range []string{"30 * * * *", "*/20 1-3 * * *", "15 2 * * *"} {
			for _, catchup := range []bool{false, true} {
				t.Run(fmt.Sprint(seed, zone, text, catchup), func(t *testing.T) {
					bubble(t, func(b *bench) { holds(b, rand.New(rand.NewPCG(uint64(seed), 7)), zone, text, catchup) })
				})
			}
		}
	}
}

func holds(b *bench, rnd *rand.Rand, zone, text string, catchup bool) {
	s, err := workflow.ParseSchedule(text, zone)
	b.must(err)
	location, err := time.LoadLocation(zone)
	b.must(err)
	_, change := time.Now().In(location).ZoneBounds()
	if rnd.IntN(2) == 0 {
		_, change = change.In(location).ZoneBounds()
	}
	var ahead atomic.Int64 // the clock, of the bubble's
	ahead.Store(int64(time.Until(change) - time.Duration(rnd.IntN(24*60))*time.Minute))
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	source := fmt.Sprintf("name: often\nschedule: '%s'\ntimezone: %s\ncatchup: %v\nmax_active_runs: 1000\ntasks: [{name: stir, operator: stir}]\n", text, zone, catchup)
	b.outer = b.dispatcher(clock)
	defined := clock()
	b.define(source)
	last := defined // that any process has seen
	type process struct {
		stop func()
		dead *mortal
	}
	up := map[int]process{}
	start := func(i int) {
		dead := &mortal{Dispatcher: b.dispatcher(clock)}
		c := b.config(b.TempDir(), dead)
		c.Clock, c.Poll = clock, 30*time.Minute // which spares the test looks at what does not change
		_, stop := b.run(c, roles(well, well, nil))
		up[i] = process{stop, dead}
	}
	see := func() {
		synctest.Wait()
		if len(up) > 0 && clock().After(last) {
			last = clock()
		}
	}
	for range 20 {
		switch i := rnd.IntN(2); {
		case rnd.IntN(2) == 0:
			see()
			ahead.Add(int64(time.Duration(rnd.IntN(540)-120) * time.Minute))
		case up[i].stop == nil:
			start(i)
		default:
			see()
			up[i].dead.dead.Store(rnd.IntN(2) == 0)
			up[i].stop()
			delete(up, i)
		}
		time.Sleep(time.Duration(rnd.IntN(40)) * time.Minute)
		see()
	}
	for i := range 2 {
		if up[i].stop == nil {
			start(i)
		}
	}
	time.Sleep(time.Hour)
	see()
	had, slots, n := map[int64]string{}, 0, 0
	for _, e := range all[events.WorkflowRunRequested](b) {
		if had[e.IntervalEndMillis] != "" {
			b.Errorf("%s is asked for twice", e.RunID)
		}
		had[e.IntervalEndMillis], n = "ran", n+1
	}
	for _, e := range all[events.SlotsMissed](b) {
		for _, slot := range e.SlotsMillis {
			if had[slot] != "" {
				b.Errorf("%v was missed, and %s", time.UnixMilli(slot).UTC(), had[slot])
			}
			had[slot] = "missed"
		}
		n += e.Count
		if catchup || len(e.SlotsMillis) != min(e.Count, events.SlotsMissedMax) {
			b.Errorf("%+v", e)
		}
	}
	for at := s.Next(defined); !at.After(last); at = s.Next(at) {
		if slots++; had[at.UnixMilli()] == "" && n == len(had) {
			b.Errorf("%v was left out; defined %v", at, defined)
		}
		delete(had, at.UnixMilli())
	}
	if n != slots || len(had) > 0 {
		b.Errorf("%d slots, of which %d are known; and %v", slots, n, had)
	}
}

// TestScheduleHeld: no slot of a time in which a workflow was paused, or had another schedule, has a run.
func TestScheduleHeld(t *testing.T) {
	bubble(t, func(b *bench) {
		define := func(schedule string) {
			b.define("name: often\n" + schedule + "\ntasks: [{name: stir, operator: stir}]\n")
		}
		define("schedule: '*/10 * * * *'")
		k := newKitchen(b)
		time.Sleep(15 * time.Minute)
		b.dispatch(&commands.PauseWorkflow{Workflow: "often"})
		time.Sleep(30 * time.Minute)
		b.dispatch(&commands.UnpauseWorkflow{Workflow: "often"})
		time.Sleep(10 * time.Minute)
		define("schedule: every 1h")
		time.Sleep(70 * time.Minute)
		define("description: by hand alone")
		time.Sleep(3 * time.Hour)
		define("schedule: every 1h\ncatchup: true")
		time.Sleep(time.Hour)
		k.stop()
		if slots, _ := b.scheduled(); strings.Join(slots, " ") != "00:10 00:50 01:00 02:00 06:00" {
			t.Errorf("%v", slots)
		}
	})
}

// TestScheduleValues: the tasks of a scheduled run are told what it is for, and its beginning is not late.
func TestScheduleValues(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: daily\nschedule: '@daily'\ntimezone: Asia/Seoul\ntasks: [{name: stir, operator: stir, with: {what: '{{ run.interval_start }} {{ run.interval_end }} {{ run.type }}'}}]\n")
		k := newKitchen(b)
		told, at := "", time.Time{}
		k.stirs["stir"] = func(_ context.Context, w *react.Work) error {
			args, err := w.Args()
			told, at = args["what"], time.Now()
			return err
		}
		time.Sleep(16 * time.Hour)
		synctest.Wait()
		if told != "1999-12-31T15:00:00.000Z 2000-01-01T15:00:00.000Z scheduled" {
			t.Errorf("%q", told)
		}
		if late := at.Sub(time.Date(2000, 1, 1, 15, 0, 0, 0, time.UTC)); late < 0 || late > 250*time.Millisecond {
			t.Errorf("it was %v late", late)
		}
	})
}

// TestVariable: an argument has a variable's value of when its task starts; one that is not set fails the task, once.
func TestVariable(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: v\ntasks: [{name: stir, operator: stir, with: {what: 'in {{ var.value.region }}'}}]\n")
		c := b.config(b.TempDir(), nil)
		regions := map[string]string{}
		c.Variable = func(key string) (string, bool, error) { v, ok := regions[key]; return v, ok, nil }
		told := ""
		k := newKitchenOf(b, c)
		k.stirs["stir"] = func(_ context.Context, w *react.Work) error {
			args, err := w.Args()
			told = args["what"]
			return err
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "v", RunType: "manual"})
		run := b.ended("r1")
		if task := run.TaskOf("stir"); run.State != "failed" || task.Try != 1 || !strings.Contains(task.Error, "the variable region, which task stir names, is not set") {
			t.Errorf("%+v", run)
		}
		regions["region"] = "eu"
		b.dispatch(&commands.ClearTasks{RunID: "r1", Tasks: []string{"stir"}})
		time.Sleep(time.Minute)
		if run := b.workflowRun("r1"); run.State != "success" || told != "in eu" {
			t.Errorf("%q, %+v", told, run)
		}
	})
}
