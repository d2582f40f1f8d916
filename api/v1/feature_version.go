package v1

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

// pins are the references of a choice that name a version of a view.
func (c *choice) pins() (refs []string) {
	for _, ref := range append([]string{c.View}, c.Features...) {
		if _, ok := features.PinOf(ref); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// definitionsFor are the definitions that a choice is read by as of a moment, with the versions of views that it names.
func (s *Surface) definitionsFor(at fold.At, c *choice) (*features.Definitions, error) {
	defs, err := s.Features.DefinitionsAt(at)
	if err != nil {
		return nil, err
	}
	c.plain()
	return s.Features.PinnedDefinitions(defs, c.pins())
}

// registryFor is what a choice is joined by as of a moment, with the versions of views that it names.
func (s *Surface) registryFor(at fold.At, c *choice) (*featurestore.Registry, error) {
	reg, err := s.Features.RegistryFor(at)
	if err != nil {
		return nil, err
	}
	c.plain()
	return s.Features.Pinned(reg, c.pins(), fold.At{})
}

// plain writes the references of a choice in the one form that they have.
func (c *choice) plain() {
	c.View = features.Plain(c.View)
	for i, ref := range c.Features {
		c.Features[i] = features.Plain(ref)
	}
}

// momentFirst is the moment of a request whose other parameters depend on what was declared then: they are read after it.
func (s *Surface) momentFirst(r *http.Request) (api.Moment, *featurestore.Registry, error) {
	given := r.URL.Query()
	m, err := s.MomentOf(r.Context(), given.Get(api.AsOfParam), given.Get(api.KnownAtParam))
	if err != nil {
		return m, nil, err
	}
	reg, err := s.Features.RegistryFor(m.At)
	return m, reg, err
}

// versionsOf are the definitions that the view of a path has had, as far as a moment knows them.
func (s *Surface) versionsOf(r *http.Request) (name string, had []featurestore.Version, err error) {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return "", nil, err
	}
	name = r.PathValue("view")
	if had, err = s.Features.Versions(name, m.At); err == nil && len(had) == 0 {
		err = fault.New(fault.NotFound, "no feature view is named %q", api.Short(name)).WithHint("GET /api/v1/features/views and /external list what there is")
	}
	return name, had, err
}

// viewVersions lists the definitions that a view has had, its first before the others.
func (s *Surface) viewVersions(w http.ResponseWriter, r *http.Request) error {
	_, had, err := s.versionsOf(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[featurestore.Version]{Items: had})
}

// viewVersion is one of them, with what it is.
func (s *Surface) viewVersion(w http.ResponseWriter, r *http.Request) error {
	name, had, err := s.versionsOf(r)
	if err != nil {
		return err
	}
	text := r.PathValue("version")
	v := &had[len(had)-1]
	if text != "latest" {
		n, bad := strconv.Atoi(strings.TrimPrefix(text, "v"))
		if bad != nil {
			return fault.Field("version", "%q is no version", api.Short(text)).WithHint("give its number, such as 2 or v2, or latest")
		}
		if v = featurestore.VersionOf(had, n); v == nil {
			return features.NoVersion(features.Pin{View: name, Number: n}, len(had))
		}
	}
	what, err := s.Features.Definition(v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		featurestore.Version
		Definition any `json:"definition"`
	}{*v, what})
}
