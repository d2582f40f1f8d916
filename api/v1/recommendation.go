package v1

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) recommendationRoutes(r *api.Routes) {
	r.Handle("GET /{$}", s.baseline, "online", "catalogue")
	r.Handle("GET /api/v1/recommendations", s.recommendations, "online", "catalogue", "deployments", "registry")
	r.Handle("POST /api/v1/recommendations", s.postRecommendations)
	r.Handle("GET /api/v1/recommendations/{request}", s.recommendation, "served")
	r.Handle("GET /api/v1/users/{user}/recommendations", s.userRecommendations, "served")
}

// baseline is what everyone gets without a model: the films with the most interactions. A browser that asks for nothing in particular is
// sent to the console.
func (s *Surface) baseline(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "Accept")
	if s.Console != "" && r.URL.RawQuery == "" && api.WantsPage(r) {
		http.Redirect(w, r, s.Console, http.StatusFound)
		return nil
	}
	q := api.QueryOf(r, "k")
	k := int(q.Number("k", kDefault, 1, KMax))
	if err := q.Err(); err != nil {
		return err
	}
	items, err := s.Recommend.Popular(k)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Strategy string           `json:"strategy"`
		Items    []recommend.Item `json:"items"`
	}{"popularity", items})
}

// wanted is a request for recommendations.
type wanted struct {
	UserID api.ID `json:"user_id"`
	// Of somebody without an id: what they have looked at, the last one last. By POST alone.
	MovieIDs *[]api.ID `json:"movie_ids"`
	K        *int64    `json:"k"`
	Explain  bool      `json:"explain"`
	Record   *bool     `json:"record"` // false: nobody is shown this; it leaves no event
	// Model and Version have a registered version rank, whatever serves; without Version the model's newest that has weights here. It is a look, and
	// leaves no event: record has to be false, or there is a moment.
	Model   string `json:"model,omitempty"`
	Version *int64 `json:"version,omitempty"`
	After   string `json:"after"`
	AsOf    string `json:"as_of"`
	KnownAt string `json:"known_at"`
	api.Rules
}

func (v *wanted) request() (recommend.Request, error) {
	req := recommend.Request{UserID: events.CanonicalUser(string(v.UserID)), K: kDefault, Explain: v.Explain}
	if v.K != nil {
		if *v.K < 1 || *v.K > KMax {
			return req, fault.Field("k", "is %d; want 1 to %d", *v.K, KMax)
		}
		req.K = int(*v.K)
	}
	if v.MovieIDs != nil {
		switch n := len(*v.MovieIDs); {
		case n == 0:
			return req, fault.Field("movie_ids", "is empty: want 1 to %d films", recommend.FilmsMax).WithHint("leave it out for a list by what is popular")
		case v.AsOf != "" || v.KnownAt != "":
			return req, fault.Field("movie_ids", "cannot be combined with as_of and known_at").WithHint("leave them out")
		}
		for _, id := range *v.MovieIDs {
			req.Films = append(req.Films, string(id))
		}
	}
	switch look := v.AsOf != "" || v.KnownAt != "" || v.Record != nil && !*v.Record; {
	case v.Version != nil && *v.Version < 1:
		return req, fault.Field("version", "is %d; want 1 or more", *v.Version)
	case v.Version != nil && v.Model == "":
		return req, fault.Field("version", "is given without model").WithHint("name the model too")
	case v.Model != "" && !look:
		return req, fault.Field("record", "must be false where a model is named: what a person is shown is ranked by what serves").WithHint("add record=false")
	}
	var err error
	if req.Rules, err = v.Rules.Of(req.K); err != nil || v.UserID == "" {
		return req, err
	}
	return req, api.CheckID("user_id", req.UserID)
}

// rankedBy ranks by the version that is named, or by what serves.
func (v *wanted) rankedBy(service *recommend.Service, req recommend.Request) (*recommend.Result, error) {
	if v.Model == "" {
		return service.Recommend(req)
	}
	by := recommend.Version{Model: v.Model}
	if v.Version != nil {
		by.Number = int(min(*v.Version, math.MaxInt32)) // there is none beyond
	}
	named, err := service.Predicts(by)
	if err != nil {
		field := "version"
		if _, none := service.Predicts(recommend.Version{Model: v.Model}); v.Version == nil || fault.Is(none, fault.NotFound) {
			field = "model"
		}
		return nil, ofField(err, field)
	}
	return service.RecommendBy(named.Model, named.Number, req)
}

// ofField is an error about a field that nothing said it is about.
func ofField(err error, field string) error {
	if f, ok := err.(*fault.Error); ok && f.Field == "" {
		of := *f
		of.Field = field
		return &of
	}
	return err
}

func (s *Surface) recommendations(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, append([]string{"user_id", "k", "explain", "record", "model", "version", api.AsOfParam, api.KnownAtParam}, api.RulesParams...)...)
	v := wanted{UserID: api.ID(q.Str("user_id")), Explain: q.Flag("explain"), AsOf: q.Str(api.AsOfParam), KnownAt: q.Str(api.KnownAtParam), After: q.Str("after"),
		Model: q.Str("model"), Rules: api.RulesOf(q)}
	k := q.Number("k", kDefault, 1, KMax)
	v.K = &k
	if q.Str("record") != "" {
		record := q.Flag("record")
		v.Record = &record
	}
	if q.Str("version") != "" {
		version := q.Number("version", 0, 1, math.MaxInt32)
		v.Version = &version
	}
	if err := q.Err(); err != nil {
		return err
	}
	return s.recommend(w, r, &v)
}

func (s *Surface) postRecommendations(w http.ResponseWriter, r *http.Request) error {
	var v wanted
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	if err := s.Await(r.Context(), v.After, "online", "catalogue", "deployments", "registry"); err != nil {
		return err
	}
	return s.recommend(w, r, &v)
}

// recommended is an answer. A replayed one was given to nobody.
type recommended struct {
	*recommend.Result
	api.Recorded
	Replayed  bool  `json:"replayed,omitempty"`
	NowMillis int64 `json:"now_millis,omitempty"` // of a replay: the moment it was made for
}

func (s *Surface) recommend(w http.ResponseWriter, r *http.Request, v *wanted) error {
	req, err := v.request()
	if err != nil {
		return err
	}
	if v.AsOf != "" || v.KnownAt != "" {
		m, err := s.MomentOf(r.Context(), v.AsOf, v.KnownAt)
		if err != nil {
			return err
		}
		done, err := s.Begin()
		if err != nil {
			return err
		}
		defer done()
		res, err := s.replayed(r.Context(), v, req, m, nil)
		if err != nil {
			return err
		}
		return api.WriteJSON(w, http.StatusOK, res)
	}
	start := time.Now()
	now := s.Now()
	req.NowMillis = now.UnixMilli()
	req.Current = strings.Contains(v.After, events.LedgerTopic) // films are of the ledger
	res, err := v.rankedBy(s.Recommend, req)
	if err != nil {
		return err
	}
	s.Predicted(api.OperationRank, res.Strategy, start)
	answer := recommended{Result: res}
	if answer.Recorded, err = s.Record(r, res, v.Record, now); err != nil {
		return err
	}
	if !req.Explain {
		withoutReasons(res)
	}
	return api.WriteJSON(w, http.StatusOK, answer)
}

func withoutReasons(res *recommend.Result) {
	for i := range res.Items {
		res.Items[i].Sources, res.Items[i].Because = nil, nil
	}
}

// replayed is what would have been recommended at a moment: the views it takes are folded again, up to
// what the log had then, and of it only what had happened by then.
func (s *Surface) replayed(ctx context.Context, v *wanted, req recommend.Request, m api.Moment, progress func(done, total int64)) (*recommended, error) {
	req.NowMillis = m.Millis(s.Now().UnixMilli())
	var res *recommend.Result
	err := s.viewsAt(ctx, m, progress, func(views *fold.Runner, cut streams.Cut) (err error) {
		service := recommend.New(views, s.Blobs.Get)
		defer service.Close()
		if res, err = v.rankedBy(service, req); err != nil {
			return err
		}
		acts := streams.Cut{} // which it has seen all of, though some had not happened
		for tp, next := range cut {
			if tp.Topic == events.UserEventsTopic && next > 0 {
				acts[tp] = next
			}
		}
		res.Cut = acts.String()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !req.Explain {
		withoutReasons(res)
	}
	return &recommended{Result: res, Replayed: true, NowMillis: req.NowMillis}, nil
}

// shown is an answer as it was given, with titles as the catalogue has them now.
type shown struct {
	RequestID    string           `json:"request_id"`
	UserID       string           `json:"user_id"`
	Timestamp    string           `json:"timestamp"`
	ModelName    string           `json:"model_name,omitempty"`
	ModelVersion int              `json:"model_version,omitempty"`
	Strategy     string           `json:"strategy"`
	Cut          string           `json:"cut"`
	Rules        events.ListRules `json:"rules,omitzero"`
	Items        []shownItem      `json:"items"`
	fold.Origin
}

type shownItem struct {
	filmRef
	Position   int                `json:"position"`
	Score      float64            `json:"score"`
	Source     string             `json:"source,omitempty"`
	Sources    map[string]float64 `json:"sources,omitempty"`
	Because    []filmRef          `json:"because,omitempty"`
	Propensity float64            `json:"propensity"`
}

type filmRef struct {
	MovieID string `json:"movie_id"`
	Title   string `json:"title,omitempty"`
	Year    int    `json:"year,omitempty"`
}

func (f *filmRefs) shown(v projections.ServedRecommendation) (shown, error) {
	name, err := f.registry().NameOf(v.ModelName)
	if err != nil {
		return shown{}, err
	}
	out := shown{RequestID: v.RequestID, UserID: v.UserID, Timestamp: v.Timestamp, ModelName: name, ModelVersion: v.ModelVersion,
		Strategy: v.Strategy, Cut: v.Cut, Rules: v.Rules, Items: make([]shownItem, len(v.Items)), Origin: v.Origin}
	for i, it := range v.Items {
		ref, err := f.ref(it.MovieID)
		if err != nil {
			return out, err
		}
		out.Items[i] = shownItem{filmRef: ref, Position: it.Position, Score: it.Score, Source: it.Source, Sources: it.Sources, Propensity: it.Likelihood()}
		for _, id := range it.Because {
			if ref, err = f.ref(id); err != nil {
				return out, err
			}
			out.Items[i].Because = append(out.Items[i].Because, ref)
		}
	}
	return out, nil
}

// filmRefs are films as they are called now, or were at a moment, each looked up once.
type filmRefs struct {
	*Surface
	ctx  context.Context
	at   fold.At // what is known
	seen map[string]filmRef
}

func (s *Surface) filmsAt(ctx context.Context, m *api.Moment) *filmRefs {
	return &filmRefs{s, ctx, fold.At{RecordedMillis: m.At.RecordedMillis, Cut: m.At.Cut}, map[string]filmRef{}}
}

func (f *filmRefs) ref(id string) (ref filmRef, err error) {
	ref, known := f.seen[id]
	if known {
		return ref, nil
	}
	var m projections.Movie
	if f.at.IsZero() {
		m, _, err = fold.Of[*projections.Catalogue](f.Views).Movie(id)
	} else {
		m, _, err = projections.FoldMovie(f.Log.Ledger().ReadStream(f.ctx, "movie/"+events.CanonicalMovie(id), 0), f.at)
	}
	ref = filmRef{id, m.Title, m.Year}
	f.seen[id] = ref
	return ref, err
}

// givenFolded waits until what this server has answered is among what people were shown: an answer does not
// wait for that, but who asks next what it was must find it.
func (s *Surface) givenFolded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, api.WaitMax)
	defer cancel()
	for tp, next := range s.Given() {
		if err := s.Views.Wait(ctx, streams.Position{TP: tp, Offset: next - 1}, "served"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Surface) recommendation(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	if err := s.givenFolded(r.Context()); err != nil {
		return err
	}
	id := r.PathValue("request")
	v, ok, err := fold.Of[*projections.Served](s.Views).ByRequest(id)
	if ok && err == nil {
		ok, err = v.AdmittedBy(m.At)
	}
	if err != nil {
		return err
	}
	out, err := s.filmsAt(r.Context(), &m).shown(v)
	return api.Found(w, out, ok, err, "no recommendation was given under the request id %s", strconv.Quote(api.Short(id)))
}

// userRecommendations is what a person had last been shown at a moment (at=), or everything they were
// shown, newest first.
func (s *Surface) userRecommendations(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "at", api.AsOfParam, api.KnownAtParam, "limit", "cursor")
	page, at := q.Page(), q.Millis("at")
	if at != 0 && q.Str(api.AsOfParam) != "" {
		q.Fault("at", "cannot be combined with as_of: at asks for the last answer before, as_of for all of them")
	}
	user, err := userOf(r)
	if err != nil {
		q.Add(err)
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	if err := s.givenFolded(r.Context()); err != nil {
		return err
	}
	view, films := fold.Of[*projections.Served](s.Views), s.filmsAt(r.Context(), &m)
	if at != 0 {
		m.At.EventMillis = at
		v, ok, err := view.At(user, m.At)
		if err != nil {
			return err
		}
		out, err := films.shown(v)
		return api.Found(w, out, ok, err, "user %q had been shown nothing by then", user)
	}
	p, err := view.ByUser(user, m.At, page)
	if err != nil {
		return err
	}
	out := fold.Page[shown]{Items: []shown{}, Next: p.Next}
	for _, v := range p.Items {
		one, err := films.shown(v)
		if err != nil {
			return err
		}
		out.Items = append(out.Items, one)
	}
	return api.WriteJSON(w, http.StatusOK, out)
}
