package flight_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/flight"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

var now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// fixture is the surface on a listener: two films, the first a drama that person 1, aged 34, has rated twice.
type fixture struct {
	*apitest.Bench
	url     string
	client  *http.Client
	scratch string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	b := apitest.New(t, func() time.Time { return now })
	f := &fixture{Bench: b, scratch: t.TempDir()}
	srv := httptest.NewUnstartedServer(b.Core.Serve(flight.New(b.Core, flight.Config{Features: featurestore.New(b.Views, b.Log), ScratchDir: f.scratch})))
	srv.Config.Protocols = &http.Protocols{}
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	transport := &http.Transport{Protocols: srv.Config.Protocols}
	t.Cleanup(transport.CloseIdleConnections)
	f.url, f.client = srv.URL, &http.Client{Transport: transport}
	defs, err := features.Parse([]byte(features.DefaultYAML()))
	f.Must(err)
	f.Do(&commands.DefineFeatures{Definitions: features.DefaultYAML(), Hash: defs.Hash()})
	f.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: "Lamp", Genres: []string{"Drama", "War"}}, Dataset: "test"})
	f.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "2", Title: "Sea"}, Dataset: "test"})
	f.Do(&commands.DescribeUser{User: events.User{UserID: "1", Age: 34}, Since: "2024-01-15T10:30:00Z"})
	for _, at := range []string{"2024-05-01T12:00:00Z", "2024-05-31T12:00:00Z"} {
		f.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "1", Kind: "rating", Rating: 4, Timestamp: at}})
	}
	return f
}

func field(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

// call sends messages and gives those of the answer, with its status.
func (f *fixture) call(method string, messages ...[]byte) (answers [][]byte, status, message string) {
	f.T.Helper()
	var body []byte
	for _, m := range messages {
		body = append(body, frame(m)...)
	}
	r, err := http.NewRequest("POST", f.url+"/arrow.flight.protocol.FlightService/"+method, bytes.NewReader(body))
	f.Must(err)
	r.Header.Set("Content-Type", "application/grpc")
	res, err := f.client.Do(r)
	f.Must(err)
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	f.Must(err)
	for len(out) > 0 {
		n := binary.BigEndian.Uint32(out[1:])
		answers = append(answers, out[5:5+n])
		out = out[5+n:]
	}
	from := res.Trailer
	if res.Header.Get("Grpc-Status") != "" {
		from = res.Header
	}
	message, err = url.PathUnescape(from.Get("Grpc-Message"))
	f.Must(err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/grpc" {
		f.T.Errorf("%s: %d, %v", method, res.StatusCode, res.Header)
	}
	return answers, from.Get("Grpc-Status"), message
}

func command(t testing.TB, c map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return field(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2), 2, b)
}

// table is a stream of a table with a command: the schema, then the columns in one batch, unless there are none.
func table(descriptor []byte, metadata []arrow.Pair, columns ...*arrow.Array) [][]byte {
	s := &arrow.Schema{Metadata: metadata}
	for _, c := range columns {
		s.Fields = append(s.Fields, c.Field)
	}
	all := [][]byte{field(nil, 1, descriptor), field(nil, 2, s.Write())}
	if columns[0].Len > 0 {
		header, body := arrow.WriteBatch(columns[0].Len, columns)
		all = append(all, field(field(nil, 2, header), 1000, body))
	}
	return all
}

func ints(name string, values ...int64) *arrow.Array {
	c := arrow.NewColumn(arrow.Int64(name))
	for _, v := range values {
		if v < 0 {
			c.Null()
		} else {
			c.Int(v)
		}
	}
	return c.Array()
}

func times(t testing.TB, name string, values ...string) *arrow.Array {
	c := arrow.NewColumn(&arrow.Field{Name: name, Type: arrow.Type{ID: arrow.Timestamp, Unit: arrow.Nanosecond}})
	for _, v := range values {
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			t.Fatal(err)
		}
		c.Int(at.UnixNano())
	}
	return c.Array()
}

// read is the table of an answer, by row.
func (f *fixture) read(answers [][]byte) (columns, rows []string) {
	f.T.Helper()
	var s *arrow.Schema
	for _, a := range answers {
		var header, body []byte
		for len(a) > 0 {
			n, _, size := protowire.ConsumeTag(a)
			v, more := protowire.ConsumeBytes(a[size:])
			if a = a[size+more:]; n == 2 {
				header = v
			} else {
				body = v
			}
		}
		if s == nil {
			var err error
			s, err = arrow.ReadSchema(header)
			f.Must(err)
			for _, c := range s.Fields {
				columns = append(columns, c.Name)
			}
			continue
		}
		n, arrays, err := s.ReadBatch(header, body)
		f.Must(err)
		for i := range n {
			var cells []string
			for _, c := range arrays {
				cells = append(cells, cell(c, i))
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
	return columns, rows
}

func cell(a *arrow.Array, i int) string {
	if !a.Valid(i) {
		return "-"
	}
	switch a.Field.Type.ID {
	case arrow.Utf8:
		return a.Text(i)
	case arrow.FloatingPoint:
		return fmt.Sprintf("%x", a.Bits(i))
	case arrow.List:
		from, to := a.Item(i)
		return fmt.Sprintf("%d texts", to-from)
	case arrow.Bool:
		return fmt.Sprint(a.Buffers[1][i/8] >> (i % 8) & 1)
	case arrow.Timestamp:
		return time.UnixMilli(a.Int64(i) / map[int]int64{arrow.Millisecond: 1, arrow.Nanosecond: 1e6}[a.Field.Type.Unit]).UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(a.Int64(i))
}

func historical(refs ...string) map[string]any {
	return map[string]any{"command_id": "1", "api": "get_historical_features", "project": "p", "full_feature_names": false, "feature_refs": refs,
		"feature_view_names": []string{"user_features", "movie_features"}, "name_aliases": []any{nil, nil}}
}

// TestHistorical: a table of rows has the features of its own times, whatever way it is asked for.
func TestHistorical(t *testing.T) {
	f := newFixture(t)
	descriptor := command(t, historical("user_features:rating_count", "movie_features:title", "user_features:age", "movie_features:rating_count"))
	rows := []*arrow.Array{ints("user_id", 1, 1, 1, 2, -1), ints("movie_id", 1, 2, 9, 1, 1),
		times(t, "event_timestamp", "2024-05-01T12:00:00Z", "2024-05-01T11:59:59.999999999Z", "2024-06-01T00:00:00Z", "2024-06-01T00:00:00Z", "2024-01-01T00:00:00Z")}
	f.refused(descriptor, nil, rows, "2", "FeatureNameCollisionError")

	c := historical("user_features:rating_count", "movie_features:title", "user_features:age", "movie_features:rating_count")
	c["full_feature_names"] = true
	want := []string{"1 1 2024-05-01T12:00:00Z 1 Lamp 34 1", "1 2 2024-05-01T11:59:59.999Z 0 Sea 34 0", "1 9 2024-06-01T00:00:00Z 2 - 34 -", "2 1 2024-06-01T00:00:00Z - Lamp - 2",
		"- 1 2024-01-01T00:00:00Z - Lamp - 0"}
	answers, status, message := f.call("DoExchange", table(command(t, c), nil, rows...)...)
	columns, got := f.read(answers)
	if status != "0" || !slices.Equal(got, want) {
		t.Errorf("%s %s:\n%s\nwant\n%s", status, message, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if names := strings.Join(columns, " "); names != "user_id movie_id event_timestamp user_features__rating_count movie_features__title user_features__age movie_features__rating_count" {
		t.Error(names)
	}

	// As clients did before: put, ask for the flight, get by its ticket.
	if _, status, message := f.call("DoPut", table(command(t, c), nil, rows...)...); status != "0" {
		t.Fatal(status, message)
	}
	info, status, message := f.call("GetFlightInfo", command(t, c))
	if status != "0" || len(info) != 1 {
		t.Fatal(status, message)
	}
	if listed, _, _ := f.call("ListFlights"); len(listed) != 1 || !bytes.Equal(listed[0], info[0]) {
		t.Errorf("listed %q, not %q", listed, info)
	}
	ticket := ticketOf(t, info[0])
	answers, status, message = f.call("DoGet", ticket)
	if _, got := f.read(answers); status != "0" || !slices.Equal(got, want) {
		t.Errorf("%s %s: %q", status, message, got)
	}
	if _, status, message := f.call("DoGet", ticket); status != "5" || !strings.Contains(message, "no such flight") {
		t.Error(status, message)
	}
	// What is recorded now was not known then; what a row is is not among its own features.
	only := command(t, historical("user_features:rating_count"))
	for attributes, want := range map[string]string{`{"known_at": "2024-05-31"}`: "-", `{"exclusive": true}`: "1", `{}`: "2"} {
		pandas := []arrow.Pair{{Key: "pandas", Value: `{"index_columns": [], "attributes": ` + attributes + `}`}}
		answers, status, message := f.call("DoExchange", table(only, pandas, ints("user_id", 1), times(t, "at", "2024-05-31T12:00:00Z"))...)
		if _, got := f.read(answers); status != "0" || len(got) != 1 || got[0] != "1 2024-05-31T12:00:00Z "+want {
			t.Errorf("%s: %s %s: %q", attributes, status, message, got)
		}
	}
	if left, err := os.ReadDir(f.scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func ticketOf(t *testing.T, info []byte) []byte {
	t.Helper()
	inside := func(b []byte, want protowire.Number) []byte {
		for len(b) > 0 {
			n, _, size := protowire.ConsumeTag(b)
			v, more := protowire.ConsumeBytes(b[size:])
			if n == want {
				return v
			}
			b = b[size+more:]
		}
		t.Fatalf("no field %d", want)
		return nil
	}
	return inside(inside(info, 3), 1)
}

// refused fails unless an exchange ends with a status and a message.
func (f *fixture) refused(descriptor []byte, metadata []arrow.Pair, columns []*arrow.Array, code, want string) {
	f.T.Helper()
	answers, status, message := f.call("DoExchange", table(descriptor, metadata, columns...)...)
	if status != code || len(answers) > 0 || !strings.Contains(message, want) {
		f.T.Errorf("%d answers, %s %q, want %s %q", len(answers), status, message, code, want)
	}
}

// TestRefused: what cannot be answered is told with the column and a remedy, and Feast's own errors as its client reads them.
func TestRefused(t *testing.T) {
	f := newFixture(t)
	at, ids := times(t, "event_timestamp", "2024-05-01T12:00:00Z"), ints("user_id", 1)
	ok := command(t, historical("user_features:age"))
	with := func(key string, v any, refs ...string) []byte {
		c := historical(append(refs, "user_features:age")...)
		c[key] = v
		return command(t, c)
	}
	pandas := func(text string) []arrow.Pair { return []arrow.Pair{{Key: "pandas", Value: text}} }
	for _, c := range []struct {
		descriptor []byte
		metadata   []arrow.Pair
		columns    []*arrow.Array
		code, want string
	}{
		{with("entity_df_sql", "SELECT 1"), nil, []*arrow.Array{ids}, "3", "entity_df: is SQL"},
		{ok, nil, []*arrow.Array{ints("key", 1)}, "3", "entity_df: is missing"},
		{ok, nil, []*arrow.Array{ids}, "3", "event_timestamp: is not among the columns, which are user_id"},
		{ok, nil, []*arrow.Array{at}, "3", "user_id: is not among the columns"},
		{ok, nil, []*arrow.Array{ids, ids, at}, "3", "user_id: is the name of two columns"},
		{ok, nil, []*arrow.Array{ids, at, ints("age", 1)}, "3", "age: has the name of a feature"},
		{ok, nil, []*arrow.Array{times(t, "user_id", "2024-05-01T12:00:00Z"), at}, "3", "user_id: holds no ids"},
		{ok, nil, []*arrow.Array{ids, ints("event_timestamp", 1)}, "3", "event_timestamp: holds no times"},
		{ok, nil, []*arrow.Array{ids, times(t, "event_timestamp", "1969-12-31T23:59:59Z")}, "3", "entity_df[0].event_timestamp: is outside 1970 to 2100"},
		{ok, pandas(`{"attributes": {"known_at": "never"}}`), []*arrow.Array{ids, at}, "3", "known_at"},
		{ok, pandas(`[`), []*arrow.Array{ids, at}, "3", "attributes of the DataFrame"},
		{with("feature_view_names", []string{"nope"}), nil, []*arrow.Array{ids, at}, "2", `"class":"FeatureViewNotFoundException"`},
		{with("x", 1, "user_features:nope"), nil, []*arrow.Array{ids, at}, "2", `"class":"FeastObjectNotFoundException"`},
		{with("x", 1, "nope"), nil, []*arrow.Array{ids, at}, "3", `"nope" is no reference`},
		{with("api", "nope"), nil, []*arrow.Array{ids, at}, "3", `"nope" is no read`},
		{with("api", ""), nil, []*arrow.Array{ids, at}, "3", "api: is missing"},
		{command(t, nil)[:2], nil, []*arrow.Array{ids, at}, "3", "the descriptor has no command"},
	} {
		f.refused(c.descriptor, c.metadata, c.columns, c.code, c.want)
	}
	for api, want := range map[string]string{"offline_write_batch": "2 FeatureViewNotFoundException", "write_logged_features": "3 the log has what was served", "persist": "3 datasets create",
		"validate_data_source": "3 name: of the data source is missing"} {
		_, status, message := f.call("DoPut", table(command(t, map[string]any{"api": api, "feature_view_names": []string{"nope"}, "data_source_proto": "{}"}), nil, ids)...)
		if code, text, _ := strings.Cut(want, " "); status != code || !strings.Contains(message, text) {
			t.Errorf("%s: %s %s", api, status, message)
		}
	}
	if _, status, message := f.call("DoPut", table(command(t, map[string]any{"api": "offline_write_batch", "feature_view_names": []string{"user_features"}}), nil, ids)...); status != "3" ||
		!strings.Contains(message, "user_features is computed from the log") {
		t.Error(status, message)
	}
	if _, status, _ := f.call("GetSchema", ok); status != "12" {
		t.Error("a method that there is not:", status)
	}
	for name, body := range map[string][]byte{"nothing": nil, "half a frame": {0, 0, 0}, "half a message": {0, 0, 0, 0, 9, 1}, "too large": {0, 0xff, 0, 0, 0}, "compressed": {1, 0, 0, 0, 0}, "no proto": {0, 0, 0, 0, 2, 0xff, 0xff}} {
		r, err := http.NewRequest("POST", f.url+"/arrow.flight.protocol.FlightService/DoExchange", bytes.NewReader(body))
		f.Must(err)
		r.Header.Set("Content-Type", "application/grpc")
		res, err := f.client.Do(r)
		f.Must(err)
		res.Body.Close()
		if s := res.Header.Get("Grpc-Status"); s != "3" && s != "8" {
			t.Errorf("%s: %v", name, res.Header)
		}
	}
	if left, err := os.ReadDir(f.scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestPull: a view is a table of its changes, and of the newest of each.
func TestPull(t *testing.T) {
	f := newFixture(t)
	c := map[string]any{"api": "pull_latest_from_table_or_query", "data_source_name": "any", "join_key_columns": []string{"user_id"}, "feature_name_columns": []string{"rating_count", "movie_count"},
		"timestamp_field": "at", "created_timestamp_column": nil, "start_date": "2024-05-01T00:00:00", "end_date": "2024-05-30T00:00:00+00:00"}
	for _, want := range []struct {
		api, end, rows string
	}{
		{"pull_latest_from_table_or_query", "2024-05-30T00:00:00+00:00", "1 2024-05-01T12:00:00Z 1 1"},
		{"pull_latest_from_table_or_query", "2024-05-31T12:00:00", "1 2024-05-31T12:00:00Z 2 1"},
		{"pull_all_from_table_or_query", "2024-05-31T12:00:00", "1 2024-05-01T12:00:00Z 1 1|1 2024-05-31T12:00:00Z 2 1"},
		{"pull_all_from_table_or_query", "2024-05-31T11:59:59.999", "1 2024-05-01T12:00:00Z 1 1"},
		{"pull_latest_from_table_or_query", "2024-05-01T11:00:00", ""},
	} {
		c["api"], c["end_date"] = want.api, want.end
		answers, status, message := f.call("DoExchange", table(command(t, c), nil, ints("key"))...)
		columns, rows := f.read(answers)
		if got := strings.Join(rows, "|"); status != "0" || got != want.rows || strings.Join(columns, " ") != "user_id at rating_count movie_count" {
			t.Errorf("%s to %s: %s %s %v %q, want %q", want.api, want.end, status, message, columns, got, want.rows)
		}
	}
	c["api"], c["join_key_columns"], c["data_source_name"], c["feature_name_columns"] = "pull_latest_from_table_or_query", []string{"movie_id"}, "movie_features", []string{"title", "genre"}
	c["end_date"] = "2024-06-02T00:00:00"
	answers, status, message := f.call("DoExchange", table(command(t, c), nil, ints("key"))...)
	if _, rows := f.read(answers); status != "0" || len(rows) != 2 || !strings.HasPrefix(rows[0], "1 2024-06-01T12:00:00Z Lamp") || !strings.HasPrefix(rows[1], "2 2024-06-01T12:00:00Z Sea") {
		t.Errorf("films: %s %s %q", status, message, rows)
	}
	answers, status, message = f.call("DoExchange", table(command(t, map[string]any{"api": "get_table_column_names_and_types_from_data_source", "data_source_proto": `{"name": "movie_features"}`}), nil, ints("key"))...)
	if _, rows := f.read(answers); status != "0" || rows[0] != "movie_id int64" || rows[1] != "rating double" || !slices.Contains(rows, "genre list<item: string>") {
		t.Errorf("columns: %s %s %q", status, message, rows)
	}
	for key, v := range map[string]any{"created_timestamp_column": "created", "timestamp_field": "", "start_date": "soon", "data_source_name": "nope", "join_key_columns": []string{"x"}, "feature_name_columns": []string{"nope"}} {
		wrong := map[string]any{"api": "pull_all_from_table_or_query", "data_source_name": "movie_features", "join_key_columns": []string{"movie_id"}, "feature_name_columns": []string{"title"}, "timestamp_field": "at"}
		if wrong[key] = v; key == "data_source_name" {
			wrong["feature_name_columns"] = []string{}
		}
		if _, status, message := f.call("DoExchange", table(command(t, wrong), nil, ints("key"))...); status != "3" && status != "2" || message == "" {
			t.Errorf("%s: %s %s", key, status, message)
		}
	}
}
