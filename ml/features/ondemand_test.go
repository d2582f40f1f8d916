package features

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
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
  - {name: r, request: {hour: int64}, features: [{name: odd, type: int64, expression: hour % 2}]}
feature_services: [{name: all, features: [m, "o:sum", "o:share"]}, {name: said, features: [r]}]
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

// TestRequestValue: what rows say of a request counts to the bit as what a request says online.
func TestRequestValue(t *testing.T) {
	for _, typ := range requestTypes {
		f := &events.FeatureField{Name: "k", Type: typ}
		for _, raw := range []string{"", "null", "1", "-0", "-0.0", "5.0", "1e3", "0.1", "1e-310", "9007199254740993", "9223372036854775807", "1.7976931348623157e308", `"NaN"`, `"-Infinity"`, `"22"`, `"é\u0000"`, `""`, "true", "false", "1e999", "[1]", "{}", `"x"`} {
			form, err := Coerce(typ, []byte(raw))
			v, bad := RequestValue(f, []byte(raw))
			if (err == nil) != (bad == nil) {
				t.Errorf("%s %s: %v, online %v", typ, raw, bad, err)
			}
			if err != nil {
				if e := bad.(*fault.Error); e.Field != "k" || e.Hint == "" {
					t.Errorf("%s %s: %v", typ, raw, bad)
				}
				continue
			}
			got, want := OperandOf(&v), OperandJSON(typ, form, Present, 0)
			if got.operand != want.operand || math.Float64bits(got.float) != math.Float64bits(want.float) {
				t.Errorf("%s %s: %+v, online %+v", typ, raw, got, want)
			}
		}
	}
	for cell, want := range map[string]string{"": "", "NaN": "", " 5.0 ": `"5.0"`, "True": "", "x": `"x"`} {
		if got := string(RequestCell(&events.FeatureField{Type: "int64"}, cell)); got != want && cell != "True" {
			t.Errorf("%q: %s", cell, got)
		}
	}
	if got := string(RequestCell(&events.FeatureField{Type: "bool"}, "True")); got != "true" {
		t.Error(got)
	}
	if got := string(RequestCell(&events.FeatureField{Type: "string"}, "NaN")); got != `"NaN"` {
		t.Error(got)
	}
}

// TestDerivation_Request: a selection reads what is said, also where it reads nothing else.
func TestDerivation_Request(t *testing.T) {
	d := mustParse(t, onDemand)
	sel, err := d.Select([]string{"r", "o:n"}, true)
	if err != nil || len(sel.Request()) != 2 || sel.Request()[0].View != "r" {
		t.Fatal(err, sel)
	}
	v, err := RequestValue(&sel.Request()[0].FeatureField, []byte("7"))
	if err != nil {
		t.Fatal(err)
	}
	if got := sel.Saying([]Operand{OperandOf(&v), OperandOf(&v)}).AppendValues(nil, Inputs{}); got[0].Int != 1 || got[0].Status != Present || got[1].Float != 7 {
		t.Errorf("%+v", got)
	}
	if got := sel.AppendValues(nil, Inputs{}); got[0].Status != NullValue || got[1].Status != NotFound {
		t.Errorf("where nothing is said: %+v", got)
	}
	if sel, err = d.Select([]string{"r:odd"}, false); err != nil || sel.Names()[0] != "odd" || len(sel.AppendValues(nil, Inputs{})) != 1 {
		t.Errorf("of a request alone: %v", err)
	}
}

// TestDerivation_OtherType: an expression does not read an input that has another type than when it was written.
func TestDerivation_OtherType(t *testing.T) {
	d := mustParse(t, onDemand)
	later := mustParse(t, strings.NewReplacer("{name: n, aggregation: count}, {name: mean", "{name: n, type: float64, aggregation: count}, {name: mean", "expression: mine + yours", "expression: round(mine + yours)").Replace(onDemand))
	pinned := later.PinnedOnDemand("o@v1", d.OnDemandView("o"))
	if _, err := pinned.Select([]string{"o@v1:sum"}, false); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "m:n") {
		t.Errorf("%v", err)
	}
	lists := mustParse(t, "entities: [{name: movie, join_key: movie_id}]\nfeature_views: [{name: m, entity: movie, features: [{name: mean, aggregation: attribute, of: genres}]}]")
	means := mustParse(t, strings.NewReplacer(`{mine: "m:n"`, `{mine: "m:mean"`, "type: int64, expression: mine", "type: float64, expression: mine").Replace(onDemand))
	if _, err := lists.PinnedOnDemand("o@v1", means.OnDemandView("o")).Select([]string{"o@v1:sum"}, false); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "string_list") {
		t.Errorf("of a type that expressions do not take: %v", err)
	}
	if _, err := d.PinnedOnDemand("o@v1", d.OnDemandView("o")).Select([]string{"o@v1:sum"}, false); err != nil {
		t.Error(err)
	}
}
