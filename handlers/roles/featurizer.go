package roles

import (
	"context"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// rowsMax bounds the point-in-time rows of a training set: enough for the small neural baseline, and
// seconds to join.
const rowsMax = 20_000

const nameFeaturizer = "featurizer"

// featurizer builds training sets.
func (c *Config) featurizer() react.Role {
	return react.Role{Name: nameFeaturizer, Tasks: map[string]react.TaskFunc{opDataset: c.task(prepareTrainingData), opFeatures: c.task(readyFeatures)}}
}

// prepareTrainingData pins what the run trains on: the head of the log when the task first starts, kept
// as the task's checkpoint so that every later try has the same. Without feature definitions in force it
// puts the ones the program comes with in force before.
func prepareTrainingData(ctx context.Context, w *job) (map[string]string, error) {
	cut, err := w.pin(ctx)
	if err != nil {
		return nil, err
	}
	set, err := w.cfg.Sets.LoadActs(ctx, w.cfg.Log, cut, w.reading)
	if err != nil {
		return nil, err
	}
	d, blob, size, err := w.buildDataset(ctx, set)
	if err != nil {
		return nil, err
	}
	c := &commands.RecordDataset{DatasetID: react.HashID("dataset", d.Cut, d.FeaturesHash), Cut: d.Cut, FeaturesHash: d.FeaturesHash, Blob: blob,
		Users: len(d.Users), Items: len(d.Items), Interactions: len(d.Samples), Rows: len(d.Rows)}
	// The id is part of the step: a try on another node may not have the cut that an earlier one pinned.
	if _, err := w.Dispatch(ctx, "record_dataset/"+c.DatasetID, c); err != nil {
		return nil, err
	}
	return map[string]string{"dataset_id": c.DatasetID, "cut": d.Cut, "features_hash": d.FeaturesHash, "blob": blob,
		"bytes": strconv.FormatInt(size, 10), "users": strconv.Itoa(c.Users), "items": strconv.Itoa(c.Items),
		"interactions": strconv.Itoa(c.Interactions), "rows": strconv.Itoa(c.Rows)}, nil
}

// buildDataset makes the training set of a snapshot, which has its acts, and keeps it as a blob.
func (w *job) buildDataset(ctx context.Context, set *trainset.Set) (d *dataset, blob string, size int64, err error) {
	d = newDataset(set)
	if err := w.reader().join(ctx, set, d); err != nil {
		return nil, "", 0, err
	}
	w.Progress("write the training set", 0, 0)
	blob, size, err = w.PutBlob(ctx, d.encode())
	return d, blob, size, err
}

// dataset is the training set of a snapshot that an earlier task has kept as a blob. One that was kept on
// a node which is gone is made again from the log, to the same bytes.
func (w *job) dataset(ctx context.Context, set *trainset.Set, blob string) (*dataset, error) {
	raw, err := w.Blob(ctx, blob)
	if err == nil {
		return decodeDataset(raw, len(set.Data.Samples))
	}
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	w.Log().Info("making the training set again, which no node has", "workflow_run", w.RunID(), "blob", blob)
	if set, err = w.cfg.Sets.LoadActs(ctx, w.cfg.Log, set.Cut, w.reading); err != nil {
		return nil, err
	}
	d, again, _, err := w.buildDataset(ctx, set)
	if err == nil && again != blob {
		err = fault.New(fault.Corrupt, "the training set was made again as %s, not as %s", again, blob).WithHint("request a new run")
	}
	return d, err
}

// pin gives the run's cut: that of an earlier try, or the log's head now.
func (w *job) pin(ctx context.Context) (streams.Cut, error) {
	pinned, err := w.Resume(ctx)
	if err != nil {
		return nil, err
	}
	if pinned != nil {
		return streams.ParseCut(string(pinned))
	}
	definitions, err := features.Parse([]byte(features.DefaultYAML()))
	if err != nil {
		return nil, err
	}
	err = w.Create(ctx, "define_features", &commands.DefineFeatures{Definitions: features.DefaultYAML(), Hash: definitions.Hash()})
	if err != nil {
		return nil, err
	}
	cut, err := fold.HeadCut(ctx, w.cfg.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	return cut, w.Save(ctx, []byte(cut.String()))
}

// reader reads the log for a task, or for somebody who waits.
type reader struct {
	cfg      *Config
	Progress func(stage string, done, of int64)
}

func (w *job) reader() reader { return reader{w.cfg, w.Progress} }

// join adds to the training set the features that person and film had just before each of the newest
// ratings, as the definitions in force at the cut say.
func (w reader) join(ctx context.Context, set *trainset.Set, d *dataset) error {
	for i := len(d.Samples) - 1; i >= 0 && len(d.Rows) < rowsMax; i-- {
		if d.Signals[i].RatingCenti() > 0 {
			d.Rows = append(d.Rows, datasetRow{Sample: i})
		}
	}
	if len(d.Rows) == 0 {
		return nil
	}
	slices.Reverse(d.Rows)

	inForce, ok, err := projections.FoldDefinitions(w.cfg.Log.Ledger().ReadStream(ctx, "features/definitions", 0), fold.At{Cut: set.Cut})
	if err != nil {
		return err
	}
	if !ok || inForce.Hash != set.FeaturesHash {
		return fault.New(fault.Internal, "the definitions at the cut have hash %q; the log says %q", inForce.Hash, set.FeaturesHash)
	}
	definitions, err := features.Parse([]byte(inForce.Definitions))
	if err != nil {
		return err
	}
	var refs []string
	for _, v := range definitions.Views {
		refs = append(refs, v.Name)
	}
	selection, err := definitions.Select(refs, true)
	if err != nil {
		return err
	}
	rows := make([]features.Row, len(d.Rows))
	for i, r := range d.Rows {
		s := d.Samples[r.Sample]
		rows[i] = features.Row{UserID: d.Users[s.User], MovieID: d.Items[s.Item], TimeMillis: s.Time}
	}
	facts, read := factsOf(set, d.Rows), int64(0)
	join := features.Join{Selection: selection, Catalogue: catalogueOf(set), People: peopleOf(set), Exclusive: true,
		Facts: func(entity features.Entity, id string) iter.Seq2[features.Fact, error] {
			w.Progress("join features", read, 0)
			read++
			return facts.of(ctx, entity, id)
		}}
	columns, err := join.Historical(rows)
	if err != nil {
		return err
	}
	for c := range columns {
		column := &columns[c]
		if column.Type != features.Float64 && column.Type != features.Int64 {
			continue
		}
		d.Features = append(d.Features, column.Name)
		for i := range d.Rows {
			v := column.Value(i)
			x, _ := v.Number() // absent is 0: the person or film was new
			if math.IsInf(float64(float32(x)), 0) {
				return fault.New(fault.Invalid, "feature %s is %v in a row: too large for training", column.Name, x)
			}
			d.Rows[i].Values = append(d.Rows[i].Values, float32(x))
		}
	}
	return nil
}

// peopleOf is what the log says of people up to the snapshot's cut.
func peopleOf(set *trainset.Set) features.People {
	return func(id string) (all []features.Said) {
		for _, d := range set.People[id] {
			since, _ := d.SinceMillis() // the snapshot has none that cannot be read
			all = append(all, features.Said{SinceMillis: since, User: d.User})
		}
		return all
	}
}

// catalogueOf is what the log says of films up to the snapshot's cut.
func catalogueOf(set *trainset.Set) features.Catalogue {
	known := make(map[string]*features.Attributes, len(set.Movies))
	for id, m := range set.Movies {
		known[id] = &features.Attributes{Title: m.Title, Year: m.Year, Genres: m.Genres, Language: m.Language, RuntimeMinutes: m.RuntimeMinutes}
	}
	return func(id string) *features.Attributes { return known[id] }
}

// rowFacts are what was done by the people and with the films that rows are of.
type rowFacts struct {
	set           *trainset.Set
	users, movies grouped
}

// grouped are samples by person or by film, in order of time: those of entity e stand in list from start[e] on.
type grouped struct{ start, list []int32 }

func factsOf(set *trainset.Set, rows []datasetRow) *rowFacts {
	data := set.Data
	people, films := make([]bool, len(data.Users)), make([]bool, len(data.Items))
	for _, r := range rows {
		people[data.Samples[r.Sample].User], films[data.Samples[r.Sample].Item] = true, true
	}
	return &rowFacts{set, group(people, data.Samples, func(s *ml.Sample) int32 { return s.User }),
		group(films, data.Samples, func(s *ml.Sample) int32 { return s.Item })}
}

// group groups the samples of the entities that are wanted.
func group(wanted []bool, samples []ml.Sample, of func(*ml.Sample) int32) grouped {
	g := grouped{start: make([]int32, len(wanted)+1)}
	for i := range samples {
		if e := of(&samples[i]); wanted[e] {
			g.start[e+1]++
		}
	}
	for e := range wanted {
		g.start[e+1] += g.start[e]
	}
	g.list = make([]int32, g.start[len(wanted)])
	next := slices.Clone(g.start)
	for i := range samples {
		if e := of(&samples[i]); wanted[e] {
			g.list[next[e]] = int32(i)
			next[e]++
		}
	}
	return g
}

// of gives the facts of one of the entities in order of time.
func (f *rowFacts) of(ctx context.Context, entity features.Entity, id string) iter.Seq2[features.Fact, error] {
	names, by := f.set.Data.Users, &f.users
	if entity == features.Movie {
		names, by = f.set.Data.Items, &f.movies
	}
	return func(yield func(features.Fact, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(features.Fact{}, err)
			return
		}
		e, ok := slices.BinarySearch(names, id)
		if !ok {
			return
		}
		for _, i := range by.list[by.start[e]:by.start[e+1]] {
			s := &f.set.Data.Samples[i]
			other := f.set.Data.Items[s.Item]
			if entity == features.Movie {
				other = f.set.Data.Users[s.User]
			}
			if !yield(features.Fact{TimeMillis: s.Time, Other: other, Kind: f.set.Acts.Kind(int(i)), Rating: f.set.Acts.Rating(int(i))}, nil) {
				return
			}
		}
	}
}
