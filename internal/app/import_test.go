package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/streams"
)

// ratings writes a data set of so many ratings.
func ratings(t testing.TB, dir string, n int) {
	t.Helper()
	movies, rated := []byte("movieId,title,genres\n"), []byte("userId,movieId,rating,timestamp\n")
	for i := range 200 {
		movies = fmt.Appendf(movies, "%d,Film %d (1999),Drama\n", i+1, i+1)
	}
	for i := range n {
		rated = fmt.Appendf(rated, "%d,%d,%g,%d\n", i*7919%500+1, i*31%200+1, float64(i%10+1)/2, 1_000_000_000+i/4)
	}
	for name, text := range map[string][]byte{"movies.csv": movies, "ratings.csv": rated} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// records are those of user-events, each once or not at all.
func records(t testing.TB, log streams.Log) (n int) {
	t.Helper()
	ids := map[string]bool{}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		for rec, err := range log.Feed().Read(context.Background(), tp, 0) {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := streams.ReadFact(rec)
			if err != nil || ids[ev.ID] {
				t.Fatalf("%s: event %s was there already, or cannot be read: %v", rec.Position, ev.ID, err)
			}
			ids[ev.ID] = true
			n++
		}
	}
	return n
}

// TestImportIsKilled: an import that is killed again and again brings every rating in once, and so does a later edition of
// the same file after that.
func TestImportIsKilled(t *testing.T) {
	dir, data := filepath.Join(t.TempDir(), "data"), t.TempDir()
	const n, more = 60_000, 300
	ratings(t, data, n)
	open := func() *app.App {
		t.Helper()
		a, err := app.Open(t.Context(), app.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	killed := 0
	for part := range 3 {
		c := start(t, dir, "--data", data)
		c.until(t, "more of the ratings", func() bool {
			var topics struct{ Items []api.TopicInfo }
			return c.asked("/api/v1/log/topics", &topics) && slices.ContainsFunc(topics.Items, func(of api.TopicInfo) bool {
				return of.Topic == events.UserEventsTopic && of.Records > int64(part*n/4)
			})
		})
		c.kill()
		a := open()
		there := records(t, a.Log)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if there < n {
			killed++
		}
	}
	if killed == 0 {
		t.Skip("no kill came while the ratings were imported")
	}
	for _, want := range []int{n, n + more} {
		ratings(t, data, want)
		set, err := dataset.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		src, err := ingest.FromDataset(t.Context(), set, data, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		a := open()
		res, err := a.Importer.Import(t.Context(), src, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		if there := records(t, a.Log); there != want || res.FactsAdded+res.FactsDuplicate != int64(want) {
			t.Errorf("%d ratings in the log, want %d: %+v", there, want, res)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
