package flight

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

// historical joins the rows of a table with features as they were at each row's own time.
func (s *Surface) historical(ctx context.Context, a *answer, c *command, p *put) error {
	if c.EntitySQL != nil {
		return fault.Field("entity_df", "is SQL, and there is no database here that could run it").WithHint("give a DataFrame, such as pandas.read_sql makes of it")
	}
	t, err := openTable(api.Interrupted(ctx, p.body.Open()))
	if err != nil {
		return err
	}
	how, err := t.asked()
	if err != nil {
		return err
	}
	m, err := s.MomentOf(ctx, "", how.KnownAt)
	if err != nil {
		return err
	}
	reg, err := s.Features.RegistryFor(m.At)
	if err != nil {
		return err
	}
	for i, ref := range c.FeatureRefs {
		c.FeatureRefs[i] = features.Plain(ref)
	}
	if reg, err = s.Features.Pinned(reg, c.FeatureRefs, fold.At{}); err != nil {
		return err
	}
	sel, names, err := selectionOf(reg, c)
	if err != nil {
		return err
	}
	done, err := s.Features.BeginJoin()
	if err != nil {
		return err
	}
	defer done()
	keys := featurestore.Keys{File: spill.NewFile(s.ScratchDir, spoolMemoryBytes)}
	defer keys.File.Close() //nolint:errcheck // scratch is emptied at start
	if err := t.fits(sel, names); err != nil {
		return err
	}
	if err := t.eachBatch(func(rows int, columns []*arrow.Array) error {
		for i := range rows {
			row, err := t.keys.Selected(sel, columns, i, "entity_df", t.row0+i)
			if err != nil {
				return err
			}
			if err := keys.Add(row); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	values := s.Features.Historical(ctx, featurestore.Historical{Selection: sel, At: m.At, AtRow: how.KnownAtRow, Exclusive: how.Exclusive,
		Scratch: s.ScratchDir}, keys.All())
	again, err := openTable(p.body.Open())
	if err != nil {
		return err
	}
	return again.join(a, sel, names, values)
}

// selectionOf resolves what a command asks for, and how the columns are called. A view may have an alias, by with_name.
func selectionOf(reg *featurestore.Registry, c *command) (*featurestore.Selection, []string, error) {
	aliases := map[string]string{}
	for i, view := range c.FeatureViewNames {
		if reg.View(view) == nil && reg.ExternalNamed(view) == nil && reg.OnDemandView(view) == nil {
			return nil, nil, noView(view)
		}
		if i < len(c.NameAliases) && c.NameAliases[i] != nil && *c.NameAliases[i] != "" {
			aliases[*c.NameAliases[i]] = view
		} else {
			aliases[view] = view
		}
	}
	var refs, names []string
	for _, ref := range c.FeatureRefs {
		of, name, ok := strings.Cut(ref, ":")
		if !ok {
			return nil, nil, fault.Field("feature_refs", "%q is no reference", api.Short(ref)).WithHint("write view:feature")
		}
		view := aliases[of]
		if view == "" {
			view = of
		}
		v, x, o := reg.View(view), reg.ExternalNamed(view), reg.OnDemandView(view)
		switch {
		case v == nil && x == nil && o == nil:
			return nil, nil, noView(view)
		case v != nil && v.Feature(name) == nil, x != nil && x.Feature(name) == nil, v == nil && o != nil && o.Feature(name) == nil:
			return nil, nil, noFeature(view, name)
		}
		refs = append(refs, view+":"+name)
		if c.FullFeatureNames {
			name = of + "__" + name
		}
		if slices.Contains(names, name) {
			return nil, nil, feast(fault.Conflict, "FeatureNameCollisionError", "Duplicate features named %s found. Ask with full_feature_names=True, or rename one.", name)
		}
		names = append(names, name)
	}
	sel, err := reg.Selection(refs, true)
	return sel, names, err
}

func noFeature(view, name string) error {
	return feast(fault.NotFound, "FeastObjectNotFoundException", "Feature %s not found in projection %s", name, view)
}

func feast(code fault.Code, class, format string, args ...any) error {
	e := &feastError{"feast.errors", class, fmt.Sprintf(format, args...)}
	return &fault.Error{Code: code, Message: e.Message, Err: e}
}

func noView(name string) error {
	return feast(fault.NotFound, "FeatureViewNotFoundException", "Feature view %s does not exist in project projectionist", name)
}

// entityTable is a table of entity rows as it comes.
type entityTable struct {
	schema *arrow.Schema
	in     *frames
	keys   tables.Keys
	row0   int // of the batch that is read, in the table
}

// openTable reads the schema.
func openTable(in io.Reader) (*entityTable, error) {
	t := &entityTable{in: &frames{in: in}}
	d, err := t.next()
	if err == io.EOF {
		err = fault.New(fault.Invalid, "the stream has no schema")
	}
	if err != nil {
		return nil, err
	}
	if t.schema, err = arrow.ReadSchema(d.header); err != nil {
		return nil, err
	}
	t.keys = tables.KeysOf(t.schema.Fields)
	return t, nil
}

// next is the next message that is part of the table: a command may come alone before it.
func (t *entityTable) next() (data, error) {
	for {
		b, err := t.in.next()
		if err != nil {
			return data{}, err
		}
		if d, err := readData(b); err != nil || len(d.header) > 0 {
			return d, err
		}
	}
}

// fits says whether the table can be joined with the selection.
func (t *entityTable) fits(sel *featurestore.Selection, names []string) error {
	if all := t.schema.Fields; len(all) == 1 && all[0].Name == "key" { // what Feast's client sends in the place of none
		return fault.Field("entity_df", "is missing").WithHint("give a DataFrame of ids and times: the features of everybody at all times are no table to train on; " +
			"pull_all_from_table_or_query has them")
	}
	if f := t.keys.Unsaid(sel); f != nil {
		return feast(fault.Invalid, "RequestDataNotFoundInEntityDfException", "Feature %s not found in the entity dataframe, but required by feature view %s", f.Name, f.View)
	}
	return t.keys.Fits(sel.Needs(), names)
}

// eachBatch reads the rest of the table.
func (t *entityTable) eachBatch(each func(rows int, columns []*arrow.Array) error) error {
	for t.row0 = 0; ; {
		d, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		n, columns, err := t.schema.ReadBatch(d.header, d.body)
		if err != nil {
			return err
		}
		if err := each(n, columns); err != nil {
			return err
		}
		t.row0 += n
	}
}

// asked is how to join, which Feast's client has no words for: attributes of the DataFrame say it, which pandas sends along.
type asked struct {
	KnownAt    string `json:"known_at"`
	KnownAtRow bool   `json:"known_at_row"`
	Exclusive  bool   `json:"exclusive"`
}

func (t *entityTable) asked() (asked, error) {
	var pandas struct {
		Attributes asked `json:"attributes"`
	}
	for _, p := range t.schema.Metadata {
		if p.Key != "pandas" {
			continue
		}
		if err := json.Unmarshal([]byte(p.Value), &pandas); err != nil {
			return asked{}, fault.Wrap(fault.Invalid, err, "the attributes of the DataFrame")
		}
	}
	return pandas.Attributes, nil
}

// join writes the rows of the table with their values, in pieces.
func (t *entityTable) join(a *answer, sel *featurestore.Selection, names []string, values iter.Seq2[[]features.Value, error]) error {
	next, stop := iter.Pull2(values)
	defer stop()
	out := newWriter(a, t.answered(), names, sel.Unknown())
	err := t.eachBatch(func(rows int, columns []*arrow.Array) error {
		from := 0
		for i := range rows {
			v, err, _ := next()
			if err != nil {
				return err
			}
			if out.add(v); i+1 == rows || out.full(i+1-from) {
				var own []*arrow.Array
				for _, c := range columns {
					own = append(own, c.Slice(from, i+1))
				}
				if err := out.flush(own); err != nil {
					return err
				}
				from = i + 1
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return out.end()
}

// answered is the schema of the rows in the answer: as it came, with times in UTC.
func (t *entityTable) answered() *arrow.Schema {
	s := *t.schema
	s.Fields = slices.Clone(s.Fields)
	if at := s.Fields[t.keys.At]; at.Type.ID == arrow.Timestamp && at.Type.Zone == "" {
		utc := *at
		utc.Type.Zone = "UTC"
		s.Fields[t.keys.At] = &utc
	}
	return &s
}
