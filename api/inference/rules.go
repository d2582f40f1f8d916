package inference

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/recommend"
)

// rules reads what so many lists of k have to keep to beside the ranking.
func (b body) rules(lists, k int) events.ListRules {
	whole := func(name string) int { return int(b.Integer(name, 0, 0, math.MaxInt32)) }
	share := func(name string) float64 { x, _ := b.Number(name); return x }
	r := events.ListRules{Genres: b.names("genre"), YearFrom: whole("year_from"), YearTo: whole("year_to"), Languages: b.names("language"),
		Diversity: share("diversity"), Fresh: share("fresh"), Offset: whole("offset")}
	if v, _ := b.Take("exclude"); v != nil {
		if list, is := v.([]any); !is || len(list) > 0 { // a basket may be empty
			r.Exclude = b.ids("exclude", recommend.ExcludeMax)
		}
	}
	if b.Err() != nil {
		return r // what could not be read is not judged
	}
	checked, err := recommend.CheckRules(r, k)
	for _, f := range faultsOf(errors.Join(err, bounded(checked, lists, k))) {
		b.Wrong(b.Whole()[f.Field], f.Message, f.Field)
	}
	return checked
}

// bounded says what rules of so many lists are too much of together: each list is recorded with its rules, and each place of another order
// than the ranking's, those before the page among them, is compared with all candidates.
func bounded(r events.ListRules, lists, k int) error {
	var errs []error
	if most := itemsMax / max(1, lists); lists > 1 && len(r.Exclude) > most {
		errs = append(errs, fault.Field("exclude", "has %d films; want at most %d for %d people", len(r.Exclude), most, lists))
	}
	if most := itemsMax / max(1, lists); lists > 1 && r.Diversity+r.Fresh > 0 && r.Offset+k > most {
		errs = append(errs, fault.Field("offset", "and k are %d together; want at most %d for %d people with diversity or fresh", r.Offset+k, most, lists))
	}
	return errors.Join(errs...)
}

// names reads one text or a list of some.
func (b body) names(name string) []string {
	if v, ok := b.Whole()[name].(string); ok {
		b.Take(name)
		return []string{v}
	}
	return b.Texts(name)
}

// faultsOf are the faults of an error, one by one.
func faultsOf(err error) (list []*fault.Error) {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			list = append(list, faultsOf(e)...)
		}
		return list
	}
	var f *fault.Error
	if errors.As(err, &f) {
		list = append(list, f)
	}
	return list
}

// readRule takes a parameter of the protocol's requests, if it is one of rules, which have the names of /recommend's body.
func readRule(into *api.Rules, name, at string, value json.RawMessage) (is bool, err error) {
	fields := map[string]struct {
		into any
		want string
	}{
		"exclude": {&into.Exclude, "an array of ids"}, "genre": {&into.Genre, "a string, or an array of strings"}, "year_from": {&into.YearFrom, "a whole number"},
		"year_to": {&into.YearTo, "a whole number"}, "language": {&into.Language, "a string, or an array of strings"}, "diversity": {&into.Diversity, "a number"},
		"fresh": {&into.Fresh, "a number"}, "offset": {&into.Offset, "a whole number"},
	}
	field, is := fields[name]
	if !is {
		return false, nil
	}
	if err := json.Unmarshal(value, field.into); err != nil || string(value) == "null" {
		return true, fault.Field(at, "must be %s", field.want)
	}
	return true, nil
}
