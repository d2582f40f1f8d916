package roles

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/trainset"
)

// dataset is a training set as it is kept in a blob: every interaction up to a cut, in order of time,
// and point-in-time feature rows of the newest ratings. The same set always has the same bytes:
//
//	magic     "PROJDATA" and the format, 2
//	cut, features hash                      text: uvarint length, bytes
//	users, items, features                  uvarint number, texts
//	samples   uvarint number; each: varint time less the one before (milliseconds), uvarint user, item, signal
//	rows      uvarint number; each: uvarint sample, float32 of every feature, little-endian
//	crc       CRC-32C of all before, little-endian
type dataset struct {
	Cut, FeaturesHash string
	Users, Items      []string
	Samples           []ml.Sample     // the set's own; nil of one that was read from its blob
	Signals           []signal.Signal // of Samples
	Features          []string
	Rows              []datasetRow
}

type datasetRow struct {
	Sample int       // whose features, just before it
	Values []float32 // by dataset.Features
}

const datasetMagic = "PROJDATA\x02"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newDataset(s *trainset.Set) *dataset {
	return &dataset{Cut: s.Cut.String(), FeaturesHash: s.FeaturesHash, Users: s.Data.Users, Items: s.Data.Items,
		Samples: s.Data.Samples, Signals: s.Signals}
}

// columns are those of its rows: features, and the rating they stood before.
func (d *dataset) columns() []column {
	return slices.Concat(columnsOf("float", d.Features...), columnsOf("double", "rating"))
}

// sampleBytes is about how many a sample takes.
const sampleBytes = 14

func (d *dataset) encode() []byte {
	b := append(make([]byte, 0, sampleBytes*len(d.Samples)), datasetMagic...)
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(d.Cut)
	text(d.FeaturesHash)
	for _, list := range [][]string{d.Users, d.Items, d.Features} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			text(s)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(d.Samples)))
	before := int64(0)
	for i := range d.Samples {
		s := &d.Samples[i]
		b = binary.AppendVarint(b, s.Time-before)
		b = binary.AppendUvarint(b, uint64(s.User))
		b = binary.AppendUvarint(b, uint64(s.Item))
		b = binary.AppendUvarint(b, uint64(d.Signals[i]))
		before = s.Time
	}
	b = binary.AppendUvarint(b, uint64(len(d.Rows)))
	for _, r := range d.Rows {
		b = binary.AppendUvarint(b, uint64(r.Sample))
		for _, v := range r.Values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeDataset reads what encode wrote of a set with so many samples, but for the samples, which the set has; anything
// else is fault.Corrupt.
func decodeDataset(b []byte, samples int) (*dataset, error) {
	corrupt := fault.New(fault.Corrupt, "the blob is no training set, or a damaged one")
	n := len(b) - 4
	if n < len(datasetMagic) || !bytes.HasPrefix(b, []byte(datasetMagic)) || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, corrupt
	}
	r := datasetReader{b: b[len(datasetMagic):n]}
	d := &dataset{Cut: r.text(), FeaturesHash: r.text(), Users: r.texts(), Items: r.texts(), Features: r.texts()}
	if r.count(4) != samples {
		return nil, corrupt
	}
	for range samples {
		r.varint()
		r.below(len(d.Users))
		r.below(len(d.Items))
		r.below(1 << 32)
	}
	d.Rows = make([]datasetRow, r.count(1+4*len(d.Features)))
	for i := range d.Rows {
		d.Rows[i] = datasetRow{r.below(samples), r.floats(len(d.Features))}
	}
	if r.bad || len(r.b) > 0 {
		return nil, corrupt
	}
	return d, nil
}

// datasetReader reads pieces; after a wrong one it gives zeros.
type datasetReader struct {
	b   []byte
	bad bool
}

func (r *datasetReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *datasetReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// below reads a number that must be less than n.
func (r *datasetReader) below(n int) int {
	v := r.uvarint()
	if v >= uint64(n) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(v)
}

// count reads how many things of at least so many bytes follow.
func (r *datasetReader) count(bytesMin int) int {
	v := r.uvarint()
	if v > uint64(len(r.b)/bytesMin) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(v)
}

func (r *datasetReader) text() string {
	n := r.count(1)
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *datasetReader) texts() []string {
	list := make([]string, r.count(1))
	for i := range list {
		list[i] = r.text()
	}
	return list
}

func (r *datasetReader) floats(n int) []float32 {
	if len(r.b) < 4*n {
		r.b, r.bad = nil, true
		return nil
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.b[4*i:]))
	}
	r.b = r.b[4*n:]
	return v
}
