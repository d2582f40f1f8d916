package featurestore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Version is a definition that a view has had. Each change of it is another; the same again is none.
type Version struct {
	View           string `json:"feature_view"`
	Number         int    `json:"version"` // 1, 2, 3 …, in the order of the log
	Hash           string `json:"hash"`
	Kind           string `json:"kind"` // computed, pushed or on_demand
	Features       int    `json:"features"`
	InForce        bool   `json:"in_force"`
	Definitions    string `json:"definitions_hash,omitempty"` // of the file that has it; "" where it is of Feast's registry
	Position       string `json:"position"`                   // of the event that put it in force
	EventMillis    int64  `json:"event_millis"`
	RecordedMillis int64  `json:"recorded_millis"`

	external *features.External
	place    streams.Position
}

// versions are those of all views, and up to which change of what is declared.
type versions struct {
	of             map[string][]Version
	changes        []change // in the order of the log
	folded         int64    // of the ledger, by the definitions
	file, registry string   // the last changes
}

// declaring is something that was declared of a view: by a file, or in Feast's registry.
type declaring struct {
	hash        string // "" takes it away
	kind        string
	features    int
	definitions string
	external    *features.External
}

// change is an event after which views may be others.
type change struct {
	place       streams.Position
	eventMillis int64
	recorded    int64
	file        map[string]declaring // what a file has; nil: the change is of the registry
	view        string
	is          declaring
}

// Versions are the definitions that a view has had, from its first on, as far as a moment knows them; none of a view that there never was.
func (f *Store) Versions(view string, known fold.At) ([]Version, error) {
	all, err := f.allVersions()
	if err != nil {
		return nil, err
	}
	return all.knownAt(view, known), nil
}

func (all *versions) knownAt(view string, known fold.At) []Version {
	had := all.of[view]
	if known.IsZero() {
		return had
	}
	had = slices.DeleteFunc(slices.Clone(had), func(v Version) bool { return !known.Admits(v.EventMillis, v.RecordedMillis, v.place) })
	hash := inForce(all.changes, view, known)
	for i := len(had) - 1; i >= 0; i-- {
		had[i].InForce = had[i].Hash == hash
		if had[i].InForce {
			hash = ""
		}
	}
	return had
}

// inForce is the hash of what a view was as of a moment; "" for nothing.
func inForce(changes []change, view string, at fold.At) string {
	var file, registry string
	for i := range changes {
		switch c := &changes[i]; {
		case !at.Admits(c.eventMillis, c.recorded, c.place):
		case c.file != nil:
			file = c.file[view].hash
		case c.view == view:
			registry = c.is.hash
		}
	}
	return cmp.Or(file, registry)
}

// VersionOf is the version of a number among those of a view that a moment knows, or nil.
func VersionOf(had []Version, number int) *Version {
	i := slices.IndexFunc(had, func(v Version) bool { return v.Number == number })
	if i < 0 {
		return nil
	}
	return &had[i]
}

// Kinds of views.
const (
	KindComputed = "computed"
	KindPushed   = "pushed"
	KindOnDemand = "on_demand"
)

// Definition is what a version is: a [*features.View], a [*features.External] or a [*features.OnDemand].
func (f *Store) Definition(v *Version) (any, error) {
	if v.external != nil {
		return v.external, nil
	}
	defs, err := f.definitionsOf(v)
	if err != nil {
		return nil, err
	}
	if v.Kind == KindOnDemand {
		return defs.OnDemandView(v.View), nil
	}
	return defs.View(v.View), nil
}

// definitionsOf are the definitions that a version is of, which have it.
func (f *Store) definitionsOf(v *Version) (*features.Definitions, error) {
	d, ok, err := fold.Of[*projections.Definitions](f.views).ByHash(v.Definitions)
	defs, err := f.parsed(&d, ok, err)
	if err == nil && defs.View(v.View) == nil && defs.OnDemandView(v.View) == nil {
		err = fault.New(fault.Corrupt, "version %d of feature view %s is not among its definitions", v.Number, v.View)
	}
	return defs, err
}

// Pinned is a registry with the versions of views that references name, such as "view@v2:feature". For a version that is not known at the moment
// the error is fault.NotFound, and the registry has the others.
func (f *Store) Pinned(r *Registry, refs []string, known fold.At) (*Registry, error) {
	pins := map[features.Pin]bool{}
	var missing error
	for _, ref := range refs {
		p, ok := features.PinOf(ref)
		if !ok || pins[p] {
			continue
		}
		if pins[p] = true; len(pins) == 1 {
			c := *r
			c.external, c.keys = maps.Clone(r.external), maps.Clone(r.keys)
			r = &c
		}
		had, err := f.Versions(p.View, known)
		if err != nil {
			return nil, err
		}
		v := VersionOf(had, p.Number)
		if v == nil {
			missing = cmp.Or(missing, error(features.NoVersion(p, len(had))))
			continue
		}
		if v.external != nil {
			r.external[p.Name()] = v.external
			for _, k := range v.external.JoinKeys {
				r.keys[k.Name] = k.Name
			}
			continue
		}
		of, err := f.definitionsOf(v)
		switch {
		case err != nil:
			return nil, err
		case v.Kind == KindOnDemand:
			r.Definitions = r.Definitions.PinnedOnDemand(p.Name(), of.OnDemandView(p.View))
		default:
			r.Definitions = r.Definitions.Pinned(p.Name(), of.View(p.View), of)
		}
	}
	return r, missing
}

// PinnedDefinitions is [Store.Pinned] for who reads computed features alone.
func (f *Store) PinnedDefinitions(defs *features.Definitions, refs []string) (*features.Definitions, error) {
	r, err := f.Pinned(&Registry{Definitions: defs, external: map[string]*features.External{}, keys: map[string]string{}}, refs, fold.At{})
	if err != nil {
		return nil, err
	}
	return r.Definitions, nil
}

// ViewsJoined are the views that a selection reads, each at the version that its name says, or the last that is known at a moment.
func (f *Store) ViewsJoined(s *Selection, known fold.At) (all []events.ViewJoined, err error) {
	for _, name := range s.Views() {
		p, pinned := features.PinOf(name)
		if !pinned {
			p.View = name
		}
		had, err := f.Versions(p.View, known)
		if err != nil {
			return nil, err
		}
		if !pinned {
			p.Number = len(had)
		}
		if p.Number < 1 || p.Number > len(had) {
			return nil, features.NoVersion(p, len(had))
		}
		v := events.ViewJoined{ViewRead: events.ViewRead{View: p.View, Hash: had[p.Number-1].Hash}, Version: p.Number}
		if !slices.Contains(all, v) { // view@v2 may be what is in force
			all = append(all, v)
		}
	}
	return all, nil
}

// allVersions are the versions of all views, by name.
func (f *Store) allVersions() (*versions, error) {
	view, registry := fold.Of[*projections.Definitions](f.views), fold.Of[*projections.FeatureRegistry](f.views)
	folded := f.definitionsFolded()
	changed, err := registry.Changed()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	v := f.versions
	f.mu.Unlock()
	if v != nil && v.folded == folded && v.registry == changed {
		return v, nil
	}
	last, _, err := view.Current()
	if err != nil {
		return nil, err
	}
	next := &versions{folded: folded, file: last.Position, registry: changed}
	if v != nil && v.file == next.file && v.registry == changed {
		next.of, next.changes = v.of, v.changes
	} else {
		if next.changes, err = allChanges(view, registry); err != nil {
			return nil, err
		}
		next.of = versionsOf(next.changes)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions = next
	return next, nil
}

// allChanges are all changes of what is declared, in the order of the log.
func allChanges(view *projections.Definitions, registry *projections.FeatureRegistry) ([]change, error) {
	var changes []change
	had := map[string]map[string]declaring{} // by the hash of a file
	for d, err := range view.All() {
		if err != nil {
			return nil, err
		}
		if had[d.Hash] == nil {
			defs, err := features.Parse([]byte(d.Definitions))
			if err != nil {
				return nil, fault.Wrap(fault.Corrupt, err, "the feature definitions of %s", d.Position)
			}
			had[d.Hash] = declaredBy(defs)
		}
		place, err := streams.ParsePosition(d.Position)
		if err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
		}
		changes = append(changes, change{place: place, eventMillis: d.EventMillis, recorded: d.RecordedMillis, file: had[d.Hash]})
	}
	var failed error
	for name, d := range registry.ViewsWere(&failed) {
		c := change{place: streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: d.Offset}, eventMillis: d.UpdatedMillis, recorded: d.RecordedMillis, view: name}
		if !d.Deleted {
			x := projections.External(&d.Is)
			c.is = declaring{hash: x.Hash(), kind: KindPushed, features: len(x.Features), external: x}
		}
		changes = append(changes, c)
	}
	if failed != nil {
		return nil, failed
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.place.Offset, b.place.Offset) })
	return changes, nil
}

func declaredBy(defs *features.Definitions) map[string]declaring {
	all := map[string]declaring{}
	for _, x := range defs.External {
		all[x.Name] = declaring{x.Hash(), KindPushed, len(x.Features), defs.Hash(), x}
	}
	for _, o := range defs.OnDemand {
		all[o.Name] = declaring{o.Hash(), KindOnDemand, len(o.Features), defs.Hash(), nil}
	}
	for _, v := range defs.Views {
		all[v.Name] = declaring{v.Hash(), KindComputed, len(v.Features), defs.Hash(), nil}
	}
	return all
}

// versionsOf goes through what was declared in the order of the log. A file's view goes over one of the registry.
func versionsOf(changes []change) map[string][]Version {
	all, inForce := map[string][]Version{}, map[string]string{}
	file, registry := map[string]declaring{}, map[string]declaring{}
	for i := range changes {
		c := &changes[i]
		var names []string
		if c.file == nil {
			registry[c.view], names = c.is, []string{c.view}
		} else {
			names = slices.AppendSeq(slices.Collect(maps.Keys(c.file)), maps.Keys(file))
			slices.Sort(names)
			names, file = slices.Compact(names), c.file
		}
		for _, name := range names {
			is, ok := file[name]
			if !ok {
				is = registry[name]
			}
			inForce[name] = is.hash
			if had := all[name]; is.hash == "" || len(had) > 0 && had[len(had)-1].Hash == is.hash {
				continue
			}
			all[name] = append(all[name], Version{View: strings.Clone(name), Number: len(all[name]) + 1, Hash: is.hash, Kind: is.kind, Features: is.features,
				Definitions: is.definitions, Position: c.place.String(), EventMillis: c.eventMillis, RecordedMillis: c.recorded, external: is.external, place: c.place})
		}
	}
	for name, had := range all {
		had[len(had)-1].InForce = inForce[name] != ""
	}
	return all
}

// cutKey says which of what a moment admits has been folded.
func (f *Store) cutKey(at fold.At, changed string) string {
	ledger := streams.TP{Topic: events.LedgerTopic}
	definitions, registry := f.definitionsFolded(), f.views.FoldedTo("feature-registry", ledger)
	if at.Cut != nil {
		definitions, registry, changed = min(definitions, at.Cut[ledger]), min(registry, at.Cut[ledger]), ""
	}
	return fmt.Sprintf("%d %d %s %d %d %x", at.EventMillis, at.RecordedMillis, at.Cut, definitions, registry, changed)
}
