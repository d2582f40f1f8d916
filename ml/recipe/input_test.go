package recipe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

// acts are n random ones, in the order of a set.
func acts(rng *rand.Rand, n int) Input {
	in := Input{Data: &ml.Dataset{Users: []string{"a", "b", "c"}, Items: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}}}
	at := int64(1_400_000_000_000)
	for range n {
		at += int64(rng.IntN(3)) * likedWithin / 4
		s := signal.Default().Of([]string{"view", "like", "dislike", "impression", "hum"}[rng.IntN(5)], 0)
		in.Signals = append(in.Signals, s)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: int32(rng.IntN(3)), Item: int32(rng.IntN(9)), Time: at, Weight: s.Weight()})
	}
	return in
}

// What is judged, and the model at hand then, are those of somebody who goes through all samples one by one.
func TestReplay(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		in := acts(rng, 1+rng.IntN(120))
		n := len(in.Data.Samples)
		from := rng.IntN(n)
		to := from + rng.IntN(n-from+1)
		limit := 1 + rng.IntN(8)

		first, liked := map[[2]int32]int{}, map[int]bool{}
		for i, s := range in.Data.Samples[:to] {
			p := [2]int32{s.User, s.Item}
			if _, met := first[p]; !met && in.Signals[i].Meets() {
				first[p] = i
			}
			if f := first[p]; in.Signals[i].Meets() && f >= from && s.Weight > 0 && s.Time-in.Data.Samples[f].Time <= likedWithin {
				liked[f] = true
			}
		}
		model, moments, want := online.New(), 0, []string(nil)
		every := max(1, (len(liked)+limit-1)/limit)
		for i, s := range in.Data.Samples[:to] {
			user := in.Data.Users[s.User]
			if liked[i] {
				if moments%every == 0 {
					want = append(want, said(model, user, s.Time, int(s.Item)))
				}
				moments++
			}
			model.Add(user, in.Data.Items[s.Item], s.Time, uint64(i), in.Signals[i])
		}

		var got []string
		err := in.Replay(context.Background(), from, to, limit, func(m *online.Model, user string, timeMillis int64, film int) {
			got = append(got, said(m, user, timeMillis, film))
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v: judged\n%v, want\n%v", seed, err, got, want)
		}
	}
}

// said is a moment with what the model is then.
func said(m *online.Model, user string, timeMillis int64, film int) string {
	out := fmt.Sprintln(user, timeMillis, film)
	for id := range m.Users() {
		out += fmt.Sprintf("%s %x ", id, m.Encode(nil, online.UserRows, id))
	}
	for id := range m.Items() {
		out += fmt.Sprintf("%s %x %x ", id, m.Encode(nil, online.ItemRows, id), m.Encode(nil, online.NextRows, id))
	}
	return out
}

// Everybody counts alike, however many moments are theirs.
func TestShares(t *testing.T) {
	people := []string{"a", "b", "a", "a", "c", "a", "b"}
	var sum float64
	of := map[string]float64{}
	for i, share := range Shares(people) {
		sum += share
		of[people[i]] += share
	}
	if math.Abs(sum-1) > 1e-12 || len(of) != 3 {
		t.Fatal(sum, of)
	}
	for p, share := range of {
		if math.Abs(share-1./3) > 1e-12 {
			t.Errorf("%s has a share of %v", p, share)
		}
	}
	if len(Shares(nil)) != 0 {
		t.Error("nobody has a share")
	}
}
