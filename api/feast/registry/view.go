package registry

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
)

func protoNumber(n int32) protowire.Number { return protowire.Number(n) }

func cutRef(ref string) (view, name string) {
	view, name, _ = strings.Cut(ref, ":")
	return view, name
}

// numbers are where a kind of view has what is read of it.
type numbers struct {
	entities, features, tags, ttl, batch, stream, description, owner, keys protowire.Number
	code                                                                   []protowire.Number // that would have to run
	shape                                                                  *shape
}

var (
	plainNumbers  = &numbers{3, 4, 5, 6, 7, 9, 10, 11, 12, []protowire.Number{14, 15}, viewShape}
	streamNumbers = &numbers{3, 4, 7, 9, 10, 11, 6, 8, 5, []protowire.Number{13, 15, 17}, streamShape}
)

// applyView takes a view whose values are pushed, or, in the words of a client, one that is computed here.
func applyView(c *call) (message, error) {
	if err := room(len(c.reg.Declared.Views), "feature views"); err != nil {
		return nil, err
	}
	n, given := plainNumbers, c.in.message(1)
	switch stream := c.in.message(3); {
	case stream != nil:
		n, given = streamNumbers, stream
	case given == nil:
		return nil, refuse(codeUnimplemented, "FeastError", "feature view %s is an on demand view or a label view, which this registry does not keep: no code from outside runs here. "+
			"Declare a FeatureView with a PushSource and push what you compute", api.Short(c.in.message(2).message(1).text(1)+c.in.message(6).message(1).text(1)))
	}
	spec := n.shape.form(given.message(1))
	e, err := c.viewOf(n, spec)
	if err != nil {
		return nil, err
	}
	e.Stream = n == streamNumbers
	if own, err := c.own("feature view", e.View, e.Project, e.Tags, c.reg.View(e.View) != nil || c.reg.Definitions.ExternalView(e.View) != nil || c.reg.OnDemandView(e.View) != nil); own || err != nil {
		return message{}, err
	}
	if err := c.agrees(e); err != nil {
		return nil, err
	}
	return c.dispatch(&commands.ApplyFeatureView{FeatureViewApplied: *e})
}

// viewOf reads what a view is.
func (c *call) viewOf(n *numbers, spec message) (*events.FeatureViewApplied, error) {
	e := &events.FeatureViewApplied{View: spec.text(1), Entities: spec.texts(n.entities), FeatureMeta: events.FeatureMeta{Project: c.in.text(4),
		Description: spec.text(n.description), Owner: spec.text(n.owner), Tags: spec.pairs(n.tags), Spec: spec}}
	for _, number := range n.code {
		if len(spec.all(number)) > 0 {
			return nil, refuse(codeRefused, "FeastError", "feature view %s is made by a transformation of its own: no code from outside runs here. Declare it with a PushSource and push what you compute", api.Short(e.View))
		}
	}
	var err error
	if e.Features, err = fieldsOf(e.View, "feature", spec.all(n.features)); err != nil {
		return nil, err
	}
	if e.JoinKeys, err = fieldsOf(e.View, "join key", spec.all(n.keys)); err != nil {
		return nil, err
	}
	if len(e.JoinKeys) == 0 { // of a client that leaves them to the entities
		for _, name := range e.Entities {
			for _, m := range c.entities(e.Project) {
				if s := m.message(1); s.text(1) == name {
					e.JoinKeys = append(e.JoinKeys, events.FeatureField{Name: s.text(4), Type: valueTypes[max(2, s.number(2))]})
				}
			}
		}
	}
	life := spec.message(n.ttl)
	e.TTLMillis = life.number(1)*1000 + life.number(2)/1_000_000
	batch, stream := spec.message(n.batch), spec.message(n.stream)
	if stream.number(1) == pushSource {
		e.PushSource = stream.text(20)
	}
	e.TimeColumn, e.CreatedIn = batch.text(3), batch.text(5)
	return e, nil
}

func fieldsOf(view, what string, all []message) ([]events.FeatureField, error) {
	fields := []events.FeatureField{}
	for _, m := range all {
		t, err := typeOf(m.number(2))
		if err != nil {
			return nil, refuse(codeInvalid, "FeastError", "%s %s of feature view %s %s", what, api.Short(m.text(1)), api.Short(view), err)
		}
		fields = append(fields, events.FeatureField{Name: m.text(1), Type: t, Description: m.text(4)})
	}
	return fields, nil
}

// agrees says whether a view may be called as one that is computed: it has to be that one, or a part of it.
func (c *call) agrees(e *events.FeatureViewApplied) error {
	if c.reg.Definitions.ExternalView(e.View) != nil && e.Project != Project {
		return refuse(codeRefused, "ConflictingFeatureViewNames", "feature view %s is declared by this program's definitions file: choose another name", e.View)
	}
	if c.reg.OnDemandView(e.View) != nil {
		return refuse(codeRefused, "ConflictingFeatureViewNames", "feature view %s is an on-demand view of this program's definitions file: choose another name", e.View)
	}
	v := c.reg.View(e.View)
	if v == nil {
		return nil
	}
	if len(e.JoinKeys) != 1 || e.JoinKeys[0].Name != string(v.Entity)+"_id" {
		return refuse(codeRefused, "ConflictingFeatureViewNames", "feature view %s is computed here, by the join key %s_id: choose another name for one of another entity", e.View, v.Entity)
	}
	for _, f := range e.Features {
		own := v.Feature(f.Name)
		switch {
		case own == nil:
			return refuse(codeRefused, "ConflictingFeatureViewNames", "feature view %s is computed here, and has no feature %s: choose another name for a view of values that you push", e.View, f.Name)
		case numeric(string(own.Type)) != numeric(f.Type) || !numeric(f.Type) && string(own.Type) != f.Type:
			return refuse(codeRefused, "ConflictingFeatureViewNames", "feature %s of feature view %s is computed here as %s, not %s", f.Name, e.View, own.Type, f.Type)
		}
	}
	return nil
}

// numeric says whether values of a type are numbers, as which clients read them.
func numeric(t string) bool {
	return slices.Contains([]string{"int32", "int64", "float32", "float64"}, t)
}

// viewMessage is a view of a project, and whether it is one of a stream.
type viewMessage struct {
	message
	stream bool
}

func (v *viewMessage) tags() map[string]string {
	if v.stream {
		return v.message.message(1).pairs(streamNumbers.tags)
	}
	return v.message.message(1).pairs(plainNumbers.tags)
}

func (v *viewMessage) name() string { return v.message.message(1).text(1) }

// views are those of a project, by name.
func (c *call) views(project string) (all []viewMessage) {
	has := map[string]bool{}
	for i := range c.reg.Declared.Views {
		v := &c.reg.Declared.Views[i]
		if v.Is.Project == project {
			has[v.Is.View] = true
			all = append(all, viewMessage{kept(v, message(v.Is.Spec).withText(2, project)), v.Is.Stream})
		}
	}
	if project == Project {
		for _, v := range c.reg.Views {
			if !has[v.Name] {
				all = append(all, viewMessage{c.computedView(v), false})
			}
		}
		for _, x := range c.reg.Definitions.External {
			if !has[x.Name] {
				all = append(all, viewMessage{ownPushedView(x), false})
			}
		}
		for _, o := range c.reg.OnDemand {
			if !has[o.Name] {
				all = append(all, viewMessage{c.onDemandView(o), false})
			}
		}
	}
	slices.SortFunc(all, func(a, b viewMessage) int { return strings.Compare(a.name(), b.name()) })
	return all
}

// viewNamed is a view that a call names, of a kind.
func (c *call) viewNamed(is func(*viewMessage) bool) (*viewMessage, error) {
	for _, v := range c.views(c.in.text(2)) {
		if v.name() == c.in.text(1) && is(&v) {
			return &v, nil
		}
	}
	return nil, c.notFound("FeatureViewNotFoundException", "Feature view")
}

func (v *viewMessage) isPlain() bool  { return !v.stream }
func (v *viewMessage) isStream() bool { return v.stream }
func (v *viewMessage) isAny() bool    { return true }

// any is a view as one of several kinds.
func (v *viewMessage) any() message {
	if v.stream {
		return message{}.withMessage(3, v.message)
	}
	return message{}.withMessage(1, v.message)
}

func getView(c *call) (message, error) {
	v, err := c.viewNamed((*viewMessage).isPlain)
	if err != nil {
		return nil, err
	}
	return v.message, nil
}

func getStreamView(c *call) (message, error) {
	v, err := c.viewNamed((*viewMessage).isStream)
	if err != nil {
		return nil, err
	}
	return v.message, nil
}

func getAnyView(c *call) (message, error) {
	v, err := c.viewNamed((*viewMessage).isAny)
	if err != nil {
		return nil, err
	}
	return message{}.withMessage(1, v.any()), nil
}

func (c *call) listed(is func(*viewMessage) bool, as func(*viewMessage) message) (all []message) {
	for _, v := range c.views(c.in.text(1)) {
		if is(&v) && tagged(c.in.pairs(3), v.tags()) {
			all = append(all, as(&v))
		}
	}
	return all
}

func asItIs(v *viewMessage) message { return v.message }

func listViews(c *call) (message, error) {
	return c.paged(c.listed((*viewMessage).isPlain, asItIs), 4)
}

func listStreamViews(c *call) (message, error) {
	return c.paged(c.listed((*viewMessage).isStream, asItIs), 4)
}

// listAllViews lists views of every kind: those of an entity, with a feature, of a service, from a source.
func listAllViews(c *call) (message, error) {
	entity, feature, service, source := c.in.text(4), c.in.text(5), c.in.text(6), c.in.text(7)
	chosen, ok := c.reg.Service(service)
	if service != "" && !ok {
		return nil, refuse(codeNotFound, "FeatureServiceNotFoundException", "Feature service %s does not exist in project %s", api.Short(service), api.Short(c.in.text(1)))
	}
	has := func(all []message, name string, number protowire.Number) bool {
		return slices.ContainsFunc(all, func(m message) bool { return m.text(number) == name })
	}
	since := c.in.message(10)
	all := c.listed(func(v *viewMessage) bool {
		n, spec := plainNumbers, v.message.message(1)
		if v.stream {
			n = streamNumbers
		}
		updated := v.message.message(2).message(2)
		return (entity == "" || slices.Contains(spec.texts(n.entities), entity)) && (feature == "" || has(spec.all(n.features), feature, 1)) &&
			(service == "" || slices.ContainsFunc(chosen, func(ref string) bool { view, _ := cutRef(ref); return view == v.name() })) &&
			(source == "" || spec.message(n.batch).text(20) == source || spec.message(n.stream).text(20) == source) &&
			(since == nil || updated.number(1) > since.number(1) || updated.number(1) == since.number(1) && updated.number(2) > since.number(2))
	}, (*viewMessage).any)
	return c.paged(all, 8)
}

func deleteView(c *call) (message, error) {
	name, project := c.in.text(1), c.in.text(2)
	declared := slices.ContainsFunc(c.reg.Declared.Views, func(v projections.Declared[events.FeatureViewApplied]) bool {
		return v.Is.View == name && v.Is.Project == project
	})
	if !declared {
		if _, err := c.viewNamed((*viewMessage).isAny); err != nil {
			return nil, err
		}
		return nil, c.computed("feature view")
	}
	return c.dispatch(&commands.DeleteFeatureView{FeatureViewDeleted: events.FeatureViewDeleted{View: name, Project: project}})
}

// known says whether there is a view with a feature.
func (c *call) known(view, feature string) error {
	v, x, o := c.reg.View(view), c.reg.ExternalNamed(view), c.reg.OnDemandView(view)
	switch {
	case v == nil && x == nil && o != nil:
		if o.Feature(feature) == nil {
			return refuse(codeNotFound, "FeastObjectNotFoundException", "Feature %s not found in feature view %s", api.Short(feature), view)
		}
	case v == nil && x == nil:
		return refuse(codeNotFound, "FeatureViewNotFoundException", "Feature view %s does not exist in project %s", api.Short(view), api.Short(c.in.text(2)))
	case v != nil && v.Feature(feature) == nil || x != nil && x.Feature(feature) == nil:
		return refuse(codeNotFound, "FeastObjectNotFoundException", "Feature %s not found in feature view %s", api.Short(feature), view)
	}
	return nil
}

// featureTypes are how Feast names the types of features to people.
var featureTypes = map[string]string{"bytes": "Bytes", "string": "String", "int32": "Int32", "int64": "Int64", "float64": "Float64", "float32": "Float32", "bool": "Bool", "timestamp": "UnixTimestamp"}

// features are those of the views of a project.
func (c *call) features(project, view, name string) (all []message) {
	for _, v := range c.views(project) {
		n, spec := plainNumbers, v.message.message(1)
		if v.stream {
			n = streamNumbers
		}
		if view != "" && v.name() != view {
			continue
		}
		for _, f := range spec.all(n.features) {
			if name != "" && f.text(1) != name {
				continue
			}
			t, list := strings.CutSuffix(valueTypes[f.number(2)], "_list")
			if t = featureTypes[t]; list {
				t = "Array(" + t + ")"
			}
			m := message{}.withText(1, f.text(1)).withText(2, v.name()).withText(3, t).withText(4, f.text(4)).withText(5, spec.text(n.owner))
			for _, tag := range f.all(3) {
				m = m.withMessage(8, tag)
			}
			all = append(all, m.withText(9, "feature"))
		}
	}
	return all
}

func listFeatures(c *call) (message, error) {
	return c.paged(c.features(c.in.text(1), c.in.text(2), c.in.text(3)), 4)
}

func getFeature(c *call) (message, error) {
	all := c.features(c.in.text(1), c.in.text(2), c.in.text(3))
	if len(all) == 0 || c.in.text(3) == "" {
		return nil, refuse(codeNotFound, "FeastObjectNotFoundException", "Feature %s not found in feature view %s in project %s", api.Short(c.in.text(3)), api.Short(c.in.text(2)), api.Short(c.in.text(1)))
	}
	return all[0], nil
}
