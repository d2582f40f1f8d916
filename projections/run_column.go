package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Column is what runs are searched by: the value of one metric, param or tag, or the head, which every run has. Within
// an experiment the cells of a column stand in the order that runs are listed in, newest first and of one moment by id,
// those of active runs apart from those of deleted ones. So a search reads the columns it asks for, and no run.
type Column string

// HeadColumn has of each run what [RunHead] says.
const HeadColumn = Column("h")

// MetricColumn has a metric's latest values; see [CellNumber].
func MetricColumn(key string) Column { return Column("m" + key) }

// ParamColumn has a param as it is.
func ParamColumn(key string) Column { return Column("p" + key) }

// TagColumn has a tag as it is.
func TagColumn(key string) Column { return Column("t" + key) }

// RunHead is what a run is searched by that is neither metric, param nor tag.
type RunHead struct {
	Name, Status, Actor, User string
	EndMillis                 int64
}

func headOf(r *Run) RunHead { return RunHead{r.Name, r.Status, r.Actor, r.User, r.EndMillis} }

func (h RunHead) cell() []byte {
	b := binary.AppendVarint(nil, h.EndMillis)
	for _, s := range []string{h.Name, h.Status, h.Actor, h.User} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// CellHead reads a cell of the head.
func CellHead(cell []byte) (h RunHead, err error) {
	end, n := binary.Varint(cell)
	if n <= 0 {
		return h, fold.ErrKey
	}
	h.EndMillis, cell = end, cell[n:]
	for _, s := range []*string{&h.Name, &h.Status, &h.Actor, &h.User} {
		size, n := binary.Uvarint(cell)
		if n <= 0 || size > uint64(len(cell)-n) {
			return h, fold.ErrKey
		}
		*s, cell = string(cell[n:n+int(size)]), cell[n+int(size):]
	}
	return h, nil
}

const numberBytes = 8

func numberCell(n events.Number) []byte {
	return binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(n)))
}

// CellNumber reads a cell of a metric.
func CellNumber(cell []byte) (float64, error) {
	if len(cell) != numberBytes {
		return 0, fold.ErrKey
	}
	return math.Float64frombits(binary.BigEndian.Uint64(cell)), nil
}

// columnKey begins the keys of a column's cells.
func columnKey(experiment string, deleted bool, c Column) fold.Key {
	k := fold.Table('c').Str(experiment)
	if deleted {
		k = append(k, 1)
	} else {
		k = append(k, 0)
	}
	return k.Str(string(c))
}

// cellKey is the key of a run's cell.
func cellKey(r *Run, c Column) fold.Key {
	return columnKey(r.ExperimentID, r.Deleted, c).Millis(^r.StartMillis).Str(r.RunID)
}

// setBeside keeps what stands beside a run in step with it: its latest values of metrics, and its cells.
func setBeside(w fold.Writer, before, after *Run, in *fold.Input) error {
	if after.Purged {
		return eachCell(w, before, func(c Column, _ []byte) error { return w.Delete(cellKey(before, c)) })
	}
	if before.RunID == "" || before.ExperimentID != after.ExperimentID || before.StartMillis != after.StartMillis || before.Deleted != after.Deleted {
		if err := moveCells(w, before, after); err != nil {
			return err
		}
	} else if headOf(before) != headOf(after) {
		if err := w.Set(cellKey(after, HeadColumn), headOf(after).cell()); err != nil {
			return err
		}
	}
	switch x := in.Event.Data.(type) {
	case *events.RunStarted:
		return errors.Join(setTexts(w, after, ParamColumn, x.Params), setTexts(w, after, TagColumn, x.Tags))
	case *events.RunParamsLogged:
		return setTexts(w, after, ParamColumn, x.Params)
	case *events.RunTagsSet:
		return setTexts(w, after, TagColumn, x.Tags)
	case *events.RunTagRemoved:
		return w.Delete(cellKey(after, TagColumn(x.Key)))
	case *events.RunMetricsLogged:
		return setMetrics(w, after, x.Metrics)
	}
	return nil
}

func setTexts(w fold.Writer, r *Run, column func(string) Column, texts map[string]string) error {
	for key, v := range texts {
		if err := w.Set(cellKey(r, column(key)), []byte(v)); err != nil {
			return err
		}
	}
	return nil
}

// moveCells puts a run's cells where it is now, and takes them from where it was, if it was anywhere.
func moveCells(w fold.Writer, before, after *Run) error {
	return eachCell(w, after, func(c Column, cell []byte) error {
		if before.RunID != "" {
			if err := w.Delete(cellKey(before, c)); err != nil {
				return err
			}
		}
		return w.Set(cellKey(after, c), cell)
	})
}

// eachCell hands out what cells a run has, and what is in them.
func eachCell(w fold.Writer, r *Run, fn func(Column, []byte) error) error {
	if err := fn(HeadColumn, headOf(r).cell()); err != nil {
		return err
	}
	for key, v := range r.Params {
		if err := fn(ParamColumn(key), []byte(v)); err != nil {
			return err
		}
	}
	for key, v := range r.Tags {
		if err := fn(TagColumn(key), []byte(v)); err != nil {
			return err
		}
	}
	latest, err := latestOf(w, r.RunID)
	if err != nil {
		return err
	}
	for i := range latest {
		if err := fn(MetricColumn(latest[i].Key), numberCell(latest[i].Value)); err != nil {
			return err
		}
	}
	return nil
}

// cellsAtOnce are as many runs as a search takes in hand together. Tests take fewer.
var cellsAtOnce = 4096

// Cells asks for the runs of an experiment, active or deleted ones, with their cells of some columns.
type Cells struct {
	Experiment string
	Deleted    bool
	Columns    []Column
	// Needed says of each column whether a run without a cell in it is left out.
	Needed []bool
}

// FoundRun is a run with the cells that were asked for; of a column that it has none in, nil. They are its taker's until
// it returns.
type FoundRun struct {
	StartMillis int64
	Cells       [][]byte

	run []byte
}

// RunID is the run's id.
func (f *FoundRun) RunID() string { return string(f.run) }

// Search gives the runs that were asked for to take, newest first and of one moment by id, until it says that it has
// enough. What it holds at a time is bounded, however many runs there are.
func (v *Runs) Search(ctx context.Context, q Cells, take func(*FoundRun) (more bool, err error)) error {
	drive, columns := HeadColumn, make([]int, 0, len(q.Columns)) // the column that is read first, and the others
	driven := -1
	for i := range q.Columns {
		if driven < 0 && q.Needed[i] {
			drive, driven = q.Columns[i], i
		}
	}
	for i := range q.Columns {
		if i != driven {
			columns = append(columns, i)
		}
	}
	prefix := columnKey(q.Experiment, q.Deleted, drive)
	lo, hi := []byte(prefix), prefix.End()
	b := blocks.Get().(*block)
	defer b.release()
	for {
		if err := v.readBlock(ctx, b, lo, hi, len(prefix)); err != nil || len(b.rows) == 0 {
			return err
		}
		for _, i := range columns {
			if err := v.join(b, columnKey(q.Experiment, q.Deleted, q.Columns[i]), i, len(q.Columns), q.Needed[i]); err != nil {
				return err
			}
		}
		more, err := b.give(q, driven, take)
		if err != nil || !more || !b.more {
			return err
		}
		last := b.at(b.rows[len(b.rows)-1].place)
		lo = append(append(append([]byte{}, prefix...), last...), 0)
	}
}

// block is some runs in order, with their cells: pieces of one buffer. One block after the other is in the same memory.
type block struct {
	bytes []byte
	rows  []blockRow
	cells []piece // of each row, a number of columns; none until one is joined
	more  bool    // there may be further ones
}

// blocks are kept for the next search: a block is most of what one allocates.
var blocks = sync.Pool{New: func() any { return &block{} }}

// release gives a block back, unless it has grown beyond what searches mostly take.
func (b *block) release() {
	if cap(b.bytes) <= blockBytesMax/8 {
		blocks.Put(b)
	}
}

type piece struct{ from, to int32 }

type blockRow struct {
	place piece // the end of a cell's key: start and run
	cell  piece // of the column that was read first
	out   bool  // it has no cell in a column that is needed
}

func (b *block) at(p piece) []byte { return b.bytes[p.from:p.to] }

func (b *block) keep(v []byte) piece {
	from := len(b.bytes)
	b.bytes = append(b.bytes, v...)
	return piece{int32(from), int32(len(b.bytes))}
}

// blockBytesMax bounds what a search holds at once where params and tags are of kilobytes each.
const blockBytesMax = 8 << 20

// readBlock reads the runs from lo on.
func (v *Runs) readBlock(ctx context.Context, b *block, lo, hi []byte, prefix int) error {
	*b = block{bytes: b.bytes[:0], rows: b.rows[:0], cells: b.cells[:0]}
	for kv, err := range v.r.Scan(lo, hi) {
		if err == nil && len(b.rows)&1023 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		b.rows = append(b.rows, blockRow{place: b.keep(kv.Key[prefix:]), cell: b.keep(kv.Value)})
		if len(b.rows) == cellsAtOnce || len(b.bytes) > blockBytesMax {
			b.more = true
			break
		}
	}
	return nil
}

// join gives the rows of a block their cells of a column, the i-th of n.
func (v *Runs) join(b *block, prefix fold.Key, i, n int, needed bool) error {
	if len(b.cells) == 0 {
		b.cells = slices.Grow(b.cells, n*len(b.rows))[:n*len(b.rows)]
		for k := range b.cells {
			b.cells[k] = piece{-1, -1}
		}
	}
	end := func(r *blockRow) []byte { return append(append([]byte{}, prefix...), b.at(r.place)...) }
	lo, hi := end(&b.rows[0]), append(end(&b.rows[len(b.rows)-1]), 0)
	at := 0
	for kv, err := range v.r.Scan(lo, hi) {
		if err != nil {
			return err
		}
		place := kv.Key[len(prefix):]
		order := -1
		for ; at < len(b.rows); at++ {
			if order = bytes.Compare(b.at(b.rows[at].place), place); order >= 0 {
				break
			}
			b.rows[at].out = b.rows[at].out || needed
		}
		if order == 0 {
			b.cells[at*n+i] = b.keep(kv.Value)
			at++
		}
	}
	for ; needed && at < len(b.rows); at++ {
		b.rows[at].out = true
	}
	return nil
}

// give hands out the rows that have what they need. driven is which of the columns was read first; -1: none of them.
func (b *block) give(q Cells, driven int, take func(*FoundRun) (bool, error)) (bool, error) {
	n := len(q.Columns)
	found := FoundRun{Cells: make([][]byte, n)}
	for k := range b.rows {
		r := &b.rows[k]
		if r.out {
			continue
		}
		place := b.at(r.place)
		p := fold.PartsOf(place)
		found.StartMillis = ^p.Millis()
		if p.Err() != nil || place[len(place)-1] != 0 {
			return false, fold.ErrKey
		}
		found.run = place[8 : len(place)-1]
		for i := range n {
			found.Cells[i] = nil
			if i == driven {
				found.Cells[i] = b.at(r.cell)
			} else if c := b.cells[k*n+i]; c.from >= 0 {
				found.Cells[i] = b.at(c)
			}
		}
		if more, err := take(&found); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}
