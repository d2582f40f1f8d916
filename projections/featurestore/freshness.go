package featurestore

import (
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// OwnProject is the project of what is defined here, as Feast's registry has it.
const OwnProject = "projectionist"

// Freshness is when the newest of what a view's features are made of happened.
type Freshness struct {
	View, Project string
	NewestMillis  int64
	TTLMillis     int64 // 0: values do not expire
}

// Freshness is that of the views that are defined, those whose values are pushed after those that are computed, max of them at most. A view without any facts
// is not among them.
func (f *Store) Freshness(max int) (all []Freshness, err error) {
	reg, err := f.Registry()
	if err != nil {
		return nil, err
	}
	view := fold.Of[*projections.FeatureFreshness](f.views)
	newest, ok, err := view.Computed()
	if err != nil {
		return nil, err
	}
	for _, v := range reg.Views {
		if ok && len(all) < max {
			all = append(all, Freshness{v.Name, OwnProject, newest, v.TTLMillis})
		}
	}
	for _, x := range reg.External {
		if len(all) >= max {
			break
		}
		newest, ok, err := view.Pushed(x.Name)
		if err != nil {
			return nil, err
		}
		project := x.Project
		if project == "" {
			project = OwnProject
		}
		if ok {
			all = append(all, Freshness{x.Name, project, newest, x.TTLMillis})
		}
	}
	return all, nil
}
