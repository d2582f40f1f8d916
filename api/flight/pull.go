package flight

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

// pull answers the table that a view is: a row for each moment at which an entity had a fact, or of each the newest. Of a view
// of pushed values it is what was pushed.
func (s *Surface) pull(ctx context.Context, a *answer, c *command) error {
	if c.TimestampField == "" {
		return fault.Field("timestamp_field", "is missing").WithHint("name the column of the rows' times")
	}
	view, x, err := s.viewOf(c)
	if err != nil {
		return err
	}
	if x != nil {
		return s.pullPushed(ctx, a, c, x)
	}
	if c.CreatedTimestampColumn != nil && *c.CreatedTimestampColumn != "" {
		return fault.Field("created_timestamp_column", "is %q, and what is computed here was created at no time", api.Short(*c.CreatedTimestampColumn)).
			WithHint("leave it out of the data source")
	}
	key := string(view.Entity) + "_id"
	if !slices.Equal(c.JoinKeyColumns, []string{key}) {
		return fault.Field("join_key_columns", "are %s; those of %s are %s", api.Short(strings.Join(c.JoinKeyColumns, ", ")), view.Name, key).WithHint("ask for %s", key)
	}
	defs, err := s.Features.Definitions(fold.At{})
	if err != nil {
		return err
	}
	refs := []string{}
	for _, name := range c.FeatureNameColumns {
		if view.Feature(name) == nil {
			return noFeature(view.Name, name)
		}
		refs = append(refs, view.Name+":"+name)
	}
	sel, err := defs.Select(refs, false)
	if err != nil {
		return err
	}
	from, err := dateOf("start_date", c.StartDate, 0)
	if err != nil {
		return err
	}
	to, err := dateOf("end_date", c.EndDate, s.Now().UnixMilli())
	if err != nil {
		return err
	}
	done, err := s.Features.BeginJoin()
	if err != nil {
		return err
	}
	defer done()
	numbers := true // whether all ids are
	for id, err := range s.Features.Entities(view.Entity) {
		if err != nil {
			return err
		}
		n, bad := strconv.ParseInt(id, 10, 64)
		if numbers = bad == nil && strconv.FormatInt(n, 10) == id; !numbers {
			break
		}
	}
	rows := s.Features.Latest(ctx, sel, view.Entity, from, to)
	if c.API == "pull_all_from_table_or_query" {
		rows = s.Features.Changes(ctx, sel, view.Entity, from, to, s.ScratchDir)
	}
	return writeRows(a, key, c.TimestampField, numbers, sel, rows)
}

// dateOf reads a date as Python writes it: without a zone it is in UTC.
func dateOf(field string, text *string, other int64) (int64, error) {
	if text == nil || *text == "" {
		return other, nil
	}
	millis, err := events.MillisOf(*text)
	if err != nil {
		return 0, fault.Field(field, "%v", err)
	}
	return millis, nil
}

// writeRows writes a table of an entity's id, the time, and the features.
func writeRows(a *answer, key, time string, numbers bool, sel *features.Selection, rows iter.Seq2[featurestore.Recorded, error]) error {
	field := arrow.Text(key)
	if numbers {
		field = arrow.Int64(key)
	}
	t := newPulled(a, []*arrow.Field{field, arrow.Millis(time)}, sel.Names(), sel.Unknown())
	for row, err := range rows {
		if err == nil {
			err = addID(t.own[0], row.ID)
		}
		if err != nil {
			return err
		}
		t.own[1].Int(row.Millis)
		if err := t.add(row.Values); err != nil {
			return err
		}
	}
	return t.end()
}

// addID adds an id to a column of texts or numbers.
func addID(c *arrow.Column, id string) error {
	if c.Field().Type.ID != arrow.Int {
		c.Text(id)
		return nil
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil { // of somebody who came meanwhile
		return fault.New(fault.Unavailable, "the first id that is no number came while the table was read").WithHint("ask again")
	}
	c.Int(n)
	return nil
}

// pulled is a table that is made row by row: columns of its own, then values.
type pulled struct {
	*writer
	own []*arrow.Column
}

func newPulled(a *answer, own []*arrow.Field, names []string, values []features.Value) *pulled {
	t := &pulled{}
	for _, f := range own {
		t.own = append(t.own, arrow.NewColumn(f))
	}
	t.writer = newWriter(a, &arrow.Schema{Fields: own}, names, values)
	return t
}

// add takes the values of a row whose own columns have theirs.
func (t *pulled) add(values []features.Value) error {
	if t.writer.add(values); t.full(t.n, t.own...) {
		return t.flush()
	}
	return nil
}

func (t *pulled) flush() error {
	var own []*arrow.Array
	for _, c := range t.own {
		own = append(own, c.Array())
	}
	err := t.writer.flush(own)
	for _, c := range t.own {
		c.Reset()
	}
	return err
}

func (t *pulled) end() error {
	if t.n > 0 {
		return t.flush()
	}
	return t.writer.end()
}
