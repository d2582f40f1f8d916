package projections_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// TestColumns: after any history every column has what the runs themselves have, in their order, and nothing else.
func TestColumns(t *testing.T) {
	kept := *projections.CellsAtOnce
	defer func() { *projections.CellsAtOnce = kept }()
	for seed := range uint64(20) {
		*projections.CellsAtOnce = 1 + int(seed%5)
		r := rand.New(rand.NewPCG(seed, 1))
		s := foldtest.NewScript()
		const runs = 12
		for i := range 120 {
			id := fmt.Sprintf("r%d", r.IntN(runs))
			key, v := string(rune('a'+r.IntN(3))), fmt.Sprint(r.IntN(3))
			data := []events.Data{
				&events.RunStarted{RunID: id, ExperimentID: "x", Name: "n" + v, Params: map[string]string{key: v}, Tags: map[string]string{key: ""}},
				&events.RunMetricsLogged{RunID: id, Metrics: []events.Metric{{Key: key, Value: events.Number(i), Step: int64(r.IntN(4))}, {Key: "a", Value: 1, Step: int64(r.IntN(4))}}},
				&events.RunParamsLogged{RunID: id, Params: map[string]string{key: v}},
				&events.RunTagsSet{RunID: id, Tags: map[string]string{key: v}},
				&events.RunTagRemoved{RunID: id, Key: key},
				&events.RunDeleted{RunID: id}, &events.RunRestored{RunID: id},
				&events.RunPurged{RunID: id},
				&events.RunRenamed{RunID: id, Name: "m" + v}, &events.RunEnded{RunID: id, Status: "FINISHED"}, &events.RunResumed{RunID: id, Status: "RUNNING"},
			}
			d := data[r.IntN(len(data))]
			if _, purged := d.(*events.RunPurged); purged && r.IntN(4) > 0 {
				continue
			}
			s.Commit("run/"+id, r.IntN(5), i, d)
		}
		v := foldtest.Opened(t, projections.NewRuns(), s.In)
		var all []projections.Run
		for i := range runs {
			if run, ok, err := v.Run(fmt.Sprintf("r%d", i)); err != nil {
				t.Fatal(err)
			} else if ok {
				all = append(all, run)
			}
		}
		slices.SortFunc(all, func(a, b projections.Run) int {
			return cmp.Or(cmp.Compare(b.StartMillis, a.StartMillis), cmp.Compare(a.RunID, b.RunID))
		})
		columns := []projections.Column{projections.MetricColumn("a"), projections.ParamColumn("b"), projections.TagColumn("c"), projections.HeadColumn}
		for _, experiment := range []string{"x", ""} {
			for _, deleted := range []bool{false, true} {
				for mask := range 1 << len(columns) {
					needed := make([]bool, len(columns))
					for k := range needed {
						needed[k] = mask>>k&1 == 1
					}
					var want, got []string
					for i := range all {
						if line, has := lineOf(&all[i], needed); has && all[i].ExperimentID == experiment && all[i].Deleted == deleted {
							want = append(want, line)
						}
					}
					err := v.Search(context.Background(), projections.Cells{Experiment: experiment, Deleted: deleted, Columns: columns, Needed: needed}, func(f *projections.FoundRun) (bool, error) {
						n := any(nil)
						if f.Cells[0] != nil {
							n = must[float64](t)(projections.CellNumber(f.Cells[0]))
						}
						h := must[projections.RunHead](t)(projections.CellHead(f.Cells[3]))
						got = append(got, fmt.Sprint(f.RunID(), f.StartMillis, n, textOf(f.Cells[1]), textOf(f.Cells[2]), h))
						return true, nil
					})
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want) {
						t.Fatalf("seed %d, %s deleted %v, needed %v:\n%v\nwant\n%v", seed, experiment, deleted, needed, got, want)
					}
				}
			}
		}
	}
}

func textOf(cell []byte) any {
	if cell == nil {
		return nil
	}
	return string(cell)
}

// lineOf tells what a run has in the columns, and whether it has what is needed.
func lineOf(r *projections.Run, needed []bool) (string, bool) {
	m, has0 := r.Metrics["a"]
	p, has1 := r.Params["b"]
	g, has2 := r.Tags["c"]
	n, pv, gv := any(nil), any(nil), any(nil)
	if has0 {
		n = float64(m.Value)
	}
	if has1 {
		pv = p
	}
	if has2 {
		gv = g
	}
	head := projections.RunHead{Name: r.Name, Status: r.Status, Actor: r.Actor, EndMillis: r.EndMillis}
	return fmt.Sprint(r.RunID, r.StartMillis, n, pv, gv, head), (has0 || !needed[0]) && (has1 || !needed[1]) && (has2 || !needed[2])
}
