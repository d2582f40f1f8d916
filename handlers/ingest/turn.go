package ingest

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// Nodes of one log may be told to import the same, and to start at the same moment. Facts are not judged as
// commands are: two that import at once would write each of them twice. (Every view knows a repetition, so
// that is a waste and no fault.) So who began first goes on, and the others watch.
const (
	// turnQuiet is how long a log that does not grow says that who imports is gone: a chunk takes less by far, and
	// so does looking through a log of ten million facts.
	// Who began as the third waits twice as long as the second, so that those who wait do not go on at once.
	turnQuiet = 15 * time.Second
	// turnQuietTimes bounds that, where an import was cut off often.
	turnQuietTimes = 3
	// turnMax bounds the wait: others may make the log grow for ever.
	turnMax  = 2 * time.Minute
	turnPoll = 200 * time.Millisecond
)

// turn waits while another node is at the import that start has just begun. It reports whether that has been
// completed meanwhile.
func (im *Importer) turn(ctx context.Context, start *commands.StartImport, began handlers.Result, progress func(Progress)) (completed bool, err error) {
	before, _, err := im.attempts(ctx, start, began.Revision)
	if err != nil || before == 0 {
		return false, err
	}
	quiet := time.Duration(min(before, turnQuietTimes)) * turnQuiet
	last, grown := int64(-1), time.Now()
	for since := time.Now(); time.Since(since) < turnMax; {
		_, ended, err := im.attempts(ctx, start, began.Revision)
		switch {
		case err != nil:
			return false, err
		case ended == importCompleted:
			return true, nil
		case ended == importFailed:
			return false, nil
		}
		size, err := im.size(ctx)
		if err != nil {
			return false, err
		}
		if size != last {
			last, grown = size, time.Now()
		} else if time.Since(grown) >= quiet {
			return false, nil
		}
		progress(Progress{Stage: "watching another node import the same", Done: size})
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(turnPoll):
		}
	}
	return false, nil
}

type importEnd int

const (
	importGoesOn importEnd = iota
	importCompleted
	importFailed
)

// attempts is how many attempts at the import were begun before the event at mine and not ended by then, and how
// the import has ended since.
func (im *Importer) attempts(ctx context.Context, start *commands.StartImport, mine streams.Revision) (before int, ended importEnd, err error) {
	for c, err := range im.Log.Ledger().ReadStream(ctx, start.Stream(), 0) {
		if err != nil {
			return 0, 0, err
		}
		for i := range c.Events {
			own := c.Revision + streams.Revision(i)
			switch c.Events[i].Data.(type) {
			case *events.ImportStarted:
				if own < mine {
					before++
				}
			case *events.ImportCompleted:
				if before, ended = 0, importGoesOn; own > mine {
					ended = importCompleted
				}
			case *events.ImportFailed:
				if own < mine {
					before = 0
				} else {
					ended = importFailed
				}
			}
		}
	}
	return before, ended, nil
}

// size is how many records the log has of what an import writes.
func (im *Importer) size(ctx context.Context) (size int64, err error) {
	if size, err = im.Log.Ledger().Head(ctx, time.Time{}); err != nil {
		return 0, err
	}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		n, err := im.Log.Feed().Head(ctx, tp, time.Time{})
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}
