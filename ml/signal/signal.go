package signal

import "math"

// Signal is an act as a [Definition] reads it, in 32 bits, from the lowest: 9 of stars in hundredths (0 is none), 10
// of the weight in 500ths plus 500, 1 of whether it counts as popularity, 12 of the days it hides the film for.
type Signal uint32

const (
	starsBits, weightBits, countedBits, daysBits = 9, 10, 1, 12

	weightAt  = starsBits
	countedAt = weightAt + weightBits
	daysAt    = countedAt + countedBits

	weightUnit = 500 // a hundredth of a star is two of them, a hundredth of a weight five
)

func pack(centi int, weight float64, counted bool, seen Days) Signal {
	s := Signal(centi) | Signal(math.Round(weight*weightUnit)+weightUnit)<<weightAt | Signal(seen)<<daysAt
	if counted {
		s |= 1 << countedAt
	}
	return s
}

// Chosen is what it says that somebody names a film as one they care for, whatever the definition: they like it, and have
// seen it.
func Chosen() Signal { return pack(0, 1, true, Forever) }

// RatingCentiMax is the greatest RatingCenti.
const RatingCentiMax = 500

// RatingCenti is the rating in hundredths of a star, 0 where there is none.
func (s Signal) RatingCenti() int { return int(s & (1<<starsBits - 1)) }

// Rating is the rating in stars, NaN where there is none.
func (s Signal) Rating() float64 {
	if s.RatingCenti() == 0 {
		return math.NaN()
	}
	return float64(s.RatingCenti()) / 100
}

// WithStars is the signal with stars, of which only those above 0 and at most 5 are any; what it means stays.
func (s Signal) WithStars(stars float64) Signal {
	s &^= 1<<starsBits - 1
	if stars > 0 && stars <= 5 {
		s |= Signal(max(1, math.Round(stars*100)))
	}
	return s
}

// Weight is the strength of preference in [-1, 1]: above 0 liked, 0 says nothing, below 0 disliked.
func (s Signal) Weight() float32 {
	return float32(int(s>>weightAt&(1<<weightBits-1))-weightUnit) / weightUnit
}

// Counted tells whether the act takes part in co-counts and popularity.
func (s Signal) Counted() bool { return s>>countedAt&1 == 1 }

// Seen is for how long the film is not to be shown to the person again.
func (s Signal) Seen() Days { return Days(s >> daysAt & (1<<daysBits - 1)) }

const dayMillis = 24 * 60 * 60 * 1000

// Hides tells whether an act at atMillis keeps its film from being shown to the person at nowMillis. An act that
// is still to come does too, where any does.
func (s Signal) Hides(atMillis, nowMillis int64) bool {
	switch d := s.Seen(); d {
	case 0:
		return false
	case Forever:
		return true
	default:
		return nowMillis-atMillis < int64(d)*dayMillis
	}
}

// Meets tells whether by such an act a person has met the film: they like or dislike it, or have seen it.
func (s Signal) Meets() bool { return s.Seen() != 0 || s.Weight() != 0 }

// Valid tells whether [Definition.Of] could have made the signal.
func (s Signal) Valid() bool {
	weight := int(s >> weightAt & (1<<weightBits - 1))
	return s.RatingCenti() <= RatingCentiMax && weight <= 2*weightUnit && (s.Seen() <= DaysMax || s.Seen() == Forever)
}
