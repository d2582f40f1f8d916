package registry

import (
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

// What this program's own definitions have, as messages of Feast's registry.

// ownTag is the tag that tells it from what was applied.
const ownTag = "projectionist"

// own says whether what is applied is what this program has of its own, as a client read it here and sends it back: it is
// there, and what it is the definitions say. The error is for what they do not have any more.
func (c *call) own(what, name, project string, tags map[string]string, has bool) (bool, error) {
	switch {
	case project != Project || tags[ownTag] == "":
		return false, nil
	case !has:
		return false, refuse(codeRefused, "FeastError", "%s %s is not of this program's own definitions any more: take it out of the repository, or its tag %s", what, api.Short(name), ownTag)
	}
	return true, nil
}

func withOwnTag(m message, number int32, value string) message {
	return m.withMessage(protoNumber(number), message{}.withText(1, ownTag).withText(2, value))
}

// keyType is the type of the join keys: ids are numbers in MovieLens, and Feast's clients send texts all the same.
const keyType = string(features.Int64)

func computedEntity(e *features.EntityDefinition) message {
	return object(withOwnTag(message{}.withText(1, string(e.Name)).withNumber(2, typeNumbers[keyType]).withText(3, e.Description).withText(4, e.JoinKey), 8, "computed").withText(9, Project), 0, 0)
}

func fieldOf(f *events.FeatureField) message {
	return message{}.withText(1, f.Name).withNumber(2, typeNumbers[f.Type]).withText(4, f.Description)
}

// logSource is the source that Feast wants of a view whose values come from the log, by the view's name: a file that
// nobody reads.
func logSource(view string) message { return logSourceOf(view, "created") }

func logSourceOf(view, created string) message {
	return message{}.withText(20, view).withNumber(1, 1).withText(3, "event_timestamp").withText(5, created).
		withText(17, "feast.infra.offline_stores.file_source.FileSource").withMessage(11, message{}.withText(2, "projectionist-log.parquet")).
		withText(23, "The log of Projectionist: nothing is read from a file").withText(21, Project)
}

// ownPushSource is the source to which values of a view of the definitions file are pushed.
func ownPushSource(x *features.External) message {
	return message{}.withText(20, x.PushSource).withNumber(1, pushSource).withText(3, "event_timestamp").withText(5, x.CreatedColumn()).
		withText(17, "feast.data_source.PushSource").withMessage(26, logSourceOf(x.Name, x.CreatedColumn())).withText(21, Project)
}

// ownSources are the sources of the program's own views.
func (c *call) ownSources() []message {
	var all []message
	var names []string
	for _, v := range c.reg.Views {
		all = append(all, logSource(v.Name))
	}
	for _, o := range c.reg.OnDemand {
		all = append(all, logSource(o.Name))
	}
	for _, x := range c.reg.Definitions.External {
		all = append(all, logSourceOf(x.Name, x.CreatedColumn()))
		if !slices.Contains(names, x.PushSource) {
			names = append(names, x.PushSource)
			all = append(all, ownPushSource(x))
		}
	}
	return all
}

// ttl appends how long values live; 0 is for ever.
func ttl(m message, number int32, millis int64) message {
	return m.withMessage(protoNumber(number), message{}.withNumber(1, millis/1000).withNumber(2, millis%1000*1_000_000))
}

// computedView is a view whose values are computed.
func (c *call) computedView(v *features.View) message {
	m := message{}.withText(1, v.Name).withText(2, Project).withText(3, string(v.Entity))
	for i := range v.Features {
		f := &v.Features[i]
		m = m.withMessage(4, fieldOf(&events.FeatureField{Name: f.Name, Type: string(f.Type), Description: f.Description}))
	}
	m = ttl(withOwnTag(m, 5, "computed"), 6, v.TTLMillis).withMessage(7, logSource(v.Name)).withBool(8, true).withText(10, v.Description)
	return object(m.withMessage(12, fieldOf(&events.FeatureField{Name: string(v.Entity) + "_id", Type: keyType})).withText(18, "latest"), 0, 0)
}

// onDemandView is an on-demand view as a plain one: Feast's own on-demand views carry code, which its SDK runs to list them. Its tags
// have the expressions, by feature.
func (c *call) onDemandView(o *features.OnDemand) message {
	m := message{}.withText(1, o.Name).withText(2, Project)
	entities := c.reg.OnDemandEntities(o)
	for _, e := range entities {
		m = m.withText(3, string(e))
	}
	for i := range o.Features {
		f := &o.Features[i]
		m = m.withMessage(4, fieldOf(&events.FeatureField{Name: f.Name, Type: string(f.Type), Description: f.Description}))
	}
	m = withOwnTag(m, 5, "on demand")
	for i := range o.Features {
		m = m.withMessage(5, message{}.withText(1, o.Features[i].Name).withText(2, o.Features[i].Expression))
	}
	m = ttl(m, 6, 0).withMessage(7, logSource(o.Name)).withBool(8, true).withText(10, o.Description)
	for _, e := range entities {
		m = m.withMessage(12, fieldOf(&events.FeatureField{Name: string(e) + "_id", Type: keyType}))
	}
	return object(m.withText(18, "latest"), 0, 0)
}

// ownPushedView is a view of pushed values of the definitions file.
func ownPushedView(x *features.External) message {
	m := message{}.withText(1, x.Name).withText(2, Project)
	for _, e := range x.Entities {
		m = m.withText(3, e)
	}
	for i := range x.Features {
		m = m.withMessage(4, fieldOf(&x.Features[i]))
	}
	m = ttl(withOwnTag(m, 5, "pushed"), 6, x.TTLMillis).withMessage(7, logSourceOf(x.Name, x.CreatedColumn())).withBool(8, true).withMessage(9, ownPushSource(x)).withText(10, x.Description)
	for _, k := range x.JoinKeys {
		m = m.withMessage(12, fieldOf(&events.FeatureField{Name: k.Name, Type: keyType}))
	}
	return object(m.withText(18, "latest"), 0, 0)
}

// computedService is a service of the definitions file.
func (c *call) computedService(s *features.Service) message {
	m := message{}.withText(1, s.Name).withText(2, Project)
	refs, _ := c.reg.Service(s.Name)
	var views []string
	of := map[string][]string{}
	for _, ref := range refs {
		view, name := cutRef(ref)
		if of[view] == nil {
			views = append(views, view)
		}
		of[view] = append(of[view], name)
	}
	for _, name := range views {
		v, o := c.reg.View(name), c.reg.OnDemandView(name)
		p := message{}.withText(1, name)
		for _, f := range of[name] {
			var is events.FeatureField
			if v != nil {
				d := v.Feature(f)
				is = events.FeatureField{Name: d.Name, Type: string(d.Type), Description: d.Description}
			} else {
				d := o.Feature(f)
				is = events.FeatureField{Name: d.Name, Type: string(d.Type), Description: d.Description}
			}
			p = p.withMessage(2, fieldOf(&is))
		}
		m = m.withMessage(3, p.withText(5, "created").withText(7, "created").withMessage(8, logSource(name)).withText(11, "featureView"))
	}
	return object(withOwnTag(m, 4, "computed").withText(5, s.Description), 0, 0)
}
