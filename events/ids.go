package events

import (
	"math"
	"strings"
)

// Derived says whether the id of a commit or an event can be one that derives from an idempotency key: a UUID of version 5.
func Derived(id string) bool { return len(id) == 36 && id[14] == '5' }

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

// CanonicalIMDb is the one spelling of IMDb's id of a film, "tt" and at least seven digits: "tt0111161" for
// "111161", "0111161" and " tt0111161 ", and "" for nothing or the number 0. ok is false for what is no
// such id: "tt" alone, or a person's, "nm0000001".
func CanonicalIMDb(id string) (canonical string, ok bool) {
	id = strings.TrimSpace(id)
	if id == "" {
		return "", true
	}
	digits := strings.TrimPrefix(id, "tt")
	const shortest, longest = 7, 18 // digits; IMDb writes 7 and 8
	if digits == "" || len(digits) > longest || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return "", true
	}
	return "tt" + strings.Repeat("0", max(0, shortest-len(digits))) + digits, true
}

// FactHash tells facts apart: it covers who published the event under which id, and what it says, so that
// a repetition has the same number and nothing else has.
func FactHash(source, id string, i *Interaction) uint64 {
	h := Hash(HashStart, source)
	h = Hash(h, id)
	h = Hash(h, i.MovieID)
	h = Hash(h, i.Kind)
	return HashNumber(h, math.Float64bits(i.Rating))
}

// HashStart begins a hash (FNV-1a, 64 bits) that [Hash] and [HashNumber] go on with. Hashes are stored:
// they never change.
const HashStart = 14695981039346656037

const fnvPrime = 1099511628211

// Hash goes on with a hash over a string and an end mark.
func Hash(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime
}

// HashNumber goes on with a hash over a number.
func HashNumber(h, n uint64) uint64 {
	for k := range 8 {
		h = (h ^ n>>(8*k)&0xff) * fnvPrime
	}
	return h
}
