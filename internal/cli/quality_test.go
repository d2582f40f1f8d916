package cli

import (
	"bytes"
	"strings"
	"testing"
)

// The curve is a table of windows in their order, with what was deployed in its place between them.
func TestCurve(t *testing.T) {
	var out, said bytes.Buffer
	p := &program{out: &out, err: &said}
	raw := `{"windows":[
		{"from":"2024-06-01T00:00:00.000Z","to":"2024-06-02T00:00:00.000Z","acts":9,"judged":3,"sources":{"served":{"hr@10":0.5,"ndcg@10":0.25},"popularity":{"hr@10":0.125}}},
		{"from":"2024-06-02T00:00:00.000Z","to":"2024-06-03T00:00:00.000Z","model_name":"films","model_version":2,"acts":4,"judged":4,
			"sources":{"served":{"hr@10":0.75,"ndcg@10":0.5},"decayed_popularity":{"hr@10":0.5,"served_ahead":{"by":0.25,"low":-0.05,"high":0.55}}}}],
		"deployments":[{"time":"2024-06-01T11:00:00.000Z","model_name":"films","model_version":1},{"time":"2024-06-02T12:00:00.000Z","model_name":"films","model_version":2}]}`
	if err := p.curve([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := [][]string{{"FROM", "SERVED", "JUDGED"}, {"2024-06-01T00:00", "counting", " 9 ", " 3 ", "0.5000", "0.2500", "0.1250"}, {"11:00", "deployed: films 1"},
		{"2024-06-02T00:00", "films 2", "0.7500", "+0.2500 (-0.0500 to +0.5500)"}, {"12:00", "deployed: films 2"}}
	if len(lines) != len(want) {
		t.Fatalf("written are\n%s", out.String())
	}
	for i := range want {
		for _, part := range want[i] {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d is %q, without %q", i, lines[i], part)
			}
		}
	}
	out.Reset()
	if err := p.curve([]byte(`{"windows":[],"deployments":[]}`)); err != nil || out.Len() > 0 || !strings.Contains(said.String(), "no act was judged") {
		t.Errorf("of nothing %v, %q and %q", err, out.String(), said.String())
	}
}
