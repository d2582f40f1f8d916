package featurestore

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

const hour = int64(3_600_000)

// pushedFact is what was pushed, as the test has it: values as they are to be read, "" for null.
type pushedFact struct {
	view            string
	movie, seat     int
	city            string
	event, recorded int64
	offline         bool
	values          map[string]string
}

// pushedTypes are of features, with values as they are sent and as they are read.
var pushedTypes = []struct {
	name, typ string
	values    [][2]string
}{
	{"f64", "float64", [][2]string{{"0.1", "0.1"}, {"-3", "-3"}, {"1e300", "1e+300"}, {`"NaN"`, `"NaN"`}, {`"-Infinity"`, `"-Infinity"`}}},
	{"f32", "float32", [][2]string{{"0.1", "0.1"}, {"2", "2.0"}}},
	{"i64", "int64", [][2]string{{"9007199254740993", "9007199254740993"}, {"-1.0", "-1"}}},
	{"i32", "int32", [][2]string{{"7", "7"}}},
	{"yes", "bool", [][2]string{{"true", "true"}, {"false", "false"}}},
	{"text", "string", [][2]string{{`"é|,\""`, `"é|,\""`}, {`""`, `""`}}},
	{"raw", "bytes", [][2]string{{`"AQI="`, `"AQI="`}}},
	{"at", "timestamp", [][2]string{{`"2023-11-14T22:13:20Z"`, "1700000000"}, {"5", "5"}}},
	{"words", "string_list", [][2]string{{`["a","b"]`, `["a","b"]`}, {"[]", "[]"}}},
	{"scores", "float64_list", [][2]string{{`[1,2.5,"NaN"]`, `[1.0,2.5,"NaN"]`}}},
	{"flags", "bool_list", [][2]string{{"[true,false]", "[true,false]"}}},
}

// pushedHistory is a store with random pushes to "film", of one join key and for ever, and "place", of two, which expires.
func pushedHistory(t *testing.T, rng *rand.Rand) (*Store, *Registry, []pushedFact) {
	t.Helper()
	now := day0
	f, d, caughtUp := opened(t, func() time.Time { return now })
	var fields []events.FeatureField
	for _, x := range pushedTypes {
		fields = append(fields, events.FeatureField{Name: x.name, Type: x.typ})
	}
	for _, v := range []events.FeatureViewApplied{
		{View: "film", Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}}, Features: fields, PushSource: "p"},
		{View: "place", Entities: []string{"seat", "city"}, JoinKeys: []events.FeatureField{{Name: "seat", Type: "int32"}, {Name: "city", Type: "string"}}, Features: fields, TTLMillis: 5 * hour, PushSource: "p"},
	} {
		v.Project = "test"
		if _, err := d.Dispatch(t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: v}, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	var all []pushedFact
	for range 400 {
		now = now.Add(time.Duration(rng.IntN(90)) * time.Minute)
		p := pushedFact{view: []string{"film", "place"}[rng.IntN(2)], movie: 1 + rng.IntN(3), seat: 1 + rng.IntN(2), city: []string{"a&b", "c=d"}[rng.IntN(2)],
			event: now.UnixMilli() - int64(rng.IntN(40))*hour/2, recorded: now.UnixMilli(), values: map[string]string{}}
		p.event -= p.event % hour // so that many are of one time
		p.offline = p.view == "place" && rng.IntN(3) == 0
		sent := map[string]json.RawMessage{}
		for _, x := range pushedTypes {
			switch v := x.values[rng.IntN(len(x.values))]; rng.IntN(8) {
			case 0: // not sent: the feature was not declared then
			case 1:
				sent[x.name] = json.RawMessage("null")
			case 2:
				sent[x.name] = json.RawMessage(`[[1]]`) // of another type, pushed by somebody who is not asked
				if err := (&events.FeatureValues{EntityKey: "x", View: "x", Timestamp: events.FormatTime(now), Values: sent}).Validate(); err == nil {
					t.Fatal("a nested list is taken")
				}
				sent[x.name] = json.RawMessage(`["x",1]`)
			default:
				sent[x.name], p.values[x.name] = json.RawMessage(v[0]), v[1]
			}
		}
		sent["gone"] = json.RawMessage("1") // a feature that was dropped from the view
		fact := events.FeatureValues{View: p.view, EntityKey: p.key(), Values: sent, Timestamp: events.FormatTime(time.UnixMilli(p.event)), Offline: p.offline}
		for range 1 + rng.IntN(2) { // half of them twice
			if _, err := d.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: fact}}, handlers.Meta{Actor: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, p)
	}
	caughtUp()
	reg, err := f.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return f, reg, all
}

func (p *pushedFact) key() string {
	if p.view == "film" {
		return "movie_id=" + strconv.Itoa(p.movie)
	}
	return "city=" + map[string]string{"a&b": "a%26b", "c=d": "c%3Dd"}[p.city] + "&seat=" + strconv.Itoa(p.seat)
}

// joinedNaively is what a row sees: one look at every fact.
func joinedNaively(all []pushedFact, view, key string, ttl, at, known int64, how Historical) (*pushedFact, features.Status) {
	var last *pushedFact
	for i := range all {
		p := &all[i]
		if p.view != view || p.key() != key || p.event > at || how.Exclusive && p.event == at || how.AtRow && p.recorded > at || known > 0 && p.recorded > known {
			continue
		}
		if last == nil || p.event >= last.event { // of one time the last in the log
			last = p
		}
	}
	switch {
	case last == nil:
		return nil, features.NotFound
	case ttl > 0 && last.event+ttl < at:
		return nil, features.OutsideMaxAge
	}
	return last, features.Present
}

// TestHistorical_Pushed: random histories of pushed values are joined as one look at every fact has it: late facts, facts twice and of the
// same time, nulls, features that came and went, expired ones, entities of whom there is nothing, and nobody.
func TestHistorical_Pushed(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 7))
		f, reg, all := pushedHistory(t, rng)
		refs := []string{"place", "film:i64", "film:f64"}
		for _, x := range pushedTypes[1:2] {
			refs = append(refs, "film:"+x.name)
		}
		sel, err := reg.Selection(refs, true)
		if err != nil {
			t.Fatal(err)
		}
		var rows []Row
		var keys [][2]string
		for range 300 {
			p := all[rng.IntN(len(all))]
			film, place := pushedFact{view: "film", movie: 1 + rng.IntN(4)}, pushedFact{view: "place", seat: 1 + rng.IntN(3), city: p.city}
			key := [2]string{film.key(), place.key()}
			for i := range key {
				if rng.IntN(12) == 0 {
					key[i] = "" // nobody
				}
			}
			at := p.event + []int64{0, 0, 5 * hour, p.recorded - p.event}[rng.IntN(4)] + int64(rng.IntN(3)-1)
			rows, keys = append(rows, Row{Row: features.Row{TimeMillis: at}, Keys: []string{key[1], key[0]}}), append(keys, key)
		}
		seen := map[features.Status]int{}
		for _, how := range []Historical{{}, {Exclusive: true}, {AtRow: true}, {AtRow: true, Exclusive: true}, {At: fold.At{RecordedMillis: all[len(all)/2].recorded}},
			{AtRow: true, At: fold.At{RecordedMillis: all[len(all)/2].recorded}}} {
			how.Selection = sel
			for _, size := range []int{0, 120 * len(sel.columns)} {
				how.Scratch, how.chunkValues = filepath.Join(t.TempDir(), "scratch"), size
				if size > 0 {
					how.keysMemory, how.valuesMemory = 1, 1
				}
				got, err := collected(f.Historical(t.Context(), how, eachRow(rows)))
				if err != nil || len(got) != len(rows) {
					t.Fatalf("%d rows, %v", len(got), err)
				}
				for i := range rows {
					n := 0
					check := func(view, key string, ttl int64, name string) {
						v := got[i][n]
						n++
						last, status := (*pushedFact)(nil), features.NotFound
						if key != "" {
							last, status = joinedNaively(all, view, key, ttl, rows[i].TimeMillis, how.At.RecordedMillis, how)
						}
						want := "null"
						if last != nil {
							if want = last.values[name]; want == "" {
								want, status = "null", features.NullValue
							}
						}
						seen[status]++
						if text := string(v.AppendJSON(nil)); v.Status != status || text != want || v.Name != view+"__"+name {
							t.Fatalf("seed %d, %+v, row %d of %s at %d: %s is %s %s, want %s %s", seed, how, i, key, rows[i].TimeMillis, v.Name, v.Status, text, status, want)
						}
					}
					for _, x := range pushedTypes {
						check("place", keys[i][1], 5*hour, x.name)
					}
					for _, name := range []string{"i64", "f64", "f32"} {
						check("film", keys[i][0], 0, name)
					}
				}
				emptied(t, how.Scratch)
			}
		}
		for _, status := range []features.Status{features.Present, features.NullValue, features.NotFound, features.OutsideMaxAge} {
			if seen[status] < 100 {
				t.Errorf("only %d values are %s: the histories do not try it", seen[status], status)
			}
		}
	}
}

func eachRow(rows []Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// TestPushedServedThenJoined: what was served of pushed values at a moment, as it was known then, is what a row of that moment is joined
// with, to the bit; and now too.
func TestPushedServedThenJoined(t *testing.T) {
	f, reg, all := pushedHistory(t, rand.New(rand.NewPCG(11, 12)))
	x := reg.ExternalNamed("film") // nothing of it is for training alone
	sel, err := reg.Selection([]string{"film"}, false)
	if err != nil {
		t.Fatal(err)
	}
	present := 0
	names := sel.Names()
	for i := 0; i < len(all); i += 3 {
		known := fold.At{RecordedMillis: all[i].recorded}
		at := known
		at.EventMillis = all[i].recorded
		if i+3 >= len(all) { // now
			at, known = fold.At{}, fold.At{}
		}
		for movie := range 5 {
			key := fmt.Sprintf("movie_id=%d", movie)
			served, err := f.ReadPushed(t.Context(), nil, x, names, key, at, all[i].recorded)
			if err != nil {
				t.Fatal(err)
			}
			joined, err := collected(f.Historical(t.Context(), Historical{Selection: sel, At: known, Scratch: t.TempDir()}, eachRow([]Row{{Row: features.Row{TimeMillis: all[i].recorded}, Keys: []string{key}}})))
			if err != nil {
				t.Fatal(err)
			}
			for k := range names {
				v := &joined[0][k]
				text := string(v.AppendJSON(nil))
				if v.Type == features.Float64 && v.Status == features.Present { // where it is whole, Feast's form has a point
					text = string(features.AppendFloat(nil, v.Float, 64))
				}
				if v.Status == features.Present {
					present++
				}
				if v.Status != served[k].Status || text != string(served[k].JSON) {
					t.Fatalf("%s of %s at %d: served %s %s, joined %s %s", names[k], key, all[i].recorded, served[k].Status, served[k].JSON, v.Status, text)
				}
			}
		}
	}
	if present < 500 {
		t.Errorf("%d values were present: the history does not try it", present)
	}
}

// TestPushedTable_Of1970: the end of a table may be the first moment that there is; what comes after it is not in it.
func TestPushedTable_Of1970(t *testing.T) {
	f, d, caughtUp := opened(t, func() time.Time { return day0 })
	if _, err := d.Dispatch(t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "film", Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
		Features: []events.FeatureField{{Name: "n", Type: "int64"}}, PushSource: "p", FeatureMeta: events.FeatureMeta{Project: "test"}}}, handlers.Meta{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	var facts []commands.Fact
	for i, at := range []string{"1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "2024-01-01T00:00:00Z"} {
		facts = append(facts, &commands.PushFeatureValues{FeatureValues: events.FeatureValues{View: "film", EntityKey: "movie_id=1", Values: map[string]json.RawMessage{"n": json.RawMessage(strconv.Itoa(i))}, Timestamp: at}})
	}
	facts = append(facts, &commands.PushFeatureValues{FeatureValues: events.FeatureValues{View: "film", EntityKey: "movie_id=2", Values: map[string]json.RawMessage{"n": json.RawMessage("9")}, Timestamp: "2024-01-01T00:00:00Z"}})
	if _, err := d.Publish(t.Context(), facts, handlers.Meta{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	caughtUp()
	reg, err := f.Registry()
	if err != nil {
		t.Fatal(err)
	}
	x := reg.ExternalNamed("film")
	for to, want := range map[int64]string{0: "0 | 0 ", 1000: "1 | 0 1 ", events.TimeMillisEnd - 1: "2 9 | 0 1 2 9 "} {
		got := ""
		for _, all := range []bool{false, true} {
			if all {
				got += "| "
			}
			for row, err := range f.PushedTable(t.Context(), x, []*events.FeatureField{x.Feature("n")}, 0, to, all) {
				if err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprint(row.Values[0].Int, " ")
			}
		}
		if got != want {
			t.Errorf("up to %d: %q, want %q", to, got, want)
		}
	}
	known, _ := filled(t)
	if err := known.moments(t.Context(), features.Movie, 0, 0, func(row Row) error { return fmt.Errorf("a fact at %d", row.TimeMillis) }); err != nil {
		t.Errorf("facts up to 1970: %v", err)
	}
}

// TestSelect: features of computed and of pushed views stand in the order in which they are asked for, and two of one name are told apart.
func TestSelect(t *testing.T) {
	_, reg, _ := pushedHistory(t, rand.New(rand.NewPCG(1, 1)))
	defs, err := features.Parse([]byte(features.DefaultYAML()))
	if err != nil {
		t.Fatal(err)
	}
	reg = newRegistry(defs, reg.Declared)
	sel, err := reg.Selection([]string{"film:i64", "movie_features:title", "place:text", "user_features:age", "film:f32"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(sel.Names(), sel.Needs(), len(sel.keys)), "[i64 title text age f32] [user_id movie_id seat city] 2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for want, refs := range map[string][]string{
		"film:i64 and place:i64 are both called i64": {"film:i64", "place:i64"}, "film:i64 and film:i64": {"film:i64", "film"}, `no feature "nope"`: {"film:nope"}, "nope": {"film", "nope:x"}} {
		if _, err := reg.Selection(refs, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", refs, err, want)
		}
	}
}
