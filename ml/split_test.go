package ml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func times(d *ml.Dataset) string {
	var list []string
	for _, s := range d.Samples {
		list = append(list, fmt.Sprint(s.Time))
	}
	return strings.Join(list, " ")
}

func splitWorld() *ml.Dataset {
	return &ml.Dataset{Users: []string{"a", "b", "c"}, Items: []string{"x", "y"}, Samples: []ml.Sample{
		{User: 0, Time: 1, Weight: 1}, {User: 1, Time: 2, Weight: 1}, {User: 0, Time: 3, Weight: 1},
		{User: 2, Time: 4, Weight: 1}, {User: 0, Time: 5, Weight: -1}, {User: 1, Time: 6, Weight: 0},
		{User: 1, Time: 6, Item: 1, Weight: 1}, {User: 2, Time: 7, Weight: -1},
	}}
}

func TestSplit(t *testing.T) {
	d := splitWorld()
	check := func(name string, s *ml.Split, train, test string) {
		t.Helper()
		if times(s.Train) != train || times(s.Test) != test {
			t.Errorf("%s: train %s, test %s; want %s, %s", name, times(s.Train), times(s.Test), train, test)
		}
	}
	check("time", ml.SplitByTime(d, 4), "1 2 3", "4 5 6 6 7")
	check("leave last", ml.SplitLeaveLast(d), "1 2 4 6 7", "3 6")
	for share, want := range map[float64]int64{.5: 5, .8: 6, .01: 1, .99: 7} {
		s, cut, err := ml.SplitByQuantile(d, share)
		if err != nil || cut != want || len(s.Train.Samples)+len(s.Test.Samples) != 8 {
			t.Errorf("share %v: cut %d, %v; want %d", share, cut, err, want)
		}
	}
	for _, share := range []float64{0, 1, -1} {
		if _, _, err := ml.SplitByQuantile(d, share); err == nil {
			t.Errorf("share %v is taken", share)
		}
	}
	if s, _, err := ml.SplitByQuantile(&ml.Dataset{}, .5); err != nil || len(s.Train.Samples) != 0 {
		t.Error(err)
	}
}
