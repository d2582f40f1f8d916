package ml

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
)

// Scorer is what is evaluated: a model that gives every item a score for a user, higher is better.
type Scorer interface {
	// Score writes the score of every item to dst, one per item of the data set. It is called from
	// several goroutines at once. A NaN leaves the item out.
	Score(dst []float32, user int32)
}

// ScorerFunc is a function as a [Scorer].
type ScorerFunc func(dst []float32, user int32)

// Score calls f.
func (f ScorerFunc) Score(dst []float32, user int32) { f(dst, user) }

// ConstantScorer gives everyone the same scores, as popularity does.
func ConstantScorer(scores []float32) Scorer {
	return ScorerFunc(func(dst []float32, _ int32) { copy(dst, scores) })
}

// Score is the model's score of every item for a user of its training set. With [ALS.FoldInScorer]
// it is one of the two ways of evaluating an ALS; it needs UserFactors.
func (m *ALS) Score(dst []float32, user int32) {
	dim := m.Params.Dim
	ScoreAll(dst, m.UserFactors[int(user)*dim:(int(user)+1)*dim], m.ItemFactors, dim)
}

// FoldInScorer scores with vectors folded in from each user's positives in train, as they are served.
func (m *ALS) FoldInScorer(train *Dataset) Scorer {
	items, weights := make([][]int32, len(train.Users)), make([][]float32, len(train.Users))
	for i := range train.Samples {
		if s := &train.Samples[i]; s.Weight > 0 {
			items[s.User], weights[s.User] = append(items[s.User], s.Item), append(weights[s.User], s.Weight)
		}
	}
	return ScorerFunc(func(dst []float32, user int32) {
		ScoreAll(dst, m.FoldIn(items[user], weights[user]), m.ItemFactors, m.Params.Dim)
	})
}

// EvaluateOptions says how to evaluate.
type EvaluateOptions struct {
	K           int    // length of the lists, 1 or more; usually 10
	SampleUsers int    // evaluate at most so many users, chosen by Seed; 0 is all
	Seed        uint64 // of the choice of users and of sampled negatives
}

// Report holds the means over the evaluated users; see the functions of the same name.
type Report struct {
	K         int     `json:"k"`
	Users     int     `json:"users"` // users evaluated: those with a positive in the test set that they had not seen before
	HitRate   float64 `json:"hit_rate"`
	NDCG      float64 `json:"ndcg"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	MAP       float64 `json:"map"`
	MRR       float64 `json:"mrr"` // over the whole ranking, not only the first K
	Coverage  float64 `json:"coverage"`
	Novelty   float64 `json:"novelty"`
}

// protocol is the users to evaluate, and what counts for each.
type protocol struct {
	users    []int32
	seen     [][]int32 // items of any interaction in Train, sorted
	relevant [][]int32 // positives of Test that are not in seen, sorted
	count    []int     // users with a positive in Train, per item
}

func newProtocol(s *Split, o EvaluateOptions) (*protocol, error) {
	if o.K < 1 || o.SampleUsers < 0 {
		return nil, fmt.Errorf("ml: evaluation with k %d and %d sampled users: give k 1 or more, users 0 or more", o.K, o.SampleUsers)
	}
	train, err := positives(s.Train)
	if err != nil {
		return nil, err
	}
	test, err := positives(s.Test)
	if err != nil {
		return nil, err
	}
	if train.rows() != test.rows() || len(s.Train.Items) != len(s.Test.Items) {
		return nil, fmt.Errorf("ml: train and test do not share users and items: use a split of one data set")
	}
	p := &protocol{
		seen:     make([][]int32, train.rows()),
		relevant: make([][]int32, train.rows()),
		count:    make([]int, len(s.Train.Items)),
	}
	for _, i := range train.cols {
		p.count[i]++
	}
	for i := range s.Train.Samples {
		x := &s.Train.Samples[i]
		p.seen[x.User] = append(p.seen[x.User], x.Item)
	}
	for u := range p.seen {
		slices.Sort(p.seen[u])
		p.seen[u] = slices.Compact(p.seen[u])
		items, _ := test.row(u)
		for _, i := range items {
			if _, found := slices.BinarySearch(p.seen[u], i); !found {
				p.relevant[u] = append(p.relevant[u], i)
			}
		}
		if len(p.relevant[u]) > 0 {
			p.users = append(p.users, int32(u))
		}
	}
	if n := o.SampleUsers; n > 0 && n < len(p.users) {
		key := func(u int32) uint64 { return mix64(mix64(o.Seed+1) ^ uint64(u)) }
		slices.SortFunc(p.users, func(a, b int32) int { return cmp.Compare(key(a), key(b)) })
		p.users = p.users[:n]
		slices.Sort(p.users)
	}
	return p, nil
}

// Evaluate ranks, for each user with new positives in the test set, all items the user has not
// interacted with in the training set, equal scores by index. Users are independent and summed in
// order: the report is the same every time. Errors: options or samples out of range, ctx done.
func Evaluate(ctx context.Context, s *Split, scorer Scorer, o EvaluateOptions) (Report, error) {
	p, err := newProtocol(s, o)
	if err != nil {
		return Report{}, err
	}
	items := len(s.Train.Items)
	each, lists := make([]Report, len(p.users)), make([][]int32, len(p.users))
	workers := workerCount()
	scores := make([][]float32, workers)
	err = parallel(ctx, workers, len(p.users), 8, func(worker, lo, hi int) {
		if scores[worker] == nil {
			scores[worker] = make([]float32, items)
		}
		scores := scores[worker]
		for n := lo; n < hi; n++ {
			u := p.users[n]
			relevant := p.relevant[u]
			scorer.Score(scores, u)
			seen := NewBitset(items)
			for _, i := range p.seen[u] {
				seen.Add(i)
			}
			for _, c := range TopKScores(scores, o.K, seen.Has) {
				lists[n] = append(lists[n], c.Index)
			}
			hits := Hits(lists[n], relevant)
			each[n] = Report{
				HitRate:   HitRate(hits, o.K),
				NDCG:      NDCG(hits, len(relevant), o.K),
				Precision: Precision(hits, o.K),
				Recall:    Recall(hits, len(relevant), o.K),
				MAP:       AveragePrecision(hits, len(relevant), o.K),
				MRR:       reciprocalRank(scores, seen, relevant),
			}
		}
	})
	if err != nil {
		return Report{}, err
	}
	r := mean(each, o.K)
	r.Coverage = Coverage(lists, items)
	r.Novelty = Novelty(lists, p.count, len(s.Train.Users))
	return r, nil
}

// reciprocalRank is 1/rank of the best relevant item among all unseen ones.
func reciprocalRank(scores []float32, seen Bitset, relevant []int32) float64 {
	best := Scored{Index: -1}
	for _, i := range relevant {
		c := Scored{i, scores[i]}
		if c.Score == c.Score && (best.Index < 0 || c.before(best)) {
			best = c
		}
	}
	if best.Index < 0 {
		return 0
	}
	rank := 1
	for i, s := range scores {
		if (Scored{int32(i), s}).before(best) && !seen.Has(int32(i)) {
			rank++
		}
	}
	return 1 / float64(rank)
}

func mean(each []Report, k int) Report {
	r := Report{K: k, Users: len(each)}
	for _, e := range each {
		r.HitRate += e.HitRate
		r.NDCG += e.NDCG
		r.Precision += e.Precision
		r.Recall += e.Recall
		r.MAP += e.MAP
		r.MRR += e.MRR
	}
	if n := float64(len(each)); n > 0 {
		r.HitRate /= n
		r.NDCG /= n
		r.Precision /= n
		r.Recall /= n
		r.MAP /= n
		r.MRR /= n
	}
	return r
}

// EvaluateSampled ranks each of a user's new positives among a number of items that the user has no
// interaction with at all, drawn by o.Seed (100 in the literature's figures for MovieLens-1M; He et
// al. 2017). An equal score counts against the model. It is there to compare with those figures
// only: sampled metrics can order models wrongly (Krichene, Rendle 2020). Users' positives are
// averaged before users are. Coverage and Novelty are not defined and 0.
func EvaluateSampled(ctx context.Context, s *Split, scorer Scorer, negatives int, o EvaluateOptions) (Report, error) {
	p, err := newProtocol(s, o)
	if err != nil {
		return Report{}, err
	}
	if negatives < 1 {
		return Report{}, fmt.Errorf("ml: evaluation among %d negatives: give 1 or more, usually 100", negatives)
	}
	items := len(s.Train.Items)
	used := make([]Bitset, len(p.seen)) // of any interaction, in Train or Test
	for u := range p.seen {
		if len(p.relevant[u]) > 0 {
			used[u] = NewBitset(items)
			for _, i := range p.seen[u] {
				used[u].Add(i)
			}
		}
	}
	for i := range s.Test.Samples {
		if x := &s.Test.Samples[i]; used[x.User] != nil {
			used[x.User].Add(x.Item)
		}
	}
	each := make([]Report, len(p.users))
	workers := workerCount()
	scores := make([][]float32, workers)
	err = parallel(ctx, workers, len(p.users), 8, func(worker, lo, hi int) {
		if scores[worker] == nil {
			scores[worker] = make([]float32, items)
		}
		scores := scores[worker]
		for n := lo; n < hi; n++ {
			u := p.users[n]
			scorer.Score(scores, u)
			r := newRNG(mix64(o.Seed+1) ^ mix64(uint64(u)+1))
			list := make([]Report, 0, len(p.relevant[u]))
			for _, positive := range p.relevant[u] {
				rank := 0
				for _, i := range sampleUnused(r, items, negatives, used[u]) {
					if !(scores[i] < scores[positive]) && scores[i] == scores[i] {
						rank++
					}
				}
				hits := make([]bool, rank+1)
				hits[rank] = scores[positive] == scores[positive]
				list = append(list, Report{
					HitRate: HitRate(hits, o.K), NDCG: NDCG(hits, 1, o.K), Precision: Precision(hits, o.K),
					Recall: Recall(hits, 1, o.K), MAP: AveragePrecision(hits, 1, o.K), MRR: ReciprocalRank(hits),
				})
			}
			each[n] = mean(list, o.K)
		}
	})
	if err != nil {
		return Report{}, err
	}
	return mean(each, o.K), nil
}

// sampleUnused draws n different items that are not used, or all of them where there are no more.
func sampleUnused(r *rng, items, n int, used Bitset) []int32 {
	free := items
	for _, w := range used {
		free -= bits.OnesCount64(w)
	}
	if free < 4*n || free < items/2 { // few: list and shuffle them
		list := make([]int32, 0, free)
		for i := range int32(items) {
			if !used.Has(i) {
				list = append(list, i)
			}
		}
		n = min(n, len(list))
		for i := range n {
			j := i + r.intn(len(list)-i)
			list[i], list[j] = list[j], list[i]
		}
		return list[:n]
	}
	taken, list := slices.Clone(used), make([]int32, 0, n)
	for len(list) < n {
		if i := int32(r.intn(items)); !taken.Has(i) {
			taken.Add(i)
			list = append(list, i)
		}
	}
	return list
}
