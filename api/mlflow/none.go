package mlflow

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
)

// noneRoutes answer what MLflow's pages ask about things that this program has none of: traces and their data sets,
// scorers, issues, a gateway to language models, assistants, users of MLflow's own. There are none, and so it is said;
// to make one is not found.
func (s *Surface) noneRoutes(r *api.Routes) {
	for _, none := range []struct {
		method, path string
		answer       any
	}{
		{"GET", "2.0/mlflow/users/current", empty{}},
		{"GET", "2.0/mlflow/gateway-proxy", map[string]any{"endpoints": []any{}}},
		{"GET", "3.0/mlflow/ui-telemetry", map[string]any{"disable_ui_telemetry": true, "disable_ui_events": []any{}, "ui_rollout_percentage": 0}},
		{"GET", "3.0/mlflow/assistant/config", map[string]any{"providers": empty{}, "projects": empty{}, "remote_access_allowed": false}},
		{"GET", "3.0/mlflow/assistant/providers", map[string]any{"providers": []any{}}},
		{"POST", "3.0/mlflow/traces/search", empty{}},
		{"POST", "3.0/mlflow/traces/metrics", empty{}},
		{"POST", "3.0/mlflow/datasets/search", empty{}},
		{"POST", "3.0/mlflow/issues/search", empty{}},
		{"GET", "3.0/mlflow/scorers/list", empty{}},
		{"GET", "3.0/mlflow/scorers/online-configs", empty{}},
		{"GET", "3.0/mlflow/mcp-servers", map[string]any{"mcp_servers": []any{}}},
		{"GET", "3.0/mlflow/gateway/endpoints/list", empty{}},
		{"GET", "3.0/mlflow/gateway/endpoints/bindings/list", empty{}},
		{"GET", "3.0/mlflow/gateway/secrets/list", empty{}},
		{"GET", "3.0/mlflow/gateway/secrets/config", map[string]any{"secrets_available": false, "using_default_passphrase": false}},
		{"GET", "3.0/mlflow/gateway/model-definitions/list", empty{}},
		{"GET", "3.0/mlflow/gateway/guardrails/list", empty{}},
		{"GET", "3.0/mlflow/gateway/budgets/list", empty{}},
		{"GET", "3.0/mlflow/gateway/supported-providers", map[string]any{"providers": []any{}}},
	} {
		r.Read(none.method+" /ajax-api/"+none.path, func(w http.ResponseWriter, _ *http.Request) error {
			return api.WriteJSON(w, http.StatusOK, none.answer)
		})
	}
}

type empty struct{}
