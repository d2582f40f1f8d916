package commands

import "github.com/projectionist/projectionist/events"

// DefineSignals replaces the definition in force of what acts mean. The one in force again is no event.
type DefineSignals struct {
	Definitions string `json:"definitions"` // YAML
	Hash        string `json:"hash"`        // SHA-256 of the canonical form
}

func (*DefineSignals) CommandType() string { return "signals.define" }
func (*DefineSignals) Stream() string      { return events.SignalsStream }

func (c *DefineSignals) Validate() error {
	var f faults
	if c.Definitions == "" {
		f.add("definitions", "must not be empty")
	}
	f.text("definitions", c.Definitions, DocumentBytesMax)
	f.sha256("hash", c.Hash)
	return f.err()
}
