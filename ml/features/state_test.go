package features

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

var testKinds = []string{"rating", "view", "click", "watch", "skip"}

// randomFacts are n facts of few movies within some days, with ties in time.
func randomFacts(r *rand.Rand, n, days int) []Fact {
	facts := make([]Fact, n)
	for i := range facts {
		t := int64(r.IntN(days*24)) * 3600 * 1000
		f := Fact{TimeMillis: t - 5*dayMillis, RecordedMillis: t + int64(r.IntN(days*24))*3600*1000,
			Other: string(rune('a' + r.IntN(12))), Kind: testKinds[r.IntN(len(testKinds))]}
		if f.Kind == "rating" || r.IntN(5) == 0 {
			f.Rating = float64(1+r.IntN(10)) / 2
		}
		facts[i] = f
	}
	return facts
}

func fold(entity Entity, facts []Fact) *State {
	s := NewState(entity)
	for _, f := range facts {
		s.Add(f)
	}
	return s
}

func TestStateCommutes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, entity := range []Entity{User, Movie} {
		for range 100 {
			facts := randomFacts(r, r.IntN(60), 1+r.IntN(40))
			want := fold(entity, facts).AppendTo(nil)
			for range 5 {
				r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
				if got := fold(entity, facts).AppendTo(nil); !bytes.Equal(got, want) {
					t.Fatalf("another order of %d facts gives other bytes", len(facts))
				}
				cut := r.IntN(len(facts) + 1)
				a, b := fold(entity, facts[:cut]), fold(entity, facts[cut:])
				before := b.AppendTo(nil)
				a.Merge(b)
				if !bytes.Equal(a.AppendTo(nil), want) {
					t.Fatalf("merging %d and %d facts gives other bytes", cut, len(facts)-cut)
				}
				if !bytes.Equal(b.AppendTo(nil), before) {
					t.Fatal("Merge changed its argument")
				}
				// What was merged must not share memory with what is added to later.
				a.Add(Fact{TimeMillis: 1, Other: "zz", Kind: "aaa"})
				if !bytes.Equal(b.AppendTo(nil), before) {
					t.Fatal("Add after Merge changed the merged state")
				}
			}
		}
	}
}

// A rating that was corrected leaves no trace.
func TestStateCorrect(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, entity := range []Entity{User, Movie} {
		for range 100 {
			facts := randomFacts(r, 1+r.IntN(60), 1+r.IntN(40))
			want := fold(entity, facts).AppendTo(nil)
			s := NewState(entity)
			for i := range facts {
				f, rated := facts[i], facts[i].Rating > 0
				if !rated {
					s.Add(f)
					continue
				}
				f.Rating = []float64{.001, .5, 5, 10. / 3}[r.IntN(4)]
				s.Add(f)
				s.Correct(facts[i], f.Rating)
			}
			if !bytes.Equal(s.AppendTo(nil), want) {
				t.Fatalf("%d facts, corrected, are not those that were added right at once", len(facts))
			}
		}
	}
}

// A rating above 0 is a hundredth at least, as what acts mean reads it.
func TestLeastRating(t *testing.T) {
	s := fold(Movie, []Fact{{Kind: "rating", Rating: .001}})
	if got, want := s.kinds[0].sums, (sums{count: 1, rated: 1, centi: 1}); got != want {
		t.Errorf("a rating of a thousandth counts %+v, want %+v", got, want)
	}
}

func TestStateRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, entity := range []Entity{User, Movie} {
		for range 100 {
			facts := randomFacts(r, r.IntN(50), 30)
			s := fold(entity, facts)
			data := s.AppendTo(nil)
			back, err := ParseState(data)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.AppendTo(nil), data) || back.Facts() != int64(len(facts)) || back.LastMillis() != s.LastMillis() {
				t.Fatal("a state changes by being written and read")
			}
			more := Fact{TimeMillis: 7, Other: "q", Kind: "like", Rating: 5}
			back.Add(more)
			s.Add(more)
			if !bytes.Equal(back.AppendTo(nil), s.AppendTo(nil)) {
				t.Fatal("a state read back goes on differently")
			}
		}
	}
}

func TestStateExtremeTimes(t *testing.T) {
	for _, entity := range []Entity{User, Movie} {
		s := NewState(entity)
		for _, at := range []int64{math.MinInt64, math.MaxInt64, 0, -1, dayMillis - 1, dayMillis} {
			s.Add(Fact{TimeMillis: at, Kind: "view"})
		}
		back, err := ParseState(s.AppendTo(nil))
		if err != nil || back.Facts() != 6 {
			t.Fatal(err)
		}
	}
}

func TestDayOf(t *testing.T) {
	for millis, want := range map[int64]int64{0: 0, dayMillis - 1: 0, dayMillis: 1, -1: -1, -dayMillis: -1, -dayMillis - 1: -2} {
		if got := dayOf(millis); got != want {
			t.Errorf("dayOf(%d) = %d, want %d", millis, got, want)
		}
	}
}

func TestRatingOutOfScale(t *testing.T) {
	for _, rating := range []float64{0, -1, 5.01, math.NaN(), math.Inf(1)} {
		s := NewState(Movie)
		s.Add(Fact{Kind: "rating", Rating: rating})
		if s.kinds[0].rated != 0 || s.kinds[0].count != 1 {
			t.Errorf("rating %v counts as a rating", rating)
		}
	}
}

func TestParseStateRefusesDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	data := fold(User, randomFacts(r, 30, 20)).AppendTo(nil)
	for n := range data {
		if _, err := ParseState(data[:n]); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := ParseState(append(bytes.Clone(data), 0)); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
	newer := bytes.Clone(data)
	newer[0]++
	if _, err := ParseState(newer); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("another version: %v", err)
	}
}

func TestParseStateRefusesOverlongNumbers(t *testing.T) {
	data := NewState(Movie).AppendTo(nil) // version, 'm', 0 kinds, 0 days
	if !bytes.Equal(data, []byte{1, 'm', 0, 0}) {
		t.Fatalf("%x", data)
	}
	if _, err := ParseState([]byte{1, 'm', 0x80, 0, 0}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("0 written in two bytes: %v", err)
	}
}

func FuzzParseState(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	f.Add(fold(User, randomFacts(r, 30, 20)).AppendTo(nil))
	f.Add(fold(Movie, randomFacts(r, 30, 20)).AppendTo(nil))
	f.Add(NewState(User).AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseState(data)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if got := s.AppendTo(nil); !bytes.Equal(got, data) {
			t.Fatalf("%x was read and is written as %x", data, got)
		}
	})
}
