// Command bench measures speed and memory, every figure beside a peer or a limit that is measured in the
// same run, and prints one table. What is measured is the program itself: this binary also runs its
// command line, as a child process, where a figure is one of a server.
//
// Peers are other software that does the same; limits are what the machine itself takes for the least
// that has to be done (a sync, a copy, a request without content). Both take turns with ours, so that a
// busy moment hits both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/cli"
)

// childVariable makes this binary what it says instead of the bench.
const (
	childVariable = "PROJECTIONIST_BENCH_CHILD"
	childServe    = "serve" // the program's command line
	childLimit    = "limit" // a server that does nothing but sync
	childDoor     = "door"  // the embedded log with its door, and nothing else
	childTrain    = "train" // a training, and nothing else
)

func main() {
	switch os.Getenv(childVariable) {
	case childServe:
		os.Exit(cli.Main())
	case childLimit:
		os.Exit(limitServer())
	case childDoor:
		os.Exit(doorServer())
	case childTrain:
		os.Exit(trainChild(os.Args[1:]))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// bench is one run of everything that was asked for.
type bench struct {
	ctx   context.Context
	runs  int
	quick bool
	dir   string // scratch, absolute
	data  string // folder of real data sets
	err   io.Writer
	start time.Time

	group   string // under way
	figures []figure

	cluster cluster  // once started, see kafka
	million struct { // see millionFolder
		dir      string
		resident []float64 // of the process that took the events and trained on them
	}
}

// groups are measured in this order; -only chooses among their names.
var groups = []struct {
	name    string
	what    string
	measure func(*bench) error
}{
	{"append", "durable append of one fact against one fsync", (*bench).appendOne},
	{"writers", "64 writers of single facts against Pebble's group commit", (*bench).appendMany},
	{"import", "bulk import of facts into the log", (*bench).bulkImport},
	{"replay", "replay into all views", (*bench).replay},
	{"topk", "exact top 10 of 27,000 × 64", (*bench).topK},
	{"als", "iALS beside implicit: a sweep's time, and NDCG@10", (*bench).factorise},
	{"neural", "an epoch of neural_cf beside PyTorch", (*bench).neural},
	{"models", "EASE beside numpy, an update of the online model, lists among 27,000 films, training on 25 million ratings", (*bench).models},
	{"click", "click to changed recommendation over HTTP", (*bench).click},
	{"memory", "resident memory of a server", (*bench).memory},
	{"features", "250 features of one entity over HTTP", (*bench).features},
	{"start", "start with ten million events", (*bench).startUp},
	{"ten", "ten million ratings by popularity alone, from a file to lists", (*bench).ten},
	{"feast", "Feast's API and joins beside Feast's own server and stores", (*bench).feast},
	{"tracking", "MLflow's API beside an MLflow server", (*bench).tracking},
	{"workflows", "1,000 workflows scheduled each minute on a running server", (*bench).workflows},
	{"kafka", "the log on Apache Kafka beside bare sarama and franz-go", (*bench).onKafka},
	{"goka", "a fold from Kafka beside goka", (*bench).fold},
	{"door", "the embedded log's Kafka door beside Apache Kafka", (*bench).door},
}

func run(args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	b := &bench{err: errOut, start: time.Now()}
	flags.IntVar(&b.runs, "runs", 5, "how often each figure is measured; its median is shown")
	flags.BoolVar(&b.quick, "quick", false, "one run of smaller sizes: shows that it works, no figure to quote")
	only := flags.String("only", "", "regular expression: measure the groups it matches (see below)")
	markdown := flags.Bool("markdown", false, "print the table in Markdown")
	parent := flags.String("dir", ".", "folder for scratch, on the disk to be measured; some 10 GB for everything")
	flags.StringVar(&b.data, "data", "", "folder that holds ml-latest-small; default $PROJECTIONIST_DATA, else ../shared/data")
	flags.Usage = func() {
		fmt.Fprintln(errOut, "usage: go run ./internal/bench [flags]")
		flags.PrintDefaults()
		fmt.Fprintln(errOut, "\ngroups:")
		for _, g := range groups {
			fmt.Fprintf(errOut, "  %-10s %s\n", g.name, g.what)
		}
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	wanted, err := regexp.Compile(*only)
	if err != nil || b.runs < 1 || flags.NArg() > 0 {
		fmt.Fprintf(errOut, "bench: -only %q, -runs %d and arguments %q: want a regular expression, 1 or more, and none\n", *only, b.runs, flags.Args())
		return 2
	}
	if b.quick {
		b.runs = 1
	}
	if b.data == "" {
		if b.data = os.Getenv("PROJECTIONIST_DATA"); b.data == "" {
			b.data = filepath.Join("..", "shared", "data")
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.ctx = ctx
	if err := b.scratch(*parent); err != nil {
		fmt.Fprintln(errOut, "bench:", err)
		return 1
	}
	defer os.RemoveAll(b.dir)
	defer func() {
		if err := b.cluster.down(); err != nil {
			fmt.Fprintln(errOut, "bench:", err)
		}
	}()
	m, err := b.describeMachine()
	if err != nil {
		fmt.Fprintln(errOut, "bench:", err)
		return 1
	}
	status, measured := 0, 0
	for _, g := range groups {
		if !wanted.MatchString(g.name) || ctx.Err() != nil {
			continue
		}
		measured++
		b.group = g.name
		m.disturbed(g.name)
		b.say("%s", g.what)
		began := time.Now()
		var skip skipped
		if err := g.measure(b); errors.As(err, &skip) && ctx.Err() == nil {
			b.say("SKIPPED, NOT COMPARED: %s", skip.reason)
			b.add(figure{name: g.what, missing: "SKIPPED: " + skip.reason})
		} else if err != nil && ctx.Err() == nil {
			status = 1
			b.say("FAILED: %v", err)
			b.add(figure{name: g.what, missing: fmt.Sprintf("FAILED: %v", err)})
		}
		b.say("done in %.1f s", time.Since(began).Seconds())
		runtime.GC() // what one group leaves behind is not the next one's to collect
	}
	if measured == 0 && ctx.Err() == nil {
		fmt.Fprintf(errOut, "bench: -only %q matches no group\n", *only)
		return 2
	}
	m.print(out, b)
	printTable(out, b.figures, *markdown)
	if ctx.Err() != nil {
		fmt.Fprintln(errOut, "bench: interrupted: the table is not complete")
		return 1
	}
	return status
}

// scratch makes the folder everything is written to. A file in it tells git to leave it alone, should
// the bench be killed.
func (b *bench) scratch(parent string) error {
	dir, err := os.MkdirTemp(parent, ".bench-")
	if err != nil {
		return err
	}
	if b.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, ".gitignore"), []byte("*\n"), 0o644)
}

// folder is a new folder in the scratch.
func (b *bench) folder(name string) (string, error) { return os.MkdirTemp(b.dir, name+"-") }

// say tells of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.err, "%7.1fs  %-9s %s\n", time.Since(b.start).Seconds(), b.group, fmt.Sprintf(format, args...))
}

func (b *bench) add(f ...figure) { b.figures = append(b.figures, f...) }

// size is full, or small where the bench is to be quick.
func (b *bench) size(full, small int) int {
	if b.quick {
		return small
	}
	return full
}

// eachRun measures once per run.
func (b *bench) eachRun(measure func(run int) error) error {
	for r := range b.runs {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		b.say("run %d of %d", r+1, b.runs)
		if err := measure(r); err != nil {
			return err
		}
	}
	return nil
}

// onCores runs fn on at most n cores.
func onCores(n int, fn func() error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	return fn()
}
