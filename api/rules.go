package api

import (
	"math"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/recommend"
)

// Rules are what a list has to keep to beside the ranking: see [events.ListRules]. This is their form in JSON.
type Rules struct {
	Exclude   []ID    `json:"exclude"`
	Genre     Names   `json:"genre"`
	YearFrom  int     `json:"year_from"`
	YearTo    int     `json:"year_to"`
	Language  Names   `json:"language"`
	Diversity float64 `json:"diversity"`
	Fresh     float64 `json:"fresh"`
	Offset    int     `json:"offset"`
}

// RulesParams are their names in a query.
var RulesParams = []string{"exclude*", "genre*", "year_from", "year_to", "language*", "diversity", "fresh", "offset"}

// RulesOf reads them from a query.
func RulesOf(q *Query) (v Rules) {
	for _, id := range q.Names("exclude") {
		v.Exclude = append(v.Exclude, ID(id))
	}
	v.Genre, v.Language = q.Names("genre"), q.Names("language")
	v.YearFrom, v.YearTo = int(q.Number("year_from", 0, 0, math.MaxInt32)), int(q.Number("year_to", 0, 0, math.MaxInt32))
	v.Diversity, v.Fresh = q.Share("diversity"), q.Share("fresh")
	v.Offset = int(q.Number("offset", 0, 0, math.MaxInt32))
	return v
}

// Of are the rules of a list of k. The error names every field that is wrong.
func (v *Rules) Of(k int) (events.ListRules, error) {
	r := events.ListRules{Genres: v.Genre, YearFrom: v.YearFrom, YearTo: v.YearTo, Languages: v.Language,
		Diversity: v.Diversity, Fresh: v.Fresh, Offset: v.Offset}
	for _, id := range v.Exclude {
		r.Exclude = append(r.Exclude, string(id))
	}
	return recommend.CheckRules(r, k)
}
