package featurestore

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Fits says whether feature views are in force as something was made of them; what says what that is, in the error, which is fault.Conflict.
func (f *Store) Fits(what string, views []events.ViewRead) error {
	for _, read := range views {
		had, err := f.Versions(read.View, fold.At{})
		if err != nil {
			return err
		}
		n := len(had)
		if n > 0 && had[n-1].InForce && had[n-1].Hash == read.Hash {
			continue
		}
		inForce, was := "there is no such view now", "a definition that this log does not have"
		if n > 0 && had[n-1].InForce {
			inForce = fmt.Sprintf("in force is version %d, %s", n, had[n-1].Hash)
		}
		hint := "train a version with the definitions in force"
		for i := range had {
			if had[i].Hash == read.Hash {
				was = fmt.Sprintf("version %d", had[i].Number)
				hint += fmt.Sprintf(", or put that definition back: GET /api/v1/features/views/%s/versions/%d has it", read.View, had[i].Number)
				break
			}
		}
		e := fault.New(fault.Conflict, "%s was trained on feature view %s as %s had it, %s; %s", what, read.View, was, read.Hash, inForce)
		e.Field = "feature_views"
		return e.WithHint("%s", hint)
	}
	return nil
}
