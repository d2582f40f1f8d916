package ml

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/realdata"
)

// readRatings reads user, item, rating and seconds from a file with that separator. Ratings of
// 4 stars or more of 5 (8 or more of 10) are positives; others have weight 0.
func readRatings(t testing.TB, file, separator string, scale float64) *Dataset {
	t.Helper()
	b, err := os.ReadFile(realdata.Path(t, file))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		user, item string
		rating     float64
		time       int64
	}
	var rows []row
	for in := bufio.NewScanner(bytes.NewReader(b)); in.Scan(); {
		f := strings.Split(in.Text(), separator)
		if len(f) != 4 {
			t.Fatalf("%s: %q", file, in.Text())
		}
		rating, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			continue // the header
		}
		time, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			t.Fatalf("%s: %q", file, in.Text())
		}
		rows = append(rows, row{f[0], f[1], rating / scale * 5, time * 1000})
	}
	d := &Dataset{}
	for _, r := range rows {
		d.Users, d.Items = append(d.Users, r.user), append(d.Items, r.item)
	}
	slices.Sort(d.Users)
	slices.Sort(d.Items)
	d.Users, d.Items = slices.Compact(d.Users), slices.Compact(d.Items)
	for _, r := range rows {
		u, _ := slices.BinarySearch(d.Users, r.user)
		i, _ := slices.BinarySearch(d.Items, r.item)
		s := Sample{User: int32(u), Item: int32(i), Time: r.time, Rating: float32(r.rating)}
		if r.rating >= 4 {
			s.Weight = 1
		}
		d.Samples = append(d.Samples, s)
	}
	d.Sort()
	return d
}

// TestQuality compares iALS with popularity on real ratings: all unseen items are ranked for every
// user with a new positive. The prior is chosen on a validation split cut from the training set in
// the same way as the test split from the whole. The figures of the test are logged (go test -v).
func TestQuality(t *testing.T) {
	sets := []struct {
		name, file, separator string
		scale                 float64
	}{
		{"ml-latest-small", "ml-latest-small/ratings.csv", ",", 5},
		{"movietweetings-100k", "movietweetings-100k/ratings.dat", "::", 10},
	}
	protocols := []struct {
		name string
		cut  func(*Dataset) *Split
	}{
		{"leave last out", SplitLeaveLast},
		{"last tenth by time", func(d *Dataset) *Split {
			s, _, err := SplitByQuantile(d, .9)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}},
	}
	for _, set := range sets {
		d := readRatings(t, set.file, set.separator, set.scale)
		for _, protocol := range protocols {
			t.Run(set.name+"/"+protocol.name, func(t *testing.T) {
				ctx, o := context.Background(), EvaluateOptions{K: 10, SampleUsers: 1000, Seed: 1}
				test := protocol.cut(d)
				validation := protocol.cut(test.Train)
				p := DefaultALSParams()
				choice, err := ChoosePrior(ctx, validation, mustTrain(t, validation.Train, p).FoldInScorer(validation.Train), EvaluateOptions{K: 10, SampleUsers: 300, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("prior chosen on the validation split: half-life %v days, weight %v", choice.HalfLifeDays, choice.Weight)

				m := mustTrain(t, test.Train, p)
				now, popularity := test.Train.Samples[len(test.Train.Samples)-1].Time, NewPopularity(test.Train)
				foldIn, decayed := m.FoldInScorer(test.Train), popularity.Scores(now, choice.HalfLifeDays)
				evaluate := func(name string, s Scorer) Report {
					r, err := Evaluate(ctx, test, s, o)
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%-28s %d users  HR@10 %.4f  NDCG@10 %.4f  MRR %.4f  coverage %.3f  novelty %.1f bits", name, r.Users, r.HitRate, r.NDCG, r.MRR, r.Coverage, r.Novelty)
					return r
				}
				plain := evaluate("popularity", ConstantScorer(popularity.Scores(now, 0)))
				evaluate("popularity, half-life", ConstantScorer(decayed))
				trained := evaluate("iALS", m)
				folded := evaluate("iALS, folded in", foldIn)
				blend := evaluate("iALS, folded in, with prior", WithPrior(foldIn, PopularityPrior(decayed), float32(choice.Weight)))

				if protocol.name == "leave last out" {
					if folded.NDCG < 1.02*plain.NDCG || folded.NDCG < .9*trained.NDCG {
						t.Errorf("NDCG@10: iALS %.4f, folded in %.4f, popularity %.4f", trained.NDCG, folded.NDCG, plain.NDCG)
					}
				}
				// By time, most users of the test are new, and a factor model alone knows nothing of them.
				if blend.NDCG < plain.NDCG {
					t.Errorf("NDCG@10: iALS with prior %.4f, popularity %.4f", blend.NDCG, plain.NDCG)
				}
			})
		}
	}
}

// Ratings of the last tenth in time are predicted better than by the mean of all before; the figure is the least that
// must hold.
func TestNeuralCF_Quality(t *testing.T) {
	d := readRatings(t, "ml-latest-small/ratings.csv", ",", 5)
	d.Sort()
	data := NeuralCFData{Users: d.Users, Movies: d.Items, Validation: len(d.Samples) / 10}
	var sum, square float64
	for i, s := range d.Samples {
		data.Ratings = append(data.Ratings, NeuralCFRating{s.User, s.Item, s.Rating})
		if i < len(d.Samples)-data.Validation {
			sum += float64(s.Rating)
		}
	}
	mean := sum / float64(len(d.Samples)-data.Validation)
	for _, s := range d.Samples[len(d.Samples)-data.Validation:] {
		square += (float64(s.Rating) - mean) * (float64(s.Rating) - mean)
	}
	m, reports := trainedCF(t, data, DefaultNeuralCFParams())
	byMean := math.Sqrt(square / float64(data.Validation))
	t.Logf("rmse %.4f after %d epochs of %d, by the mean %.4f", m.Info.RMSE, m.Info.Epoch, len(reports), byMean)
	if m.Info.RMSE > byMean-.05 {
		t.Errorf("rmse %.4f, by the mean %.4f", m.Info.RMSE, byMean)
	}
	for i := 1; i < len(reports); i++ {
		if reports[i].TrainLoss >= reports[i-1].TrainLoss {
			t.Errorf("the loss of epoch %d is %v after %v", i+1, reports[i].TrainLoss, reports[i-1].TrainLoss)
		}
	}
}
