package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/projectionist/projectionist/ml"
)

// topK ranks all films of a large catalogue for one person, on one core.
func (b *bench) topK() error {
	const films, dim, k, history = 27_000, 64, 10, 100
	r := rand.New(rand.NewPCG(1, 1))
	factors, query := make([]float32, films*dim), make([]float32, dim)
	for i := range factors {
		factors[i] = float32(r.NormFloat64())
	}
	for i := range query {
		query[i] = float32(r.NormFloat64())
	}
	seen := ml.NewBitset(films)
	for range history {
		seen.Add(int32(r.IntN(films)))
	}
	const floatBytes = 4
	zeros := make([]byte, floatBytes*len(factors))
	var ours, limit []float64
	err := onCores(1, func() error {
		return b.eachRun(func(int) error {
			var took, scanned []float64
			for range b.size(1000, 200) {
				t := time.Now()
				ml.TopK(query, factors, dim, k, seen.Has)
				took = append(took, time.Since(t).Seconds())
				t = time.Now()
				if bytes.IndexByte(zeros, 1) >= 0 {
					return errors.New("a byte of nothing was found")
				}
				scanned = append(scanned, time.Since(t).Seconds())
			}
			ours, limit = append(ours, median(took)), append(limit, median(scanned))
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "exact top 10 of 27,000 × 64, one core, p50", unit: seconds, ours: ours, peer: limit,
		peerName: "one scan of as many bytes for a value", aim: atMost(200e-6)})
	return nil
}
