package ingest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// lookCost is for how many records of the log there may be one look into a view. A look takes some 11 µs, and a record that
// is read 0.7, so that whoever reads the log after all has lost half as much again at most.
const lookCost = 32

// recall knows which facts the log had when an import began. Few are looked for one by one, so that an import costs
// what it brings; for many the log is read once.
type recall struct {
	im       *Importer
	progress func(Progress)
	end      streams.Cut // of what the log had
	records  int64       // up to end

	look  func(userID string, timeMillis int64, eventID string) (bool, error) // nil: the log is read
	looks int64
	read  bool
	ids   []uint64 // of all facts that any import has put into the log, sorted, once it is read
}

// recall readies it for so many facts, 0 where that is not known.
func (im *Importer) recall(ctx context.Context, facts int64, progress func(Progress)) (*recall, error) {
	r := &recall{im: im, progress: progress, end: streams.Cut{}}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		n, err := im.Log.Feed().Head(ctx, tp, time.Time{})
		if err != nil {
			return nil, err
		}
		r.end[tp] = n
		r.records += n
	}
	if im.Look == nil || max(1, facts) > r.records/lookCost {
		return r, nil
	}
	progress(Progress{Stage: "waiting for what was imported before", Total: r.records})
	if look, err := im.Look(ctx); err == nil {
		r.look = look
	}
	return r, ctx.Err()
}

// has says whether the log had a fact, which has a number.
func (r *recall) has(ctx context.Context, f *Fact, id uint64) (bool, error) {
	if r.look != nil && r.looks < r.records/lookCost {
		r.looks++
		if found, err := r.look(f.UserID, f.TimeMillis, eventID(id)); err == nil {
			return found, nil
		}
		r.look = nil
	}
	if !r.read {
		if err := r.readLog(ctx); err != nil {
			return false, err
		}
		r.read = true
	}
	_, found := slices.BinarySearch(r.ids, id)
	return found, nil
}

// readLog takes the numbers of all facts that any import has put into the log.
func (r *recall) readLog(ctx context.Context) error {
	for _, tp := range r.end.Partitions() {
		for rec, err := range r.im.Log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				return err
			}
			if rec.Offset >= r.end[tp] {
				break
			}
			for _, h := range rec.Headers {
				if h.Key == "ce_id" {
					if id, err := strconv.ParseUint(string(h.Value), 16, 64); err == nil {
						r.ids = append(r.ids, id)
					}
				}
			}
			if len(r.ids)%(1<<18) == 1 {
				r.progress(Progress{Stage: "looking through the log", Done: int64(len(r.ids)), Total: r.records})
			}
		}
	}
	slices.Sort(r.ids)
	return nil
}
