package ml

import "math/bits"

// rng is SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every machine and in
// every release of Go.
type rng struct{ state uint64 }

func newRNG(seed uint64) *rng { return &rng{seed} }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix64(r.state)
}

// Mix64 scatters 64 bits: a bijection under which numbers that are near are far apart. It is the same on every machine
// and in every release of Go.
func Mix64(z uint64) uint64 { return mix64(z) }

// mix64 is the finalizer of SplitMix64, a bijection of 64 bits.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// intn returns a number in [0, n), n > 0.
func (r *rng) intn(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// uniform returns a number in [0, 1) with 24 random bits.
func (r *rng) uniform() float32 { return float32(r.next()>>40) / (1 << 24) }

// normal returns a number of mean 0 and variance 1, as the centred sum of 12 uniforms: integers
// only, because the logarithm and cosine of other methods differ between machines in the last bit.
func (r *rng) normal() float32 {
	var sum int64
	for i := 0; i < 6; i++ {
		v := r.next()
		sum += int64(v>>32) + int64(v&0xffffffff)
	}
	return float32(float64(sum-6*(1<<32-1)) / (1 << 32))
}
