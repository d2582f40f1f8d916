package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// The past of a surface: /at/MOMENT/PATH is answered as PATH would have been when the log had what it had by then, by the
// same handlers over views that are folded up to there. MOMENT is what known_at takes: a time, a position or a cut, of
// which the slash between topic and partition need not be escaped.

const atPath = "/at/"

// AtField is what errors call the moment in a path.
const AtField = "at"

// moment is what is known at.
type moment struct {
	text   string // as it was asked for
	cut    streams.Cut
	millis int64 // of the time asked for; 0 where a position or a cut was
}

// Asked is the moment that is asked for, as it was written; "" is now.
func (c *Core) Asked() string {
	if c.then == nil {
		return ""
	}
	return c.then.text
}

// Then is the moment that a [Dated] surface is asked about: what was known, and the instant that windows and decay look back from;
// zero is now.
func (c *Core) Then() (at fold.At, millis int64) {
	if c.then == nil {
		return fold.At{}, 0
	}
	return fold.At{Cut: c.then.cut}, c.then.millis
}

// at is the core of a moment. It takes no commands: what might give it any meets the log, which takes none.
func (c *Core) at(m moment, views *fold.Runner) *Core {
	past := &Core{Config: c.Config, common: c.common, then: &m}
	past.Log, past.Views = fold.UpTo(c.Log, m.cut), views
	past.Dispatcher = handlers.New(handlers.Config{Ledger: past.Log.Ledger(), Feed: past.Log.Feed(), Now: c.Now, NewID: uuid.NewString})
	return past
}

// has refuses a position that is not among what was known.
func (m *moment) has(p streams.Position) error {
	if !m.cut.Covers(p) {
		return fault.Field("after", "%s came later than %s", p, Short(m.text)).WithHint("ask without /at/ for what is known now")
	}
	return nil
}

// route is an endpoint that the past is asked at.
type route struct {
	pattern string
	of      *Routes
	reads   bool
	views   []string
}

// asked is a request for the past.
type asked struct {
	moment
	prefix string // of the path: "/at/MOMENT", as it came
}

type askedKey struct{}

func askedOf(r *http.Request) *asked {
	a, _ := r.Context().Value(askedKey{}).(*asked) //nolint:errcheck // of another type there is none
	return a
}

// atRoutes adds the past, for each method: a surface may have a pattern for all paths of one.
func (s *Server) atRoutes(surface Surface) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		s.handle(method+" "+atPath, surface, s.askPast)
	}
}

// askPast has the path behind the moment answered, by whoever answers it now.
func (s *Server) askPast(w http.ResponseWriter, r *http.Request) error {
	if askedOf(r) != nil {
		return fault.New(fault.NotFound, "a moment has no other one below it")
	}
	text, rest, err := splitMoment(strings.TrimPrefix(r.URL.EscapedPath(), atPath))
	if err != nil {
		return err
	}
	prefix := strings.TrimSuffix(r.URL.EscapedPath(), rest)
	if rest == "" { // what a page links to is below it
		http.Redirect(w, r, prefix+"/", http.StatusPermanentRedirect)
		return nil
	}
	m, err := s.core.momentAt(r.Context(), text)
	if err != nil {
		return err
	}
	then := r.WithContext(context.WithValue(r.Context(), askedKey{}, &asked{m, prefix}))
	u := *r.URL
	if u.Path, err = url.PathUnescape(rest); err != nil {
		return fault.Field("path", "%v", err)
	}
	u.RawPath = rest
	then.URL = &u
	s.mux.ServeHTTP(w, then)
	if method, path, ok := strings.Cut(then.Pattern, " "); ok {
		r.Pattern = method + " " + atPath + "{moment}" + path
	} else {
		r.Pattern = then.Pattern
	}
	return nil
}

// splitMoment parts an escaped path behind /at/ into a moment and what is asked of it. A topic's name goes on with its
// partition, behind the next slash.
func splitMoment(escaped string) (text, rest string, err error) {
	segments := strings.Split(escaped, "/")
	n := 0
	for n < len(segments) {
		one, err := url.PathUnescape(segments[n])
		if err != nil {
			return "", "", fault.Field(AtField, "%v", err)
		}
		n++
		text += one
		if last := text[strings.LastIndexByte(text, ',')+1:]; !slices.ContainsFunc(streams.Topics, func(t streams.Topic) bool { return t.Name == last }) {
			break
		}
		text += "/"
	}
	if text == "" {
		return "", "", fault.Field(AtField, "is empty; want %s and a moment", atPath).WithHint("a moment is a time such as 2024-01-15T10:30:00Z, a position such as mlops-events/0@12, or a cut")
	}
	if n < len(segments) {
		rest = "/" + strings.Join(segments[n:], "/")
	} else if segments[n-1] == "" { // a topic without a partition
		rest = "/"
	}
	return text, rest, nil
}

// answerAt answers a read as of a moment, and refuses everything else.
func (s *Server) answerAt(w http.ResponseWriter, r *http.Request, a *asked, to route) error {
	h, ok := to.of.surface.(Historical)
	if !ok {
		return fault.New(fault.NotFound, "there is nothing below %s for %s", a.prefix, Short(r.URL.Path)).WithHint("leave out %s; some answers take %s= for what was known then", a.prefix, KnownAtParam)
	}
	if !to.reads {
		return fault.New(fault.Forbidden, "this is what was known at %s, which cannot be changed", Short(a.text)).
			WithHint("to change what is known now, leave out %s: %s", a.prefix, addressOf(r))
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.core.past.patience)
	defer cancel()
	var core *Core
	if _, ok := h.(Dated); ok {
		if err := s.core.reaches(ctx, &a.moment, to.views); err != nil {
			return err
		}
		core = s.core.at(a.moment, s.core.Views)
	} else {
		wanted := Wanted{Cut: a.cut}
		if len(to.views) > 0 { // what needs none does not wait for a fold
			wanted.Views = to.of.viewNames() // all of the surface: its reads share one fold
		}
		then, err := s.core.past.Views(ctx, wanted, nil)
		if err != nil {
			return err
		}
		defer then.Release()
		core = s.core.at(a.moment, then.Views)
	}
	if err := core.awaitQuery(r, nil); err != nil {
		return err
	}
	of := &Routes{named: map[string]Handler{}}
	h.At(core).Routes(of)
	answer, ok := of.named[to.pattern]
	if !ok {
		return fault.New(fault.Internal, "the surface %s of the past has no %s", h.Name(), to.pattern)
	}
	return answer(w, r)
}

// viewNames are the views that a surface's reads are answered from.
func (r *Routes) viewNames() []string {
	views := slices.Clone(r.views)
	slices.Sort(views)
	return slices.Compact(views)
}

// addressOf is where a request was sent to, without any path.
func addressOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// reaches waits until the views have all that was known at a moment, and finds its time where a position or a cut was asked for: that of the newest record.
func (c *Core) reaches(ctx context.Context, m *moment, views []string) (err error) {
	if m.millis == 0 {
		if m.millis, err = c.recordedMillis(ctx, m.cut); err != nil {
			return err
		}
	}
	if len(views) == 0 {
		return nil
	}
	for _, tp := range m.cut.Partitions() {
		if next := m.cut[tp]; next > 0 {
			if err := c.Views.Wait(ctx, streams.Position{TP: tp, Offset: next - 1}, views...); err != nil {
				return err
			}
		}
	}
	return nil
}

// momentAt is the moment of a text. One before the log's beginning knows nothing, as with known_at; one that is still
// to come is refused: what is known by then nobody knows.
func (c *Core) momentAt(ctx context.Context, text string) (moment, error) {
	millis, cut, err := c.knownAt(ctx, text)
	if f, ok := err.(*fault.Error); ok && f.Field == KnownAtParam {
		other := *f
		other.Field = AtField
		return moment{}, &other
	}
	if cut != nil || err != nil {
		return moment{text: text, cut: cut}, err
	}
	at := time.UnixMilli(millis)
	if now := c.Now(); at.After(now) {
		return moment{}, fault.Field(AtField, "%s is still to come: it is %s", Short(text), now.UTC().Format(time.RFC3339)).WithHint("ask without /at/ for what is known now")
	}
	cut, err = fold.HeadCut(ctx, c.Log, at)
	return moment{text, cut, millis}, err
}
