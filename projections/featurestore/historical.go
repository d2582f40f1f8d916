package featurestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// chunkValues is how many values of rows are joined at once: each entity's history is folded once for them, and
	// they take some 5 bytes each on the disk, and longValue at most. With a hundred features that is 2.7 million rows.
	chunkValues = 1 << 28
	// keysMemory and valuesMemory are what the sorting of a chunk takes before it goes to the disk: by each kind of entity, or
	// less where there are many.
	keysMemory   = 16 << 20
	valuesMemory = 32 << 20
	// checkEvery is after how many rows or facts it is asked whether anybody still waits.
	checkEvery = 1024
)

// Historical is a point-in-time join: for every row the selected features as they were at its own time.
type Historical struct {
	Selection *Selection
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
func (f *Store) Historical(ctx context.Context, h Historical, rows iter.Seq2[Row, error]) iter.Seq2[[]features.Value, error] {
	return func(yield func([]features.Value, error) bool) {
		j := &joining{h: h, ctx: ctx, store: f, keys: make([]*spill.Sorter, len(entities)+len(h.Selection.keys))}
		known := fold.At{RecordedMillis: h.At.RecordedMillis, Cut: h.At.Cut}
		j.one = features.Join{Selection: h.Selection.computed, KnownAtRow: h.AtRow, Exclusive: h.Exclusive, Facts: j.facts(f),
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
	store  *Store
	one    features.Join // of an entity
	ctx    context.Context
	failed error // of the catalogue, or of what is said of people

	// Of the chunk: its rows by entity and time, and their values by row.
	rows       int
	lastMillis int64
	keys       []*spill.Sorter // by entity, as in entities, and behind them by each set of join keys; nil of those that nothing is of
	values     *spill.Sorter
	long       *spill.File           // values that are kept apart
	lastLong   [len(entities)][]kept // of the features of each entity that are computed, the last of those
	record     []byte
	form       []byte // of a long value that is read
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

func (j *joining) chunks(rows iter.Seq2[Row, error], yield func([]features.Value, error) bool) error {
	size := max(1, cmp.Or(j.h.chunkValues, chunkValues)/max(1, len(j.h.Selection.columns)+len(j.h.Selection.Request())))
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
	memory := cmp.Or(j.h.keysMemory, keysMemory)
	if n := len(j.keys); n > 2*len(entities) {
		memory = max(memory*2*len(entities)/n, 1)
	}
	for i := range j.keys {
		if i >= len(entities) || j.h.Selection.needs(entities[i]) {
			j.keys[i] = spill.NewSorter(j.h.Scratch, memory)
		}
	}
	j.values = spill.NewSorter(j.h.Scratch, cmp.Or(j.h.valuesMemory, valuesMemory))
	j.long, j.lastLong = spill.NewFile(j.h.Scratch, cmp.Or(j.h.valuesMemory, valuesMemory)), [len(entities)][]kept{}
}

func (j *joining) close() (err error) {
	for _, s := range append(slices.Clone(j.keys), j.values) {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if j.long != nil {
		err = errors.Join(err, j.long.Close())
	}
	return err
}

// add takes a row's keys: the entity's id and a zero byte, which no id has, its time and its number, each ordered as
// its bytes are.
func (j *joining) add(row *Row) error {
	if j.rows%checkEvery == 0 {
		if err := j.ctx.Err(); err != nil {
			return err
		}
	}
	for i := range j.keys {
		id := ""
		switch {
		case i >= len(entities):
			id = row.Keys[i-len(entities)]
		case entities[i] == features.User:
			id = row.UserID
		default:
			id = row.MovieID
		}
		if j.keys[i] == nil || id == "" { // nobody's: of whom nothing is known
			continue
		}
		if strings.IndexByte(id, 0) >= 0 {
			return fault.New(fault.Invalid, "an id holds a zero byte")
		}
		b := append(append(j.record[:0], id...), 0)
		b = binary.BigEndian.AppendUint64(b, uint64(row.TimeMillis)^1<<63)
		j.record = binary.BigEndian.AppendUint32(b, uint32(j.rows))
		if err := j.keys[i].Add(j.record); err != nil {
			return err
		}
	}
	if len(row.Said) > 0 { // it comes back with the values
		part := len(entities) + len(j.h.Selection.pushed)
		j.record = append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(j.record[:0], uint32(j.rows)), uint16(part)), row.Said...)
		if err := j.values.Add(j.record); err != nil {
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
	for i := range j.keys {
		if j.keys[i] == nil {
			continue
		}
		var err error
		if i < len(entities) {
			err = j.sweep(i, j.computed)
		} else {
			err = j.sweep(i, j.pushed)
		}
		if err != nil {
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

// sweep reads the features of all rows of one kind of entity, entity by entity. read is given the rows of one by their times:
// next gives the time of each, and emit takes its values as they are stored, of a part of the features.
func (j *joining) sweep(kind int, read func(kind int, id string, next func() (int64, bool, error), emit func(part int, values []byte) error) error) error {
	keys := j.keys[kind]
	key, err := keys.Next()
	for err == nil {
		id, row, begun := string(key[:len(key)-keyTail]), uint32(0), false
		next := func() (int64, bool, error) {
			if begun {
				key, err = keys.Next()
			}
			begun = true
			if err != nil || len(key)-keyTail != len(id) || string(key[:len(id)]) != id {
				return 0, false, nil // another entity's, or none
			}
			tail := key[len(id)+1:]
			millis := int64(binary.BigEndian.Uint64(tail) ^ 1<<63)
			if row = binary.BigEndian.Uint32(tail[8:]); row%checkEvery == 0 && j.ctx.Err() != nil {
				return 0, false, j.ctx.Err()
			}
			return millis, true, nil
		}
		emit := func(part int, values []byte) error {
			j.record = append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(j.record[:0], row), uint16(part)), values...)
			return j.values.Add(j.record)
		}
		if err := read(kind, id, next, emit); err != nil {
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

// computed reads what is computed of an entity.
func (j *joining) computed(kind int, id string, next func() (int64, bool, error), emit func(int, []byte) error) error {
	var stored []byte
	return j.one.Sweep(entities[kind], id, j.lastMillis, next, func(values []features.Value) (err error) {
		if j.lastLong[kind] == nil {
			j.lastLong[kind] = make([]kept, len(values))
		}
		stored = stored[:0]
		for i := range values {
			if stored, err = j.put(stored, &values[i], &j.lastLong[kind][i]); err != nil {
				return err
			}
		}
		return emit(kind, stored)
	})
}

// pushed reads what was pushed of an entity, of each view with its join keys.
func (j *joining) pushed(kind int, id string, next func() (int64, bool, error), emit func(int, []byte) error) error {
	parts := j.h.Selection.pushed
	pasts := make([]*past, len(parts))
	for i := range parts {
		if parts[i].key == kind-len(entities) {
			pasts[i] = j.past(j.store, &parts[i], id)
			defer pasts[i].stop()
		}
	}
	var stored []byte
	for {
		millis, ok, err := next()
		if !ok || err != nil {
			return err
		}
		for i, p := range pasts {
			if p == nil {
				continue
			}
			if stored, err = p.at(stored[:0], millis); err != nil {
				return err
			}
			if err := emit(len(entities)+i, stored); err != nil {
				return err
			}
		}
	}
}

// give yields the values of the chunk's rows in order.
func (j *joining) give(yield func([]features.Value, error) bool) error {
	unknown := j.h.Selection.blank()
	values := make([]features.Value, len(unknown))
	places := j.h.Selection.places()
	said := make([]features.Operand, len(j.h.Selection.Request()))
	record, err := j.values.Next()
	for row := range j.rows {
		copy(values, unknown)
		for i := range said {
			said[i] = features.NoOperand
		}
		for err == nil && binary.BigEndian.Uint32(record) == uint32(row) {
			b, part := record[6:], int(binary.BigEndian.Uint16(record[4:]))
			if part == len(places) {
				j.h.Selection.heard(b, said)
			} else {
				for _, place := range places[part] {
					var bad error
					if b, bad = j.get(b, &values[place]); bad != nil {
						return bad
					}
				}
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
		if !yield(j.h.Selection.finish(values, said), nil) {
			return errStopped
		}
	}
	return nil
}

// places are the columns of each part of the features: of the entities' that are computed, then of the views' that are pushed.
func (s *Selection) places() [][]int {
	all := make([][]int, len(entities))
	for i, e := range entities {
		if s.computed != nil {
			for _, place := range s.computed.Columns(e) {
				all[i] = append(all[i], s.at[place])
			}
		}
	}
	for i := range s.pushed {
		all = append(all, s.pushed[i].out)
	}
	return all
}

// A value in a scratch file is a byte of its status and what of it follows, then that. Numbers are varints where they
// are whole, which most are.
const (
	storedAbsent = iota << 2
	storedWhole
	storedFloat
	storedText
	storedList
	storedLong   // where it is among the long ones
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
	case features.StringList:
	default:
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
