// Package tables has what tables of entity rows have in common, in whatever form they come: which columns are ids and times, what the join
// needs of a row, and columns for its values.
package tables

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// TimeColumn is what a table's column of event times is called; a table may have another as its only column of times.
const TimeColumn = "event_timestamp"

// columnsShown is how many columns a message names.
const columnsShown = 20

// Keys are the columns that the join needs: places among all; negative where there is none.
type Keys struct {
	fields          []*arrow.Field
	User, Movie, At int
}

// KeysOf finds them.
func KeysOf(fields []*arrow.Field) Keys {
	k := Keys{fields: fields}
	k.User, k.Movie, k.At = k.column("user_id"), k.column("movie_id"), k.column(TimeColumn)
	if first := slices.IndexFunc(fields, isTime); k.At < 0 && first >= 0 && !slices.ContainsFunc(fields[first+1:], isTime) {
		k.At = first
	}
	return k
}

func isTime(f *arrow.Field) bool { return f.Type.ID == arrow.Timestamp }

// Fits says whether the table can be joined: it has the columns of ids that are needed, and none of the name of a feature.
func (k Keys) Fits(needed, names []string) error {
	var all []string
	for _, f := range k.fields {
		if slices.Contains(all, f.Name) {
			return fault.Field(f.Name, "is the name of two columns").WithHint("give each column a name of its own")
		}
		if slices.Contains(names, f.Name) {
			return fault.Field(f.Name, "has the name of a feature").WithHint("rename the column, or ask with full_feature_names=True")
		}
		all = append(all, f.Name)
	}
	if err := k.Readable(); err != nil {
		return err
	}
	shown := strings.Join(all[:min(len(all), columnsShown)], ", ")
	if k.At < 0 {
		return fault.Field(TimeColumn, "is not among the columns, which are %s", api.Short(shown)).WithHint("name the column of the rows' times so")
	}
	for _, key := range needed {
		i := slices.Index(all, key)
		if i < 0 {
			return fault.Field(key, "is not among the columns, which are %s", api.Short(shown)).WithHint("add it, or ask for no features of a %s", strings.TrimSuffix(key, "_id"))
		}
		if err := CheckColumn(k.fields[i], false); err != nil {
			return err
		}
	}
	return nil
}

// Unsaid is the first of what expressions want of each row that is no column; nil where all are.
func (k Keys) Unsaid(sel *featurestore.Selection) *features.RequestField {
	return sel.Unsaid(func(name string) bool { return k.column(name) >= 0 })
}

// Selected reads all that the join with a selection needs of a row of a batch: also whom it is about by each set of join keys, and what
// it says for expressions.
func (k Keys) Selected(sel *featurestore.Selection, columns []*arrow.Array, i int, where string, number int) (row featurestore.Row, err error) {
	if row.Row, err = k.Row(columns, i, where, number); err != nil {
		return row, err
	}
	row.Keys, err = sel.EntityKeys(nil, func(key *events.FeatureField) json.RawMessage {
		return KeyIn(columns[k.column(key.Name)], i, key)
	})
	if err == nil {
		row.Said, err = sel.Said(nil, func(f *events.FeatureField) (json.RawMessage, error) {
			return saidIn(columns[k.column(f.Name)], i, f)
		})
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return row, fault.Field(fmt.Sprintf("%s[%d].%s", where, number, f.Field), "%s", f.Message).WithHint("%s", cmp.Or(f.Hint, "give an id, or none"))
	}
	return row, err
}

// saidIn is a value of request data as JSON; nil is none. What is no number is none, too: it is what tables have in the place of a missing one.
func saidIn(a *arrow.Array, i int, f *events.FeatureField) (json.RawMessage, error) {
	if t := a.Field.Type; t.ID == arrow.FloatingPoint && a.Valid(i) {
		x := floatOf(a, i)
		if t.Bits == 32 {
			x = float64(math.Float32frombits(uint32(a.Bits(i))))
		}
		if math.IsNaN(x) {
			return nil, nil
		}
	}
	raw, err := ValueIn(a, i, f.Type)
	if err != nil {
		return nil, fault.Field(f.Name, "%v", err).WithHint("give a value of type %s, or none", f.Type)
	}
	return raw, nil
}

func (k Keys) column(name string) int {
	return slices.IndexFunc(k.fields, func(f *arrow.Field) bool { return f.Name == name })
}

// KeyIn is the value of a join key as JSON; nil is none.
func KeyIn(a *arrow.Array, i int, k *events.FeatureField) json.RawMessage {
	if !a.Valid(i) {
		return nil
	}
	switch f := a.Field; f.Type.ID {
	case arrow.Int:
		if !f.Type.Signed {
			return strconv.AppendUint(nil, uint64(a.Int64(i)), 10)
		}
		return strconv.AppendInt(nil, a.Int64(i), 10)
	case arrow.FloatingPoint:
		x := floatOf(a, i)
		if math.IsNaN(x) {
			return nil
		}
		return strconv.AppendFloat(nil, x, 'f', -1, 64)
	}
	return features.KeyCell(k, a.Text(i))
}

// Named are the names of the columns.
func (k Keys) Named() (names []string) {
	for _, f := range k.fields {
		names = append(names, f.Name)
	}
	return names
}

// Readable says whether the columns hold ids and times.
func (k Keys) Readable() error {
	for i, f := range k.fields {
		if i == k.At || i == k.User || i == k.Movie {
			if err := CheckColumn(f, i == k.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckColumn says whether a column can hold ids, or times: [KeyIn] and [TimeIn] read no others.
func CheckColumn(f *arrow.Field, times bool) error {
	switch f.Type.ID {
	case arrow.Utf8, arrow.LargeUtf8, arrow.Null:
		return nil
	case arrow.Int:
		if !times {
			return nil
		}
	case arrow.FloatingPoint:
		if !times && f.Type.Bits == 64 {
			return nil
		}
	case arrow.Timestamp, arrow.Date:
		if times {
			return nil
		}
	}
	if times {
		return fault.Field(f.Name, "holds no times").WithHint("make it one of times, with pandas.to_datetime(…, utc=True)")
	}
	return fault.Field(f.Name, "holds no ids").WithHint("give whole numbers or texts")
}

// Row reads what the join needs of a row of a batch; it is called where, such as "rows", and its number among all.
func (k Keys) Row(columns []*arrow.Array, i int, where string, number int) (row features.Row, err error) {
	for _, c := range []struct {
		at     int
		entity features.Entity
		id     *string
	}{{k.User, features.User, &row.UserID}, {k.Movie, features.Movie, &row.MovieID}} {
		if c.at < 0 {
			continue
		}
		if *c.id, err = idIn(columns[c.at], i, c.entity); err != nil {
			return row, k.wrong(c.at, where, number, err).WithHint("give the id of a %s, or none", c.entity)
		}
	}
	if row.TimeMillis, err = TimeIn(columns[k.At], i); err != nil {
		return row, k.wrong(k.At, where, number, err)
	}
	return row, nil
}

func (k Keys) wrong(column int, where string, number int, err error) *fault.Error {
	return fault.Field(fmt.Sprintf("%s[%d].%s", where, number, k.fields[column].Name), "%v", err)
}

// idIn reads an id; "" is nobody's.
func idIn(a *arrow.Array, i int, e features.Entity) (string, error) {
	if !a.Valid(i) {
		return "", nil
	}
	id, ok := "", true
	var err error
	switch f := a.Field; f.Type.ID {
	case arrow.Int:
		if id = strconv.FormatInt(a.Int64(i), 10); !f.Type.Signed {
			id = strconv.FormatUint(uint64(a.Int64(i)), 10)
		}
	case arrow.FloatingPoint:
		id, ok, err = events.KeyOf(strconv.FormatFloat(floatOf(a, i), 'f', -1, 64))
	default:
		id, ok, err = events.KeyOf(a.Text(i))
	}
	if err == nil && ok {
		err = api.CheckID("", id)
	}
	if err != nil || !ok {
		return "", err
	}
	if e == features.Movie {
		return events.CanonicalMovie(id), nil
	}
	return events.CanonicalUser(id), nil
}

// TimeIn reads a time into Unix milliseconds, without what is finer: facts have no finer times. One without a zone is in UTC.
func TimeIn(a *arrow.Array, i int) (millis int64, err error) {
	if !a.Valid(i) {
		return 0, fmt.Errorf("is missing")
	}
	switch t := a.Field.Type; t.ID {
	case arrow.Timestamp:
		millis = a.Int64(i)
		switch t.Unit {
		case arrow.Second:
			millis = max(min(millis, events.TimeMillisEnd), -1) * 1000
		case arrow.Microsecond:
			millis = floor(millis, 1000)
		case arrow.Nanosecond:
			millis = floor(millis, 1_000_000)
		}
	case arrow.Date:
		if millis = a.Int64(i); t.Unit == 0 {
			millis *= 86_400_000
		}
	default:
		return events.MillisOf(a.Text(i))
	}
	if millis < events.TimeMillisMin || millis >= events.TimeMillisEnd {
		return 0, fmt.Errorf("is outside 1970 to 2100")
	}
	return millis, nil
}

func floor(x, by int64) int64 {
	if x < 0 {
		return (x - by + 1) / by
	}
	return x / by
}

// FieldOf is a column of a type of features.
func FieldOf(name string, t features.Type) *arrow.Field {
	if scalar, list := features.ItemType(t); list {
		return arrow.ListOf(name, FieldOf("item", features.Type(scalar)))
	}
	switch string(t) {
	case string(features.Int64):
		return arrow.Int64(name)
	case string(features.Float64):
		return arrow.Float64(name)
	case features.TypeInt32:
		return arrow.Int32(name)
	case features.TypeFloat32:
		return arrow.Float32(name)
	case features.TypeBool:
		return arrow.Truth(name)
	case features.TypeBytes:
		return arrow.Blob(name)
	case features.TypeTimestamp:
		return arrow.Millis(name)
	}
	return arrow.Text(name)
}

// Bytes is how much the values of columns take.
func Bytes(columns []*arrow.Column) (n int) {
	for _, c := range columns {
		n += c.Bytes()
	}
	return n
}

// Add adds a value to a column of its type.
func Add(c *arrow.Column, v *features.Value) {
	switch {
	case v.Status != features.Present:
		c.Null()
	case v.Type == features.Int64:
		c.Int(v.Int)
	case v.Type == features.Float64:
		c.Float(v.Float)
	case v.Type == features.String:
		c.Text(v.Str)
	case v.Type == features.StringList:
		c.Texts(v.List)
	default:
		scalar, list := features.ItemType(v.Type)
		if !list {
			addScalar(c, scalar, []byte(v.Str))
			return
		}
		c.List(func(items *arrow.Column) {
			for _, item := range features.Items(v.Str) {
				addScalar(items, scalar, item)
			}
		})
	}
}

// addScalar adds a value of a type that is no list, in its one form.
func addScalar(c *arrow.Column, t string, form []byte) {
	switch s := features.ScalarOf(t, form); t {
	case string(features.Float64), features.TypeFloat32:
		c.Float(s.Float)
	case features.TypeTimestamp:
		c.Int(s.Int * 1000)
	case string(features.Int64), features.TypeInt32, features.TypeBool:
		c.Int(s.Int)
	default:
		c.Text(s.Text)
	}
}

func floatOf(a *arrow.Array, i int) float64 { return math.Float64frombits(a.Bits(i)) }
