package features

import (
	"encoding/json"
	"strings"
	"testing"
)

const onDemand = `
entities: [{name: movie, join_key: movie_id}, {name: user, join_key: user_id}]
feature_views:
  - {name: m, entity: movie, features: [{name: n, aggregation: count}, {name: mean, aggregation: mean}, {name: genres, aggregation: attribute, of: genres}]}
  - {name: u, entity: user, features: [{name: n, aggregation: count}]}
external_views: [{name: x, entity: movie, features: [{name: s, type: float32}]}]
on_demand_views:
  - name: o
    inputs: {mine: "m:n", yours: "u:n"}
    request: {k: int64}
    features: [{name: sum, type: int64, expression: mine + yours}, {name: share, type: float64, expression: mine / (mine + yours)}, {name: n, type: float64, expression: k}]
  - {name: p, inputs: {s: "x:s"}, features: [{name: twice, type: float64, expression: s * 2}]}
feature_services: [{name: all, features: [m, "o:sum", "o:share"]}]
`

// TestOnDemandRefused: what is wrong with an on-demand view is told at once, by its line and the place within the expression.
func TestOnDemandRefused(t *testing.T) {
	mustParse(t, onDemand)
	for old, c := range map[string][2]string{
		"mine + yours}, {name: share":            {"mine + your}, {name: share", `on_demand_views[0].features[0].expression: at character 8: "your" is neither an input nor request data; there are mine, yours, k, line 11`},
		"expression: mine / (mine + yours)":      {`expression: "mine / (mine"`, `on_demand_views[0].features[1].expression: at character 13: want ")", not the end, line 11`},
		"{name: sum, type: int64":                {"{name: sum, type: string", "features[0].expression: gives a whole number, and the feature is of type string"},
		"{name: share, type: float64":            {"{name: share, type: int64", "say how with round, floor or ceil"},
		"{name: n, type: float64, expression: k": {"{name: n, type: bool, expression: k", `"bool" is not a type of an expression`},
		"expression: s * 2":                      {"expression: s > 2", "write if(…, 1, 0)"},
		`mine: "m:n"`:                            {`mine: "m:genres"`, "m:genres is of type string_list"},
		`yours: "u:n"`:                           {`yours: "u:nope"`, `there is no feature "u:nope"`},
		`s: "x:s"`:                               {`s: "o:sum"`, `there is no feature "o:sum"`},
		"k: int64":                               {"mine: int64", `"mine" is taken`},
		"request: {k: int64}":                    {"request: {user_id: int64}", "is a column of its own in every request"},
		"{k: int64}":                             {"{k: date}", `"date" is not a type of request data`},
		"name: p,":                               {"name: m,", `"m" is taken`},
		"expression: s * 2}":                     {"expression: 2}", "is a number, expected text"},
		", expression: k}":                       {"}", "on_demand_views[0].features[2].expression: is missing"},
		`"o:share"]`:                             {`"o:nope"]`, `view o has no feature "nope"`},
		"inputs: {s: \"x:s\"}":                   {"inputs: [s]", "is a list, expected a mapping"},
		`inputs: {mine: "m:n", `:                 {`inputs: {and: "m:n", `, `"and" is not a name`},
	} {
		if strings.Count(onDemand, old) != 1 {
			t.Fatalf("%q is there %d times", old, strings.Count(onDemand, old))
		}
		if _, err := Parse([]byte(strings.Replace(onDemand, old, c[0], 1))); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v\nwant %s", c[0], err, c[1])
		}
	}
}

// TestOnDemandHash: what counts is part of the hash, and files without on-demand views have the hash that they had.
func TestOnDemandHash(t *testing.T) {
	base := mustParse(t, onDemand)
	if mustParse(t, strings.Replace(onDemand, "name: p,", "name: p, description: words,", 1)).Hash() != base.Hash() {
		t.Error("a description counts")
	}
	if mustParse(t, strings.Replace(onDemand, "s * 2", "s * 3", 1)).Hash() == base.Hash() {
		t.Error("an expression does not count")
	}
	if b, err := json.Marshal(mustParse(t, DefaultYAML())); err != nil || strings.Contains(string(b), "on_demand") { // then their hash is what it was
		t.Errorf("definitions without on-demand views say something of them: %v", err)
	}
}

// TestDerivation: the same function finishes an online read and a join.
func TestDerivation(t *testing.T) {
	d := mustParse(t, onDemand)
	sel, err := d.Select([]string{"o:share", "m:mean", "o:sum", "m:n"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sel.Names(), " "); got != "share mean sum n" {
		t.Errorf("names: %s", got)
	}
	user, movie := NewState(User), NewState(Movie)
	facts := map[Entity][]Fact{User: {{TimeMillis: 5, Other: "1", Kind: "click"}}, Movie: {{TimeMillis: 5, Other: "a", Kind: "click"}, {TimeMillis: 6, Other: "b", Kind: "rating", Rating: 4}, {TimeMillis: 7, Other: "c", Kind: "click"}}}
	for e, s := range map[Entity]*State{User: user, Movie: movie} {
		for _, f := range facts[e] {
			s.Add(f)
		}
	}
	online := sel.AppendValues([]Value{{Name: "before"}}, Inputs{User: user, Movie: movie, UserID: "a", MovieID: "1", NowMillis: 10})
	if len(online) != 5 || online[1].Float != .75 || online[2].Float != 4 || online[3].Int != 4 || online[4].Int != 3 || online[1].EventTimeMillis != 7 {
		t.Errorf("online: %+v", online)
	}
	j := &Join{Selection: sel, Facts: source(map[Entity]map[string][]Fact{User: {"a": facts[User]}, Movie: {"1": facts[Movie]}})}
	columns, err := j.Historical([]Row{{UserID: "a", MovieID: "1", TimeMillis: 10}, {MovieID: "1", TimeMillis: 6}, {TimeMillis: 10}})
	if err != nil || len(columns) != 4 {
		t.Fatalf("%v %d", err, len(columns))
	}
	for i := range columns {
		if got, want := columns[i].Value(0), online[i+1]; got.Name != want.Name || got.Float != want.Float || got.Int != want.Int || got.Status != want.Status || got.EventTimeMillis != want.EventTimeMillis {
			t.Errorf("joined %+v, online %+v", got, want)
		}
	}
	if v := columns[0].Value(1); v.Status != NullValue || v.EventTimeMillis != 6 {
		t.Errorf("an unknown input: %+v", v)
	}
	if v := columns[0].Value(2); v.Status != NotFound {
		t.Errorf("of nobody: %+v", v)
	}
	if _, err := d.Select([]string{"p:twice"}, false); err == nil || !strings.Contains(err.Error(), "x:s is pushed") {
		t.Errorf("an input that is pushed: %v", err)
	}
	if _, err := d.Select([]string{"o:n", "m:n"}, false); err == nil || !strings.Contains(err.Error(), "both called n") {
		t.Errorf("two of one name: %v", err)
	}
	if sel, err := d.Select([]string{"o", "u:n"}, true); err != nil || strings.Join(sel.Names(), " ") != "o__sum o__share o__n u__n" || len(sel.Request()) != 1 {
		t.Errorf("a whole view: %v", err)
	}
}
