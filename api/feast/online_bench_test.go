package feast_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/feast"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// BenchmarkOnline answers for 250 features of one entity, and 50 of a hundred, pushed and computed.
func BenchmarkOnline(b *testing.B) {
	const wide, mid = 250, 50
	var y strings.Builder
	y.WriteString("entities: [{name: user, join_key: user_id}, {name: movie, join_key: movie_id}]\nfeature_views:\n  - name: computed\n    entity: user\n    features:\n")
	for k := range wide {
		of := []string{"count, window: %dd", "mean, prior_mean: 3, prior_count: 5, window: %dd", "decayed_count, half_life: %dd"}[k%3]
		fmt.Fprintf(&y, "      - {name: f%d, aggregation: "+of+"}\n", k, 1+k)
	}
	for name, n := range map[string]int{"wide": wide, "mid": mid} {
		fmt.Fprintf(&y, "%s  - name: %s\n    entity: movie\n    features:\n", map[bool]string{true: "external_views:\n"}[!strings.Contains(y.String(), "external")], name)
		for k := range n {
			fmt.Fprintf(&y, "      - {name: f%d, type: float64}\n", k)
		}
	}
	bench := apitest.New(b, func() time.Time { return now })
	server := bench.Core.Serve(feast.New(bench.Core, feast.Config{Features: featurestore.New(bench.Views, bench.Log)}))
	defs, err := features.Parse([]byte(y.String()))
	bench.Must(err)
	bench.Do(&commands.DefineFeatures{Definitions: y.String(), Hash: defs.Hash()})
	for i := range 60 {
		bench.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: fmt.Sprint(i), Kind: "rating", Rating: 4, Timestamp: events.FormatTime(now.Add(-time.Duration(i) * 24 * time.Hour))}})
	}
	rows := func(view string, n, features int) string {
		var ids, times []string
		for i := range n {
			ids, times = append(ids, fmt.Sprint(i)), append(times, `"2024-05-31T00:00:00Z"`)
		}
		body := fmt.Sprintf(`{"push_source_name":"%s_push","df":{"movie_id":[%s],"event_timestamp":[%s]`, view, strings.Join(ids, ","), strings.Join(times, ","))
		for k := range features {
			var values []string
			for i := range n {
				values = append(values, fmt.Sprint(float64((i*7919+k*104729)%1000003)/8))
			}
			body += fmt.Sprintf(`,"f%d":[%s]`, k, strings.Join(values, ","))
		}
		return body + "}}"
	}
	ask := func(view, key string, ids, features int) string {
		var refs, of []string
		for k := range features {
			refs = append(refs, fmt.Sprintf(`"%s:f%d"`, view, k))
		}
		for i := range ids {
			of = append(of, fmt.Sprint(1+i))
		}
		return fmt.Sprintf(`{"features":[%s],"entities":{"%s":[%s]}}`, strings.Join(refs, ", "), key, strings.Join(of, ","))
	}
	for view, n := range map[string]int{"wide": wide, "mid": mid} {
		if a := apitest.Ask(server, "POST", "/push", rows(view, 110, n)); a.Code != 200 {
			b.Fatal(a.Text)
		}
	}
	for _, c := range []struct{ name, path, body string }{
		{"pushed 1x250", online, ask("wide", "movie_id", 1, wide)},
		{"pushed 100x50", online, ask("mid", "movie_id", 100, mid)},
		{"computed 1x250", online, ask("computed", "user_id", 1, wide)},
		{"push 110x50", "/push", rows("mid", 110, mid)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", c.path, strings.NewReader(c.body))
				r.Host = "localhost:6566"
				w := httptest.NewRecorder()
				if server.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Body.String())
				}
			}
		})
	}
}
