package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// source is what there is to import; nil for nothing.
func (s *serving) source(ctx context.Context, given worldParams) (*ingest.Source, error) {
	if s.set != nil {
		src, err := ingest.FromDataset(ctx, s.set, s.data, s.p.now(), func(g ingest.Progress) { s.bar.show(g.Stage, g.Done, g.Total) })
		if err != nil {
			return nil, fmt.Errorf("cannot import %s: %w", s.data, err)
		}
		src.Merge = s.merge
		return &src, nil
	}
	if s.simulate == off {
		return nil, nil
	}
	w, err := s.world(ctx, given)
	if w == nil || err != nil {
		return nil, err
	}
	src, err := w.source(s.p.now())
	return &src, err
}

// world is the simulated world to import. One that was asked for before, or whose import was cut off, is
// the same again, up to the very moment it ends; an empty log gets the default one.
func (s *serving) world(ctx context.Context, given worldParams) (*worldParams, error) {
	view, q := fold.Of[*projections.Imports](s.app.Views), fold.PageQuery{}
	imports := int64(0)
	for {
		list, err := view.List(q)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			imports++
			im := &list.Items[i]
			before, ok := worldOfPath(im.Path)
			if im.Dataset != datasetSimulated || !ok {
				continue
			}
			if s.simulate == "" && im.State != projections.ImportCompleted || s.simulate != "" && before.same(given) {
				return &before, nil
			}
		}
		if list.Next == "" {
			break
		}
		q.Cursor = list.Next
	}
	if s.simulate == "" {
		empty, err := s.empty(ctx, imports)
		if err != nil || !empty {
			return nil, err
		}
	}
	given.End = s.p.now().UTC().Truncate(time.Hour)
	return &given, nil
}

// empty says whether nobody has put anything into the log yet.
func (s *serving) empty(ctx context.Context, imports int64) (bool, error) {
	films, err := fold.Of[*projections.Catalogue](s.app.Views).Count()
	if err != nil || films > 0 || imports > 0 {
		return false, err
	}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		head, err := s.app.Log.Feed().Head(ctx, tp, time.Time{})
		if err != nil || head > 0 {
			return false, err
		}
	}
	learned, err := s.app.Learned()
	return !learned, err
}

// fill brings the views to the end of the log, imports, waits until recommendations can be served and any training that follows the import is
// over, and says what is ready.
func (s *serving) fill(ctx context.Context, given worldParams, base string) error {
	whole, err := s.open(ctx)
	if err != nil {
		return err
	}
	var src *ingest.Source
	if whole { // else nobody knows what there is already
		if src, err = s.source(ctx, given); err != nil {
			return err
		}
	} else if s.data != "" || s.simulate != "" && s.simulate != off {
		s.step("NOT IMPORTED: %s, while views have halted", cmp.Or(s.data, s.simulate))
	}
	if s.simulate == off && whole {
		if empty, err := s.empty(ctx, 0); empty || err != nil {
			s.step("nothing is imported: there are no films to recommend until there is an import")
			return err
		}
	}
	run := ""
	if src != nil {
		res, err := s.bring(ctx, src)
		if err != nil {
			if n, countErr := s.facts(ctx); countErr != nil || n == 0 || ctx.Err() != nil {
				return err
			}
			s.p.say(fmt.Errorf("%w; serving what was there before", err))
		} else if !res.AlreadyDone {
			run = roles.TrainingRunOf(res.ImportID)
		}
	}
	c := &client{base: "http://localhost", token: s.opts.Token, users: s.opts.Users, actor: actor(), app: s.app}
	c.http.Transport = transport{s.app.Handler()}
	if err := s.untilReady(ctx, c, run); err != nil {
		return err
	}
	return s.announce(ctx, c, base)
}

func (s *serving) facts(ctx context.Context) (int64, error) {
	cut, err := fold.HeadCut(ctx, s.app.Log, time.Time{})
	var n int64
	for tp, head := range cut {
		if tp.Topic == events.UserEventsTopic {
			n += head
		}
	}
	return n, err
}

func (s *serving) bring(ctx context.Context, src *ingest.Source) (ingest.Result, error) {
	s.step("importing %s", describe(src))
	res, err := s.app.Importer.Import(ctx, *src, "importer", func(g ingest.Progress) { s.bar.show("importing "+g.Stage, g.Done, g.Total) })
	s.bar.end()
	switch {
	case err != nil:
		return res, fmt.Errorf("importing %s: %w", src.Dataset, err)
	case res.AlreadyDone:
		s.step("%s is in the log already: nothing was added", src.Dataset)
	default:
		s.step("imported %s: %s and %s added, %s there already", src.Dataset, count(res.MoviesAdded, "film"),
			count(res.FactsAdded, "interaction"), thousands(res.FactsDuplicate))
		if res.UsersDescribed > 0 {
			s.step("%s described", people(res.UsersDescribed))
		}
	}
	return res, nil
}

func describe(src *ingest.Source) string {
	if src.Dataset == datasetSimulated {
		return "a simulated world: invented films and people (" + strings.TrimPrefix(src.Path, worldPrefix) + ")"
	}
	return src.Dataset + " from " + src.Path
}
