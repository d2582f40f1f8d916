package v1_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/streams"
)

// A list leaves out the films that a person has met. So it shows which of their clicks the ranking has seen: under many
// clicks and lists at once, those are the ones that the recorded cut covers, every one of them and no other.
func TestTheRecordedCutIsTheOneThatRanked(t *testing.T) {
	w := newFixture(t)
	people := []string{"ada", "ben", "cleo", "dora"}
	type list struct {
		person string
		cut    streams.Cut
		films  map[string]bool
	}
	var mu sync.Mutex
	at := map[string]streams.Position{} // of each click, by person and film
	var lists []list
	var clicking, listing sync.WaitGroup
	over := make(chan struct{})
	for _, person := range people {
		made := make(chan struct{}, 2) // lists of the person
		clicking.Go(func() {
			for film := range testMovies {
				if film == testMovies/2 { // two were kept, one was under way: the fourth is asked for between two clicks
					for range 4 {
						<-made
					}
				}
				a := w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":%q,"movie_id":"%d","interaction_type":"like"}`, person, film+1)).want(200)
				p := streamsPosition(t, a.at("position"))
				mu.Lock()
				at[person+"/"+strconv.Itoa(film+1)] = p
				mu.Unlock()
			}
		})
		listing.Go(func() {
			for {
				var v struct {
					Cut   string
					Items []struct {
						MovieID string `json:"movie_id"`
					}
				}
				w.get("/api/v1/recommendations?k=100&user_id=" + person).want(200).into(&v)
				cut, err := streams.ParseCut(v.Cut)
				if err != nil {
					t.Error(err)
					return
				}
				l := list{person, cut, map[string]bool{}}
				for _, it := range v.Items {
					l.films[it.MovieID] = true
				}
				mu.Lock()
				lists = append(lists, l)
				mu.Unlock()
				select {
				case made <- struct{}{}:
				default:
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	clicking.Wait()
	close(over)
	listing.Wait()
	middle := 0
	for _, l := range lists {
		for film := 1; film <= testMovies; film++ {
			id := strconv.Itoa(film)
			if met := !l.films[id]; met != l.cut.Covers(at[l.person+"/"+id]) {
				t.Fatalf("a list of %s with the cut %s: film %s has been met: %v; the click is at %s", l.person, l.cut, id, met, at[l.person+"/"+id])
			}
		}
		if n := len(l.films); n > 0 && n < testMovies {
			middle++
		}
	}
	if middle == 0 {
		t.Errorf("of %d lists none was made between two clicks", len(lists))
	}
}
