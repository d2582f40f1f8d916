package events

// PoolDefault is the pool of tasks that name none. It is always there, with PoolSlotsDefault slots until another number is said.
const (
	PoolDefault      = "default_pool"
	PoolSlotsDefault = 128
)

// PoolDefined gives a pool its slots: how many of them tasks that name it may take at once. Stream "pool/NAME".
type PoolDefined struct {
	Pool            string `json:"pool"`
	Slots           int    `json:"slots"` // -1: any number
	Description     string `json:"description,omitempty"`
	IncludeDeferred bool   `json:"include_deferred,omitempty"` // of Airflow's clients; nothing is ever deferred
}

func (*PoolDefined) EventType() string { return "pool.defined" }

// PoolRemoved takes a pool away. Tasks that name it wait until there is one again.
type PoolRemoved struct {
	Pool string `json:"pool"`
}

func (*PoolRemoved) EventType() string { return "pool.removed" }
