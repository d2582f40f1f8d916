package online

import "math"

// Kind is the class of an interaction, as far as preference goes.
type Kind uint8

const (
	KindRating  Kind = iota // says nothing beside its rating
	KindSeen                // click, view: came near it
	KindLike                // like, watch, purchase: chose it
	KindDislike             // dislike, skip: refused it
	kindEnd
)

// KindOf gives the class of an interaction_type; an unknown type counts as KindSeen.
func KindOf(interactionType string) Kind {
	switch interactionType {
	case "rating", "rate":
		return KindRating
	case "like", "watch", "purchase", "favorite", "favourite", "bookmark", "watchlist", "share", "complete":
		return KindLike
	case "dislike", "skip":
		return KindDislike
	}
	return KindSeen
}

// Signal is the kind of an event and its rating in hundredths of a star (0 is none), packed into
// 16 bits: rating in the low 9, kind above.
type Signal uint16

const (
	ratingBits     = 9
	ratingMask     = 1<<ratingBits - 1
	ratingCentiMax = 500 // the 0–5 scale, in hundredths
	likedCenti     = 350 // from here a rating is liking
	dislikedCenti  = 200 // down from here it is dislike
)

// NewSignal packs a kind and a rating on the 0–5 scale. A rating that is not in (0, 5] is none.
func NewSignal(kind Kind, rating float64) Signal {
	if kind >= kindEnd {
		kind = KindSeen
	}
	s := Signal(kind) << ratingBits
	if rating > 0 && rating <= 5 {
		s |= Signal(max(1, math.Round(rating*100)))
	}
	return s
}

// Kind is the class the signal was made with.
func (s Signal) Kind() Kind { return Kind(s >> ratingBits) }

// RatingCenti is the rating in hundredths of a star, 0 where there is none.
func (s Signal) RatingCenti() int { return int(s & ratingMask) }

// Rating is the rating in stars, NaN where there is none.
func (s Signal) Rating() float64 {
	if s.RatingCenti() == 0 {
		return math.NaN()
	}
	return float64(s.RatingCenti()) / 100
}

func (s Signal) valid() bool { return s.Kind() < kindEnd && s.RatingCenti() <= ratingCentiMax }

// Weight is the strength of preference in [-1, 1]: above 0 liked, 0 seen, below 0 disliked. A
// rating outranks the kind it came with.
func (s Signal) Weight() float32 {
	if r := s.RatingCenti(); r > 0 {
		if r < likedCenti && r > dislikedCenti {
			return 0
		}
		return float32(r-250) / 250
	}
	switch s.Kind() {
	case KindLike:
		return 1
	case KindDislike:
		return -1
	}
	return 0
}

// Counted tells whether the event takes part in co-counts and popularity. Everything but dislike
// does. On the first halves of the data sets, with liked films as targets, counting middling
// ratings too raised the HR@10 of co-counts from .114 to .129 (MovieLens latest-small) and from
// .117 to .128 (MovieTweetings), of the blend from .121 to .146 and from .247 to .246. Clicks and
// views, for which there is no data, are taken in the same way: a stream of nothing else teaches.
func (s Signal) Counted() bool { return s.Weight() >= 0 }
