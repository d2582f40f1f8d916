package features

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/document"
	"github.com/projectionist/projectionist/internal/fault"
)

// functionVersion is part of every hash. Raise it when the same definitions and facts give other
// values than before, so that a model trained with the old function refuses the new one.
const functionVersion = 1

//go:embed definitions.yaml
var defaultYAML string

// DefaultYAML is the definitions file that the program comes with.
func DefaultYAML() string { return defaultYAML }

// Definitions are the features there are: entities, views and services, in the order of the file.
// They are immutable after [Parse] and safe for concurrent use.
type Definitions struct {
	Entities []EntityDefinition `json:"entities"`
	Views    []*View            `json:"feature_views"`
	Services []*Service         `json:"feature_services"`
	External []*External        `json:"external_views,omitempty"`  // whose values are pushed
	OnDemand []*OnDemand        `json:"on_demand_views,omitempty"` // computed of others

	hash   string
	tables map[float64]*decayTable // by half-life in days, for all plans
}

// EntityDefinition names what features belong to and the key that rows are joined by.
type EntityDefinition struct {
	Name        Entity `json:"name"`
	JoinKey     string `json:"join_key"`
	Description string `json:"description,omitempty"`
}

// View is a group of features of one entity.
type View struct {
	Name        string    `json:"name"`
	Entity      Entity    `json:"entity"`
	TTLMillis   int64     `json:"ttl_millis"` // 0: values do not expire
	Description string    `json:"description,omitempty"`
	Features    []Feature `json:"features"`

	all *Selection
}

// Feature is a name, a type and an aggregation with its parameters; parameters that the
// aggregation does not take are zero.
type Feature struct {
	Name         string   `json:"name"`
	Type         Type     `json:"type"`
	Aggregation  string   `json:"aggregation"`
	Kinds        []string `json:"kinds,omitempty"`       // interaction types, sorted; none: all
	WindowDays   int64    `json:"window_days,omitempty"` // 0: all time
	HalfLifeDays float64  `json:"half_life_days,omitempty"`
	PriorMean    float64  `json:"prior_mean,omitempty"`
	PriorCount   float64  `json:"prior_count,omitempty"`
	Genre        string   `json:"genre,omitempty"`
	Of           string   `json:"of,omitempty"` // attribute of the entity
	K            int      `json:"k,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// Service is a named list of features, as references "view" or "view:feature".
type Service struct {
	Name        string   `json:"name"`
	Features    []string `json:"features"`
	Description string   `json:"description,omitempty"`

	selection *Selection
}

// Selection is the service's features, ready to be read.
func (s *Service) Selection() *Selection { return s.selection }

// Selection is all features of the view, ready to be read.
func (v *View) Selection() *Selection { return v.all }

// View is the view of a name, or nil.
func (d *Definitions) View(name string) *View {
	for _, v := range d.Views {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Service is the service of a name, or nil.
func (d *Definitions) Service(name string) *Service {
	for _, s := range d.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Feature is the view's feature of a name, or nil.
func (v *View) Feature(name string) *Feature {
	for i := range v.Features {
		if v.Features[i].Name == name {
			return &v.Features[i]
		}
	}
	return nil
}

// Hash is the SHA-256, in hex, of what is computed: names, types, aggregations, parameters, ttl, and
// the version of the function. Comments, white space, the order of keys and descriptions do not
// count; the order of views and features does, since it is the order of a model's inputs.
func (d *Definitions) Hash() string { return d.hash }

func (d *Definitions) computeHash() string {
	bare := Definitions{}
	for _, e := range d.Entities {
		e.Description = ""
		bare.Entities = append(bare.Entities, e)
	}
	for _, v := range d.Views {
		bare.Views = append(bare.Views, v.bare())
	}
	for _, s := range d.Services {
		bare.Services = append(bare.Services, &Service{Name: s.Name, Features: s.Features})
	}
	for _, x := range d.External {
		bare.External = append(bare.External, x.bare())
	}
	for _, o := range d.OnDemand {
		bare.OnDemand = append(bare.OnDemand, o.bare())
	}
	canonical, err := json.Marshal(&bare)
	if err != nil {
		panic(err) // strings and finite numbers only
	}
	sum := sha256.Sum256(append(fmt.Appendf(nil, "features/%d\n", functionVersion), canonical...))
	return hex.EncodeToString(sum[:])
}

// Limits of a definitions file: far above what a model uses, low enough that a file sent to the
// program cannot make every read expensive.
const (
	viewsMax    = 100
	featuresMax = 2000
	servicesMax = 100
	daysMax     = 36500 // windows, half-lives and ttls: a century
)

var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)

// Parse reads a definitions file (YAML, of which JSON is a part). Its error joins every fault found,
// each a fault.Invalid that names the path, such as feature_views[1].features[3].window, and the remedy.
func Parse(data []byte) (*Definitions, error) {
	root, err := document.Parse("definitions", data)
	if err != nil {
		return nil, err
	}
	c := &checker{}
	d := &Definitions{tables: map[float64]*decayTable{}}
	if c.Mapping("", root, "entities", "feature_views", "external_views", "on_demand_views", "feature_services") {
		d.parseEntities(c, root.Field("entities"))
		d.parseViews(c, root)
		d.parseExternal(c, root.Field("external_views"))
		d.parseOnDemand(c, root.Field("on_demand_views"))
		d.parseServices(c, root.Field("feature_services"))
	}
	if len(c.Errs) > 0 {
		return nil, errors.Join(c.Errs...)
	}
	d.hash = d.computeHash()
	return d, nil
}

// checker collects the faults of a definitions file.
type checker struct{ document.Checker }

// name reads the required name of a thing and checks that taken does not hold it.
func (c *checker) name(path string, n *document.Node, taken func(string) bool) string {
	f := n.Field("name")
	if f == nil {
		c.Fail(document.At(document.Join(path, "name"), n, "is missing").WithHint("add it"))
		return ""
	}
	name := c.Text(document.Join(path, "name"), f)
	switch {
	case f.Kind != "text":
	case !namePattern.MatchString(name) || strings.Contains(name, "__"):
		c.Fail(document.At(document.Join(path, "name"), f, "%q is not a name", name).
			WithHint("use letters, digits and single underscores, a letter first, at most 100"))
	case taken(name):
		c.Fail(document.At(document.Join(path, "name"), f, "%q is taken", name).WithHint("choose another name"))
	}
	return name
}

func (d *Definitions) parseEntities(c *checker, list *document.Node) {
	if list == nil {
		c.Fail(fault.Field("entities", "is missing").WithHint("list user (join_key user_id) and movie (join_key movie_id)"))
	}
	for i, n := range c.List("entities", list) {
		path := fmt.Sprintf("entities[%d]", i)
		if !c.Mapping(path, n, "name", "join_key", "description") {
			continue
		}
		e := EntityDefinition{Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		e.Name = Entity(c.name(path, n, func(name string) bool { return d.entity(Entity(name)) }))
		e.JoinKey = c.Text(document.Join(path, "join_key"), n.Field("join_key"))
		if e.Name != User && e.Name != Movie {
			c.Fail(document.At(document.Join(path, "name"), n.Field("name"), "%q has no facts", e.Name).WithHint("the entities are user and movie"))
		} else if want := string(e.Name) + "_id"; e.JoinKey != want {
			c.Fail(document.At(document.Join(path, "join_key"), n.Field("join_key"), "is %q", e.JoinKey).WithHint("the join key of %s is %s", e.Name, want))
		}
		d.Entities = append(d.Entities, e)
	}
}

func (d *Definitions) entity(name Entity) bool {
	return slices.ContainsFunc(d.Entities, func(e EntityDefinition) bool { return e.Name == name })
}

func (d *Definitions) parseViews(c *checker, root *document.Node) {
	list := c.List("feature_views", root.Field("feature_views"))
	if len(list) == 0 || len(list) > viewsMax {
		c.Fail(document.At("feature_views", root.Field("feature_views"), "has %d views", len(list)).WithHint("list 1 to %d", viewsMax))
		return
	}
	total := 0
	for i, n := range list {
		path := fmt.Sprintf("feature_views[%d]", i)
		if !c.Mapping(path, n, "name", "entity", "ttl", "description", "features") {
			continue
		}
		v := &View{Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		v.Name = c.name(path, n, func(name string) bool { return d.View(name) != nil })
		v.Entity = Entity(c.Text(document.Join(path, "entity"), n.Field("entity")))
		if !d.entity(v.Entity) {
			c.Fail(document.At(document.Join(path, "entity"), n.Field("entity"), "%q is not among the entities", v.Entity).WithHint("name one of entities"))
		}
		if ttl := n.Field("ttl"); ttl != nil && ttl.Text != "0" {
			v.TTLMillis = c.duration(document.Join(path, "ttl"), ttl, "write a duration such as 90d, or 0 for values that do not expire")
		}
		d.Views = append(d.Views, v)
		items := c.List(document.Join(path, "features"), n.Field("features"))
		if len(items) == 0 || len(items) > featuresMax {
			c.Fail(document.At(document.Join(path, "features"), n.Field("features"), "has %d features", len(items)).WithHint("list 1 to %d", featuresMax))
			continue
		}
		taken := map[string]bool{}
		for j, item := range items {
			f := c.feature(fmt.Sprintf("%s.features[%d]", path, j), item, v.Entity, taken)
			if h := f.HalfLifeDays; h > 0 && d.tables[h] == nil {
				d.tables[h] = newDecayTable(h)
			}
			v.Features = append(v.Features, f)
		}
		if total += len(items); total > featuresMax {
			c.Fail(document.At(document.Join(path, "features"), n.Field("features"), "brings the file to %d features", total).WithHint("define at most %d", featuresMax))
			return
		}
		if len(c.Errs) == 0 {
			v.all, _ = d.Select([]string{v.Name}, false) // cannot collide within one view
		}
	}
}

func (d *Definitions) parseServices(c *checker, list *document.Node) {
	items := c.List("feature_services", list)
	if len(items) > servicesMax {
		c.Fail(document.At("feature_services", list, "has %d services", len(items)).WithHint("list at most %d", servicesMax))
		return
	}
	for i, n := range items {
		path := fmt.Sprintf("feature_services[%d]", i)
		if !c.Mapping(path, n, "name", "features", "description") {
			continue
		}
		s := &Service{Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		s.Name = c.name(path, n, func(name string) bool { return d.Service(name) != nil })
		s.Features = c.Texts(document.Join(path, "features"), n.Field("features"))
		if len(s.Features) == 0 {
			c.Fail(document.At(document.Join(path, "features"), n, "is empty").WithHint("list views or view:feature"))
		}
		d.Services = append(d.Services, s)
		if len(c.Errs) > 0 {
			continue // a wrong view would only be reported a second time
		}
		for j, ref := range s.Features {
			if _, err := d.resolve(ref); err != nil {
				c.Fail(document.At(fmt.Sprintf("%s.features[%d]", path, j), n.Field("features").Items[j], "%s", err.Message).WithHint("%s", err.Hint))
			}
		}
		if len(c.Errs) > 0 {
			continue
		}
		// Two views of a service may have features of the same name; then all carry their view's.
		sel, err := d.Select(s.Features, false)
		if err != nil {
			sel, err = d.Select(s.Features, true)
		}
		if err != nil {
			c.Fail(document.At(document.Join(path, "features"), n.Field("features"), "%v", err))
		}
		s.selection = sel
	}
}

// duration is in milliseconds.
func (c *checker) duration(path string, n *document.Node, hint string) int64 {
	return c.Duration(path, n, daysMax*24*time.Hour, hint).Milliseconds()
}

// aggregation is what a feature can be: its types (the first is the default), its entities, and the
// parameters it needs and takes.
type aggregation struct {
	name     string
	op       op
	types    []Type
	entities []Entity
	needs    []string
	takes    []string
}

type op uint8

const (
	opCount op = iota
	opRatingCount
	opActiveDays
	opDistinctMovies
	opMean
	opDecayedCount
	opRecency
	opAge
	opAttribute
	opYearsSinceRelease
	opGenreShare
	opGenreMean
	opTopGenre
	opTopGenres
)

var (
	whole    = []Type{Int64, Float64}
	real     = []Type{Float64}
	elapsed  = []Type{Float64, Int64}
	ofBoth   = []Entity{User, Movie}
	ofUsers  = []Entity{User}
	ofMovies = []Entity{Movie}
)

var aggregations = []aggregation{
	{"count", opCount, whole, ofBoth, nil, []string{"kinds", "window"}},
	{"rating_count", opRatingCount, whole, ofBoth, nil, []string{"kinds", "window"}},
	{"active_days", opActiveDays, whole, ofBoth, nil, []string{"kinds", "window"}},
	{"distinct_movies", opDistinctMovies, whole, ofUsers, nil, []string{"kinds"}},
	{"mean", opMean, real, ofBoth, nil, []string{"kinds", "window", "prior_mean", "prior_count"}},
	{"decayed_count", opDecayedCount, real, ofBoth, []string{"half_life"}, []string{"kinds"}},
	{"recency", opRecency, elapsed, ofBoth, nil, []string{"kinds"}},
	{"age", opAge, elapsed, ofBoth, nil, []string{"kinds"}},
	{"attribute", opAttribute, nil, ofBoth, []string{"of"}, nil},
	{"years_since_release", opYearsSinceRelease, whole, ofMovies, nil, nil},
	{"genre_share", opGenreShare, real, ofBoth, []string{"genre"}, []string{"kinds"}},
	{"genre_mean", opGenreMean, real, ofUsers, []string{"genre"}, []string{"kinds", "prior_mean", "prior_count"}},
	{"top_genre", opTopGenre, []Type{String}, ofUsers, nil, []string{"kinds"}},
	{"top_genres", opTopGenres, []Type{StringList}, ofUsers, []string{"k"}, []string{"kinds"}},
}

// attributes are what is said of an entity beside its facts: what the catalogue says of a movie, and sources of a user.
var attributes = map[Entity][]attribute{
	Movie: {{"title", []Type{String}}, {"year", whole}, {"genres", []Type{StringList, String}}, {"language", []Type{String}}, {"runtime_minutes", whole}},
	User:  {{"age", whole}, {"gender", []Type{String}}, {"occupation", []Type{String}}},
}

type attribute struct {
	name  string
	types []Type
}

// attributeTypes are the types that an attribute can have; nil for none of the entity.
func attributeTypes(e Entity, name string) []Type {
	for _, a := range attributes[e] {
		if a.name == name {
			return a.types
		}
	}
	return nil
}

func aggregationOf(name string) *aggregation {
	for i := range aggregations {
		if aggregations[i].name == name {
			return &aggregations[i]
		}
	}
	return nil
}

func (c *checker) feature(path string, n *document.Node, entity Entity, taken map[string]bool) (f Feature) {
	common := []string{"name", "type", "aggregation", "description"}
	all := append(slices.Clone(common), "kinds", "window", "half_life", "prior_mean", "prior_count", "genre", "of", "k")
	if !c.Mapping(path, n, all...) {
		return f
	}
	f.Name = c.name(path, n, func(name string) bool { return taken[name] })
	taken[f.Name] = true
	f.Description = c.Text(document.Join(path, "description"), n.Field("description"))
	f.Aggregation = c.Text(document.Join(path, "aggregation"), n.Field("aggregation"))
	a := aggregationOf(f.Aggregation)
	if a == nil {
		var names []string
		for _, a := range aggregations {
			names = append(names, a.name)
		}
		c.Fail(document.At(document.Join(path, "aggregation"), cmpNode(n.Field("aggregation"), n), "%q is not an aggregation", f.Aggregation).
			WithHint("use one of %s", strings.Join(names, ", ")))
		return f
	}
	if !slices.Contains(a.entities, entity) {
		c.Fail(document.At(document.Join(path, "aggregation"), n.Field("aggregation"), "%s does not apply to a %s", a.name, entity).
			WithHint("move the feature to a view of %s", a.entities[0]))
	}
	for _, p := range a.needs {
		if n.Field(p) == nil {
			c.Fail(document.At(document.Join(path, p), n, "is missing").WithHint("%s needs it", a.name))
		}
	}
	for _, field := range n.Fields {
		p := field.Name
		takes := slices.Contains(a.needs, p) || slices.Contains(a.takes, p)
		if slices.Contains(all, p) && !slices.Contains(common, p) && !takes {
			c.Fail(document.At(document.Join(path, p), field.Value, "is not a parameter of %s", a.name).
				WithHint("%s takes %s", a.name, strings.Join(append(slices.Clone(a.needs), a.takes...), ", ")))
		} else if takes {
			c.parameter(&f, document.Join(path, p), p, field.Value, entity)
		}
	}
	if a.op == opGenreShare && entity == Movie && n.Field("kinds") != nil {
		c.Fail(document.At(document.Join(path, "kinds"), n.Field("kinds"), "a movie's genres do not depend on kinds").WithHint("remove it"))
	}
	if mean, count := n.Field("prior_mean"), n.Field("prior_count"); (mean == nil) != (count == nil) {
		c.Fail(document.At(document.Join(path, "prior_count"), n, "prior_mean and prior_count go together").WithHint("give both or neither"))
	}
	types := a.types
	if a.op == opAttribute {
		types = attributeTypes(entity, f.Of)
	}
	if t := n.Field("type"); t != nil {
		f.Type = Type(c.Text(document.Join(path, "type"), t))
		if !slices.Contains(types, f.Type) && len(types) > 0 {
			c.Fail(document.At(document.Join(path, "type"), t, "%q does not fit %s", f.Type, a.name).WithHint("use %s", joinTypes(types)))
		}
	} else if len(types) > 0 {
		f.Type = types[0]
	}
	return f
}

func cmpNode(a, b *document.Node) *document.Node {
	if a != nil {
		return a
	}
	return b
}

func joinTypes(types []Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, " or ")
}

func (c *checker) parameter(f *Feature, path, name string, n *document.Node, entity Entity) {
	switch name {
	case "kinds":
		f.Kinds = c.Texts(path, n)
		slices.Sort(f.Kinds)
		if len(f.Kinds) == 0 && n.Kind == "list" {
			c.Fail(document.At(path, n, "is empty").WithHint("list interaction types, or leave the key out for all"))
		}
	case "window":
		const hint = "write whole days such as 7d, or leave the key out for all time"
		if millis := c.duration(path, n, hint); millis%dayMillis != 0 {
			c.Fail(document.At(path, n, "%q is not a number of whole days", n.Text).WithHint(hint))
		} else {
			f.WindowDays = millis / dayMillis
		}
	case "half_life":
		f.HalfLifeDays = float64(c.duration(path, n, "write a duration such as 30d")) / dayMillis
	case "prior_mean":
		f.PriorMean = c.Number(path, n, 0, RatingMax)
	case "prior_count":
		f.PriorCount = c.Number(path, n, 0, 1e9)
	case "genre":
		if f.Genre = c.Text(path, n); f.Genre == "" && n.Kind == "text" {
			c.Fail(document.At(path, n, "is empty").WithHint("name a genre as the catalogue spells it"))
		}
	case "of":
		if f.Of = c.Text(path, n); attributeTypes(entity, f.Of) == nil && n.Kind == "text" {
			var names []string
			for _, a := range attributes[entity] {
				names = append(names, a.name)
			}
			c.Fail(document.At(path, n, "%q is not an attribute of a %s", f.Of, entity).WithHint("use %s", strings.Join(names, ", ")))
		}
	case "k":
		x := c.Number(path, n, 1, 100)
		if f.K = int(x); float64(f.K) != x {
			c.Fail(document.At(path, n, "is %q, expected a whole number", n.Text).WithHint("write a number from 1 to 100"))
		}
	}
}

// reference is a resolved "view" or "view:feature".
type reference struct {
	view     *View
	onDemand *OnDemand // in the place of view
	features []int     // indices into their Features
}

func (d *Definitions) resolve(ref string) (reference, *fault.Error) {
	name, feature, one := strings.Cut(ref, ":")
	v := d.View(name)
	if o := d.OnDemandView(name); v == nil && o != nil {
		r := reference{onDemand: o}
		for i := range o.Features {
			if !one || o.Features[i].Name == feature {
				r.features = append(r.features, i)
			}
		}
		if len(r.features) == 0 {
			return reference{}, noFeature(name, feature, len(o.Features))
		}
		return r, nil
	}
	if v == nil {
		var names []string
		for _, v := range d.Views {
			names = append(names, v.Name)
		}
		for _, o := range d.OnDemand {
			names = append(names, o.Name)
		}
		return reference{}, fault.New(fault.NotFound, "there is no feature view %q", name).WithHint("views: %s", strings.Join(names, ", "))
	}
	r := reference{view: v}
	for i := range v.Features {
		if !one || v.Features[i].Name == feature {
			r.features = append(r.features, i)
		}
	}
	if len(r.features) == 0 {
		return reference{}, noFeature(name, feature, len(v.Features))
	}
	return r, nil
}

func noFeature(view, feature string, has int) *fault.Error {
	return fault.New(fault.NotFound, "view %s has no feature %q", view, feature).WithHint("write view:feature; %s has %d features", view, has)
}
