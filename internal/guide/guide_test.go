package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
)

func parseFile(t *testing.T, name string) []Row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rows
}

// The guide has every row of the list, and in both languages the same rows with the same blocks.
func TestGuide(t *testing.T) {
	rows := parseFile(t, "guide.md")
	if missing := Missing(list, rows); len(missing) > 0 {
		t.Errorf("missing:\n%s", strings.Join(missing, "\n"))
	}
	other := parseFile(t, "guide.ko.md")
	for i := range min(len(rows), len(other)) {
		rows[i].Line, other[i].Line = 0, 0
		if !reflect.DeepEqual(rows[i], other[i]) {
			t.Errorf("row %s is another one in guide.ko.md:\n%+v\n%+v", rows[i].ID, rows[i], other[i])
		}
	}
	if len(rows) != len(other) {
		t.Errorf("%d rows; guide.ko.md has %d", len(rows), len(other))
	}
}

func TestParse(t *testing.T) {
	rows, err := Parse("# A\n\n<!-- row 1.2 what it shows\nneeds: feast docker\ninstead: that\nwithin: 60s\nexit: 1\njq: .a == \"b: c\"\nsays: ^x\nor: stop\n-->\n\n```sh\na \\\n  b\n```\n" +
		"```text\nfor reading\n```\n<!-- another comment -->\n<!-- row 1.10 more\nfile: a/b\n-->\n```python\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	r := rows[0]
	if len(rows) != 2 || r.ID != "1.2" || r.Title != "what it shows" || r.Code != "a \\\n  b\n" || r.Line != 14 || r.Language != "sh" || strings.Join(r.Needs, " ") != "feast docker" ||
		r.Instead != "that" || r.Within != time.Minute || r.Exit != 1 || !r.Stop || len(r.Checks) != 2 || r.Checks[0].Value != `.a == "b: c"` {
		t.Errorf("%+v", rows)
	}
	block := "\n-->\n```sh\nx\n```\n"
	for text, says := range map[string]string{
		"<!-- row 1.1 a\nnope: x" + block:                                     "nope: there is no such key",
		"<!-- row 1.1 a\nneeds: nope\nsays: x" + block:                        "there is no need nope",
		"<!-- row 1.1 a\nsays: (" + block:                                     "missing closing",
		"<!-- row 1.1 a\nwithin: 9h\nsays: x" + block:                         "within: want more than 0",
		"<!-- row 1.1 a\nexit: x\nsays: x" + block:                            "exit: ",
		"<!-- row 1.1 a\nor: go on\nsays: x" + block:                          "or: want stop",
		"<!-- row 1.1 a\nsays x" + block:                                      "want KEY: VALUE",
		"<!-- row 1.1 a\nexit: 1" + block:                                     "row 1.1 checks nothing",
		"<!-- row 1.1 a\nsays: x" + block + "<!-- row 1.1 a\nsays: x" + block: "row 1.1 is there twice",
		"<!-- row 1.1 a\nsays: x\n-->\n":                                      "row 1.1 has no block",
		"<!-- row 1.1 a\nsays: x\n-->\nwords\n```sh\nx\n```\n":                "row 1.1 has text between",
		"<!-- row 1.1 a\nsays: x\n-->\n```text\nx\n```\n":                     "want sh or python",
		"<!-- row 1.1 a\nsays: x\n-->\n<!-- row 1.2 a\nsays: x" + block:       "row 1.1 has no block",
		"<!-- row one a\n-->\n":                                               "a row begins with",
		"```sh\nx\n```\n":                                                     "line 1 is no row",
		"<!-- row 1.1 a\nsays: x\n-->\n```sh\nx\n":                            "does not end",
		"<!-- row 1.1 a\nsays: x\n":                                           "its comment does not end",
		"```sh title\nx\n```\n":                                               "its language alone",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %q", text, err, says)
		}
	}
}

func TestMissing(t *testing.T) {
	rows := []Row{{ID: "1.1", Code: "curl -X POST a\n"}, {ID: "1.2", Code: "b"}}
	got := Missing("# a comment\n\n1.1 curl -X POST\n1.2 c\n1.3 b\n", rows)
	if strings.Join(got, "; ") != "1.2 c; 1.3 b" {
		t.Errorf("%q", got)
	}
}

func terminal(t *testing.T) *session {
	t.Helper()
	for _, tool := range []string{"bash", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s here", tool)
		}
	}
	s, err := newSession(t.TempDir(), t.TempDir(), append(os.Environ(), "PROJECTIONIST_DIR=elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func TestChecks(t *testing.T) {
	s := terminal(t)
	for _, c := range []struct {
		block, checks string
		holds         bool
	}{
		{`echo '{"a": [1, 2]}'`, `jq: .a == [1, 2]`, true},
		{`echo '{"a": 1} {"a": 2}'`, `jq: .a == 2`, true},
		{`echo '{"a": 1}'`, `jq: .a == 2`, false},
		{`echo '{"a": 1}'`, `jq: .b`, false},
		{`echo no JSON`, `jq: true`, false},
		{`true`, `jq: true`, false},
		{`echo '{}'`, `jq: .a ===`, false},
		{`printf 'one\ntwo\n'`, `says: ^two$`, true},
		{`echo two >&2`, `says: ^two$`, true},
		{`echo one`, `says: two`, false},
		{`echo one`, `never: two`, true},
		{`echo two >&2`, `never: two`, false},
		{`echo x >made`, `file: made`, true},
		{`: >empty`, `file: empty`, false},
		{`true`, `file: none`, false},
		{`echo x; false`, `says: x`, false},
		{`echo x; exit 3`, "exit: 3\nsays: x", true},
	} {
		rows, err := Parse("<!-- row 1.1 a\n" + c.checks + "\n-->\n```sh\n" + c.block + "\n```\n")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.until(t.Context(), &rows[0]); (err == nil) != c.holds {
			t.Errorf("%s: %s: %v", c.block, c.checks, err)
		}
	}
}

// One block's exports and folder are the next one's, what it leaves running is ended, and it may be run until it holds.
func TestSession(t *testing.T) {
	s := terminal(t)
	run := func(code string) string {
		t.Helper()
		res, err := s.run(t.Context(), "sh", code)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(res.Output))
	}
	run("export A='it'\"'\"'s $x'; B=2; mkdir sub; cd sub\n")
	if got := run(`echo "$A-$B-${PROJECTIONIST_DIR:-}-$(basename "$PWD")"` + "\n"); got != "it's $x---sub" {
		t.Errorf("%q", got)
	}
	run("sleep 600 & echo $! >pid\n")
	if got := run(`kill -0 "$(cat pid)" && echo runs`); got != "runs" {
		t.Errorf("%q", got)
	}
	rows, err := Parse("<!-- row 1.1 a\nwithin: 30s\nsays: ^xx$\n-->\n```sh\nprintf x >>tries; cat tries\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.until(t.Context(), &rows[0]); err != nil {
		t.Error(err)
	}
	s.close()
	if got := run(`kill -0 "$(cat pid)" || echo gone`); got != "gone" {
		t.Errorf("%q", got)
	}
}

func TestTable(t *testing.T) {
	for _, ci := range []bool{false, true} {
		var out bytes.Buffer
		tab := table{out: &out, ci: ci, standIn: true, start: time.Now()}
		r := &Row{ID: "1.1", Title: "a", Code: "echo \\\n  x\n", Needs: []string{"tmdb"}, Checks: []Check{{Key: "says", Value: "x"}}}
		tab.ran(r, &Result{Output: []byte("y\n")}, os.ErrInvalid, time.Second)
		tab.ran(r, &Result{}, nil, time.Second)
		tab.skipped(r, []string{"Docker"})
		tab.skipped(&Row{ID: "1.2", Instead: "that"}, []string{"Docker"})
		want, closing := 1, "\n1 passed, 1 failed, 2 skipped\n"
		if ci {
			want, closing = 2, "\n1 passed, 2 failed, 1 skipped\n"
		}
		if got := tab.end(); got != want || !strings.HasSuffix(out.String(), closing) {
			t.Errorf("%d, %s", got, out.String())
		}
		for _, says := range []string{"1.1   FAILED       1.0  echo \\ x", "a stand-in for TMDB", "needs Docker; instead: that", "invalid argument", "--- printed:\n  y"} {
			if !strings.Contains(out.String(), says) {
				t.Errorf("no %q in %s", says, out.String())
			}
		}
	}
}

// The stand-in is read by the program's own client as TMDB is, and wants a key as TMDB does.
func TestStandIn(t *testing.T) {
	h, err := tmdbStandIn()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	client, err := tmdb.New(tmdb.Config{Key: "k", BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m, err := range client.Popular(t.Context(), 3) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		full, err := client.Movie(t.Context(), m.ID)
		if err != nil || full.Title != m.Title || full.RuntimeMinutes == 0 || len(full.Genres) != len(m.Genres) || len(m.Genres) == 0 {
			t.Errorf("%+v, %v; the list says %+v", full, err, m)
		}
	}
	if n != 5 {
		t.Errorf("%d films", n)
	}
	res, err := server.Client().Get(server.URL + "/movie/popular")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 {
		t.Errorf("without a key: %d", res.StatusCode)
	}
}

// The copy is the repository as it stands, with what is not committed.
func TestCopyRepository(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", from, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		at := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(".gitignore", "ignored\n", 0o644)
	write("a", "one", 0o644)
	write("b", "two", 0o644)
	write("staged", "zero", 0o644)
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	write("staged", "staged", 0o644)
	write("staged-new", "five", 0o644)
	git("add", ".")
	write("a", "changed", 0o644)
	write("new/c", "three", 0o755)
	write("ignored", "four", 0o644)
	if err := os.Remove(filepath.Join(from, "b")); err != nil {
		t.Fatal(err)
	}
	if err := copyRepository(from, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "changed", "new/c": "three", "staged": "staged", "staged-new": "five", "b": "", "ignored": ""} {
		b, err := os.ReadFile(filepath.Join(to, name))
		if string(b) != want || (want == "") != os.IsNotExist(err) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if info, err := os.Stat(filepath.Join(to, "new/c")); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Error(info, err)
	}
}
