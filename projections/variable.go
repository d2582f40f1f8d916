package projections

import (
	"cmp"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Variables is what the variables of workflows are set to.
//
//	d key -> Variable     k key -> key, of those that are set     i offset key -> key, likewise, in the order they were made
type Variables struct{ r fold.Reader }

// NewVariables makes the view "variables".
func NewVariables() *Variables { return &Variables{} }

// Variable is one, with its value.
type Variable struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
	Actor       string `json:"actor,omitempty"` // who set it last
	MadeOffset  int64  `json:"made_offset"`     // of the ledger, when it was set and was not before
	Deleted     bool   `json:"deleted,omitempty"`
	fold.Stamp
}

var variableDocs = fold.Documents[Variable]{
	Table: 'd',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.VariableSet:
			return x.Key, true
		case *events.VariableDeleted:
			return x.Key, true
		}
		return "", false
	},
	Fold: func(v *Variable, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.VariableSet:
			if v.Key == "" || v.Deleted {
				v.MadeOffset = in.Position.Offset
			}
			v.Key, v.Value, v.Description, v.Actor, v.Deleted = x.Key, x.Value, x.Description, in.Event.Actor, false
		case *events.VariableDeleted:
			v.Key, v.Value, v.Description, v.Actor, v.Deleted = x.Key, "", "", in.Event.Actor, true
		}
	},
	Index: func(v *Variable) []fold.Key {
		if v.Deleted {
			return nil
		}
		return []fold.Key{fold.Table('k').Str(v.Key), fold.Table('i').Millis(v.MadeOffset).Str(v.Key)}
	},
	Stamp: func(v *Variable) *fold.Stamp { return &v.Stamp },
}

func (*Variables) Spec() fold.Spec {
	return fold.Spec{Name: "variables", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Variables) Open(r fold.Reader) error { v.r = r; return nil }
func (*Variables) Flush(fold.Writer) error    { return nil }

func (*Variables) Apply(w fold.Writer, in []fold.Input) error { return variableDocs.Apply(w, in) }

// Variable reads one that is set.
func (v *Variables) Variable(key string) (Variable, bool, error) {
	d, ok, err := variableDocs.Get(v.r, key)
	return d, ok && !d.Deleted, err
}

// Variables pages through those that are set, by key.
func (v *Variables) Variables(q fold.PageQuery) (fold.Page[Variable], error) {
	return variableDocs.Paginate(v.r, fold.Table('k'), false, q, nil)
}

// VariableOrders are what variables can be ordered by: "id" is the order they were made in.
var VariableOrders = []string{"id", "key", "value"}

// Search gives a page of the variables in an order, and how many there are.
func (v *Variables) Search(order string, back bool, p Page) (items []Variable, total int64, err error) {
	prefix := fold.Table('i')
	if order == "key" {
		prefix = fold.Table('k')
	}
	var compare func(a, b *Variable) int
	scan := v.r.Scan
	switch {
	case order == "value":
		compare = func(a, b *Variable) int {
			c := strings.Compare(a.Value, b.Value)
			if back {
				c = -c
			}
			return cmp.Or(c, cmp.Compare(a.MadeOffset, b.MadeOffset))
		}
	case back:
		scan = v.r.ScanBack
	}
	t := newTop(p, compare)
	for kv, err := range scan(prefix, prefix.End()) {
		if err != nil {
			return nil, 0, err
		}
		if total++; compare == nil && (total <= p.Offset || total > p.Offset+p.Limit) {
			continue
		}
		one, ok, err := variableDocs.Load(v.r, kv)
		if err != nil {
			return nil, 0, err
		}
		if ok && compare == nil {
			items = append(items, one)
		} else if ok {
			t.add(&one)
		}
	}
	if compare != nil {
		items = t.page()
	}
	return items, total, nil
}
