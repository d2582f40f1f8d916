package v1_test

import (
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Groups are told by name, a page at a time, with what they have not committed of what there is.
func TestGroups(t *testing.T) {
	at := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	tp := func(p int32) streams.TP { return streams.TP{Topic: events.UserEventsTopic, Partition: p} }
	w := newFixture(t, func(c *setup) {
		c.own.Groups = func() (map[string][]api.GroupOffset, error) {
			return map[string][]api.GroupOffset{"b": {{TP: tp(1), Offset: 1, Committed: at}, {TP: tp(0), Offset: 2, Committed: at.Add(time.Hour)}}, "<a>": {{TP: tp(2), Offset: 1 << 40, Committed: at}}, "한": {}}, nil
		}
	})
	ends := map[int32]int64{}
	topics, err := w.core.Topics(t.Context())
	w.must(err)
	for _, info := range topics {
		for _, p := range info.Partitions {
			if info.Topic == events.UserEventsTopic {
				ends[p.Partition] = p.Next
			}
		}
	}
	var names []string
	for cursor := ""; ; {
		var page struct {
			Items []api.Group `json:"items"`
			Next  string      `json:"next_cursor"`
		}
		w.get("/api/v1/log/groups?limit=1&cursor=" + cursor).want(200).into(&page)
		for _, g := range page.Items {
			names = append(names, g.Name)
			switch {
			case g.Name == "b" && (g.Lag != ends[0]-2+ends[1]-1 || g.Committed != "2024-01-02T01:00:00.000Z" || g.Partitions[0].Partition != 0 || g.Partitions[0].End != ends[0]):
				t.Errorf("%+v of ends %v", g, ends)
			case g.Name != "b" && g.Lag != 0:
				t.Errorf("%+v", g)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(names) != 3 || names[0] != "<a>" || names[1] != "b" || names[2] != "한" {
		t.Errorf("groups: %q", names)
	}
	w.get("/api/v1/log/groups?cursor=!").problem(400, "cursor")
	w.get("/api/v1/log/groups?known_at=2024-01-01").problem(400, "known_at")
	newFixture(t).get("/api/v1/log/groups").problem(404, "")
}
