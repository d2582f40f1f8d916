package features

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

func key(_ Entity, cell string) (string, error) {
	id, _, err := events.KeyOf(cell)
	return strings.TrimPrefix(strings.TrimPrefix(id, "movie_"), "user_"), err
}

func TestRowsRoundTrip(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, err := d.Select([]string{"movie_features:title", "movie_features:rating_mean", "movie_features:rating_count", "movie_features:genre"}, false)
	if err != nil {
		t.Fatal(err)
	}
	const in = "label,movie_id,event_timestamp,note\r\n" +
		"1,movie_1,2013-09-01T12:00:00Z,\"a, \"\"b\"\"\"\n" +
		"0,2,1378036800.5,\n"
	f, err := ReadRows(strings.NewReader(in), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(sel); err != nil {
		t.Fatal(err)
	}
	if f.Rows[0] != (Row{MovieID: "1", TimeMillis: at20130901(12)}) || f.Rows[1] != (Row{MovieID: "2", TimeMillis: at20130901(12) + 500}) {
		t.Fatalf("%+v", f.Rows)
	}
	facts := map[Entity]map[string][]Fact{Movie: {"1": {{TimeMillis: 1, Kind: "rating", Rating: 4.5}, {TimeMillis: 2, Kind: "rating", Rating: 4}}}}
	columns, err := (&Join{Selection: sel, Facts: source(facts), Catalogue: catalogue}).Historical(f.Rows)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.WriteRows(&out, columns); err != nil {
		t.Fatal(err)
	}
	const want = "label,movie_id,event_timestamp,note,title,rating_mean,rating_count,genre\n" +
		"1,movie_1,2013-09-01T12:00:00Z,\"a, \"\"b\"\"\",\"The Long \"\"Night\"\"\",4.25,2,Drama|War\n" +
		"0,2,1378036800.5,,Laughter,,0,Comedy\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestReadRowsErrors(t *testing.T) {
	const head = "user_id,event_timestamp\n"
	for _, c := range []struct{ in, says string }{
		{"", "line 1: the file is empty"},
		{"user_id,when\n", "it needs event_timestamp"},
		{"event_timestamp\n", "user_id, movie_id or both"},
		{"user_id,event_timestamp,user_id\n", "line 1, column 25 (user_id)"},
		{head + "1,2013-09-01\n2,yesterday\n", `line 3, column 3 (event_timestamp): "yesterday" is not a time`},
		{head + "1,5\n1,NaN\n", `line 3, column 3 (event_timestamp): "NaN" is not a time`},
		{head + "1,\n", `line 2, column 3 (event_timestamp): "" is not a time`},
		{head + "1,-5\n", "outside 1970 to 2100"},
		{head + "1,1378036800000000\n", "outside 1970 to 2100"},
		{head + "1,5\n1.5,5\n", "line 3, column 1 (user_id): is 1.5; want a whole number"},
		{head + "1,5,6\n", "line 2, column 1: wrong number of fields"},
		{head + "\"1,5\n", "line 2, column"},
	} {
		_, err := ReadRows(strings.NewReader(c.in), key)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %s", c.in, err, c.says)
		}
	}
}

// A cell without an id, and one of a column that pandas made floats of: the others are joined as ever.
func TestRowsOfGaps(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, err := d.Select([]string{"movie_features:title", "movie_features:rating_count", "user_features:rating_count"}, true)
	if err != nil {
		t.Fatal(err)
	}
	const in = "movie_id,user_id,event_timestamp\n1.0,,2013-09-01\nNaN,7.0,2013-09-01\n,7,2013-09-01\n2,null,2013-09-01\n"
	f, err := ReadRows(strings.NewReader(in), key)
	if err != nil {
		t.Fatal(err)
	}
	facts := map[Entity]map[string][]Fact{Movie: {"1": {{TimeMillis: 1, Kind: "rating", Rating: 4}}, "NaN": {{TimeMillis: 1, Kind: "rating", Rating: 4}}, "": {{TimeMillis: 1, Kind: "rating", Rating: 4}}},
		User: {"7": {{TimeMillis: 1, Kind: "rating", Rating: 4}}}}
	columns, err := (&Join{Selection: sel, Facts: source(facts), Catalogue: catalogue}).Historical(f.Rows)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row := range f.Rows {
		for _, c := range columns {
			v := c.Value(row)
			got = append(got, v.Status.String()+" "+string(v.AppendJSON(nil)))
		}
	}
	want := []string{`PRESENT "The Long \"Night\""`, "PRESENT 1", "NOT_FOUND null", "NOT_FOUND null", "NOT_FOUND null", "PRESENT 1",
		"NOT_FOUND null", "NOT_FOUND null", "PRESENT 1", `PRESENT "Laughter"`, "PRESENT 0", "NOT_FOUND null"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	var out bytes.Buffer
	if err := f.WriteRows(&out, columns); err != nil || !strings.Contains(out.String(), "NaN,7.0,2013-09-01,,,1\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestCheckRows(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, _ := d.Select([]string{"movie_features:rating"}, false)
	full, _ := d.Select([]string{"movie_features:rating"}, true)
	for _, c := range []struct {
		header string
		sel    *Selection
		says   string
	}{{"user_id,event_timestamp", sel, "no column movie_id"}, {"movie_id,event_timestamp,rating", sel, "full feature names"}, {"\ufeffmovie_id,event_timestamp,rating", full, ""}} {
		f, err := ReadRows(strings.NewReader(c.header+"\n"), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(c.sel); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.header, err, c.says)
		}
	}
}
