package main

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/projectionist/projectionist/ml"
)

//go:embed neural.py
var torchProgram string

// torchPython has PyTorch where Debian's package python3-torch is installed.
const torchPython = "/usr/bin/python3"

// neural compares an epoch of neural_cf with PyTorch's of the same network: the same ratings, parameters and batch on as
// many cores. PyTorch's Adam moves every row of an embedding at every step; its SparseAdam moves those of the batch, as ours.
func (b *bench) neural() error {
	if out, err := exec.CommandContext(b.ctx, torchPython, "-c", "import torch").CombinedOutput(); err != nil {
		return skipped{fmt.Sprintf("PyTorch cannot be had (%v: %.200s): install Debian's package python3-torch", err, out)}
	}
	p, err := startPeer(exec.CommandContext(b.ctx, torchPython, "-c", torchProgram), "PyTorch")
	if err != nil {
		return err
	}
	defer p.close()                                       //nolint:errcheck // nothing is asked of it any more
	d := shaped(6040, 3706, b.size(1_000_000, 50_000), 1) // MovieLens-1M's shape
	path := filepath.Join(b.dir, "ratings")
	defer os.Remove(path)
	if err := writeRatings(path, d.Ratings); err != nil {
		return err
	}
	params := ml.DefaultNeuralCFParams()
	params.Epochs = 1
	for _, threads := range []int{1, 2} {
		var ours, dense, sparse []float64
		b.say("threads: %d", threads)
		err := b.eachRun(func(int) error {
			trainer, err := ml.NewNeuralCFTrainer(d, params)
			if err != nil {
				return err
			}
			var report ml.EpochReport
			err = onCores(threads, func() error {
				t := time.Now()
				report, err = trainer.Epoch(b.ctx)
				ours = append(ours, time.Since(t).Seconds())
				return err
			})
			if err != nil {
				return err
			}
			for _, of := range []struct {
				sparse bool
				took   *[]float64
			}{{false, &dense}, {true, &sparse}} {
				var answer struct {
					Seconds    float64 `json:"seconds"`
					Loss       float64 `json:"loss"`
					Parameters int     `json:"parameters"`
				}
				err := p.call(map[string]any{"do": "epoch", "path": path, "users": len(d.Users), "movies": len(d.Movies), "embedding": params.Embedding, "hidden": params.Hidden,
					"dropout": params.Dropout, "batch": params.Batch, "learning_rate": params.LearningRate, "sparse": of.sparse, "threads": threads}, &answer)
				if err != nil {
					return err
				}
				if answer.Parameters != trainer.Parameters() {
					return fmt.Errorf("%s has %d parameters, ours %d: it is not the same network", p.name, answer.Parameters, trainer.Parameters())
				}
				*of.took = append(*of.took, answer.Seconds)
				b.say("loss of the epoch: ours %.4f, %s %.4f (sparse: %v)", report.TrainLoss, p.name, answer.Loss, of.sparse)
			}
			return nil
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("neural_cf, one epoch of %s ratings, batch %d, threads: %d", thousands(int64(len(d.Ratings))), params.Batch, threads)
		b.add(figure{name: name, unit: seconds, ours: ours, peer: dense, peerName: p.name + " Adam", aim: ratioAtMost(1)},
			figure{name: name, unit: seconds, ours: ours, peer: sparse, peerName: p.name + " SparseAdam", aim: ratioAtMost(1)})
	}
	return nil
}

// shaped are ratings of people alike and films by a Pareto distribution: what a film and a person are like, and chance.
func shaped(users, movies, n int, seed uint64) ml.NeuralCFData {
	d := ml.NeuralCFData{Users: numbered(users), Movies: numbered(movies)}
	r := rand.New(rand.NewPCG(seed, 0))
	ofUser, ofMovie := make([]float64, users), make([]float64, movies)
	for _, of := range [][]float64{ofUser, ofMovie} {
		for i := range of {
			of[i] = .5 * r.NormFloat64()
		}
	}
	for range n {
		u, m := r.IntN(users), int(60*(math.Pow(1-r.Float64(), -1/1.2)-1))%movies
		stars := math.Round(2*(3.5+ofUser[u]+ofMovie[m]+.7*r.NormFloat64())) / 2
		d.Ratings = append(d.Ratings, ml.NeuralCFRating{User: int32(u), Movie: int32(m), Rating: float32(max(.5, min(stars, 5)))})
	}
	return d
}

// writeRatings writes them for neural.py.
func writeRatings(path string, ratings []ml.NeuralCFRating) error {
	var users, movies, stars []byte
	for _, r := range ratings {
		users = binary.LittleEndian.AppendUint32(users, uint32(r.User))
		movies = binary.LittleEndian.AppendUint32(movies, uint32(r.Movie))
		stars = binary.LittleEndian.AppendUint32(stars, math.Float32bits(r.Rating))
	}
	return os.WriteFile(path, append(append(users, movies...), stars...), 0o644)
}
