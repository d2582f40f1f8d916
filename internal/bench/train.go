package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	meaning "github.com/projectionist/projectionist/ml/signal"
)

// largest is a training set of the shape of the largest MovieLens set that this is aimed at.
var largest = popular{ratings: 25_000_095, people: 162_541, films: 62_423, seed: 1}

// trainedMost is what a process may take that trains on it.
const trainedMost = 6 << 30

// trained trains recipes on a data set of MovieLens 25M's shape, each in a process of its own that reads the file, and measures the
// most that the process held. It does so once: some take minutes.
func (b *bench) trained() error {
	p := largest
	if b.quick {
		p = popular{ratings: 50_000, people: 1000, films: 500, seed: 1}
	}
	files, err := b.folder("largest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	b.say("writing %s", p)
	if err := p.write(files); err != nil {
		return err
	}
	arrays := []float64{float64(p.ratings) * ratingBytes}
	for _, name := range []string{"als", "popularity", "ease", "nextitem", "itemknn"} {
		if err := b.trainedBy(name, files, p.String(), arrays); err != nil {
			return fmt.Errorf("training %s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) trainedBy(name, files, data string, arrays []float64) error {
	b.say("training %s", name)
	c, err := b.spawn(childTrain, func(s string) { b.say("  | %s", s) }, name, files)
	if err != nil {
		return err
	}
	defer c.kill()
	if err := c.wait(b.ctx, "has trained", func() bool { return strings.Contains(c.out.tail(), trainedDone) }); err != nil {
		return err
	}
	took := time.Since(c.begun).Seconds()
	peak, err := c.status("VmHWM:")
	if err != nil {
		return err
	}
	b.add(figure{name: fmt.Sprintf("resident at most, %s trained on %s", name, data), unit: mebibytes, ours: []float64{peak}, peer: arrays,
		peerName: "the ratings in an array", aim: atMost(trainedMost)},
		figure{name: "… and the time of that, reading included", unit: seconds, ours: []float64{took}})
	return c.stop()
}

// trainedDone is what a child says that has trained, and waits to be measured and stopped.
const trainedDone = "trained, "

// trainChild trains the recipe that it is given on the data set in the folder that it is given.
func trainChild(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := errors.New("want a recipe and a folder")
	if len(args) == 2 {
		err = train(ctx, args[0], args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-ctx.Done()
	return 0
}

func train(ctx context.Context, name, dir string) error {
	r, err := all.Find(name)
	if err != nil {
		return err
	}
	p, err := r.Parse(nil)
	if err != nil {
		return err
	}
	in, err := readInput(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("read %d ratings\n", len(in.Data.Samples))
	made, err := r.Make(ctx, in, p, recipe.Hooks{NoLoss: true})
	if err != nil {
		return err
	}
	fmt.Printf("%s%d bytes %s\n", trainedDone, len(made.Bytes), made.SHA256[:12])
	return nil
}

// readInput reads a data set twice, line by line: who and what there is, and then the acts, which take what they need and no more.
func readInput(ctx context.Context, dir string) (recipe.Input, error) {
	set, err := dataset.Open(dir)
	if err != nil {
		return recipe.Input{}, err
	}
	defer set.Close() //nolint:errcheck // it was read
	users, items, n := map[string]int32{}, map[string]int32{}, 0
	for x, err := range set.Ratings(ctx, nil) {
		if err != nil {
			return recipe.Input{}, err
		}
		users[x.UserID], items[x.MovieID] = 0, 0
		n++
	}
	d := &ml.Dataset{Users: ranked(users), Items: ranked(items), Samples: make([]ml.Sample, 0, n)}
	for x, err := range set.Ratings(ctx, nil) {
		if err != nil {
			return recipe.Input{}, err
		}
		d.Samples = append(d.Samples, ml.Sample{User: users[x.UserID], Item: items[x.MovieID], Time: x.TimeMillis, Rating: float32(x.Rating)})
	}
	d.Sort()
	in := recipe.Input{Data: d, Signals: make([]meaning.Signal, n), Content: func(string) recipe.Content { return recipe.Content{} }}
	for i := range d.Samples {
		s := &d.Samples[i]
		in.Signals[i] = meaning.Default().Of("rating", float64(s.Rating))
		s.Weight = in.Signals[i].Weight()
	}
	return in, nil
}
