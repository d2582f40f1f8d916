package v1

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) featureStatisticsRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/features/statistics", s.featureStatistics, "online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values", "training_sets")
}

// statistics is what is answered.
type statistics struct {
	Views           []*featurestore.ViewStatistics `json:"views"`
	Against         *against                       `json:"against,omitempty"`
	AtMillis        int64                          `json:"at_millis"`
	DefinitionsHash string                         `json:"definitions_hash"`
}

// against is the training set that features are compared with.
type against struct {
	Name            string `json:"name"`
	Version         int    `json:"version"`
	Rows            int64  `json:"rows"`
	SameDefinitions bool   `json:"same_definitions"` // it was made by those that the features are read by
	Compared        int    `json:"compared"`         // features
	Drifted         int    `json:"drifted"`          // of them
}

// featureStatistics tells how the features of views are distributed over their entities, each counting once, and how far that is from a
// training set.
func (s *Surface) featureStatistics(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "view", "features", "against", "sample", api.AsOfParam, api.KnownAtParam)
	name, names := q.Str("view"), q.List("features")
	sample := int(q.Number("sample", featurestore.SampleDefault, 1, featurestore.SampleMax))
	if name == "" && names != nil {
		q.Fault("features", "are of no view; say which: view=…")
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	reg, err := s.Features.RegistryFor(m.At)
	if err != nil {
		return err
	}
	chosen, err := viewsChosen(reg, name, names)
	if err != nil {
		return err
	}
	out := statistics{AtMillis: m.Millis(s.Now().UnixMilli()), DefinitionsHash: reg.Hash(), Views: []*featurestore.ViewStatistics{}}
	var set *projections.TrainingSet
	if text := q.Str("against"); text != "" {
		if set, err = s.setNamed(text); err != nil {
			return err
		}
		out.Against = &against{Name: set.Name, Version: set.Version, Rows: set.Rows, SameDefinitions: len(set.References) == 0 && madeBy(reg, set)}
	}
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	done, err := s.Features.BeginJoin() // it is as much work
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()

	for _, c := range chosen {
		var v *featurestore.ViewStatistics
		if c.view != nil {
			v, err = s.Features.Statistics(ctx, c.view, c.sel, m.At, out.AtMillis, sample)
		} else {
			v, err = s.Features.PushedStatistics(ctx, c.external, c.names, m.At, out.AtMillis, sample)
		}
		if err == nil && set != nil {
			err = s.compare(ctx, reg, set, v, out.Against, sample, name != "")
		}
		if err != nil {
			return err
		}
		v.Release()
		out.Views = append(out.Views, v)
	}
	if set != nil && out.Against.Compared == 0 {
		return fault.Field("against", "version %d of %s has none of these features", set.Version, api.Short(set.Name)).
			WithHint("it has %s; where several views have a feature of one name, say which view is meant", api.Short(strings.Join(set.Columns, ", ")))
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// viewChosen is a view that is asked for.
type viewChosen struct {
	view     *features.View
	sel      *features.Selection
	external *features.External
	names    []string
}

// viewsChosen are the view of a name, or all; of one, the features that are named, or all.
func viewsChosen(reg *featurestore.Registry, name string, names []string) (all []viewChosen, err error) {
	for _, v := range reg.Views {
		if name != "" && v.Name != name {
			continue
		}
		c := viewChosen{view: v, sel: v.Selection()}
		if names != nil {
			refs := make([]string, len(names))
			for i := range names {
				refs[i] = v.Name + ":" + names[i]
			}
			if c.sel, err = reg.Select(refs, false); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	for _, x := range reg.External {
		if name != "" && x.Name != name {
			continue
		}
		c := viewChosen{external: x, names: names}
		for _, f := range names {
			if x.Feature(f) == nil {
				return nil, unknownFeature("features", "view %s has no feature %q", x.Name, api.Short(f))
			}
		}
		if names == nil {
			for _, f := range x.Features {
				c.names = append(c.names, f.Name)
			}
		}
		all = append(all, c)
	}
	if name != "" && all == nil {
		return nil, unknownView(name)
	}
	return all, nil
}

// setNamed is the training set that "NAME@VERSION", or "NAME" for the latest version, names.
func (s *Surface) setNamed(text string) (*projections.TrainingSet, error) {
	name, version, _ := strings.Cut(text, "@")
	view := fold.Of[*projections.TrainingSets](s.Views)
	t, ok, err := projections.TrainingSet{}, false, error(nil)
	if version == "" || version == "latest" {
		t, ok, err = view.Set(name)
	} else {
		n, bad := strconv.Atoi(version)
		if bad != nil {
			return nil, fault.Field("against", "%q is no version", api.Short(version)).WithHint("write NAME@VERSION, such as ranking_set@2")
		}
		t, ok, err = view.Version(name, n)
	}
	if err == nil && !ok {
		e := fault.New(fault.NotFound, "there is no training set %s", api.Short(text))
		e.Field = "against"
		err = e.WithHint("GET /api/v1/training-sets lists what there is")
	}
	return &t, err
}

// compare adds how far the features of a view are from those of a training set. Its columns say which view they are of where they were
// joined by their full names, or where no other view has a feature of the name.
func (s *Surface) compare(ctx context.Context, reg *featurestore.Registry, set *projections.TrainingSet, v *featurestore.ViewStatistics, told *against, sample int, oneView bool) error {
	var names, types, columns []string
	for i := range v.Features {
		f := &v.Features[i]
		column := v.View + "__" + f.Feature
		if !slices.Contains(set.Columns, column) {
			if column = f.Feature; !slices.Contains(set.Columns, column) || !oneView && viewsWith(reg, f.Feature) > 1 {
				continue
			}
		}
		if refs := set.References; len(refs) > 0 && refs[slices.Index(set.Columns, column)] != v.View+":"+f.Feature {
			continue // of a version of the view, or of another view
		}
		names, types, columns = append(names, f.Feature), append(types, f.Type), append(columns, column)
	}
	if names == nil {
		return nil
	}
	file, err := s.Blobs.Open(ctx, set.Blob)
	if err != nil {
		return err
	}
	defer file.Close()
	corrupt := func(err error) error {
		return fault.Wrap(fault.Corrupt, err, "the rows of version %d of %s", set.Version, set.Name)
	}
	in := csv.NewReader(file)
	header, err := in.Read()
	if err != nil {
		return corrupt(err)
	}
	in.ReuseRecord = true
	places := make([]int, len(columns))
	for i, c := range columns {
		if places[i] = slices.Index(header, c); places[i] < 0 {
			return corrupt(fault.New(fault.Corrupt, "they have no column %s", c))
		}
	}
	ref := featurestore.NewReference(names, types, places, set.Rows, sample)
	for n := 0; ; n++ {
		cells, err := in.Read()
		if err == io.EOF {
			break
		}
		if err == nil && n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err != nil {
			return corrupt(err)
		}
		ref.Add(cells)
	}
	ref.Compare(v)
	for i := range v.Features {
		if d := v.Features[i].Drift; d != nil {
			if told.Compared++; d.Drifted {
				told.Drifted++
			}
		}
	}
	return nil
}

// unsureMax bounds the views that a training set may be of or not, as far as its columns tell.
const unsureMax = 8

// madeBy says whether a training set was made by what a registry has: its definitions, and those of Feast's views that the set is of. Columns do
// not always say of which views they are, but the hash does.
func madeBy(reg *featurestore.Registry, set *projections.TrainingSet) bool {
	var sure, unsure []*features.External
	for _, x := range reg.External {
		if reg.ExternalView(x.Name) == x { // of the definitions
			continue
		}
		is, may := false, false
		for _, f := range x.Features {
			named := slices.Contains(set.Columns, f.Name)
			is = is || slices.Contains(set.Columns, x.Name+"__"+f.Name) || named && viewsWith(reg, f.Name) == 1
			may = may || named
		}
		switch {
		case is:
			sure = append(sure, x)
		case may && len(unsure) < unsureMax:
			unsure = append(unsure, x)
		}
	}
	for which := range 1 << len(unsure) {
		of := slices.Clone(sure)
		for i, x := range unsure {
			if which>>i&1 == 1 {
				of = append(of, x)
			}
		}
		if features.HashWith(reg.Hash(), of) == set.FeaturesHash {
			return true
		}
	}
	return false
}

// viewsWith is how many views have a feature of a name.
func viewsWith(reg *featurestore.Registry, name string) (n int) {
	for _, o := range reg.OnDemand {
		if slices.ContainsFunc(o.Features, func(f features.OnDemandFeature) bool { return f.Name == name }) {
			n++
		}
	}
	for _, v := range reg.Views {
		if v.Feature(name) != nil {
			n++
		}
	}
	for _, x := range reg.External {
		if slices.ContainsFunc(x.Features, func(f events.FeatureField) bool { return f.Name == name }) {
			n++
		}
	}
	return n
}
