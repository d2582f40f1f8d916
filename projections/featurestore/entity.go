package featurestore

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"

	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// OfEntity is features of one view of one entity.
type OfEntity struct {
	Registry *Registry          // by which they are read
	View     *features.View     // that is computed, or
	External *features.External // whose values are pushed
	Names    []string           // of the features; none is all
	ID       string             // canonical: whom a computed view is asked about
	Key      string             // likewise of a pushed one, see [features.External.EntityKey]
}

// FeatureNames are the names of the features.
func (o *OfEntity) FeatureNames() (names []string) {
	switch {
	case o.Names != nil:
		return o.Names
	case o.View == nil:
		for i := range o.External.Features {
			names = append(names, o.External.Features[i].Name)
		}
	default:
		for i := range o.View.Features {
			names = append(names, o.View.Features[i].Name)
		}
	}
	return names
}

// References are the features as view:feature.
func (o *OfEntity) References() (refs []string) {
	name := ""
	if o.View != nil {
		name = o.View.Name
	} else {
		name = o.External.Name
	}
	for _, f := range o.Names {
		refs = append(refs, name+":"+f)
	}
	if refs == nil {
		refs = []string{name}
	}
	return refs
}

// row asks for them as of an event time in Unix milliseconds.
func (o *OfEntity) row(millis int64) Row {
	switch {
	case o.View == nil:
		return Row{Row: features.Row{TimeMillis: millis}, Keys: []string{o.Key}}
	case o.View.Entity == features.Movie:
		return Row{Row: features.Row{MovieID: o.ID, TimeMillis: millis}}
	}
	return Row{Row: features.Row{UserID: o.ID, TimeMillis: millis}}
}

// Series gives features of an entity as they were at some event times (Unix milliseconds), in their order: each what a row of a join of that time has. With atRow
// what was recorded after a time is left out at it. The values are valid until the next; an error is the last that it yields. The selection says what they are.
func (f *Store) Series(ctx context.Context, o OfEntity, known fold.At, atRow bool, scratch string, times []int64) (*Selection, iter.Seq2[[]features.Value, error], error) {
	sel, err := o.Registry.Selection(o.References(), false)
	if err != nil {
		return nil, nil, err
	}
	return sel, f.Historical(ctx, Historical{Selection: sel, At: known, AtRow: atRow, Scratch: scratch}, func(yield func(Row, error) bool) {
		for _, t := range times {
			if !yield(o.row(t), nil) {
				return
			}
		}
	}), nil
}

// First is the event time of the first that is known to have happened to an entity, or to have been pushed of it; false for nothing.
func (f *Store) First(o OfEntity, known fold.At) (millis int64, ok bool, err error) {
	known = fold.At{RecordedMillis: known.RecordedMillis, Cut: known.Cut}
	if o.View == nil {
		for row, err := range f.Pushed(o.External, o.Key, known) {
			return row.EventMillis, err == nil, err
		}
		return 0, false, nil
	}
	for x, err := range f.history(o.View.Entity, o.ID, known) {
		return x.EventMillis, err == nil, err
	}
	return 0, false, nil
}

// PointInTime is features of an entity as a row of a join has them, with what made each.
type PointInTime struct {
	Features []Sourced `json:"features"`
	Looked
}

// Late is what had happened to an entity, or was so, and was not known: the newest first.
type Late struct {
	Items []Cause `json:"items"`
	More  bool    `json:"more,omitempty"` // than are told
	Looked
}

// Looked says how far back events were looked at.
type Looked struct {
	// LookedTo is an event time in Unix milliseconds: facts before it were not looked at; 0: all were.
	LookedTo int64 `json:"looked_to_millis,omitempty"`
}

// Sourced is a feature's value, and the last event that changed it; By is nil where there is none, or it is older than what was looked at. As time goes by a value
// may be another than By made it: windows slide.
type Sourced struct {
	Feature string          `json:"feature"`
	Type    features.Type   `json:"type"`
	Value   json.RawMessage `json:"value"`
	Status  string          `json:"status"`
	By      *Made           `json:"by,omitempty"`
}

// Made is an event that changed a feature's value, which one and to which; null is none.
type Made struct {
	Cause
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// lateMax bounds the events that came too late that are told.
const lateMax = 200

// PointInTime tells features of an entity as of an event time (Unix milliseconds), as known at a moment, with the event that made each. [factsLookedAt] facts are looked at for
// events, the newest.
func (f *Store) PointInTime(ctx context.Context, o OfEntity, known fold.At, millis int64, scratch string) (*PointInTime, error) {
	known = fold.At{RecordedMillis: known.RecordedMillis, Cut: known.Cut}
	out := &PointInTime{Features: []Sourced{}}
	_, rows, err := f.Series(ctx, o, known, false, scratch, []int64{millis})
	if err != nil {
		return nil, err
	}
	for values, err := range rows {
		if err != nil {
			return nil, err
		}
		for i := range values {
			v := &values[i]
			out.Features = append(out.Features, Sourced{Feature: v.Name, Type: v.Type, Value: v.AppendJSON(nil), Status: v.Status.String()})
		}
	}
	if o.View == nil {
		err = f.pushedSources(o, known, millis, out)
	} else {
		err = f.sources(ctx, o, known, millis, out)
	}
	return out, err
}

// made notes an event as the one that made the values that it changed, of those without one.
func (p *PointInTime) made(c *Changed) {
	for _, x := range c.Changes {
		i := slices.IndexFunc(p.Features, func(s Sourced) bool { return s.Feature == x.Feature })
		if i >= 0 && p.Features[i].By == nil {
			p.Features[i].By = &Made{c.Cause, x.From, x.To}
		}
	}
}

// add notes an event; false when there is no room.
func (l *Late) add(c Cause) bool {
	if l.More = len(l.Items) == lateMax; l.More {
		return false
	}
	l.Items = append(l.Items, c)
	return true
}

// sources adds what made values that are computed.
func (f *Store) sources(ctx context.Context, o OfEntity, known fold.At, millis int64, out *PointInTime) error {
	e := o.View.Entity
	sel, err := o.Registry.Select(o.References(), false)
	if err != nil {
		return err
	}
	at := fold.At{EventMillis: millis, RecordedMillis: known.RecordedMillis, Cut: known.Cut}
	changed := fold.Page[Changed]{}
	if slices.Contains(sel.Ageless(), false) {
		if err := f.byFacts(ctx, sel, e, o.ID, at, "", fold.PageLimitMax, &changed); err != nil {
			return err
		}
	}
	for i := range changed.Items {
		out.made(&changed.Items[i])
	}
	if err := out.lookedTo(changed.Next); err != nil {
		return err
	}
	said, err := f.bySaying(ctx, sel, e, o.ID, known)
	if err != nil {
		return err
	}
	for i := range slices.Backward(said) {
		if said[i].holds(e, millis) {
			out.made(&said[i].Changed)
		}
	}
	return nil
}

// TooLate tells what had happened to an entity by an event time (Unix milliseconds) and is known at a moment, and was not known at an earlier one: a row of a join of that one
// does not have it. At most [factsLookedAt] facts are looked at, the newest.
func (f *Store) TooLate(ctx context.Context, o OfEntity, known, before fold.At, millis int64) (*Late, error) {
	known, before = fold.At{RecordedMillis: known.RecordedMillis, Cut: known.Cut}, fold.At{RecordedMillis: before.RecordedMillis, Cut: before.Cut}
	out := &Late{Items: []Cause{}}
	var err error
	if o.View == nil {
		err = f.latePushed(o, known, before, millis, out)
	} else if err = f.lateSaid(ctx, o, known, before, millis, out); err == nil {
		err = f.lateFacts(o, known, before, millis, out)
	}
	slices.SortStableFunc(out.Items, func(a, b Cause) int { return cmp.Compare(b.EventMillis, a.EventMillis) })
	return out, err
}

// lateSaid adds what the catalogue, or somebody of a person, said.
func (f *Store) lateSaid(ctx context.Context, o OfEntity, known, before fold.At, millis int64, out *Late) error {
	sel, err := o.Registry.Select(o.References(), false)
	if err != nil {
		return err
	}
	all, err := f.bySaying(ctx, sel, o.View.Entity, o.ID, known)
	if err != nil {
		return err
	}
	for i := range slices.Backward(all) {
		s := &all[i]
		had, err := s.AdmittedBy(before)
		if err != nil {
			return err
		}
		if !had && s.holds(o.View.Entity, millis) && !out.add(s.Cause) {
			break
		}
	}
	return nil
}

// holds says whether it was so at an event time: what the catalogue says of a film is so at all times, what is said of a person from its own time on.
func (s *sayings) holds(e features.Entity, millis int64) bool {
	return e == features.Movie || s.millis <= millis
}

func (p *Looked) lookedTo(cursor string) error {
	if cursor == "" {
		return nil
	}
	millis, err := projections.CursorMillis(cursor)
	p.LookedTo = max(p.LookedTo, millis)
	return err
}

// lateFacts adds what somebody had done, and was recorded later.
func (f *Store) lateFacts(o OfEntity, known, before fold.At, millis int64, out *Late) error {
	e := o.View.Entity
	h := fold.Of[*projections.Histories](f.views)
	read := h.UserPage
	if e == features.Movie {
		read = h.MoviePage
	}
	page, err := read(o.ID, projections.HistoryQuery{At: fold.At{EventMillis: millis, RecordedMillis: known.RecordedMillis, Cut: known.Cut}, Newest: true, Page: fold.PageQuery{Limit: factsLookedAt}})
	if err == nil {
		err = out.lookedTo(page.Next)
	}
	if err != nil {
		return err
	}
	for i := range page.Items {
		x := &page.Items[i]
		if before.Admits(x.EventMillis, x.RecordedMillis, x.Position()) {
			continue
		}
		if e == features.Movie {
			if *x, err = h.Whole(*x); err != nil {
				return err
			}
		}
		if !out.add(causeOf(x)) {
			break
		}
	}
	return nil
}

// pushedSources adds what brought values that are pushed.
func (f *Store) pushedSources(o OfEntity, known fold.At, millis int64, out *PointInTime) error {
	q := fold.PageQuery{Limit: factsLookedAt}
	changed, err := f.PushedHistory(o.External, o.FeatureNames(), o.Key, fold.At{EventMillis: millis, RecordedMillis: known.RecordedMillis, Cut: known.Cut}, q)
	if err != nil {
		return err
	}
	for i := range changed.Items {
		out.made(&changed.Items[i])
	}
	if changed.Next != "" {
		out.LookedTo = millis
		if n := len(changed.Items); n > 0 {
			out.LookedTo = changed.Items[n-1].EventMillis
		}
	}
	return nil
}

// latePushed adds what was pushed later.
func (f *Store) latePushed(o OfEntity, known, before fold.At, millis int64, out *Late) error {
	rows, err := fold.Of[*projections.FeatureValues](f.views).HistoryPage(o.External.Name, o.Key,
		fold.At{EventMillis: millis, RecordedMillis: known.RecordedMillis, Cut: known.Cut}, fold.PageQuery{Limit: factsLookedAt})
	if err != nil {
		return err
	}
	for i := range rows.Items {
		had, err := rows.Items[i].AdmittedBy(before)
		if err != nil {
			return err
		}
		if !had && !out.add(pushedCause(&rows.Items[i])) {
			break
		}
	}
	if n := len(rows.Items); rows.Next != "" && n > 0 {
		out.LookedTo = max(out.LookedTo, rows.Items[n-1].EventMillis)
	}
	return nil
}
