package flight

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

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

// viewOf is the view that a data source stands for, computed or of pushed values: of the source's name, one that is declared with
// the source, or else the only one that has the columns that are asked for.
func (s *Surface) viewOf(c *command) (*features.View, *features.External, error) {
	name, err := c.source()
	if err != nil {
		return nil, nil, err
	}
	reg, err := s.Features.Registry()
	if err != nil {
		return nil, nil, err
	}
	if view, x := reg.View(name), reg.ExternalNamed(name); view != nil || x != nil {
		return view, x, nil
	}
	var views []*features.View
	var names []string
	for _, v := range reg.Views {
		names = append(names, v.Name)
		if c.asksFor([]string{string(v.Entity) + "_id"}, func(name string) bool { return v.Feature(name) != nil }) {
			views = append(views, v)
		}
	}
	from := sourced(reg, name)
	if len(from) == 0 {
		from = reg.External
	}
	var pushed []*features.External
	for _, x := range from {
		names = append(names, x.Name)
		if c.asksFor(keysOf(x), func(name string) bool { return x.Feature(name) != nil }) {
			pushed = append(pushed, x)
		}
	}
	switch declared := len(sourced(reg, name)) > 0; {
	case len(pushed) > 0 && (declared || len(pushed)+len(views) == 1): // of one source each has the columns
		return nil, pushed[0], nil
	case len(views) == 1 && len(pushed) == 0:
		return views[0], nil, nil
	}
	return nil, nil, feast(fault.NotFound, "DataSourceObjectNotFoundException", "Data source %s does not exist in project projectionist; those that can be read are called as their views: %s",
		api.Short(name), strings.Join(names, ", "))
}

// asksFor says whether a command asks for features that there are, by join keys in any order.
func (c *command) asksFor(keys []string, has func(string) bool) bool {
	return len(c.FeatureNameColumns) > 0 && sameNames(keys, c.JoinKeyColumns) && !slices.ContainsFunc(c.FeatureNameColumns, func(name string) bool { return !has(name) })
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// keysOf are the names of a view's join keys, without the one of a view of no entity.
func keysOf(x *features.External) (names []string) {
	for _, k := range x.JoinKeys {
		if k.Name != features.NobodysKey {
			names = append(names, k.Name)
		}
	}
	return names
}

// sourced are the views that are declared with a data source, to which their values are pushed or beside it.
func sourced(reg *featurestore.Registry, name string) (all []*features.External) {
	for i := range reg.Declared.Views {
		is := &reg.Declared.Views[i].Is
		if x := reg.ExternalNamed(is.View); x != nil && (x.PushSource == name || batchSource(is.Spec, is.Stream) == name) {
			all = append(all, x)
		}
	}
	return all
}

// batchSource is the name of the source that a view of Feast's registry has beside the one that is pushed to.
func batchSource(spec []byte, stream bool) (name string) {
	const plainSource, streamSource, sourceName = 7, 10, 20
	want := protowire.Number(plainSource)
	if stream {
		want = streamSource
	}
	fields(spec, func(number protowire.Number, source []byte) { //nolint:errcheck // it was checked when it was applied
		if number == want {
			fields(source, func(number protowire.Number, value []byte) { //nolint:errcheck
				if number == sourceName {
					name = string(value)
				}
			})
		}
	})
	return name
}

func timeColumn(x *features.External) string { return cmp.Or(x.TimeColumn, tables.TimeColumn) }

// columnsOf answers the names and types of a source's columns.
func (s *Surface) columnsOf(a *answer, c *command) error {
	names, types := arrow.NewColumn(arrow.Text("name")), arrow.NewColumn(arrow.Text("type"))
	seen := map[string]bool{}
	add := func(name string, t features.Type) {
		if seen[name] {
			return
		}
		seen[name] = true
		names.Text(name)
		types.Text(typeName(t))
	}
	name, err := c.source()
	if err != nil {
		return err
	}
	reg, err := s.Features.Registry()
	if err != nil {
		return err
	}
	pushed := sourced(reg, name)
	if len(pushed) == 0 {
		view, x, err := s.viewOf(c)
		if err != nil {
			return err
		}
		if pushed = []*features.External{x}; x == nil {
			pushed = nil
			add(string(view.Entity)+"_id", features.Int64)
			for _, f := range view.Features {
				add(f.Name, f.Type)
			}
			add(tables.TimeColumn, features.TypeTimestamp)
		}
	}
	for _, x := range pushed {
		for _, k := range x.JoinKeys {
			if k.Name != features.NobodysKey {
				add(k.Name, features.Type(k.Type))
			}
		}
		for _, f := range x.Features {
			add(f.Name, features.Type(f.Type))
		}
		add(timeColumn(x), features.TypeTimestamp)
		if created := x.CreatedColumn(); created != "" {
			add(created, features.TypeTimestamp)
		}
	}
	schema := &arrow.Schema{Fields: []*arrow.Field{arrow.Text("name"), arrow.Text("type")}}
	if err := a.sendData(schema.Write(), nil); err != nil {
		return err
	}
	columns := []*arrow.Array{names.Array(), types.Array()}
	return a.sendData(arrow.WriteBatch(columns[0].Len, columns))
}

// typeName is a type as pyarrow calls it.
func typeName(t features.Type) string {
	if scalar, list := features.ItemType(t); list {
		return "list<item: " + typeName(features.Type(scalar)) + ">"
	}
	switch string(t) {
	case string(features.Float64):
		return "double"
	case features.TypeFloat32:
		return "float"
	case features.TypeBytes:
		return "binary"
	case features.TypeTimestamp:
		return "timestamp[ms, tz=UTC]"
	}
	return string(t)
}
