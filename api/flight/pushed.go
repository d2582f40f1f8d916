package flight

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// pullPushed answers the table that a view of pushed values is: what was pushed, or of each entity the row that counts. A ttl
// says what is served and joined, not what was pushed.
func (s *Surface) pullPushed(ctx context.Context, a *answer, c *command, x *features.External) error {
	keys := keysOf(x)
	asked := slices.DeleteFunc(slices.Clone(c.JoinKeyColumns), func(name string) bool { return name == features.NobodysKey })
	if !sameNames(asked, keys) {
		return fault.Field("join_key_columns", "are %s; those of %s are %s", api.Short(strings.Join(c.JoinKeyColumns, ", ")), x.Name, strings.Join(keys, ", ")).
			WithHint("ask for %s", strings.Join(keys, ", "))
	}
	var chosen []*events.FeatureField
	var values []features.Value
	for _, name := range c.FeatureNameColumns {
		f := x.Feature(name)
		if f == nil {
			return noFeature(x.Name, name)
		}
		chosen, values = append(chosen, f), append(values, features.Value{Type: features.Type(f.Type)})
	}
	from, err := dateOf("start_date", c.StartDate, 0)
	if err != nil {
		return err
	}
	to, err := dateOf("end_date", c.EndDate, events.TimeMillisEnd-1)
	if err != nil {
		return err
	}
	done, err := s.Features.BeginJoin()
	if err != nil {
		return err
	}
	defer done()
	var own []*arrow.Field
	places := []int{} // of the join keys among the view's
	for i := range x.JoinKeys {
		if x.JoinKeys[i].Name == features.NobodysKey {
			continue
		}
		numbers, err := s.numbers(ctx, x, i)
		if err != nil {
			return err
		}
		f := arrow.Text(x.JoinKeys[i].Name)
		if numbers {
			f = arrow.Int64(x.JoinKeys[i].Name)
		}
		own, places = append(own, f), append(places, i)
	}
	at := len(own)
	own = append(own, arrow.Millis(c.TimestampField))
	created := c.CreatedTimestampColumn != nil && *c.CreatedTimestampColumn != ""
	if created {
		own = append(own, arrow.Millis(*c.CreatedTimestampColumn))
	}
	t := newPulled(a, own, c.FeatureNameColumns, values)
	for row, err := range s.Features.PushedTable(ctx, x, chosen, from, to, c.API == "pull_all_from_table_or_query") {
		for i, place := range places {
			if err == nil {
				err = addID(t.own[i], row.IDs[place])
			}
		}
		if err != nil {
			return err
		}
		t.own[at].Int(row.Millis)
		if created {
			t.own[at+1].Int(row.CreatedMillis)
		}
		if err := t.add(row.Values); err != nil {
			return err
		}
	}
	return t.end()
}

// numbers says whether a join key is answered as whole numbers: by its type, or, of a view of the definitions file, whose keys have
// none, as long as all are.
func (s *Surface) numbers(ctx context.Context, x *features.External, key int) (bool, error) {
	if t := x.JoinKeys[key].Type; t == string(features.Int64) || t == features.TypeInt32 || x.Project != "" {
		return t != string(features.String), nil
	}
	for e, err := range s.Features.PushedEntities(ctx, x) {
		if err != nil {
			return false, err
		}
		if n, bad := strconv.ParseInt(e.IDs[key], 10, 64); bad != nil || strconv.FormatInt(n, 10) != e.IDs[key] {
			return false, nil
		}
	}
	return true, nil
}
