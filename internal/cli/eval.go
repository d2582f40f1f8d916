package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/eval"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// evalCommand judges recipes on a data set, without a server and without a log.
func (p *program) evalCommand() *cobra.Command {
	var e evaluation
	var protocols, algorithms, params []string
	cmd := &cobra.Command{Use: "eval DATA", Short: "Judge every algorithm on a data set, by the protocols of the literature", Args: cobra.ExactArgs(1),
		Long: `Judge every algorithm on a data set (a folder or .zip, as import takes it), beside popularity and other counting.
Neither a server nor a log is needed or touched.

Protocols:
  leave-one-out          each person's last film, ranked among 100 they never met, and among all
  next-item              the same film among all, as of the moment it was met
  time-split             what people liked in the last tenth in time
  strong-generalisation  people who were held out whole, known by four fifths of what they liked
  rating                 ratings, in five folds: RMSE and MAE of those that predict them
  prequential            test, then learn, in time order: the ranking as it is served
  prequential-top        the same of a stream of nothing but top ratings (--top-stars)

Splits that lie beside the ratings are taken as they are: NAME.train.rating, NAME.test.rating and
NAME.test.negative for leave-one-out and next-item, u1.base and u1.test to u5 for rating.

With --trials N the parameters of each algorithm are chosen on a split of the training part alone; without, they
are the declared defaults. The table says which. Intervals are of 95 %, over people. Of equal scores the judged film comes last.
Beside each row stands how much better it is than decayed popularity in the first metric, at the same asks; a star says
that this is beyond doubt, of ten people or more. Rows online:… are counting without a model, ALGORITHM:… a part alone.
The same data, seed and sizes give the same figures, on any number of cores. What is finished when it is
interrupted is in the files.`,
		Example: "  projectionist eval ml-latest-small\n  projectionist eval ml-1m.zip --protocols leave-one-out,next-item --algorithms " + all.Default().Name +
			" --trials 9 --markdown ml-1m.md --json ml-1m.json",
		PreRunE: func(*cobra.Command, []string) error { return e.parse(protocols, algorithms, params) },
		RunE:    p.running(func(ctx context.Context, args []string) error { return p.evaluate(ctx, args[0], &e) })}
	f := cmd.Flags()
	f.StringSliceVar(&protocols, "protocols", eval.Protocols(), "which protocols")
	f.StringSliceVar(&algorithms, "algorithms", algorithmNames(), "which algorithms; counting is always beside them")
	f.StringArrayVar(&params, "param", nil, "a parameter of an algorithm, ALGORITHM:NAME=VALUE, which is then not searched; may be repeated")
	f.Uint64Var(&e.Seed, "seed", 1, "of splits, samples and searches")
	f.IntVar(&e.Trials, "trials", 0, fmt.Sprintf("configurations of each algorithm to try on validation, at most %d; below 2 the defaults are taken", recipe.TrialsMax))
	f.IntVar(&e.People, "people", 10_000, "people who are asked, at most; 0: everybody")
	f.IntVar(&e.Moments, "moments", 4_000, "moments that are judged of a prequential protocol, at most; 0: every one")
	f.Float64Var(&e.TopStars, "top-stars", 5, "from which ratings are in the stream of prequential-top")
	f.DurationVar(&e.most, "time", 0, "after which no further training begins, such as 2h; 0: no bound")
	f.IntVar(&e.cores, "cores", runtime.NumCPU(), "how many processors to use")
	f.StringVar(&e.markdown, "markdown", "", "write the tables to this file, too")
	f.StringVar(&e.json, "json", "", "write all rows to this file, too")
	f.StringToStringVar(&e.columns, "columns", nil, "of a csv file: user=…,item=…,rating=…,time=…, names or numbers")
	f.Int64Var(&e.badRows, "bad-rows", 0, "lines that cannot be read and are passed over")
	return cmd
}

// algorithmNames are those of all recipes.
func algorithmNames() []string {
	var list []string
	for _, r := range all.Recipes() {
		list = append(list, r.Name)
	}
	return list
}

// evaluation is what to judge, and where to write it.
type evaluation struct {
	eval.Options
	cores          int
	most           time.Duration
	markdown, json string
	columns        map[string]string
	badRows        int64

	about about
	rows  []eval.Row
}

// about says what was judged.
type about struct {
	Data    string   `json:"data"`
	Layout  string   `json:"layout"`
	People  int      `json:"people"`
	Films   int      `json:"films"`
	Ratings int      `json:"ratings"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Splits  []string `json:"splits,omitempty"` // that came with it
	BadRows int64    `json:"bad_rows,omitempty"`
}

func (e *evaluation) parse(protocols, algorithms, params []string) error {
	for _, name := range protocols {
		if !slices.Contains(eval.Protocols(), name) {
			return fmt.Errorf("--protocols: there is no %q; want some of %s", name, strings.Join(eval.Protocols(), ", "))
		}
	}
	e.Protocols = protocols
	for _, name := range algorithms {
		r, err := all.Find(name)
		if err != nil || name == "" {
			return fmt.Errorf("--algorithms: there is no %q; want some of %s", name, strings.Join(algorithmNames(), ", "))
		}
		if !slices.Contains(e.Recipes, r) {
			e.Recipes = append(e.Recipes, r)
		}
	}
	e.Params = map[string]map[string]string{}
	for _, text := range params {
		algorithm, kv, ok := strings.Cut(text, ":")
		name, value, both := strings.Cut(kv, "=")
		if !ok || !both || name == "" {
			return fmt.Errorf("--param: %q: want ALGORITHM:NAME=VALUE", text)
		}
		r, err := all.Find(algorithm)
		if err != nil || !slices.Contains(e.Recipes, r) {
			return fmt.Errorf("--param: %q: %q is none of the algorithms that are judged", text, algorithm)
		}
		if e.Params[r.Name] == nil {
			e.Params[r.Name] = map[string]string{}
		}
		e.Params[r.Name][name] = value
	}
	for _, r := range e.Recipes { // all of one's together: some go only with others
		if _, err := r.Parse(e.Params[r.Name]); err != nil {
			return fmt.Errorf("--param: %w", err)
		}
	}
	for _, n := range []struct {
		flag        string
		value, most int
	}{{"trials", e.Trials, recipe.TrialsMax}, {"people", e.People, 1 << 30}, {"moments", e.Moments, 1 << 30}} {
		if n.value < 0 || n.value > n.most {
			return fmt.Errorf("--%s is %d: want 0 to %d", n.flag, n.value, n.most)
		}
	}
	switch {
	case e.cores < 1 || e.cores > 4096:
		return fmt.Errorf("--cores is %d: want 1 to 4096", e.cores)
	case !(e.TopStars > 0 && e.TopStars <= 5):
		return fmt.Errorf("--top-stars is %v: want above 0, at most 5", e.TopStars)
	case e.most < 0:
		return fmt.Errorf("--time is %s: want 0 or more", e.most)
	case e.badRows < 0:
		return fmt.Errorf("--bad-rows is %d: want 0 or more", e.badRows)
	}
	return nil
}

func (p *program) evaluate(ctx context.Context, path string, e *evaluation) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(e.cores))
	for _, file := range []string{e.markdown, e.json} { // before hours of work
		if file == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return fmt.Errorf("cannot write %s: %s is no folder", file, filepath.Dir(file))
		}
	}
	bar := &bar{out: p.err, terminal: isTerminal(p.err), now: time.Now}
	defer bar.end()
	d, err := e.read(ctx, path, func(at dataset.Progress) { bar.show("reading", at.BytesRead, at.BytesTotal) })
	if err != nil {
		return err
	}
	bar.end()
	p.announce(e, d)
	if err := e.write(false); err != nil {
		return err
	}
	t := &evalTable{out: p.out}
	e.Row = func(row eval.Row) error {
		bar.end()
		e.rows = append(e.rows, row)
		t.add(&row)
		return e.write(false)
	}
	e.Progress = func(protocol, algorithm, stage string, done, of int) {
		if algorithm == "" {
			algorithm = recipe.SourceOnline
		}
		bar.show(protocol+" "+algorithm+" "+stage, int64(done), int64(of))
	}
	e.Measure = measure
	if e.most > 0 {
		end := time.Now().Add(e.most)
		e.Over = func() bool { return time.Now().After(end) }
	}
	err = eval.Run(ctx, d, e.Options)
	bar.end()
	t.end()
	if ctx.Err() != nil {
		fmt.Fprintf(p.err, "%s finished%s\n", count(int64(len(e.rows)), "row"), e.where())
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return e.write(true)
}

// where says which files have the rows.
func (e *evaluation) where() string {
	var files []string
	for _, f := range []string{e.markdown, e.json} {
		if f != "" {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return ""
	}
	return ", in " + strings.Join(files, " and ")
}

// open opens a data set, a csv file of one's own, or a folder of splits.
func (e *evaluation) open(path string) (*dataset.Set, error) {
	if len(e.columns) > 0 {
		c := dataset.Columns{User: e.columns["user"], Item: e.columns["item"], Rating: e.columns["rating"], Time: e.columns["time"]}
		return dataset.OpenCSV(path, c)
	}
	set, err := dataset.Open(path)
	if err == nil {
		return set, nil
	}
	if splits, other := dataset.OpenBenchmarks(path); other == nil {
		return splits, nil
	}
	return nil, fault.Wrap(fault.Invalid, err, "cannot judge on %s", path).(*fault.Error).
		WithHint("give a MovieLens or MovieTweetings folder, or its .zip; of a csv file of your own say --columns")
}

// read brings the data set into memory.
func (e *evaluation) read(ctx context.Context, path string, progress func(dataset.Progress)) (*eval.Data, error) {
	set, err := e.open(path)
	if err != nil {
		return nil, err
	}
	defer set.Close() //nolint:errcheck // it was read
	var b eval.Builder
	content := map[string]recipe.Content{}
	passed := func(err error) error {
		var bad *dataset.LineError
		if !errors.As(err, &bad) || bad.Text == nil {
			return err
		}
		if e.about.BadRows++; e.about.BadRows > e.badRows {
			return fmt.Errorf("%w (--bad-rows %d passes over so many lines)", err, e.about.BadRows)
		}
		return nil
	}
	act := func(r dataset.Rating) eval.Act {
		return eval.Act{User: r.UserID, Item: r.MovieID, TimeMillis: r.TimeMillis, Stars: r.Rating}
	}
	if set.Layout != dataset.LayoutBenchmark {
		for m, err := range set.Movies(ctx) {
			if err != nil {
				if err := passed(err); err != nil {
					return nil, err
				}
				continue
			}
			content[m.ID] = recipe.Content{Genres: m.Genres, Year: m.Year}
		}
		for r, err := range set.Ratings(ctx, progress) {
			if err != nil {
				if err := passed(err); err != nil {
					return nil, err
				}
				continue
			}
			b.Add(act(r))
		}
	}
	splits, err := set.Benchmarks()
	if err != nil {
		return nil, err
	}
	for i := range splits {
		s := &splits[i]
		train, err := s.Train(ctx)
		if err != nil {
			return nil, err
		}
		test, err := s.Test(ctx)
		if err != nil {
			return nil, err
		}
		negatives := map[string][]string{}
		if s.HasNegatives {
			if negatives, err = s.Negatives(ctx); err != nil {
				return nil, err
			}
		}
		if s.Folds {
			negatives = nil
		}
		b.Give(s.Name, acts(train, act), acts(test, act), negatives)
		e.about.Splits = append(e.about.Splits, s.Name)
	}
	d := b.Data(func(id string) recipe.Content { return content[id] })
	if len(d.Acts) == 0 {
		return nil, fault.New(fault.Invalid, "%s holds no ratings", path)
	}
	moment := func(s int64) string { return time.UnixMilli(s).UTC().Format(time.DateOnly) }
	e.about.Data, e.about.Layout = set.Name, string(set.Layout)
	e.about.People, e.about.Films, e.about.Ratings = len(d.Users), len(d.Items), len(d.Acts)
	e.about.From, e.about.To = moment(d.Acts[0].Time), moment(d.Acts[len(d.Acts)-1].Time)
	return d, nil
}

func acts(ratings []dataset.Rating, of func(dataset.Rating) eval.Act) []eval.Act {
	list := make([]eval.Act, len(ratings))
	for i, r := range ratings {
		list[i] = of(r)
	}
	return list
}

// announce says what is about to be done.
func (p *program) announce(e *evaluation, d *eval.Data) {
	a := &e.about
	fmt.Fprintf(p.out, "%s (%s): %s, %s films, %s ratings, %s to %s\n", oneLine(a.Data), a.Layout, people(int64(a.People)), thousands(int64(a.Films)),
		thousands(int64(a.Ratings)), a.From, a.To)
	if a.BadRows > 0 {
		fmt.Fprintf(p.out, "%s could not be read and are left out\n", count(a.BadRows, "line"))
	}
	if len(a.Splits) > 0 {
		fmt.Fprintf(p.out, "splits that came with it: %s\n", strings.Join(a.Splits, ", "))
	}
	var algorithms []string
	for _, r := range e.Recipes {
		algorithms = append(algorithms, r.Name)
	}
	from := "declared defaults"
	if e.Trials > 1 {
		from = fmt.Sprintf("chosen on validation inside each training part, of %d trials", e.Trials)
	}
	fmt.Fprintf(p.out, "%s by %s\nparameters: %s; seed %d; %s; %s\n", strings.Join(algorithms, ", "), strings.Join(e.Protocols, ", "), from, e.Seed,
		count(int64(e.cores), "core"), count(int64(eval.Trainings(d, &e.Options)), "training"))
}
