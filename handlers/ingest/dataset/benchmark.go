package dataset

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
)

// LayoutBenchmark is a folder that holds nothing but splits; see [Set.Benchmarks].
const LayoutBenchmark Layout = "benchmark"

// Files of splits. Those of He et al. (2017) hold out one film of each person: NAME.train.rating and NAME.test.rating have
// the fields of u.data, NAME.test.negative a line for each of the latter, "(user,item)" and films. MovieLens 100K has five
// folds of its ratings, u1.base and u1.test to u5.
const (
	trainSuffix    = ".train.rating"
	testSuffix     = ".test.rating"
	negativeSuffix = ".test.negative"
	foldsMax       = 5
)

// Benchmark is a split of a data set that its publisher, or a paper, has made.
type Benchmark struct {
	Name  string
	Folds bool // it is one of several folds of ratings
	// HasNegatives says that the films are named which the held-out one is ranked among.
	HasNegatives bool

	set                   *Set
	train, test, negative string
}

// Benchmarks are the splits that lie beside the ratings, in order of name: five folds, where all are there, and those that
// hold out one film of each person.
func (s *Set) Benchmarks() ([]Benchmark, error) {
	entries, err := fs.ReadDir(s.fsys, s.dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", s.where(), err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = !e.IsDir()
	}
	var list, folds []Benchmark
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), trainSuffix)
		if !ok || name == "" {
			continue
		}
		b := Benchmark{Name: name, set: s, train: e.Name(), test: name + testSuffix, negative: name + negativeSuffix}
		if !there[b.test] {
			return nil, fmt.Errorf("dataset: %s holds %s but not %s: is the download complete?", s.where(), b.train, b.test)
		}
		b.HasNegatives = there[b.negative]
		list = append(list, b)
	}
	for k := 1; k <= foldsMax; k++ {
		b := Benchmark{Name: fmt.Sprintf("u%d", k), Folds: true, set: s, train: fmt.Sprintf("u%d.base", k), test: fmt.Sprintf("u%d.test", k)}
		if there[b.train] && there[b.test] {
			folds = append(folds, b)
		}
	}
	if len(folds) == foldsMax {
		list = append(list, folds...)
	}
	slices.SortFunc(list, func(a, b Benchmark) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// OpenBenchmarks opens a folder, or a .zip, of splits without the data set that they are of. Their people and films have
// numbers of their own, so nothing is known of the films. The caller closes it.
func OpenBenchmarks(name string) (*Set, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	s := &Set{root: name, Layout: LayoutBenchmark}
	switch {
	case info.IsDir():
		s.fsys = os.DirFS(name)
	case info.Mode().IsRegular() && strings.EqualFold(filepath.Ext(name), ".zip"):
		z, err := zip.OpenReader(name)
		if err != nil {
			return nil, fmt.Errorf("dataset: %s cannot be read as a zip archive (%w): is the download complete?", name, err)
		}
		s.fsys, s.closer = &z.Reader, z
	default:
		return nil, fmt.Errorf("dataset: %s is neither a folder nor a .zip", name)
	}
	level := []string{"."}
	for depth := 0; depth <= depthMax && len(level) < entriesMax; depth++ {
		var next []string
		for _, dir := range level {
			entries, err := fs.ReadDir(s.fsys, dir)
			if err != nil {
				continue // find has told
			}
			for _, e := range entries {
				if strings.HasSuffix(e.Name(), trainSuffix) && !e.IsDir() {
					s.dir = dir
					s.Name = strings.TrimSuffix(e.Name(), trainSuffix)
					return s, nil
				}
				if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		level = next
	}
	return nil, errors.Join(fmt.Errorf("dataset: no NAME%s in %s or in the folders right below", trainSuffix, name), s.Close())
}

// of is the set with another file as its ratings, of the fields of u.data.
func (b *Benchmark) of(name string) *Set {
	s := b.set
	return &Set{Name: s.Name, Layout: LayoutUData, Latest: s.Latest, files: files{ratings: name}, fsys: s.fsys, dir: s.dir, root: s.root}
}

// Train and Test give all ratings of a half, in the order of the file. The first line that cannot be read ends it: a split is
// whole, or none.
func (b *Benchmark) Train(ctx context.Context) ([]Rating, error) { return all(ctx, b.of(b.train)) }

// Test is the other half.
func (b *Benchmark) Test(ctx context.Context) ([]Rating, error) { return all(ctx, b.of(b.test)) }

func all(ctx context.Context, s *Set) ([]Rating, error) {
	var list []Rating
	for r, err := range s.Ratings(ctx, nil) {
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Negatives are the films that each person's film is ranked among, by person.
func (b *Benchmark) Negatives(ctx context.Context) (map[string][]string, error) {
	list := map[string][]string{}
	var wrong *LineError
	s := b.of(b.negative)
	err := s.eachRecord(ctx, b.negative, ratingBytesMax, func(in *records, text []byte, bad *LineError) bool {
		if wrong = bad; wrong != nil {
			return false
		}
		fields := bytes.Fields(text)
		if len(fields) == 0 {
			wrong = s.fault(b.negative, in.line, "line", string(text), "(user,item) and films, separated by tabs")
			return false
		}
		head := string(fields[0])
		user, item, ok := strings.Cut(strings.Trim(head, "()"), ",")
		if !ok || !isNumber([]byte(user)) || !isNumber([]byte(item)) || head != "("+user+","+item+")" {
			wrong = s.fault(b.negative, in.line, "line", head, "(user,item) and films, separated by tabs")
			return false
		}
		films := make([]string, 0, len(fields)-1)
		for _, f := range fields[1:] {
			if !isNumber(f) {
				wrong = s.fault(b.negative, in.line, "film", string(f), "1 to 18 digits")
				return false
			}
			films = append(films, events.CanonicalMovie(string(f)))
		}
		list[events.CanonicalUser(user)] = films
		return true
	})
	if wrong != nil {
		return nil, wrong
	}
	return list, err
}
