package topics_test

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/topics"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

func serve(t *testing.T, records int, groups func() (map[string][]api.GroupOffset, error)) func(path string) (int, string, map[string]any) {
	t.Helper()
	b := apitest.New(t, nil)
	var recs []streams.Record
	for i := range records {
		r, err := streams.FactRecord(fmt.Sprint(i%7), &events.Event{ID: fmt.Sprint(i), Source: "/test", Time: time.UnixMilli(1000).UTC(),
			Data: &events.Interaction{UserID: fmt.Sprint(i % 7), MovieID: "<b>1</b>", Kind: "click", Timestamp: "2024-01-02T03:04:05Z"}})
		b.Must(err)
		recs = append(recs, r)
	}
	if records > 0 {
		recs[0].Value = []byte{0xff, 0}
		b.Must(b.Log.Feed().Publish(t.Context(), events.UserEventsTopic, recs))
	}
	server := b.Core.Serve(topics.New(b.Core, topics.Config{Groups: groups}))
	return func(path string) (int, string, map[string]any) {
		t.Helper()
		a := apitest.Ask(server, "GET", path, "")
		return a.Code, a.Text, a.Object
	}
}

// TestMessages: messages are shown as they lie in the log, the last ones or those from an offset on.
func TestMessages(t *testing.T) {
	ask := serve(t, 100, nil)
	code, text, v := ask("/api/topics")
	if code != 200 || len(v["items"].([]any)) != len(streams.Topics) || !strings.Contains(text, `"records":100`) {
		t.Errorf("%d %s", code, text)
	}
	items := func(path string) []any {
		t.Helper()
		code, text, v := ask(path)
		if code != 200 {
			t.Fatalf("%s: %d %s", path, code, text)
		}
		return v["items"].([]any)
	}
	if got := items("/api/topics/user-events/messages?limit=500"); len(got) != 100 {
		t.Errorf("%d messages", len(got))
	}
	if got := items("/api/topics/user-events/messages?limit=3"); len(got) != 3 {
		t.Errorf("%d messages", len(got))
	}
	if got := items("/api/topics/system-health/messages"); len(got) != 0 {
		t.Errorf("%d messages", len(got))
	}
	for p := range 3 {
		got := items(fmt.Sprintf("/api/topics/user-events/messages?partition=%d&offset=2&limit=2", p))
		for i, m := range got {
			if m := m.(map[string]any); len(got) != 2 || m["offset"] != float64(3-i) || m["partition"] != float64(p) || m["headers"] == nil {
				t.Errorf("partition %d: %v", p, m)
			}
		}
	}
	code, page, _ := ask("/topics/user-events")
	if code != 200 || strings.Contains(page, "<b>") || !strings.Contains(page, "ce_type: user.interaction") {
		t.Errorf("the page: %d %.2000s", code, page)
	}
	if code, page, _ := ask("/"); code != 200 || !strings.Contains(page, "kafka-consumer-groups") || !strings.Contains(page, "user-events") {
		t.Errorf("the page: %d %s", code, page)
	}
	if code, _, v := ask("/health"); code != 200 || v["topics"] != float64(len(streams.Topics)) {
		t.Errorf("health: %d %v", code, v)
	}
	for path, c := range map[string]struct {
		status int
		says   string
	}{
		"/api/topics/nope/messages":                    {404, "nope"},
		"/topics/nope":                                 {404, "nope"},
		"/topics/user-events?partition=3":              {400, "partition"},
		"/topics/user-events?offset=3":                 {400, "offset"},
		"/topics/user-events?more=1":                   {400, "more"},
		"/api/topics/user-events/messages?limit=0":     {400, "limit"},
		"/api/topics/user-events/messages?limit=501":   {400, "limit"},
		"/api/topics/user-events/messages?partition=3": {400, "partition"},
		"/api/topics/user-events/messages?offset=1":    {400, "offset"},
		"/api/topics/user-events/messages?more=1":      {400, "more"},
		"/api/topics?more=1":                           {400, "more"},
		"/api/groups":                                  {404, "kafka-consumer-groups"},
		"/nope":                                        {404, "nope"},
	} {
		if code, text, _ := ask(path); code != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s; want %d and %s", path, code, text, c.status, c.says)
		}
	}
}

// TestPartitionPages: from the last messages of a partition all older ones are reached, in order.
func TestPartitionPages(t *testing.T) {
	const records = 1000
	ask := serve(t, records, nil)
	offsets := regexp.MustCompile(`partition (\d), offset (\d+), taken`)
	link := func(page, name string) string {
		found := regexp.MustCompile(`<a href="([^"]*)">` + name + `</a>`).FindStringSubmatch(page)
		if found == nil {
			return ""
		}
		return html.UnescapeString(found[1])
	}
	seen := map[string]bool{}
	for partition := range 3 {
		query := fmt.Sprintf("?partition=%d", partition)
		for first := true; query != ""; first = false {
			code, page, _ := ask("/topics/user-events" + query)
			list := offsets.FindAllStringSubmatch(page, -1)
			if code != 200 || len(list) == 0 {
				t.Fatalf("%s: %d %s", query, code, page)
			}
			last := -1
			for _, m := range list {
				at, _ := strconv.Atoi(m[2])
				if m[1] != fmt.Sprint(partition) || last >= 0 && at != last-1 {
					t.Fatalf("%s: after offset %d comes %s", query, last, m[0])
				}
				seen[m[0]], last = true, at
			}
			if newer := link(page, "newer"); (newer == "") != first {
				t.Errorf("%s: newer messages are at %q", query, newer)
			}
			query = link(page, "older")
		}
	}
	if len(seen) != records {
		t.Errorf("%d messages of %d were seen", len(seen), records)
	}
}

// TestGroups: how far a group is behind is what it has not committed of what there is.
func TestGroups(t *testing.T) {
	of := func(p int32, offset int64, at time.Time) api.GroupOffset {
		return api.GroupOffset{TP: streams.TP{Topic: events.UserEventsTopic, Partition: p}, Offset: offset, Committed: at}
	}
	at := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	ask := serve(t, 100, func() (map[string][]api.GroupOffset, error) {
		return map[string][]api.GroupOffset{"b": {of(1, 1, at), of(0, 2, at.Add(time.Hour))}, "a": {of(2, 1<<40, at)}}, nil
	})
	_, _, topicsNow := ask("/api/topics")
	ends := map[int]float64{}
	for _, topic := range topicsNow["items"].([]any) {
		if v := topic.(map[string]any); v["topic"] == events.UserEventsTopic {
			for i, p := range v["partitions"].([]any) {
				ends[i] = p.(map[string]any)["next_offset"].(float64)
			}
		}
	}
	code, text, v := ask("/api/groups")
	if code != 200 || len(v["items"].([]any)) != 2 {
		t.Fatalf("%d %s", code, text)
	}
	a, b := v["items"].([]any)[0].(map[string]any), v["items"].([]any)[1].(map[string]any)
	if a["group"] != "a" || a["lag"] != 0. || b["lag"] != ends[0]-2+ends[1]-1 || b["committed"] != "2024-01-02T01:00:00.000Z" ||
		b["partitions"].([]any)[0].(map[string]any)["partition"] != 0. {
		t.Errorf("%s", text)
	}
	if code, page, _ := ask("/"); code != 200 || !strings.Contains(page, "user-events/1 at 1") {
		t.Errorf("the page: %d %s", code, page)
	}
}
