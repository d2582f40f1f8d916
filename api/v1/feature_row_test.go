package v1_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
)

// Rows as pandas writes them, in CSV and in JSON: 5.0 is 5, a cell without an id is nobody's, and the other
// rows are joined as ever.
func TestHistoricalRowsWithGaps(t *testing.T) {
	w := newFixture(t)
	want := []string{"Film 1", "", "", "Film 5", "", ""}
	var body struct {
		Rows []struct {
			Title string `json:"title"`
		} `json:"rows"`
	}
	w.post("/api/v1/features/historical", `{"features":["title"],"rows":[{"movie_id":1.0,"event_timestamp":1709856000.0},
		{"movie_id":null,"event_timestamp":1709856000000},{"event_timestamp":"2024-03-08"},{"movie_id":"5.0","event_timestamp":"2024-03-08 00:00"},
		{"movie_id":"NaN","event_timestamp":"2024-03-08 00:00:00+00:00"},{"movie_id":"","event_timestamp":"2024-03-08"}]}`).want(200).into(&body)
	var got []string
	for _, row := range body.Rows {
		got = append(got, row.Title)
	}
	if !slices.Equal(got, want) {
		t.Errorf("json: %q, want %q", got, want)
	}

	a := w.post("/api/v1/features/historical?features=title", "movie_id,event_timestamp\n1.0,1709856000.0\n,1709856000000\nnull,2024-03-08\n"+
		"5.0,2024-03-08 00:00\nNaN,2024-03-08 00:00:00+00:00\n\"\",2024-03-08\n", "Content-Type", "text/csv").want(200)
	records, err := csv.NewReader(strings.NewReader(string(a.Body))).ReadAll()
	w.must(err)
	got = nil
	for _, record := range records[1:] {
		got = append(got, record[2])
	}
	if !slices.Equal(got, want) {
		t.Errorf("csv: %q, want %q", got, want)
	}
}

// What is no key and no gap is refused alike, with its row and column.
func TestHistoricalRowsRefused(t *testing.T) {
	w := newFixture(t)
	for cell, alike := range map[string]bool{"1.5": true, `"1.5"`: true, `"a\u0001"`: true, "1e3": false, "-5": false, "true": false, "[1]": false} {
		rows := `{"features":["title"],"rows":[{"movie_id":1,"event_timestamp":"2024-03-08"},{"movie_id":` + cell + `,"event_timestamp":"2024-03-08"}]}`
		w.post("/api/v1/features/historical", rows).problem(400, "rows[1].movie_id")
		if alike {
			text := strings.ReplaceAll(strings.Trim(cell, `"`), `\u0001`, "\x01")
			w.post("/api/v1/features/historical?features=title", "movie_id,event_timestamp\n1,2024-03-08\n"+text+",2024-03-08\n", "Content-Type", "text/csv").
				problem(400, "line 3, column 1 (movie_id)")
		}
	}
	for _, at := range []string{"NaN", "yesterday", "", "-5", "1709856000000000"} {
		w.post("/api/v1/features/historical", `{"features":["title"],"rows":[{"movie_id":1,"event_timestamp":"`+at+`"}]}`).problem(400, "rows[0].event_timestamp")
		w.post("/api/v1/features/historical?features=title", "movie_id,event_timestamp\n1,"+at+"\n", "Content-Type", "text/csv").
			problem(400, "line 2, column 3 (event_timestamp)")
	}
	// Features of whom no row names.
	w.post("/api/v1/features/historical", `{"features":["user_features:rating_count"],"rows":[{"movie_id":1,"event_timestamp":"2024-03-08"}]}`).problem(404, "features")
	w.post("/api/v1/features/historical?features=user_features:rating_count", "movie_id,event_timestamp\n1,2024-03-08\n", "Content-Type", "text/csv").problem(404, "features")
}
