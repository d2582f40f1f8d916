package feast

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) onlineRoutes(r *api.Routes) {
	r.Handle("POST /get-online-features", s.getOnlineFeatures, views...)
}

// getOnlineFeatures answers column by column: the join keys first, in the order of the request, then the features.
func (s *Surface) getOnlineFeatures(w http.ResponseWriter, r *http.Request) error {
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	a, refused := parse(body)
	var m moment
	var reg *featurestore.Registry
	if refused == nil {
		m, refused, err = s.moment(r.Context(), a)
	}
	if refused == nil && err == nil {
		reg, err = s.Features.RegistryAt(m.at)
	}
	var c *choice
	if refused == nil && err == nil {
		c, refused, err = s.choose(reg, a)
	}
	var t *table
	if refused == nil && err == nil {
		t, refused = tableOf(reg, c, a)
	}
	switch {
	case err != nil:
		return err
	case refused != nil:
		return api.WriteJSON(w, refused.status, refused.body)
	}
	if err := s.read(r.Context(), t, &m); err != nil {
		return err
	}
	var versions []viewVersion
	if a.metadata {
		if versions, err = s.versionsOf(c.views, m.at); err != nil {
			return err
		}
	}
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	return out.End(t.write(out, versions))
}

// moment is what a request is asked as of.
type moment struct {
	at     fold.At // zero is now
	millis int64   // that windows, decay and ttl look back from
}

// moment is what a body and the path say.
func (s *Surface) moment(ctx context.Context, a *asked) (moment, *refusal, error) {
	then, millis := s.Then()
	wrong := func(field, text string) *refusal {
		return &refusal{http.StatusUnprocessableEntity, invalid(detail{"value_error", []any{"body", field}, "Value error, " + text, nil, nil})}
	}
	if a.knownAt != "" && !then.IsZero() {
		return moment{}, wrong(api.KnownAtParam, "the path says already what was known: leave it out, or ask without /at/"), nil
	}
	asked, err := s.MomentOf(ctx, a.asOf, a.knownAt)
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Invalid {
		return moment{}, wrong(f.Field, strings.TrimSuffix(f.Message+"; "+f.Hint, "; ")), nil
	}
	m := moment{asked.At, asked.Millis(cmp.Or(millis, s.Now().UnixMilli()))}
	if !then.IsZero() {
		m.at.Cut = then.Cut
	}
	return m, nil, err
}

// viewVersion is a view of an answer, with the number of its definition.
type viewVersion struct {
	Name    string `json:"name"`
	Version int    `json:"version,omitempty"`
}

// versionsOf are the versions of views as they were read.
func (s *Surface) versionsOf(views []features.Pin, at fold.At) ([]viewVersion, error) {
	var list []viewVersion
	for _, p := range views {
		if p.Number == 0 {
			had, err := s.Features.Versions(p.View, at)
			if err == nil && len(had) == 0 { // it came later than what is asked about
				had, err = s.Features.Versions(p.View, fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut})
			}
			if err != nil {
				return nil, err
			}
			if len(had) > 0 {
				p.Number = had[len(had)-1].Number
			}
		}
		if v := (viewVersion{p.View, p.Number}); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list, nil
}

// table is what is asked for: rows of entities, and of each entity the features.
type table struct {
	*choice
	rows int
	keys []column // that are answered
	of   []cells  // by part

	timeMillis int64 // the last that was written, and as it was
	time       []byte
	said       [][]features.Operand // what the request says for expressions, by row
	derived    [][]features.Value   // what they give, by feature and row
}

// cells are the features of the entities of one part, each entity once.
type cells struct {
	row  []int    // of each row of the table, the entity; -1 for nobody
	ids  []string // canonical
	ends []int    // of the values in text, entity by entity
	text []byte   // JSON
	what []features.Status
	when []int64 // Unix milliseconds
}

// tableOf finds whom a request is about.
func tableOf(reg *featurestore.Registry, c *choice, a *asked) (*table, *refusal) {
	t := &table{choice: c, rows: -1}
	byKey := map[string]*column{}
	for i := range a.entities {
		e := &a.entities[i]
		if t.rows >= 0 && len(e.values) != t.rows {
			return nil, plainError("All entity rows must have the same columns.")
		}
		t.rows = len(e.values)
		key := reg.JoinKey(e.name)
		if key == "" {
			continue
		}
		if byKey[key] == nil {
			t.keys = append(t.keys, column{key, nil})
		}
		byKey[key] = e
	}
	if t.rows < 0 {
		return nil, plainError("No entities are given: want the values of each join key")
	}
	for i := range t.keys {
		t.keys[i].values = byKey[t.keys[i].name].values
	}
	if n := (len(c.names) + len(c.base)) * t.rows; n > valuesMax {
		return nil, &refusal{http.StatusUnprocessableEntity, invalid(detail{"too_long", []any{"body", "entities"},
			fmt.Sprintf("%d features of %d rows are %d values; one request may ask for at most %d", len(c.names)+len(c.base), t.rows, n, valuesMax), nil, nil})}
	}
	if refused := t.says(a); refused != nil {
		return nil, refused
	}
	for _, p := range c.parts {
		var missing []string
		for _, k := range p.joinKeys {
			if byKey[k] == nil {
				missing = append(missing, "'"+k+"'")
			}
		}
		if missing != nil {
			return nil, plainError("Missing join key values for keys: [%s]", strings.Join(missing, ", "))
		}
		of, wrong := cellsOf(&p, byKey, t.rows)
		if wrong != nil {
			return nil, &refusal{http.StatusUnprocessableEntity, invalid(wrong...)}
		}
		t.of = append(t.of, of)
	}
	return t, nil
}

// says reads what the request says for expressions: columns beside the join keys.
func (t *table) says(a *asked) *refusal {
	if t.derive == nil || len(t.derive.Request) == 0 {
		return nil
	}
	var missing []string
	var columns []*column
	for _, f := range t.derive.Request {
		i := slices.IndexFunc(a.entities, func(c column) bool { return c.name == f.Name })
		if i < 0 {
			missing = append(missing, "'"+f.Name+"'")
			continue
		}
		columns = append(columns, &a.entities[i])
	}
	if missing != nil {
		return noRequestData(missing)
	}
	var wrong []detail
	for row := range t.rows {
		said := make([]features.Operand, len(columns))
		for i, f := range t.derive.Request {
			value, err := features.Coerce(f.Type, columns[i].values[row])
			if err != nil && len(wrong) < detailsMax {
				wrong = append(wrong, detail{"value_error", []any{"body", "entities", f.Name, row}, "Value error, " + err.Error(), columns[i].values[row], nil})
			}
			said[i] = features.OperandJSON(f.Type, value, features.Present, 0)
		}
		t.said = append(t.said, said)
	}
	if wrong != nil {
		return &refusal{http.StatusUnprocessableEntity, invalid(wrong...)}
	}
	return nil
}

func cellsOf(p *part, byKey map[string]*column, rows int) (c cells, wrong []detail) {
	known := map[string]int{}
	for i := range rows {
		id, at, err := p.id(byKey, i)
		if err != nil && len(wrong) < detailsMax {
			wrong = append(wrong, detail{"value_error", []any{"body", "entities", at.name, i}, "Value error, " + err.Error(), at.values[i], nil})
		}
		e, ok := known[id]
		switch {
		case id == "":
			e = -1
		case !ok:
			e = len(c.ids)
			known[id] = e
			c.ids = append(c.ids, id)
		}
		c.row = append(c.row, e)
	}
	return c, wrong
}

// id is whom a row is about; of what is wrong with it, also in which column.
func (p *part) id(byKey map[string]*column, row int) (id string, at *column, err error) {
	if p.external == nil {
		at = byKey[p.joinKeys[0]]
		id, err = idOf(p.entity, at.values[row])
		return id, at, err
	}
	if len(p.joinKeys) > 0 {
		at = byKey[p.joinKeys[0]]
	}
	id, err = p.external.EntityKey(func(k string) json.RawMessage { return byKey[k].values[row] })
	var f *fault.Error
	if errors.As(err, &f) {
		at, err = cmp.Or(byKey[f.Field], at), errors.New(f.Message)
	}
	return id, at, err
}

// idOf reads an id, given as a number or a text; "" is nobody's: null, or what tables have in its place.
func idOf(e features.Entity, raw json.RawMessage) (string, error) {
	var text string
	switch c := raw[0]; {
	case string(raw) == "null":
		return "", nil
	case c == '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", err
		}
	case c >= '0' && c <= '9':
		text = string(raw)
	default:
		return "", fmt.Errorf("want an id, as a string or a whole number, or null")
	}
	id, ok, err := events.KeyOf(text)
	if err != nil || !ok {
		return "", err
	}
	if err := api.CheckID("", id); err != nil {
		return "", err
	}
	if e == features.Movie {
		return events.CanonicalMovie(id), nil
	}
	return events.CanonicalUser(id), nil
}

// read reads each entity once.
func (s *Surface) read(ctx context.Context, t *table, m *moment) error {
	var values []features.Value
	var pushed []featurestore.PushedValue
	var room []byte
	for i := range t.parts {
		p, c := &t.parts[i], &t.of[i]
		c.room(len(c.ids) * len(p.refs))
		for _, id := range c.ids {
			if err := ctx.Err(); err != nil {
				return err
			}
			if p.external != nil {
				var err error
				if pushed, err = s.Features.ReadPushed(ctx, pushed[:0], p.external, p.refs, id, m.at, m.millis); err != nil {
					return err
				}
				for k := range pushed {
					c.add(pushed[k].JSON, pushed[k].Status, pushed[k].EventTimeMillis)
				}
				continue
			}
			user, movie := id, ""
			if p.entity == features.Movie {
				user, movie = "", id
			}
			var err error
			if values, err = s.Features.Read(ctx, values[:0], p.sel, user, movie, m.at, m.millis); err != nil {
				return err
			}
			for k := range values {
				room = appendValue(room[:0], &values[k])
				c.add(room, values[k].Status, values[k].EventTimeMillis)
			}
		}
	}
	return t.computeDerived(ctx)
}

// computeDerived computes what on-demand views give, of each row.
func (t *table) computeDerived(ctx context.Context) error {
	if t.derive == nil {
		return nil
	}
	t.derived = make([][]features.Value, t.derive.Outputs())
	for row := range t.rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		read := func(base int) features.Operand {
			text, status, millis := t.cell(row, t.base[base])
			return features.OperandJSON(t.types[base], text, status, millis)
		}
		var said []features.Operand
		if t.said != nil {
			said = t.said[row]
		}
		for i := range t.derived {
			t.derived[i] = append(t.derived[i], t.derive.Compute(i, read, said))
		}
	}
	return nil
}

// room makes room for so many values.
func (c *cells) room(n int) {
	c.text, c.ends, c.what, c.when = make([]byte, 0, 12*n), make([]int, 0, n), make([]features.Status, 0, n), make([]int64, 0, n)
}

// add adds the next value of the next entity.
func (c *cells) add(json []byte, status features.Status, millis int64) {
	c.text = append(c.text, json...)
	c.ends, c.what, c.when = append(c.ends, len(c.text)), append(c.what, status), append(c.when, millis)
}

// appendValue appends a value as Feast writes it: a float as one also where it is whole, since clients tell the type by
// it; what is no number as text; null for none.
func appendValue(dst []byte, v *features.Value) []byte {
	if v.Status != features.Present || v.Type != features.Float64 {
		return v.AppendJSON(dst)
	}
	return features.AppendFloat(dst, v.Float, 64)
}

// cell is the value of a row, its status and its time.
func (t *table) cell(row int, at place) ([]byte, features.Status, int64) {
	if at.part == isDerived {
		v := &t.derived[at.column][row]
		return appendValue(nil, v), v.Status, v.EventTimeMillis
	}
	c := &t.of[at.part]
	e := c.row[row]
	if e < 0 {
		return []byte("null"), features.NotFound, 0
	}
	i := e*len(t.parts[at.part].refs) + at.column
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]], c.what[i], c.when[i]
}

func (t *table) write(w io.Writer, versions []viewVersion) error {
	b := []byte(`{"results": [`)
	for i, k := range t.keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = t.column(b, func(row int) ([]byte, features.Status, int64) { return k.values[row], features.Present, 0 })
	}
	for i, at := range t.at {
		if i+len(t.keys) > 0 {
			b = append(b, ", "...)
		}
		b = t.column(b, func(row int) ([]byte, features.Status, int64) { return t.cell(row, at) })
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	names := make([]string, 0, len(t.keys)+len(t.names))
	for _, k := range t.keys {
		names = append(names, k.name)
	}
	end := map[string]any{"feature_names": append(names, t.names...)}
	if versions != nil {
		end["feature_view_metadata"] = versions
	}
	last, err := api.EncodeJSON(end)
	if err != nil {
		return err
	}
	b = append(append(append(b, `], "metadata": `...), last[:len(last)-1]...), '}')
	_, err = w.Write(b)
	return err
}

// column appends one column of the answer.
func (t *table) column(b []byte, cell func(row int) ([]byte, features.Status, int64)) []byte {
	list := func(name string, each func(row int)) {
		b = append(append(b, name...), ": ["...)
		for row := range t.rows {
			if row > 0 {
				b = append(b, ", "...)
			}
			each(row)
		}
		b = append(b, ']')
	}
	list(`{"values"`, func(row int) {
		text, _, _ := cell(row)
		b = append(b, text...)
	})
	list(`, "statuses"`, func(row int) {
		_, status, _ := cell(row)
		b = append(append(append(b, '"'), status.String()...), '"')
	})
	list(`, "event_timestamps"`, func(row int) {
		_, _, millis := cell(row)
		if t.time == nil || millis != t.timeMillis { // mostly all are the same
			t.timeMillis, t.time = millis, appendTime(t.time[:0], millis)
		}
		b = append(b, t.time...)
	})
	return append(b, '}')
}

// appendTime appends a time as protobuf's JSON form has it; 1970 for none.
func appendTime(b []byte, millis int64) []byte {
	layout := `"2006-01-02T15:04:05.000Z"`
	if millis%1000 == 0 {
		layout = `"2006-01-02T15:04:05Z"`
	}
	return time.UnixMilli(millis).UTC().AppendFormat(b, layout)
}
