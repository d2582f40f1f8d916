package featurestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// chunkValues is how many values of rows are joined at once: each entity's history is folded once for them, and
	// they take some 5 bytes each on the disk. With a hundred features that is 2.7 million rows.
	chunkValues = 1 << 28
	// keysMemory and valuesMemory are what the sorting of a chunk takes before it goes to the disk.
	keysMemory   = 16 << 20
	valuesMemory = 32 << 20
	// checkEvery is after how many rows or facts it is asked whether anybody still waits.
	checkEvery = 1024
)

// Historical is a point-in-time join: for every row the selected features as they were at its own time.
type Historical struct {
	Selection *features.Selection
	At        fold.At // what was known
	AtRow     bool    // leave out what was recorded after a row's own time
	Exclusive bool    // look back to just before a row's time
	Scratch   string  // folder for what does not fit memory; made when missing

	chunkValues, keysMemory, valuesMemory int // 0: as above
}

// Historical joins any number of rows, in memory that does not depend on it, and yields the values of each in the
// order of rows, valid until the next. An error is the last that it yields; that of ctx among them.
//
// Rows are sorted by entity, so that a history is folded once, and the values sorted back into the order of rows.
func (f *Store) Historical(ctx context.Context, h Historical, rows iter.Seq2[features.Row, error]) iter.Seq2[[]features.Value, error] {
	return func(yield func([]features.Value, error) bool) {
		j := &joining{h: h, ctx: ctx}
		known := fold.At{RecordedMillis: h.At.RecordedMillis, Cut: h.At.Cut}
		j.one = features.Join{Selection: h.Selection, KnownAtRow: h.AtRow, Exclusive: h.Exclusive, Facts: j.facts(f),
			Catalogue: f.catalogueAt(ctx, known, &j.failed), People: f.peopleAt(known, &j.failed)}
		defer j.close() //nolint:errcheck // scratch is emptied at start
		err := j.chunks(rows, yield)
		if err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// errStopped says that nobody wants more values.
var errStopped = errors.New("stopped")

// joining is a join under way.
type joining struct {
	h      Historical
	one    features.Join // of an entity
	ctx    context.Context
	failed error // of the catalogue, or of what is said of people

	// Of the chunk: its rows by entity and time, and their values by row.
	rows       int
	lastMillis int64
	keys       [2]*spill.Sorter // by entity, as in entities
	values     *spill.Sorter
	record     []byte
}

var entities = [2]features.Entity{features.User, features.Movie}

func (j *joining) facts(f *Store) func(features.Entity, string) iter.Seq2[features.Fact, error] {
	return func(e features.Entity, id string) iter.Seq2[features.Fact, error] {
		return func(yield func(features.Fact, error) bool) {
			n := 0
			for fact, err := range f.facts(e, id, j.h.At) {
				if n++; n%checkEvery == 0 && err == nil {
					err = j.ctx.Err()
				}
				if !yield(fact, err) || err != nil {
					return
				}
			}
		}
	}
}

func (j *joining) chunks(rows iter.Seq2[features.Row, error], yield func([]features.Value, error) bool) error {
	size := max(1, cmp.Or(j.h.chunkValues, chunkValues)/len(j.h.Selection.Names()))
	j.begin()
	for row, err := range rows {
		if err == nil {
			err = j.add(&row)
		}
		if err == nil && j.rows == size {
			err = j.join(yield)
		}
		if err != nil {
			return err
		}
	}
	if j.rows == 0 {
		return nil
	}
	return j.join(yield)
}

func (j *joining) begin() {
	j.rows, j.lastMillis = 0, math.MinInt64
	for i, e := range entities {
		if j.h.Selection.Needs(e) {
			j.keys[i] = spill.NewSorter(j.h.Scratch, cmp.Or(j.h.keysMemory, keysMemory))
		}
	}
	j.values = spill.NewSorter(j.h.Scratch, cmp.Or(j.h.valuesMemory, valuesMemory))
}

func (j *joining) close() (err error) {
	for _, s := range []*spill.Sorter{j.keys[0], j.keys[1], j.values} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// add takes a row's keys: the entity's id and a zero byte, which no id has, its time and its number, each ordered as
// its bytes are.
func (j *joining) add(row *features.Row) error {
	if j.rows%checkEvery == 0 {
		if err := j.ctx.Err(); err != nil {
			return err
		}
	}
	for i, id := range []string{row.UserID, row.MovieID} {
		if j.keys[i] == nil || id == "" { // nobody's: of whom nothing is known
			continue
		}
		if strings.IndexByte(id, 0) >= 0 {
			return fault.New(fault.Invalid, "an id of a %s holds a zero byte", entities[i])
		}
		b := append(append(j.record[:0], id...), 0)
		b = binary.BigEndian.AppendUint64(b, uint64(row.TimeMillis)^1<<63)
		j.record = binary.BigEndian.AppendUint32(b, uint32(j.rows))
		if err := j.keys[i].Add(j.record); err != nil {
			return err
		}
	}
	j.lastMillis = max(j.lastMillis, row.TimeMillis)
	j.rows++
	return nil
}

const keyTail = 1 + 8 + 4 // what follows the id

// join joins the chunk, yields its values, and begins the next.
func (j *joining) join(yield func([]features.Value, error) bool) error {
	for i, e := range entities {
		if j.keys[i] == nil {
			continue
		}
		if err := j.sweep(e, j.keys[i]); err != nil {
			return err
		}
		if err := j.keys[i].Close(); err != nil {
			return err
		}
	}
	if err := cmp.Or(j.failed, j.ctx.Err()); err != nil {
		return err
	}
	if err := j.give(yield); err != nil {
		return err
	}
	if err := j.close(); err != nil {
		return err
	}
	j.begin()
	return nil
}

// sweep reads the features of all rows of one kind of entity.
func (j *joining) sweep(e features.Entity, keys *spill.Sorter) error {
	key, err := keys.Next()
	for err == nil {
		id, row := string(key[:len(key)-keyTail]), uint32(0)
		next := func() (int64, bool, error) {
			if err != nil || len(key)-keyTail != len(id) || string(key[:len(id)]) != id {
				return 0, false, nil // another entity's, or none
			}
			tail := key[len(id)+1:]
			millis := int64(binary.BigEndian.Uint64(tail) ^ 1<<63)
			row = binary.BigEndian.Uint32(tail[8:])
			return millis, true, nil
		}
		emit := func(values []features.Value) error {
			j.record = append(binary.BigEndian.AppendUint32(j.record[:0], row), e[0])
			for i := range values {
				j.record = appendValue(j.record, &values[i])
			}
			if row%checkEvery == 0 {
				if err := j.ctx.Err(); err != nil {
					return err
				}
			}
			if err := j.values.Add(j.record); err != nil {
				return err
			}
			key, err = keys.Next()
			return nil
		}
		if err := j.one.Sweep(e, id, j.lastMillis, next, emit); err != nil {
			return err
		}
		if err == nil {
			err = cmp.Or(j.failed, j.ctx.Err())
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// give yields the values of the chunk's rows in order.
func (j *joining) give(yield func([]features.Value, error) bool) error {
	unknown := j.h.Selection.Unknown()
	values := make([]features.Value, len(unknown))
	places := map[byte][]int{}
	for _, e := range entities {
		places[e[0]] = j.h.Selection.Columns(e)
	}
	record, err := j.values.Next()
	for row := range j.rows {
		copy(values, unknown)
		for err == nil && binary.BigEndian.Uint32(record) == uint32(row) {
			b := record[5:]
			for _, place := range places[record[4]] {
				b = readValue(b, &values[place])
			}
			record, err = j.values.Next()
		}
		if err != nil && err != io.EOF {
			return err
		}
		if row%checkEvery == 0 {
			if err := j.ctx.Err(); err != nil {
				return err
			}
		}
		if !yield(values, nil) {
			return errStopped
		}
	}
	return nil
}

// A value in a scratch file is a byte of its status and what of it follows, then that. Numbers are varints where they
// are whole, which most are.
const (
	storedAbsent = iota << 2
	storedWhole
	storedFloat
	storedText
	storedList
	storedStatus = 1<<2 - 1
)

func appendValue(dst []byte, v *features.Value) []byte {
	if v.Status != features.Present {
		return append(dst, storedAbsent|byte(v.Status))
	}
	switch v.Type {
	case features.Int64:
		return binary.AppendVarint(append(dst, storedWhole), v.Int)
	case features.Float64:
		if whole := int64(v.Float); float64(whole) == v.Float && whole != 0 && whole > -1<<53 && whole < 1<<53 { // 0 may be -0
			return binary.AppendVarint(append(dst, storedWhole), whole)
		}
		return binary.LittleEndian.AppendUint64(append(dst, storedFloat), math.Float64bits(v.Float))
	case features.String:
		return append(binary.AppendUvarint(append(dst, storedText), uint64(len(v.Str))), v.Str...)
	}
	dst = binary.AppendUvarint(append(dst, storedList), uint64(len(v.List)))
	for _, s := range v.List {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return dst
}

// readValue reads what appendValue wrote, into a value of its type that is empty, and returns what follows.
func readValue(b []byte, v *features.Value) []byte {
	form := b[0]
	v.Status, b = features.Status(form&storedStatus), b[1:]
	text := func() string {
		n, size := binary.Uvarint(b)
		s := string(b[size : size+int(n)])
		b = b[size+int(n):]
		return s
	}
	switch form &^ storedStatus {
	case storedWhole:
		n, size := binary.Varint(b)
		if b = b[size:]; v.Type == features.Int64 {
			v.Int = n
		} else {
			v.Float = float64(n)
		}
	case storedFloat:
		v.Float = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
	case storedText:
		v.Str = text()
	case storedList:
		n, size := binary.Uvarint(b)
		b = b[size:]
		v.List = make([]string, n)
		for i := range v.List {
			v.List[i] = text()
		}
	}
	return b
}
