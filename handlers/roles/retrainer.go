package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Retrainer asks for a training run when an alert of drift has reached its threshold, whoever published it. It reads
// the alerts' topic, not the ledger, so it is no [react.Role]; its place is a file beside the reactors' cursors.
//
// A score of nothing is no drift, whatever the threshold. An alert is covered, and asks for nothing, while a run that an earlier one asked for has not ended: that trains on
// what the log has by then. So alerts that come in numbers make one run after the other, never two at a time. What is
// covered follows from the log, and the run's id from the alert: a lost cursor costs reading, and where several nodes
// share a log all may ask.
type Retrainer struct {
	Feed       streams.Feed
	Ledger     streams.Ledger
	Views      *fold.Runner // runs, with the view workflows
	Dispatcher react.Dispatcher
	Dir        string       // the program's data folder
	Logger     *slog.Logger // default slog.Default
}

const nameRetrainer = "retrainer"

// retrainerPlace is what the file holds, as JSON.
type retrainerPlace struct {
	Format string `json:"format"`
	Offset int64  `json:"offset"`        // of the first alert that was not dealt with
	Run    string `json:"run,omitempty"` // the last that an alert asked for
}

const (
	retrainerFormat = "projectionist-retrainer 1"
	// retrainerPauseMin and retrainerPauseMax bound how long is waited after a failure.
	retrainerPauseMin = 100 * time.Millisecond
	retrainerPauseMax = 10 * time.Second
	// retrainerNameMax is how much of a model's name a run's note has, in bytes.
	retrainerNameMax = 200
)

// alerts is the topic's only partition.
var alerts = streams.TP{Topic: events.DriftAlertsTopic}

// Run reacts until ctx ends. What fails is said once and tried again.
func (r *Retrainer) Run(ctx context.Context) {
	log := r.Logger
	if log == nil {
		log = slog.Default()
	}
	log = log.With("reactor", nameRetrainer)
	at, err := r.load(ctx)
	if err != nil {
		log.Warn("the place among alerts of drift is not known; they are read from the beginning", "error", err)
	}
	told, pause := "", retrainerPauseMin
	for ctx.Err() == nil {
		err := r.read(ctx, &at)
		if err == nil {
			told, pause = "", retrainerPauseMin
			err = r.Feed.Wait(ctx, alerts, at.Offset)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if err.Error() != told {
			told = err.Error()
			log.Error("alerts of drift cannot be dealt with; it is tried again", "offset", at.Offset, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retrainerPauseMax)
	}
}

// read deals with the alerts there are from a place on.
func (r *Retrainer) read(ctx context.Context, at *retrainerPlace) error {
	var reader streams.FactReader
	from := at.Offset
	for rec, err := range r.Feed.Read(ctx, alerts, from) {
		if err != nil {
			return errors.Join(err, r.save(*at))
		}
		var ev events.Event
		if err := reader.Read(rec, &ev, nil); err == nil { // else the quarantine has it
			if d, ok := ev.Data.(*events.ModelDrift); ok && d.DriftScore > 0 && d.DriftScore >= d.Threshold {
				if err := r.answer(ctx, at, rec, &ev, d); err != nil {
					return errors.Join(err, r.save(*at))
				}
			}
		}
		at.Offset = rec.Offset + 1
	}
	if at.Offset == from {
		return nil
	}
	return r.save(*at)
}

// answer asks for a run, unless the alert is covered.
func (r *Retrainer) answer(ctx context.Context, at *retrainerPlace, rec *streams.Record, ev *events.Event, d *events.ModelDrift) error {
	id := "after-drift-" + react.HashID(ev.ID)
	if covered, err := r.covered(ctx, at.Run, id, rec.Recorded); err != nil || covered {
		return err
	}
	c := &commands.RequestWorkflowRun{RunID: id, Workflow: TrainingPipeline, RunType: "triggered",
		Note: fmt.Sprintf("drift of %s: %g has reached the threshold %g, says the alert %s", shortName(d.ModelName), d.DriftScore, d.Threshold, rec.Position)}
	if known, err := all.Find(d.ModelName); err == nil && d.ModelName != "" {
		c.Conf = map[string]string{confAlgorithm: known.Name}
	}
	_, err := r.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "reactor:" + nameRetrainer, Causation: ev.ID})
	if err != nil && !fault.Is(err, fault.Conflict) { // a conflict: the run is there
		return err
	}
	at.Run = id
	return nil
}

// covered says whether the last run that was asked for, other than the alert's own, had not ended when the log took
// the alert.
func (r *Retrainer) covered(ctx context.Context, last, own string, taken time.Time) (bool, error) {
	if last == "" || last == own {
		return false, nil
	}
	head, err := r.Ledger.Head(ctx, time.Time{})
	if err != nil {
		return false, err
	}
	if head > 0 {
		end := streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}
		if err := r.Views.Wait(ctx, end, "workflows"); err != nil {
			return false, err
		}
	}
	run, ok, err := fold.Of[*projections.Workflows](r.Views).Run(last)
	return ok && (!run.Ended() || run.EndedMillis >= taken.UnixMilli()), err
}

// shortName is what a note has of a name that anyone may have written.
func shortName(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), retrainerNameMax)], "")
}

func (r *Retrainer) path() string {
	return filepath.Join(r.Dir, "reactors", nameRetrainer+".place")
}

// load reads the place; the beginning where there is none, or none that can be.
func (r *Retrainer) load(ctx context.Context) (retrainerPlace, error) {
	begin := retrainerPlace{Format: retrainerFormat}
	b, err := os.ReadFile(r.path())
	if errors.Is(err, os.ErrNotExist) {
		return begin, nil
	}
	if err != nil {
		return begin, err
	}
	var at retrainerPlace
	if err := json.Unmarshal(b, &at); err != nil || at.Format != retrainerFormat || at.Offset < 0 {
		return begin, fault.New(fault.Corrupt, "%s cannot be read", r.path())
	}
	if head, err := r.Feed.Head(ctx, alerts, time.Time{}); err != nil || at.Offset > head {
		return begin, errors.Join(err, fault.New(fault.Corrupt, "%s lies beyond the topic's end", r.path()))
	}
	return at, nil
}

// save replaces the file. It is not synced: an older place only means reading again.
func (r *Retrainer) save(at retrainerPlace) error {
	b, err := json.Marshal(at)
	if err != nil {
		return err
	}
	tmp := r.path() + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, r.path())
}
