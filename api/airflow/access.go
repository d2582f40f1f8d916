package airflow

import (
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// Who may ask, and what the program is connected to, its configuration says: it is read here, without any secret, and changed there.

func (s *Surface) accessRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/config", s.noConfig)
	r.Handle("GET /api/v1/config/section/{section}/option/{option}", s.noConfig)
	r.Handle("GET /api/v1/connections", s.connections)
	r.Handle("GET /api/v1/connections/{connection}", s.connection)
	r.Handle("POST /api/v1/connections/test", s.testConnection)
	r.Handle("GET /api/v1/users", s.users)
	r.Handle("GET /api/v1/users/{user}", s.user)
	r.Handle("GET /api/v1/roles", s.roles)
	r.Handle("GET /api/v1/roles/{role}", s.role)
	r.Handle("GET /api/v1/permissions", s.permissions)
	for thing, what := range map[string]string{"connections": "connections are", "users": "users are", "roles": "the role of all users is"} {
		refuse := func(http.ResponseWriter, *http.Request) error {
			return fault.New(fault.Forbidden, "%s what the server was configured with", what).WithHint("change its configuration, and start it again")
		}
		r.Handle("POST /api/v1/"+thing, refuse)
		r.Handle("PATCH /api/v1/"+thing+"/{name}", refuse)
		r.Handle("DELETE /api/v1/"+thing+"/{name}", refuse)
	}
}

// noConfig refuses as Airflow does where it was not told otherwise.
func (s *Surface) noConfig(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.Forbidden, "Your Airflow administrator chose not to expose the configuration, most likely for security reasons.")
}

// Connection is something that the program is connected to, without any secret.
type Connection struct {
	ID          string  `json:"connection_id"`
	Type        string  `json:"conn_type"`
	Description string  `json:"description"`
	Host        *string `json:"host"`
	Login       *string `json:"login"`
	Schema      *string `json:"schema"`
	Port        *int    `json:"port"`
}

func (s *Surface) connections(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	piece := asked(q)
	by, back := order(q, map[string]string{"": "", "id": "", "connection_id": "id", "conn_type": "type", "description": "description", "host": "host", "port": ""})
	if err := q.Err(); err != nil {
		return err
	}
	all := slices.Clone(s.Connections)
	sortBy(all, func(c Connection) string {
		switch {
		case by == "id":
			return c.ID
		case by == "type":
			return c.Type
		case by == "description":
			return c.Description
		case by == "host" && c.Host != nil:
			return *c.Host
		}
		return ""
	}, back)
	return answerList(w, "connections", page(all, piece), int64(len(all)))
}

func (s *Surface) connection(w http.ResponseWriter, r *http.Request) error {
	for _, c := range s.Connections {
		if c.ID == r.PathValue("connection") {
			return api.WriteJSON(w, http.StatusOK, struct {
				Connection
				Extra *string `json:"extra"`
			}{c, nil})
		}
	}
	return missing("Connection not found", "The Connection with connection_id: `%s` was not found", api.Short(r.PathValue("connection")))
}

// testConnection refuses as Airflow does where it was not told otherwise: in plain text.
func (s *Surface) testConnection(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	w.Write([]byte("Testing connections is disabled in Airflow configuration. Contact your deployment admin to enable it.")) //nolint:errcheck // the client is gone
	return nil
}

// adminRole is what every user has: there is no other.
const adminRole = "Admin"

// user is who may ask.
type user struct {
	First   string              `json:"first_name"`
	Last    string              `json:"last_name"`
	Name    string              `json:"username"`
	Email   string              `json:"email,omitempty"`
	Active  bool                `json:"active"`
	Login   *string             `json:"last_login"`
	Logins  *int                `json:"login_count"`
	Fails   *int                `json:"failed_login_count"`
	Roles   []map[string]string `json:"roles"`
	Created *string             `json:"created_on"`
	Changed *string             `json:"changed_on"`
}

func userOf(name string) user {
	return user{Name: name, Active: true, Roles: []map[string]string{{"name": adminRole}}}
}

func (s *Surface) users(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	piece := asked(q)
	_, back := order(q, map[string]string{"": "", "id": "", "first_name": "", "last_name": "", "user_name": "name", "username": "name", "email": "", "active": "", "role": "", "is_active": ""})
	if err := q.Err(); err != nil {
		return err
	}
	all := []user{}
	for _, name := range s.Users {
		all = append(all, userOf(name))
	}
	sortBy(all, func(u user) string { return u.Name }, back)
	return answerList(w, "users", page(all, piece), int64(len(all)))
}

func (s *Surface) user(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("user")
	if !slices.Contains(s.Users, name) {
		return missing("User not found", "The User with username `%s` was not found", api.Short(name))
	}
	return api.WriteJSON(w, http.StatusOK, userOf(name))
}

// actions are what the role may do, to each of resources.
var (
	actions   = []string{"can_read", "can_edit", "can_create", "can_delete"}
	resources = []string{"DAGs", "DAG Runs", "Task Instances", "Variables", "Pools"}
)

type named struct {
	Name string `json:"name"`
}

type permission struct {
	Action   named `json:"action"`
	Resource named `json:"resource"`
}

type role struct {
	Name    string       `json:"name"`
	Actions []permission `json:"actions"`
}

func admin() role {
	v := role{Name: adminRole}
	for _, resource := range resources {
		for _, action := range actions {
			v.Actions = append(v.Actions, permission{named{action}, named{resource}})
		}
	}
	return v
}

func (s *Surface) roles(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	piece := asked(q)
	order(q, map[string]string{"": "", "role_id": "", "name": ""})
	if err := q.Err(); err != nil {
		return err
	}
	return answerList(w, "roles", page([]role{admin()}, piece), 1)
}

func (s *Surface) role(w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(r.PathValue("role"), adminRole) {
		return missing("Role not found", "Role with name '%s' was not found", api.Short(r.PathValue("role")))
	}
	return api.WriteJSON(w, http.StatusOK, admin())
}

func (s *Surface) permissions(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset")
	piece := asked(q)
	if err := q.Err(); err != nil {
		return err
	}
	all := []named{}
	for _, name := range actions {
		all = append(all, named{name})
	}
	return answerList(w, "actions", page(all, piece), int64(len(all)))
}
