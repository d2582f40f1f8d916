package trainset_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// What is trained on is what is ranked: a film is the same to both, in whatever order its sources speak.
func TestTrainingSeesTheFilmsOfTheCatalogue(t *testing.T) {
	said := []events.Data{
		&events.MovieListed{Movie: events.Movie{MovieID: "1", Title: "Heat", Year: 1995, Genres: []string{"Drama", "Crime"}}, Dataset: "ml"},
		&events.MovieFetched{Movie: events.Movie{MovieID: "movie_001", Title: "Heat (TMDB)", Overview: "Long"}, RawSHA256: "aa"}, // without genres
		&events.MovieListed{Movie: events.Movie{MovieID: "1", Title: "Heat", Genres: []string{"Thriller"}}, Dataset: "tweets"},   // without a year
	}
	for _, order := range [][]int{{0}, {1}, {0, 1}, {1, 0}, {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			ctx := context.Background()
			log, err := local.OpenMem(local.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			for i, k := range order {
				id := fmt.Sprint("c", i)
				if _, err := log.Ledger().Append(ctx, streams.Commit{ID: id, Stream: "movie/1", Expected: streams.AnyRevision, Events: []events.Event{
					{ID: id, Source: "/test", Subject: "movie/1", Time: time.UnixMilli(1).UTC(), Data: said[k]}}}); err != nil {
					t.Fatal(err)
				}
			}
			fact := events.Event{ID: "f", Source: "/test", Time: time.UnixMilli(1).UTC(),
				Data: &events.Interaction{UserID: "7", MovieID: "1", Kind: "like", Timestamp: "1970-01-01T00:00:00.001Z"}}
			rec, err := streams.FactRecord("7", &fact)
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Feed().Publish(ctx, events.UserEventsTopic, []streams.Record{rec}); err != nil {
				t.Fatal(err)
			}
			cut, err := fold.HeadCut(ctx, log, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := trainset.Load(ctx, log, cut, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, ok, err := projections.FoldMovie(log.Ledger().ReadStream(ctx, "movie/1", 0), fold.At{})
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if got := snap.Movies["1"]; len(snap.Movies) != 1 || !reflect.DeepEqual(got, want.Movie) {
				t.Errorf("training sees %+v; the catalogue has %+v", snap.Movies, want.Movie)
			}
		})
	}
}
