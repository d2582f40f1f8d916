package v1

import (
	"context"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// viewsAt gives the views that a ranking takes as they were at a moment, for use to read. They are what a fold from the
// log's beginning gives.
func (s *Surface) viewsAt(ctx context.Context, m api.Moment, progress func(done, total int64), use func(*fold.Runner, streams.Cut) error) error {
	past := s.Past()
	if past == nil {
		return fault.New(fault.Unavailable, "this program keeps no past")
	}
	cut, err := m.Cut(ctx, s.Log)
	if err != nil {
		return err
	}
	then, err := past.Views(ctx, api.Wanted{Views: []string{"catalogue", "online", "deployments", "registry"}, Cut: cut, EventMillis: m.EventMillis}, progress)
	if err != nil {
		return err
	}
	defer then.Release()
	return use(then.Views, cut)
}
