package tasklog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/tasklog"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))

func open(t *testing.T, dir string) *tasklog.Folder {
	t.Helper()
	f, err := tasklog.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func create(t *testing.T, f *tasklog.Folder, id tasklog.ID) *tasklog.Writer {
	t.Helper()
	w, err := f.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// read is what a tail gives, as lines without their ends.
func read(t *testing.T, tail *tasklog.Tail) (lines []string) {
	t.Helper()
	if err := tail.Next(func(line []byte) error {
		lines = append(lines, strings.TrimSuffix(string(line), "\n"))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

func size(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func TestLines(t *testing.T) {
	f, id := open(t, t.TempDir()), tasklog.ID{Run: "r", Task: "t", Try: 1}
	w := create(t, f, id)
	tail := f.Tail(id)
	w.Line(at, "INFO", "one\ntwo\n")
	if got := strings.Join(read(t, tail), "|"); got != "2026-01-02T02:04:05.678Z INFO  one|2026-01-02T02:04:05.678Z INFO  two" {
		t.Error(got)
	}
	w.Line(at.Add(time.Second), "ERROR", "a\x1b[31m\xff\tb")
	log := w.Logger(nil).With("at", 7)
	log.Debug("not said")
	log.WithGroup("g").Warn("said", "why", "two words", "n", 3, "error", errors.New("a\nb"), "empty", "")
	got := read(t, tail)
	if len(got) != 2 || got[0] != "2026-01-02T02:04:06.678Z ERROR a\ufffd[31m\ufffd\tb" || !strings.HasSuffix(got[1], ` WARN  said at=7 g.why="two words" g.n=3 g.error="a\nb" g.empty=""`) {
		t.Errorf("%q", got)
	}
	if !f.Writing(id) || w.Close() != nil || f.Writing(id) || w.Close() != nil {
		t.Error("it is not closed once")
	}
	w.Line(at, "INFO", "too late")
	if got := read(t, tail); got != nil {
		t.Errorf("%q", got)
	}
}

// TestBound says a hundred times as much as is kept, in lines of all lengths: the beginning and the end stay, what was left out
// is counted, and neither a reader beside the writer nor the next process sees anything else.
func TestBound(t *testing.T) {
	dir := t.TempDir()
	f, id := open(t, dir), tasklog.ID{Run: "r", Task: "t", Try: 1}
	w := create(t, f, id)
	beside := f.Tail(id)
	seen, gaps := 0, 0
	count := func(lines []string) {
		for _, line := range lines {
			var n, left int
			if _, err := fmt.Sscanf(line[31:], "%d lines are left out", &left); err == nil && strings.Contains(line, "left out here") {
				seen, gaps = seen+left, gaps+1
			} else if _, err := fmt.Sscanf(line[31:], "line %d ", &n); err != nil || n != seen {
				t.Fatalf("after %d lines: %.100q, %v", seen, line, err)
			} else {
				seen++
			}
		}
	}
	const lines = 20_000
	most := int64(0)
	for i := range lines {
		w.Line(at, "INFO", fmt.Sprintf("line %d %s", i, strings.Repeat("x", i*37%20_000)))
		if i%5_000 == 4_999 {
			count(read(t, beside))
			most = max(most, size(t, dir))
		}
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	if seen != lines || gaps == 0 {
		t.Errorf("beside the writer %d of %d lines were seen, with %d gaps", seen, lines, gaps)
	}
	if bound := int64(tasklog.HeadBytesMax + 3*tasklog.TailBytesMax); most > bound {
		t.Errorf("the files had %d bytes; want at most %d", most, bound)
	}
	f = open(t, dir) // as after a kill
	left, err := f.Leftover()
	if err != nil || len(left) != 1 || left[0] != id {
		t.Fatalf("%v, %v", left, err)
	}
	w = create(t, f, id)
	w.Line(at, "ERROR", fmt.Sprintf("line %d and the last", lines))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	seen, gaps = 0, 0
	all := read(t, f.Tail(id))
	count(all)
	if seen != lines+1 || gaps != 1 || !strings.HasSuffix(all[len(all)-1], "and the last") {
		t.Errorf("%d lines, %d gaps; the last is %.100q", seen, gaps, all[len(all)-1])
	}
	whole, err := io.ReadAll(f.Reader(id))
	if err != nil || bytes.Count(whole, []byte("\n")) != len(all) {
		t.Errorf("%v", err)
	}
}

// TestYoung: the log of a try of a moment is read, held and removed without ever being a file; one that grows, or stays, is one.
func TestYoung(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	files := func() int {
		all, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	short, long, stays := tasklog.ID{Run: "r", Task: "short", Try: 1}, tasklog.ID{Run: "r", Task: "long", Try: 1}, tasklog.ID{Run: "r", Task: "stays", Try: 1}
	w := create(t, f, short)
	w.Line(at, "INFO", "one")
	tail := f.Tail(short)
	if got := read(t, tail); len(got) != 1 || !strings.HasSuffix(got[0], "one") {
		t.Errorf("%q", got)
	}
	w.Line(at, "INFO", "two")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Line(at, "INFO", "too late")
	if got := read(t, tail); len(got) != 1 || !strings.HasSuffix(got[0], "two") || !f.Has(short) || f.Writing(short) {
		t.Errorf("%q", got)
	}
	release, ok := f.Hold(short)
	if err := f.Remove(short); err != nil || !ok {
		t.Fatal(err)
	}
	if got := read(t, f.Tail(short)); len(got) != 2 || f.Has(short) {
		t.Errorf("of a log that is removed, and held, %q are read", got)
	}
	if release(); len(read(t, f.Tail(short))) != 0 || files() != 0 {
		t.Errorf("%d files", files())
	}

	w = create(t, f, long)
	tail = f.Tail(long)
	const lines = 400
	for i := range lines {
		w.Line(at, "INFO", fmt.Sprintf("%d %s", i, strings.Repeat("x", 60)))
		if i == 0 {
			read(t, tail)
		}
	}
	if got := read(t, tail); len(got) != lines-1 || !strings.Contains(got[0], "INFO  1 x") || files() != 1 {
		t.Errorf("%d lines from memory, then files; %d files", len(got), files())
	}

	w = create(t, f, stays)
	tail = f.Tail(stays)
	w.Line(at, "INFO", "one")
	read(t, tail)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for files() != 2 {
		time.Sleep(time.Millisecond)
	}
	if got := read(t, f.Tail(stays)); len(got) != 1 || len(read(t, tail)) != 0 {
		t.Errorf("%q", got)
	}
	if left, err := open(t, dir).Leftover(); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestCutOff ends a file in the midst of a line, as a full disk does; and has folders that are no logs.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	f, id := open(t, dir), tasklog.ID{Run: "r/../x\x00", Task: "t", Try: 2}
	w := create(t, f, id)
	w.Line(at, "INFO", "whole")
	w.Line(at, "INFO", "cut")
	if err := errors.Join(w.Close(), create(t, f, id).Close()); err != nil { // who goes on with a log has it in files
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], info.Size()-2); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"nothing": "", "no head": "x", "another's": `{"run":"r","task":"u","try":1}` + "\n"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, name, filepath.Base(files[0])), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := read(t, f.Tail(id)); len(got) != 1 || !strings.HasSuffix(got[0], "whole") {
		t.Errorf("%q", got)
	}
	f = open(t, dir)
	if left, err := f.Leftover(); err != nil || len(left) != 1 || left[0] != id {
		t.Errorf("%v, %v", left, err)
	}
	w = create(t, f, id)
	w.Line(at, "INFO", "after")
	if got := read(t, f.Tail(id)); len(got) != 3 || !strings.HasSuffix(got[1], "INFO  cu") || !strings.HasSuffix(got[2], "after") {
		t.Errorf("%q", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 { // the journal is the other
		t.Errorf("%v, %v", entries, err)
	}
}

// TestJournal: what is said of tries that have no files yet is there after a kill, once, and not of those whose log is removed; a line that is cut off, and what is
// no line, are left out.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	ids := []tasklog.ID{{Run: "r", Task: "closed", Try: 1}, {Run: "r", Task: "goes on", Try: 2}, {Run: "r", Task: "removed", Try: 1}, {Run: "r", Task: "grown", Try: 1}}
	for _, id := range ids {
		w := create(t, f, id)
		for i := range 3 {
			w.Line(at, "INFO", fmt.Sprintf("%s %d", id.Task, i))
		}
		if id.Task == "grown" {
			w.Line(at, "INFO", strings.Repeat("x", 7000))
			w.Line(at, "INFO", strings.Repeat("x", 7000))
			w.Line(at, "INFO", strings.Repeat("x", 7000))
		}
		if id.Task != "goes on" {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if id.Task == "removed" {
			if err := f.Remove(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	journal, err := os.OpenFile(filepath.Join(dir, "young"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(journal, "x\n%032dl of none\n%032dh {}\n%032dh 2026", 1, 2, 3)
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a start that is killed is no other
		f = open(t, dir)
		left, err := f.Leftover()
		if err != nil || len(left) != 3 {
			t.Fatalf("%v, %v", left, err)
		}
		for _, id := range left {
			want := 3
			if id.Task == "grown" {
				want = 6
			}
			if got := read(t, f.Tail(id)); len(got) != want || !strings.HasSuffix(got[2], id.Task+" 2") || id.Task == "removed" {
				t.Errorf("%v: %.200q", id, got)
			}
		}
	}
	w := create(t, f, ids[1])
	w.Line(at, "ERROR", "was killed")
	if got := read(t, f.Tail(ids[1])); len(got) != 4 || !strings.HasSuffix(got[3], "was killed") {
		t.Errorf("%q", got)
	}
}

// TestJournalIsBounded: where there is always a young log, the journal does not grow for ever, and no line is lost.
func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	var before *tasklog.Writer
	id := func(i int) tasklog.ID { return tasklog.ID{Run: "r", Task: "t", Try: i} }
	most, last := int64(0), int64(0)
	for i := range 600 {
		w := create(t, f, id(i))
		for range 10 {
			w.Line(at, "INFO", strings.Repeat("x", 1000))
		}
		if got := read(t, f.Tail(id(i))); len(got) != 10 {
			t.Fatalf("log %d has %d lines", i, len(got))
		}
		if before != nil {
			if err := errors.Join(before.Close(), f.Remove(id(i-1))); err != nil {
				t.Fatal(err)
			}
		}
		before = w
		info, err := os.Stat(filepath.Join(dir, "young"))
		if err != nil {
			t.Fatal(err)
		}
		last = info.Size()
		most = max(most, last)
	}
	if most > 2<<20 || last == most {
		t.Errorf("the journal had up to %d bytes, and has %d", most, last)
	}
	if dirs, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(dirs) > 1 {
		t.Errorf("%v, %v", dirs, err)
	}
}

// TestHold removes a log while somebody reads it.
func TestHold(t *testing.T) {
	f, id := open(t, t.TempDir()), tasklog.ID{Run: "r", Task: "t", Try: 1}
	if _, ok := f.Hold(id); ok {
		t.Error("there is none")
	}
	w := create(t, f, id)
	w.Line(at, "INFO", "said")
	release, ok := f.Hold(id)
	if !ok || w.Close() != nil || f.Remove(id) != nil || f.Has(id) {
		t.Fatal("it is not held")
	}
	if got := read(t, f.Tail(id)); len(got) != 1 {
		t.Errorf("%q", got)
	}
	release()
	if got := read(t, f.Tail(id)); got != nil {
		t.Errorf("%q", got)
	}
}

// TestCopy takes what a child prints, in pieces of all sizes.
func TestCopy(t *testing.T) {
	f, id := open(t, t.TempDir()), tasklog.ID{Run: "r", Task: "t", Try: 1}
	secret := "s3cret-value"
	f.Mask = func(s string) string { return strings.ReplaceAll(s, secret, "***") }
	w := create(t, f, id)
	long := strings.Repeat("y", tasklog.LineBytesMax-5) + secret + strings.Repeat("z", 1<<20)
	text := "one\n\ntwo\r10%\r20%\r\n" + long + "\nkey " + secret + "\n  \nlast " + secret
	last, err := w.Copy(func() time.Time { return at }, "INFO", &slowly{[]byte(text)})
	if err != nil || last != "last "+secret {
		t.Errorf("%q, %v", last, err)
	}
	got := read(t, f.Tail(id))
	for i, want := range []string{"one", "two", "10%", "20%", strings.Repeat("y", tasklog.LineBytesMax-5) + "***zz", "key ***", "  ", "last ***"} {
		if i >= len(got) || !strings.HasPrefix(got[i][31:], want) || len(got[i]) > tasklog.LineBytesMax+200 {
			t.Fatalf("line %d: %.100q", i, got[min(i, len(got)-1)])
		}
	}
	w.Logger(slog.NewTextHandler(io.Discard, nil)).Info("the key is "+secret, "key", secret, "header", "a "+secret)
	if got := read(t, f.Tail(id)); strings.Contains(strings.Join(got, "\n"), secret) || !strings.HasSuffix(got[len(got)-1], `the key is *** key=*** header="a ***"`) {
		t.Errorf("%q", got[len(got)-1])
	}
}

// slowly gives few bytes at a time.
type slowly struct{ left []byte }

func (s *slowly) Read(b []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.left[:min(len(s.left), 1+len(s.left)%1000)])
	s.left = s.left[n:]
	return n, nil
}

func TestWithin(t *testing.T) {
	line := tasklog.Format(at, "INFO", "x")
	for _, test := range []struct {
		since, until time.Time
		want         bool
	}{
		{time.Time{}, time.Time{}, true}, {at, time.Time{}, true}, {at.Add(time.Millisecond), time.Time{}, false},
		{time.Time{}, at, false}, {time.Time{}, at.Add(time.Millisecond), true},
	} {
		if got := tasklog.Within(line, test.since, test.until); got != test.want {
			t.Errorf("%v to %v: %v", test.since, test.until, got)
		}
	}
}
