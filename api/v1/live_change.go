package v1

import (
	"context"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// resource is something that this API answers about, and the views that it is answered from.
type resource struct {
	name  string
	views []string
}

const modelsResource = "models"

// resources are what the events of a stream change, by the word that streams of its kind begin with. What is behind the slash is the id.
var resources = map[string]resource{
	"artifacts":       {"artifacts", []string{"artifacts"}},
	"backfill":        {"backfills", []string{"workflows"}},
	"dataset":         {"datasets", []string{"datasets"}},
	"dead-letter":     {"dead_letters", []string{"deadletters"}},
	"experiment":      {"experiments", []string{"runs"}},
	"feature-entity":  {"features", []string{"feature-registry"}},
	"feature-project": {"features", []string{"feature-registry"}},
	"feature-service": {"features", []string{"feature-registry"}},
	"feature-source":  {"features", []string{"feature-registry"}},
	"feature-view":    {"features", []string{"feature-registry"}},
	"features":        {"features", []string{"definitions"}},
	"import":          {"imports", []string{"imports"}},
	"logged-model":    {"logged_models", []string{"logged-models"}},
	"model":           {modelsResource, []string{"registry", "deployments"}},
	"movie":           {"movies", []string{"catalogue"}},
	"operation":       {"operations", []string{"operations"}},
	"pool":            {"pools", []string{"workflows"}},
	"quality":         {"quality", []string{"quality"}},
	"quarantine":      {"quarantine", []string{"quarantine"}},
	"refusal":         {"quarantine", []string{"quarantine"}},
	"run":             {"runs", []string{"runs"}},
	"signals":         {"signals", []string{"definitions"}},
	"training-set":    {"training_sets", []string{"training_sets"}},
	"user":            {"users", []string{"users"}},
	"variable":        {"variables", []string{"variables"}},
	"view":            {"views", nil},
	"webhook":         {"webhooks", []string{"webhooks"}},
	"workflow":        {"workflows", []string{"workflows"}},
	"workflow-run":    {"workflow_runs", []string{"workflows"}},
}

// Resources that facts change, and that a deployment does beside its model.
var (
	deploymentsResource     = resource{"deployments", []string{"deployments"}}
	actsOfUser              = resource{"users", []string{"histories", "online"}}
	actsOnMovie             = resource{"movies", []string{"histories", "online"}}
	recommendationsResource = resource{"recommendations", []string{"served"}}
	driftResource           = resource{"drift", []string{"drift"}}
	healthResource          = resource{"health", []string{"health"}}
	valuesResource          = resource{"feature_values", []string{"feature-values"}}
	quarantineResource      = resource{"quarantine", []string{"quarantine"}}
)

// ofTopic are the resources that a topic may change.
func ofTopic(topic string) (all []resource) {
	switch topic {
	case events.LedgerTopic:
		all = []resource{deploymentsResource}
		for _, r := range resources {
			all = append(all, r)
		}
		return all
	case events.UserEventsTopic:
		all = []resource{actsOfUser, actsOnMovie}
	case events.RecommendationsTopic:
		all = []resource{recommendationsResource}
	case events.DriftAlertsTopic:
		all = []resource{driftResource}
	case events.SystemHealthTopic:
		all = []resource{healthResource}
	case events.FeatureValuesTopic:
		all = []resource{valuesResource}
	}
	return append(all, quarantineResource)
}

// changed is what of a resource has changed.
type changed struct {
	ids   []string // in the order of the log, each once; [liveIDsMax] of them where there are many
	many  bool
	views []string    // that have it when it can be told
	upTo  streams.Cut // what these must have folded
}

// changes are by the name of the resource.
type changes map[string]*changed

// of notes that something of a resource has changed by the record at a position.
func (c changes) of(r resource, id string, at streams.Position) {
	one := c.noted(r, at)
	switch {
	case one.many || slices.Contains(one.ids, id):
	case len(one.ids) == liveIDsMax:
		one.many = true
	default:
		one.ids = append(one.ids, strings.Clone(id))
	}
}

func (c changes) noted(r resource, at streams.Position) *changed {
	one := c[r.name]
	if one == nil {
		one = &changed{ids: []string{}, upTo: streams.Cut{}}
		c[r.name] = one
	}
	views := r.views
	if at.TP.Topic == events.LedgerTopic {
		views = append(slices.Clip(views), "audit") // by which pages tell what happened
	}
	for _, view := range views {
		if !slices.Contains(one.views, view) {
			one.views = append(one.views, view)
		}
	}
	one.upTo.Include(at)
	return one
}

// readChanges notes what the records of a partition from an offset to before another have changed. Of many it says just that.
func (s *Surface) readChanges(ctx context.Context, c changes, tp streams.TP, from, to int64) error {
	if to-from > liveReadMax {
		for _, r := range ofTopic(tp.Topic) {
			c.noted(r, streams.Position{TP: tp, Offset: to - 1}).many = true
		}
		return nil
	}
	if tp.Topic == events.LedgerTopic {
		for commit, err := range s.Log.Ledger().Read(ctx, from) {
			if commit == nil {
				return err
			}
			if commit.Position.Offset >= to {
				break
			}
			c.ofCommit(commit)
		}
		return nil
	}
	for rec, err := range s.Log.Feed().Read(ctx, tp, from) {
		if err != nil {
			return err
		}
		if rec.Offset >= to {
			break
		}
		c.ofFact(rec)
	}
	return nil
}

func (c changes) ofCommit(commit *streams.Committed) {
	kind, id, _ := strings.Cut(commit.Stream, "/")
	if r, known := resources[kind]; known {
		c.of(r, id, commit.Position)
	} else { // a newer release's, or a name that is claimed
		c.of(resource{name: strings.ReplaceAll(kind, "-", "_")}, id, commit.Position)
	}
	for i := range commit.Events {
		if x, ok := commit.Events[i].Data.(*events.ModelDeployed); ok {
			c.of(deploymentsResource, x.Slot, commit.Position)
		}
	}
}

func (c changes) ofFact(rec *streams.Record) {
	ev, err := streams.ReadFact(rec)
	if err != nil {
		c.of(quarantineResource, rec.Position.String(), rec.Position)
		return
	}
	switch x := ev.Data.(type) {
	case *events.Interaction:
		c.of(actsOfUser, events.CanonicalUser(x.UserID), rec.Position)
		c.of(actsOnMovie, events.CanonicalMovie(x.MovieID), rec.Position)
	case *events.RecommendationServed:
		c.of(recommendationsResource, events.CanonicalUser(x.UserID), rec.Position)
	case *events.ModelDrift:
		c.of(driftResource, x.ModelName, rec.Position)
	case *events.SystemHealth:
		c.of(healthResource, x.ServiceName, rec.Position)
	case *events.FeatureValues:
		c.of(valuesResource, x.EntityKey, rec.Position)
	}
}
