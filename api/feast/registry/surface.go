package registry

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/streams"
)

// Project is the one that has what this program computes.
const Project = featurestore.OwnProject

// Config is what a [Surface] answers from.
type Config struct {
	Features *featurestore.Store
}

// Surface is Feast's registry.
type Surface struct {
	*api.Core
	Config
	methods map[string]method
}

// method answers a call.
type method func(c *call) (message, error)

// call is one that is being answered.
type call struct {
	*Surface
	ctx  context.Context
	meta handlers.Meta
	in   message
	reg  *featurestore.Registry
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface {
	s := &Surface{Core: core, Config: c}
	s.methods = map[string]method{
		"ApplyProject": applyProject, "GetProject": getProject, "ListProjects": listProjects, "DeleteProject": deleteProject, "ListProjectMetadata": projectMetadata,
		"ApplyEntity": applyEntity, "GetEntity": getEntity, "ListEntities": listEntities, "DeleteEntity": deleteEntity,
		"ApplyDataSource": applySource, "GetDataSource": getSource, "ListDataSources": listSources, "DeleteDataSource": deleteSource,
		"ApplyFeatureView": applyView, "DeleteFeatureView": deleteView,
		"GetFeatureView": getView, "ListFeatureViews": listViews, "GetStreamFeatureView": getStreamView, "ListStreamFeatureViews": listStreamViews,
		"GetAnyFeatureView": getAnyView, "ListAllFeatureViews": listAllViews, "ListFeatures": listFeatures, "GetFeature": getFeature,
		"ApplyFeatureService": applyService, "GetFeatureService": getService, "ListFeatureServices": listServices, "DeleteFeatureService": deleteService,
		"GetInfra": nothing, "UpdateInfra": updateInfra, "Commit": nothing, "Refresh": nothing, "Proto": whole,

		// Of these there are none, and none can be made.
		"ListOnDemandFeatureViews": none, "ListLabelViews": none, "ListSavedDatasets": none, "ListDatasetJobs": none, "ListValidationReferences": none, "ListPermissions": none,
		"GetOnDemandFeatureView": noSuch("OnDemandFeatureViewNotFoundException", "On demand feature view"), "GetLabelView": noSuch("FeatureViewNotFoundException", "Label view"),
		"GetSavedDataset": noSuch("SavedDatasetNotFound", "Saved dataset"), "GetValidationReference": noSuch("ValidationReferenceNotFound", "Validation reference"),
		"GetPermission":     noSuch("FeastObjectNotFoundException", "Permission"),
		"ApplySavedDataset": notKept("saved datasets: they"), "ApplyValidationReference": notKept("validation references: they"), "ApplyPermission": notKept("permissions: they"),
		"ApplyMaterialization": notKept("materializations: values are computed when they are read, and pushed ones are served at once; they"),
	}
	return s
}

func (s *Surface) Name() string { return "feast-registry" }

// Service is the address of the calls.
const Service = "/feast.registry.RegistryServer/"

func (s *Surface) Routes(r *api.Routes) {
	r.Handle("POST "+Service+"{method}", s.serve)
	r.Handle("POST /grpc.health.v1.Health/Check", func(w http.ResponseWriter, r *http.Request) error {
		answer(w, message{}.withNumber(1, 1)) // serving
		return nil
	})
}

func (s *Surface) serve(w http.ResponseWriter, r *http.Request) error {
	in, err := readCall(w, r)
	if err != nil {
		return err
	}
	name := r.PathValue("method")
	m := s.methods[name]
	if m == nil {
		return refuse(codeUnimplemented, "FeastError", "the registry has no %s", api.Short(name))
	}
	meta, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	meta.IdempotencyKey = "" // a call is its own
	s.Redeem(r.Context(), "definitions", "feature-registry")
	reg, err := s.Features.Registry()
	if err != nil {
		return err
	}
	out, err := m(&call{s, r.Context(), meta, in, reg})
	if err != nil {
		return err
	}
	answer(w, out)
	return nil
}

// Render writes a problem as the status of a call; whoever does not speak gRPC is told as elsewhere.
func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	switch {
	case !isCall(r):
		api.RenderProblem(w, r, p)
	case p.Err != nil:
		fail(w, p.Err)
	case p.Status == http.StatusUnauthorized:
		fail(w, &failure{codeUnauthenticated, "FeastPermissionError", "Permission error:\n" + p.Detail + "; " + p.Hint})
	case p.Status == http.StatusForbidden:
		fail(w, &failure{codePermission, "FeastPermissionError", "Permission error:\n" + p.Detail})
	default:
		fail(w, &failure{codeUnimplemented, "FeastError", p.Detail})
	}
}

// dispatch has a command decided, and waits until it is seen.
func (c *call) dispatch(cmd commands.Command) (message, error) {
	res, err := c.Dispatcher.Dispatch(c.ctx, cmd, c.meta)
	if err != nil {
		return nil, err
	}
	if !res.Unchanged() {
		c.Settle(c.ctx, []streams.Position{res.Position}, "feature-registry")
	}
	return message{}, nil
}

func nothing(*call) (message, error) { return message{}, nil }

func none(*call) (message, error) { return message{}, nil }

func noSuch(class, what string) method {
	return func(c *call) (message, error) {
		return nil, refuse(codeNotFound, class, "%s %s does not exist in project %s", what, api.Short(c.in.text(1)), api.Short(c.in.text(2)))
	}
}

func notKept(what string) method {
	return func(*call) (message, error) {
		return nil, refuse(codeUnimplemented, "FeastError", "this registry keeps no %s are refused", what)
	}
}

// updateInfra takes what a client's own online store has made: nothing, since that store is here.
func updateInfra(c *call) (message, error) {
	if objects := c.in.message(1).all(1); len(objects) > 0 {
		return nil, refuse(codeRefused, "FeastError", "%d objects of infrastructure are not kept here; use online_store: {type: remote} in feature_store.yaml", len(objects))
	}
	return message{}, nil
}

// paged appends the piece of a list that a call asks for, each in the field 1, and the piece's place in it.
func (c *call) paged(all []message, pageField protowire.Number) (message, error) {
	page, sorting := c.in.message(pageField), c.in.message(pageField+1)
	if by := sorting.text(1); by != "" && by != "name" {
		return nil, refuse(codeInvalid, "FeastError", "sort_by: is %q; lists are in the order of names: want name", api.Short(by))
	}
	if sorting.text(2) == "desc" {
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	total, pages := int64(len(all)), int64(1)
	number, limit := min(page.number(1), total+1), min(page.number(2), total+1) // no more of either than there can be
	place := message{}
	if number > 0 && limit > 0 {
		pages = (total + limit - 1) / limit
		from := min((number-1)*limit, total)
		all = all[from:min(from+limit, total)]
		place = place.withNumber(1, number).withNumber(2, limit)
	}
	place = place.withNumber(3, total).withNumber(4, pages).withBool(5, number > 0 && limit > 0 && number < pages).withBool(6, number > 1 && limit > 0)
	out := message{}
	for _, m := range all {
		out = out.withMessage(1, m)
	}
	return out.withMessage(2, place), nil
}

// tagged says whether something has all the tags that a call asks for.
func tagged(asked, has map[string]string) bool {
	for k, v := range asked {
		if has[k] != v {
			return false
		}
	}
	return true
}

// projectMetadata is the id of a project.
func projectMetadata(c *call) (message, error) {
	name := c.in.text(1)
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("feast-project/"+name)).String()
	return message{}.withMessage(1, message{}.withText(1, name).withText(2, id)), nil
}
