package projections

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Causation is part of the view [Audit]: each event says which one led to it.

// Link is an event with what came of it.
type Link struct {
	AuditEntry
	Asked bool    `json:"asked,omitempty"` // it is the one that was asked for
	Then  []*Link `json:"then,omitempty"`  // in the ledger's order
}

// Chain is what led to an event, back to what nothing known led to, and all that came of that.
type Chain struct {
	Asked     string `json:"asked"` // id of the event
	Root      *Link  `json:"root"`
	Events    int    `json:"events"`
	LeftOut   int    `json:"left_out,omitempty"`  // renewals of leases, and metrics
	Truncated bool   `json:"truncated,omitempty"` // there is more than [ChainMax] events
}

// ChainMax bounds a chain: more than anyone reads.
const ChainMax = 2000

// steps are types of events that come many to a task, and lead to nothing.
var steps = map[string]bool{(*events.TaskLeaseRenewed)(nil).EventType(): true, (*events.RunMetricsLogged)(nil).EventType(): true}

// causesMax bounds how far back it is looked.
const causesMax = 1000

// Event is the entry of an event by its id.
func (v *Audit) Event(id string) (e AuditEntry, ok bool, err error) {
	place, ok, err := v.r.Get(fold.Table('e').ID(id))
	if err != nil || !ok {
		return e, false, err
	}
	ok, err = fold.GetJSON(v.r, append(fold.Table('p'), place...), &e)
	return e, ok, err
}

// Last is the last entry of a stream of which a type of event is asked for, "" for any; First is the first.
func (v *Audit) Last(stream, eventType string) (AuditEntry, bool, error) {
	p, err := v.Entries(AuditFilter{Stream: stream, Type: eventType}, fold.PageQuery{Limit: 1})
	if err != nil || len(p.Items) == 0 {
		return AuditEntry{}, false, err
	}
	return p.Items[0], true, nil
}

// First is the first entry of a stream.
func (v *Audit) First(stream string) (e AuditEntry, ok bool, err error) {
	prefix := fold.Table('s').Str(stream)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return e, false, err
		}
		ok, err = fold.GetJSON(v.r, append(fold.Table('p'), kv.Key[len(prefix):]...), &e)
		return e, ok, err
	}
	return e, false, nil
}

// Caused are the first n entries that an event, or a fact, has led to, and whether there are more.
func (v *Audit) Caused(id string, n int) (all []AuditEntry, more bool, err error) {
	prefix := fold.Table('k').ID(id)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return nil, false, err
		}
		if len(all) == n {
			return all, true, nil
		}
		var e AuditEntry
		ok, err := fold.GetJSON(v.r, append(fold.Table('p'), kv.Key[len(prefix):]...), &e)
		if err != nil {
			return nil, false, err
		}
		if ok {
			all = append(all, e)
		}
	}
	return all, false, nil
}

// Chain is that of an event by its id, or of a fact's, of which the ledger knows what came of it alone: then the root's entry has nothing but its
// id, and the position where something in the ledger says it. The error is fault.NotFound where the ledger knows of neither. With all,
// renewals of leases and metrics are in it.
func (v *Audit) Chain(id string, all bool) (*Chain, error) {
	c := &Chain{Asked: id}
	root, known, err := v.Event(id)
	if err != nil {
		return nil, err
	}
	if !known {
		root = AuditEntry{Origin: fold.Origin{EventID: id}}
	}
	for range causesMax {
		if root.Causation == "" {
			break
		}
		before, ok, err := v.Event(root.Causation)
		if err != nil {
			return nil, err
		}
		if !ok {
			before = AuditEntry{Origin: fold.Origin{EventID: root.Causation, Position: root.Cause}}
		}
		root = before
	}
	c.Root = &Link{AuditEntry: root}
	if err := v.follow(c, all); err != nil {
		return nil, err
	}
	if !known && len(c.Root.Then) == 0 && c.Root.EventID == id {
		return nil, fault.New(fault.NotFound, "the ledger knows no event %q, and nothing that came of it", id)
	}
	return c, nil
}

// follow adds what came of the root, those nearest first.
func (v *Audit) follow(c *Chain, all bool) error {
	seen := map[string]bool{}
	for next := []*Link{c.Root}; len(next) > 0; next = next[1:] {
		at := next[0]
		at.Asked = at.EventID == c.Asked
		c.Events++
		seen[at.EventID] = true
		prefix := fold.Table('k').ID(at.EventID)
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			if err != nil {
				return err
			}
			var e AuditEntry
			ok, err := fold.GetJSON(v.r, append(fold.Table('p'), kv.Key[len(prefix):]...), &e)
			if err != nil {
				return err
			}
			switch {
			case !ok || seen[e.EventID]: // ids may be repeated
			case steps[e.Type] && !all && e.EventID != c.Asked:
				c.LeftOut++
			case c.Events+len(next) >= ChainMax:
				c.Truncated = true
				return nil
			default:
				link := &Link{AuditEntry: e}
				at.Then = append(at.Then, link)
				next = append(next, link)
				if at.Position == "" {
					at.Position = e.Cause
				}
			}
		}
	}
	return nil
}

// Lead has another chain, of a fact, come of an event in this one; false where it has no such event, or has the fact itself, which would lead in a circle.
func (c *Chain) Lead(id string, then *Chain) bool {
	at := c.Root.Find(func(l *Link) bool { return l.EventID == id })
	if at == nil || c.Root.Find(func(l *Link) bool { return l.EventID == then.Root.EventID }) != nil {
		return false
	}
	at.Asked, at.Then = false, append(at.Then, then.Root)
	c.Asked, c.Events, c.LeftOut, c.Truncated = then.Asked, c.Events+then.Events, c.LeftOut+then.LeftOut, c.Truncated || then.Truncated
	return true
}

// Find is the first link for which ok holds, in the order of the tree; nil for none.
func (l *Link) Find(ok func(*Link) bool) *Link {
	if ok(l) {
		return l
	}
	for _, then := range l.Then {
		if found := then.Find(ok); found != nil {
			return found
		}
	}
	return nil
}

// causeOf is where a fact stands that led to an event of the ledger; "" where the event does not say.
func causeOf(d events.Data) string {
	switch x := d.(type) {
	case *events.WorkflowRunRequested:
		if x.Triggered != nil {
			return x.Triggered.Position
		}
	case *events.QuarantineResolved:
		return x.By
	}
	return ""
}

// FactSummary says in a few words what a fact says.
func FactSummary(data events.Data) string {
	switch x := data.(type) {
	case *events.ModelDrift:
		return short(fmt.Sprintf("drift of %s: %g, its threshold %g", x.ModelName, x.DriftScore, x.Threshold))
	case *events.SystemHealth:
		return short(fmt.Sprintf("%s is %s: CPU %g %%, memory %g %%", x.ServiceName, x.Status, x.CPUUsage, x.MemoryUsage))
	case *events.Interaction:
		return short(fmt.Sprintf("%s: %s of %s", x.UserID, x.Kind, x.MovieID))
	}
	return summary(data)
}
