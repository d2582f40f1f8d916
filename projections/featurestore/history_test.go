package featurestore

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestHistory: every page of every entity's history says what reads as of the same moments say, changes of a count follow each other from nothing to what it
// is now, and each has its event.
func TestHistory(t *testing.T) {
	f, defs := filled(t)
	now := day0.AddDate(0, 1, 0).UnixMilli()
	for _, v := range defs.Views {
		sel, n := v.Selection(), people
		if v.Entity == features.Movie {
			n = films
		}
		for i := range n {
			id := strconv.Itoa(i + 1)
			user, movie := id, ""
			if v.Entity == features.Movie {
				user, movie = "", id
			}
			read := func(at fold.At, millis int64) map[string]string {
				values, err := f.Read(t.Context(), nil, sel, user, movie, at, millis)
				if err != nil {
					t.Fatal(err)
				}
				out := map[string]string{}
				for k := range values {
					out[values[k].Name] = string(values[k].AppendJSON(nil))
				}
				return out
			}
			var all []Changed
			for q := (fold.PageQuery{Limit: 7}); ; {
				p, err := f.History(t.Context(), sel, v.Entity, id, fold.At{}, q)
				if err != nil || len(p.Items) > 7+1 { // what the catalogue says is beyond the limit
					t.Fatal(len(p.Items), err)
				}
				if all, q.Cursor = append(all, p.Items...), p.Next; p.Next == "" {
					break
				}
			}
			if one, err := f.History(t.Context(), sel, v.Entity, id, fold.At{}, fold.PageQuery{}); err != nil || show(one.Items) != show(all) || one.Next != "" {
				t.Fatalf("%s %s: pages differ from the whole: %v\n%s\n%s", v.Name, id, err, show(all), show(one.Items))
			}
			count := read(fold.At{}, now)["interaction_count"]
			for k, c := range all {
				if c.EventID == "" || c.Position == "" || k > 0 && c.EventMillis > all[k-1].EventMillis {
					t.Fatalf("%s %s: %+v", v.Name, id, c)
				}
				if c.Event != (*events.Interaction)(nil).EventType() {
					if len(c.Changes) < 3 || c.Changes[0].Feature != "title" || string(c.Changes[0].From) != "null" {
						t.Errorf("by what was said: %+v", c)
					}
					continue
				}
				last := k == 0 || all[k-1].EventMillis != c.EventMillis // of its time
				then := read(fold.At{EventMillis: c.EventMillis}, c.EventMillis)
				for _, change := range c.Changes {
					if last && string(change.To) != then[change.Feature] {
						t.Fatalf("%s %s: %s at %d is %s in the history, read as %s", v.Name, id, change.Feature, c.EventMillis, change.To, then[change.Feature])
					}
					if change.Feature != "interaction_count" {
						continue
					}
					if string(change.To) != count {
						t.Fatalf("%s %s: to %s, and then from %s", v.Name, id, change.To, count)
					}
					count = string(change.From)
				}
			}
			if count != "0" && count != "null" {
				t.Errorf("%s %s: the history begins with %s facts", v.Name, id, count)
			}
		}
	}
}

// show is what pages have in common with the whole: of what was said at the time of a page's end, the place among facts of that time is no matter.
func show(all []Changed) (text string) {
	for _, c := range all {
		text += fmt.Sprintf("%d %s %s\n", c.EventMillis, c.Position, c.Changes)
	}
	return text
}
