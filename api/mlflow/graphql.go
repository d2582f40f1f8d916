package mlflow

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/projectionist/projectionist/api"
)

// GraphQL as MLflow's pages send it (https://spec.graphql.org/October2021/). Every field of the root is a message of the
// REST API: it is asked of that endpoint's own handler, and of its answer what the query selects is told.

//go:embed schema.graphql
var graphSchemaText string

var graphSchema = gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: graphSchemaText})

// Bounds of a query. Depth, selections, aliases and fields of the root are MLflow's own.
const (
	graphBytesMax      = 64 << 10
	graphTokensMax     = 8192
	graphDepthMax      = 10
	graphSelectionsMax = 1000
	graphAliasesMax    = 10
	graphRootsMax      = 10
	graphAnswerMax     = 16 << 20 // bytes of one message, before anything is selected of it
)

func (s *Surface) graphRoutes(r *api.Routes) {
	r.Handle("POST /graphql", refusing(s.graphql), "runs", "registry")
}

// graphRequest is what a client sends.
type graphRequest struct {
	Query     string         `json:"query"`
	Operation string         `json:"operationName"`
	Variables map[string]any `json:"variables"`
}

func (s *Surface) graphql(w http.ResponseWriter, r *http.Request) error {
	body, err := api.ReadBody(w, r, graphBytesMax)
	if err != nil {
		return err
	}
	var q graphRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if !utf8.Valid(body) || d.Decode(&q) != nil || q.Query == "" {
		return &refusal{codeBad, "Malformed JSON data in request body; want an object with a query.", http.StatusBadRequest}
	}
	x, errs := newExecution(r, &q)
	if errs != nil {
		return api.WriteJSON(w, http.StatusOK, graphAnswer{Errors: words(errs)})
	}
	x.s = s
	var data bytes.Buffer
	if err := x.object(&data, x.root, x.op.SelectionSet, nil, nil); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, graphAnswer{data.Bytes(), words(x.errors)})
}

// graphAnswer is what MLflow's server answers: of errors it says the words alone.
type graphAnswer struct {
	Data   json.RawMessage `json:"data"`
	Errors []string        `json:"errors"`
}

func words(errs gqlerror.List) (all []string) {
	for _, err := range errs {
		all = append(all, err.Message)
	}
	return all
}

// newExecution reads a query, holds it to the bounds and to the schema, and chooses the operation.
func newExecution(r *http.Request, q *graphRequest) (*execution, gqlerror.List) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: q.Query}, graphTokensMax)
	if err == nil {
		err = bounded(doc)
	}
	if err != nil {
		return nil, gqlerror.List{asGraphError(err)}
	}
	if errs := validator.ValidateWithRules(graphSchema, doc, nil); len(errs) > 0 {
		return nil, errs
	}
	op := doc.Operations.ForName(q.Operation)
	switch {
	case op == nil && q.Operation != "":
		return nil, gqlerror.List{gqlerror.Errorf("Unknown operation named %q.", api.Short(q.Operation))}
	case op == nil || q.Operation == "" && len(doc.Operations) > 1:
		return nil, gqlerror.List{gqlerror.Errorf("Must provide operation name if query contains multiple operations.")}
	}
	vars, err := validator.VariableValues(graphSchema, op, q.Variables)
	if err != nil {
		return nil, gqlerror.List{asGraphError(err)}
	}
	root := graphSchema.Query
	if op.Operation == ast.Mutation {
		root = graphSchema.Mutation
	}
	return &execution{r: r, doc: doc, op: op, root: root, vars: vars}, nil
}

func asGraphError(err error) *gqlerror.Error {
	if own, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // its makers wrap none
		return own
	}
	return gqlerror.Wrap(err)
}

// bounded refuses a query that asks for more than pages do, with its fragments in the places that name them.
func bounded(doc *ast.QueryDocument) error {
	b := &bounds{doc: doc}
	for _, op := range doc.Operations {
		roots, err := b.level(op.SelectionSet, 1)
		switch {
		case err != nil:
			return err
		case roots > graphRootsMax:
			return gqlerror.Errorf("GraphQL queries should have at most %d root fields, got %d root fields.", graphRootsMax, roots)
		}
	}
	for _, f := range doc.Fragments { // those that nothing names are validated too
		if _, err := b.level(f.SelectionSet, 1); err != nil {
			return err
		}
	}
	if b.aliases > graphAliasesMax {
		return gqlerror.Errorf("GraphQL queries should have at most %d aliases, got %d aliases.", graphAliasesMax, b.aliases)
	}
	return nil
}

type bounds struct {
	doc        *ast.QueryDocument
	selections int
	aliases    int // the most of one object
}

// level counts the fields of one object, and bounds what is below them.
func (b *bounds) level(set ast.SelectionSet, depth int) (fields int, err error) {
	if depth > graphDepthMax {
		return 0, gqlerror.Errorf("Query exceeds maximum depth of %d", graphDepthMax)
	}
	var here []*ast.Field
	if err := b.gather(set, &here); err != nil {
		return 0, err
	}
	aliases := 0
	for _, f := range here {
		if f.Alias != f.Name {
			aliases++
		}
		if len(f.SelectionSet) > 0 {
			if _, err := b.level(f.SelectionSet, depth+1); err != nil {
				return 0, err
			}
		}
	}
	b.aliases = max(b.aliases, aliases)
	return len(here), nil
}

// gather adds the fields of a selection and of its fragments. A fragment within itself ends at the bound.
func (b *bounds) gather(set ast.SelectionSet, fields *[]*ast.Field) error {
	for _, selection := range set {
		if b.selections++; b.selections > graphSelectionsMax {
			return gqlerror.Errorf("Query exceeds maximum total selections of %d", graphSelectionsMax)
		}
		var inner ast.SelectionSet
		switch selection := selection.(type) {
		case *ast.Field:
			*fields = append(*fields, selection)
			continue
		case *ast.InlineFragment:
			inner = selection.SelectionSet
		case *ast.FragmentSpread:
			if f := b.doc.Fragments.ForName(selection.Name); f != nil {
				inner = f.SelectionSet
			}
		}
		if err := b.gather(inner, fields); err != nil {
			return err
		}
	}
	return nil
}

// messages are the fields of the root: the REST endpoint that has the message, and whether it is sent in a body.
func (s *Surface) message(field string) (h api.Handler, posted bool) {
	switch field {
	case "mlflowGetExperiment":
		return s.getExperiment, false
	case "mlflowGetMetricHistoryBulkInterval":
		return s.sampledHistory, false
	case "mlflowGetRun":
		return s.getRun, false
	case "mlflowListArtifacts":
		return s.listArtifacts, false
	case "mlflowSearchDatasets":
		return s.searchDatasets, true
	case "mlflowSearchModelVersions":
		return s.searchVersions, false
	case "mlflowSearchRuns":
		return s.searchRuns, true
	}
	return nil, false
}

// ask asks one of this surface's endpoints, as if a client had, and returns its answer.
func ask(r *http.Request, h api.Handler, posted bool, input map[string]any) (map[string]any, error) {
	asked, err := requestFor(r.Context(), posted, input)
	if err != nil {
		return nil, err
	}
	var kept keptAnswer
	if err := h(&kept, asked); err != nil {
		return nil, err
	}
	if kept.over {
		return nil, invalid("the answer is larger than %d MiB: ask for fewer by max_results", graphAnswerMax>>20)
	}
	d := json.NewDecoder(&kept.body)
	d.UseNumber()
	var v map[string]any
	err = d.Decode(&v)
	return v, err
}

func requestFor(ctx context.Context, posted bool, input map[string]any) (*http.Request, error) {
	if posted {
		named := map[string]any{}
		for name, v := range input {
			named[snake(name)] = v
		}
		body, err := api.EncodeJSON(named)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	}
	query := url.Values{}
	for name, v := range input {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, one := range list {
			if one != nil {
				query.Add(snake(name), scalarText(one))
			}
		}
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, "/?"+query.Encode(), http.NoBody)
}

// scalarText is a scalar as a query has it.
func scalarText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	b, _ := json.Marshal(v) //nolint:errcheck // of a number or a truth value
	return string(b)
}

// snake is a name of the schema as the REST API has it: runId is run_id.
func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if unicode.IsUpper(c) {
			b.WriteByte('_')
			c = unicode.ToLower(c)
		}
		b.WriteRune(c)
	}
	return b.String()
}

// keptAnswer keeps what a handler answers, up to a bound; of what is over it only that it is.
type keptAnswer struct {
	header http.Header
	body   bytes.Buffer
	over   bool
}

var _ http.ResponseWriter = (*keptAnswer)(nil)

func (a *keptAnswer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *keptAnswer) WriteHeader(int) {}

func (a *keptAnswer) Write(b []byte) (int, error) {
	if a.over = a.over || a.body.Len()+len(b) > graphAnswerMax; a.over {
		return io.Discard.Write(b)
	}
	return a.body.Write(b)
}
