package events

import (
	"math"
	"strings"
)

// CanonicalMovie is the one spelling under which a movie is known: "movie_042", "0042" and "42" are
// the same film, "42". Ids that are not digits (after an optional "movie_") stay as they are.
func CanonicalMovie(id string) string { return canonical(id, "movie_") }

// CanonicalUser is the one spelling under which a person is known: "user_007" and "7" are the same.
func CanonicalUser(id string) string { return canonical(id, "user_") }

func canonical(id, prefix string) string {
	digits := strings.TrimPrefix(id, prefix)
	if digits == "" {
		return id
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '9' {
			return id
		}
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return "0"
	}
	return digits
}

// FactHash tells facts apart: it covers who published the event under which id, and what it says, so that
// a repetition has the same number and nothing else has.
func FactHash(source, id string, i *Interaction) uint64 {
	h := hash(fnvOffset, source)
	h = hash(h, id)
	h = hash(h, i.MovieID)
	h = hash(h, i.Kind)
	bits := math.Float64bits(i.Rating)
	for k := range 8 {
		h = (h ^ bits>>(8*k)&0xff) * fnvPrime
	}
	return h
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// hash goes on with FNV-1a over a string and an end mark.
func hash(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime
}
