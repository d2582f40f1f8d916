package app_test

import (
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// startOperations has operations begin, by the holders that are given by their ids.
func startOperations(t *testing.T, a *app.App, holders map[string]string) {
	t.Helper()
	for id, holder := range holders {
		if _, err := a.Dispatcher.Dispatch(t.Context(), &commands.StartOperation{OperationID: id, Kind: commands.OperationVerify, Holder: holder}, handlers.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
}

func operationState(t *testing.T, a *app.App, id string) string {
	t.Helper()
	o, ok, err := fold.Of[*projections.Operations](a.Views).Operation(id)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return ""
	}
	return o.State
}

// An embedded log has one living process: what any other had begun is ended by the next on it.
func TestOperationsOfBeforeAreEnded(t *testing.T) {
	dir := t.TempDir()
	a := openAt(t, dir)
	mine, others := "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef"
	startOperations(t, a, map[string]string{mine: a.Reactors.Holder("operations"), others: "node-b/1/operations"})
	if err := a.Close(); err != nil { // which says nothing of it: nothing was under way
		t.Fatal(err)
	}
	a = openAt(t, dir)
	now := "2123456789abcdef0123456789abcdef"
	startOperations(t, a, map[string]string{now: a.Reactors.Holder("operations")})
	for _, id := range []string{mine, others} {
		until(t, "the operation of before to be ended", func() bool { return operationState(t, a, id) == commands.OperationInterrupted })
	}
	settle(t, a)
	if got := operationState(t, a, now); got != projections.OperationRunning {
		t.Errorf("the one of this process is %q", got)
	}
}

// A backup that is an operation has its own start in the copy, and not its end: whoever restores it knows that nobody is at it.
func TestOperationsInABackupAreEnded(t *testing.T) {
	a := openAt(t, t.TempDir())
	id := "0123456789abcdef0123456789abcdef"
	startOperations(t, a, map[string]string{id: a.Reactors.Holder("operations")})
	copied := filepath.Join(t.TempDir(), "copy")
	if _, err := a.Backup(t.Context(), copied, func(string, int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	b := openAt(t, copied)
	until(t, "the operation to be ended in the copy", func() bool { return operationState(t, b, id) == commands.OperationInterrupted })
	settle(t, a)
	if got := operationState(t, a, id); got != projections.OperationRunning {
		t.Errorf("in the log that was copied it is %q", got)
	}
}
