package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// typed makes standard input what somebody types, or a file.
func typed(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdin
	os.Stdin = f
	t.Cleanup(func() {
		os.Stdin = was
		f.Close()
	})
}

// TestProduceAndConsume: what is produced is consumed as it was written; a line that cannot be taken is named, and
// those of the requests before it stay.
func TestProduceAndConsume(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	value := func(user string) string {
		return `{"user_id":"` + user + `","movie_id":"1","interaction_type":"like","timestamp":"2024-01-15T10:30:00.000Z"}`
	}
	typed(t, value("new1")+"\n"+value("new2")+"\n")
	if r := command("produce", "user-events", "--dir", dir); r.code != 0 || !strings.Contains(r.err, "2 records published") {
		t.Fatalf("%d %s", r.code, r.err)
	}
	got := ok(t, "consume", "user-events", "--from-beginning", "--max-messages", "1502", "--dir", dir)
	if lines := strings.Split(strings.TrimSpace(got), "\n"); len(lines) != 1502 || !strings.Contains(got, value("new1")+"\n") || !strings.Contains(got, value("new2")+"\n") {
		t.Errorf("%d lines; the last are %v", len(lines), lines[max(0, len(lines)-3):])
	}
	typed(t, strings.Repeat(value("new3")+"\n", producedMax)+value("new4")+"\n"+`{"user_id":"x"}`+"\n")
	r := command("produce", "user-events", "--dir", dir)
	if r.code != 1 || !strings.Contains(r.err, "500 records published") || !strings.Contains(r.err, "lines 501 to 502") || !strings.Contains(r.err, "movie_id") {
		t.Errorf("%d %s", r.code, r.err)
	}
	for _, c := range []struct{ in, topic, says string }{
		{value("x"), "nope", "nope"}, {value("x"), "mlops-events", "nobody writes"}, {"", "user-events", "0 records"}, {strings.Repeat("x", producedLineMax+1), "user-events", "line 1 has more than"},
	} {
		typed(t, c.in)
		if r := command("produce", c.topic, "--dir", dir); !strings.Contains(r.err, c.says) {
			t.Errorf("%s: %d %s; want %q", c.topic, r.code, r.err, c.says)
		}
	}
	if r := command("consume", "nope", "--dir", dir); r.code != 1 || !strings.Contains(r.err, "nope") {
		t.Errorf("%d %s", r.code, r.err)
	}
	if r := command("consume", "user-events", "--max-messages", "-1", "--dir", dir); r.code != 2 {
		t.Errorf("%d %s", r.code, r.err)
	}
	s.end(t)
}
