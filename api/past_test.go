package api_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// watchedLog is a log whose ledger tells from where it is read, and can be held.
type watchedLog struct {
	streams.Log
	held chan struct{} // reads wait until it is closed; nil: they do not

	mu   sync.Mutex
	from []int64
	out  atomic.Int64 // reads that wait
}

func (l *watchedLog) Ledger() streams.Ledger { return watchedLedger{l.Log.Ledger(), l} }

type watchedLedger struct {
	streams.Ledger
	of *watchedLog
}

func (l watchedLedger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		l.of.mu.Lock()
		l.of.from = append(l.of.from, from)
		held := l.of.held
		l.of.mu.Unlock()
		if held != nil {
			l.of.out.Add(1)
			select {
			case <-held:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
		for c, err := range l.Ledger.Read(ctx, from) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// read is where reads began since it was last asked.
func (l *watchedLog) read() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.from
	l.from = nil
	return from
}

// pastOf is a past over a bench's log, in a folder of its own.
func pastOf(b *apitest.Bench, held chan struct{}) (*api.Past, *watchedLog, string) {
	log, dir := &watchedLog{Log: b.Log, held: held}, b.T.TempDir()
	core, err := api.New(api.Config{Log: log, Dispatcher: b.Dispatcher, Views: b.Views, Factories: projections.All(), ScratchDir: dir})
	b.Must(err)
	b.T.Cleanup(func() {
		b.Must(core.Close())
		entries, err := os.ReadDir(dir)
		if len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.T.Errorf("left behind: %v %v", entries, err)
		}
	})
	return core.Past(), log, dir
}

func experiments(b *apitest.Bench, n int) {
	for range n {
		b.Do(&commands.CreateExperiment{Name: fmt.Sprint("x", b.Head())}, "runs")
	}
}

func upTo(offset int64) api.Wanted {
	return api.Wanted{Views: []string{"runs"}, Cut: streams.Cut{{Topic: "mlops-events"}: offset, {Topic: "user-events"}: offset}}
}

// count is how many experiments views have.
func count(t testing.TB, then *api.Then) int {
	t.Helper()
	p, err := fold.Of[*projections.Runs](then.Views).Experiments(fold.PageQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Items)
}

func look(b *apitest.Bench, p *api.Past, offset int64) int {
	b.T.Helper()
	then, err := p.Views(b.T.Context(), upTo(offset), nil)
	b.Must(err)
	defer then.Release()
	return count(b.T, then)
}

// TestPastWalks: the same moment is not folded again, a later one from where the nearest earlier one stood, and of two
// moments between which nothing came that the views fold, the second is the first.
func TestPastWalks(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 40)
	p, log, _ := pastOf(b, nil)
	for _, ask := range []struct {
		at   int64
		from string
	}{{10, "[0]"}, {10, "[]"}, {30, "[10]"}, {20, "[10]"}, {40, "[30]"}, {30, "[]"}, {5, "[0]"}, {0, "[]"}} {
		if n := look(b, p, ask.at); n != int(ask.at) {
			t.Errorf("at %d there are %d", ask.at, n)
		}
		if from := fmt.Sprint(log.read()); from != ask.from {
			t.Errorf("at %d it was read from %s; want %s", ask.at, from, ask.from)
		}
	}
	w := upTo(10)
	w.Cut[streams.TP{Topic: "user-events"}] = 4
	then, err := p.Views(t.Context(), w, nil)
	b.Must(err)
	then.Release()
	if from := log.read(); len(from) > 0 {
		t.Errorf("acts are nothing to runs, but it was read from %v", from)
	}
}

// TestPastAtOnce: many who ask at once for few moments have each folded once, and see their own.
func TestPastAtOnce(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 30)
	held := make(chan struct{})
	p, log, _ := pastOf(b, held)
	var asking sync.WaitGroup
	for i := range 24 {
		asking.Go(func() {
			at := int64(10 + 10*(i%2))
			for range 3 {
				then, err := p.Views(t.Context(), upTo(at), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if n := count(t, then); n != int(at) {
					t.Errorf("at %d there are %d", at, n)
				}
				then.Release()
			}
		})
	}
	for log.out.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	close(held)
	asking.Wait()
	if from := log.read(); len(from) != 2 {
		t.Errorf("two moments were read for %v", from)
	}
}

// TestPastChurn: many who ask for more moments than are kept, of views that stay open and of ones that do not, each see their own.
func TestPastChurn(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 30)
	p, _, _ := pastOf(b, nil)
	var asking sync.WaitGroup
	for i := range 8 {
		asking.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 4))
			for range 12 {
				w := upTo(int64(rng.IntN(30)))
				if rng.IntN(2) == 0 {
					w.Views = append(w.Views, "online")
				}
				then, err := p.Views(t.Context(), w, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					if n, at := count(t, then), w.Cut[streams.TP{Topic: "mlops-events"}]; n != int(at) {
						t.Errorf("at %d there are %d", at, n)
					}
				}
				then.Release()
			}
		})
	}
	asking.Wait()
}

// TestPastBusy: where as many moments are read as may be, another one is refused, and one that is there is not.
func TestPastBusy(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 30)
	p, _, _ := pastOf(b, nil)
	var all []*api.Then
	for at := range int64(api.PastBusyMax) {
		then, err := p.Views(t.Context(), upTo(at), nil)
		b.Must(err)
		all = append(all, then)
	}
	if _, err := p.Views(t.Context(), upTo(29), nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one more: %v", err)
	}
	if n := look(b, p, 3); n != 3 {
		t.Errorf("one that is there: %d", n)
	}
	for _, then := range all {
		then.Release()
	}
	if n := look(b, p, 29); n != 29 {
		t.Errorf("afterwards: %d", n)
	}
}

// moody counts commits, and cannot be opened at one of its openings.
type moody struct {
	n     int
	opens *atomic.Int64
	fails int64
}

func (v *moody) Spec() fold.Spec {
	return fold.Spec{Name: "moody", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *moody) Open(r fold.Reader) error {
	if v.opens.Add(1) == v.fails {
		return errors.New("not now")
	}
	b, _, err := r.Get([]byte("n"))
	v.n = len(b)
	return err
}

func (v *moody) Apply(w fold.Writer, in []fold.Input) error {
	v.n += len(in)
	return w.Set([]byte("n"), make([]byte, v.n))
}

func (v *moody) Flush(fold.Writer) error { return nil }

// TestPastOpenedAnew: a view that has to be begun anew when a moment is opened is not read empty.
func TestPastOpenedAnew(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 5)
	for fails := range int64(4) {
		v := &moody{opens: new(atomic.Int64), fails: fails}
		factory := func() fold.View { return &moody{opens: v.opens, fails: v.fails} }
		core, err := api.New(api.Config{Log: b.Log, Dispatcher: b.Dispatcher, Views: b.Views, Factories: []fold.Factory{factory}, ScratchDir: t.TempDir()})
		b.Must(err)
		w := upTo(5)
		w.Views = []string{"moody"}
		then, err := core.Past().Views(t.Context(), w, nil)
		if fails == 1 { // to begin with
			if err == nil {
				t.Error("it was folded into a view that cannot be opened")
			}
			b.Must(core.Close())
			continue
		}
		b.Must(err)
		if n := fold.Of[*moody](then.Views).n; n != 5 {
			t.Errorf("it cannot be opened at opening %d: %d commits", fails, n)
		}
		then.Release()
		b.Must(core.Close())
	}
}

// list is a surface that has a past: it counts experiments.
type list struct{ *api.Core }

func (l list) Name() string                  { return "list" }
func (l list) At(core *api.Core) api.Surface { return list{core} }
func (l list) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}
func (l list) Routes(r *api.Routes) {
	r.Handle("GET /experiments", func(w http.ResponseWriter, r *http.Request) error {
		p, err := fold.Of[*projections.Runs](l.Views).Experiments(fold.PageQuery{Limit: 1000})
		if err != nil {
			return err
		}
		return api.WriteJSON(w, http.StatusOK, map[string]any{"n": len(p.Items), "asked": l.Asked()})
	}, "runs")
	r.Handle("GET /plain", func(w http.ResponseWriter, r *http.Request) error {
		return api.WriteJSON(w, http.StatusOK, map[string]any{"asked": l.Asked()})
	})
	r.Read("POST /echo", func(w http.ResponseWriter, r *http.Request) error {
		return api.WriteJSON(w, http.StatusOK, map[string]any{"path": r.URL.Path})
	})
	r.Handle("POST /experiments", func(w http.ResponseWriter, r *http.Request) error { return errors.New("it was written") })
	r.Handle("GET /write", func(w http.ResponseWriter, r *http.Request) error { // a read that is none
		_, err := l.Dispatcher.Dispatch(r.Context(), &commands.CreateExperiment{Name: "sly"}, handlers.Meta{Actor: "test"})
		return err
	})
}

// TestPastOverHTTP: an answer that has to wait for long says so, and how far it is, and the fold goes on; a read that would
// write cannot.
func TestPastOverHTTP(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 20)
	held := make(chan struct{})
	log := &watchedLog{Log: b.Log, held: held}
	core, err := api.New(api.Config{Log: log, Dispatcher: b.Dispatcher, Views: b.Views, Factories: projections.All(), ScratchDir: t.TempDir()})
	b.Must(err)
	t.Cleanup(func() { b.Must(core.Close()) })
	s := core.Serve(list{core})
	core.Past().Hurry(time.Millisecond, time.Hour)
	a := apitest.Ask(s, "GET", "/at/6/experiments", "")
	if a.Code != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Text, "records") || !strings.Contains(a.Text, "ask again") {
		t.Errorf("%d %v %s", a.Code, a.Header, a.Text)
	}
	core.Past().Hurry(time.Hour, time.Hour)
	for _, path := range []string{"/at/6/plain", "/at/7/plain"} {
		if a := apitest.Ask(s, "GET", path, ""); a.Code != 200 || fmt.Sprint(a.Object) != "map[asked:"+path[4:5]+"]" {
			t.Errorf("what needs no view waited for a fold: %d %s", a.Code, a.Text)
		}
	}
	if a := apitest.Ask(s, "POST", "/at/6/experiments", ""); a.Code != 403 {
		t.Errorf("a write waited for a fold: %d %s", a.Code, a.Text)
	}
	close(held)
	if a := apitest.Ask(s, "GET", "/at/6/experiments", ""); a.Code != 200 || fmt.Sprint(a.Object) != "map[asked:6 n:7]" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	if from := fmt.Sprint(log.read()); from != "[0]" {
		t.Errorf("it was read from %s", from)
	}
	if a := apitest.Ask(s, "POST", "/at/6/echo?x=%2F", ""); a.Code != 200 || a.Object["path"] != "/echo" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	head := b.Head()
	if a := apitest.Ask(s, "GET", "/at/6/write", ""); a.Code != 403 || b.Head() != head {
		t.Errorf("a sly write: %d %s", a.Code, a.Text)
	}
	if a := apitest.Ask(s, "GET", "/experiments", ""); a.Object["n"] != 20. || a.Object["asked"] != "" {
		t.Errorf("now: %s", a.Text)
	}
	b.Must(core.Close())
	if a := apitest.Ask(s, "GET", "/at/7/experiments", ""); a.Code != 503 {
		t.Errorf("at the end: %d %s", a.Code, a.Text)
	}
}

// TestPastIsBounded: of many moments few are kept on disk, what is read stays, and is right after it is kept no more.
func TestPastIsBounded(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 60)
	p, log, dir := pastOf(b, nil)
	first, err := p.Views(t.Context(), upTo(1), nil)
	b.Must(err)
	for at := range int64(60) {
		look(b, p, at)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > api.PastKeptMax+1 {
		t.Errorf("%d are kept: %v", len(entries), err)
	}
	if n := count(t, first); n != 1 {
		t.Errorf("what is read changed to %d", n)
	}
	first.Release()
	log.read()
	if n := look(b, p, 2); n != 2 || len(log.read()) != 1 {
		t.Errorf("what was let go of is folded again: %d", n)
	}
	p.Forget()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("forgotten, but there are %v: %v", entries, err)
	}
}

// late is a context whose time is up when it ends.
type late struct{ context.Context }

func (c late) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return context.DeadlineExceeded
}

// TestPastGivenUp: a fold that nobody waits for any more ends, and one that somebody was told to come back for goes on.
func TestPastGivenUp(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 20)
	held := make(chan struct{})
	p, log, dir := pastOf(b, held)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := p.Views(ctx, upTo(7), nil)
		gone <- err
	}()
	for log.out.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-gone; !fault.Is(err, fault.Unavailable) {
		t.Errorf("gone: %v", err)
	}
	for { // it is given up, with its folder
		if entries, _ := os.ReadDir(dir); len(entries) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	p.Hurry(time.Hour, time.Hour)
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_, err := p.Views(late{ctx}, upTo(8), nil)
		gone <- err
	}()
	for log.out.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-gone; !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "ask again") {
		t.Errorf("told to come back: %v", err)
	}
	log.read()
	close(held)
	if n := look(b, p, 8); n != 8 || len(log.read()) > 0 {
		t.Errorf("who comes back finds it: %d", n)
	}
}

// TestPastDamaged: a moment whose files cannot be read any more is folded again; so is a later one that would go on from it.
func TestPastDamaged(t *testing.T) {
	b := apitest.New(t, nil)
	experiments(b, 20)
	p, log, dir := pastOf(b, nil)
	spoil := func() {
		files, err := filepath.Glob(filepath.Join(dir, "*", "views", "*"))
		b.Must(err)
		if len(files) == 0 {
			t.Fatal("there is nothing to spoil")
		}
		for _, f := range files {
			b.Must(os.WriteFile(f, []byte("damaged"), 0o600))
		}
	}
	w := api.Wanted{Views: []string{"runs", "online"}, Cut: upTo(10).Cut} // with a lazy view: closed while nobody reads
	ask := func(at int64) {
		t.Helper()
		w.Cut = upTo(at).Cut
		then, err := p.Views(t.Context(), w, nil)
		b.Must(err)
		defer then.Release()
		if n := count(t, then); n != int(at) {
			t.Errorf("at %d there are %d", at, n)
		}
	}
	ask(10)
	spoil()
	ask(10)
	log.read()
	spoil()
	ask(15)
	if from := fmt.Sprint(log.read()); from != "[0]" {
		t.Errorf("it was read from %s", from)
	}
}
