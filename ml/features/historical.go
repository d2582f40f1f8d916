package features

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
)

// Row asks for the features of a user, a movie, or both, as of a moment.
type Row struct {
	UserID     string // canonical; "" is nobody, of whom nothing is known
	MovieID    string // likewise
	TimeMillis int64  // event time to look back from
}

func (r *Row) id(e Entity) string {
	if e == User {
		return r.UserID
	}
	return r.MovieID
}

// Join is a point-in-time join: for every row, the features as they were at the row's time. No
// fact later than that, and none recorded later than is allowed, has any part in a row.
type Join struct {
	Selection *Selection

	// Facts are all facts of an entity in ascending event time, those with a Turn too. It is called once per distinct
	// entity and stopped as soon as the last row of the entity is reached.
	Facts func(entity Entity, id string) iter.Seq2[Fact, error]

	// Catalogue is as of the log position that KnownAtMillis stands for; films are looked up in it
	// as they are known there, since what a film is does not change with the row's time.
	Catalogue Catalogue

	// People is as of the same position. What is said of a person is so from its time on, and of a row before it has no
	// part in it.
	People People

	// KnownAtMillis leaves out what was recorded later; 0 leaves out none.
	KnownAtMillis int64

	// KnownAtRow also leaves out, row by row, what was recorded after the row's own time: what could
	// have been known then. In a log that was imported later than its rows' times, that is nothing.
	KnownAtRow bool

	// Exclusive looks back to just before the row's time instead of up to it. Training rows that are
	// facts themselves need it: otherwise a row's features contain the row's own label.
	Exclusive bool
}

// Column is one feature over all rows. The slice of the column's type is set, the others are nil.
type Column struct {
	Name             string
	Type             Type
	Floats           []float64
	Ints             []int64
	Strings          []string
	Lists            [][]string
	Statuses         []Status
	EventTimesMillis []int64
}

func newColumn(c columnInfo, rows int) Column {
	out := Column{Name: c.name, Type: c.typ, Statuses: make([]Status, rows), EventTimesMillis: make([]int64, rows)}
	switch c.typ {
	case Float64:
		out.Floats = make([]float64, rows)
	case Int64:
		out.Ints = make([]int64, rows)
	case String:
		out.Strings = make([]string, rows)
	case StringList:
		out.Lists = make([][]string, rows)
	}
	return out
}

func (c *Column) set(row int, v *Value) {
	c.Statuses[row], c.EventTimesMillis[row] = v.Status, v.EventTimeMillis
	switch c.Type {
	case Float64:
		c.Floats[row] = v.Float
	case Int64:
		c.Ints[row] = v.Int
	case String:
		c.Strings[row] = v.Str
	case StringList:
		c.Lists[row] = v.List
	}
}

// Value is the column's value in one row.
func (c *Column) Value(row int) Value {
	v := Value{Name: c.Name, Type: c.Type, Status: c.Statuses[row], EventTimeMillis: c.EventTimesMillis[row]}
	switch c.Type {
	case Float64:
		v.Float = c.Floats[row]
	case Int64:
		v.Int = c.Ints[row]
	case String:
		v.Str = c.Strings[row]
	case StringList:
		v.List = c.Lists[row]
	}
	return v
}

// Historical joins the rows and gives the selection's columns, in the order of rows. In a row without the id
// of an entity its features are NotFound; an error of Facts is passed on.
func (j *Join) Historical(rows []Row) ([]Column, error) {
	columns := make([]Column, len(j.Selection.columns))
	for i, c := range j.Selection.columns {
		columns[i] = newColumn(c, len(rows))
	}
	for _, entity := range []Entity{User, Movie} {
		if !j.Selection.Needs(entity) {
			continue
		}
		order := make([]int, 0, len(rows))
		for i := range rows {
			if rows[i].id(entity) != "" {
				order = append(order, i)
				continue
			}
			for _, c := range j.Selection.Columns(entity) {
				columns[c].Statuses[i] = NotFound
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if c := cmp.Compare(rows[a].id(entity), rows[b].id(entity)); c != 0 {
				return c
			}
			return cmp.Compare(rows[a].TimeMillis, rows[b].TimeMillis)
		})
		places := j.Selection.Columns(entity)
		for len(order) > 0 {
			n, id := 1, rows[order[0]].id(entity)
			for n < len(order) && rows[order[n]].id(entity) == id {
				n++
			}
			asked, given := order[:n], order[:n]
			next := func() (int64, bool, error) {
				if len(asked) == 0 {
					return 0, false, nil
				}
				row := asked[0]
				asked = asked[1:]
				return rows[row].TimeMillis, true, nil
			}
			emit := func(values []Value) error {
				for i, c := range places {
					columns[c].set(given[0], &values[i])
				}
				given = given[1:]
				return nil
			}
			if err := j.Sweep(entity, id, rows[order[n-1]].TimeMillis, next, emit); err != nil {
				return nil, err
			}
			order = order[n:]
		}
	}
	return j.Selection.finish(columns, len(rows)), nil
}

// finish makes of the columns that were read those that are asked for.
func (s *Selection) finish(columns []Column, rows int) []Column {
	if s.derive == nil {
		return columns
	}
	read, out := make([]Value, len(columns)), make([]Column, 0, len(s.derive.outputs))
	for i := range s.derive.outputs {
		out = append(out, newColumn(s.derive.outputs[i].columnInfo, rows))
	}
	for row := range rows {
		for c := range columns {
			read[c] = columns[c].Value(row)
		}
		for i, v := range s.derive.Finish(nil, read, s.said) {
			out[i].set(row, &v)
		}
	}
	return out
}

// Columns are the places of an entity's features among all of the selection.
func (s *Selection) Columns(entity Entity) (places []int) {
	for _, p := range s.parts {
		if p.view.Entity == entity {
			places = append(places, p.out...)
		}
	}
	return places
}

// Sweep folds one entity's facts in the order in which they become visible, once, and reads its features whenever
// the time of a row is reached: rows need not fit memory. next gives the times of the entity's rows in ascending
// order, then false; none is after lastMillis. emit takes the values of each row, in the order of
// [Selection.Columns], valid until it returns. An error of Facts, next or emit is passed on.
func (j *Join) Sweep(entity Entity, id string, lastMillis int64, next func() (millis int64, ok bool, err error), emit func([]Value) error) error {
	of := subject{id: id, catalogue: j.Catalogue}
	if entity == User && j.People != nil {
		said, asked := []Said(nil), false
		of.person = func(millis int64) *person {
			if !asked {
				said, asked = j.People(id), true
			}
			return personOf(said, func(s *Said) bool { return j.visibleAt(s, millis) })
		}
	}
	var readers []*evaluator
	n := 0
	for _, p := range j.Selection.parts {
		if p.view.Entity == entity {
			readers = append(readers, newEvaluator(p.plan, of))
			n += len(p.out)
		}
	}
	state, values := NewState(entity), make([]Value, n)
	read := func(millis int64) error {
		at := 0
		for _, ev := range readers {
			ev.read(state, millis)
			for i := range ev.plan.steps {
				ev.value(i, &values[at])
				at++
			}
		}
		return emit(values)
	}
	row, ok, err := next()
	if !ok || err != nil {
		return err
	}
	counting := map[moment]Fact{} // facts that have a Turn
	for f, err := range j.visible(entity, id, lastMillis) {
		if err != nil {
			return err
		}
		for row < j.visibleFrom(&f) {
			if err := read(row); err != nil {
				return err
			}
			if row, ok, err = next(); !ok || err != nil {
				return err
			}
		}
		if f.Turn > 0 {
			at := moment{f.TimeMillis, f.Other, f.Kind}
			was, known := counting[at]
			if known && was.Turn > f.Turn {
				continue
			}
			if counting[at] = f; known {
				state.Correct(f, was.Rating)
				for _, ev := range readers {
					ev.correctFact(&f, was.Rating)
				}
				continue
			}
		}
		state.Add(f)
		for _, ev := range readers {
			ev.tallyFact(&f)
		}
	}
	for ok {
		if err := read(row); err != nil {
			return err
		}
		if row, ok, err = next(); err != nil {
			return err
		}
	}
	return nil
}

// moment is what facts of which one corrects another have in common.
type moment struct {
	millis      int64
	other, kind string
}

// visibleFrom is the earliest row time at which a fact may be seen.
func (j *Join) visibleFrom(f *Fact) int64 {
	t := f.TimeMillis
	if j.Exclusive && t < math.MaxInt64 {
		t++
	}
	if j.KnownAtRow {
		t = max(t, f.RecordedMillis)
	}
	return t
}

// visible are the facts that a row up to the last row's time may see, in the order of visibleFrom.
func (j *Join) visible(entity Entity, id string, lastMillis int64) iter.Seq2[Fact, error] {
	inTime := func(yield func(Fact, error) bool) {
		before := int64(math.MinInt64)
		for f, err := range j.Facts(entity, id) {
			if err == nil && f.TimeMillis < before {
				err = fault.New(fault.Internal, "the facts of %s %s are not in the order of event time", entity, id)
			}
			if err != nil {
				yield(Fact{}, err)
				return
			}
			before = f.TimeMillis
			if f.TimeMillis > lastMillis {
				return
			}
			if j.KnownAtMillis != 0 && f.RecordedMillis > j.KnownAtMillis {
				continue
			}
			if !yield(f, nil) {
				return
			}
		}
	}
	if !j.KnownAtRow {
		return inTime
	}
	return func(yield func(Fact, error) bool) {
		var facts []Fact
		for f, err := range inTime {
			if err != nil {
				yield(Fact{}, err)
				return
			}
			if f.RecordedMillis <= lastMillis {
				facts = append(facts, f)
			}
		}
		slices.SortStableFunc(facts, func(a, b Fact) int { return cmp.Compare(j.visibleFrom(&a), j.visibleFrom(&b)) })
		for _, f := range facts {
			if !yield(f, nil) {
				return
			}
		}
	}
}
