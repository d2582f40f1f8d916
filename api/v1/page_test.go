package v1_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Pages of large items end before their limit, and go on with their cursor.
func TestPagesOfLargeItems(t *testing.T) {
	w := newFixture(t)
	const definitions = 24
	text := w.definitions()
	for i := range definitions {
		other := strings.Replace(text, "half_life: 30d", fmt.Sprintf("half_life: %dd", 31+i), 1)
		w.post("/api/v1/features/definitions", "# "+strings.Repeat("x", 240_000)+"\n"+other).want(200)
	}
	for _, list := range []string{"/api/v1/features/definitions/history?limit=1000", "/api/v1/log/streams/features/definitions?limit=1000"} {
		items, pages := 0, 0
		for cursor := ""; ; pages++ {
			var page struct {
				Items []any  `json:"items"`
				Next  string `json:"next_cursor"`
			}
			a := w.get(list + "&cursor=" + url.QueryEscape(cursor)).want(200)
			a.into(&page)
			if len(a.Body) > 6<<20 || len(page.Items) == 0 {
				t.Fatalf("%s: a page of %d items in %d bytes", list, len(page.Items), len(a.Body))
			}
			items += len(page.Items)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if items != definitions+1 || pages == 0 {
			t.Errorf("%s: %d items in %d pages", list, items, pages+1)
		}
	}
}

// What every slot serves is sent as it is read, however many there are.
func TestDeploymentsAreStreamed(t *testing.T) {
	w := newFixture(t)
	w.train()
	if a := w.get("/api/v1/deployments").want(200); string(a.Body) != `{"items":[]}`+"\n" {
		t.Errorf("without any: %s", a.Body)
	}
	const slots = 300
	w.deployed(slots, "a < b, for all that it matters")
	var all struct {
		Items []struct{ Slot, Reason string }
	}
	a := w.get("/api/v1/deployments").want(200)
	if a.into(&all); len(all.Items) != slots || all.Items[7].Reason != "a < b, for all that it matters" || len(a.Body) < 64<<10 || strings.Contains(string(a.Body), "u003c") {
		t.Errorf("%d slots in %d bytes, %+v", len(all.Items), len(a.Body), all.Items[7])
	}
	w.cutOff(httptest.NewRequest("GET", "/api/v1/deployments", nil))
}
