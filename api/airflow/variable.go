package airflow

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) variableRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/variables", s.variables, "variables")
	r.Handle("POST /api/v1/variables", s.postVariable)
	r.Handle("GET /api/v1/variables/{key}", s.variable, "variables")
	r.Handle("PATCH /api/v1/variables/{key}", s.patchVariable, "variables")
	r.Handle("DELETE /api/v1/variables/{key}", s.deleteVariable, "variables")
}

// variable is one with its value.
type variable struct {
	Description *string `json:"description"`
	Key         string  `json:"key"`
	Value       string  `json:"value"`
}

func variableOf(v *projections.Variable) variable {
	one := variable{Key: v.Key, Value: v.Value}
	if v.Description != "" {
		one.Description = &v.Description
	}
	return one
}

func (s *Surface) variables(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	piece := asked(q)
	orders := map[string]string{"": "id"}
	for _, name := range projections.VariableOrders {
		orders[name] = name
	}
	by, back := order(q, orders)
	if err := q.Err(); err != nil {
		return err
	}
	found, total, err := fold.Of[*projections.Variables](s.Views).Search(by, back, piece)
	if err != nil {
		return err
	}
	list := []variable{}
	for i := range found {
		list = append(list, variableOf(&found[i]))
	}
	return answerList(w, "variables", list, total)
}

// variableOfRequest is the one that a request names.
func (s *Surface) variableOfRequest(r *http.Request) (projections.Variable, error) {
	v, ok, err := fold.Of[*projections.Variables](s.Views).Variable(r.PathValue("key"))
	if err == nil && !ok {
		err = missing("Variable not found", "Variable does not exist")
	}
	return v, err
}

func (s *Surface) variable(w http.ResponseWriter, r *http.Request) error {
	v, err := s.variableOfRequest(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, variableOf(&v))
}

// readVariable reads a variable as it is sent; all but the description must be there.
func readVariable(w http.ResponseWriter, r *http.Request) (v struct{ Key, Value, Description *string }, err error) {
	var body struct {
		Key         *string `json:"key"`
		Value       *string `json:"value"`
		Description *string `json:"description"`
	}
	if err := api.ReadJSON(w, r, &body, false); err != nil {
		return v, err
	}
	v.Key, v.Value, v.Description = body.Key, body.Value, body.Description
	var wrong []string
	for _, field := range []struct {
		name string
		is   *string
	}{{"key", v.Key}, {"value", v.Value}} {
		if field.is == nil {
			wrong = append(wrong, "'"+field.name+"': ['Missing data for required field.']")
		}
	}
	if wrong != nil {
		return v, titled{"Invalid Variable schema", fault.New(fault.Invalid, "{%s}", strings.Join(wrong, ", "))}
	}
	return v, nil
}

// keyMax is how long a variable's key may be in Airflow, in characters.
const keyMax = 250

func (s *Surface) postVariable(w http.ResponseWriter, r *http.Request) error {
	v, err := readVariable(w, r)
	if err != nil {
		return err
	}
	if n := utf8.RuneCountInString(*v.Key); n > keyMax {
		return fault.Field("key", "has %d characters; the most is %d", n, keyMax)
	}
	c := &commands.SetVariable{Key: *v.Key, Value: *v.Value}
	if v.Description != nil {
		c.Description = *v.Description
	}
	if err := s.say(r, c); err != nil {
		return err
	}
	answer := map[string]any{"key": *v.Key, "value": *v.Value}
	if v.Description != nil {
		answer["description"] = *v.Description
	}
	return api.WriteJSON(w, http.StatusOK, answer)
}

// patchVariable changes value and description, or of them those that update_mask names.
func (s *Surface) patchVariable(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "update_mask*")
	mask := several(q, "update_mask")
	if err := q.Err(); err != nil {
		return err
	}
	v, err := readVariable(w, r)
	if err != nil {
		return err
	}
	if *v.Key != r.PathValue("key") {
		return titled{"Invalid post body", fault.New(fault.Invalid, "key from request body doesn't match uri parameter")}
	}
	now, err := s.variableOfRequest(r)
	if err != nil {
		return err
	}
	for _, name := range mask {
		if name = strings.TrimSpace(name); name != "value" && (name != "description" || v.Description == nil) {
			return fault.New(fault.Invalid, "'%s' is unknown or cannot be updated.", api.Short(name))
		}
	}
	c := &commands.SetVariable{Key: now.Key, Value: now.Value, Description: now.Description}
	if mask == nil || slices.Contains(mask, "value") {
		c.Value = *v.Value
	}
	if v.Description != nil && (mask == nil || slices.Contains(mask, "description")) {
		c.Description = *v.Description
	}
	if err := s.say(r, c); err != nil {
		return err
	}
	return s.variable(w, r)
}

func (s *Surface) deleteVariable(w http.ResponseWriter, r *http.Request) error {
	err := s.say(r, &commands.DeleteVariable{Key: r.PathValue("key")})
	if fault.Is(err, fault.NotFound) {
		return missing("Variable not found", "Variable does not exist")
	}
	if err != nil {
		return err
	}
	return gone(w)
}
