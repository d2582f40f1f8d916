package projections_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// judgedLog is acts judged as they are recorded: in commits, each of one hour and version.
func judgedLog(rng *rand.Rand, commits int) (in []fold.Input, acts []judgedAct) {
	for c := range commits {
		hour := foldtest.Day(400) + rng.Int64N(50)*hour
		x := &events.QualityJudged{ModelName: pick(rng, "", "als", "m9"), ModelVersion: 1 + rng.IntN(2), Sources: []string{"served", "online", "popularity"}}
		for range 1 + rng.IntN(70) {
			a := events.JudgedAct{TimeMillis: hour + rng.Int64N(3600_000), Of: 1 + rng.IntN(3), Films: 60}
			for range x.Sources {
				a.Ranks = append(a.Ranks, rng.IntN(61)) // 0 too
			}
			x.Acts = append(x.Acts, a)
			acts = append(acts, judgedAct{x, a})
		}
		in = append(in, fold.Input{Position: streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: int64(3 * c)}, Event: &events.Event{ID: fmt.Sprint(c), Data: x}})
	}
	return in, acts
}

type judgedAct struct {
	*events.QualityJudged
	act events.JudgedAct
}

// The curve is what the acts say, one by one, by hours, days and numbers of acts; and the figures are the definitions'.
func TestQualityEqualsNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	in, acts := judgedLog(rng, 60)
	v, s := projections.NewQuality(), foldtest.NewMemory()
	must0(t, v.Open(s))
	b := s.Batch(true)
	for i := 0; i < len(in); {
		n := min(len(in)-i, 1+rng.IntN(5))
		must0(t, v.Apply(b, in[i:i+n]))
		must0(t, v.Apply(b, in[i:i+n])) // a chunk that comes once more is no news
		i += n
	}
	b.Commit()
	check := func(name string, rows []projections.QualityRow, windowOf func(n int) int64) {
		t.Helper()
		type of struct {
			window  int64
			model   string
			version int
			source  string
		}
		want := map[of][]judgedAct{}
		for n, a := range acts {
			if window := windowOf(n); window >= 0 {
				for k, source := range a.Sources {
					one := a
					one.act.Ranks = []int{a.act.Ranks[k], a.act.Ranks[0]}
					key := of{window, a.ModelName, a.ModelVersion, source}
					want[key] = append(want[key], one)
				}
			}
		}
		if len(rows) != len(want) || len(rows) < 6 {
			t.Fatalf("%s: %d rows, want %d", name, len(rows), len(want))
		}
		last := int64(0)
		for _, r := range rows {
			var group []judgedAct
			for key, g := range want { // windows of acts are found by what is in them
				if key.model == r.ModelName && key.version == r.ModelVersion && key.source == r.Source && g[0].act.TimeMillis >= r.FromMillis && (key.window == r.FromMillis || key.window < 1e6) && matches(&r, g) {
					group = g
				}
			}
			if group == nil {
				t.Fatalf("%s: row %+v is of no acts", name, r)
			}
			if r.FromMillis < last && name != "acts" || r.ToMillis <= r.FromMillis {
				t.Errorf("%s: window %d to %d after %d", name, r.FromMillis, r.ToMillis, last)
			}
			last = r.FromMillis
		}
	}
	for name, hours := range map[string]int{"hour": 1, "day": 24} {
		rows, err := v.Hours(0, foldtest.Day(1000), hours, 100_000)
		must0(t, err)
		length := int64(hours) * hour
		check(name, rows, func(n int) int64 { return acts[n].act.TimeMillis / length * length })
	}
	rows, err := v.Blocks(1000, 3, 100_000)
	must0(t, err)
	check("acts", rows, func(n int) int64 { return int64(n / 300) })
	windows := (len(acts) + 299) / 300
	rows, err = v.Blocks(2, 3, 100_000)
	must0(t, err)
	check("acts", rows, func(n int) int64 {
		if n/300 < windows-2 {
			return -1
		}
		return int64(n / 300)
	})
	// Windows of acts say which acts they are of, and the events that these are in are found by their numbers, from any on.
	for _, r := range rows {
		if r.FirstAct%300 != 1 || r.LastAct != min(r.FirstAct+299, uint64(len(acts))) || r.FirstAct <= uint64(300*(windows-3)) {
			t.Errorf("a window is of the acts %d to %d", r.FirstAct, r.LastAct)
		}
	}
	judged := map[int64]*events.QualityJudged{}
	for i := range in {
		judged[in[i].Position.Offset] = in[i].Event.Data.(*events.QualityJudged)
	}
	for _, first := range []uint64{1, 2, 100, 101, 777, uint64(len(acts)), uint64(len(acts)) + 500} {
		next := uint64(0)
		for part, err := range v.Parts(first) {
			must0(t, err)
			if next == 0 && (part.Act > first || part.Act+projections.QualityBlock <= first) && first <= uint64(len(acts)) {
				t.Errorf("from %d on the first part is of %d", first, part.Act)
			}
			if next != 0 && part.Act > next {
				t.Errorf("behind the acts before %d there are those from %d on", next, part.Act)
			}
			x := judged[part.Offset]
			for i := part.First; i < len(x.Acts); i++ {
				if next = part.Act + uint64(i-part.First); &acts[next-1].QualityJudged.Acts[0] != &x.Acts[0] || acts[next-1].act.TimeMillis != x.Acts[i].TimeMillis {
					t.Fatalf("act %d is another", next)
				}
				next++
			}
		}
		if want := uint64(len(acts)) + 1; first <= uint64(len(acts)) && next != want {
			t.Errorf("from %d on there are acts up to %d, want %d", first, next, want)
		}
	}
	if n, err := v.Judged(); err != nil || n != uint64(len(acts)) {
		t.Errorf("%d acts are judged, want %d: %v", n, len(acts), err)
	}
	if _, err := v.Hours(0, foldtest.Day(1000), 1, 5); err == nil {
		t.Error("more rows are given than asked for")
	}
}

// matches says whether a row is that of some acts; their ranks are those of the row's source and of what served.
func matches(r *projections.QualityRow, acts []judgedAct) bool {
	n, of, none, lost, gained := float64(len(acts)), 0, 0, 0., 0.
	hits, gain := map[int]float64{}, 0.
	for _, a := range acts {
		of += a.act.Of
		rank, served := a.act.Ranks[0], a.act.Ranks[1]
		if rank == 0 {
			none++
		}
		for _, k := range []int{1, 5, 10, 20} {
			if rank > 0 && rank <= k {
				hits[k]++
			}
		}
		if rank > 0 && rank <= 10 {
			gain += 1 / math.Log2(float64(rank)+1)
		}
		here, there := rank > 0 && rank <= 10, served > 0 && served <= 10
		if here && !there {
			gained++
		}
		if there && !here {
			lost++
		}
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	lead, low, high := r.Lead()
	mean := (lost - gained) / n
	// The squares of the differences, act by act, from their mean.
	square := lost*(1-mean)*(1-mean) + gained*(1+mean)*(1+mean) + (n-lost-gained)*mean*mean
	spread := 1.96 * math.Sqrt(square) / n
	return r.Judged == uint64(len(acts)) && r.Acts == uint64(of) && r.None == uint64(none) &&
		near(r.HitRate(1), hits[1]/n) && near(r.HitRate(5), hits[5]/n) && near(r.HitRate(10), hits[10]/n) && near(r.HitRate(20), hits[20]/n) &&
		near(r.NDCG(10), gain/n) && near(lead, mean) && near(low, mean-spread) && near(high, mean+spread)
}
