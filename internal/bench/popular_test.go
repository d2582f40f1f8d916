package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
)

// The data set is the same whenever it is made, can be read, and is what it says.
func TestPopular(t *testing.T) {
	p := popular{ratings: 20_000, people: 200, films: 100, seed: 1}
	dir, again := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, again} {
		if err := p.write(d); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"movies.csv", "ratings.csv"} {
		a, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(again, name))
		if err != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s is another the second time; %v", name, err)
		}
	}
	set, err := dataset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var n, ties int
	var last int64
	films := map[string]int{}
	for r, err := range set.Ratings(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if r.TimeMillis < last {
			t.Fatalf("rating %d is of before the one before", n)
		}
		if r.TimeMillis == last {
			ties++
		}
		last = r.TimeMillis
		films[r.MovieID]++
		n++
	}
	if n != p.ratings || ties < n/10 || len(films) != p.films {
		t.Errorf("%d ratings of %d films, %d at the time of the one before", n, len(films), ties)
	}
	if films["1"] < 3*films["50"] || films["50"] == 0 {
		t.Errorf("film 1 has %d ratings, film 50 %d", films["1"], films["50"])
	}
}
