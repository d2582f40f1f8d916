package commands

import (
	"encoding/json"
)

// Kinds of operations.
const (
	OperationVerify          = "verify"          // every view is folded again and compared
	OperationReplay          = "replay"          // views are folded again, in place or into a folder
	OperationRebuild         = "rebuild"         // a model version is trained again and compared
	OperationRecommendations = "recommendations" // what would have been recommended at a moment
	OperationSimilar         = "similar"         // which films were nearest to one at a moment
	OperationBackup          = "backup"
	OperationImport          = "import"
)

// OperationKinds are all of them.
var OperationKinds = []string{OperationVerify, OperationReplay, OperationRebuild, OperationRecommendations, OperationSimilar, OperationBackup, OperationImport}

// States in which an operation ends.
const (
	OperationSuccess     = "success"
	OperationFailed      = "failed"
	OperationCancelled   = "cancelled"
	OperationInterrupted = "interrupted" // its process ended before it
)

var operationEnds = []string{OperationSuccess, OperationFailed, OperationCancelled, OperationInterrupted}

// Limits of what is kept of an operation.
const (
	OperationRequestBytesMax = 16 << 10
	OperationResultBytesMax  = 256 << 10
)

// StartOperation says that a long piece of work begins.
type StartOperation struct {
	OperationID string          `json:"operation_id"`
	Kind        string          `json:"kind"`
	Request     json.RawMessage `json:"request,omitempty"`
	Holder      string          `json:"holder"`
}

func (*StartOperation) CommandType() string { return "operation.start" }
func (c *StartOperation) Stream() string    { return operationStream(c.OperationID) }

func (c *StartOperation) Validate() error {
	var f faults
	f.operationID(c.OperationID)
	f.oneOf("kind", c.Kind, OperationKinds...)
	f.json("request", c.Request, OperationRequestBytesMax)
	f.required("holder", c.Holder, NameBytesMax)
	return f.err()
}

// EndOperation says what came of an operation. The same again is no event.
type EndOperation struct {
	OperationID string          `json:"operation_id"`
	State       string          `json:"state"`
	Result      json.RawMessage `json:"result,omitempty"`
	ResultBytes int64           `json:"result_bytes,omitempty"`
	Error       string          `json:"error,omitempty"`
}

func (*EndOperation) CommandType() string { return "operation.end" }
func (c *EndOperation) Stream() string    { return operationStream(c.OperationID) }

func (c *EndOperation) Validate() error {
	var f faults
	f.operationID(c.OperationID)
	f.oneOf("state", c.State, operationEnds...)
	f.json("result", c.Result, OperationResultBytesMax)
	f.atLeast("result_bytes", c.ResultBytes, int64(len(c.Result)))
	if c.State == OperationFailed {
		f.trace("error", c.Error)
	}
	if c.Result != nil && c.State != OperationSuccess {
		f.add("result", "is of a success alone")
	}
	return f.err()
}

func operationStream(id string) string { return "operation/" + id }

func (f *faults) operationID(id string) { f.hex("operation_id", id, 32, "an operation's id") }

// json wants a value in JSON, compact, or nothing.
func (f *faults) json(field string, v json.RawMessage, bytesMax int) {
	switch {
	case len(v) > bytesMax:
		f.add(field, "has %d bytes; the most is %d", len(v), bytesMax)
	case v != nil && !json.Valid(v):
		f.add(field, "must be JSON")
	}
}
