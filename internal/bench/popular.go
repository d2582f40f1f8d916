package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// popular is a data set in MovieLens' layout whose films are chosen by popularity alone: nobody has a taste, so nearly all
// films meet nearly all others, which is the most that co-counts can be asked to keep.
type popular struct {
	ratings, people, films int
	seed                   uint64
}

// The k-th film is chosen in proportion to (k + popularLevel)^-popularSlope, and the k-th person acts so.
const (
	popularLevel  = 5
	popularSlope  = .8
	activitySlope = .5
)

// popularFrom is the time of the first rating; all of them are within popularYears.
const (
	popularFrom  = 1_000_000_000 // Unix seconds
	popularYears = 8
)

func slope(n int, by float64) []float64 {
	sum, out := 0.0, make([]float64, n)
	for i := range out {
		sum += math.Pow(float64(i+popularLevel), -by)
		out[i] = sum
	}
	return out
}

// write makes the files of the data set: the same for the same numbers. Times ascend, with ties.
func (p popular) write(dir string) error {
	err := p.file(dir, "movies.csv", func(w *bufio.Writer) {
		w.WriteString("movieId,title,genres\n") //nolint:errcheck // Flush has it
		genres := []string{"Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi"}
		for i := range p.films {
			fmt.Fprintf(w, "%d,Film %d (%d),%s|%s\n", i+1, i+1, 1950+i%70, genres[i%6], genres[(i/6+1)%6]) //nolint:errcheck // as above
		}
	})
	return errors.Join(err, p.file(dir, "ratings.csv", func(w *bufio.Writer) {
		rng := rand.New(rand.NewPCG(p.seed, uint64(p.ratings)))
		films, people := slope(p.films, popularSlope), slope(p.people, activitySlope)
		draw := func(slope []float64) int64 {
			return 1 + int64(sort.SearchFloat64s(slope, rng.Float64()*slope[len(slope)-1]))
		}
		w.WriteString("userId,movieId,rating,timestamp\n") //nolint:errcheck // as above
		at, step := 0.0, float64(popularYears*365*24*3600)/float64(p.ratings)
		var line []byte
		for range p.ratings {
			at += float64(rng.IntN(3)) * step
			line = append(strconv.AppendInt(line[:0], draw(people), 10), ',')
			line = append(strconv.AppendInt(line, draw(films), 10), ',')
			line = append(strconv.AppendFloat(line, float64(1+rng.IntN(10))/2, 'f', 1, 64), ',')
			line = append(strconv.AppendInt(line, popularFrom+int64(at), 10), '\n')
			w.Write(line) //nolint:errcheck // as above
		}
	}))
}

func (p popular) file(dir, name string, write func(*bufio.Writer)) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	write(w)
	return errors.Join(w.Flush(), f.Close())
}

// size in words.
func (p popular) String() string {
	return strings.Join([]string{thousands(int64(p.ratings)), "ratings,", thousands(int64(p.people)), "people,", thousands(int64(p.films)), "films, by popularity"}, " ")
}
