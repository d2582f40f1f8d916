package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Anonymous is the person of a list that was asked for without one.
const Anonymous = "anonymous"

// RecommendationServed is what a person was shown, by what and why. Topic "movie-recommendations".
type RecommendationServed struct {
	RequestID    string            `json:"request_id"`
	UserID       string            `json:"user_id"`
	Timestamp    string            `json:"timestamp"` // ISO 8601
	ModelName    string            `json:"model_name,omitempty"`
	ModelVersion int               `json:"model_version,omitempty"`
	Strategy     string            `json:"strategy"` // "online", "cold", or the recipe's word: "blend"
	Cut          string            `json:"cut"`      // what of the log the ranker had folded
	Rules        ListRules         `json:"rules,omitzero"`
	Items        []RecommendedItem `json:"items"`
}

// ListRules are what a list was asked to keep to, beside the ranking. The zero value asks for nothing.
type ListRules struct {
	Again     bool     `json:"again,omitempty"`     // films that the person had met could be on it
	Exclude   []string `json:"exclude,omitempty"`   // films that could not
	Genres    []string `json:"genres,omitempty"`    // films of one of them could be on it, and no others
	YearFrom  int      `json:"year_from,omitempty"` // of release, of which each film's had to be known; 0: no bound
	YearTo    int      `json:"year_to,omitempty"`   // inclusive; 0: no bound
	Languages []string `json:"languages,omitempty"` // ISO 639-1; films in one of them, and no others
	Diversity float64  `json:"diversity,omitempty"` // 0..1; what it weighs that films are unlike those before them
	Fresh     float64  `json:"fresh,omitempty"`     // 0..1; what a film of the year weighs beside a score
	Offset    int      `json:"offset,omitempty"`    // places before the list's first
}

// RecommendedItem is one place of a recommendation.
type RecommendedItem struct {
	MovieID  string             `json:"movie_id"`
	Position int                `json:"position"` // in the ranking, from 1; behind Offset places of earlier pages
	Score    float64            `json:"score"`
	Source   string             `json:"source,omitempty"`  // the one that gave most; "" where none gave anything
	Sources  map[string]float64 `json:"sources,omitempty"` // parts of the score by source: online, and what the recipe calls its own
	Because  []string           `json:"because,omitempty"` // the person's films that contributed most, strongest first
	// Propensity is how likely it was that this film came to stand here, above 0 to 1. A list without chance has 1
	// everywhere: it says nothing of what others would have done in its place. nil: the list does not say, and is taken for one without chance.
	Propensity *float64 `json:"propensity,omitempty"`
}

// Likelihood is the item's propensity.
func (it *RecommendedItem) Likelihood() float64 {
	if it.Propensity == nil {
		return 1
	}
	return *it.Propensity
}

// Validate reports every propensity that is none, each a [*FieldError].
func (r *RecommendationServed) Validate() error {
	var errs []error
	for i := range r.Items {
		if p := r.Items[i].Likelihood(); !(p > 0 && p <= 1) {
			errs = append(errs, &FieldError{fmt.Sprintf("items[%d].propensity", i), fmt.Sprintf("is %v; want above 0, at most 1, or leave it out where no chance was in it", p)})
		}
	}
	return errors.Join(errs...)
}

func (*RecommendationServed) EventType() string { return "recommendation.served" }

// MainSource is the source that gave most of a score; of equals the first by name, "" without any.
func MainSource(sources map[string]float64) (main string) {
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if main == "" || sources[name] > sources[main] {
			main = name
		}
	}
	return main
}

// Complete adds what an item leaves out and the list says: its place, its main source, and that no chance was in it.
func (r *RecommendationServed) Complete() {
	r.Items = slices.Clone(r.Items)
	for i := range r.Items {
		it := &r.Items[i]
		if it.Position == 0 {
			it.Position = r.Rules.Offset + i + 1
		}
		if it.Source == "" {
			it.Source = MainSource(it.Sources)
		}
		if it.Propensity == nil {
			it.Propensity = new(it.Likelihood())
		}
	}
}

// withoutPlaces makes schema 2 of schema 1, whose lists were whole, in their order and without chance.
func withoutPlaces(raw json.RawMessage) (json.RawMessage, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list["items"] == nil {
		return raw, err
	}
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(list["items"], &items); err != nil {
		return nil, err
	}
	for i, it := range items {
		if it == nil {
			continue
		}
		absent := func(name, value string) {
			if _, given := it[name]; !given {
				it[name] = json.RawMessage(value)
			}
		}
		absent("position", strconv.Itoa(i+1))
		absent("propensity", "1")
		var sources map[string]float64
		if it["sources"] != nil {
			if err := json.Unmarshal(it["sources"], &sources); err != nil {
				return nil, err
			}
		}
		if main := MainSource(sources); main != "" {
			name, err := json.Marshal(main)
			if err != nil {
				return nil, err
			}
			absent("source", string(name))
		}
	}
	var err error
	if list["items"], err = json.Marshal(items); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}
