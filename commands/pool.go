package commands

import "github.com/projectionist/projectionist/events"

// PoolSlotsMax bounds the slots of a pool.
const PoolSlotsMax = 1_000_000

// DefinePool gives a pool its slots, whether there was one or not. The same again is no event.
type DefinePool struct {
	Pool            string `json:"pool"`
	Slots           int    `json:"slots"` // -1: any number
	Description     string `json:"description,omitempty"`
	IncludeDeferred bool   `json:"include_deferred,omitempty"`
	New             bool   `json:"-"` // refused where there is one
}

func (*DefinePool) CommandType() string { return "pool.define" }
func (c *DefinePool) Stream() string    { return "pool/" + c.Pool }

func (c *DefinePool) Validate() error {
	var f faults
	f.id("pool", c.Pool)
	if c.Slots < -1 || c.Slots > PoolSlotsMax {
		f.add("slots", "is %d; want 0 to %d, or -1 for any number", c.Slots, PoolSlotsMax)
	}
	f.text("description", c.Description, TextBytesMax)
	return f.err()
}

// RemovePool takes a pool away, but never the default one.
type RemovePool struct {
	Pool string `json:"pool"`
}

func (*RemovePool) CommandType() string { return "pool.remove" }
func (c *RemovePool) Stream() string    { return "pool/" + c.Pool }

func (c *RemovePool) Validate() error {
	var f faults
	f.id("pool", c.Pool)
	if c.Pool == events.PoolDefault {
		f.add("pool", "%s is always there", events.PoolDefault)
	}
	return f.err()
}
