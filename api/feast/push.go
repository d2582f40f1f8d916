package feast

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) pushRoutes(r *api.Routes) {
	r.Handle("POST /push", s.push)
	r.Handle("POST /write-to-online-store", s.writeToOnlineStore)
	r.Handle("POST /materialize", s.materialize)
	r.Handle("POST /materialize-incremental", s.materializeIncremental)
}

// Where pushed values go.
const (
	toOnline  = "online"
	toOffline = "offline"
	toBoth    = "online_and_offline"
)

// frame is a table as Feast's clients send it: values by column.
type frame struct {
	columns map[string]*column
	rows    int
}

// frame reads a table; its columns are of one length.
func (r *reading) frame(raw json.RawMessage) *frame {
	if raw[0] != '{' {
		r.wrong("dict_type", "Input should be a valid dictionary", raw, "df")
		return nil
	}
	f := &frame{map[string]*column{}, -1}
	for _, field := range fieldsOf(raw) {
		c := &column{field.name, r.list(field.value, "df", field.name)}
		if f.rows >= 0 && len(c.values) != f.rows && len(r.details) == 0 {
			r.wrong("value_error", fmt.Sprintf("Value error, the column has %d values, others have %d", len(c.values), f.rows), nil, "df", field.name)
		}
		f.rows, f.columns[c.name] = len(c.values), c
	}
	if f.rows > pushRowsMax {
		r.wrong("too_long", fmt.Sprintf("%d rows; one request may bring at most %d", f.rows, pushRowsMax), nil, "df")
	}
	return f
}

// pushed is the body of a request that brings values.
type pushed struct {
	name string // of the source or the view
	to   string
	df   *frame
}

// parsePushed reads such a body, in which nameField says where the values belong.
func parsePushed(body []byte, nameField string) (*pushed, *refusal) {
	r := &reading{}
	p := &pushed{to: toOnline}
	for _, f := range r.fields(body) {
		switch f.name {
		case nameField:
			p.name = r.text(f.value, f.name)
		case "to":
			p.to = r.text(f.value, f.name)
		case "df":
			p.df = r.frame(f.value)
		case "allow_registry_cache", "transform_on_write":
			r.truth(f.value, f.name)
		}
	}
	if len(r.details) == 0 {
		for name, missing := range map[string]bool{nameField: p.name == "", "df": p.df == nil} {
			if missing {
				r.wrong("missing", "Field required", rawOf(body), name)
			}
		}
		slices.SortFunc(r.details, func(a, b detail) int { return strings.Compare(fmt.Sprint(b.Loc), fmt.Sprint(a.Loc)) })
	}
	if len(r.details) > 0 {
		return nil, &refusal{http.StatusUnprocessableEntity, invalid(r.details...)}
	}
	return p, nil
}

// push takes values for every view of a push source.
func (s *Surface) push(w http.ResponseWriter, r *http.Request) error {
	return s.takes(w, r, "push_source_name", func(reg *featurestore.Registry, p *pushed) ([]*features.External, *refusal) {
		if p.to != toOnline && p.to != toOffline && p.to != toBoth {
			return nil, plainError("%s is not a supported push format. Please specify one of these ['online', 'offline', 'online_and_offline'].", p.to)
		}
		views := reg.PushedTo(p.name)
		if views == nil {
			return nil, noSource(p.name)
		}
		return views, nil
	}, func(w http.ResponseWriter) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

// writeToOnlineStore takes values for a view.
func (s *Surface) writeToOnlineStore(w http.ResponseWriter, r *http.Request) error {
	return s.takes(w, r, "feature_view_name", func(reg *featurestore.Registry, p *pushed) ([]*features.External, *refusal) {
		switch x := reg.ExternalNamed(p.name); {
		case x != nil:
			p.to = toOnline
			return []*features.External{x}, nil
		case reg.View(p.name) != nil:
			return nil, computed(p.name)
		}
		return nil, noObject(p.name)
	}, func(w http.ResponseWriter) error { return api.WriteJSON(w, http.StatusOK, nil) })
}

// takes reads a body with values, finds the views that they are for, and writes them to the log: all rows are valid, or none
// is written. It answers when they are served.
func (s *Surface) takes(w http.ResponseWriter, r *http.Request, nameField string, viewsOf func(*featurestore.Registry, *pushed) ([]*features.External, *refusal), done func(http.ResponseWriter) error) error {
	body, err := api.ReadBody(w, r, pushBodyBytesMax)
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	reg, err := s.Features.Registry()
	if err != nil {
		return err
	}
	p, refused := parsePushed(body, nameField)
	var views []*features.External
	if refused == nil {
		views, refused = viewsOf(reg, p)
	}
	var facts []commands.Fact
	if refused == nil {
		facts, refused = factsOf(views, p)
	}
	if refused != nil {
		return api.WriteJSON(w, refused.status, refused.body)
	}
	wrong, err := s.publish(r.Context(), facts, m)
	switch {
	case wrong != nil:
		return api.WriteJSON(w, wrong.status, wrong.body)
	case err != nil:
		return err
	}
	return done(w)
}

// factsOf are the rows of a table as values of the views, or what is wrong with them, all of it.
func factsOf(views []*features.External, p *pushed) (facts []commands.Fact, refused *refusal) {
	r := &reading{}
	values := 0
	for _, x := range views {
		values += p.df.rows * len(x.Features)
	}
	if values > pushValuesMax {
		r.wrong("too_long", fmt.Sprintf("%d values; one request may bring at most %d", values, pushValuesMax), nil, "df")
	}
	for _, x := range views {
		if len(r.details) == 0 {
			facts = r.rows(facts, x, views, p)
		}
	}
	if len(r.details) > 0 {
		return nil, &refusal{http.StatusUnprocessableEntity, invalid(r.details...)}
	}
	return facts, nil
}

// rows appends the rows of a table as values of a view; all are those that the table is of.
func (r *reading) rows(facts []commands.Fact, x *features.External, all []*features.External, p *pushed) []commands.Fact {
	need := func(name string) *column {
		c := p.df.columns[name]
		if c == nil {
			r.wrong("missing", fmt.Sprintf("Field required: feature view %s has the column %s", x.Name, name), nil, "df", name)
		}
		return c
	}
	for _, k := range x.JoinKeys {
		if k.Name != features.NobodysKey {
			need(k.Name)
		}
	}
	columns := make([]*column, len(x.Features))
	for i, f := range x.Features {
		columns[i] = need(f.Name)
	}
	at := p.df.columns[x.TimeColumn]
	if at == nil { // Feast's remote store says it so, whatever the source does
		at = need("event_timestamp")
	}
	created := p.df.columns[x.CreatedIn]
	if x.CreatedIn == "" || created == nil {
		created = p.df.columns["created"]
		if slices.ContainsFunc(all, func(x *features.External) bool { return x.HasColumn("created") }) { // it is what it says
			created = nil
		}
	}
	if len(r.details) > 0 {
		return nil
	}
	for row := range max(0, p.df.rows) {
		v := events.FeatureValues{View: x.Name, Values: make(map[string]json.RawMessage, len(columns)), Offline: p.to == toOffline}
		var err error
		if v.EntityKey, err = x.EntityKey(func(k string) json.RawMessage { return p.df.columns[k].values[row] }); err != nil {
			var f *fault.Error
			if errors.As(err, &f) {
				r.wrong("value_error", "Value error, "+f.Message, nil, "df", f.Field, row)
			}
		} else if v.EntityKey == "" {
			r.wrong("value_error", "Value error, a join key is null: the values are nobody's", nil, "df", x.JoinKeys[0].Name, row)
		}
		v.Timestamp = r.moment(at, row, true)
		if created != nil {
			v.Created = r.moment(created, row, false)
		}
		for i, f := range x.Features {
			value, err := features.Coerce(f.Type, columns[i].values[row])
			if err != nil {
				r.wrong("value_error", "Value error, "+err.Error(), columns[i].values[row], "df", f.Name, row)
			}
			v.Values[f.Name] = value
		}
		facts = append(facts, &commands.PushFeatureValues{FeatureValues: v})
	}
	return facts
}

// moment reads a time, of which one without a zone is in UTC; "" is null, where there may be none.
func (r *reading) moment(c *column, row int, needed bool) string {
	raw := c.values[row]
	var text string
	if json.Unmarshal(raw, &text) != nil || text == "" && needed {
		r.wrong("value_error", "Value error, want a time such as 2024-01-15T10:30:00Z", raw, "df", c.name, row)
		return ""
	}
	if len(text) > 10 && text[10] == ' ' { // as tables print it
		text = text[:10] + "T" + text[11:]
	}
	if text == "" {
		return ""
	}
	millis, err := events.TimeMillis(text)
	if err != nil {
		r.wrong("value_error", "Value error, "+err.Error(), raw, "df", c.name, row)
		return ""
	}
	return events.FormatTime(events.TimeOf(millis))
}

// publish writes facts to the log and waits until they are served. What is wrong with one that nobody could know before is
// an answer.
func (s *Surface) publish(ctx context.Context, facts []commands.Fact, m handlers.Meta) (*refusal, error) {
	now := s.Now()
	for i, f := range facts {
		err := f.Validate()
		if millis, bad := events.TimeMillis(f.Time()); err == nil && bad == nil {
			err = events.CheckTime(events.TimeOf(millis), now)
		}
		if err != nil {
			return &refusal{http.StatusUnprocessableEntity, invalid(detail{"value_error", []any{"body", "df", i}, "Value error, " + err.Error(), nil, nil})}, nil
		}
	}
	if m.IdempotencyKey != "" {
		p, err := s.Dispatcher.Publish(ctx, facts, m)
		if err == nil {
			s.Settle(ctx, p.Positions, "feature-values")
		}
		return nil, err
	}
	cut := streams.Cut{}
	for batch := range slices.Chunk(facts, pushBatch) {
		all := make([]handlers.Identified, len(batch))
		for i, f := range batch {
			all[i] = handlers.Identified{ID: uuid.NewString(), Fact: f}
		}
		done, err := s.Dispatcher.PublishMany(ctx, events.FeatureValuesTopic, all, m)
		if err != nil {
			return nil, err
		}
		for tp, next := range done {
			cut[tp] = max(cut[tp], next)
		}
	}
	var last []streams.Position
	for tp, next := range cut {
		last = append(last, streams.Position{TP: tp, Offset: next - 1})
	}
	s.Settle(ctx, last, "feature-values")
	return nil, nil
}
