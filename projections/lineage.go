package projections

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Lineage is what was made from what: a graph whose nodes are "import/ID", "definitions/HASH", "feature-view/NAME/HASH",
// "dataset/ID", "workflow-run/ID", "run/ID", "blob/SHA-256", "model/NAME/VERSION" and
// "deployment/SLOT", and whose edges run from what was used to what came of it.
//
//	o from to offset index -> Edge      i to from offset index -> Edge
//	n import -> Position of its start
type Lineage struct{ r fold.Reader }

// NewLineage makes the view "lineage".
func NewLineage() *Lineage { return &Lineage{} }

// Edge says that From went into To, and which event says so.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	Kind string `json:"kind"` // see the Edge constants
	fold.Origin
}

// Kinds of edges.
const (
	EdgeImported     = "imported"      // import → dataset: its facts may be in the data set
	EdgeDefined      = "defined"       // definitions → dataset, model or feature view: computed with these features
	EdgeMaterialised = "materialised"  // dataset → blob
	EdgeScheduled    = "scheduled"     // workflow run → run
	EdgeTrainedOn    = "trained_on"    // dataset or feature view → run or model
	EdgeLogged       = "logged"        // run → blob
	EdgeRegistered   = "registered_as" // run or blob → model
	EdgeDeployed     = "deployed_to"   // model → deployment
)

// Graph is everything reached from a node in one direction. Nodes and edges are in order of discovery,
// nearest first.
type Graph struct {
	Node      string   `json:"node"`
	Nodes     []string `json:"nodes"` // without Node itself
	Edges     []Edge   `json:"edges"`
	Truncated bool     `json:"truncated,omitempty"` // there is more than GraphNodesMax or GraphEdgesMax
}

// Bounds of a graph: more than anyone can look at, and still a small answer.
const (
	GraphNodesMax = 2_000
	GraphEdgesMax = 10_000
)

func modelNode(name string, version int) string { return "model/" + name + "/" + strconv.Itoa(version) }

func viewNode(v events.ViewRead) string { return "feature-view/" + v.View + "/" + v.Hash }

func (*Lineage) Spec() fold.Spec {
	return fold.Spec{Name: "lineage", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Lineage) Open(r fold.Reader) error { v.r = r; return nil }
func (*Lineage) Flush(fold.Writer) error    { return nil }

func (*Lineage) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if err := applyLineage(w, &in[i]); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func applyLineage(w fold.Writer, in *fold.Input) error {
	var edges []Edge
	// An end without an id is not known, and makes no edge.
	edge := func(kind, fromKind, from, to string) {
		if from != "" {
			edges = append(edges, Edge{fromKind + from, to, kind, fold.OriginOf(in)})
		}
	}
	switch x := in.Event.Data.(type) {
	case *events.ImportStarted:
		return fold.SetJSON(w, fold.Table('n').Str(x.ImportID), in.Position.String())
	case *events.DatasetBuilt:
		to := "dataset/" + x.DatasetID
		imports, err := importsIn(w, x.Cut, in.Position)
		if err != nil {
			return err
		}
		for _, id := range imports {
			edge(EdgeImported, "import/", id, to)
		}
		edge(EdgeDefined, "definitions/", x.FeaturesHash, to)
		if x.Blob != "" {
			edge(EdgeMaterialised, "", to, "blob/"+x.Blob)
		}
	case *events.TrainingSetVersioned:
		to := fmt.Sprintf("training-set/%s/%d", x.Name, x.Version)
		imports, err := importsIn(w, x.Cut, in.Position)
		if err != nil {
			return err
		}
		for _, id := range imports {
			edge(EdgeImported, "import/", id, to)
		}
		edge(EdgeDefined, "definitions/", x.FeaturesHash, to)
		for _, v := range x.FeatureViews {
			edge(EdgeDefined, "", viewNode(v.ViewRead), to)
		}
		edge(EdgeMaterialised, "", to, "blob/"+x.Blob)
	case *events.RunStarted:
		edge(EdgeTrainedOn, "dataset/", x.DatasetID, "run/"+x.RunID)
		edge(EdgeScheduled, "workflow-run/", x.WorkflowRun, "run/"+x.RunID)
	case *events.RunArtifactLogged:
		edge(EdgeLogged, "run/", x.RunID, "blob/"+x.Blob)
	case *events.ModelVersionRegistered:
		to := modelNode(x.Name, x.Version)
		edge(EdgeRegistered, "run/", x.RunID, to)
		edge(EdgeRegistered, "blob/", x.Blob, to)
		edge(EdgeTrainedOn, "dataset/", x.DatasetID, to)
		edge(EdgeDefined, "definitions/", x.FeaturesHash, to)
		for _, v := range x.FeatureViews {
			node := viewNode(v)
			edge(EdgeDefined, "definitions/", x.FeaturesHash, node)
			edge(EdgeTrainedOn, "", node, to)
		}
	case *events.ModelVersionAdded:
		edge(EdgeRegistered, "run/", x.RunID, modelNode(x.Name, x.Version))
	case *events.ModelDeployed:
		edge(EdgeDeployed, "", modelNode(x.Model, x.Version), "deployment/"+x.Slot)
	}
	for i := range edges {
		e := &edges[i]
		if err := fold.SetJSON(w, fold.Table('o').Str(e.From).Str(e.To).Entry(in), e); err != nil {
			return err
		}
		if err := fold.SetJSON(w, fold.Table('i').Str(e.To).Str(e.From).Entry(in), e); err != nil {
			return err
		}
	}
	return nil
}

// importsIn are the imports that had started by the cut. A cut that says nothing of the ledger, or does
// not read, leaves all that had started when the data set was built, at `built`.
func importsIn(r fold.Reader, cut string, built streams.Position) ([]string, error) {
	c, err := streams.ParseCut(cut)
	ledger := streams.TP{Topic: events.LedgerTopic}
	_, limited := c[ledger]
	limited = limited && err == nil
	var ids []string
	for kv, err := range r.Scan(fold.Table('n'), fold.Table('n').End()) {
		if err != nil {
			return nil, err
		}
		var at string
		if err := fold.DecodeJSON(kv.Value, &at); err != nil {
			return nil, err
		}
		p, err := streams.ParsePosition(at)
		if err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
		}
		if p.Offset < built.Offset && (!limited || c.Covers(p)) {
			ids = append(ids, fold.Parts(kv.Key).Str())
		}
	}
	return ids, nil
}

// Upstream is everything the node came of, by what at admits.
func (v *Lineage) Upstream(node string, at fold.At) (Graph, error) { return v.walk('i', node, at) }

// Downstream is everything that came of the node, by what at admits.
func (v *Lineage) Downstream(node string, at fold.At) (Graph, error) { return v.walk('o', node, at) }

func (v *Lineage) walk(table byte, node string, at fold.At) (Graph, error) {
	g := Graph{Node: node, Nodes: []string{}, Edges: []Edge{}}
	if strings.IndexByte(node, '/') <= 0 {
		return g, fault.Field("node", "%q is not a node; want KIND/ID, such as model/NAME/3, run/ID or deployment/production", node)
	}
	seen := map[string]bool{node: true}
	for queue := []string{node}; len(queue) > 0; queue = queue[1:] {
		prefix := fold.Table(table).Str(queue[0])
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			var e Edge
			if err == nil {
				err = fold.DecodeJSON(kv.Value, &e)
			}
			if err != nil {
				return g, err
			}
			if ok, err := e.AdmittedBy(at); err != nil {
				return g, err
			} else if !ok {
				continue
			}
			next := e.To
			if table == 'i' {
				next = e.From
			}
			if len(g.Edges) == GraphEdgesMax || len(g.Nodes) == GraphNodesMax && !seen[next] {
				g.Truncated = true
				return g, nil
			}
			g.Edges = append(g.Edges, e)
			if !seen[next] {
				seen[next] = true
				g.Nodes = append(g.Nodes, next)
				queue = append(queue, next)
			}
		}
	}
	return g, nil
}
