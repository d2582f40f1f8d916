package featurestore

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
)

// TestHistorical_Request: what rows say of a request is computed with as it would be online, to the bit, in whatever pieces the rows are joined.
func TestHistorical_Request(t *testing.T) {
	now := day0
	f, d, caughtUp := opened(t, func() time.Time { return now })
	defs, err := features.Parse([]byte(strings.Replace(features.DefaultYAML(), "\nfeature_views:", `
external_views: [{name: critics, entity: movie, features: [{name: score, type: float64}, {name: good, type: bool}]}]
on_demand_views:
  - name: asked
    inputs: {score: "critics:score", good: "critics:good"}
    request: {hour: int64, share: float64, mood: string, home: bool}
    features:
      - {name: part, type: float64, expression: score * share}
      - {name: share, type: float64, expression: share}
      - {name: hour, type: int64, expression: hour}
      - {name: mood, type: string, expression: mood}
      - {name: home, type: int64, expression: "if(home and good, 1, 0)"}
  - {name: bare, request: {hour: int64}, features: [{name: late, type: int64, expression: "if(hour >= 22, 1, 0)"}]}
feature_views:`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 7))
	for i := range 20 {
		now = now.Add(time.Hour)
		values := map[string]json.RawMessage{"score": fmt.Append(nil, rng.Float64()), "good": json.RawMessage("true")}
		if _, err := d.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: fmt.Sprint("movie_id=", i%3), View: "critics", Values: values, Timestamp: events.FormatTime(now)}}}, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp()
	reg := newRegistry(defs, projections.Declarations{})
	said := map[string][]string{"hour": {"null", "23", "9007199254740993", "-1.0", `"5"`}, "share": {"null", "0.1", "-0.0", "3", `"NaN"`, "1e-310", "12345678901234567890"}, "mood": {"null", `""`, `"é|\u0000"`, `"` + strings.Repeat("x", 3000) + `"`},
		"home": {"null", "true", "false"}}
	for _, refs := range [][]string{{"asked", "critics:score", "bare"}, {"bare:late"}} {
		sel, err := reg.Selection(refs, true)
		if err != nil {
			t.Fatal(err)
		}
		keys := Keys{spill.NewFile(t.TempDir(), 1)}
		defer keys.File.Close() //nolint:errcheck
		var rows []Row
		var operands [][]features.Operand
		for range 300 {
			row, online := Row{Row: features.Row{TimeMillis: day0.UnixMilli() + int64(rng.IntN(24))*hour}}, []features.Operand{}
			if len(sel.keys) > 0 {
				row.Keys = []string{[]string{"", "movie_id=0", "movie_id=1", "movie_id=9"}[rng.IntN(4)]}
			}
			row.Said, err = sel.Said(nil, func(f *events.FeatureField) (json.RawMessage, error) {
				raw := json.RawMessage(said[f.Name][rng.IntN(len(said[f.Name]))])
				form, err := features.Coerce(f.Type, raw)
				online = append(online, features.OperandJSON(f.Type, form, features.Present, 0))
				return raw, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.Add(row); err != nil {
				t.Fatal(err)
			}
			rows, operands = append(rows, row), append(operands, online)
		}
		read := make([][]features.Value, len(rows))
		if len(sel.derive.Base) > 0 {
			base, err := reg.Selection(sel.derive.Base, true)
			if err != nil {
				t.Fatal(err)
			}
			if read, err = collected(f.Historical(t.Context(), Historical{Selection: base, Scratch: t.TempDir()}, eachRow(rows))); err != nil {
				t.Fatal(err)
			}
		}
		present := 0
		for _, how := range []Historical{{}, {chunkValues: 70}, {chunkValues: 700, keysMemory: 1, valuesMemory: 1}} {
			how.Selection, how.Scratch = sel, filepath.Join(t.TempDir(), "scratch")
			got, err := collected(f.Historical(t.Context(), how, keys.All()))
			if err != nil || len(got) != len(rows) {
				t.Fatalf("%d rows, %v", len(got), err)
			}
			for i := range rows {
				for k, want := range sel.derive.Finish(nil, read[i], operands[i]) {
					v := got[i][k]
					if v.Status != want.Status || v.Name != want.Name || math.Float64bits(v.Float) != math.Float64bits(want.Float) || v.Int != want.Int || v.Str != want.Str {
						t.Fatalf("%d values at once, row %d: %+v, online %+v", how.chunkValues, i, v, want)
					}
					if v.Status == features.Present {
						present++
					}
				}
			}
			emptied(t, how.Scratch)
		}
		if present < 300 {
			t.Errorf("only %d values are there", present)
		}
	}
}
