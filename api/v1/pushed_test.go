package v1_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/parquet"
)

// pushes declares a view of pushed values of a seat in a city, and pushes some: two of one time, and one that is late.
func (w *fixture) pushes() {
	w.t.Helper()
	_, err := w.cfg.Dispatcher.Dispatch(w.t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "sold", Entities: []string{"seat"},
		JoinKeys: []events.FeatureField{{Name: "seat", Type: "int64"}, {Name: "city", Type: "string"}}, TTLMillis: 86_400_000,
		Features: []events.FeatureField{{Name: "price", Type: "float32"}, {Name: "open", Type: "bool"}, {Name: "till", Type: "timestamp"}, {Name: "tags", Type: "string_list"}, {Name: "odds", Type: "float64"},
			{Name: "marks", Type: "int32_list"}, {Name: "seal", Type: "bytes"}}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	res, err := w.cfg.Dispatcher.Dispatch(w.t.Context(), &commands.ApplyFeatureService{FeatureServiceApplied: events.FeatureServiceApplied{Service: "hall",
		Features: []string{"movie_features:title", "sold:price"}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	w.push("2024-03-08T00:00:00Z", "1.0", "false")
	w.push("2024-03-08T00:00:00Z", "0.1", "true")
	w.push("2024-03-07T00:00:00Z", "7.5", "true") // late
}

func (w *fixture) push(at, price, open string) {
	w.t.Helper()
	values := map[string]json.RawMessage{"price": json.RawMessage(price), "open": json.RawMessage(open), "till": json.RawMessage("1700000000"), "tags": json.RawMessage(`["a","b"]`),
		"odds": json.RawMessage(`"NaN"`), "marks": json.RawMessage("[1,2]"), "seal": json.RawMessage(`"AQI="`)}
	p, err := w.cfg.Dispatcher.Publish(w.t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "city=ulm&seat=1", View: "sold", Values: values, Timestamp: at}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.core.Settle(w.t.Context(), p.Positions, "feature-values")
}

func (w *fixture) joinedAs(kind, query string, body []byte, status int) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("POST", "/api/v1/features/historical"+query, bytes.NewReader(body))
	r.Host = "localhost:8000"
	r.Header.Set("Content-Type", kind)
	out := httptest.NewRecorder()
	if w.server.ServeHTTP(out, r); out.Code != status {
		w.t.Fatalf("%s: %d: %.600s", kind, out.Code, out.Body)
	}
	return out
}

// TestHistorical_Pushed: pushed values stand beside computed ones, in every form of a table.
func TestHistorical_Pushed(t *testing.T) {
	w := newFixture(t)
	w.pushes()
	const refs = "movie_features:title,sold:price,sold:open,sold:till,sold:tags,sold:odds,sold:marks,sold:seal,user_features:interaction_count"
	table := "seat,city,movie_id,user_id,event_timestamp\n" +
		"1,ulm,3,3,2024-03-08T00:00:00Z\n" + // the last of its time
		"1.0,ulm,3,,2024-03-07 12:00:00\n" + // the late one; a naive time
		",ulm,3,3,2024-03-08\n" + // nobody
		"2,ulm,3,3,2024-03-08\n" + // of whom there is nothing
		"1,ulm,3,3,2024-03-09T00:00:00.001Z\n" + // expired
		"1,ulm,3,3,2024-03-06T23:59:59.999Z\n" // before all
	got := w.joinedAs("text/csv", "?features="+refs, []byte(table), 200).Body.String()
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	w.must(err)
	if strings.Join(rows[0], " ") != "seat city movie_id user_id event_timestamp title price open till tags odds marks seal interaction_count" {
		t.Errorf("%v", rows[0])
	}
	const none = "||||||"
	for i, want := range []string{"0.1|true|2023-11-14T22:13:20Z|a|b|NaN|1|2|AQI=", "7.5|true|2023-11-14T22:13:20Z|a|b|NaN|1|2|AQI=", none, none, none, none} {
		if line := strings.Join(rows[i+1][6:13], "|"); line != want || rows[i+1][5] == "" {
			t.Errorf("row %d: %q, want %q", i, rows[i+1], want)
		}
	}

	body := `{"rows":[{"seat":"1","city":"ulm","event_timestamp":"2024-03-08"},{"seat":1.0,"city":"ulm","event_timestamp":"2024-03-07T12:00:00+00:00"},{"seat":null,"city":"ulm","event_timestamp":"2024-03-08"}],"view":"sold"}`
	var v struct {
		Rows []map[string]json.RawMessage
		Hash string `json:"definitions_hash"`
	}
	w.must(json.Unmarshal(w.joinedAs("application/json", "", []byte(body), 200).Body.Bytes(), &v))
	for i, want := range []string{`0.1 true 1700000000 ["a","b"] "NaN" [1,2] "AQI="`, `7.5 true 1700000000 ["a","b"] "NaN" [1,2] "AQI="`, "null null null null null null null"} {
		var cells []string
		for _, name := range []string{"price", "open", "till", "tags", "odds", "marks", "seal"} {
			cells = append(cells, string(v.Rows[i][name]))
		}
		if got := strings.Join(cells, " "); got != want {
			t.Errorf("row %d: %s, want %s", i, got, want)
		}
	}

	// In Parquet the columns have the types of their values.
	fields := []*arrow.Field{arrow.Int64("seat"), arrow.Text("city"), arrow.Text("event_timestamp")}
	seat, city, at := arrow.NewColumn(fields[0]), arrow.NewColumn(fields[1]), arrow.NewColumn(fields[2])
	for i, when := range []string{"2024-03-08", "2024-03-07T12:00:00Z", "2024-03-08"} {
		if city.Text("ulm"); i < 2 {
			seat.Int(1)
		} else {
			seat.Null()
		}
		at.Text(when)
	}
	var file bytes.Buffer
	out := parquet.NewWriter(&file, nil, fields, nil)
	w.must(out.Group(3, []*arrow.Array{seat.Array(), city.Array(), at.Array()}))
	w.must(out.Close())
	b := w.joinedAs("application/vnd.apache.parquet", "?features=sold:price,sold:open,sold:till,sold:odds,sold:seal", file.Bytes(), 200).Body.Bytes()
	f, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	w.must(err)
	n, columns, err := f.Group(0)
	w.must(err)
	var read []string
	for i := range n {
		for _, c := range columns[3:] {
			switch typ := c.Field.Type; {
			case !c.Valid(i):
				read = append(read, "-")
			case typ.ID == arrow.Bool:
				read = append(read, fmt.Sprint(c.Buffers[1][i/8]>>(i%8)&1))
			case typ.ID == arrow.Binary:
				read = append(read, fmt.Sprintf("%x", c.Bytes(i)))
			case typ.ID == arrow.Timestamp:
				read = append(read, fmt.Sprint(typ.Zone, typ.Unit, c.Int64(i)))
			default:
				read = append(read, fmt.Sprintf("%d:%x", typ.Bits, c.Bits(i)))
			}
		}
	}
	if got, want := strings.Join(read, " "), "32:3dcccccd 1 UTC1 1700000000000 64:7ff8000000000001 0102 32:40f00000 1 UTC1 1700000000000 64:7ff8000000000001 0102 - - - - -"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}

	// A service of both, of which rows have what they have the ids of; names without a view; what is refused.
	if got := w.joinedAs("text/csv", "?service=hall", []byte("seat,city,movie_id,event_timestamp\n1,ulm,3,2024-03-08\n"), 200).Body.String(); !strings.HasPrefix(got, "seat,city,movie_id,event_timestamp,title,price\n") || !strings.HasSuffix(got, ",0.1\n") {
		t.Error(got)
	}
	if got := w.joinedAs("text/csv", "?service=hall", []byte("movie_id,event_timestamp\n3,2024-03-08\n"), 200).Body.String(); !strings.HasPrefix(got, "movie_id,event_timestamp,title\n") {
		t.Error(got)
	}
	if got := w.joinedAs("text/csv", "?features=price", []byte("seat,city,event_timestamp\n1,ulm,2024-03-08\n"), 200).Body.String(); got != "seat,city,event_timestamp,price\n1,ulm,2024-03-08,0.1\n" {
		t.Error(got)
	}
	for want, c := range map[string][2]string{
		"\"first\" is no whole number\",\"field\":\"line 2, column 1 (seat)\"": {"features=sold:price", "seat,city,event_timestamp\nfirst,ulm,2024-03-08\n"},
		"\"1.5\" is no whole number\",\"field\":\"line 2, column 1 (seat)\"":   {"features=sold:price", "seat,city,event_timestamp\n1.5,ulm,2024-03-08\n"},
		"the view sold is of seat, city":                                       {"features=sold:price", "seat,event_timestamp\n1,2024-03-08\n"},
		"has the name of a feature":                                            {"features=sold:price", "seat,city,price,event_timestamp\n1,ulm,5,2024-03-08\n"},
	} {
		if got := w.joinedAs("text/csv", "?"+c[0], []byte(c[1]), 400).Body.String(); !strings.Contains(strings.ReplaceAll(got, `\"`, `"`), want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := w.joinedAs("application/json", "", []byte(`{"features":["sold:price"],"rows":[{"seat":true,"city":"ulm","event_timestamp":"2024-03-08"}]}`), 400).Body.String(); !strings.Contains(got, "rows[0].seat") {
		t.Error(got)
	}
	w.joinedAs("text/csv", "?features=sold:nope", []byte("seat,city,event_timestamp\n1,ulm,2024-03-08\n"), 404)
	w.emptied()
}

// TestTrainingSet_Pushed: a set of pushed values is the same for the same cut, whatever is pushed and declared later; the declaration of then
// is part of what it is.
func TestTrainingSet_Pushed(t *testing.T) {
	w := newFixture(t)
	w.pushes()
	const rows = "seat,city,event_timestamp\n1,ulm,2024-03-08\n1,ulm,2024-03-07T12:00:00Z\n"
	type version struct {
		Version      int
		Blob, Cut    string
		FeaturesHash string `json:"features_hash"`
		Unchanged    bool
	}
	make := func(query string) (v version) {
		t.Helper()
		r := httptest.NewRequest("POST", "/api/v1/training-sets/halls?"+query, strings.NewReader(rows))
		r.Host = "localhost:8000"
		r.Header.Set("Content-Type", "text/csv")
		out := httptest.NewRecorder()
		if w.server.ServeHTTP(out, r); out.Code != 200 && out.Code != 201 {
			t.Fatalf("%d: %.600s", out.Code, out.Body)
		}
		w.must(json.Unmarshal(out.Body.Bytes(), &v))
		return v
	}
	first := make("features=sold:price")
	same := func(set, want string) {
		t.Helper()
		if got := w.get("/api/v1/features/statistics?view=sold&features=price&against=" + set).want(200); got.at("against.same_definitions") != want {
			t.Errorf("made of the same definitions as %s: %s, want %s", set, got.at("against"), want)
		}
	}
	same("halls@1", "true")
	w.push("2024-03-08T00:00:00Z", "99.0", "true")
	res, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "sold", Entities: []string{"seat"},
		JoinKeys: []events.FeatureField{{Name: "seat", Type: "int64"}, {Name: "city", Type: "string"}}, TTLMillis: 60_000,
		Features: []events.FeatureField{{Name: "price", Type: "float64"}}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	again := make("features=sold:price&known_at=" + url.QueryEscape(first.Cut))
	if !again.Unchanged || again.Blob != first.Blob || again.FeaturesHash != first.FeaturesHash {
		t.Errorf("a week later: %+v, was %+v", again, first)
	}
	now := make("features=sold:price")
	if now.Unchanged || now.Blob == first.Blob || now.FeaturesHash == first.FeaturesHash || now.Version != 2 {
		t.Errorf("of now: %+v, was %+v", now, first)
	}
	same("halls@1", "false")
	same("halls@2", "true")
	if got, err := w.blobs.Get(now.Blob); err != nil || string(got) != "seat,city,event_timestamp,price\n1,ulm,2024-03-08,99\n1,ulm,2024-03-07T12:00:00Z,\n" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestHistorical_LongValues: a row group of an answer is bounded by what its values take, of few rows too.
func TestHistorical_LongValues(t *testing.T) {
	w := newFixture(t)
	_, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "plots", Entities: []string{"movie"},
		JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}}, Features: []events.FeatureField{{Name: "plot", Type: "string"}}, FeatureMeta: events.FeatureMeta{Project: "theatre"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	const n, long = 24, 800_000
	plot, err := json.Marshal(strings.Repeat("p", long))
	w.must(err)
	p, err := w.cfg.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "movie_id=1", View: "plots",
		Values: map[string]json.RawMessage{"plot": plot}, Timestamp: "2024-03-08T00:00:00Z"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.core.Settle(t.Context(), p.Positions, "feature-values")

	fields := []*arrow.Field{arrow.Int64("movie_id"), arrow.Text("event_timestamp")}
	movie, at := arrow.NewColumn(fields[0]), arrow.NewColumn(fields[1])
	for range n {
		movie.Int(1)
		at.Text("2024-03-09")
	}
	var file bytes.Buffer
	out := parquet.NewWriter(&file, nil, fields, nil)
	w.must(out.Group(n, []*arrow.Array{movie.Array(), at.Array()}))
	w.must(out.Close())
	b := w.joinedAs("application/vnd.apache.parquet", "?features=plots:plot", file.Bytes(), 200).Body.Bytes()
	f, err := parquet.Open(bytes.NewReader(b), int64(len(b)))
	w.must(err)
	var sizes []int
	for g := range f.Groups() {
		rows, columns, err := f.Group(g)
		w.must(err)
		for i := range rows {
			if got := columns[2].Text(i); len(got) != long {
				t.Errorf("a value of %d bytes", len(got))
			}
		}
		sizes = append(sizes, rows)
	}
	if fmt.Sprint(sizes) != "[21 3]" {
		t.Errorf("row groups of %v", sizes)
	}
}
