package v1

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) deploymentRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/deployments", s.deployments, "deployments")
	r.Handle("GET /api/v1/deployments/{slot}", s.deployment, "deployments")
	r.Handle("GET /api/v1/deployments/{slot}/history", s.deploymentHistory, "deployments")
	r.Handle("POST /api/v1/models/{model}/versions/{version}/deploy", s.deploy)
}

func (s *Surface) deployments(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	return out.End(s.writeDeployments(out, m.At))
}

// writeDeployments writes what every slot serves at a moment. Their number is no one's to bound: a deployment makes
// a slot.
func (s *Surface) writeDeployments(w io.Writer, at fold.At) error {
	view := fold.Of[*projections.Deployments](s.Views)
	before := `{"items":[`
	for slot, err := range view.Slots() {
		if err != nil {
			return err
		}
		d, ok, err := view.At(slot.Slot, at)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := s.called(&d); err != nil {
			return err
		}
		item, err := api.EncodeJSON(d)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, before+string(bytes.TrimSpace(item))); err != nil {
			return err
		}
		before = ","
	}
	_, err := io.WriteString(w, strings.TrimSuffix(before, ",")+"]}\n")
	return err
}

// deployment is what a slot serves, or served at a moment.
func (s *Surface) deployment(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	slot := r.PathValue("slot")
	view := fold.Of[*projections.Deployments](s.Views)
	if !m.Given() {
		now, ok, err := view.Slot(slot)
		if err == nil {
			err = s.called(&now.Current)
		}
		return api.Found(w, now.Current, ok, err, "nothing was ever deployed to slot %q", api.Short(slot))
	}
	d, ok, err := view.At(slot, m.At)
	if err == nil {
		err = s.called(&d)
	}
	return api.Found(w, d, ok, err, "nothing was deployed to slot %q by then", api.Short(slot))
}

func (s *Surface) deploymentHistory(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, api.AsOfParam, api.KnownAtParam, "limit", "cursor")
	page := q.Page()
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	p, err := fold.Of[*projections.Deployments](s.Views).History(r.PathValue("slot"), m.At, page)
	for i := range p.Items {
		if err == nil {
			err = s.called(&p.Items[i])
		}
	}
	return api.Paged(w, p, err)
}

// called puts the names that models have now in the place of their keys.
func (s *Surface) called(d *projections.Deployment) (err error) {
	for _, name := range []*string{&d.Model, &d.PreviousModel} {
		if err == nil {
			*name, err = s.registry().NameOf(*name)
		}
	}
	return err
}

// deploy makes a version serve a slot. A version whose features are not the ones in force would be fed
// with other inputs than it was trained on: it is refused.
func (s *Surface) deploy(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Slot   string `json:"slot"`
		Reason string `json:"reason"`
		// InsteadOf is the position of the slot's deployment as it was read, or "none"; where the slot has another by now, nothing is deployed.
		InsteadOf string `json:"instead_of"`
	}
	n, err := versionOf(r)
	if err == nil {
		err = api.ReadJSON(w, r, &v, true)
	}
	if err != nil {
		return err
	}
	if v.Slot == "" {
		v.Slot = events.ProductionSlot
	}
	name := r.PathValue("model")
	c := &commands.DeployModel{Slot: v.Slot, Model: name, Version: n, Reason: v.Reason}
	return s.serve(w, r, c, &c.Served, slotTurn{v.Slot, v.InsteadOf, name, n}, "deployments", "registry")
}

// nothingDeployed is said of a slot that has no deployment.
const nothingDeployed = "none"

// slotTurn is what a command makes serve a slot, and instead of what: the position of a deployment or "none"; "" for whatever is there.
type slotTurn struct {
	slot, insteadOf string
	model           string
	version         int
}

// serve dispatches a command that makes a version serve a slot, if that can. What slots serve is decided in the streams of models, and two of
// them would not see each other, so such commands of this API take turns. Where it is said what a version is to serve instead of, the slot
// must have that still, of all that the ledger has by then, or serve that very version; a repeat of what was accepted is answered as such.
func (s *Surface) serve(w http.ResponseWriter, r *http.Request, c commands.Command, served *commands.Served, t slotTurn, views ...string) error {
	m, err := api.MetaOf(r)
	if err == nil {
		err = s.checked(r.Context(), t.model, t.version) // which may take its time
	}
	if err != nil {
		return err
	}
	done, err := turn(r.Context(), s.deploying, "the slots")
	if err != nil {
		return err
	}
	defer done()
	if *served, err = s.slots(); err != nil {
		return err
	}
	if t.insteadOf != "" {
		m.Guard = func(ctx context.Context) error { return s.stillServes(ctx, t.slot, t.insteadOf, t.model, t.version) }
	}
	return s.dispatchAs(w, r, c, m, http.StatusOK, views...)
}

func (s *Surface) stillServes(ctx context.Context, slot, insteadOf, model string, version int) error {
	head, err := s.Log.Ledger().Head(ctx, time.Time{})
	if err != nil {
		return err
	}
	if head > 0 {
		ctx, cancel := context.WithTimeout(ctx, api.WaitMax)
		defer cancel()
		if err := s.Views.Wait(ctx, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}, "deployments", "registry"); err != nil {
			return err
		}
	}
	now, ok, err := fold.Of[*projections.Deployments](s.Views).Slot(slot)
	if err == nil && ok {
		err = s.called(&now.Current)
	}
	is, what := nothingDeployed, "nothing"
	if d := now.Current; ok {
		is, what = d.Position, fmt.Sprintf("%s %d, since %s", d.Model, d.Version, d.Position)
	}
	if err != nil || is == insteadOf || ok && now.Current.Model == model && now.Current.Version == version {
		return err
	}
	e := fault.New(fault.Conflict, "the slot %s serves %s by now, and not what it had at %s", slot, what, api.Short(insteadOf))
	e.Field = "instead_of"
	return e.WithHint("look again (GET /api/v1/deployments/%s) and decide anew", slot)
}

// checked says why a version cannot serve a slot, if it was made for one.
func (s *Surface) checked(ctx context.Context, name string, n int) error {
	// From its stream rather than the view: it may have been registered just now.
	model, _, err := projections.ModelNamed(ctx, s.Log.Ledger(), name, fold.At{})
	if err != nil {
		return err
	}
	version := model.Version(n)
	if version == nil || version.Slot == "" { // of none, the rules say so
		return nil
	}
	if err := s.deployable(version); err != nil {
		return err
	}
	return s.Recommend.Check(model.Key, version)
}

// Served is what slots serve, for a command of another surface that may let a version of a model serve one: the error
// says why that version cannot. Version 0 is for a command that cannot.
func (s *Surface) Served(ctx context.Context, model string, version int) (commands.Served, error) {
	if version != 0 {
		if err := s.checked(ctx, model, version); err != nil {
			return nil, err
		}
	}
	return s.slots()
}

// slots is what they serve now.
func (s *Surface) slots() (commands.Served, error) {
	served := commands.Served{}
	for slot, err := range fold.Of[*projections.Deployments](s.Views).Slots() {
		if err != nil {
			return nil, err
		}
		served[slot.Slot] = commands.ServedVersion{Model: slot.Current.Model, Version: slot.Current.Version}
	}
	return served, nil
}

func (s *Surface) deployable(v *projections.ModelVersion) error {
	if err := s.Features.Fits(fmt.Sprintf("version %d of model %s", v.Version, v.Name), v.FeatureViews); err != nil {
		return err
	}
	defs, err := s.Features.Definitions(fold.At{})
	stated := v.FeatureViews != nil // else what it reads may be anything that was defined
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case !stated && (err != nil || defs.Hash() != v.FeaturesHash):
		inForce := "none"
		if err == nil {
			inForce = defs.Hash()
		}
		e := fault.New(fault.Conflict, "version %d was trained with the features %s; in force are %s", v.Version, v.FeaturesHash, inForce)
		e.Field = "features_hash"
		return e.WithHint("train a version with the definitions in force, or put back the ones it was trained with: " +
			"GET /api/v1/features/definitions/history has them")
	case !s.Blobs.Has(v.Blob):
		if _, err := s.Blobs.Get(v.Blob); fault.Is(err, fault.Unavailable) { // on its way from another node
			return err
		}
		e := fault.New(fault.Conflict, "the weights of version %d, blob %s, are not here", v.Version, v.Blob)
		e.Field = "blob"
		return e.WithHint("train them again from the log: projectionist models rebuild %s %d", v.Name, v.Version)
	}
	return nil
}
