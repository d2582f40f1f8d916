package flight_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// declare applies a view of pushed values of a seat in a city, which expire after a day, beside a batch source called "seats".
func (f *fixture) declare() {
	const plainSource, sourceName = 7, 20
	f.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "sold", Entities: []string{"seat", "city"},
		JoinKeys:  []events.FeatureField{{Name: "seat", Type: "int64"}, {Name: "city", Type: "string"}},
		Features:  []events.FeatureField{{Name: "price", Type: "float32"}, {Name: "n", Type: "int64"}, {Name: "open", Type: "bool"}, {Name: "tags", Type: "string_list"}, {Name: "till", Type: "timestamp"}},
		TTLMillis: 86_400_000, PushSource: "sales", CreatedIn: "made", FeatureMeta: events.FeatureMeta{Project: "theatre", Spec: field(nil, plainSource, field(nil, sourceName, []byte("seats")))}}})
}

func texts(name string, values ...string) *arrow.Array {
	c := arrow.NewColumn(arrow.Text(name))
	for _, v := range values {
		if v == "-" {
			c.Null()
		} else {
			c.Text(v)
		}
	}
	return c.Array()
}

func floats(name string, values ...float64) *arrow.Array {
	c := arrow.NewColumn(arrow.Float64(name))
	for _, v := range values {
		if v < 0 {
			c.Null()
		} else {
			c.Float(v)
		}
	}
	return c.Array()
}

func truths(name string, values ...int64) *arrow.Array {
	c := arrow.NewColumn(arrow.Truth(name))
	for _, v := range values {
		c.Int(v)
	}
	return c.Array()
}

func lists(name string, values ...[]string) *arrow.Array {
	c := arrow.NewColumn(arrow.Texts(name))
	for _, v := range values {
		c.Texts(v)
	}
	return c.Array()
}

// sold are rows of that view.
func (f *fixture) sold(seat, city []string, at []string, price []float64, n []float64) []*arrow.Array {
	var ids []int64
	var open []int64
	var tags [][]string
	var till []string
	for i := range seat {
		var id int64
		fmt.Sscan(seat[i], &id)
		ids, open, tags, till = append(ids, id), append(open, int64(i%2)), append(tags, []string{"a", seat[i]}), append(till, "2024-07-01T00:00:00Z")
	}
	return []*arrow.Array{ints("seat", ids...), texts("city", city...), floats("price", price...), floats("n", n...), truths("open", open...), lists("tags", tags...), times(f.T, "till", till...),
		times(f.T, "event_timestamp", at...), times(f.T, "made", at...)}
}

func (f *fixture) write(view string, columns ...*arrow.Array) (status, message string) {
	f.T.Helper()
	_, status, message = f.call("DoPut", table(command(f.T, map[string]any{"api": "offline_write_batch", "feature_view_names": []string{view}, "name_aliases": []any{nil}, "progress": nil}), nil, columns...)...)
	return status, message
}

// recorded are the facts of pushed values that the log has.
func (f *fixture) recorded() (n int) {
	f.T.Helper()
	view := fold.Of[*projections.FeatureValues](f.Views)
	for entity, err := range view.PushedTo("sold") {
		f.Must(err)
		for row, err := range view.History("sold", entity, fold.At{}) {
			f.Must(err)
			if !row.Offline {
				f.T.Errorf("%s: a row that was written for training is served: %+v", entity, row)
			}
			n++
		}
	}
	return n
}

// TestOfflineWrite: a table is recorded as it is, once however often it comes, joined point in time and pulled as a table.
func TestOfflineWrite(t *testing.T) {
	f := newFixture(t)
	f.declare()
	day := func(n int) string { return fmt.Sprintf("2024-05-%02dT12:00:00Z", n) }
	rows := f.sold([]string{"1", "1", "1", "2", "1"}, []string{"ulm", "ulm", "ulm", "ulm", "bonn"}, []string{day(1), day(2), day(2), day(1), day(1)}, []float64{0.1, 2, 3.5, -1, 16777217}, []float64{1, 2, 3, 4, -1})
	if status, message := f.write("sold", rows...); status != "0" {
		t.Fatal(status, message)
	}
	if n := f.recorded(); n != 5 {
		t.Errorf("%d rows are recorded", n)
	}
	for range 2 { // again, whole
		if status, message := f.write("sold", rows...); status != "0" {
			t.Fatal(status, message)
		}
	}
	var half []*arrow.Array
	for _, c := range rows {
		half = append(half, c.Slice(0, 2))
	}
	// A part that was recorded before, with what follows it; of it alone the last of its time is not the last any more.
	if status, message := f.write("sold", half...); status != "0" {
		t.Fatal(status, message)
	}
	if n := f.recorded(); n != 6 {
		t.Errorf("%d rows are recorded: the one that counts again is, the others are known", n)
	}
	if status, message := f.write("sold", rows...); status != "0" { // the row that counted before
		t.Fatal(status, message)
	}
	if n := f.recorded(); n != 7 {
		t.Errorf("%d rows are recorded, not the one that counts again", n)
	}

	c := map[string]any{"api": "get_historical_features", "feature_refs": []string{"sold:price", "sold:n", "sold:open", "sold:tags", "sold:till", "movie_features:title"}, "feature_view_names": []string{"sold", "movie_features"},
		"name_aliases": []any{nil, nil}, "full_feature_names": true}
	// The entity of 7.0 is a column with gaps; of one row nobody, of one somebody of whom there is nothing, of one before all, of one after the ttl.
	keys := []*arrow.Array{floats("seat", 1, 1, 1, 2, 1, -1, 7, 1), texts("city", "ulm", "ulm", "ulm", "ulm", "bonn", "ulm", "ulm", "ulm"), ints("movie_id", 1, 2, 1, 1, 1, 1, 1, 1),
		times(t, "event_timestamp", day(1), day(2), day(3), day(1), "2024-05-01T12:00:00.000999999Z", day(1), day(1), "2024-05-03T12:00:00.001Z")}
	answers, status, message := f.call("DoExchange", table(command(t, c), nil, keys...)...)
	columns, got := f.read(answers)
	const till = "2024-07-01T00:00:00Z"
	bits := func(x string) string {
		return map[string]string{"0.1": "3dcccccd", "3.5": "40600000", "16777216": "4b800000"}[x]
	}
	at := func(i int) string {
		return []string{day(1), day(2), day(3), day(1), day(1), day(1), day(1), "2024-05-03T12:00:00.001Z"}[i]
	}
	want := []string{bits("0.1") + " 1 0 T1 " + till, bits("3.5") + " 3 0 T1 " + till, bits("3.5") + " 3 0 T1 " + till, "- 4 1 T1 " + till, bits("16777216") + " - 0 T1 " + till, "- - - - -", "- - - - -", "- - - - -"}
	if status != "0" || strings.Join(columns[4:], " ") != "sold__price sold__n sold__open sold__tags sold__till movie_features__title" || len(got) != len(want) {
		t.Fatalf("%s %s: %v, %d rows", status, message, columns, len(got))
	}
	for i, row := range got {
		cells := strings.Split(row, " ")
		line := strings.NewReplacer("2 texts", "T1").Replace(strings.Join(cells[4:len(cells)-1], " "))
		if cells[3] != at(i) || line != want[i] {
			t.Errorf("row %d is %q, want %q", i, row, want[i])
		}
	}

	pull := map[string]any{"api": "pull_latest_from_table_or_query", "data_source_name": "seats", "join_key_columns": []string{"city", "seat"}, "feature_name_columns": []string{"n"}, "timestamp_field": "event_timestamp",
		"created_timestamp_column": "made", "start_date": "2024-05-01T12:00:00", "end_date": "2024-05-02T12:00:00"}
	latest := []string{"1 bonn " + day(1) + " " + day(1) + " -", "1 ulm " + day(2) + " " + day(2) + " 3", "2 ulm " + day(1) + " " + day(1) + " 4"}
	all := append([]string{"1 ulm " + day(1) + " " + day(1) + " 1", "1 ulm " + day(2) + " " + day(2) + " 2", "1 ulm " + day(2) + " " + day(2) + " 3", "1 ulm " + day(2) + " " + day(2) + " 2"}, latest...)
	slices.Sort(all)
	for api, want := range map[string][]string{"pull_latest_from_table_or_query": latest, "pull_all_from_table_or_query": all} {
		pull["api"] = api
		answers, status, message := f.call("DoExchange", table(command(t, pull), nil, ints("key"))...)
		columns, rows := f.read(answers)
		if slices.Sort(rows); status != "0" || strings.Join(columns, " ") != "seat city event_timestamp made n" || !slices.Equal(rows, want) {
			t.Errorf("%s: %s %s %v\n%s\nwant\n%s", api, status, message, columns, strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
	}
	pull["api"], pull["end_date"] = "pull_latest_from_table_or_query", "2024-05-02T11:59:59.999"
	answers, status, message = f.call("DoExchange", table(command(t, pull), nil, ints("key"))...)
	if _, rows := f.read(answers); status != "0" || !slices.Contains(rows, "1 ulm "+day(1)+" "+day(1)+" 1") {
		t.Errorf("before: %s %s %q", status, message, rows)
	}
	answers, status, message = f.call("DoExchange", table(command(t, map[string]any{"api": "get_table_column_names_and_types_from_data_source", "data_source_proto": `{"name": "seats"}`}), nil, ints("key"))...)
	if _, rows := f.read(answers); status != "0" || strings.Join(rows, ", ") != "seat int64, city string, price float, n int64, open bool, tags list<item: string>, till timestamp[ms, tz=UTC], "+
		"event_timestamp timestamp[ms, tz=UTC], made timestamp[ms, tz=UTC]" {
		t.Errorf("columns: %s %s %q", status, message, rows)
	}
	if left, err := os.ReadDir(f.scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestOfflineWrite_Refused: what is wrong with a table is told with its column, and nothing of it is recorded.
func TestOfflineWrite_Refused(t *testing.T) {
	f := newFixture(t)
	f.declare()
	ok := func() map[string]*arrow.Array {
		all := map[string]*arrow.Array{}
		for _, c := range f.sold([]string{"1", "2"}, []string{"ulm", "ulm"}, []string{"2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z"}, []float64{1, 2}, []float64{1, 2}) {
			all[c.Field.Name] = c
		}
		return all
	}
	order := []string{"seat", "city", "price", "n", "open", "tags", "till", "event_timestamp", "made", "more"}
	send := func(columns map[string]*arrow.Array) (status, message string) {
		var all []*arrow.Array
		for _, name := range order {
			if columns[name] != nil {
				all = append(all, columns[name])
			}
		}
		return f.write("sold", all...)
	}
	for want, change := range map[string]func(map[string]*arrow.Array){
		"table[1].seat: ":                            func(c map[string]*arrow.Array) { c["seat"] = texts("seat", "1", "first") },
		"table[1].seat: a join key is missing":       func(c map[string]*arrow.Array) { c["seat"] = ints("seat", 1, -1) },
		"table[0].n: want a value of type int64":     func(c map[string]*arrow.Array) { c["n"] = floats("n", 1.5, 2) },
		"table[1].open: want a value of type bool":   func(c map[string]*arrow.Array) { c["open"] = texts("open", "-", "yes") },
		"table[1].tags: must be valid UTF-8":         func(c map[string]*arrow.Array) { c["tags"] = lists("tags", []string{"a"}, []string{"b", "\xff"}) },
		"table[0].tags: want a list of string":       func(c map[string]*arrow.Array) { c["tags"] = texts("tags", "a", "b") },
		"table[0].price: is too large for a float32": func(c map[string]*arrow.Array) { c["price"] = floats("price", 1e300, 1) },
		"table[0].event_timestamp: is missing":       func(c map[string]*arrow.Array) { c["event_timestamp"] = texts("event_timestamp", "-", "2024-05-01") },
		"table[1].event_timestamp: 2024-06-03T00:00:00": func(c map[string]*arrow.Array) {
			c["event_timestamp"] = texts("event_timestamp", "2024-05-01", "2024-06-03")
		},
		"table[0].made: ":                                           func(c map[string]*arrow.Array) { c["made"] = texts("made", "soon", "-") },
		"n: is not among the columns":                               func(c map[string]*arrow.Array) { delete(c, "n") },
		"event_timestamp: is not among the columns":                 func(c map[string]*arrow.Array) { delete(c, "event_timestamp") },
		"more: is no column of sold":                                func(c map[string]*arrow.Array) { c["more"] = ints("more", 1, 2) },
		"table[0].till: want a time":                                func(c map[string]*arrow.Array) { c["till"] = truths("till", 1, 1) },
		"table[0].city: the join keys have":                         func(c map[string]*arrow.Array) { c["city"] = texts("city", strings.Repeat("x", 2000), "ulm") },
		"table[0].till: want a time of the years 0 to 9999":         func(c map[string]*arrow.Array) { c["till"] = ints("till", 1700000000000000000, 1) },
		"table[1].city: must be valid UTF-8":                        func(c map[string]*arrow.Array) { c["city"] = texts("city", "ulm", "u\xff") },
		"table[0].city: must not hold the control character U+000A": func(c map[string]*arrow.Array) { c["city"] = texts("city", "u\nlm", "ulm") },
	} {
		columns := ok()
		change(columns)
		if status, message := send(columns); status != "3" || !strings.Contains(message, want) {
			t.Errorf("%s %q, want %q", status, message, want)
		}
	}
	floats32 := arrow.NewColumn(arrow.Float32("seat"))
	floats32.Float(1)
	floats32.Float(2)
	blobs := arrow.NewColumn(arrow.Blob("city"))
	blobs.Text("ulm")
	blobs.Text("\xff")
	nothing := func(name string) *arrow.Array {
		return &arrow.Array{Field: &arrow.Field{Name: name, Nullable: true, Type: arrow.Type{ID: arrow.Null}}, Len: 2, Nulls: 2}
	}
	for want, column := range map[string]*arrow.Array{ // of a type that cannot hold what the column is to hold
		"event_timestamp: holds no times; make it one of times": ints("event_timestamp", 1714564800, 1714564800),
		"event_timestamp: holds no times":                       truths("event_timestamp", 1, 1),
		"made: holds no times":                                  floats("made", 1714564800, 1714564800),
		"seat: holds no ids; give whole numbers or texts":       times(t, "seat", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00Z"),
		"seat: holds no ids":                                    floats32.Array(),
		"city: holds no ids":                                    truths("city", 0, 1),
		"city: holds no ids; give":                              lists("city", []string{"ulm"}, []string{"bonn"}),
		"city: holds no ids; give whole":                        blobs.Array(),
		"table[0].event_timestamp: is missing":                  nothing("event_timestamp"),
		"table[0].seat: a join key is missing":                  nothing("seat"),
	} {
		columns := ok()
		columns[column.Field.Name] = column
		if status, message := send(columns); status != "3" || !strings.Contains(message, want) {
			t.Errorf("%s %q, want %q", status, message, want)
		}
	}
	if n := f.recorded(); n != 0 {
		t.Errorf("%d rows are recorded of tables that were refused", n)
	}
	// A naive time is in UTC, a text is a time too, and what pandas adds is passed over.
	columns := ok()
	columns["event_timestamp"], columns["made"] = texts("event_timestamp", "2024-05-01 12:00:00", "2024-05-01T14:00:00+02:00"), texts("made", "-", "2024-05-01")
	columns["more"] = ints("__index_level_0__", 1, 2)
	if status, message := send(columns); status != "0" {
		t.Fatal(status, message)
	}
	for _, seat := range []string{"1", "2"} {
		for row, err := range fold.Of[*projections.FeatureValues](f.Views).History("sold", "city=ulm&seat="+seat, fold.At{}) {
			f.Must(err)
			if at := events.FormatTime(events.TimeOf(row.EventMillis)); at != "2024-05-01T12:00:00.000Z" {
				t.Errorf("%s: %s", seat, at)
			}
		}
	}
	if n := f.recorded(); n != 2 {
		t.Errorf("%d rows", n)
	}
	for view, want := range map[string]string{"nope": "2 FeatureViewNotFoundException", "user_features": "3 is computed from the log"} {
		status, message := f.write(view, ints("user_id", 1))
		if code, text, _ := strings.Cut(want, " "); status != code || !strings.Contains(message, text) {
			t.Errorf("%s: %s %s", view, status, message)
		}
	}
	if left, err := os.ReadDir(f.scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestOfflineWrite_CreatedIsAFeature: what is called "created" and is a feature, of the view or of another of its source, is not when the
// values were computed.
func TestOfflineWrite_CreatedIsAFeature(t *testing.T) {
	f := newFixture(t)
	const plainSource, sourceName = 7, 20
	declare := func(view, feature string) {
		f.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: view, Entities: []string{"seat"}, JoinKeys: []events.FeatureField{{Name: "seat", Type: "int64"}},
			Features: []events.FeatureField{{Name: feature, Type: "int64"}}, FeatureMeta: events.FeatureMeta{Project: "theatre", Spec: field(nil, plainSource, field(nil, sourceName, []byte("seats")))}}})
	}
	declare("sold", "created")
	declare("free", "n")
	columns := []*arrow.Array{ints("seat", 1), ints("created", 7), ints("n", 8), times(t, "event_timestamp", "2024-05-01T12:00:00Z")}
	for view, want := range map[string]string{"sold": `{"created":7}`, "free": `{"n":8}`} {
		if status, message := f.write(view, columns...); status != "0" {
			t.Fatal(view, status, message)
		}
		for row, err := range fold.Of[*projections.FeatureValues](f.Views).History(view, "seat=1", fold.At{}) {
			f.Must(err)
			if got, err := json.Marshal(row.Values); err != nil || string(got) != want || row.Created != "" {
				t.Errorf("%s: %s created %q, %v", view, got, row.Created, err)
			}
		}
	}
}

// TestHistorical_PushedRefused: rows that cannot be joined with pushed values are told with the column and the row.
func TestHistorical_PushedRefused(t *testing.T) {
	f := newFixture(t)
	f.declare()
	at := times(t, "event_timestamp", "2024-05-01T12:00:00Z")
	c := map[string]any{"api": "get_historical_features", "feature_refs": []string{"sold:price"}, "feature_view_names": []string{"sold"}, "name_aliases": []any{nil}}
	d := command(t, c)
	for want, columns := range map[string][]*arrow.Array{
		"city: is not among the columns":                                {ints("seat", 1), at},
		"seat: holds no ids":                                            {times(t, "seat", "2024-05-01T12:00:00Z"), texts("city", "ulm"), at},
		`entity_df[0].seat: "first" is no whole number`:                 {texts("seat", "first"), texts("city", "ulm"), at},
		`entity_df[0].seat: "1.5" is no whole number`:                   {floats("seat", 1.5), texts("city", "ulm"), at},
		"price: has the name of a feature":                              {ints("seat", 1), texts("city", "ulm"), at, ints("price", 1)},
		"entity_df[0].city: must not hold the control character U+0000": {ints("seat", 1), texts("city", "u\x00lm"), at},
		"entity_df[0].city: the join keys have 2":                       {ints("seat", 1), texts("city", strings.Repeat("x", 2000)), at},
	} {
		f.refused(d, nil, columns, "3", want)
	}
	c["feature_refs"] = []string{"sold:nope"}
	f.refused(command(t, c), nil, []*arrow.Array{ints("seat", 1), texts("city", "ulm"), at}, "2", "FeastObjectNotFoundException")
}

// TestBatches_OfLongValues: a batch of an answer is bounded by what its values take, of few rows too.
func TestBatches_OfLongValues(t *testing.T) {
	f := newFixture(t)
	f.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "plots", Entities: []string{"movie"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
		Features: []events.FeatureField{{Name: "plot", Type: "string"}}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}})
	const n, long = 24, 800_000
	const day = "2024-05-01T12:00:00Z"
	if status, message := f.write("plots", ints("movie_id", 1), texts("plot", strings.Repeat("p", long)), times(t, "event_timestamp", day)); status != "0" {
		t.Fatal(status, message)
	}
	c := map[string]any{"api": "get_historical_features", "feature_refs": []string{"plots:plot"}, "feature_view_names": []string{"plots"}, "name_aliases": []any{nil}}
	answers, status, message := f.call("DoExchange", table(command(t, c), nil, ints("movie_id", slices.Repeat([]int64{1}, n)...), times(t, "event_timestamp", slices.Repeat([]string{day}, n)...))...)
	_, rows := f.read(answers)
	if status != "0" || len(rows) != n || len(answers) != 3 {
		t.Fatalf("%s %s: %d rows in %d messages", status, message, len(rows), len(answers))
	}
	for _, b := range answers {
		if len(b) > 16<<20+long+1000 {
			t.Errorf("a message of %d bytes", len(b))
		}
	}
}

// TestPushedOfNobody: a view of no entity has one row at a time, which every row of a table is joined with, also under another name.
func TestPushedOfNobody(t *testing.T) {
	f := newFixture(t)
	f.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "sold", JoinKeys: []events.FeatureField{{Name: "__dummy_id", Type: "string"}},
		Features: []events.FeatureField{{Name: "total", Type: "int32"}}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}})
	at := times(t, "event_timestamp", "2024-05-01T12:00:00Z", "2024-05-02T12:00:00Z")
	for range 2 {
		if status, message := f.write("sold", ints("total", 7, 8), at); status != "0" {
			t.Fatal(status, message)
		}
	}
	if n := f.recorded(); n != 2 {
		t.Errorf("%d rows", n)
	}
	c := map[string]any{"api": "get_historical_features", "feature_refs": []string{"other:total"}, "feature_view_names": []string{"sold"}, "name_aliases": []any{"other"}, "full_feature_names": true}
	answers, status, message := f.call("DoExchange", table(command(t, c), nil, times(t, "event_timestamp", "2024-05-01T11:59:59Z", "2024-05-02T11:59:59Z", "2024-05-02T12:00:00Z"))...)
	columns, rows := f.read(answers)
	if got := strings.Join(rows, ", "); status != "0" || strings.Join(columns, " ") != "event_timestamp other__total" || got != "2024-05-01T11:59:59Z -, 2024-05-02T11:59:59Z 7, 2024-05-02T12:00:00Z 8" {
		t.Errorf("%s %s: %v %s", status, message, columns, got)
	}
	pull := map[string]any{"api": "pull_latest_from_table_or_query", "data_source_name": "sold", "join_key_columns": []string{}, "feature_name_columns": []string{"total"}, "timestamp_field": "at"}
	answers, status, message = f.call("DoExchange", table(command(t, pull), nil, ints("key"))...)
	if _, rows := f.read(answers); status != "0" || strings.Join(rows, ", ") != "2024-05-02T12:00:00Z 8" {
		t.Errorf("%s %s: %q", status, message, rows)
	}
}

// TestHistorical_RequestData: what expressions want of a request is a column of the DataFrame, and Feast's own error where there is none.
func TestHistorical_RequestData(t *testing.T) {
	f := newFixture(t)
	f.declare()
	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", `
on_demand_views:
  - name: asked
    inputs: {age: "user_features:age"}
    request: {hour: int64, share: float64, mood: string, home: bool}
    features: [{name: is, type: int64, expression: "if(hour >= 22 and home, age, 0)"}, {name: part, type: float64, expression: "age * share"}, {name: what, type: string, expression: mood}]
feature_views:`, 1)
	defs, err := features.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f.Do(&commands.DefineFeatures{Definitions: text, Hash: defs.Hash()})
	d := command(t, map[string]any{"api": "get_historical_features", "feature_refs": []string{"asked:is", "asked:part", "asked:what", "sold:price"}, "feature_view_names": []string{"asked", "sold"}, "name_aliases": []any{nil, nil}})
	at := times(t, "event_timestamp", "2024-06-01T00:00:00Z", "2024-06-01T00:00:00Z", "2024-06-01T00:00:00Z")
	rest := []*arrow.Array{ints("seat", 1, 1, 1), texts("city", "ulm", "ulm", "ulm"), at, texts("mood", "a", "-", ""), truths("home", 1, 1, 0)}
	answers, status, message := f.call("DoExchange", table(d, nil, append([]*arrow.Array{ints("user_id", 1, 1, -1), floats("hour", 23, -1, math.NaN()), floats("share", .1, math.NaN(), .5)}, rest...)...)...)
	if _, got := f.read(answers); status != "0" || len(got) != 3 || !strings.HasSuffix(got[0], "34 400b333333333334 a -") || !strings.HasSuffix(got[1], "- - - -") || !strings.HasSuffix(got[2], "- -  -") {
		t.Errorf("%s %s: %q", status, message, got)
	}
	one := func(a ...*arrow.Array) []*arrow.Array {
		return append(a, ints("user_id", 1), ints("seat", 1), texts("city", "ulm"), times(t, "event_timestamp", "2024-06-01T00:00:00Z"), texts("mood", "a"), truths("home", 1))
	}
	f.refused(d, nil, one(floats("share", .1)), "2", `RequestDataNotFoundInEntityDfException","message":"Feature hour not found in the entity dataframe, but required by feature view asked"`)
	f.refused(d, nil, one(floats("share", .1), texts("hour", "late")), "3", "entity_df[0].hour: want a value of type int64")
	f.refused(d, nil, one(floats("share", .1), floats("hour", 1.5)), "3", "entity_df[0].hour: want a value of type int64")
	f.refused(d, nil, one(texts("share", "x"), ints("hour", 1)), "3", "entity_df[0].share: want a value of type float64")
}
