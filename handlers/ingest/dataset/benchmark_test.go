package dataset

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBenchmarks(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("u.data", "1\t10\t5\t880000000\n2\t20\t3\t880000001\n")
	put("u.item", "10|A (1990)|01-Jan-1990||x|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|1\n20|B (1991)|01-Jan-1991||x|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|1\n")
	for k := 1; k <= 4; k++ {
		put(fmt.Sprintf("u%d.base", k), "1\t10\t5\t880000000\n")
		put(fmt.Sprintf("u%d.test", k), "2\t20\t3\t880000001\n")
	}
	open := func() []Benchmark {
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.Benchmarks()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := open(); len(list) != 0 {
		t.Errorf("four folds of five are taken: %+v", list)
	}
	put("u5.base", "1\t10\t5\t880000000\n")
	put("u5.test", "2\t20\t4\t880000001\n")
	put("paper.train.rating", "0\t0\t4\t978824330\n0\t1\t5\t978824331\n")
	put("paper.test.rating", "0\t25\t5\t978824351\n")
	put("paper.test.negative", "(0,25)\t1064\t174\t2791\n")
	list := open()
	var names []string
	for _, b := range list {
		names = append(names, fmt.Sprintf("%s %v %v", b.Name, b.Folds, b.HasNegatives))
	}
	if want := []string{"paper false true", "u1 true false", "u2 true false", "u3 true false", "u4 true false", "u5 true false"}; !slices.Equal(names, want) {
		t.Fatalf("%v", names)
	}
	train, err := list[0].Train(t.Context())
	if err != nil || len(train) != 2 || train[1].UserID != "0" || train[1].MovieID != "1" || train[1].Rating != 5 || train[1].TimeMillis != 978824331000 {
		t.Errorf("%+v: %v", train, err)
	}
	test, err := list[5].Test(t.Context())
	if err != nil || len(test) != 1 || test[0].Rating != 4 {
		t.Errorf("%+v: %v", test, err)
	}
	negatives, err := list[0].Negatives(t.Context())
	if err != nil || !maps.EqualFunc(negatives, map[string][]string{"0": {"1064", "174", "2791"}}, slices.Equal) {
		t.Errorf("%v: %v", negatives, err)
	}
	for _, bad := range []string{"0,25\t1\n", "(0;25)\t1\n", "(0,25)\tx\n", "((0,25)\t1\n", "(0,25)\t1\n \t\n"} {
		put("paper.test.negative", bad)
		if got, err := open()[0].Negatives(t.Context()); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	put("paper.train.rating", "0\t0\t4\n")
	if _, err := open()[0].Train(t.Context()); err == nil || !strings.Contains(err.Error(), "paper.train.rating, line 1") {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "paper.test.rating")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Benchmarks(); err == nil || !strings.Contains(err.Error(), "not paper.test.rating") {
		t.Error(err)
	}

	// Splits without the data set they are of.
	dir = t.TempDir()
	if _, err := OpenBenchmarks(dir); err == nil {
		t.Error("an empty folder is a split")
	}
	put("Data/b.train.rating", "0\t0\t4\t978824330\n")
	put("Data/b.test.rating", "0\t25\t5\t978824351\n")
	s, err = OpenBenchmarks(dir)
	if err != nil || s.Name != "b" || s.Layout != LayoutBenchmark {
		t.Fatal(s, err)
	}
	if list, err := s.Benchmarks(); err != nil || len(list) != 1 || list[0].HasNegatives {
		t.Errorf("%+v: %v", list, err)
	}
	if _, err := OpenBenchmarks(filepath.Join(dir, "Data", "b.test.rating")); err == nil {
		t.Error("a file is a folder")
	}
}
