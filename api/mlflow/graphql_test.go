package mlflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api/apitest"
)

func (w *fixture) graphql(query string, vars map[string]any) apitest.Answer {
	w.T.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	w.Must(err)
	a := ask(w.tracking, "POST", "/graphql", string(body))
	if a.Code != 200 {
		w.T.Fatalf("%.200s: %d %s", query, a.Code, a.Text)
	}
	return a
}

// getRun is what MLflow's pages ask of a run, in short, with what the language has besides.
const getRun = `query GetRun($data: MlflowGetRunInput!, $no: Boolean = false) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) {
    apiError { code __typename }
    run {
      ...about
      info { runName }
      experiment { name workspace }
      modelVersions { name version status tags { key value } }
      data { metrics { key value step timestamp } params { key value } ... on MlflowRunData { tags { key value } } }
      inputs { datasetInputs { dataset { name digest } tags { key value } } modelInputs { modelId } }
      outputs @include(if: $no) { modelOutputs { modelId } }
      __typename
    }
  }
}
fragment about on MlflowRunExtension { info { id: runId status endTime lifecycleStage } }`

func TestGraphQL(t *testing.T) {
	w := newFixture(t)
	x := at(w.want("POST", "experiments/create", `{"name": "graphs"}`), "experiment_id").(string)
	id := at(w.want("POST", "runs/create", `{"experiment_id": "`+x+`", "run_name": "first", "start_time": 1700000000000}`), "run", "info", "run_id").(string)
	w.want("POST", "runs/log-batch", `{"run_id": "`+id+`", "metrics": [{"key": "loss", "value": "NaN", "timestamp": 1700000000001, "step": 9007199254740993}, {"key": "acc", "value": 0.5, "timestamp": 1700000000001}], "params": [{"key": "lr", "value": "0.1"}]}`)
	w.want("POST", "runs/log-inputs", `{"run_id": "`+id+`", "datasets": [{"dataset": {"name": "films", "digest": "d1", "source_type": "x", "source": "{}"}, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]}`)
	w.want("POST", "registered-models/create", `{"name": "als"}`)
	w.want("POST", "model-versions/create", `{"name": "als", "source": "runs:/`+id+`/model", "run_id": "`+id+`"}`)
	a := w.graphql(getRun, map[string]any{"data": map[string]any{"runId": id}})
	want := fmt.Sprintf(`{"data":{"mlflowGetRun":{"apiError":null,"run":{"info":{"id":"%s","status":"RUNNING","endTime":"0","lifecycleStage":"active","runName":"first"},`+
		`"experiment":{"name":"graphs","workspace":"default"},"modelVersions":[{"name":"als","version":"1","status":"READY","tags":[]}],`+
		`"data":{"metrics":[{"key":"acc","value":0.5,"step":"0","timestamp":"1700000000001"},{"key":"loss","value":null,"step":"9007199254740993","timestamp":"1700000000001"}],`+
		`"params":[{"key":"lr","value":"0.1"}],"tags":[{"key":"mlflow.runName","value":"first"}]},`+
		`"inputs":{"datasetInputs":[{"dataset":{"name":"films","digest":"d1"},"tags":[{"key":"mlflow.data.context","value":"training"}]}],"modelInputs":[]},"__typename":"MlflowRunExtension"}}},"errors":null}`, id)
	equal(t, "a run", strings.TrimSpace(a.Text), want)

	a = w.graphql(`mutation { mlflowSearchDatasets(input: {experimentIds: ["`+x+`"]}) { datasetSummaries { name context } } }`, nil)
	equal(t, "data sets", strings.TrimSpace(a.Text), `{"data":{"mlflowSearchDatasets":{"datasetSummaries":[{"name":"films","context":"training"}]}},"errors":null}`)
	a = w.graphql(`query($in: MlflowSearchRunsInput) { runs: mlflowSearchRuns(input: $in) { runs { info { runName } } nextPageToken } }`,
		map[string]any{"in": map[string]any{"experimentIds": []string{x}, "filter": "params.lr = '0.1'", "maxResults": 5}})
	equal(t, "a search", strings.TrimSpace(a.Text), `{"data":{"runs":{"runs":[{"info":{"runName":"first"}}],"nextPageToken":""}},"errors":null}`)
	a = w.graphql(`{ mlflowGetMetricHistoryBulkInterval(input: {runIds: ["`+id+`"], metricKey: "acc", maxResults: 10}) { metrics { value runId } }
		mlflowListArtifacts(input: {runId: "`+id+`"}) { files { path } } mlflowGetExperiment(input: {experimentId: "`+x+`"}) { experiment { creationTime @skip(if: true) name } } }`, nil)
	equal(t, "several", strings.TrimSpace(a.Text), `{"data":{"mlflowGetMetricHistoryBulkInterval":{"metrics":[{"value":0.5,"runId":"`+id+`"}]},"mlflowListArtifacts":{"files":[]},"mlflowGetExperiment":{"experiment":{"name":"graphs"}}},"errors":null}`)
}

// What is refused of a query is among its errors, and what was not asked wrongly is answered.
func TestGraphQLErrors(t *testing.T) {
	w := newFixture(t)
	a := w.graphql(`{ a: mlflowGetRun(input: {runId: "x"}) { run { __typename } } b: mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }`, nil)
	equal(t, "half", at(a.Object, "data"), map[string]any{"a": nil, "b": map[string]any{"experiment": map[string]any{"name": "Default"}}})
	equal(t, "its error", at(a.Object, "errors", 0), "Run with id=x not found")

	deep := strings.Repeat(`... on Query { `, 3) + `mlflowGetRun(input: {runId: "x"}) { run { info { runId } } }` + strings.Repeat(` }`, 3)
	equal(t, "fragments are no depth", at(w.graphql(`{ `+deep+` }`, nil).Object, "errors", 0), "Run with id=x not found")
	var fragments strings.Builder
	for i := range 30 { // each names the next twice: 2^30 fields
		fmt.Fprintf(&fragments, "fragment f%d on Query { ...f%d ...f%d } ", i, i+1, i+1)
	}
	many := func(n int, format string) (text string) {
		for i := range n {
			text += fmt.Sprintf(format, i)
		}
		return text
	}
	for name, c := range map[string]struct{ query, says string }{
		"no field":      {`{ nope }`, "Cannot query field"},
		"no query":      {`{`, "Expected Name"},
		"introspection": {`{ __schema { types { name } } }`, "no introspection"},
		"a fragment that is doubled over and over": {`{ ...f0 } ` + fragments.String() + `fragment f30 on Query { mlflowGetRun { apiError { code } } }`, "total selections"},
		"a fragment in itself":                     {`{ ...f } fragment f on Query { ...f }`, "total selections"},
		"too deep":                                 {`{ a ` + strings.Repeat(`{ a `, 11) + strings.Repeat(`}`, 12), "depth of 10"},
		"too many roots":                           {`{ ` + many(11, `... on Query @include(if: true) { mlflowGetRun(input: {runId: "%d"}) { apiError { code } } } `) + `}`, "10 root fields"},
		"too many roots, each named":               {`{ ` + many(12, `k%d: mlflowGetRun { apiError { code } } `) + `}`, "10 root fields, got 12"},
		"too many names":                           {`{ mlflowGetRun { ` + many(11, `a%d: apiError { code } `) + `} }`, "10 aliases"},
		"too many tokens":                          {`{ ` + strings.Repeat("a ", 9000) + `}`, "token"},
		"two operations":                           {`query A { mlflowGetRun { apiError { code } } } query B { mlflowGetRun { apiError { code } } }`, "operation name"},
		"a wrong type":                             {`{ mlflowGetRun(input: {runId: 5}) { apiError { code } } }`, "String"},
		"a huge number":                            {`{ mlflowSearchRuns(input: {maxResults: 99999999999999999999}) { nextPageToken } }`, ""},
		"no variable":                              {`query($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { apiError { code } } }`, "must be defined"},
	} {
		errs, _ := at(w.graphql(c.query, nil).Object, "errors").([]any)
		if len(errs) == 0 || !strings.Contains(fmt.Sprint(errs[0]), c.says) {
			t.Errorf("%s: %v", name, errs)
		}
	}
	for _, body := range []string{``, `[]`, `{"query": ""}`, `{"query": 5}`, strings.Repeat(" ", 1<<17)} {
		if a := ask(w.tracking, "POST", "/graphql", body); a.Code != 400 {
			t.Errorf("%.20q: %d %s", body, a.Code, a.Text)
		}
	}
}
