package v1_test

import (
	"bytes"
	"encoding/csv"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/parquet"
)

// TestHistorical_Parquet: a table in Parquet has the values that the same has in CSV, with its own columns as they were.
func TestHistorical_Parquet(t *testing.T) {
	w := newFixture(t)
	fields := []*arrow.Field{arrow.Int64("user_id"), arrow.Int64("movie_id"), arrow.Text("event_timestamp"), arrow.Text("note")}
	file := func(times ...string) *bytes.Buffer {
		var b bytes.Buffer
		out := parquet.NewWriter(&b, nil, fields, nil)
		for i, at := range times { // a row group each
			user, movie, when, note := arrow.NewColumn(fields[0]), arrow.NewColumn(fields[1]), arrow.NewColumn(fields[2]), arrow.NewColumn(fields[3])
			if user.Int(3); i%2 == 0 {
				movie.Int(int64(i + 1))
			} else {
				movie.Null()
			}
			when.Text(at)
			note.Text("é" + strconv.Itoa(i))
			w.must(out.Group(1, []*arrow.Array{user.Array(), movie.Array(), when.Array(), note.Array()}))
		}
		w.must(out.Close())
		return &b
	}
	const query = "?features=movie_features:rating,movie_features:title,movie_features:genre,user_features:interaction_count&exclusive=true"
	ask := func(kind string, body *bytes.Buffer, status int) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest("POST", "/api/v1/features/historical"+query, body)
		r.Host = "localhost:8000"
		r.Header.Set("Content-Type", kind)
		out := httptest.NewRecorder()
		if w.server.ServeHTTP(out, r); out.Code != status {
			t.Fatalf("%s: %d: %.500s", kind, out.Code, out.Body)
		}
		return out
	}
	times := []string{"2024-03-08", "2024-06-02T00:00:00Z", "2024-06-02", "2024-01-01"}
	text := "user_id,movie_id,event_timestamp,note\n"
	for i, at := range times {
		movie := ""
		if i%2 == 0 {
			movie = strconv.Itoa(i + 1)
		}
		text += "3," + movie + "," + at + ",é" + strconv.Itoa(i) + "\n"
	}
	want, err := csv.NewReader(ask("text/csv", bytes.NewBufferString(text), 200).Body).ReadAll()
	w.must(err)

	const kind = "application/vnd.apache.parquet"
	answer := ask(kind, file(times...), 200)
	if got := answer.Header().Get("Content-Type"); got != kind {
		t.Error(got)
	}
	// The reader has no lists: what is nested is told by its name.
	if _, err := parquet.Open(bytes.NewReader(answer.Body.Bytes()), int64(answer.Body.Len())); err == nil || !strings.Contains(err.Error(), "genre: is a nested column") {
		t.Errorf("the list of genres: %v", err)
	}
	flat := strings.Replace(query, "movie_features:genre,", "", 1)
	r := httptest.NewRequest("POST", "/api/v1/features/historical"+flat, file(times...))
	r.Host = "localhost:8000"
	r.Header.Set("Content-Type", kind)
	out := httptest.NewRecorder()
	w.server.ServeHTTP(out, r)
	f, err := parquet.Open(bytes.NewReader(out.Body.Bytes()), int64(out.Body.Len()))
	w.must(err)
	rows := 0
	for g := range f.Groups() {
		n, columns, err := f.Group(g)
		w.must(err)
		for i := range n {
			rows++
			for k, a := range columns {
				column := f.Columns[k].Field
				cell := ""
				switch {
				case !a.Valid(i):
				case column.Type.ID == arrow.Utf8:
					cell = a.Text(i)
				case column.Type.ID == arrow.Int:
					cell = strconv.FormatInt(a.Int64(i), 10)
				default:
					cell = "a number"
				}
				place := 0
				for want[0][place] != column.Name {
					place++
				}
				if other := want[rows][place]; other != cell && (cell != "a number" || other == "") {
					t.Errorf("row %d, %s: %q, in CSV %q", rows, column.Name, cell, other)
				}
			}
		}
	}
	if rows != len(times) {
		t.Errorf("%d rows", rows)
	}
	ask(kind, file(), 200)
	ask(kind, file("2024-03-08", "never"), 400)
	ask(kind, bytes.NewBufferString("user_id\n1\n"), 400)
	w.emptied()
}
