package airflow

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) variableRoutes(r v2Routes) {
	r.Handle("GET /api/v2/variables", fastapi.Handler(s.variables), "variables")
	r.Handle("POST /api/v2/variables", fastapi.Handler(s.postVariable), "variables")
	r.Handle("GET /api/v2/variables/{key}", fastapi.Handler(s.variable), "variables")
	r.Handle("PATCH /api/v2/variables/{key}", fastapi.Handler(s.patchVariable), "variables")
	r.Handle("PATCH /api/v2/variables", fastapi.Handler(s.bulkVariables), "variables")
	r.Handle("DELETE /api/v2/variables/{key}", fastapi.Handler(s.deleteVariable), "variables")
	r.on("GET", "/connections", s.connections)
	r.on("GET", "/connections/{connection}", s.connection)
}

// v2Variable is one with its value, which is in the log as it is: nothing is encrypted.
type v2Variable struct {
	Key         string  `json:"key"`
	Value       string  `json:"value"`
	Description *string `json:"description"`
	Encrypted   bool    `json:"is_encrypted"`
	Team        *string `json:"team_name"`
	made        int64
}

func v2VariableOf(v *projections.Variable) v2Variable {
	v1 := variableOf(v)
	return v2Variable{Key: v1.Key, Value: v1.Value, Description: v1.Description, made: v.MadeOffset}
}

var variableAttributes = attributes[v2Variable]{by: map[string]func(*v2Variable) sortKey{
	"id": madeKey, "key": func(v *v2Variable) sortKey { return textKey(v.Key) }, "_val": func(v *v2Variable) sortKey { return textKey(v.Value) },
	"description": func(v *v2Variable) sortKey { return optionalKey(v.Description) }, "is_encrypted": func(*v2Variable) sortKey { return sortKey{} }, "team_name": func(*v2Variable) sortKey { return sortKey{Null: true} },
}, unique: []func(*v2Variable) sortKey{madeKey, func(v *v2Variable) sortKey { return textKey(v.Key) }}}

func madeKey(v *v2Variable) sortKey { return sortKey{Number: float64(v.made)} }

func (s *V2) variables(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, keys := readListing(q, false), readPatterns(q, "variable_key")
	if err := q.Done(); err != nil {
		return err
	}
	all := []v2Variable{}
	for page := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := fold.Of[*projections.Variables](s.Views).Variables(page)
		if err != nil {
			return err
		}
		for i := range p.Items {
			if keys.match(p.Items[i].Key) {
				all = append(all, v2VariableOf(&p.Items[i]))
			}
		}
		if page.Cursor = p.Next; page.Cursor == "" {
			return writeList(w, l, all, variableAttributes, "variables", func(v *v2Variable) any { return v })
		}
	}
}

// namedVariable is the one that a request names.
func (s *V2) namedVariable(r *http.Request) (projections.Variable, error) {
	v, ok, err := fold.Of[*projections.Variables](s.Views).Variable(r.PathValue("key"))
	if err == nil && !ok {
		err = noVariable(r)
	}
	return v, err
}

func noVariable(r *http.Request) error {
	return fastapi.Refuse(http.StatusNotFound, "The Variable with key: `%s` was not found", api.Short(r.PathValue("key")))
}

func (s *V2) writeVariable(w http.ResponseWriter, status int, key string) error {
	v, ok, err := fold.Of[*projections.Variables](s.Views).Variable(key)
	if err == nil && !ok {
		err = fault.New(fault.Unavailable, "the variable is set, and not to be read yet")
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, status, v2VariableOf(&v))
}

func (s *V2) variable(w http.ResponseWriter, r *http.Request) error {
	v, err := s.namedVariable(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v2VariableOf(&v))
}

// sentVariable is one as it is sent. A value that is no text is kept as JSON.
type sentVariable struct {
	key, value, description string
	described               bool
}

func readV2Variable(w http.ResponseWriter, r *http.Request) (v sentVariable, err error) {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return v, err
	}
	v = readVariableIn(b)
	return v, b.Done()
}

func readVariableIn(b *fastapi.Values) (v sentVariable) {
	b.Need("key")
	v.key, _ = b.Text("key", keyMax)
	if value, ok := b.Need("value"); ok {
		text, is := value.(string)
		if !is {
			raw, err := json.MarshalIndent(value, "", "  ")
			if err != nil {
				b.Wrong(value, err.Error(), "value")
			}
			text = string(raw)
		}
		v.value = text
	}
	v.description, v.described = b.Text("description", 0)
	if team, given := b.Text("team_name", 0); given {
		b.Wrong(team, "team_name cannot be set when multi_team mode is disabled. Please contact your administrator.")
	}
	return v
}

func (s *V2) postVariable(w http.ResponseWriter, r *http.Request) error {
	v, err := readV2Variable(w, r)
	if err != nil {
		return err
	}
	if _, ok, err := fold.Of[*projections.Variables](s.Views).Variable(v.key); err != nil || ok {
		if err == nil {
			err = fastapi.Refuse(http.StatusConflict, "The Variable with key: `%s` already exists", api.Short(v.key))
		}
		return err
	}
	if err := s.v1.say(r, &commands.SetVariable{Key: v.key, Value: v.value, Description: v.description}); err != nil {
		return err
	}
	return s.writeVariable(w, http.StatusCreated, v.key)
}

func (s *V2) patchVariable(w http.ResponseWriter, r *http.Request) error {
	m, err := mask(r)
	if err != nil {
		return err
	}
	v, err := readV2Variable(w, r)
	if err != nil {
		return err
	}
	if v.key != r.PathValue("key") {
		return fastapi.Refuse(http.StatusBadRequest, "Invalid body, key from request body doesn't match uri parameter")
	}
	now, err := s.namedVariable(r)
	if err != nil {
		return err
	}
	if err := s.v1.say(r, v.given(&now, m)); err != nil {
		return err
	}
	return s.writeVariable(w, http.StatusOK, now.Key)
}

// given is a variable with what was sent of it, of the fields of a mask, or of all without one.
func (v *sentVariable) given(now *projections.Variable, mask []string) *commands.SetVariable {
	c := &commands.SetVariable{Key: now.Key, Value: now.Value, Description: now.Description}
	if anyOf(mask, "value") {
		c.Value = v.value
	}
	if anyOf(mask, "description") && v.described {
		c.Description = v.description
	}
	return c
}

// bulkVariables makes, changes and deletes several variables.
func (s *V2) bulkVariables(w http.ResponseWriter, r *http.Request) error {
	actions, err := readActions(w, r, func(b *fastapi.Values, a *bulkAction[sentVariable]) {
		var text func(string)
		if a.kind == "delete" {
			text = func(key string) { a.of = append(a.of, sentVariable{key: key}) }
		}
		readEach(b, "entities", text, func(of *fastapi.Values) { a.of = append(a.of, readVariableIn(of)) })
	})
	if err != nil {
		return err
	}
	return answerActions(w, actions, func(a *bulkAction[sentVariable], result *bulkResult) error {
		known := map[string]projections.Variable{}
		for i := range a.of {
			v, ok, err := fold.Of[*projections.Variables](s.Views).Variable(a.of[i].key)
			if err != nil {
				return err
			}
			if ok {
				known[v.Key] = v
			}
		}
		there := func(v *sentVariable) (key string, ok bool) { _, ok = known[v.key]; return v.key, ok }
		wanted := pick(a, result, there, "The variables with these keys: %s already exist.", "The variables with these keys: %s were not found.")
		for _, v := range wanted {
			now, c := known[v.key], commands.Command(&commands.SetVariable{Key: v.key, Value: v.value, Description: v.description})
			switch {
			case a.kind == "delete":
				c = &commands.DeleteVariable{Key: v.key}
			case a.kind == "update" && slices.Contains(a.mask, "key"):
				result.fail(http.StatusBadRequest, "Update not allowed: the following fields are immutable and cannot be modified: {'key'}")
				return nil
			case a.kind == "update":
				c = v.given(&now, a.mask)
			}
			if err := result.tell(v.key, s.v1.say(amongSeveral(r, a.kind, v.key), c)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *V2) deleteVariable(w http.ResponseWriter, r *http.Request) error {
	err := s.v1.say(r, &commands.DeleteVariable{Key: r.PathValue("key")})
	if fault.Is(err, fault.NotFound) {
		return noVariable(r)
	}
	if err != nil {
		return err
	}
	return gone(w)
}

// v2Connection is something that the program was configured to reach, without any secret.
type v2Connection struct {
	Connection
	Password *string `json:"password"`
	Extra    *string `json:"extra"`
	Team     *string `json:"team_name"`
}

var connectionAttributes = attributes[v2Connection]{by: map[string]func(*v2Connection) sortKey{
	"connection_id": connectionKey, "conn_id": connectionKey, "id": connectionKey, "conn_type": func(c *v2Connection) sortKey { return textKey(c.Type) },
	"description": func(c *v2Connection) sortKey { return textKey(c.Description) }, "host": func(c *v2Connection) sortKey { return optionalKey(c.Host) },
	"port": func(c *v2Connection) sortKey {
		if c.Port == nil {
			return sortKey{Null: true}
		}
		return sortKey{Number: float64(*c.Port)}
	},
}, unique: []func(*v2Connection) sortKey{connectionKey}}

func connectionKey(c *v2Connection) sortKey { return textKey(c.ID) }

func (s *V2) connections(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, ids := readListing(q, false), readPatterns(q, "connection_id")
	if err := q.Done(); err != nil {
		return err
	}
	all := []v2Connection{}
	for _, c := range s.Connections {
		if ids.match(c.ID) {
			all = append(all, v2Connection{Connection: c})
		}
	}
	return writeList(w, l, all, connectionAttributes, "connections", func(c *v2Connection) any { return c })
}

func (s *V2) connection(w http.ResponseWriter, r *http.Request) error {
	for _, c := range s.Connections {
		if c.ID == r.PathValue("connection") {
			return api.WriteJSON(w, http.StatusOK, v2Connection{Connection: c})
		}
	}
	return fastapi.Refuse(http.StatusNotFound, "The Connection with connection_id: `%s` was not found", api.Short(r.PathValue("connection")))
}
