package v1_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// backups are backups that go on until they are told how to end. As real ones do, they have something in their folder when they have begun.
type backups struct {
	begun chan string
	end   chan func(ctx context.Context) (any, error)
}

func withBackups(b *backups) func(*setup) {
	b.begun, b.end = make(chan string, 10), make(chan func(context.Context) (any, error))
	return func(c *setup) {
		c.own.Backup = func(ctx context.Context, dir string, progress func(string, int64, int64)) (any, error) {
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "BACKUP"), nil, 0o600)); err != nil {
				return nil, err
			}
			progress("copying", 3, 10)
			b.begun <- dir
			select {
			case how := <-b.end:
				return how(ctx)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

func (w *fixture) launch(path, body string, header ...string) *answer {
	w.t.Helper()
	return w.post(path, body, append([]string{"Prefer", "respond-async"}, header...)...)
}

// ended waits until an operation has ended.
func (w *fixture) ended(id string) *answer {
	w.t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if a := w.get("/api/v1/operations/" + id).want(200); a.at("state") != "running" {
			return a
		}
	}
	w.t.Fatalf("operation %s does not end", id)
	return nil
}

// An operation goes on when its request has been answered, is found again with its progress, and says in the end what came of it.
func TestOperationGoesOn(t *testing.T) {
	var b backups
	w := newFixture(t, withBackups(&b))
	to := filepath.Join(t.TempDir(), "one")
	body := fmt.Sprintf(`{"to":%q}`, to)
	a := w.launch("/api/v1/ops/backup", body, "Idempotency-Key", "k1", "X-Actor", "anna").want(202)
	id := a.at("operation_id")
	if a.Header.Get("Location") != "/api/v1/operations/"+id || a.Header.Get("Preference-Applied") != "respond-async" {
		t.Errorf("header: %v", a.Header)
	}
	if got := <-b.begun; got != to {
		t.Errorf("copied to %q", got)
	}
	before := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	for _, at := range []string{"operations/" + id, "operations", "operations?kind=backup"} {
		is := w.get("/api/v1/" + at).want(200)
		prefix := ""
		if at != "operations/"+id {
			prefix = "items.0."
		}
		for field, want := range map[string]string{"operation_id": id, "kind": "backup", "state": "running", "actor": "anna", "here": "true", "request.to": to, "progress.stage": "copying", "progress.done": "3", "progress.total": "10", "ended_millis": "<none>"} {
			if got := is.at(prefix + field); got != want && (got != "null" || want != "<none>") {
				t.Errorf("%s: %s is %s, want %s", at, field, got, want)
			}
		}
	}
	if w.get("/api/v1/operations?kind=verify").at("items") != "[]" {
		t.Error("a verification is listed")
	}
	w.get("/api/v1/operations?kind=dance").problem(400, "kind")
	w.get("/api/v1/operations?state=running").problem(400, "state")

	// One of a kind; a repeat is the same; a key is of one request.
	if p := w.launch("/api/v1/ops/backup", fmt.Sprintf(`{"to":%q}`, to+"2")).problem(409, ""); !strings.Contains(p.Detail, id) || !strings.Contains(p.Hint, id) {
		t.Errorf("refused: %+v", p)
	}
	if again := w.launch("/api/v1/ops/backup", body, "Idempotency-Key", "k1", "X-Actor", "anna").want(202); again.at("operation_id") != id {
		t.Errorf("again: %s", again.Body)
	}
	w.launch("/api/v1/ops/backup", fmt.Sprintf(`{"to":%q}`, to+"2"), "Idempotency-Key", "k1").problem(409, "Idempotency-Key")
	w.launch("/api/v1/ops/backup", `{"to":"."}`).problem(400, "to")
	w.launch("/api/v1/ops/backup", body, "Idempotency-Key", "k2").problem(400, "to")
	w.post("/api/v1/ops/backup", body).problem(400, "to")

	b.end <- func(context.Context) (any, error) { return map[string]any{"records": 12}, nil }
	is := w.ended(id)
	if is.at("state") != "success" || is.at("result.records") != "12" || is.at("result_bytes") != "14" || is.at("here") != "false" || is.at("progress") != "null" && is.at("progress") != "<none>" {
		t.Errorf("ended: %s", is.Body)
	}
	if list := w.get("/api/v1/operations"); list.at("items.0.result.records") != "12" || list.at("items.0.state") != "success" {
		t.Errorf("in the list: %s", list.Body)
	}
	if then := w.get("/api/v1/operations/" + id + "?known_at=" + before).want(200); then.at("state") != "running" || strings.Contains(string(then.Body), `"here":`) {
		t.Errorf("as it was known before: %s", then.Body)
	}
	if again := w.launch("/api/v1/ops/backup", body, "Idempotency-Key", "k1", "X-Actor", "anna").want(202); again.at("operation_id") != id || again.at("state") != "success" {
		t.Errorf("again at last: %s", again.Body)
	}
	if len(b.begun) != 0 {
		t.Error("a repeat began another backup")
	}
	if chain := w.get("/api/v1/audit?stream=operation/" + id); chain.at("items.0.type") != "operation.ended" || chain.at("items.0.causation") != chain.at("items.1.event_id") {
		t.Errorf("its events: %s", chain.Body)
	}
	// Whoever does not prefer so follows it, and there is no operation.
	go func() {
		<-b.begun
		b.end <- func(context.Context) (any, error) { return map[string]any{"records": 13}, nil }
	}()
	if r := w.post("/api/v1/ops/backup", fmt.Sprintf(`{"to":%q}`, to+"3"), "Prefer", "return=minimal; x=1, wait=10").result(); r["records"] != 13.0 {
		t.Errorf("followed: %v", r)
	}
	if list := w.get("/api/v1/operations"); list.at("items.1") != "<none>" {
		t.Errorf("operations: %s", list.Body)
	}
}

func TestOperationsEnd(t *testing.T) {
	var b backups
	w := newFixture(t, withBackups(&b))
	dir := t.TempDir()
	n := 0
	begin := func() string {
		n++
		id := w.launch("/api/v1/ops/backup", fmt.Sprintf(`{"to":%q}`, filepath.Join(dir, fmt.Sprint(n)))).want(202).at("operation_id")
		<-b.begun
		return id
	}
	id := begin()
	w.post("/api/v1/operations/"+id+"/cancel", `{"x":1}`).want(400)
	w.post("/api/v1/operations/"+id+"/cancel", nil, "X-Actor", "bo").want(202)
	if is := w.ended(id); is.at("state") != "cancelled" || is.at("ended_by") != "bo" {
		t.Errorf("cancelled: %s", is.Body)
	}
	w.post("/api/v1/operations/"+id+"/cancel", nil).problem(409, "")
	w.post("/api/v1/operations/none/cancel", nil).problem(404, "")

	for want, how := range map[string]func(context.Context) (any, error){
		"to: it is full; make room": func(context.Context) (any, error) {
			return nil, fault.Field("to", "it is full").WithHint("make room")
		},
		"the work met a defect of the program; its log has it under the request's id": func(context.Context) (any, error) { panic("a defect") },
		"the copy differs: the disk": func(context.Context) (any, error) {
			return nil, fault.Wrap(fault.Corrupt, errors.New("the disk"), "the copy differs")
		},
	} {
		id := begin()
		b.end <- how
		if is := w.ended(id); is.at("state") != "failed" || is.at("error") != want {
			t.Errorf("failed: %s, want %s", is.Body, want)
		}
	}
	id = begin()
	b.end <- func(context.Context) (any, error) { return strings.Repeat("x", commands.OperationResultBytesMax), nil }
	if is := w.ended(id); is.at("state") != "success" || is.at("result_bytes") != fmt.Sprint(commands.OperationResultBytesMax+2) || is.at("result") != "null" && is.at("result") != "<none>" {
		t.Errorf("a long result: %.300s", is.Body)
	}
	w.dispatch(&commands.StartOperation{OperationID: "0123456789abcdef0123456789abcdef", Kind: "verify", Holder: "node-b/1"})
	if p := w.post("/api/v1/operations/0123456789abcdef0123456789abcdef/cancel", nil).problem(409, ""); !strings.Contains(p.Detail, "node-b") {
		t.Errorf("elsewhere: %+v", p)
	}

	// A program that ends says of what was under way that it was interrupted, and waits until it has said so.
	id = begin()
	w.must(w.core.Close())
	o, ok, err := projections.FoldOperation(w.log.Ledger().ReadStream(t.Context(), "operation/"+id, 0), fold.At{})
	if !ok || err != nil || o.State != "interrupted" {
		t.Errorf("after the end: %+v, %v", o, err)
	}
	w.launch("/api/v1/ops/verify", "").problem(503, "")
}

// However many ask at once with one key, one operation is begun; without a key one of them.
func TestOperationsAtOnce(t *testing.T) {
	var b backups
	w := newFixture(t, withBackups(&b))
	for _, key := range []string{"k", ""} {
		dir := t.TempDir()
		var mu sync.Mutex
		ids, refused := map[string]bool{}, 0
		var asking sync.WaitGroup
		for i := range 8 {
			if key != "" {
				i = 0 // the same again
			}
			body := fmt.Sprintf(`{"to":%q}`, filepath.Join(dir, fmt.Sprint(i)))
			asking.Go(func() {
				a := w.launch("/api/v1/ops/backup", body, "Idempotency-Key", key)
				mu.Lock()
				defer mu.Unlock()
				if a.Status == 409 {
					refused++
				} else {
					ids[a.want(202).at("operation_id")] = true
				}
			})
		}
		asking.Wait()
		if want := map[string]int{"k": 0, "": 7}[key]; len(ids) != 1 || refused != want {
			t.Errorf("key %q: %v, %d refused, want %d", key, ids, refused, want)
		}
		<-b.begun
		b.end <- func(context.Context) (any, error) { return nil, nil }
		for id := range ids {
			w.ended(id)
		}
		if len(b.begun) > 0 {
			t.Error("another one has begun")
		}
	}
}

// doubtful is a ledger that may not say of a commit what became of it.
type doubtful struct {
	streams.Ledger
	before, after func(ctx context.Context, event events.Data) error
}

func (l *doubtful) Append(ctx context.Context, c streams.Commit) (r streams.Receipt, err error) {
	if err = l.before(ctx, c.Events[0].Data); err == nil {
		r, err = l.Ledger.Append(ctx, c)
	}
	if err == nil {
		err = l.after(ctx, c.Events[0].Data)
	}
	return r, err
}

func withDoubts(l *doubtful) func(*setup) {
	none := func(context.Context, events.Data) error { return nil }
	l.before, l.after = none, none
	return func(c *setup) {
		l.Ledger = c.cfg.Log.Ledger()
		c.cfg.Dispatcher = handlers.New(handlers.Config{Ledger: l, Feed: c.cfg.Log.Feed(), Now: c.cfg.Now, NewID: uuid.NewString})
	}
}

// Whoever goes away while the log takes the start of an operation leaves one that is done.
func TestOperationOfWhoGoesAway(t *testing.T) {
	var b backups
	var l doubtful
	w := newFixture(t, withBackups(&b), withDoubts(&l))
	client, leave := context.WithCancel(t.Context())
	l.after = func(ctx context.Context, _ events.Data) error {
		leave()
		if ctx.Err() != nil {
			return fault.New(fault.Unknown, "the caller gave up while it was being written")
		}
		return nil
	}
	r := httptest.NewRequest("POST", "/api/v1/ops/backup", strings.NewReader(fmt.Sprintf(`{"to":%q}`, filepath.Join(t.TempDir(), "x")))).WithContext(client)
	r.Host = "localhost:8000"
	r.Header.Set("Prefer", "respond-async")
	w.server.ServeHTTP(httptest.NewRecorder(), r)
	<-b.begun
	b.end <- func(context.Context) (any, error) { return 12, nil }
	for id := ""; id == ""; time.Sleep(10 * time.Millisecond) {
		if list := w.get("/api/v1/operations").want(200); list.at("items") != "[]" {
			id = list.at("items.0.operation_id")
			if is := w.ended(id); is.at("state") != "success" || is.at("result") != "12" {
				t.Errorf("%s", is.Body)
			}
		}
	}
}

// An operation whose start is in doubt is not done, and does not seem to be for ever.
func TestOperationInDoubt(t *testing.T) {
	var b backups
	var l doubtful
	w := newFixture(t, withBackups(&b), withDoubts(&l))
	unknown := func(_ context.Context, e events.Data) error {
		if _, start := e.(*events.OperationStarted); start {
			return fault.New(fault.Unknown, "no answer")
		}
		return nil
	}
	noEnds := func(_ context.Context, e events.Data) error {
		if _, end := e.(*events.OperationEnded); end {
			return fault.New(fault.Unavailable, "no log")
		}
		return nil
	}
	well := l.before
	begin := func(key string) *answer {
		return w.launch("/api/v1/ops/backup", fmt.Sprintf(`{"to":%q}`, filepath.Join(t.TempDir(), key)), "Idempotency-Key", key)
	}
	one := func() string { // the newest
		for {
			if list := w.get("/api/v1/operations?limit=1").want(200); list.at("items") != "[]" {
				return list.at("items.0.operation_id")
			}
			time.Sleep(10 * time.Millisecond) // until the view has it
		}
	}
	l.after = unknown
	begin("ends").problem(503, "")
	if is := w.ended(one()); is.at("state") != "interrupted" {
		t.Errorf("%s", is.Body)
	}
	for _, key := range []string{"cancelled", "repeated"} { // and the log does not take the end either
		l.before, l.after = noEnds, unknown
		w.clock.set(w.clock.Now().Add(time.Second))
		to := fmt.Sprintf(`{"to":%q}`, filepath.Join(t.TempDir(), key))
		w.launch("/api/v1/ops/backup", to, "Idempotency-Key", key).problem(503, "")
		l.before, l.after = well, well
		var id string
		if key == "cancelled" {
			for id = one(); w.get("/api/v1/operations/"+id).want(200).at("state") != "running"; id = one() {
				time.Sleep(10 * time.Millisecond)
			}
			if is := w.post("/api/v1/operations/"+id+"/cancel", nil, "X-Actor", "bo").want(202); is.at("state") != "interrupted" || is.at("ended_by") != "bo" {
				t.Errorf("%s: %s", key, is.Body)
			}
		} else {
			is := w.launch("/api/v1/ops/backup", to, "Idempotency-Key", key).want(202)
			if id = is.at("operation_id"); is.at("state") != "interrupted" {
				t.Errorf("%s: %s", key, is.Body)
			}
		}
		if is := w.get("/api/v1/operations/" + id); is.at("state") != "interrupted" {
			t.Errorf("%s, later: %s", key, is.Body)
		}
	}
	if len(b.begun) > 0 {
		t.Error("one has begun")
	}
	begin("new").want(202) // nothing is in its way
	<-b.begun
}

// A repeat finds its operation, though the folder that it was given is not empty any more.
func TestReplayIntoAgain(t *testing.T) {
	w := newFixture(t)
	into := filepath.Join(t.TempDir(), "copy")
	again := func() *answer {
		return w.launch("/api/v1/ops/replay", fmt.Sprintf(`{"view":"users","into":%q}`, into), "Idempotency-Key", "k")
	}
	id := again().want(202).at("operation_id")
	if is := w.ended(id); is.at("state") != "success" {
		t.Fatalf("%s", is.Body)
	}
	if is := again().want(202); is.at("operation_id") != id {
		t.Errorf("again: %s", is.Body)
	}
	w.launch("/api/v1/ops/replay", fmt.Sprintf(`{"view":"users","into":%q}`, into)).problem(400, "into")
}

// Every long piece of work of the program can be an operation.
func TestOperationKinds(t *testing.T) {
	w := newFixture(t)
	w.train()
	for _, c := range []struct{ path, body, kind, result string }{
		{"/api/v1/ops/verify", "", "verify", `"equal":true`},
		{"/api/v1/ops/replay", `{"view":"users"}`, "replay", `"rebuilt":["users"]`},
		{"/api/v1/ops/replay", `{"view":"users","until":"user-events/0@3"}`, "replay", `"views":[`},
		{"/api/v1/ops/models/als/1/rebuild", "", "rebuild", `"equal":true`},
		{"/api/v1/ops/recommendations", `{"user_id":1,"k":3,"known_at":"user-events/0@3"}`, "recommendations", `"replayed":true`},
		{"/api/v1/ops/similar", `{"movie_id":1,"k":3,"known_at":"user-events/0@3"}`, "similar", `"movie_id":"1"`},
		{"/api/v1/imports", `{"simulate":{"users":5,"movies":8,"events":60,"seed":1,"end":"2024-05-01"}}`, "import", `"interactions_added":60`},
	} {
		a := w.launch(c.path, c.body).want(202)
		if is := w.ended(a.at("operation_id")); is.at("kind") != c.kind || is.at("state") != "success" || !strings.Contains(is.at("result"), c.result) {
			t.Errorf("%s %s: %s", c.path, c.body, is.Body)
		}
	}
	w.launch("/api/v1/ops/models/als/9/rebuild", "").problem(404, "")
	w.launch("/api/v1/ops/similar", `{"movie_id":1}`).problem(400, "known_at")
	w.launch("/api/v1/ops/similar", `{"known_at":"user-events/0@3"}`).problem(400, "movie_id")
	w.launch("/api/v1/ops/similar", `{"movie_id":1,"k":0,"known_at":"user-events/0@3"}`).problem(400, "k")
	then := w.get("/api/v1/log/moment").at("cut")
	same := w.ended(w.launch("/api/v1/ops/similar", fmt.Sprintf(`{"movie_id":1,"k":4,"known_at":%q}`, then)).want(202).at("operation_id"))
	if want := w.get("/api/v1/movies/1/similar?k=4&known_at=" + url.QueryEscape(then)); same.at("result.items") != want.at("items") {
		t.Errorf("similar films %s, want %s", same.Body, want.Body)
	}
	w.launch("/api/v1/ops/replay", `{"view":"none"}`).problem(400, "view")
}
