package airflow

import "testing"

// TestMessages: lines of logs as messages with their times and levels; what has another form is a message of its own.
func TestMessages(t *testing.T) {
	text := "[2026-01-02T03:04:05.678+0000] {h1} ERROR - it's {broken} - yes\n2026-01-02T03:04:05.678Z INFO  all well\nTraceback:\n\n[nonsense] {h} INFO - x\n"
	at := "2026-01-02T03:04:05.678000Z"
	want := []v2Message{{&at, "it's {broken} - yes", "error", "h1"}, {&at, "all well", "info", ""}, {Event: "Traceback:"}, {}, {Event: "[nonsense] {h} INFO - x"}}
	got := messagesOf(text)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Event != w.Event || g.Level != w.Level || g.Logger != w.Logger || (g.Timestamp == nil) != (w.Timestamp == nil) || g.Timestamp != nil && *g.Timestamp != *w.Timestamp {
			t.Errorf("%d: %+v; want %+v", i, g, w)
		}
	}
}
