package v1

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// What acts of a list were to what served.
const (
	outcomeHit    = "hit"    // among its first ten
	outcomeMissed = "missed" // not
)

const (
	judgedActsMax  = 200 // of a page: each is read from the log again
	outcomeRankMax = 10
)

// judgedScanMax is how many acts a page looks at, and hours: one more commit of acts may be among them.
var judgedScanMax = 20_000

// judgedAct is an act, where its film stood by what ranked, and the event that says so.
type judgedAct struct {
	Position     string         `json:"position"` // of the act
	TimeMillis   int64          `json:"time_millis"`
	UserID       string         `json:"user_id,omitempty"`
	MovieID      string         `json:"movie_id,omitempty"`
	Kind         string         `json:"interaction_type,omitempty"`
	Of           int            `json:"of"`
	Films        int            `json:"films"`
	Ranks        map[string]int `json:"ranks"` // 0: the film was in no ranking
	ModelName    string         `json:"model_name,omitempty"`
	ModelVersion int            `json:"model_version,omitempty"`
	Judged       fold.Origin    `json:"judged"`
}

// actPlace is where an act is among those judged.
type actPlace struct {
	hour     int64 // Unix milliseconds
	revision streams.Revision
	index    int
}

func (p actPlace) String() string { return fmt.Sprintf("%d.%d.%d", p.hour, p.revision, p.index) }

func (p actPlace) before(o actPlace) bool {
	switch {
	case p.hour != o.hour:
		return p.hour < o.hour
	case p.revision != o.revision:
		return p.revision < o.revision
	}
	return p.index < o.index
}

// actsAsked is what of the acts is wanted.
type actsAsked struct {
	from, to int64
	model    string
	version  int
	outcome  string
	at       fold.At
	next     actPlace // from which on
	limit    int
	// Of a window of acts instead: their numbers in the order in which they were judged, from 1. first is that of the page.
	first, last uint64
}

// qualityActs pages through the acts that points of the curve are made of (see [Surface.quality]), by the hour that they happened in, each with the ranks of its film. A page may end before its
// limit where it has looked at many. With first_act and last_act they are those of a window of acts, by their numbers, in the order in which they were judged.
func (s *Surface) qualityActs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "from", "to", "first_act", "last_act", "model", "version", "outcome", "limit", "cursor", api.KnownAtParam)
	a := actsAsked{from: q.Millis("from"), to: q.Millis("to"), model: q.Str("model"), version: int(q.Number("version", 0, 1, 1<<31-1)), outcome: q.Str("outcome"),
		limit: int(q.Number("limit", 100, 1, judgedActsMax))}
	switch a.outcome {
	case "", outcomeHit, outcomeMissed:
	default:
		q.Fault("outcome", "is %q; want %s or %s", api.Short(a.outcome), outcomeHit, outcomeMissed)
	}
	if a.version != 0 && a.model == "" {
		q.Fault("version", "is given without model: it is a version of one")
	}
	if q.Str("first_act")+q.Str("last_act") != "" {
		a.window(q)
	} else if text := q.Str("cursor"); text != "" {
		if n, err := fmt.Sscanf(text, "%d.%d.%d", &a.next.hour, &a.next.revision, &a.next.index); err != nil || n != 3 || a.next.String() != text {
			q.Add(badCursor())
		}
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	a.at = m.At
	if a.last > 0 {
		if a.model, err = s.keyOf(a.model); err != nil {
			return err
		}
		page, err := s.judgedByNumber(r.Context(), &a)
		return api.Paged(w, page, err)
	}
	if a.to == 0 {
		a.to = m.Millis(s.Now().UnixMilli()) + 1
	}
	if a.from == 0 {
		a.from = a.to - 24*time.Hour.Milliseconds()
	}
	switch {
	case a.from >= a.to:
		return fault.Field("from", "is not before to")
	case a.to-a.from > qualityHoursMax*time.Hour.Milliseconds():
		return fault.Field("from", "is more than %d days before to; ask for a year at a time", qualityHoursMax/24)
	}
	if a.model, err = s.keyOf(a.model); err != nil {
		return err
	}
	page, err := s.judgedActs(r.Context(), &a)
	return api.Paged(w, page, err)
}

// keyOf is the key of the model that is called so; "" of none.
func (s *Surface) keyOf(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	model, ok, err := s.registry().Model(name)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no model %q", api.Short(name))
	}
	return model.Key, err
}

// window reads which acts are asked for by their numbers. The cursor is that of the next.
func (a *actsAsked) window(q *api.Query) {
	if q.Str("from")+q.Str("to") != "" {
		q.Fault("from", "cannot be combined with first_act and last_act")
	}
	first := q.Number("first_act", 1, 1, math.MaxInt64)
	last := q.Number("last_act", first, 1, math.MaxInt64)
	switch {
	case last < first:
		q.Fault("last_act", "is before first_act")
	case last-first >= qualityActsMax:
		q.Fault("last_act", "is more than %d acts behind first_act", qualityActsMax)
	}
	if text := q.Str("cursor"); text != "" {
		next, err := strconv.ParseInt(text, 10, 64)
		if err != nil || next < first || next > last {
			q.Add(badCursor())
		}
		first = next
	}
	a.first, a.last = uint64(first), uint64(last)
}

// judgedByNumber reads the events that a window of acts is of, one after the other.
func (s *Surface) judgedByNumber(ctx context.Context, a *actsAsked) (fold.Page[judgedAct], error) {
	page, looked := fold.Page[judgedAct]{Items: []judgedAct{}}, 0
	for part, err := range fold.Of[*projections.Quality](s.Views).Parts(a.first) {
		if err != nil || part.Act > a.last {
			return page, err
		}
		known := false
		for in, err := range fold.Inputs(s.commitsAt(ctx, part.Offset), a.at) {
			if err != nil {
				return page, err
			}
			x, ok := in.Event.Data.(*events.QualityJudged)
			if !ok || in.Index != part.Index {
				continue
			}
			known = true
			for i := part.First; i < len(x.Acts); i++ {
				number := part.Act + uint64(i-part.First)
				if number > a.last || number > part.Act && (number-1)%projections.QualityBlock == 0 { // which is another part
					break
				}
				if number < a.first {
					continue
				}
				if len(page.Items) == a.limit || looked == judgedScanMax {
					page.Next = strconv.FormatUint(number, 10)
					return page, nil
				}
				if looked++; !a.by(x) || !a.came(&x.Acts[i]) {
					continue
				}
				item, err := s.judgedAct(ctx, in, x, &x.Acts[i])
				if err != nil {
					return page, err
				}
				page.Items = append(page.Items, item)
			}
		}
		if !known { // by the moment that is asked for: nor was what came after
			return page, nil
		}
	}
	return page, nil
}

// commitsAt is the commit of the ledger at an offset.
func (s *Surface) commitsAt(ctx context.Context, offset int64) commits {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range s.Log.Ledger().Read(ctx, offset) {
			if c == nil || c.Position.Offset == offset {
				yield(c, err)
			}
			return
		}
	}
}

// by says whether what judged is of the model and version that are asked for.
func (a *actsAsked) by(x *events.QualityJudged) bool {
	return a.model == "" || x.ModelName == a.model && (a.version == 0 || x.ModelVersion == a.version)
}

// judgedActs reads the streams of the hours, one after the other.
func (s *Surface) judgedActs(ctx context.Context, a *actsAsked) (fold.Page[judgedAct], error) {
	page, looked := fold.Page[judgedAct]{Items: []judgedAct{}}, 0
	hour := time.Hour.Milliseconds()
	first := max(time.UnixMilli(a.from).Truncate(time.Hour).UnixMilli(), a.next.hour)
	for at := first; at < a.to; at += hour {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		from := streams.Revision(0)
		if at == a.next.hour {
			from = a.next.revision
		}
		stream := "quality/" + time.UnixMilli(at).UTC().Format(events.HourLayout)
		commits := func(yield func(*streams.Committed, error) bool) {
			for c, err := range s.Log.Ledger().ReadStream(ctx, stream, from) {
				if c != nil {
					if looked >= judgedScanMax {
						page.Next = actPlace{at, c.Revision, 0}.String()
						return
					}
					looked += actsIn(c)
				}
				if !yield(c, err) {
					return
				}
			}
		}
		for in, err := range fold.Inputs(commits, a.at) {
			if err != nil {
				return page, err
			}
			x, ok := in.Event.Data.(*events.QualityJudged)
			if !ok || !a.by(x) {
				continue
			}
			for i := range x.Acts {
				place := actPlace{at, in.Revision, i}
				if place.before(a.next) {
					continue
				}
				if len(page.Items) == a.limit {
					page.Next = place.String()
					return page, nil
				}
				if !a.wants(&x.Acts[i]) {
					continue
				}
				item, err := s.judgedAct(ctx, in, x, &x.Acts[i])
				if err != nil {
					return page, err
				}
				page.Items = append(page.Items, item)
			}
		}
		if looked++; page.Next == "" && looked >= judgedScanMax && at+hour < a.to {
			page.Next = actPlace{at + hour, 0, 0}.String()
		}
		if page.Next != "" {
			return page, nil
		}
	}
	return page, nil
}

// actsIn is how many acts a commit is about, at least one: whether they are wanted or not, they are read.
func actsIn(c *streams.Committed) int {
	n := 0
	for i := range c.Events {
		if x, ok := c.Events[i].Data.(*events.QualityJudged); ok {
			n += len(x.Acts)
		}
	}
	return max(1, n)
}

func (a *actsAsked) wants(act *events.JudgedAct) bool {
	return act.TimeMillis >= a.from && act.TimeMillis < a.to && a.came(act)
}

// came says whether what became of an act is what is asked for.
func (a *actsAsked) came(act *events.JudgedAct) bool {
	if len(act.Ranks) == 0 {
		return false
	}
	hit := act.Ranks[0] >= 1 && act.Ranks[0] <= outcomeRankMax
	return a.outcome == "" || hit == (a.outcome == outcomeHit)
}

// judgedAct is one of them, with what the log has of the act itself.
func (s *Surface) judgedAct(ctx context.Context, in *fold.Input, x *events.QualityJudged, act *events.JudgedAct) (judgedAct, error) {
	out := judgedAct{Position: act.Position, TimeMillis: act.TimeMillis, Of: act.Of, Films: act.Films, Ranks: map[string]int{}, ModelVersion: x.ModelVersion, Judged: fold.OriginOf(in)}
	for i, source := range x.Sources[:min(len(x.Sources), len(act.Ranks))] {
		out.Ranks[source] = act.Ranks[i]
	}
	var err error
	if out.ModelName, err = s.registry().NameOf(x.ModelName); err != nil {
		return out, err
	}
	pos, err := streams.ParsePosition(act.Position)
	if err != nil || !api.Known(pos.TP) { // of another program: its place is told all the same
		return out, nil
	}
	for rec, err := range s.Log.Feed().Read(ctx, pos.TP, pos.Offset) {
		if err != nil {
			return out, err
		}
		if rec.Offset != pos.Offset {
			break
		}
		if ev, err := streams.ReadFact(rec); err == nil {
			if fact, ok := ev.Data.(*events.Interaction); ok {
				out.UserID, out.MovieID, out.Kind = events.CanonicalUser(fact.UserID), events.CanonicalMovie(fact.MovieID), fact.Kind
			}
		}
		break
	}
	return out, nil
}
