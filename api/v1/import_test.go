package v1

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
