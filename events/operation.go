package events

import "encoding/json"

// OperationStarted says that a long piece of work was begun, which goes on whether anybody follows it or not. Stream "operation/ID".
type OperationStarted struct {
	OperationID string          `json:"operation_id"`
	Kind        string          `json:"kind"`              // what is done, such as verify or backup
	Request     json.RawMessage `json:"request,omitempty"` // with what, as it was asked for
	Holder      string          `json:"holder"`            // the process that does it, as in leases of tasks
}

func (*OperationStarted) EventType() string { return "operation.started" }

// OperationEnded closes an operation.
type OperationEnded struct {
	OperationID string          `json:"operation_id"`
	State       string          `json:"state"`            // success, failed, cancelled or interrupted: the process ended before it
	Result      json.RawMessage `json:"result,omitempty"` // of a success, as whoever follows is answered; none where it is long
	ResultBytes int64           `json:"result_bytes,omitempty"`
	Error       string          `json:"error,omitempty"` // why it has failed
}

func (*OperationEnded) EventType() string { return "operation.ended" }
