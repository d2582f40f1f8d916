package v1

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) featureRoutes(r *api.Routes) {
	views := []string{"online", "histories", "catalogue", "users", "definitions", "feature-registry"}
	r.Handle("GET /api/v1/features/movie/{movie}", s.movieFeatures, views...)
	r.Handle("GET /api/v1/features/user/{user}", s.userFeatures, views...)
	r.Handle("POST /api/v1/features/batch", s.batchFeatures)
	r.Handle("POST /api/v1/features/historical", s.historicalFeatures)
	r.Handle("GET /api/v1/features/definitions", s.definitions, "definitions")
	r.Handle("POST /api/v1/features/definitions", s.define)
	s.then(r, "GET /api/v1/features/definitions/history", (*Surface).definitionsHistory, "definitions")
	r.Handle("GET /api/v1/features/views", func(w http.ResponseWriter, r *http.Request) error {
		return s.listed(w, r, func(d *features.Definitions) any { return fold.Page[*features.View]{Items: d.Views} })
	}, "definitions")
	r.Handle("GET /api/v1/features/views/{view}/versions", s.viewVersions, "definitions", "feature-registry")
	r.Handle("GET /api/v1/features/views/{view}/versions/{version}", s.viewVersion, "definitions", "feature-registry")
	r.Handle("GET /api/v1/features/on-demand", func(w http.ResponseWriter, r *http.Request) error {
		return s.listed(w, r, func(d *features.Definitions) any {
			return fold.Page[*features.OnDemand]{Items: append([]*features.OnDemand{}, d.OnDemand...)}
		})
	}, "definitions")
	r.Handle("GET /api/v1/features/entities", func(w http.ResponseWriter, r *http.Request) error {
		return s.listed(w, r, func(d *features.Definitions) any {
			return fold.Page[features.EntityDefinition]{Items: d.Entities}
		})
	}, "definitions")
	r.Handle("GET /api/v1/features/services", func(w http.ResponseWriter, r *http.Request) error {
		return s.listed(w, r, func(d *features.Definitions) any {
			services := fold.Page[*features.Service]{Items: d.Services}
			if services.Items == nil {
				services.Items = []*features.Service{}
			}
			return services
		})
	}, "definitions")
}

// choice is which features a request wants: of a service, of a view, by reference ("feature" or
// "view:feature"), or all.
type choice struct {
	Features  []string `json:"features"`
	Service   string   `json:"service"`
	View      string   `json:"view"`
	FullNames bool     `json:"full_feature_names"` // view__feature
}

var choiceParams = []string{"features", "service", "view", "full_feature_names"}

func choiceOf(q *api.Query) choice {
	return choice{q.List("features"), q.Str("service"), q.Str("view"), q.Flag("full_feature_names")}
}

// selections keeps what choices came to under the definitions in force: made once and read many times.
type selections struct {
	mu    sync.Mutex
	defs  *features.Definitions
	byKey map[string]*features.Selection
}

// selection resolves a choice among the features of the entities.
func (s *Surface) selection(defs *features.Definitions, c choice, entities ...features.Entity) (*features.Selection, error) {
	if len(c.pins()) > 0 { // of definitions that are made for one request
		return selectionOf(defs, c, entities)
	}
	key := fmt.Sprintf("%q %q %q %t %q", entities, c.Service, c.View, c.FullNames, c.Features)
	k := &s.selections
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.defs != defs || len(k.byKey) >= selectionsKeptMax {
		k.defs, k.byKey = defs, map[string]*features.Selection{}
	}
	if sel := k.byKey[key]; sel != nil {
		return sel, nil
	}
	sel, err := selectionOf(defs, c, entities)
	if err == nil {
		k.byKey[key] = sel
	}
	return sel, err
}

func selectionOf(defs *features.Definitions, c choice, entities []features.Entity) (*features.Selection, error) {
	refs, err := references(&among{defs: defs, entities: entities}, c)
	if err != nil {
		return nil, err
	}
	sel, err := defs.Select(refs, c.FullNames)
	if fault.Is(err, fault.Conflict) && len(c.Features) == 0 { // names that nobody chose
		sel, err = defs.Select(refs, true)
	}
	return sel, err
}

// joinSelection resolves a choice among the features that rows with some columns can be joined with, those of pushed values too;
// where nothing is chosen it is all that is computed.
func joinSelection(reg *featurestore.Registry, c choice, columns []string) (*featurestore.Selection, error) {
	a := &among{defs: reg.Definitions, service: reg.Service}
	for _, e := range []features.Entity{features.User, features.Movie} {
		if slices.Contains(columns, string(e)+"_id") {
			a.entities = append(a.entities, e)
		}
	}
	given := func(x *features.External) bool {
		return !slices.ContainsFunc(x.JoinKeys, func(k events.FeatureField) bool {
			return k.Name != features.NobodysKey && !slices.Contains(columns, k.Name)
		})
	}
	a.pinned = func(view string) bool {
		x := reg.ExternalNamed(view)
		_, pinned := features.PinOf(view)
		return pinned && x != nil && given(x)
	}
	for _, x := range reg.External {
		if given(x) {
			a.pushed = append(a.pushed, x)
		} else {
			a.short = append(a.short, x)
		}
	}
	refs, err := references(a, c)
	if err != nil {
		return nil, err
	}
	sel, err := reg.Selection(refs, c.FullNames)
	if fault.Is(err, fault.Conflict) && len(c.Features) == 0 { // names that nobody chose
		sel, err = reg.Selection(refs, true)
	}
	return sel, err
}

// among is what features are chosen from: those of some entities that are computed, and those of some views that are pushed.
type among struct {
	defs     *features.Definitions
	entities []features.Entity
	pushed   []*features.External
	short    []*features.External // whose join keys are not all given
	service  func(name string) (refs []string, ok bool)
	pinned   func(view string) bool // of a version of a view whose values are pushed; nil: there are none
}

func externalNamed(all []*features.External, name string) *features.External {
	if i := slices.IndexFunc(all, func(x *features.External) bool { return x.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// has says whether a view, or the view of a feature, is among them.
func (a *among) has(ref string) bool {
	name, _, _ := strings.Cut(ref, ":")
	return isOf(a.defs, ref, a.entities) || externalNamed(a.pushed, name) != nil || a.pinned != nil && a.pinned(name)
}

// noView says why a view is not among them.
func (a *among) noView(field, view string) error {
	if x := externalNamed(a.short, view); x != nil {
		var keys []string
		for _, k := range x.JoinKeys {
			keys = append(keys, k.Name)
		}
		return fault.Field(field, "the view %s is of %s, and not all of them are columns of the rows", view, strings.Join(keys, ", ")).WithHint("add the columns, or ask for no features of the view")
	}
	return unknownFeature(field, "no feature view of %s is named %q", joined(a.entities), view)
}

func (a *among) named(service string) ([]string, bool) {
	if a.service != nil {
		return a.service(service)
	}
	s := a.defs.Service(service)
	if s == nil {
		return nil, false
	}
	return s.Features, true
}

// references are what [features.Definitions.Select] takes.
func references(a *among, c choice) ([]string, error) {
	given := 0
	for _, is := range []bool{len(c.Features) > 0, c.Service != "", c.View != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return nil, fault.Field("features", "cannot be combined with service or view; give one of them")
	}
	var refs []string
	switch {
	case c.Service != "":
		service, ok := a.named(c.Service)
		if !ok {
			return nil, unknownFeature("service", "no feature service is named %q", c.Service)
		}
		for _, ref := range service {
			if a.has(ref) {
				refs = append(refs, ref)
			}
		}
	case c.View != "":
		if !a.has(c.View) || strings.Contains(c.View, ":") {
			return nil, a.noView("view", c.View)
		}
		refs = []string{c.View}
	case len(c.Features) > 0:
		for _, name := range c.Features {
			ref, err := a.reference(name)
			if err != nil {
				return nil, err
			}
			refs = append(refs, ref)
		}
	default:
		for _, v := range a.defs.Views {
			if slices.Contains(a.entities, v.Entity) {
				refs = append(refs, v.Name)
			}
		}
	}
	if len(refs) == 0 {
		return nil, unknownFeature("features", "there are no such features of %s", joined(a.entities))
	}
	return refs, nil
}

// isOf says whether the view of a reference is of one of the entities; an on-demand view is of those of its inputs, all of them.
func isOf(defs *features.Definitions, ref string, entities []features.Entity) bool {
	name, _, _ := strings.Cut(ref, ":")
	if v := defs.View(name); v != nil {
		return slices.Contains(entities, v.Entity)
	}
	o := defs.OnDemandView(name)
	return o != nil && !slices.ContainsFunc(defs.OnDemandEntities(o), func(e features.Entity) bool { return !slices.Contains(entities, e) })
}

// reference finds the view of a feature that is given without one.
func (a *among) reference(name string) (string, error) {
	view, _, qualified := strings.Cut(name, ":")
	if qualified {
		if !a.has(view) {
			return "", a.noView("features", view)
		}
		return name, nil
	}
	var refs []string
	for _, v := range a.defs.Views {
		if slices.Contains(a.entities, v.Entity) && v.Feature(name) != nil {
			refs = append(refs, v.Name+":"+name)
		}
	}
	for _, x := range a.pushed {
		if x.Feature(name) != nil {
			refs = append(refs, x.Name+":"+name)
		}
	}
	switch len(refs) {
	case 0:
		return "", unknownFeature("features", "no feature of %s is named %q", joined(a.entities), name)
	case 1:
		return refs[0], nil
	}
	return "", fault.Field("features", "%q is several features: %s", api.Short(name), strings.Join(refs, ", ")).WithHint("name the view too")
}

func unknownFeature(field, format string, args ...any) error {
	e := fault.New(fault.NotFound, format, args...)
	e.Field = field
	return e.WithHint("GET /api/v1/features/views and /services list what there is")
}

func joined(entities []features.Entity) string {
	if len(entities) == 0 {
		return "rows without user_id and movie_id"
	}
	names := make([]string, len(entities))
	for i, e := range entities {
		names[i] = string(e)
	}
	return strings.Join(names, " or ")
}

// reading is the memory of one read: an entity may have hundreds of features.
type reading struct {
	values []features.Value
	out    []byte
}

var readings = sync.Pool{New: func() any { return new(reading) }}

func (s *Surface) movieFeatures(w http.ResponseWriter, r *http.Request) error {
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	return s.entityFeatures(w, r, features.Movie, id)
}

func (s *Surface) userFeatures(w http.ResponseWriter, r *http.Request) error {
	id, err := userOf(r)
	if err != nil {
		return err
	}
	return s.entityFeatures(w, r, features.User, id)
}

// entityFeatures reads the features of one entity, by the definitions in force then, or by the versions of views that it names.
func (s *Surface) entityFeatures(w http.ResponseWriter, r *http.Request, e features.Entity, id string) error {
	start := time.Now()
	q := api.QueryOf(r, "features", "service", "view", "full_feature_names", requestParam+"*", api.AsOfParam, api.KnownAtParam)
	choice := choiceOf(q)
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	defs, err := s.definitionsFor(m.At, &choice)
	if err != nil {
		return err
	}
	sel, err := s.selection(defs, choice, e)
	if err != nil {
		return err
	}
	if sel, err = sayingCells(sel, q.All(requestParam)); err != nil {
		return err
	}
	b := readings.Get().(*reading)
	defer readings.Put(b)
	now := m.Millis(s.Now().UnixMilli())
	if err := s.readEntity(r.Context(), b, sel, e, id, m.At, now); err != nil {
		return err
	}
	if !anyKnown(b.values) {
		return fault.New(fault.NotFound, "nothing is known of %s %q", e, id)
	}
	b.out = appendJSONText(append(b.out[:0], `{"entity_type":`...), string(e))
	b.out = appendJSONText(append(b.out, `,"entity_id":`...), id)
	b.out = features.AppendJSON(append(b.out, `,"features":`...), b.values)
	b.out = strconv.AppendInt(append(b.out, `,"at_millis":`...), now, 10)
	b.out = appendJSONText(append(b.out, `,"definitions_hash":`...), defs.Hash())
	b.out = append(b.out, "}\n"...)
	s.metrics.featureSeconds.Observe(time.Since(start).Seconds())
	return api.WriteBytes(w, http.StatusOK, b.out)
}

func (s *Surface) readEntity(ctx context.Context, b *reading, sel *features.Selection, e features.Entity, id string, at fold.At, now int64) (err error) {
	user, movie := id, ""
	if e == features.Movie {
		user, movie = "", id
	}
	b.values, err = s.Features.Read(ctx, b.values[:0], sel, user, movie, at, now)
	return err
}

func anyKnown(values []features.Value) bool {
	return slices.ContainsFunc(values, func(v features.Value) bool { return v.Status != features.NotFound })
}

func appendJSONText(dst []byte, text string) []byte {
	v := features.Value{Type: features.String, Str: text}
	return v.AppendJSON(dst)
}

func canonical(e features.Entity, id string) string {
	if e == features.Movie {
		return events.CanonicalMovie(id)
	}
	return events.CanonicalUser(id)
}

func (s *Surface) batchFeatures(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		EntityType features.Entity `json:"entity_type"`
		EntityIDs  []api.ID        `json:"entity_ids"`
		AsOf       string          `json:"as_of"`
		KnownAt    string          `json:"known_at"`
		After      string          `json:"after"`

		Request map[string]json.RawMessage `json:"request"` // for expressions, of all of them
		choice
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	q := &api.Query{}
	if v.EntityType != features.Movie && v.EntityType != features.User {
		q.Fault("entity_type", "is %q; want movie or user", api.Short(string(v.EntityType)))
	}
	switch n := len(v.EntityIDs); {
	case n == 0:
		q.Fault("entity_ids", "must not be empty")
	case n > entitiesMax:
		q.Fault("entity_ids", "has %d entries; the most is %d", n, entitiesMax)
	}
	for i, id := range v.EntityIDs[:min(len(v.EntityIDs), entitiesMax)] {
		if err := api.CheckID(fmt.Sprintf("entity_ids[%d]", i), string(id)); err != nil {
			q.Add(err)
		}
	}
	if err := q.Err(); err != nil {
		return err
	}
	if err := s.Await(r.Context(), v.After, "online", "histories", "catalogue", "users", "definitions", "feature-registry"); err != nil {
		return err
	}
	m, err := s.MomentOf(r.Context(), v.AsOf, v.KnownAt)
	if err != nil {
		return err
	}
	defs, err := s.definitionsFor(m.At, &v.choice)
	if err != nil {
		return err
	}
	sel, err := s.selection(defs, v.choice, v.EntityType)
	if err == nil {
		sel, err = sayingJSON(sel, v.Request)
	}
	if err != nil {
		return err
	}
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	now := m.Millis(s.Now().UnixMilli())
	return out.End(s.writeBatch(r.Context(), out, &batch{sel, v.EntityType, v.EntityIDs, m.At, now, defs.Hash()}))
}

// batch is the features of several entities, which may be hundreds of each.
type batch struct {
	sel    *features.Selection
	entity features.Entity
	ids    []api.ID // as given
	at     fold.At
	now    int64 // Unix milliseconds
	hash   string
}

func (s *Surface) writeBatch(ctx context.Context, w io.Writer, v *batch) error {
	b := readings.Get().(*reading)
	defer readings.Put(b)
	b.out = appendJSONText(append(b.out[:0], `{"entity_type":`...), string(v.entity))
	b.out = append(b.out, `,"results":[`...)
	for i, given := range v.ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := canonical(v.entity, string(given))
		if err := s.readEntity(ctx, b, v.sel, v.entity, id, v.at, v.now); err != nil {
			return err
		}
		if i > 0 {
			b.out = append(b.out, ',')
		}
		b.out = appendJSONText(append(b.out, `{"entity_id":`...), id)
		b.out = strconv.AppendBool(append(b.out, `,"found":`...), anyKnown(b.values))
		b.out = append(features.AppendJSON(append(b.out, `,"features":`...), b.values), '}')
		if _, err := w.Write(b.out); err != nil {
			return err
		}
		b.out = b.out[:0]
	}
	b.out = strconv.AppendInt(append(b.out, `],"at_millis":`...), v.now, 10)
	b.out = appendJSONText(append(b.out, `,"definitions_hash":`...), v.hash)
	_, err := w.Write(append(b.out, "}\n"...))
	return err
}

// definitions are those in force, now or at a moment: as JSON around the file, or the file itself where
// YAML is asked for.
func (s *Surface) definitions(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	d, ok, err := fold.Of[*projections.Definitions](s.Views).At(m.At)
	if ok {
		api.SetETag(w, d.Revision)
		if wantsYAML(r) {
			return writeYAML(w, d.Definitions)
		}
	}
	return api.Found(w, d, ok, err, "no features were defined")
}

// wantsYAML says whether a file is asked for as it was applied.
func wantsYAML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "yaml") }

func writeYAML(w http.ResponseWriter, file string) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.WriteHeader(http.StatusOK)
	io.WriteString(w, file) //nolint:errcheck // the client is gone
	return nil
}

func (s *Surface) definitionsHistory(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Definitions](s.Views).History(page)
	return api.Paged(w, p, err)
}

// define puts a definitions file in force. The body is the file.
func (s *Surface) define(w http.ResponseWriter, r *http.Request) error {
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	defs, err := features.Parse(body)
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.DefineFeatures{Definitions: string(body), Hash: defs.Hash()}, http.StatusOK, "definitions")
}

func (s *Surface) listed(w http.ResponseWriter, r *http.Request, what func(*features.Definitions) any) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	defs, err := s.Features.Definitions(m.At)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, what(defs))
}
