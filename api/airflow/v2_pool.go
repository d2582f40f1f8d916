package airflow

import (
	"math"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) poolRoutes(r v2Routes) {
	r.on("GET", "/pools", s.pools)
	r.on("POST", "/pools", s.postPool)
	r.on("PATCH", "/pools", s.bulkPools)
	r.on("GET", "/pools/{pool...}", s.pool)
	r.on("PATCH", "/pools/{pool...}", s.patchPool)
	r.on("DELETE", "/pools/{pool...}", s.deletePool)
}

// v2Pool is one as Airflow 3 has it.
type v2Pool struct {
	pool
	Description *string `json:"description"`
	Team        *string `json:"team_name"`
	made        int64
}

// v2Pools are all there are with their use.
func (s *V2) v2Pools() ([]v2Pool, error) {
	known, err := s.v1.Pools()
	all := make([]v2Pool, len(known))
	for i := range known {
		all[i] = v2Pool{pool: known[i], made: known[i].made}
		if known[i].Description != "" {
			all[i].Description = &known[i].Description
		}
	}
	return all, err
}

var poolAttributes = attributes[v2Pool]{by: map[string]func(*v2Pool) sortKey{"id": poolMadeKey, "pool": poolNameKey, "name": poolNameKey}, unique: []func(*v2Pool) sortKey{poolMadeKey, poolNameKey}}

func poolMadeKey(p *v2Pool) sortKey { return sortKey{Number: float64(p.made)} }
func poolNameKey(p *v2Pool) sortKey { return textKey(p.Name) }

func (s *V2) pools(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, names := readListing(q, false), readPatterns(q, "pool_name")
	if err := q.Done(); err != nil {
		return err
	}
	all, err := s.v2Pools()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p v2Pool) bool { return !names.match(p.Name) })
	return writeList(w, l, all, poolAttributes, "pools", func(p *v2Pool) any { return p })
}

func noPool(name string) error {
	return fastapi.Refuse(http.StatusNotFound, "The Pool with name: `%s` was not found", api.Short(name))
}

func (s *V2) writePool(w http.ResponseWriter, status int, name string) error {
	all, err := s.v2Pools()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p v2Pool) bool { return p.Name == name })
	if i < 0 {
		return noPool(name)
	}
	return api.WriteJSON(w, status, &all[i])
}

func (s *V2) pool(w http.ResponseWriter, r *http.Request) error {
	return s.writePool(w, http.StatusOK, r.PathValue("pool"))
}

// sentPool is a pool as it is sent: what of it was given is in fields.
type sentPool struct {
	name, description string
	slots             int
	deferred          bool
	fields            map[string]any
}

func (p *sentPool) has(field string) bool {
	_, ok := p.fields[field]
	return ok
}

// readRest reads what bodies of both kinds have.
func (p *sentPool) readRest(b *fastapi.Values) {
	p.fields = b.Whole()
	p.description, _ = b.Text("description", 0)
	if team, given := b.Text("team_name", 50); given {
		b.Wrong(team, "team_name cannot be set when multi_team mode is disabled. Please contact your administrator.")
	}
}

// readWholePool reads a pool that is made, or named among several.
func readWholePool(b *fastapi.Values) (p sentPool) {
	b.Need("name")
	p.name, _ = b.Text("name", 256)
	b.Need("slots")
	p.slots = int(b.Integer("slots", 0, -1, math.MaxInt32))
	p.deferred = b.Flag("include_deferred", false)
	p.readRest(b)
	return p
}

// given is a pool with what was sent of it, of the fields of a mask, or of all without one.
func (p *sentPool) given(now projections.Pool, mask []string) *commands.DefinePool {
	c := &commands.DefinePool{Pool: now.Name, Slots: now.Slots, Description: now.Description, IncludeDeferred: now.IncludeDeferred}
	if p.has("slots") && anyOf(mask, "slots") {
		c.Slots = p.slots
	}
	if p.has("description") && anyOf(mask, "description") {
		c.Description = p.description
	}
	if p.has("include_deferred") && anyOf(mask, "include_deferred") {
		c.IncludeDeferred = p.deferred
	}
	return c
}

// guarded refuses a change of the default pool beyond what may be changed of it.
func guarded(name string, mask []string) error {
	other := func(field string) bool { return field != "slots" && field != "include_deferred" }
	if name == events.PoolDefault && (len(mask) == 0 || slices.ContainsFunc(mask, other)) {
		return fastapi.Refuse(http.StatusBadRequest, "Only slots and included_deferred can be modified on Default Pool")
	}
	return nil
}

// made is a new pool. The default one is there without an event.
func (p *sentPool) made() (*commands.DefinePool, error) {
	if p.name == events.PoolDefault {
		return nil, fault.New(fault.Conflict, "pool %s exists already", p.name)
	}
	return &commands.DefinePool{Pool: p.name, Slots: p.slots, Description: p.description, IncludeDeferred: p.deferred, New: true}, nil
}

// takenAlready says of something that is there already what Airflow's database does.
func takenAlready(err error) error {
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	return &fastapi.Refusal{Status: http.StatusConflict, Detail: map[string]string{"reason": "Unique constraint violation", "statement": "hidden", "orig_error": "hidden",
		"message": api.FieldProblemOf(err).Message}}
}

func (s *V2) postPool(w http.ResponseWriter, r *http.Request) error {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	p := readWholePool(b)
	if err := b.Done(); err != nil {
		return err
	}
	c, err := p.made()
	if err == nil {
		err = s.v1.say(r, c)
	}
	if err != nil {
		return takenAlready(err)
	}
	return s.writePool(w, http.StatusCreated, p.name)
}

// readPoolPatch reads a change of a pool, whose name is "pool" here.
func readPoolPatch(b *fastapi.Values) (p sentPool) {
	name := "pool"
	if _, given := b.Whole()["name"]; given {
		name = "name"
	}
	p.name, _ = b.Text(name, 0)
	if v, _ := b.Take("slots"); v != nil {
		p.slots = int(b.Integer("slots", 0, -1, math.MaxInt32))
	}
	if v, _ := b.Take("include_deferred"); v != nil {
		p.deferred = b.Flag("include_deferred", false)
	}
	p.readRest(b)
	return p
}

// whole wants all that a pool must have in a change of it, as Airflow does but of the default one.
func (p *sentPool) whole() error {
	var flaws []fastapi.Flaw
	for _, field := range []struct{ name, kind, msg string }{{"pool", "string_type", "Input should be a valid string"}, {"slots", "int_type", "Input should be a valid integer"},
		{"include_deferred", "bool_type", "Input should be a valid boolean"}} {
		v, ok := p.fields[field.name]
		if !ok && field.name == "pool" {
			v, ok = p.fields["name"]
		}
		switch {
		case !ok:
			flaws = append(flaws, fastapi.Flaw{Type: "missing", Loc: []any{field.name}, Msg: "Field required", Input: p.fields})
		case v == nil:
			flaws = append(flaws, fastapi.Flaw{Type: field.kind, Loc: []any{field.name}, Msg: field.msg})
		}
	}
	if flaws == nil {
		return nil
	}
	return &fastapi.Refusal{Status: http.StatusUnprocessableEntity, Detail: flaws}
}

// patchPool changes a pool. All of it must be sent, and of the default one what the mask names.
func (s *V2) patchPool(w http.ResponseWriter, r *http.Request) error {
	m, err := mask(r)
	if err != nil {
		return err
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	p, name := readPoolPatch(b), r.PathValue("pool")
	if err := b.Done(); err != nil {
		return err
	}
	if p.name != "" && p.name != name {
		return fastapi.Refuse(http.StatusBadRequest, "Invalid body, pool name from request body doesn't match uri parameter")
	}
	known, err := s.knownPools()
	if err != nil {
		return err
	}
	now, ok := known[name]
	if !ok {
		return noPool(name)
	}
	if err := guarded(name, m); err != nil {
		return err
	}
	if name != events.PoolDefault {
		if err := p.whole(); err != nil {
			return err
		}
	}
	for _, field := range []string{"slots", "include_deferred"} { // null changes nothing
		if p.fields[field] == nil {
			delete(p.fields, field)
		}
	}
	if err := s.v1.say(r, p.given(now, m)); err != nil {
		return err
	}
	return s.writePool(w, http.StatusOK, name)
}

func (s *V2) deletePool(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("pool")
	if name == events.PoolDefault {
		return fastapi.Refuse(http.StatusBadRequest, "Default Pool can't be deleted")
	}
	known, err := s.knownPools()
	if err != nil {
		return err
	}
	if _, ok := known[name]; !ok {
		return noPool(name)
	}
	if err := s.v1.say(r, &commands.RemovePool{Pool: name}); fault.Is(err, fault.NotFound) {
		return noPool(name)
	} else if err != nil {
		return err
	}
	return gone(w)
}

// knownPools are all pools by their names.
func (s *V2) knownPools() (map[string]projections.Pool, error) {
	all, err := fold.Of[*projections.Workflows](s.Views).Pools()
	known := map[string]projections.Pool{}
	for _, p := range all {
		known[p.Name] = p
	}
	return known, err
}

// bulkPools makes, changes and removes several pools.
func (s *V2) bulkPools(w http.ResponseWriter, r *http.Request) error {
	actions, err := readActions(w, r, func(b *fastapi.Values, a *bulkAction[sentPool]) {
		var text func(string)
		if a.kind == "delete" {
			text = func(name string) { a.of = append(a.of, sentPool{name: name}) }
		}
		readEach(b, "entities", text, func(of *fastapi.Values) { a.of = append(a.of, readWholePool(of)) })
	})
	if err != nil {
		return err
	}
	return answerActions(w, actions, func(a *bulkAction[sentPool], result *bulkResult) error {
		known, err := s.knownPools()
		if err != nil {
			return err
		}
		there := func(p *sentPool) (name string, ok bool) { _, ok = known[p.name]; return p.name, ok }
		wanted := pick(a, result, there, "The pools with these pool names: %s already exist.", "The pools with these pool names: %s were not found.")
		for _, p := range wanted {
			c, err := p.asked(a, known)
			if err == nil {
				err = s.v1.say(amongSeveral(r, a.kind, p.name), c)
			}
			if err := result.tell(p.name, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// asked is what an action asks for of a pool.
func (p *sentPool) asked(a *bulkAction[sentPool], known map[string]projections.Pool) (commands.Command, error) {
	now, is := known[p.name]
	switch {
	case a.kind == "delete":
		return &commands.RemovePool{Pool: p.name}, nil
	case a.kind == "update":
		return p.given(now, a.mask), guarded(p.name, a.mask)
	case is: // and overwritten
		return p.given(now, nil), nil
	}
	return p.made()
}
