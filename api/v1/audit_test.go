package v1_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// Between two moments lies what the one knows and the other does not, each event once, whatever the pages.
func TestAuditBetween(t *testing.T) {
	w := newFixture(t)
	cut := func() string { return w.get("/api/v1/log/moment").at("cut") }
	var cuts []string
	for i := range 5 {
		cuts = append(cuts, cut())
		w.clock.set(day0.Add(time.Duration(i+1) * time.Minute))
		for k := range 3 {
			w.dispatch(&commands.CreateExperiment{Name: fmt.Sprintf("e%d.%d", i, k)})
		}
		w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"1","interaction_type":"click"}`).want(200)
	}
	cuts = append(cuts, cut())
	type entries struct {
		Items []struct{ Stream, Actor, Summary, Position string }
		Next  string `json:"next_cursor"`
		Facts map[string]int64
	}
	between := func(query string) (all []string, facts map[string]int64) {
		t.Helper()
		for cursor := ""; ; {
			var p entries
			w.get("/api/v1/audit?limit=2&" + query + "&cursor=" + url.QueryEscape(cursor)).want(200).into(&p)
			for _, it := range p.Items {
				if it.Actor != "test" {
					t.Errorf("%+v", it)
				}
				all = append(all, it.Position)
			}
			facts = p.Facts
			if cursor = p.Next; cursor == "" {
				return all, facts
			}
		}
	}
	for i, from := range cuts {
		for j, to := range cuts {
			query := "known_after=" + url.QueryEscape(from) + "&known_at=" + url.QueryEscape(to)
			if i > j {
				w.get("/api/v1/audit?"+query).problem(400, "known_after")
				continue
			}
			// A commit of an experiment that claims its name is beside one that it is created by.
			all, facts := between(query + "&type=experiment.created")
			if len(all) != 3*(j-i) || facts[events.UserEventsTopic] != int64(j-i) {
				t.Errorf("between %d and %d: %d events, %v", i, j, len(all), facts)
			}
			seen := map[string]bool{}
			for _, p := range all {
				seen[p] = true
			}
			if len(seen) != len(all) {
				t.Errorf("between %d and %d: twice: %v", i, j, all)
			}
		}
	}
	byTime, _ := between("known_after=" + url.QueryEscape(events.FormatTime(day0.Add(2*time.Minute))) + "&type=experiment.created")
	byCut, _ := between("known_after=" + url.QueryEscape(cuts[2]) + "&type=experiment.created")
	if len(byTime) != 9 || fmt.Sprint(byTime) != fmt.Sprint(byCut) {
		t.Errorf("%v, by the cut %v", byTime, byCut)
	}
	whole, _ := between("")
	first, _ := between("known_at=" + url.QueryEscape(cuts[3]))
	rest, facts := between("known_after=" + url.QueryEscape(cuts[3]))
	if len(first)+len(rest) != len(whole) || facts[events.UserEventsTopic] != 2 {
		t.Errorf("%d and %d events, together %d; %v", len(first), len(rest), len(whole), facts)
	}
	if all, _ := between("known_at=1999-01-01"); len(all) != 0 {
		t.Errorf("before the log: %v", all)
	}
	w.get("/api/v1/audit?known_after=never").problem(400, "known_after")
	w.get("/api/v1/audit?known_at=never").problem(400, "known_at")
}
