package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Datasets is the training sets.
//
//	d id -> Dataset      c -> number of them      s built id -> id      b blob id -> id
type Datasets struct{ r Reader }

// NewDatasets makes the view "datasets".
func NewDatasets() *Datasets { return &Datasets{} }

// Dataset is one training set: a cut of the log, joined point in time.
type Dataset struct {
	events.DatasetBuilt
	Stamp
}

var datasetDocs = docs[Dataset]{
	table: 'd', count: 'c',
	id: func(in *Input) (string, bool) {
		x, ok := in.Event.Data.(*events.DatasetBuilt)
		if !ok {
			return "", false
		}
		return x.DatasetID, true
	},
	fold: func(d *Dataset, in *Input) { d.DatasetBuilt = *in.Event.Data.(*events.DatasetBuilt) },
	index: func(d *Dataset) []Key {
		return []Key{
			Table('s').Millis(d.CreatedMillis).Str(d.DatasetID),
			Table('b').Str(d.Blob).Str(d.DatasetID),
		}
	},
	stamp: func(d *Dataset) *Stamp { return &d.Stamp },
}

func (*Datasets) Spec() Spec {
	return Spec{Name: "datasets", Format: 1, Topics: ledgerTopics, Indexed: true}
}

func (v *Datasets) Open(r Reader) error            { v.r = r; return nil }
func (*Datasets) Flush(Writer) error               { return nil }
func (*Datasets) Apply(w Writer, in []Input) error { return datasetDocs.apply(w, in) }

// Dataset reads one training set.
func (v *Datasets) Dataset(id string) (Dataset, bool, error) { return datasetDocs.get(v.r, id) }

// ByBlob finds a training set by the SHA-256 of its rows.
func (v *Datasets) ByBlob(blob string) (Dataset, bool, error) {
	return datasetDocs.first(v.r, Table('b').Str(blob))
}

// Count is the number of training sets.
func (v *Datasets) Count() (int64, error) { return datasetDocs.number(v.r) }

// List pages through the training sets, newest first.
func (v *Datasets) List(q PageQuery) (Page[Dataset], error) {
	return datasetDocs.page(v.r, Table('s'), true, q, nil)
}

// FoldDataset folds what at admits of a "dataset/ID" stream; false when that is nothing.
func FoldDataset(commits iter.Seq2[*streams.Committed, error], at At) (Dataset, bool, error) {
	return datasetDocs.foldStream(commits, at)
}
