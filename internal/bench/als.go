package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/ml"
)

//go:embed peer.py
var peerProgram string

// peerPackages are what the peer runs on; the first one is the peer itself.
var peerPackages = []string{"implicit==0.7.3", "scipy", "numpy"}

// implicit starts implicit in an environment of its own, which is made where it is missing, with so many threads of its BLAS.
func (b *bench) implicit(threads int) (*peer, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	venv := filepath.Join(cache, "projectionist", "bench-venv")
	python := filepath.Join(venv, "bin", "python")
	if exec.CommandContext(b.ctx, python, "-c", "import implicit, sys; sys.exit(implicit.__version__ != '0.7.3')").Run() != nil {
		b.say("making a Python environment with %s", strings.Join(peerPackages, ", "))
		if err := os.MkdirAll(filepath.Dir(venv), 0o755); err != nil {
			return nil, err
		}
		for _, args := range [][]string{
			{"python3", "-m", "venv", "--clear", venv},
			append([]string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, peerPackages...),
		} {
			if out, err := exec.CommandContext(b.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s: %w: %s", strings.Join(args[:min(4, len(args))], " "), err, bytes.TrimSpace(out))
			}
		}
	}
	cmd := exec.CommandContext(b.ctx, python, "-c", peerProgram)
	// Of its BLAS, what the machine is and has it finds out itself, whatever is set here.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OPENBLAS_") })
	cmd.Env = append(cmd.Env, fmt.Sprintf("OPENBLAS_NUM_THREADS=%d", threads))
	return startPeer(cmd, "implicit")
}

// factorise compares iALS with implicit's: the time of a sweep over one matrix on as many cores, and the
// quality on one split.
func (b *bench) factorise() error {
	p, err := b.implicit(1) // more of its BLAS would stand beside implicit's own, and both be slower
	if err != nil {
		if b.ctx.Err() != nil {
			return err
		}
		b.say("SKIPPED, NOT COMPARED: implicit cannot be had: %v", err)
		for _, name := range []string{"iALS d=64, one sweep, beside implicit", "NDCG@10 of iALS beside implicit"} {
			b.add(figure{name: name, missing: "SKIPPED: implicit cannot be had: " + err.Error()})
		}
		return nil
	}
	defer p.close() //nolint:errcheck // nothing is asked of it any more
	if err := b.sweep(p); err != nil {
		return err
	}
	return b.quality(p)
}

// factorDim is the length of the factors compared.
const factorDim = 64

// sweepsTimed is how many sweeps a run takes the median of.
const sweepsTimed = 3

func (b *bench) sweep(p *peer) error {
	path := filepath.Join(b.dir, "matrix")
	defer os.Remove(path)
	var made struct {
		Pairs int64 `json:"pairs"`
	}
	// MovieLens-1M's shape.
	err := p.call(map[string]any{"do": "matrix", "path": path, "users": 6040, "items": 3706, "draws": b.size(1_000_000, 100_000)}, &made)
	if err != nil {
		return err
	}
	d, err := readMatrix(path)
	if err != nil {
		return err
	}
	if int64(len(d.Samples)) != made.Pairs {
		return fmt.Errorf("read %d pairs of %d", len(d.Samples), made.Pairs)
	}
	for _, solver := range []string{ml.SolverCG, ml.SolverCholesky} {
		for _, threads := range []int{1, 2} {
			var ours, theirs []float64
			params := ml.DefaultALSParams()
			params.Dim, params.Solver = factorDim, solver
			trainer, err := ml.NewALSTrainer(d, params)
			if err != nil {
				return err
			}
			b.say("%s, threads: %d", solver, threads)
			err = b.eachRun(func(int) error {
				var took []float64
				err := onCores(threads, func() error {
					for range sweepsTimed {
						t := time.Now()
						if err := trainer.Sweep(b.ctx); err != nil {
							return err
						}
						took = append(took, time.Since(t).Seconds())
					}
					return nil
				})
				if err != nil {
					return err
				}
				ours = append(ours, median(took))
				var answer struct {
					Seconds []float64 `json:"seconds"`
				}
				err = p.call(map[string]any{"do": "sweep", "path": path, "factors": factorDim, "cg": solver == ml.SolverCG, "threads": threads,
					"sweeps": sweepsTimed}, &answer)
				theirs = append(theirs, median(answer.Seconds))
				return err
			})
			if err != nil {
				return err
			}
			f := figure{name: fmt.Sprintf("iALS d=%d, one sweep over %s pairs, %s, threads: %d", factorDim, thousands(made.Pairs), solver, threads),
				unit: seconds, ours: ours, peer: theirs, peerName: p.name + " " + solver}
			if solver == ml.SolverCG {
				f.aim = ratioAtMost(1)
			}
			b.add(f)
		}
	}
	return nil
}

// readMatrix reads what peer.py wrote.
func readMatrix(path string) (*ml.Dataset, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := bytes.NewReader(raw)
	var shape [3]int64
	if err := binary.Read(in, binary.LittleEndian, &shape); err != nil {
		return nil, err
	}
	starts, columns := make([]int64, shape[0]+1), make([]int32, shape[2])
	if err := errors.Join(binary.Read(in, binary.LittleEndian, starts), binary.Read(in, binary.LittleEndian, columns)); err != nil {
		return nil, err
	}
	d := &ml.Dataset{Users: numbered(int(shape[0])), Items: numbered(int(shape[1]))}
	for u := range d.Users {
		for _, i := range columns[starts[u]:starts[u+1]] {
			d.Samples = append(d.Samples, ml.Sample{User: int32(u), Item: i, Rating: float32(math.NaN()), Weight: 1})
		}
	}
	return d, nil
}

// numbered are n names in order.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%08d", i)
	}
	return names
}

// writeMatrix writes the distinct positives for peer.py.
func writeMatrix(path string, d *ml.Dataset) error {
	rows := make([][]int32, len(d.Users))
	for i := range d.Samples {
		if s := &d.Samples[i]; s.Weight > 0 {
			rows[s.User] = append(rows[s.User], s.Item)
		}
	}
	var columns []int32
	starts := []int64{0}
	for _, row := range rows {
		slices.Sort(row)
		columns = append(columns, slices.Compact(row)...)
		starts = append(starts, int64(len(columns)))
	}
	var out bytes.Buffer
	for _, v := range []any{[]int64{int64(len(d.Users)), int64(len(d.Items)), int64(len(columns))}, starts, columns} {
		if err := binary.Write(&out, binary.LittleEndian, v); err != nil {
			return err
		}
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

const (
	qualityK      = 10
	qualitySweeps = 16
)

// quality compares NDCG on each user's last positive, left out of training. Both sides train on the same
// pairs with the same dimension and sweeps. Both choose the weight of what was not observed and the
// regularisation on a validation split of the training set, from as many candidates, and are then judged
// on the test split by the same evaluator. A value is the mean over several seeds, other ones in every
// run: from seed to seed, NDCG on a few hundred people differs by more than the two sides do.
func (b *bench) quality(p *peer) error {
	d, name, err := b.ratings()
	if err != nil {
		return err
	}
	test := ml.SplitLeaveLast(d)
	validation := ml.SplitLeaveLast(test.Train)
	options := ml.EvaluateOptions{K: qualityK}
	files := map[*ml.Split]string{validation: filepath.Join(b.dir, "validation"), test: filepath.Join(b.dir, "test")}
	for split, path := range files {
		defer os.Remove(path)
		if err := writeMatrix(path, split.Train); err != nil {
			return err
		}
	}
	ndcg := func(split *ml.Split, s ml.Scorer) (float64, error) {
		r, err := ml.Evaluate(b.ctx, split, s, options)
		return r.NDCG, err
	}
	ours := func(split *ml.Split, c candidate, seed int) (float64, error) {
		params := ml.DefaultALSParams()
		params.Dim, params.Sweeps, params.Seed = factorDim, qualitySweeps, uint64(seed)
		params.Regularization, params.UnobservedWeight = c.regularization, 1/c.alpha
		m, err := ml.TrainALS(b.ctx, split.Train, params, nil)
		if err != nil {
			return 0, err
		}
		return ndcg(split, m)
	}
	theirs := func(split *ml.Split, c candidate, seed int) (float64, error) {
		out := filepath.Join(b.dir, "factors")
		defer os.Remove(out)
		var done struct{}
		err := p.call(map[string]any{"do": "train", "path": files[split], "out": out, "factors": factorDim, "sweeps": qualitySweeps,
			"regularization": c.regularization, "alpha": c.alpha, "seed": seed}, &done)
		if err != nil {
			return 0, err
		}
		users, items := len(split.Train.Users), len(split.Train.Items)
		factors, err := readFactors(out, (users+items)*factorDim)
		if err != nil {
			return 0, err
		}
		return ndcg(split, ml.ScorerFunc(func(dst []float32, user int32) {
			ml.ScoreAll(dst, factors[int(user)*factorDim:(int(user)+1)*factorDim], factors[users*factorDim:], factorDim)
		}))
	}
	// λ of ours is multiplied by a row's frequency, implicit's is not: theirs are larger by about as much
	// as the mean of that. A positive weighs alpha times what was not observed.
	alphas, mine, others := []float64{1, 3, 10, 30}, []float64{.0003, .001, .003, .01, .03}, []float64{1, 3, 10, 30, 100}
	if b.quick {
		alphas, mine, others = alphas[2:3], mine[2:4], others[2:4]
	}
	chosen, err := b.choose("ours", validation, mine, alphas, ours)
	if err != nil {
		return err
	}
	chosenPeer, err := b.choose(p.name, validation, others, alphas, theirs)
	if err != nil {
		return err
	}
	f := figure{unit: share, peerName: p.name, aim: ratioAtLeast(1)}
	seeds := b.size(5, 1)
	err = b.eachRun(func(run int) error {
		o, err := overSeeds(ours, test, chosen, 1+run*seeds, seeds)
		if err != nil {
			return err
		}
		t, err := overSeeds(theirs, test, chosenPeer, 1+run*seeds, seeds)
		f.ours, f.peer = append(f.ours, o), append(f.peer, t)
		return err
	})
	if err != nil {
		return err
	}
	f.name = fmt.Sprintf("NDCG@%d of iALS d=%d, %d sweeps, %s, leave last out", qualityK, factorDim, qualitySweeps, name)
	b.add(f)
	return nil
}

// candidate is one point of the grid.
type candidate struct{ regularization, alpha float64 }

// judge trains on a split's training set and returns the NDCG on its test set.
type judge func(split *ml.Split, c candidate, seed int) (float64, error)

// overSeeds is the mean of n seeds.
func overSeeds(j judge, split *ml.Split, c candidate, first, n int) (float64, error) {
	var sum float64
	for seed := first; seed < first+n; seed++ {
		v, err := j(split, c, seed)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum / float64(n), nil
}

// choose is the candidate with the best NDCG on the validation split.
func (b *bench) choose(who string, validation *ml.Split, regularizations, alphas []float64, j judge) (best candidate, err error) {
	most := math.Inf(-1)
	for _, r := range regularizations {
		for _, a := range alphas {
			c := candidate{r, a}
			s, err := overSeeds(j, validation, c, 1, b.size(3, 1))
			if err != nil {
				return best, err
			}
			if s > most {
				best, most = c, s
			}
		}
	}
	b.say("%s: regularisation %v and weight %v of a positive are best of %d on the validation split, NDCG@%d %.4f", who, best.regularization, best.alpha,
		len(regularizations)*len(alphas), qualityK, most)
	return best, nil
}

func readFactors(path string, n int) ([]float32, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(raw) != 4*n {
		return nil, fmt.Errorf("%d bytes of factors, not %d", len(raw), 4*n)
	}
	factors := make([]float32, n)
	for i := range factors {
		factors[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return factors, nil
}

// ratings are the real ones of ml-latest-small or, where they are absent, simulated ones. Four stars and
// more are positives.
func (b *bench) ratings() (*ml.Dataset, string, error) {
	const real, positive = "ml-latest-small", 4
	type act struct {
		user, item string
		time       int64
		rating     float64
		weight     float32
	}
	var acts []act
	name := real
	set, err := dataset.Open(filepath.Join(b.data, real))
	switch {
	case err == nil:
		defer set.Close()
		for r, err := range set.SortedRatings(b.ctx, nil) {
			if err != nil {
				return nil, "", err
			}
			a := act{r.UserID, r.MovieID, r.TimeMillis, r.Rating, 0}
			if r.Rating >= positive {
				a.weight = 1
			}
			acts = append(acts, a)
		}
	case b.ctx.Err() != nil:
		return nil, "", b.ctx.Err()
	default:
		b.say("REAL RATINGS ARE ABSENT (%v): comparing on SIMULATED ones; give -data a folder that holds %s", err, real)
		name = "SIMULATED ratings"
		src, err := ingest.FromWorld(world.Params{Seed: 1, Events: 200_000, End: worldEnd}, time.Now())
		if err != nil {
			return nil, "", err
		}
		for f, err := range src.Facts {
			if err != nil {
				return nil, "", err
			}
			if f.Kind != "rating" && f.Kind != "like" {
				continue
			}
			a := act{f.UserID, f.MovieID, f.TimeMillis, math.NaN(), 0}
			if f.Kind == "like" || f.Rating >= positive {
				a.weight = 1
			}
			acts = append(acts, a)
		}
	}
	d := &ml.Dataset{}
	users, items := map[string]int32{}, map[string]int32{}
	for _, a := range acts {
		users[a.user], items[a.item] = 0, 0
	}
	d.Users, d.Items = ranked(users), ranked(items)
	for _, a := range acts {
		d.Samples = append(d.Samples, ml.Sample{User: users[a.user], Item: items[a.item], Time: a.time, Rating: float32(a.rating), Weight: a.weight})
	}
	d.Sort()
	return d, name, nil
}

// ranked are the names in order; each is given its rank.
func ranked(names map[string]int32) []string {
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	for i, n := range sorted {
		names[n] = int32(i)
	}
	return sorted
}
