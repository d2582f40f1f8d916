package ingest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/world"
)

// people are what the log says of people, by their ids.
func people(t *testing.T, im *Importer) map[string]events.UserDescribed {
	t.Helper()
	all := map[string]events.UserDescribed{}
	head, err := im.Log.Ledger().Head(context.Background(), time.Time{})
	if err != nil || head == 0 {
		return all
	}
	for c, err := range im.Log.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if d, ok := e.Data.(*events.UserDescribed); ok {
				all[d.UserID] = *d
			}
		}
		if c.Position.Offset == head-1 {
			break
		}
	}
	return all
}

// What a set tells of people comes in with it, once; lines that cannot be read go where those of films do.
func TestImportOfUsers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ml-1m")
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("movies.dat", "1::Lamp (1990)::Drama\n")
	put("ratings.dat", "1::1::5::978300760\n")
	put("users.dat", "1::F::1::10::48067\n2::F::2::10::48067\n")
	im := newImporter(t)
	if _, err := importSet(t, im, dir); err == nil || !strings.Contains(err.Error(), "users.dat, line 2") || !strings.Contains(err.Error(), "one of 1, 18") {
		t.Errorf("a line that cannot be read: %v", err)
	}
	res, err := importSet(t, im, dir, func(s *Source) { s.BadRowsMax = 1 })
	if err != nil || res.UsersDescribed > 1 || res.BadRows != 1 { // the first try may have told of the first one
		t.Fatalf("%+v, %v", res, err)
	}
	if got := refusals(t, im); !slices.Equal(got, []string{`mlops-events users.dat:2 "2::F::2::10::48067"`}) {
		t.Errorf("quarantine %q", got)
	}
	want := events.UserDescribed{User: events.User{UserID: "1", Age: 1, Gender: "F", Occupation: "K-12 student", Zip: "48067"}, Dataset: "ml-1m"}
	if got := people(t, im); len(got) != 1 || got["1"] != want {
		t.Errorf("people %+v", got)
	}
	put("users.dat", "1::F::1::10::48067\n2::F::25::10::48067\n")
	if res, err = importSet(t, im, dir); err != nil || res.UsersDescribed != 1 || res.MoviesAdded+res.FactsAdded != 0 {
		t.Errorf("a later edition: %+v, %v", res, err)
	}
}

// The people of a world have ages, the same ones each time, of a world of any size the first.
func TestAgesOfAWorld(t *testing.T) {
	p := world.Params{Seed: 3, Users: 50, Movies: 5, Events: 10, End: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	src, err := FromWorld(p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	im := newImporter(t)
	res, err := im.Import(context.Background(), src, "test", nil)
	if err != nil || res.UsersDescribed != 50 {
		t.Fatalf("%+v, %v", res, err)
	}
	ages := map[int]bool{}
	for id, d := range people(t, im) {
		if ages[d.Age] = true; d.Age < 13 || d.Age > 70 || d.Dataset != "simulated" || d.Since != "" {
			t.Errorf("person %s: %+v", id, d)
		}
	}
	if len(ages) < 15 {
		t.Errorf("50 people have %d ages", len(ages))
	}
	p.Users = world.PeopleMax + 5
	n, first := 0, ""
	for again := range 2 {
		w, err := world.New(p)
		if err != nil {
			t.Fatal(err)
		}
		n = 0
		var b strings.Builder
		for id, age := range w.Ages() {
			if n++; n <= 50 {
				fmt.Fprintln(&b, id, age)
			}
		}
		if again == 0 {
			first = b.String()
		} else if b.String() != first {
			t.Error("the same world has other ages")
		}
	}
	if n != world.PeopleMax {
		t.Errorf("%d ages", n)
	}
}
