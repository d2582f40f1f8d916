package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

func newImporter(t *testing.T) *Importer {
	t.Helper()
	log, err := local.OpenMem(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return &Importer{Log: log, Dispatcher: handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})}
}

// source yields n films and facts; digest tells versions of it apart.
func source(digest string, n int) Source {
	return Source{
		Dataset: "test", Origin: "/import/test", Digest: strings.Repeat(digest, 64), Total: int64(n),
		Movies: func(yield func(events.Movie, error) bool) {
			for i := range 20 {
				if !yield(events.Movie{MovieID: fmt.Sprint(i + 1), Title: fmt.Sprint("Film ", i+1)}, nil) {
					return
				}
			}
		},
		Facts: func(yield func(Fact, error) bool) {
			for i := range n {
				if !yield(Fact{UserID: fmt.Sprint(i % 10), MovieID: fmt.Sprint(i%20 + 1), Kind: "rating", Rating: 4, TimeMillis: int64(i) * 1000}, nil) {
					return
				}
			}
		},
	}
}

func facts64(t *testing.T, im *Importer) (n int64) {
	t.Helper()
	for p := range int32(3) {
		head, err := im.Log.Feed().Head(context.Background(), streams.TP{Topic: events.UserEventsTopic, Partition: p}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		n += head
	}
	return n
}

func TestImportTwiceAddsNothing(t *testing.T) {
	im, ctx := newImporter(t), context.Background()
	res, err := im.Import(ctx, source("a", 30_000), "test", nil)
	if err != nil || res.FactsAdded != 30_000 || res.MoviesAdded != 20 || res.FactsDuplicate != 0 {
		t.Fatal(res, err)
	}
	if res, err = im.Import(ctx, source("a", 30_000), "test", nil); err != nil || !res.AlreadyDone {
		t.Fatal(res, err)
	}
	// A later edition of the set: only what is new comes in.
	if res, err = im.Import(ctx, source("b", 30_100), "test", nil); err != nil || res.FactsAdded != 100 || res.FactsDuplicate != 30_000 || res.MoviesAdded != 0 {
		t.Fatal(res, err)
	}
	if n := facts64(t, im); n != 30_100 {
		t.Fatal(n)
	}
}

func TestImportGoesOnAfterAStop(t *testing.T) {
	im := newImporter(t)
	ctx, cancel := context.WithCancel(context.Background())
	res, err := im.Import(ctx, source("a", 100_000), "test", func(p Progress) {
		if p.Stage == "interactions" && p.Done > 40_000 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Unavailable) {
		t.Fatal(res, err)
	}
	there := facts64(t, im)
	if there == 0 || there >= 100_000 {
		t.Fatalf("%d facts: the import was not cut off in the middle", there)
	}
	res, err = im.Import(context.Background(), source("a", 100_000), "test", nil)
	if err != nil || res.FactsAdded != 100_000-there || res.FactsDuplicate != there {
		t.Fatal(there, res, err)
	}
}

func TestImportStopsAtABadLine(t *testing.T) {
	im, ctx := newImporter(t), context.Background()
	bad := source("a", 50_000)
	good := bad.Facts
	bad.Facts = func(yield func(Fact, error) bool) {
		n := 0
		for f := range good {
			if n++; n > 40_000 {
				yield(Fact{}, fault.New(fault.Invalid, "line 40001 is bad"))
				return
			}
			if !yield(f, nil) {
				return
			}
		}
	}
	if _, err := im.Import(ctx, bad, "test", nil); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if res, err := im.Import(ctx, source("a", 50_000), "test", nil); err != nil || facts64(t, im) != 50_000 {
		t.Fatal(res, err)
	}
	repeated := source("c", 10)
	repeated.Facts = func(yield func(Fact, error) bool) {
		for range 2 {
			if !yield(Fact{UserID: "new", MovieID: "1", Kind: "view", TimeMillis: 5}, nil) {
				return
			}
		}
	}
	if res, err := im.Import(ctx, repeated, "test", nil); err != nil || res.FactsAdded != 1 || res.FactsDuplicate != 1 {
		t.Fatal(res, err)
	}
}

// A fact that stands on two lines of one moment is one, also with another between them; a corrected rating of
// the same moment is a fact of its own, and comes after.
func TestRepetitionsOfAMoment(t *testing.T) {
	im := newImporter(t)
	src := source("a", 0)
	src.Facts = func(yield func(Fact, error) bool) {
		for i, rating := range []float64{3, 4, 3, 4, 3} {
			if !yield(Fact{UserID: "1", MovieID: "1", Kind: "rating", Rating: rating, TimeMillis: 5000 + int64(i/4)}, nil) {
				return
			}
		}
	}
	res, err := im.Import(context.Background(), src, "test", nil)
	if err != nil || res.FactsAdded != 3 || res.FactsDuplicate != 2 || facts64(t, im) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
}

func TestAnotherDataSetNeedsASayso(t *testing.T) {
	im, ctx := newImporter(t), context.Background()
	im.Imported = func(context.Context) ([]string, error) { return []string{"simulated"}, nil }
	src := source("a", 10)
	if _, err := im.Import(ctx, src, "test", nil); !fault.Is(err, fault.Conflict) || facts64(t, im) != 0 {
		t.Fatal(err)
	}
	src.Merge = true
	if res, err := im.Import(ctx, src, "test", nil); err != nil || res.FactsAdded != 10 {
		t.Fatal(res, err)
	}
}

func TestWorldsOfOnePathAreTheSame(t *testing.T) {
	p := world.Params{Seed: 3, Users: 5, Movies: 7, Events: 100, End: time.Unix(1_700_000_000, 0).UTC()}
	a, err := FromWorld(p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := FromWorld(p, time.Now())
	if err != nil || a.Digest != b.Digest || a.Path != "simulation:seed=3,users=5,movies=7,events=100,end=2023-11-14T22:13:20Z" {
		t.Fatal(a.Path, err)
	}
}

// films are what the ledger lists, by id.
func films(t *testing.T, im *Importer) map[string]events.Movie {
	t.Helper()
	all := map[string]events.Movie{}
	for c, err := range im.Log.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if m, ok := e.Data.(*events.MovieListed); ok {
				all[m.MovieID] = m.Movie
			}
		}
	}
	return all
}

// writeSet makes a data set of the csv layout and returns its folder.
func writeSet(t *testing.T, movies, ratings string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ml-test")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"movies.csv": "movieId,title,genres\n" + movies, "ratings.csv": "userId,movieId,rating,timestamp\n" + ratings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func importSet(t *testing.T, im *Importer, dir string, change ...func(*Source)) (Result, error) {
	t.Helper()
	set, err := dataset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	src, err := FromDataset(context.Background(), set, dir, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&src)
	}
	return im.Import(context.Background(), src, "test", nil)
}

// However many write at once: of two lines about a film the last counts, and the film once.
func TestFilmOnTwoLines(t *testing.T) {
	var lines strings.Builder
	for i := range 30 {
		fmt.Fprintf(&lines, "%d,Film %d (1990),Drama\n", i+1, i+1)
	}
	lines.WriteString("7,Seventh (1991),Comedy\n")
	dir := writeSet(t, lines.String(), "1,7,3.0,964982703\n")
	for range 20 {
		im := newImporter(t)
		res, err := importSet(t, im, dir)
		if err != nil || res.MoviesAdded != 30 {
			t.Fatalf("%+v, %v", res, err)
		}
		if got := films(t, im)["7"].Title; got != "Seventh" {
			t.Fatalf("film 7 is %q", got)
		}
	}
}

// refusals are the lines in quarantine, in the order in which they came there.
func refusals(t *testing.T, im *Importer) (all []string) {
	t.Helper()
	for c, err := range im.Log.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if r, ok := e.Data.(*events.FactRefused); ok {
				all = append(all, fmt.Sprintf("%s %s %q", r.Topic, r.Key, r.Value))
			}
		}
	}
	return all
}

// headless is a data set whose ratings have another header.
func headless(t *testing.T) string {
	dir := writeSet(t, "1,Lamp,Drama\n", "")
	if err := os.WriteFile(filepath.Join(dir, "ratings.csv"), []byte("user,movie,rating,timestamp\n1,1,3.0,964982703\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBadRows(t *testing.T) {
	dir := writeSet(t, "1,Lamp (1990),Drama\n2,\"No\nNight\",War\nx,Nameless,War\n3,Sea (1992),War\n",
		"1,1,3.0,964982703\n1,1,9,964982704\n\n2,3,\"4.5,964982705\n2,3,4.5,964982706\n3,1,5,96498\n")
	allow := func(n int64) func(*Source) { return func(s *Source) { s.BadRowsMax = n } }
	want := []string{`mlops-events movies.csv:3 "2,\"No\nNight\",War"`, `mlops-events movies.csv:5 "x,Nameless,War"`,
		`user-events ratings.csv:3 "1,1,9,964982704"`, `user-events ratings.csv:5 "2,3,\"4.5,964982705"`}

	im := newImporter(t)
	res, err := importSet(t, im, dir, allow(4))
	if err != nil || res.BadRows != 4 || res.MoviesAdded != 2 || res.FactsAdded != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := refusals(t, im); !slices.Equal(got, want) {
		t.Errorf("quarantine\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if res, err = importSet(t, im, dir, allow(4)); err != nil || !res.AlreadyDone || len(refusals(t, im)) != 4 {
		t.Errorf("again: %+v, %v", res, err)
	}

	// One fewer, and it stops there; another try notes no line twice.
	im = newImporter(t)
	_, err = importSet(t, im, dir, allow(3))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "ratings.csv, line 5") || !strings.Contains(err.Error(), "(3)") {
		t.Errorf("too few: %v", err)
	}
	if res, err = importSet(t, im, dir, allow(10)); err != nil || res.BadRows != 4 || !slices.Equal(refusals(t, im), want) {
		t.Errorf("with more: %+v, %v, %q", res, err, refusals(t, im))
	}

	// None, as by default: the first stops it.
	im = newImporter(t)
	if _, err = importSet(t, im, dir); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "movies.csv, line 3") || !strings.Contains(err.Error(), "--bad-rows") || len(refusals(t, im)) != 0 {
		t.Errorf("none allowed: %v", err)
	}

	// What is wrong with the file as a whole is no line, however many are allowed.
	for name, dir := range map[string]string{
		"no header": headless(t), "every film": writeSet(t, "x,Lamp,Drama\n", "1,1,3.0,964982703\n"),
		"every rating": writeSet(t, "1,Lamp,Drama\n", "1,1,9,964982703\n"),
	} {
		if _, err := importSet(t, newImporter(t), dir, allow(100)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), ".csv") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A csv file of one's own: films nobody has listed are listed by their ids, the others stay as they are.
func TestImportOfATable(t *testing.T) {
	im := newImporter(t)
	if _, err := importSet(t, im, writeSet(t, "1,Lamp (1990),Drama\n", "1,1,3.0,964982703\n")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "reviews.csv")
	if err := os.WriteFile(path, []byte("stars,item,user,at\n4.5,1,anna,2013-09-01\n3,sea,1.0,964982703\n3,sea,1.0,964982703\nfive,sea,bo,964982703\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.OpenCSV(path, dataset.Columns{User: "user", Item: "item", Rating: "stars", Time: "at"})
	if err != nil {
		t.Fatal(err)
	}
	src, err := FromDataset(context.Background(), set, path, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	src.Merge, src.BadRowsMax = true, 1
	res, err := im.Import(context.Background(), src, "test", nil)
	if err != nil || res.MoviesAdded != 1 || res.FactsAdded != 2 || res.FactsDuplicate != 1 || res.BadRows != 1 || res.Dataset != "reviews" {
		t.Fatalf("%+v, %v", res, err)
	}
	if all := films(t, im); all["1"].Title != "Lamp" || all["sea"].Title != "sea" || len(all) != 2 {
		t.Errorf("films %v", all)
	}
	if got, want := refusals(t, im), []string{`user-events reviews.csv:5 "five,sea,bo,964982703"`}; !slices.Equal(got, want) {
		t.Errorf("quarantine %q", got)
	}
}

// The same facts in fresh logs train to the same bytes, though 64 write at once, many facts have one moment,
// and an import that was cut off puts them elsewhere: ids and order follow from what they say.
func TestSameFactsTrainTheSame(t *testing.T) {
	var films, ratings strings.Builder
	for i := range 80 {
		fmt.Fprintf(&films, "%d,Film %d (%d),%s\n", i+1, i+1, 1950+i, []string{"Drama", "War", "Comedy|War"}[i%3])
	}
	for i := range 20_000 {
		x := uint32(i) * 2654435761
		fmt.Fprintf(&ratings, "%d,%d,%d.5,%d\n", x>>7%60+1, x>>13%80+1, x>>21%5, 964982700+int64(i/400))
	}
	ratings.WriteString("1,1,2.0,964982700\n1,1,3.0,964982700\n1,1,2.0,964982700\n")
	films.WriteString("7,Seventh (1991),Comedy\n")
	dir := writeSet(t, films.String(), ratings.String())
	train := func(imports func(*Importer)) (*trainset.Set, string) {
		t.Helper()
		im := newImporter(t)
		imports(im)
		cut, err := fold.HeadCut(t.Context(), im.Log, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := trainset.Load(t.Context(), im.Log, cut, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := all.Default()
		p, err := r.Parse(map[string]string{"als.dim": "8", "als.sweeps": "2"})
		if err != nil {
			t.Fatal(err)
		}
		model, err := r.Make(t.Context(), snap.Input(), p, recipe.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		return snap, model.SHA256
	}
	whole := func(im *Importer) {
		if _, err := importSet(t, im, dir); err != nil {
			t.Fatal(err)
		}
	}
	snap, sum := train(whole)
	for name, imports := range map[string]func(*Importer){
		"again": whole,
		"cut off": func(im *Importer) {
			_, err := importSet(t, im, dir, func(s *Source) {
				facts := s.Facts
				s.Facts = func(yield func(Fact, error) bool) {
					n := 0
					for f, err := range facts {
						if n++; n > 7000 {
							yield(Fact{}, errors.New("cut off"))
							return
						}
						if n%3 == 0 && !yield(f, err) {
							return
						}
					}
				}
			})
			if err == nil {
				t.Fatal("the import was not cut off")
			}
			whole(im)
		},
	} {
		again, other := train(imports)
		if other != sum || !reflect.DeepEqual(again.Data, snap.Data) || !reflect.DeepEqual(again.Signals, snap.Signals) || !reflect.DeepEqual(again.Movies, snap.Movies) {
			t.Errorf("%s: trained to %s, not %s", name, other, sum)
		}
		if same := again.Cut.String() == snap.Cut.String(); name == "again" && !same {
			t.Errorf("%s: the data set ends at %s, not %s", name, again.Cut, snap.Cut)
		}
	}
}

// No fact is of more than a day ahead, from whatever file: the line is named, and may be passed over.
func TestImportFromTheFuture(t *testing.T) {
	soon, far := time.Now().Add(23*time.Hour).Unix(), time.Now().Add(25*time.Hour).Unix()
	ratings := fmt.Sprintf("1,1,3.0,964982703\n1,2,3.0,%d\n1,3,3.0,%d\n", soon, far)
	movies := "1,Lamp (1990),Drama\n2,Sea (1991),Drama\n3,Sun (1992),Drama\n"
	csv := filepath.Join(t.TempDir(), "own.csv")
	if err := os.WriteFile(csv, []byte("u,i,r,t\n"+ratings), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*dataset.Set, string, error){
		"MovieLens": func() (*dataset.Set, string, error) {
			dir := writeSet(t, movies, ratings)
			set, err := dataset.Open(dir)
			return set, dir, err
		},
		"columns": func() (*dataset.Set, string, error) {
			set, err := dataset.OpenCSV(csv, dataset.Columns{User: "u", Item: "i", Rating: "r", Time: "t"})
			return set, csv, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			im := newImporter(t)
			take := func(badRows int64) (Result, error) {
				set, path, err := open()
				if err != nil {
					t.Fatal(err)
				}
				defer set.Close()
				src, err := FromDataset(t.Context(), set, path, time.Now(), nil)
				if err != nil {
					t.Fatal(err)
				}
				src.BadRowsMax = badRows
				return im.Import(t.Context(), src, "test", nil)
			}
			if _, err := take(0); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a day ahead") || !strings.Contains(err.Error(), "line 4") {
				t.Errorf("%v; want the fourth line and why", err)
			}
			if res, err := take(1); err != nil || res.FactsAdded != 2 || res.BadRows != 1 {
				t.Errorf("%+v, %v; want two facts and a line passed over", res, err)
			}
		})
	}
	if _, err := FromWorld(world.Params{Seed: 1, Users: 10, Movies: 10, Events: 100, End: time.Now().Add(25 * time.Hour)}, time.Now()); err == nil || !strings.Contains(err.Error(), "end") {
		t.Errorf("a world that ends tomorrow and an hour: %v", err)
	}
}
