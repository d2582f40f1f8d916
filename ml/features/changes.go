package features

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
)

// Changes says for people, a line each, what is other in d than in from: entities, views with their features, services.
// What does not count for [Definitions.Hash], such as a description, is no change; of an order it is said that it is another.
func (d *Definitions) Changes(from *Definitions) (lines []string) {
	lines = changes("entity", d.Entities, from.Entities, func(e *EntityDefinition) (string, string) { return string(e.Name), e.JoinKey }, nil)
	lines = append(lines, changes("feature view", d.Views, from.Views, func(v **View) (string, string) {
		return (*v).Name, fmt.Sprintf("of a %s, ttl %s", (*v).Entity, time.Duration((*v).TTLMillis)*time.Millisecond)
	}, func(is, was **View) []string {
		return changes("feature", (*is).Features, (*was).Features, func(f *Feature) (string, string) { return f.Name, f.spelt() }, nil)
	})...)
	lines = append(lines, changes("external view", d.External, from.External, func(x **External) (string, string) {
		return (*x).Name, fmt.Sprintf("of a %s, ttl %s, pushed to %s", strings.Join((*x).Entities, " and a "), time.Duration((*x).TTLMillis)*time.Millisecond, (*x).PushSource)
	}, func(is, was **External) []string {
		return changes("feature", (*is).Features, (*was).Features, func(f *events.FeatureField) (string, string) { return f.Name, f.Type }, nil)
	})...)
	return append(lines, changes("feature service", d.Services, from.Services, func(s **Service) (string, string) { return (*s).Name, strings.Join((*s).Features, ", ") }, nil)...)
}

// changes compares two lists of things by their names, by what each is, and by what is within it.
func changes[T any](kind string, is, was []T, of func(*T) (name, what string), within func(is, was *T) []string) (lines []string) {
	find := func(list []T, name string) *T {
		i := slices.IndexFunc(list, func(x T) bool { n, _ := of(&x); return n == name })
		if i < 0 {
			return nil
		}
		return &list[i]
	}
	var kept, before []string
	for i := range is {
		name, what := of(&is[i])
		old := find(was, name)
		if old == nil {
			lines = append(lines, fmt.Sprintf("created %s %s: %s", kind, name, what))
			continue
		}
		kept = append(kept, name)
		var inner []string
		if within != nil {
			inner = within(&is[i], old)
		}
		switch _, then := of(old); {
		case then != what:
			lines = append(lines, fmt.Sprintf("updated %s %s: %s, was %s", kind, name, what, then))
		case len(inner) > 0:
			lines = append(lines, fmt.Sprintf("updated %s %s", kind, name))
		}
		for _, line := range inner {
			lines = append(lines, "  "+line)
		}
	}
	for i := range was {
		name, _ := of(&was[i])
		if find(is, name) == nil {
			lines = append(lines, fmt.Sprintf("deleted %s %s", kind, name))
			continue
		}
		before = append(before, name)
	}
	if !slices.Equal(kept, before) {
		lines = append(lines, "another order of each "+kind)
	}
	return lines
}

// spelt is what a feature is, as far as it counts.
func (f *Feature) spelt() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", f.Type, f.Aggregation)
	for _, p := range []struct {
		name  string
		value any
		given bool
	}{{"of", f.Of, f.Of != ""}, {"genre", f.Genre, f.Genre != ""}, {"k", f.K, f.K != 0}, {"kinds", strings.Join(f.Kinds, "+"), len(f.Kinds) > 0}, {"window", fmt.Sprint(f.WindowDays, "d"), f.WindowDays != 0},
		{"half-life", fmt.Sprint(f.HalfLifeDays, "d"), f.HalfLifeDays != 0}, {"prior", fmt.Sprint(f.PriorMean, "*", f.PriorCount), f.PriorCount != 0 || f.PriorMean != 0}} {
		if p.given {
			fmt.Fprintf(&b, " %s=%v", p.name, p.value)
		}
	}
	return b.String()
}
