package features

import (
	"io"
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

// rowFile is a file read whole.
type rowFile struct {
	*RowReader
	Records [][]string
	Rows    []Row
}

func readRows(in string) (*rowFile, error) {
	r, err := NewRowReader(strings.NewReader(in), key)
	if err != nil {
		return nil, err
	}
	f := &rowFile{RowReader: r}
	for {
		record, err := r.Next()
		if err == io.EOF {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		row, err := r.Row()
		if err != nil {
			return nil, err
		}
		f.Records, f.Rows = append(f.Records, slices.Clone(record)), append(f.Rows, row)
	}
}

func (f *rowFile) write(t *testing.T, sel *Selection, columns []Column) string {
	t.Helper()
	var out strings.Builder
	w, err := NewRowWriter(&out, f.Header(), sel.Names())
	for row := range f.Records {
		var values []Value
		for i := range columns {
			values = append(values, columns[i].Value(row))
		}
		if err == nil {
			err = w.Write(f.Records[row], values)
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
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
	f, err := readRows(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check([]string{"movie_id"}, sel.Names()); err != nil {
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
	out := f.write(t, sel, columns)
	const want = "label,movie_id,event_timestamp,note,title,rating_mean,rating_count,genre\n" +
		"1,movie_1,2013-09-01T12:00:00Z,\"a, \"\"b\"\"\",\"The Long \"\"Night\"\"\",4.25,2,Drama|War\n" +
		"0,2,1378036800.5,,Laughter,,0,Comedy\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
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
		_, err := readRows(c.in)
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
	f, err := readRows(in)
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
	if out := f.write(t, sel, columns); !strings.Contains(out, "NaN,7.0,2013-09-01,,,1\n") {
		t.Errorf("%s", out)
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
		f, err := readRows(c.header + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check([]string{"movie_id"}, c.sel.Names()); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.header, err, c.says)
		}
	}
}
