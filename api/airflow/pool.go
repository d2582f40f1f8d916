package airflow

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) poolRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/pools", s.pools, "workflows")
	r.Handle("POST /api/v1/pools", s.postPool, "workflows")
	r.Handle("GET /api/v1/pools/{pool}", s.pool, "workflows")
	r.Handle("PATCH /api/v1/pools/{pool}", s.patchPool, "workflows")
	r.Handle("DELETE /api/v1/pools/{pool}", s.deletePool, "workflows")
}

// pool is one as Airflow's clients know it. Tasks that wait for a slot are scheduled: none is handed out before one begins. Nothing is ever deferred.
type pool struct {
	Name            string `json:"name"`
	Slots           int    `json:"slots"`
	Occupied        int    `json:"occupied_slots"`
	Running         int    `json:"running_slots"`
	Queued          int    `json:"queued_slots"`
	Scheduled       int    `json:"scheduled_slots"`
	Deferred        int    `json:"deferred_slots"`
	Open            int    `json:"open_slots"`
	Description     string `json:"description"`
	IncludeDeferred bool   `json:"include_deferred"`
	made            int64  // offset of the ledger
}

// Pools are all there are with their use, by name.
func (s *Surface) Pools() ([]pool, error) {
	all, err := fold.Of[*projections.Workflows](s.Views).Pools()
	if err != nil {
		return nil, err
	}
	use, err := s.Workflows.PoolUse()
	if err != nil {
		return nil, err
	}
	list := make([]pool, len(all))
	for i := range all {
		p, u := &all[i], use[all[i].Name]
		list[i] = pool{Name: p.Name, Slots: p.Slots, Occupied: u.Running, Running: u.Running, Scheduled: u.Waiting, Open: p.Slots - u.Running,
			Description: p.Description, IncludeDeferred: p.IncludeDeferred, made: p.MadeOffset}
		if p.Slots < 0 {
			list[i].Open = -1
		}
	}
	return list, nil
}

func (s *Surface) pools(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	limit, offset := q.Number("limit", limitDefault, 1, limitMax), q.Number("offset", 0, 0, offsetMax)
	order := q.Str("order_by")
	by, back := strings.CutPrefix(order, "-")
	if order != "" && !slices.Contains([]string{"name", "slots", "id"}, by) {
		q.Fault("order_by", "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(by))
	}
	if err := q.Err(); err != nil {
		return err
	}
	all, err := s.Pools()
	if err != nil {
		return err
	}
	sort.SliceStable(all, func(i, j int) bool {
		if back {
			i, j = j, i
		}
		return by == "slots" && all[i].Slots < all[j].Slots || by != "slots" && all[i].Name < all[j].Name
	})
	return api.WriteJSON(w, http.StatusOK, struct {
		Pools []pool `json:"pools"`
		Total int    `json:"total_entries"`
	}{page(all, projections.Page{Offset: offset, Limit: limit}), len(all)})
}

func (s *Surface) poolOf(name string) (pool, error) {
	all, err := s.Pools()
	if err != nil {
		return pool{}, err
	}
	if i := slices.IndexFunc(all, func(p pool) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return pool{}, fault.New(fault.NotFound, "Pool with name:'%s' not found", api.Short(name))
}

func (s *Surface) writePool(w http.ResponseWriter, name string) error {
	p, err := s.poolOf(name)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, p)
}

func (s *Surface) pool(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	return s.writePool(w, r.PathValue("pool"))
}

// givenPool is what a request says of a pool; what it does not say is nil.
type givenPool struct {
	Name            *string `json:"name"`
	Slots           *int    `json:"slots"`
	Description     *string `json:"description"`
	IncludeDeferred *bool   `json:"include_deferred"`
}

// readPool reads one. Fields that only the server says are read over, as Airflow does.
func readPool(w http.ResponseWriter, r *http.Request) (g givenPool, fields map[string]json.RawMessage, err error) {
	if err := api.ReadJSON(w, r, &fields, false); err != nil {
		return g, nil, err
	}
	for name, raw := range fields {
		var into any
		switch name {
		case "name":
			into = &g.Name
		case "slots":
			into = &g.Slots
		case "description":
			into = &g.Description
		case "include_deferred":
			into = &g.IncludeDeferred
		case "occupied_slots", "running_slots", "queued_slots", "scheduled_slots", "deferred_slots", "open_slots":
			continue
		default:
			return g, nil, fault.New(fault.Invalid, "{'%s': ['Unknown field.']}", api.Short(name))
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return g, nil, fault.New(fault.Invalid, "{'%s': ['Not a valid value.']}", name)
		}
	}
	return g, fields, nil
}

func (g *givenPool) require() error {
	var missing []string
	if g.Name == nil {
		missing = append(missing, "'name'")
	}
	if g.Slots == nil {
		missing = append(missing, "'slots'")
	}
	if missing != nil {
		return fault.New(fault.Invalid, "Missing required property(ies): [%s]", strings.Join(missing, ", "))
	}
	return nil
}

func (s *Surface) postPool(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	g, _, err := readPool(w, r)
	if err != nil {
		return err
	}
	if err := g.require(); err != nil {
		return err
	}
	c := &commands.DefinePool{Pool: *g.Name, Slots: *g.Slots, New: true}
	if g.Description != nil {
		c.Description = *g.Description
	}
	if g.IncludeDeferred != nil {
		c.IncludeDeferred = *g.IncludeDeferred
	}
	taken := fault.New(fault.Conflict, "Pool: %s already exists", api.Short(c.Pool))
	if c.Pool == events.PoolDefault { // which is there without an event
		return taken
	}
	if err := s.say(r, c); fault.Is(err, fault.Conflict) {
		return taken
	} else if err != nil {
		return err
	}
	return s.writePool(w, c.Pool)
}

// patchPool gives a pool what the request says of it, or what of that update_mask names. Of the default one slots and include_deferred may be changed alone, and no
// pool can be given another name: tasks name it.
func (s *Surface) patchPool(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "update_mask")
	if err := q.Err(); err != nil {
		return err
	}
	g, fields, err := readPool(w, r)
	if err != nil {
		return err
	}
	name := r.PathValue("pool")
	now, err := s.poolOf(name)
	if err != nil {
		return err
	}
	wanted := func(string) bool { return true }
	if masks := maskOf(r); len(masks) > 0 {
		for _, m := range masks {
			if _, ok := fields[m]; !ok {
				return fault.New(fault.Invalid, "Invalid field: %s in update mask", api.Short(m))
			}
		}
		wanted = func(field string) bool { return slices.Contains(masks, field) }
	} else if err := g.require(); err != nil {
		return err
	}
	if g.Name != nil && wanted("name") && *g.Name != name {
		return fault.New(fault.Invalid, "The name of a pool cannot be changed: tasks name it").WithHint("make another")
	}
	c := &commands.DefinePool{Pool: name, Slots: now.Slots, Description: now.Description, IncludeDeferred: now.IncludeDeferred}
	if g.Slots != nil && wanted("slots") {
		c.Slots = *g.Slots
	}
	if g.IncludeDeferred != nil && wanted("include_deferred") {
		c.IncludeDeferred = *g.IncludeDeferred
	}
	if g.Description != nil && wanted("description") && *g.Description != now.Description {
		if c.Description = *g.Description; name == events.PoolDefault {
			return fault.New(fault.Invalid, "Only slots and include_deferred can be modified on Default Pool")
		}
	}
	if err := s.say(r, c); err != nil {
		return err
	}
	return s.writePool(w, name)
}

// maskOf are the fields that update_mask names, given several times or with commas.
func maskOf(r *http.Request) (fields []string) {
	for _, v := range r.URL.Query()["update_mask"] {
		for _, f := range strings.Split(v, ",") {
			if f = strings.TrimSpace(f); f != "" {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

func (s *Surface) deletePool(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	name := r.PathValue("pool")
	if name == events.PoolDefault {
		return fault.New(fault.Invalid, "Default Pool can't be deleted")
	}
	if _, err := s.poolOf(name); err != nil {
		return err
	}
	if err := s.say(r, &commands.RemovePool{Pool: name}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
