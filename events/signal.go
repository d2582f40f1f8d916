package events

// SignalsStream is the stream of the definitions of what acts mean.
const SignalsStream = "signals/definitions"

// SignalsDefined replaces the definition in force of what acts mean. Stream [SignalsStream].
type SignalsDefined struct {
	Definitions string `json:"definitions"` // the file, as applied (YAML)
	Hash        string `json:"hash"`        // SHA-256 of its canonical form
}

func (*SignalsDefined) EventType() string { return "signals.defined" }
