package mlflow

import (
	"iter"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// everyOne yields all of a list that comes in pages. What is yielded is its taker's until the next.
func everyOne[T any](page func(fold.PageQuery) (fold.Page[T], error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for q := (fold.PageQuery{}); ; {
			p, err := page(q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range p.Items {
				if !yield(&p.Items[i], nil) {
					return
				}
			}
			if q.Cursor = p.Next; q.Cursor == "" {
				return
			}
		}
	}
}

func (s *Surface) allExperiments() iter.Seq2[*projections.Experiment, error] {
	return everyOne(s.runsView().Experiments)
}

func (s *Surface) allModels() iter.Seq2[*projections.Model, error] {
	return everyOne(fold.Of[*projections.Registry](s.Views).Models)
}
