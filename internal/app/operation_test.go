package app_test

import (
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// An operation whose process ended without a word is ended by the next on the folder; one of another node is left alone.
func TestOperationsOfBeforeAreEnded(t *testing.T) {
	dir := t.TempDir()
	a := openAt(t, dir)
	mine, others := "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef"
	for id, holder := range map[string]string{mine: a.Reactors.Holder("operations"), others: "node-b/1/operations"} {
		if _, err := a.Dispatcher.Dispatch(t.Context(), &commands.StartOperation{OperationID: id, Kind: commands.OperationVerify, Holder: holder}, handlers.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil { // which says nothing of it: nothing was under way
		t.Fatal(err)
	}
	a = openAt(t, dir)
	state := func(id string) string {
		o, ok, err := fold.Of[*projections.Operations](a.Views).Operation(id)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return o.State
	}
	until(t, "the operation of before to be ended", func() bool { return state(mine) == commands.OperationInterrupted })
	settle(t, a)
	if got := state(others); got != projections.OperationRunning {
		t.Errorf("the one of another node is %q", got)
	}
}
