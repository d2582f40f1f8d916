package flight

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

// pull answers the table that a view is: a row for each moment at which an entity had a fact, or of each the newest.
func (s *Surface) pull(ctx context.Context, a *answer, c *command) error {
	if c.CreatedTimestampColumn != nil && *c.CreatedTimestampColumn != "" {
		return fault.Field("created_timestamp_column", "is %q, and what is computed here was created at no time", api.Short(*c.CreatedTimestampColumn)).
			WithHint("leave it out of the data source")
	}
	if c.TimestampField == "" {
		return fault.Field("timestamp_field", "is missing").WithHint("name the column of the rows' times")
	}
	view, err := s.viewOf(c)
	if err != nil {
		return err
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
			return feast(fault.NotFound, "FeastObjectNotFoundException", "Feature %s not found in projection %s", name, view.Name)
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

// writeRows writes a table of an entity's id, the features, and the time.
func writeRows(a *answer, key, time string, numbers bool, sel *features.Selection, rows iter.Seq2[featurestore.Recorded, error]) error {
	ids, times := arrow.NewColumn(arrow.Text(key)), arrow.NewColumn(arrow.Millis(time))
	field := arrow.Text(key)
	if numbers {
		field = arrow.Int64(key)
		ids = arrow.NewColumn(field)
	}
	out := newWriter(a, &arrow.Schema{Fields: []*arrow.Field{field, arrow.Millis(time)}}, sel.Names(), sel)
	flush := func() error {
		err := out.flush([]*arrow.Array{ids.Array(), times.Array()})
		ids.Reset()
		times.Reset()
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if n, bad := strconv.ParseInt(row.ID, 10, 64); !numbers {
			ids.Text(row.ID)
		} else if bad != nil { // of somebody who came meanwhile
			return fault.New(fault.Unavailable, "the first id that is no number came while the table was read").WithHint("ask again")
		} else {
			ids.Int(n)
		}
		times.Int(row.Millis)
		if out.add(row.Values); out.full(out.n) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if out.n > 0 {
		return flush()
	}
	return out.end()
}

// source is the name of the data source that a command is about.
func (c *command) source() (string, error) {
	from := struct {
		Name string `json:"name"`
	}{c.DataSourceName}
	if c.DataSourceProto != "" {
		if err := json.Unmarshal([]byte(c.DataSourceProto), &from); err != nil {
			return "", fault.Wrap(fault.Invalid, err, "the data source is not what Feast's remote offline store sends")
		}
	}
	if from.Name == "" {
		return "", fault.Field("name", "of the data source is missing").WithHint("give it one")
	}
	return from.Name, nil
}

// viewOf is the view that a data source stands for: of its name, or else the only one that has the columns that are asked for.
func (s *Surface) viewOf(c *command) (*features.View, error) {
	name, err := c.source()
	if err != nil {
		return nil, err
	}
	defs, err := s.Features.Definitions(fold.At{})
	if err != nil {
		return nil, err
	}
	if view := defs.View(name); view != nil {
		return view, nil
	}
	var all []*features.View
	var names []string
	for _, v := range defs.Views {
		names = append(names, v.Name)
		has := len(c.FeatureNameColumns) > 0 && slices.Equal(c.JoinKeyColumns, []string{string(v.Entity) + "_id"})
		for _, f := range c.FeatureNameColumns {
			has = has && v.Feature(f) != nil
		}
		if has {
			all = append(all, v)
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return nil, feast(fault.NotFound, "DataSourceObjectNotFoundException", "Data source %s does not exist in project projectionist; those that can be read are called as their views: %s",
		api.Short(name), strings.Join(names, ", "))
}

// columnsOf answers the names and types of a source's columns.
func (s *Surface) columnsOf(a *answer, c *command) error {
	view, err := s.viewOf(c)
	if err != nil {
		return err
	}
	names, types := arrow.NewColumn(arrow.Text("name")), arrow.NewColumn(arrow.Text("type"))
	add := func(name, typ string) {
		names.Text(name)
		types.Text(typ)
	}
	add(string(view.Entity)+"_id", "int64")
	for _, f := range view.Features {
		add(f.Name, map[features.Type]string{features.Float64: "double", features.Int64: "int64", features.String: "string", features.StringList: "list<item: string>"}[f.Type])
	}
	add(tables.TimeColumn, "timestamp[ms, tz=UTC]")
	schema := &arrow.Schema{Fields: []*arrow.Field{arrow.Text("name"), arrow.Text("type")}}
	if err := a.sendData(schema.Write(), nil); err != nil {
		return err
	}
	columns := []*arrow.Array{names.Array(), types.Array()}
	return a.sendData(arrow.WriteBatch(columns[0].Len, columns))
}

// refuseWrite says why values of a view are not written.
func (s *Surface) refuseWrite(c *command) error {
	if len(c.FeatureViewNames) != 1 {
		return fault.Field("feature_view_names", "are %d views", len(c.FeatureViewNames)).WithHint("write to one view")
	}
	defs, err := s.Features.Definitions(fold.At{})
	if err != nil {
		return err
	}
	name := c.FeatureViewNames[0]
	if defs.View(name) == nil {
		return noView(api.Short(name))
	}
	return fault.Field("feature_view_names", "%s is computed from the log, and nothing can be written to it", name).
		WithHint("record what happened instead: POST /api/v1/feedback, or POST /api/v1/users for what is said of a person")
}
