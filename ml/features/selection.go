package features

import (
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
)

// Attributes is what the catalogue says of a movie. Zero values are unknown.
type Attributes struct {
	Title          string
	Year           int // of release
	Genres         []string
	Language       string // ISO 639-1
	RuntimeMinutes int
	TimeMillis     int64 // event time of the entry
}

// Catalogue finds a movie by its canonical id; nil is unknown. It must answer the same for the same
// id during one read.
type Catalogue func(movieID string) *Attributes

// Selection is an ordered list of features of one or more views, ready to be read. It is immutable
// and safe for concurrent use.
type Selection struct {
	columns []columnInfo
	parts   []*part
	derive  *Derivation // of the columns; nil where they are what is asked for
	said    []Operand   // what the request says for expressions; nil is nothing
}

type columnInfo struct {
	name string
	typ  Type
	ref  string // view:feature
}

// part is a selection's features of one view.
type part struct {
	view *View
	plan *plan
	out  []int // column of each step of the plan
}

// Select resolves references, each "view" or "view:feature", in their order. Where fullNames is set,
// a feature is called view__feature; otherwise two features of one name are a fault.Conflict. An
// unknown reference is fault.NotFound.
func (d *Definitions) Select(refs []string, fullNames bool) (*Selection, error) {
	s := &Selection{}
	if len(refs) == 0 {
		return nil, fault.Field("features", "is empty").WithHint("list view:feature")
	}
	if x, err := d.Derive(refs, fullNames, d.ExternalView); x != nil || err != nil {
		if err == nil {
			err = d.computedAlone(x.Base)
		}
		if err == nil && len(x.Base) > 0 {
			s, err = d.Select(x.Base, true)
		}
		if err != nil {
			return nil, err
		}
		s.derive = x
		return s, nil
	}
	seen := map[string]string{}
	byView := map[*View]*part{}
	chosen := map[*View][]int{}
	for _, ref := range refs {
		r, err := d.resolve(ref)
		if err != nil {
			err.Field = "features"
			return nil, err
		}
		p := byView[r.view]
		if p == nil {
			p = &part{view: r.view}
			byView[r.view] = p
			s.parts = append(s.parts, p)
		}
		for _, i := range r.features {
			f := &r.view.Features[i]
			name, full := f.Name, r.view.Name+":"+f.Name
			if fullNames {
				name = r.view.Name + "__" + f.Name
			}
			if other, ok := seen[name]; ok {
				e := fault.New(fault.Conflict, "%s and %s are both called %s", other, full, name)
				e.Field = "features"
				if other == full {
					return nil, e.WithHint("name each feature once")
				}
				return nil, e.WithHint("ask for full feature names")
			}
			seen[name] = full
			p.out = append(p.out, len(s.columns))
			chosen[r.view] = append(chosen[r.view], i)
			s.columns = append(s.columns, columnInfo{name, f.Type, full})
		}
	}
	for _, p := range s.parts {
		p.plan = d.compile(p.view, chosen[p.view])
	}
	return s, nil
}

// Names are the names of the features in order.
func (s *Selection) Names() []string {
	if s.derive != nil {
		return s.derive.Names()
	}
	names := make([]string, len(s.columns))
	for i := range s.columns {
		names[i] = s.columns[i].name
	}
	return names
}

// References are the features in order as view:feature.
func (s *Selection) References() []string {
	if s.derive != nil {
		return s.derive.References()
	}
	refs := make([]string, len(s.columns))
	for i := range s.columns {
		refs[i] = s.columns[i].ref
	}
	return refs
}

// Unknown are the features in order, of nobody: all are NotFound.
func (s *Selection) Unknown() []Value {
	if s.derive != nil {
		return s.derive.Unknown()
	}
	values := make([]Value, len(s.columns))
	for i, c := range s.columns {
		values[i] = Value{Name: c.name, Type: c.typ, Status: NotFound}
	}
	return values
}

// Request is what a request has to say for expressions.
func (s *Selection) Request() []RequestField {
	if s.derive == nil {
		return nil
	}
	return s.derive.Request
}

// Saying is the selection as a request reads it that says something, in the order of [Selection.Request].
func (s *Selection) Saying(request []Operand) *Selection {
	c := *s
	c.said = request
	return &c
}

// Needs says whether a read needs facts or attributes of the entity.
func (s *Selection) Needs(e Entity) bool {
	return slices.ContainsFunc(s.parts, func(p *part) bool { return p.view.Entity == e })
}

// Inputs are what features are computed from. A nil State is an entity without facts.
type Inputs struct {
	User      *State // all its facts are at or before NowMillis
	Movie     *State
	UserID    string // canonical; "" where no user is read
	MovieID   string // likewise
	Catalogue Catalogue
	People    People
	NowMillis int64 // the as-of instant
}

func (s *Selection) subject(in Inputs) subject {
	of := subject{id: in.MovieID, catalogue: in.Catalogue}
	if in.UserID != "" && in.People != nil {
		of.person = func(millis int64) *person {
			return personOf(in.People(in.UserID), func(s *Said) bool { return s.SinceMillis <= millis })
		}
	}
	return of
}

// AppendValues appends the selected features in order.
func (s *Selection) AppendValues(dst []Value, in Inputs) []Value {
	if s.derive != nil {
		bare := *s
		bare.derive = nil
		return s.derive.Finish(dst, bare.AppendValues(nil, in), s.said)
	}
	base := len(dst)
	dst = slices.Grow(dst, len(s.columns))[:base+len(s.columns)]
	of := s.subject(in)
	for _, p := range s.parts {
		state := in.User
		if p.view.Entity == Movie {
			state = in.Movie
		}
		ev := newEvaluator(p.plan, of)
		ev.tallyState(state)
		ev.read(state, in.NowMillis)
		for i, c := range p.out {
			ev.value(i, &dst[base+c])
			dst[base+c].Name = s.columns[c].name
		}
	}
	return dst
}

// Values are all features of a view of the state's entity at nowMillis; id is the movie's canonical
// id and does not matter for a user.
func (s *State) Values(v *View, id string, catalogue Catalogue, nowMillis int64) []Value {
	return v.all.AppendValues(nil, Inputs{User: s, Movie: s, MovieID: id, Catalogue: catalogue, NowMillis: nowMillis})
}
