package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Datasets is the training sets.
//
//	d id -> Dataset      c -> number of them      s built id -> id      b blob id -> id
type Datasets struct{ r fold.Reader }

// NewDatasets makes the view "datasets".
func NewDatasets() *Datasets { return &Datasets{} }

// Dataset is one training set: a cut of the log, joined point in time.
type Dataset struct {
	events.DatasetBuilt
	fold.Stamp
}

var datasetDocs = fold.Documents[Dataset]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		x, ok := in.Event.Data.(*events.DatasetBuilt)
		if !ok {
			return "", false
		}
		return x.DatasetID, true
	},
	Fold: func(d *Dataset, in *fold.Input) { d.DatasetBuilt = *in.Event.Data.(*events.DatasetBuilt) },
	Index: func(d *Dataset) []fold.Key {
		return []fold.Key{
			fold.Table('s').Millis(d.CreatedMillis).Str(d.DatasetID),
			fold.Table('b').Str(d.Blob).Str(d.DatasetID),
		}
	},
	Stamp: func(d *Dataset) *fold.Stamp { return &d.Stamp },
}

func (*Datasets) Spec() fold.Spec {
	return fold.Spec{Name: "datasets", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Datasets) Open(r fold.Reader) error                 { v.r = r; return nil }
func (*Datasets) Flush(fold.Writer) error                    { return nil }
func (*Datasets) Apply(w fold.Writer, in []fold.Input) error { return datasetDocs.Apply(w, in) }

// Dataset reads one training set.
func (v *Datasets) Dataset(id string) (Dataset, bool, error) { return datasetDocs.Get(v.r, id) }

// ByBlob finds a training set by the SHA-256 of its rows.
func (v *Datasets) ByBlob(blob string) (Dataset, bool, error) {
	return datasetDocs.First(v.r, fold.Table('b').Str(blob))
}

// Count is the number of training sets.
func (v *Datasets) Count() (int64, error) { return datasetDocs.Number(v.r) }

// List pages through the training sets, newest first.
func (v *Datasets) List(q fold.PageQuery) (fold.Page[Dataset], error) {
	return datasetDocs.Paginate(v.r, fold.Table('s'), true, q, nil)
}

// FoldDataset folds what at admits of a "dataset/ID" stream; false when that is nothing.
func FoldDataset(commits iter.Seq2[*streams.Committed, error], at fold.At) (Dataset, bool, error) {
	return datasetDocs.FoldStream(commits, at)
}
