package features

import "math"

// decayTable holds 2^(−a/h) for whole days a, split as a = 256·q + r so that 65,536 days (179 years)
// take two tables of 256.
type decayTable struct {
	fine, coarse [256]float64
}

func newDecayTable(halfLifeDays float64) *decayTable {
	d := &decayTable{}
	for i := range d.fine {
		d.fine[i] = exp2Neg(float64(i) / halfLifeDays)
		d.coarse[i] = exp2Neg(float64(i*256) / halfLifeDays)
	}
	return d
}

// weight is 2^(−ageDays/h); an age below 0 counts as 0.
func (d *decayTable) weight(ageDays int64) float64 {
	switch {
	case ageDays <= 0:
		return 1
	case ageDays < 65536:
		return d.coarse[ageDays>>8] * d.fine[ageDays&255]
	}
	return 0
}

// exp2Neg is 2^−x for x ≥ 0. math.Exp2 is assembly on some machines and may differ in the last bit;
// this is the Taylor series of e^(−f·ln 2), each product rounded, and gives the same bits everywhere.
func exp2Neg(x float64) float64 {
	if x > 1100 {
		return 0
	}
	n := math.Floor(x)
	t := float64((n - x) * math.Ln2) // in (−ln 2, 0]
	sum := 0.0
	for i := 20; i > 0; i-- { // t^21/21! < 2^−76
		sum = float64(t / float64(i) * (1 + sum))
	}
	return math.Ldexp(1+sum, -int(n))
}
