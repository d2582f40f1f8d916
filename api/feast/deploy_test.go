package feast_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/features"
)

// TestRepository: the repository for Feast's own tools has the names and types of the built-in definitions, in their order.
func TestRepository(t *testing.T) {
	text, err := os.ReadFile("../../deploy/feast/features.py")
	if err != nil {
		t.Fatal(err)
	}
	defs, err := features.Parse([]byte(features.DefaultYAML()))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{"Float64": "float64", "Int64": "int64", "String": "string", "Array(String)": "string_list"}
	_, list, _ := strings.Cut(string(text), "GENRES = [")
	list, _, _ = strings.Cut(list, "]")
	genres := regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list, -1)
	for _, v := range defs.Views {
		_, body, ok := strings.Cut(string(text), "\n"+v.Name+" = FeatureView(")
		body, _, _ = strings.Cut(body, "\n)")
		if !ok || !strings.Contains(body, fmt.Sprintf(`name="%s"`, v.Name)) || !strings.Contains(body, fmt.Sprintf("entities=[%s]", v.Entity)) {
			t.Fatalf("no view %s of a %s", v.Name, v.Entity)
		}
		var got, want []string
		for _, m := range regexp.MustCompile(`Field\(name="(\w+)", dtype=(Array\(String\)|\w+)|by_genre\("(\w+)"\)`).FindAllStringSubmatch(body, -1) {
			if m[3] == "" {
				got = append(got, m[1]+" "+types[m[2]])
				continue
			}
			for _, g := range genres {
				got = append(got, m[3]+strings.ReplaceAll(strings.ToLower(g[1]), "-", "_")+" float64")
			}
		}
		for _, f := range v.Features {
			want = append(want, f.Name+" "+string(f.Type))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n%v\nwant\n%v", v.Name, got, want)
		}
	}
	for _, s := range defs.Services {
		if !strings.Contains(string(text), fmt.Sprintf(`FeatureService(name="%s"`, s.Name)) {
			t.Errorf("no service %s", s.Name)
		}
	}
	for _, e := range defs.Entities {
		if !strings.Contains(string(text), fmt.Sprintf(`Entity(name="%s", join_keys=["%s"]`, e.Name, e.JoinKey)) {
			t.Errorf("no entity %s", e.Name)
		}
	}
}
