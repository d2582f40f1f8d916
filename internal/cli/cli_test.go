package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
)

// The test's own binary is also the program: with this variable set it runs the command line.
const childVariable = "PROJECTIONIST_CLI_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(Main())
	}
	for _, kv := range os.Environ() { // the settings of whoever runs the tests are not theirs
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PROJECTIONIST_") && !strings.Contains(name, "_TEST_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// tiny is a world that is there, and trained on, in a moment.
const tiny = "users=40,movies=120,events=1500,end=2024-05-06T07:00:00Z"

// result is what a command came to.
type result struct {
	code     int
	out, err string
}

func command(args ...string) result {
	var out, errOut bytes.Buffer
	code := Run(context.Background(), args, &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// ok runs a command that must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := command(args...)
	if r.code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
	}
	return r.out
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not say %q:\n%s", what, part, text)
		}
	}
}

// served is a server in this process.
type served struct {
	lines  chan string // of its output
	stop   context.CancelFunc
	exited chan result
	done   chan struct{} // closed when it has exited
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	s := &served{make(chan string, 1000), stop, make(chan result, 1), make(chan struct{})}
	go func() {
		var errOut bytes.Buffer
		code := Run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), w, &errOut)
		w.Close()
		s.exited <- result{code, "", errOut.String()}
		close(s.done)
	}()
	go func() {
		defer close(s.lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	t.Cleanup(func() { // a test that fails must not take the folder from under it: that ends the process, and hides the failure
		stop()
		for range s.lines {
		}
		<-s.done
	})
	return s
}

// until reads the server's output up to a line that has the text.
func (s *served) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for line := range s.lines {
		all.WriteString(line + "\n")
		if strings.Contains(line, text) {
			return all.String()
		}
	}
	t.Fatalf("the server did not say %q: %s\n%v", text, all.String(), <-s.exited)
	return ""
}

// end ends the server in good order.
func (s *served) end(t *testing.T) {
	t.Helper()
	s.stop()
	var said []string
	for line := range s.lines {
		said = append(said, line)
	}
	if r := <-s.exited; r.code != 0 || len(said) == 0 || !strings.HasSuffix(said[len(said)-1], "ended in good order") {
		t.Errorf("the server ended with %d, saying %q and %s", r.code, said, r.err)
	}
}

// Every command, over the network and then on the same folder without a server: one code path.
func TestCommands(t *testing.T) {
	t.Chdir(t.TempDir()) // no .env but the test's own
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	said := s.until(t, "/api/v1/feedback")
	contains(t, "serve", said, fmt.Sprintf("%d of %[1]d views", len(projections.All())), "imported simulated: 120 films and 1,500 interactions added",
		"train_movie_model: success", "promote_model: success", "ready: 120 films, 1,500 interactions, model als version 1", "SIMULATED")

	if !regexp.MustCompile(`s  [1-9]\d* records? in the log\n`).MatchString(said) { // what a node writes of itself is counted too
		t.Errorf("it does not say how many records there are: %s", said)
	}
	// The announced requests work as they stand.
	calls := regexp.MustCompile(`curl "(http://[^"]+)"`).FindAllStringSubmatch(said, -1)
	if len(calls) != 2 {
		t.Fatalf("%d announced GETs: %s", len(calls), said)
	}
	for _, call := range calls {
		res, err := http.Get(call[1])
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || !bytes.Contains(body, []byte(`"movie_id"`)) {
			t.Errorf("%s: %d %s", call[1], res.StatusCode, body)
		}
	}
	user := regexp.MustCompile(`user_id=(\w+)`).FindStringSubmatch(said)[1]
	movie := regexp.MustCompile(`movies/(\w+)/similar`).FindStringSubmatch(said)[1]
	on := func(args ...string) string { t.Helper(); return ok(t, append(args, "--dir", dir)...) }

	contains(t, "recommend", on("recommend", "--user", user, "-k", "3", "--explain"), "model als version 1", "simulated films", "BECAUSE", "\n3  ")
	contains(t, "recommend of someone unknown", on("recommend", "--user", "nobody", "-k", "2"), "strategy cold", "\n2  ")
	for _, at := range [][]string{{"--record=false"}, {"--known-at", "user-events/0@300"}} { // an id with a comma is said alike
		said := on(append([]string{"recommend", "--user", user, "-k", "1", "--json", "--exclude", `"a,b",7`, "--exclude", "x"}, at...)...)
		contains(t, "recommend --exclude", strings.Join(strings.Fields(said), ""), `"exclude":["a,b","7","x"]`)
	}
	contains(t, "shown", on("shown", user), "als", "movie-recommendations/")
	contains(t, "shown --at", on("shown", user, "--at", "2099-01-01"), "model als version 1", "BECAUSE")
	contains(t, "feedback", on("feedback", user, movie, "--rating", "4.5", "--time", "2024-05-05T00:00:00Z"), "recorded at user-events/")
	if newest := strings.Split(on("history", user, "--from", "2024-05-05", "--to", "2024-05-05T00:00:01Z"), "\n"); len(newest) != 3 ||
		!strings.Contains(newest[1], "4.5") || !strings.HasPrefix(newest[1], "2024-05-05T00:00:00.000Z") {
		t.Errorf("the feedback is not in the history: %q", newest)
	}
	if r := command("models", "stage", "als", "1", "Archived", "--reason", "test", "--dir", dir); r.code == 0 || !strings.Contains(r.err, "serves the slot production") {
		t.Errorf("archiving what serves: %+v", r)
	}
	contains(t, "stage again", on("models", "stage", "als", "1", "Production"), "unchanged: model/als is so already")
	contains(t, "deploy again", on("models", "deploy", "als", "1"), "unchanged: model/als is so already")
	contains(t, "deploy", on("models", "deploy", "als", "1", "--slot", "canary"), "model.deployed in model/als")
	contains(t, "rebuild", on("models", "rebuild", "als", "1"), "equal: true")
	contains(t, "apply", on("features", "apply", definitions(t, dir)), "unchanged")
	contains(t, "simulate again", on("simulate", "--users", "3", "--movies", "2", "--events", "9"), "9 interactions added")
	contains(t, "simulate the same", on("simulate", "--users", "3", "--movies", "2", "--events", "9"), "in the log already")
	followed := on("workflows", "run", "movie_training_pipeline", "--follow")
	contains(t, "workflows run", followed, "promote_model: success", "movie_training_pipeline")
	why := regexp.MustCompile(`promote_model: success \(.*reason=(.*) version=\d+\)`).FindStringSubmatch(followed)
	run := regexp.MustCompile(`movie_training_pipeline (\w+): success`).FindStringSubmatch(followed)
	if why == nil || run == nil {
		t.Fatalf("workflows run says\n%s", followed)
	}
	contains(t, "workflows show", on("workflows", "show", run[1]), "\npromote_model: "+why[1]+"\n", "is of the same recipe and parameters")
	contains(t, "replay", on("replay", "--view", "registry"), "rebuilt and in place: registry")
	contains(t, "verify", on("verify"), "histories", allEqual)

	rows := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(rows, []byte("user_id,movie_id,event_timestamp,mine\n"+user+","+movie+",2024-04-01T00:00:00Z,x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reading := [][]string{
		{"similar", movie, "-k", "3"}, {"history", user, "-n", "5"}, {"history", "--movie", movie, "--as-of", "2024-04-01", "--oldest"},
		{"shown", user, "--json"}, {"features", "get", "movie", movie, "--as-of", "2024-04-01", "--features", "rating,interaction_count"},
		{"features", "list"}, {"features", "definitions"}, {"features", "historical", "--entities", rows, "--service", "ranking"},
		{"feature-views", "list"}, {"entities", "list"}, {"feature-services", "list"},
		{"models", "list"}, {"models", "show", "als"}, {"models", "show", "als", "1"}, {"models", "list", "--json"},
		{"deployments"}, {"deployments", "--history", "production"}, {"deployments", "--known-at", "mlops-events/0@1"},
		{"experiments", "list"}, {"runs", "list"}, {"workflows", "list"}, {"workflows", "kinds"},
		{"lineage", "model/als/1"}, {"audit", "--stream-prefix", "model/", "-n", "3"}, {"quarantine", "list"}, {"dead-letters", "list"},
		{"log", "topics"}, {"log", "tail", "user-events", "-n", "4"}, {"log", "tail", "mlops-events", "--from-beginning"}, {"log", "show", "model/als"},
		{"recommend", "--user", user, "--known-at", "user-events/0@300", "-k", "3"}, {"version"},
	}
	over := make([]string, len(reading))
	for i, args := range reading {
		over[i] = on(args...)
	}
	contains(t, "status", on("status"), "ready (http://127.0.0.1:", "production: model als version", "user-events")
	s.end(t)
	if _, ok := app.ReadServing(dir); ok {
		t.Error("a server that has ended still says where it listens")
	}
	for i, args := range reading {
		if got := on(args...); got != over[i] {
			t.Errorf("%v without a server:\n%swith one:\n%s", args, got, over[i])
		}
	}
	contains(t, "status", on("status"), "ready (no server: opened "+dir)
	contains(t, "features historical", over[7], "user_id,movie_id,event_timestamp,mine,", ",x,")
	contains(t, "log topics", over[26], "mlops-events", "system-health")
	if n := strings.Count(over[27], "\n"); n != 5 {
		t.Errorf("log tail -n 4 has %d lines:\n%s", n, over[27])
	}
	contains(t, "log tail --from-beginning", over[28], "features.defined", "import.started", "model.deployed")
	contains(t, "log show", over[29], "model.registered", "model.version_registered", "user:")

	// A run without a server is worked on by the command that follows it.
	contains(t, "workflows run", on("workflows", "run", "movie_training_pipeline", "--follow"), "promote_model: success", ": success")

	copied := filepath.Join(t.TempDir(), "copy")
	contains(t, "backup", on("backup", "--to", copied), copied, "user-events", "records, with", "equal", "up to the cut ", "mlops-events/0:")
	for _, inside := range []string{dir, filepath.Join(dir, "copy"), filepath.Join(dir, "views", "copy")} {
		if r := command("backup", "--to", inside, "--dir", dir); r.code == 0 || !strings.Contains(r.err, "data folder") {
			t.Errorf("into the folder itself: %+v", r)
		}
	}
	contains(t, "verify of the copy", ok(t, "verify", "--dir", copied), allEqual)

	// A second start imports nothing, trains nothing, and is ready.
	s = serve(t, "--dir", dir, "--simulate", tiny)
	contains(t, "second serve", s.until(t, "/api/v1/feedback"), "simulated is in the log already")
	s.end(t)
	s = serve(t, "--dir", dir)
	if said := s.until(t, "/api/v1/feedback"); strings.Contains(said, "import") {
		t.Errorf("a folder with data was filled again: %s", said)
	}
	s.end(t)
}

// definitions writes the definitions in force into a file.
func definitions(t *testing.T, dir string) string {
	path := filepath.Join(t.TempDir(), "definitions.yaml")
	if err := os.WriteFile(path, []byte(ok(t, "features", "definitions", "--dir", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lineWriter hands over what is written, line by line.
type lineWriter struct {
	mu    sync.Mutex
	rest  []byte
	lines chan string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, b...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		w.lines <- string(w.rest[:i])
		w.rest = w.rest[i+1:]
	}
}

func TestLogTailFollows(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &lineWriter{lines: make(chan string, 100)}
	exited := make(chan int, 1)
	go func() {
		exited <- Run(ctx, []string{"log", "tail", "user-events", "-n", "2", "-f", "--dir", dir}, out, io.Discard)
	}()
	for range 3 { // a heading and the last two
		<-out.lines
	}
	// Whether following has begun already or not, it begins where the last two ended.
	for _, user := range []string{"1", "2", "3", "4"} {
		position := strings.TrimPrefix(strings.TrimSpace(ok(t, "feedback", user, "1", "--type", "click", "--dir", dir)), "recorded at ")
		contains(t, "the next line", <-out.lines, position, "user.interaction", `"interaction_type":"click"`, `"user_id":"`+user+`"`)
	}
	cancel()
	if code := <-exited; code != 0 {
		t.Errorf("a tail that is interrupted ends with %d", code)
	}
	// A server that ends is told of.
	errOut := &lineWriter{lines: make(chan string, 100)}
	go func() {
		exited <- Run(context.Background(), []string{"log", "tail", "user-events", "-n", "1", "-f", "--dir", dir}, out, errOut)
	}()
	for range 2 {
		<-out.lines
	}
	s.end(t)
	if code, said := <-exited, <-errOut.lines; code != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
}

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "holiday.jpg"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"bogus", 2, `unknown command "bogus"`},
		{"models bogus", 2, `unknown command "bogus"`},
		{"recommend --bogus", 2, "unknown flag"},
		{"recommend -k many", 2, "invalid argument"},
		{"similar", 2, "accepts 1 arg"},
		{"history", 2, "either a user or --movie"},
		{"features get actor 1", 2, "want movie or user"},
		{"quarantine replace user-events/0@1", 2, "--value is needed"},
		{"quarantine replace user-events/0@1 --value {user_id:7}", 2, "--value is not JSON: "},
		{"serve --data x --simulate users=3", 2, "one of them"},
		{"serve --simulate users=none", 2, "users"},
		{"status --dir " + dir, 1, "there is no data folder " + dir},
		{"status --server localhost", 1, "is no address of a server"},
		{"status --server http://127.0.0.1:1", 1, "the server does not answer"},
		{"status --dir " + foreign, 1, "not a data folder of this program"},
		{"serve --dir " + foreign, 3, "holiday.jpg"},
		{"serve --listen 0.0.0.0:0 --dir " + dir, 3, envToken},
		{"serve --listen here --dir " + dir, 3, "host:port"},
		{"serve --data " + foreign + " --dir " + dir, 3, "is not a MovieLens or MovieTweetings data set"},
		{"--help", 0, ""},
		{"models", 0, ""},
	} {
		r := command(strings.Fields(x.args)...)
		if r.code != x.code || !strings.Contains(r.err, x.says) {
			t.Errorf("%s: exit code %d, want %d; it says %s", x.args, r.code, x.code, r.err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%s made a folder", x.args)
		}
	}
	if left, err := os.ReadDir(foreign); err != nil || len(left) != 1 {
		t.Errorf("a foreign folder was written to: %v %v", left, err)
	}
	if r := command("serve", "--dir", dir, "--listen", busy.Addr().String()); r.code != 3 || !strings.Contains(r.err, "cannot listen") {
		t.Errorf("a port that is taken: %d %s", r.code, r.err)
	}
	// From here on there is a folder, empty but for the definitions.
	for _, x := range []struct {
		args string
		code int
		says string
	}{
		{"recommend -k 0", 1, "error: k: "},
		{"feedback 1 1 --rating 9", 1, "error: rating: "},
		{"feedback 1 1", 1, "error: movie_id: no movie"},
		{"models show als", 1, "no model"},
		{"views skip histories x --reason y", 1, "error: position: "},
		{"views skip histories user-events/0@1", 2, "--reason is needed"},
		{"log tail nothing", 1, "there is no topic nothing"},
		{"log tail user-events --partition 7", 1, "no partition 7"},
		{"log show nothing/1", 1, "no stream"},
		{"features historical", 2, "--entities is needed"},
		{"workflows run nothing", 1, "no workflow"},
		{"workflows run movie_training_pipeline --conf x", 2, "NAME=VALUE"},
		{"import /nowhere", 1, "no such file"},
		{"dead-letters retry x", 1, "error: "},
		{"status", 1, ""},
	} {
		if r := command(append(strings.Fields(x.args), "--dir", dir)...); r.code != x.code || !strings.Contains(r.err, x.says) {
			t.Errorf("%s: exit code %d, want %d; it says %s", x.args, r.code, x.code, r.err)
		}
	}
	if err := os.WriteFile(".env", []byte("no assignment\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command("version"); r.code != 2 || !strings.Contains(r.err, ".env, line 1") {
		t.Errorf("a bad .env: %d %s", r.code, r.err)
	}
}

// A verify that finds a difference is exit code 1, and names the view.
func TestVerifyDiffers(t *testing.T) {
	var out bytes.Buffer
	p := &program{out: &out, err: io.Discard}
	raw := json.RawMessage(`{"equal":false,"views":[{"view":"a","cut":"t/0:1500","pairs":2,"bytes":30,"sha256":"0123456789abcdef0123","equal":true},
		{"view":"b","cut":"","equal":false,"diff":"key \"x\" differs"}]}`)
	if err := p.verified(raw); err == nil || !strings.Contains(err.Error(), "1 of 2 views differ") {
		t.Errorf("got %v", err)
	}
	contains(t, "verify", out.String(), "a     1,500    2      30     0123456789abcdef  yes", `b     0`, `no     key "x" differs`)
}

// child is the program in a process of its own.
func child(t *testing.T, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Dir = t.TempDir()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(stdout)
	for in.Scan() {
		said.WriteString(in.Text() + "\n")
		if strings.Contains(in.Text(), "/api/v1/feedback") {
			go io.Copy(io.Discard, stdout)
			return cmd, said
		}
	}
	cmd.Wait()
	t.Fatalf("the program ended: %s", said)
	return nil, nil
}

func TestAnotherProcess(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	cmd, _ := child(t, dir, "--simulate", tiny)
	defer cmd.Process.Kill()
	contains(t, "status", ok(t, "status", "--dir", dir), "ready (http://127.0.0.1:")
	r := command("serve", "--dir", dir, "--listen", "127.0.0.1:0")
	if r.code != 3 {
		t.Errorf("a second server on the folder: exit code %d", r.code)
	}
	contains(t, "a second server on the folder", r.err, "open in another process", "it is served at http://127.0.0.1:")
	acknowledged := strings.TrimPrefix(strings.TrimSpace(ok(t, "feedback", "1", "1", "--type", "click", "--dir", dir)), "recorded at ")

	// Killed, it leaves server.json; something else answers at that address by now.
	cmd.Process.Kill()
	cmd.Wait()
	asked := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer other.Close()
	stale, there := app.ReadServing(dir)
	if !there {
		t.Fatal("a killed server has cleaned up")
	}
	stale.Address = other.Listener.Addr().String()
	raw, err := json.Marshal(stale)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "log tail", ok(t, "log", "tail", "user-events", "-n", "20", "--dir", dir), acknowledged)
	contains(t, "verify", ok(t, "verify", "--dir", dir), allEqual)
	if len(asked) > 0 {
		t.Errorf("a stranger was asked for %s", <-asked)
	}
	cmd, said := child(t, dir)
	if strings.Contains(said.String(), "imported") {
		t.Errorf("imported again: %s", said)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
}

// An import of a simulated world that was cut off goes on with the very same world.
func TestSimulationGoesOn(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	ctx := context.Background()
	p := &program{out: io.Discard, err: io.Discard, dir: dir, now: time.Now}
	a, err := app.Open(ctx, app.Options{Dir: dir, Logger: p.logger(100)})
	if err != nil {
		t.Fatal(err)
	}
	w, err := parseWorld(tiny)
	if err != nil {
		t.Fatal(err)
	}
	src, err := w.source(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cut, stop := context.WithCancel(ctx)
	facts := src.Facts
	src.Facts = func(yield func(ingest.Fact, error) bool) {
		n := 0
		for f, err := range facts {
			if n++; n == 700 {
				stop()
			}
			if !yield(f, err) {
				return
			}
		}
	}
	if _, err := a.Importer.Import(cut, src, "importer", nil); err == nil {
		t.Fatal("the import was not cut off")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--dir", dir)
	said := s.until(t, "/api/v1/feedback")
	s.end(t)
	contains(t, "serve", said, strings.TrimPrefix(w.path(), worldPrefix), "ready: 120 films, 1,500 interactions")
}

// With a token, commands send it.
func TestToken(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	t.Setenv(envToken, "secret")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	said := s.until(t, "/api/v1/feedback")
	contains(t, "serve", said, "$"+envToken)
	if strings.Contains(said, "secret") {
		t.Error("the token was printed")
	}
	ok(t, "models", "list", "--dir", dir)
	t.Setenv(envToken, "wrong")
	if r := command("models", "list", "--dir", dir); r.code != 1 || !strings.Contains(r.err, "no valid credentials") {
		t.Errorf("with a wrong token: %d %s", r.code, r.err)
	}
	s.end(t)
}

// Every command has a short help, an example that names it, and no flag that hides a global one.
func TestHelp(t *testing.T) {
	p := &program{}
	root := p.root()
	for _, cmd := range append(root.Commands(), root) {
		for _, sub := range append(slices.Clone(cmd.Commands()), cmd) {
			if sub.Short == "" || !sub.HasSubCommands() && !strings.Contains(sub.Example, strings.TrimPrefix(sub.CommandPath(), "projectionist")) {
				t.Errorf("%s: short help %q, example %q", sub.CommandPath(), sub.Short, sub.Example)
			}
		}
	}
}

// Lines that cannot be read stop an import, or go to the quarantine, where they are listed.
func TestImportOfBadRows(t *testing.T) {
	t.Chdir(t.TempDir())
	data, dir := filepath.Join(t.TempDir(), "ml-test"), filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"movies.csv":  "movieId,title,genres\n101,Lamp (1990),Drama\n",
		"ratings.csv": "userId,movieId,rating,timestamp\n1,101,3.0,964982703\n1,101,nine,964982704\n",
	} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := command("import", data, "--dir", dir); r.code == 0 || !strings.Contains(r.err, "ratings.csv, line 3") || !strings.Contains(r.err, "--bad-rows") {
		t.Errorf("stops: %+v", r)
	}
	contains(t, "import", ok(t, "import", data, "--dir", dir, "--bad-rows", "1"), "ml-test: 0 films and 1 interaction added, 0 there already", "1 line could not be read")
	contains(t, "quarantine list", ok(t, "quarantine", "list", "--dir", dir), "user-events", `ratings.csv, line 3: rating is "nine"`)
}

func TestImportOfColumns(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(t.TempDir(), "reviews.csv")
	if err := os.WriteFile(path, []byte("who,what,stars,when\nanna,sea,4.5,2013-09-01\nbo,sun,3,1378036800\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := command("import", path, "--dir", dir); r.code == 0 || !strings.Contains(r.err, "columns") {
		t.Errorf("without: %+v", r)
	}
	if r := command("import", path, "--dir", dir, "--columns", "user=who,item=film,rating=stars,time=when"); r.code == 0 || !strings.Contains(r.err, `columns.item: "film" is no column`) {
		t.Errorf("wrong: %+v", r)
	}
	contains(t, "import", ok(t, "import", path, "--dir", dir, "--columns", "user=who,item=2,rating=stars,time=when"), "reviews: 2 films and 2 interactions added")
	contains(t, "movies", ok(t, "log", "show", "movie/sun", "--dir", dir), "movie.listed")
}
