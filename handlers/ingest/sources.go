package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/internal/fault"
)

// FromDataset is a published data set as a source. reading, where not nil, follows the reading of its
// ratings file, which comes before the first fact: they are put in the order of their time. Ratings may be of at most
// [events.AheadMax] after now, as all facts.
func FromDataset(ctx context.Context, set *dataset.Set, path string, now time.Time, reading func(Progress)) (Source, error) {
	set.Latest = now.Add(events.AheadMax)
	digest, err := set.Digest(ctx)
	if err != nil {
		return Source{}, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Source{}, err
	}
	follow := func(p dataset.Progress) {
		if reading != nil {
			reading(Progress{Stage: "reading " + set.Name, Done: p.BytesRead, Total: p.BytesTotal})
		}
	}
	return Source{
		Dataset: set.Name, Origin: set.Source(), Digest: digest, Path: abs, ByID: set.Layout == dataset.LayoutTable,
		Movies: func(yield func(events.Movie, error) bool) {
			for m, err := range set.Movies(ctx) {
				if !yield(m.Event(), badLine(err)) {
					return
				}
			}
		},
		Users: func(yield func(events.User, error) bool) {
			for u, err := range set.Users(ctx) {
				if !yield(u, badLine(err)) {
					return
				}
			}
		},
		Facts: func(yield func(Fact, error) bool) {
			for r, err := range set.SortedRatings(ctx, follow) {
				if !yield(Fact{UserID: r.UserID, MovieID: r.MovieID, Kind: events.KindRating, Rating: r.Rating, TimeMillis: r.TimeMillis}, badLine(err)) {
					return
				}
			}
		},
	}, nil
}

// badLine makes a line that its layout does not know an error of the request.
func badLine(err error) error {
	var line *dataset.LineError
	if !errors.As(err, &line) {
		return err
	}
	return fault.Wrap(fault.Invalid, err, "the data set cannot be read").(*fault.Error).
		WithHint("mend or fetch the file again, or let such lines go to the quarantine (projectionist import PATH --bad-rows N); what was imported before stays, and importing again goes on after it")
}

// WorldPath writes the parameters of a simulated world as an import's path, from which an import that
// was cut off finds the very same world again.
func WorldPath(p world.Params) string {
	path := fmt.Sprintf("simulation:seed=%d,users=%d,movies=%d,events=%d,end=%s", p.Seed, p.Users, p.Movies, p.Events, p.End.UTC().Format(time.RFC3339))
	if !p.Start.IsZero() {
		path += ",start=" + p.Start.UTC().Format(time.RFC3339)
	}
	return path
}

// FromWorld is a simulated world as a source. It may end at most [events.AheadMax] after now.
func FromWorld(p world.Params, now time.Time) (Source, error) {
	if err := events.CheckTime(p.End, now); !p.End.IsZero() && err != nil {
		return Source{}, fmt.Errorf("the end of a simulated world: %w", err)
	}
	w, err := world.New(p)
	if err != nil {
		return Source{}, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "simulated world 1 %d %d %d %d %d %d", p.Seed, p.Users, p.Movies, p.Events, millis(p.Start), millis(p.End)))
	return Source{
		Dataset: "simulated", Origin: world.Source, Digest: hex.EncodeToString(sum[:]), Path: WorldPath(p), Total: int64(w.Events()),
		Movies: func(yield func(events.Movie, error) bool) {
			for _, m := range w.Movies() {
				e := m.Movie.Event()
				e.Overview, e.Language = m.Overview, m.Language
				if !yield(e, nil) {
					return
				}
			}
		},
		Users: func(yield func(events.User, error) bool) {
			for id, age := range w.Ages() {
				if !yield(events.User{UserID: id, Age: age}, nil) {
					return
				}
			}
		},
		Facts: facts(w.Interactions()),
	}, nil
}

func facts(acts iter.Seq[world.Interaction]) iter.Seq2[Fact, error] {
	return func(yield func(Fact, error) bool) {
		for a := range acts {
			if !yield(Fact(a), nil) {
				return
			}
		}
	}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
