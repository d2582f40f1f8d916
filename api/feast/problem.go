package feast

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/projections/featurestore"
)

// refusal is an answer that something of the request is wrong.
type refusal struct {
	status int
	body   any
}

// project is what Feast would call all that one server has.
const project = featurestore.OwnProject

// feastError is an error of the module feast.errors, which Feast's client raises again: a document in a string.
func feastError(status int, class, format string, args ...any) *refusal {
	document, err := json.Marshal(struct {
		Module  string `json:"module"`
		Class   string `json:"class"`
		Message string `json:"message"`
	}{"feast.errors", class, fmt.Sprintf(format, args...)})
	if err != nil {
		panic(err) // strings only
	}
	return &refusal{status, string(document)}
}

// plainError is any other error of Feast's: its text.
func plainError(format string, args ...any) *refusal {
	return &refusal{http.StatusUnprocessableEntity, fmt.Sprintf(format, args...)}
}

func noView(name string) *refusal {
	return feastError(http.StatusNotFound, "FeatureViewNotFoundException", "Feature view %s does not exist in project %s", name, project)
}

func noService(name string) *refusal {
	return feastError(http.StatusNotFound, "FeatureServiceNotFoundException", "Feature service %s does not exist in project %s", name, project)
}

func noSource(name string) *refusal {
	return feastError(http.StatusUnprocessableEntity, "PushSourceNotFoundException", "Unable to find push source '%s'.", name)
}

func noObject(name string) *refusal {
	return feastError(http.StatusNotFound, "FeastObjectNotFoundException", "Can't recognize feast object with a name %s", name)
}

// computed says that values of a view are not taken.
func computed(view string) *refusal {
	return feastError(http.StatusUnprocessableEntity, "FeastError", "The values of feature view %s are computed from what people do: nothing is written to it. Declare a view of another name for values of your own.", view)
}

func noVersion(view string, version int) *refusal {
	return feastError(http.StatusNotFound, "FeatureViewVersionNotFound", "Version %d of feature view %s does not exist in project %s", version, view, project)
}

// noRequestData says that expressions want more than a request says.
func noRequestData(names []string) *refusal {
	return feastError(http.StatusNotFound, "RequestDataNotFoundInEntityRowsException",
		"Required request data source features [%s] not found in the entity rows, but required by feature views", strings.Join(names, ", "))
}

func noFeature(view, name string) *refusal {
	return feastError(http.StatusNotFound, "FeastObjectNotFoundException", "Feature %s not found in projection %s", name, view)
}

func collision(names []string, full bool) *refusal {
	remedy := "To resolve this collision, either use the full feature name by setting 'full_feature_names=True', or ensure that the features in question have different names."
	if full {
		remedy = "To resolve this collision, please ensure that the feature views or their own features have different names. If you're intentionally joining the same " +
			"feature view twice on different sets of entities, please rename one of the feature views with '.with_name'."
	}
	return feastError(http.StatusUnprocessableEntity, "FeatureNameCollisionError", "Duplicate features named %s found.\n%s", strings.Join(names, ", "), remedy)
}

// detail is one thing that is wrong with a body, as pydantic has it.
type detail struct {
	Type  string `json:"type"`
	Loc   []any  `json:"loc"`
	Msg   string `json:"msg"`
	Input any    `json:"input"`
	Ctx   any    `json:"ctx,omitempty"`
}

func invalid(details ...detail) any { return map[string]any{"detail": details} }
