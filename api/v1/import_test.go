package v1_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// foldedAll waits until every view has the whole log.
func (w *fixture) foldedAll() {
	w.t.Helper()
	head, err := fold.HeadCut(context.Background(), w.log, time.Time{})
	w.must(err)
	for _, tp := range head.Partitions() {
		if head[tp] > 0 {
			w.folded(streams.Position{TP: tp, Offset: head[tp] - 1})
		}
	}
}

func (w *fixture) files(texts map[string]string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, text := range texts {
		w.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestImportOfBadRows(t *testing.T) {
	w := newFixture(t)
	dir := w.files(map[string]string{
		"movies.csv":  "movieId,title,genres\n101,Lamp (1990),Drama\n102,,War\n",
		"ratings.csv": "userId,movieId,rating,timestamp\n1,101,3.0,964982703\n1,101,nine,964982704\n",
	})
	body := map[string]any{"path": dir, "bad_rows": 2}
	r := w.post("/api/v1/imports", body).result()
	if r["bad_rows"] != 2.0 || r["interactions_added"] != 1.0 || r["movies_added"] != 1.0 {
		t.Errorf("result: %v", r)
	}
	w.foldedAll()
	list := w.get("/api/v1/quarantine")
	if list.at("items.0.reason") != `ratings.csv, line 3: rating is "nine": expected a number with at most four decimals` ||
		list.at("items.1.reason") != "movies.csv, line 3: title: expected a title" || list.at("items.0.topic") != "user-events" {
		t.Errorf("quarantine: %s", list.Body)
	}
	if got := w.get("/api/v1/quarantine/counts"); got.at("refused.user-events") != "1" || got.at("refused.mlops-events") != "1" {
		t.Errorf("counts: %s", got.Body)
	}
	if got := w.get("/api/v1/imports/" + r["import_id"].(string)); got.at("bad_rows") != "2" || got.at("state") != "completed" {
		t.Errorf("import: %s", got.Body)
	}
	for _, n := range []int{-1, 10_001} {
		w.post("/api/v1/imports", map[string]any{"path": dir, "bad_rows": n}).problem(400, "bad_rows")
	}
}

func TestImportOfColumns(t *testing.T) {
	w := newFixture(t)
	path := filepath.Join(w.files(map[string]string{"reviews.csv": "who,what,stars,when\nanna,sea,4.5,2013-09-01\nbo,1,3,1378036800000\n"}), "reviews.csv")
	body := func(columns string) string {
		return `{"path":"` + filepath.ToSlash(path) + `","merge":true,"columns":` + columns + `}`
	}
	r := w.post("/api/v1/imports", body(`{"user":"who","item":2,"rating":"stars","time":"when"}`)).result()
	if r["dataset"] != "reviews" || r["interactions_added"] != 2.0 || r["movies_added"] != 1.0 {
		t.Errorf("result: %v", r)
	}
	w.foldedAll()
	if got := w.get("/api/v1/movies/sea"); got.at("title") != "sea" {
		t.Errorf("%s", got.Body)
	}
	if got := w.get("/api/v1/movies/1").at("title"); got != "Film 1" {
		t.Errorf("film 1 is now called %s", got)
	}
	w.post("/api/v1/imports", body(`{"user":"who","item":"what","rating":"score","time":"when"}`)).problem(400, "columns.rating")
	w.post("/api/v1/imports", body(`{"user":"who","item":"what","rating":"stars"}`)).problem(400, "columns.time")
	w.post("/api/v1/imports", body(`{}`)).problem(400, "columns.user")
	w.post("/api/v1/imports", `{"simulate":{},"columns":{"user":"1"}}`).problem(400, "columns")
	w.post("/api/v1/imports", `{"path":"/nowhere.csv","columns":{"user":1,"item":2,"rating":3,"time":4}}`).problem(400, "path")
}

// What is no regular file is refused at once, and holds no operation.
func TestImportOfNoFile(t *testing.T) {
	w := newFixture(t)
	pipe := filepath.Join(t.TempDir(), "data.zip")
	makePipe(t, pipe)
	for _, path := range []string{pipe, os.DevNull} {
		for range 3 {
			w.post("/api/v1/imports", map[string]any{"path": path}).problem(400, "path")
			w.post("/api/v1/imports", map[string]any{"path": path, "columns": map[string]int{"user": 1, "item": 2, "rating": 3, "time": 4}}).problem(400, "path")
		}
	}
	w.post("/api/v1/ops/checkpoint", nil).result()
}
