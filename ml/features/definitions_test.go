package features

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/document"
	"github.com/projectionist/projectionist/internal/fault"
)

func mustParse(t testing.TB, yaml string) *Definitions {
	t.Helper()
	d, err := Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefaultDefinitions(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	for _, ref := range []string{
		"movie_features:rating", "movie_features:rating_mean", "movie_features:rating_count", "movie_features:popularity",
		"movie_features:recency_days", "movie_features:year", "movie_features:age_years", "movie_features:genre", "movie_features:genre_drama",
		"user_features:interaction_count", "user_features:rating_count", "user_features:rating_mean", "user_features:genre_preference",
		"user_features:genre_preference_drama", "user_features:recency_days", "user_features:activity_7d", "user_features:activity_30d",
		"user_features:activity_90d", "user_features:age",
	} {
		if _, err := d.Select([]string{ref}, false); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	// Both views have a rating_count, so the service's features carry the view's name.
	names := d.Service("ranking").Selection().Names()
	if want := len(d.Views[0].Features) + len(d.Views[1].Features); len(names) != want || names[0] != "user_features__age" {
		t.Errorf("ranking has %d features, first %s; want %d, user_features__age", len(names), names[0], want)
	}
	if names := d.Service("movie_card").Selection().Names(); names[0] != "title" {
		t.Errorf("movie_card begins with %s, want title", names[0])
	}
}

const small = `
entities:
  - name: user
    join_key: user_id
  - {name: movie, join_key: movie_id}
feature_views:
  - name: m
    entity: movie
    ttl: 90d
    features:
      - {name: n, aggregation: count, kinds: [view, click], window: 7d}
      - {name: year, aggregation: attribute, of: year}
  - name: u
    entity: user
    features:
      - name: n
        aggregation: count
feature_services:
  - {name: both, features: [m, "u:n"]}
`

func TestHash(t *testing.T) {
	base := mustParse(t, small).Hash()
	same := map[string]string{
		"comment":     "# hello\n" + small,
		"key order":   strings.Replace(small, "{name: n, aggregation: count, kinds: [view, click], window: 7d}", "{window: 7d, kinds: [click, view], aggregation: count, name: n}", 1),
		"block style": strings.Replace(small, "  - {name: movie, join_key: movie_id}", "  - join_key: movie_id\n    name: movie", 1),
		"default":     strings.Replace(small, "{name: n, aggregation: count,", "{name: n, type: int64, aggregation: count,", 1),
		"unit":        strings.Replace(small, "window: 7d", "window: 1w", 1),
		"description": strings.Replace(small, "ttl: 90d", "ttl: 90d\n    description: films", 1),
	}
	for name, yaml := range same {
		if yaml == small {
			t.Fatalf("%s: the text is unchanged", name)
		}
		if mustParse(t, yaml).Hash() != base {
			t.Errorf("%s changes the hash", name)
		}
	}
	other := map[string]string{
		"window":  strings.Replace(small, "window: 7d", "window: 8d", 1),
		"ttl":     strings.Replace(small, "ttl: 90d", "ttl: 91d", 1),
		"type":    strings.Replace(small, "{name: n, aggregation: count,", "{name: n, type: float64, aggregation: count,", 1),
		"kinds":   strings.Replace(small, "[view, click]", "[view]", 1),
		"service": strings.Replace(small, "[m, \"u:n\"]", "[\"u:n\", m]", 1),
	}
	seen := map[string]string{base: "base"}
	for name, yaml := range other {
		h := mustParse(t, yaml).Hash()
		if seen[h] != "" {
			t.Errorf("%s has the hash of %s", name, seen[h])
		}
		seen[h] = name
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ old, new, path, says string }{
		{"window: 7d", "windo: 7d", "feature_views[0].features[0].windo", "known keys"},
		{"window: 7d", "window: 36h", "feature_views[0].features[0].window", "whole days"},
		{"window: 7d", "window: 7", "feature_views[0].features[0].window", "whole days such as 7d"},
		{"window: 7d", "window: 99999999d", "feature_views[0].features[0].window", "at most"},
		{"window: 7d", "half_life: 7d", "feature_views[0].features[0].half_life", "count takes kinds, window"},
		{"aggregation: count, kinds", "aggregation: total, kinds", "feature_views[0].features[0].aggregation", "use one of count,"},
		{"aggregation: count, kinds: [view, click], window: 7d", "aggregation: decayed_count", "feature_views[0].features[0].half_life", "decayed_count needs it"},
		{"aggregation: count, kinds: [view, click], window: 7d", "aggregation: top_genre", "feature_views[0].features[0].aggregation", "move the feature to a view of user"},
		{"aggregation: count, kinds: [view, click], window: 7d", "aggregation: mean, prior_mean: 3", "feature_views[0].features[0].prior_count", "both or neither"},
		{"aggregation: count, kinds: [view, click], window: 7d", "aggregation: mean, prior_mean: 7, prior_count: 1", "feature_views[0].features[0].prior_mean", "from 0 to 5"},
		{"aggregation: count, kinds: [view, click], window: 7d", "aggregation: mean, prior_mean: .nan, prior_count: 1", "feature_views[0].features[0].prior_mean", "from 0 to 5"},
		{"aggregation: count, kinds: [view, click], window: 7d", "type: string, aggregation: count", "feature_views[0].features[0].type", "int64 or float64"},
		{"[view, click]", "[view, view]", "feature_views[0].features[0].kinds[1]", "repeats"},
		{"[view, click]", "[]", "feature_views[0].features[0].kinds", "is empty"},
		{"[view, click]", "[1]", "feature_views[0].features[0].kinds[0]", "put quotes"},
		{"of: year", "of: director", "feature_views[0].features[1].of", "title, year"},
		{"name: year,", "name: n,", "feature_views[0].features[1].name", "taken"},
		{"name: year,", "name: the year,", "feature_views[0].features[1].name", "letters"},
		{"name: year,", "", "feature_views[0].features[1].name", "missing"},
		{"ttl: 90d", "ttl: soon", "feature_views[0].ttl", "such as 90d"},
		{"ttl: 90d", "ttl: -1d", "feature_views[0].ttl", "such as 90d"},
		{"ttl: 90d", "ttl: [90d]", "feature_views[0].ttl", "such as 90d"},
		{"name: u\n", "name: m\n", "feature_views[1].name", "taken"},
		{"entity: user", "entity: actor", "feature_views[1].entity", "entities"},
		{"entity: user", "entity: user\n    entity: user", "feature_views[1].entity", "written twice"},
		{"join_key: user_id", "join_key: uid", "entities[0].join_key", "user_id"},
		{"\"u:n\"", "\"u:x\"", "feature_services[0].features[1]", "no feature \"x\""},
		{"\"u:n\"", "\"w:n\"", "feature_services[0].features[1]", "views: m, u"},
		{"feature_services:", "services:", "services", "known keys"},
		{"ttl: 90d", "ttl: &a 90d", "document", "not used here, line 9"},
		{"ttl: 90d", "ttl: *a", "document", "not used here, line 9"},
		{"ttl: 90d", "ttl: !!str 90d", "document", "not used here, line 9"},
		{"ttl: 90d", "ttl: 90d\n    <<: {}", "document", "not used here"},
		{"ttl: 90d", "ttl: [", "", "not valid YAML"},
		{"\nentities", "a: 1\n---\nentities", "", "2 YAML documents"},
	} {
		yaml := strings.Replace(small, c.old, c.new, 1)
		if yaml == small {
			t.Fatalf("%q is not in the text", c.old)
		}
		_, err := Parse([]byte(yaml))
		if err == nil {
			t.Errorf("%s: no error", c.new)
			continue
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.Invalid || e.Field != c.path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s:\n got %v\nwant %s … %s", c.new, err, c.path, c.says)
		}
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	yaml := strings.Replace(strings.Replace(small, "window: 7d", "window: x", 1), "of: year", "of: x", 1)
	_, err := Parse([]byte(yaml))
	if err == nil || !strings.Contains(err.Error(), "features[0].window") || !strings.Contains(err.Error(), "features[1].of") {
		t.Errorf("got %v", err)
	}
}

// A hostile file is refused, without exhausting the stack or the time.
func TestParseHostile(t *testing.T) {
	const n = 80000
	var keys strings.Builder
	for i := range n / 4 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	for name, yaml := range map[string]string{
		"empty": "", "brackets": strings.Repeat("[", n), "braces": strings.Repeat("{a: ", n/2), "dashes": strings.Repeat("- ", n), "questions": strings.Repeat("? ", n),
		"colons": strings.Repeat("a: ", n), "documents": strings.Repeat("---\n", n/2), "keys": keys.String(), "large": "a: " + strings.Repeat("x", document.BytesMax),
		"flow keys": "{" + strings.ReplaceAll(keys.String(), "\n", ",") + "}", "list": "feature_views:\n" + strings.Repeat("- a\n", n/2), "services": small + strings.Repeat("  - {name: both, features: [x]}\n", n/20), "features": strings.Replace(small, "features:\n", "features:\n"+strings.Repeat("      - {name: x}\n", n/10), 1), "mixed": strings.Repeat("- a: ", n/4), "same column": strings.Repeat("a:\n- b\n", n/4),
		"deep": "a:\n" + func() (s string) {
			for i := range 200 {
				s += strings.Repeat(" ", i+1) + "a:\n"
			}
			return s
		}(), "scalar": "features", "nothing": "# nothing", "binary": "\x00\xff\xfe",
	} {
		if _, err := Parse([]byte(yaml)); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(DefaultYAML())
	f.Add(small)
	f.Add("")
	f.Add("a: *a")
	f.Add("[[[[")
	f.Add("? {}\n: - x")
	f.Fuzz(func(t *testing.T, yaml string) {
		d, err := Parse([]byte(yaml))
		if (d == nil) == (err == nil) {
			t.Fatal("neither or both of definitions and error")
		}
	})
}

// wide is a view of n features of a movie.
func wide(entity Entity, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "entities: [{name: user, join_key: user_id}, {name: movie, join_key: movie_id}]\nfeature_views:\n- name: wide\n  entity: %s\n  features:\n", entity)
	genres := []string{"Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "War"}
	kinds := []string{"", ", kinds: [rating]", ", kinds: [view, watch]", ", kinds: [click]"}
	for i := range n {
		k := kinds[i/8%4]
		switch i % 8 {
		case 0:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: count, window: %dd%s}\n", i, 1+i, k)
		case 1:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: rating_count, window: %dd%s}\n", i, 1+i, k)
		case 2:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: mean, prior_mean: 3, prior_count: 5, window: %dd%s}\n", i, 1+i, k)
		case 3:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: decayed_count, half_life: %dd%s}\n", i, 7*(1+i/64), k)
		case 4:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: active_days, window: %dd%s}\n", i, 1+i, k)
		case 5:
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: recency%s}\n", i, k)
		case 6:
			if entity == Movie {
				k = ""
			}
			fmt.Fprintf(&b, "  - {name: f%d, aggregation: genre_share, genre: %s%s}\n", i, genres[i/8%8], k)
		case 7:
			if entity == Movie {
				fmt.Fprintf(&b, "  - {name: f%d, aggregation: attribute, of: year}\n", i)
			} else {
				fmt.Fprintf(&b, "  - {name: f%d, aggregation: genre_mean, genre: %s%s}\n", i, genres[i/8%8], k)
			}
		}
	}
	return b.String()
}
