package ml

import (
	"fmt"
	"math"
	"slices"
)

// Split is a data set cut in two. Train and Test share the Users and Items of the whole, so indices
// mean the same in both; the samples of each are in canonical order.
type Split struct {
	Train, Test *Dataset
}

func newSplit(d *Dataset) *Split {
	return &Split{
		Train: &Dataset{Users: d.Users, Items: d.Items},
		Test:  &Dataset{Users: d.Users, Items: d.Items},
	}
}

// SplitByTime puts what happened before cutMillis into Train, the rest into Test.
func SplitByTime(d *Dataset, cutMillis int64) *Split {
	s := newSplit(d)
	for _, sample := range d.Samples {
		if sample.Time < cutMillis {
			s.Train.Samples = append(s.Train.Samples, sample)
		} else {
			s.Test.Samples = append(s.Test.Samples, sample)
		}
	}
	return s
}

// SplitByQuantile cuts by time so that about the given share of samples, between 0 and 1, is in
// Train. Samples of the same time stay together, in Test. It also returns the time of the cut.
func SplitByQuantile(d *Dataset, share float64) (*Split, int64, error) {
	if !(share > 0 && share < 1) {
		return nil, 0, fmt.Errorf("ml: the share of the training set is %v: give a number between 0 and 1", share)
	}
	if len(d.Samples) == 0 {
		return newSplit(d), 0, nil
	}
	times := make([]int64, len(d.Samples))
	for i, s := range d.Samples {
		times[i] = s.Time
	}
	slices.Sort(times)
	cut := times[min(int(math.Round(share*float64(len(times)))), len(times)-1)]
	return SplitByTime(d, cut), cut, nil
}

// SplitLeaveLast puts each user's last positive (by time, then item) into Test. What the user did
// before it is in Train; what came after it is left out, since it lies in the future of the test.
// Users with fewer than two positives are in Train whole.
func SplitLeaveLast(d *Dataset) *Split {
	last, count := make([]int, len(d.Users)), make([]int, len(d.Users))
	for i := range d.Samples {
		if s := &d.Samples[i]; s.Weight > 0 {
			last[s.User], count[s.User] = i, count[s.User]+1
		}
	}
	s := newSplit(d)
	for i, sample := range d.Samples {
		switch u := sample.User; {
		case count[u] < 2 || i < last[u]:
			s.Train.Samples = append(s.Train.Samples, sample)
		case i == last[u]:
			s.Test.Samples = append(s.Test.Samples, sample)
		}
	}
	return s
}
