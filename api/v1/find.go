package v1

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) findRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/find", (*Surface).find, "catalogue", "users", "runs", "registry", "workflows", "datasets", "training_sets")
}

// found is something that people may mean by a text.
type found struct {
	Kind   string `json:"kind"` // movie, user, run, experiment, model, version, workflow, workflow_run, dataset, training_set, feature_view, event, stream or topic
	ID     string `json:"id"`
	Title  string `json:"title"`
	Detail string `json:"detail"`

	rank rank
}

// rank says how well something fits; the least is the best.
type rank int

const (
	byID rank = iota
	byName
	byIDPrefix
	byNamePrefix
	byWords
	byNothing
)

// finding is a search under way.
type finding struct {
	*Surface
	at    fold.At // what is known; zero is now
	text  string
	lower string
	words []string // folded, as titles are
	all   []found
}

// find gives what q may mean, the likeliest first: what has it as its id, or as its name, whose id begins with it, whose name does, and in whose name
// each word of it begins one. An event is found by its id or position, a stream by its name.
func (s *Surface) find(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "q", "k")
	k := int(q.Number("k", findDefault, 1, findMax))
	text := strings.TrimSpace(q.Str("q"))
	switch {
	case text == "":
		q.Add(fault.Field("q", "is needed").WithHint("an id, a title or name or how it begins, an event's position, or a stream"))
	case len(text) > findBytesMax:
		q.Fault("q", "has %d bytes; the most is %d", len(text), findBytesMax)
	}
	if err := q.Err(); err != nil {
		return err
	}
	f := &finding{Surface: s, text: text, lower: strings.ToLower(text), words: projections.TitleWords(text), all: []found{}}
	f.at, _ = s.Then()
	for _, look := range []func(context.Context) error{f.events, f.topics, f.movies, f.users, f.models, f.workflows, f.experiments, f.datasets, f.trainingSets, f.featureViews, f.workflowRuns, f.runs} {
		if err := cmp.Or(r.Context().Err(), look(r.Context())); err != nil {
			return err
		}
	}
	slices.SortStableFunc(f.all, func(a, b found) int { return cmp.Compare(a.rank, b.rank) })
	return api.WriteJSON(w, http.StatusOK, struct {
		Items []found `json:"items"`
	}{f.all[:min(k, len(f.all))]})
}

// rank is how well an id and a name fit.
func (f *finding) rank(id, name string) rank {
	switch {
	case id == f.text:
		return byID
	case strings.EqualFold(name, f.text):
		return byName
	case strings.HasPrefix(id, f.text):
		return byIDPrefix
	case strings.HasPrefix(strings.ToLower(name), f.lower):
		return byNamePrefix
	case len(f.words) > 0 && f.inWords(name):
		return byWords
	}
	return byNothing
}

// inWords says whether each word begins one of a name's.
func (f *finding) inWords(name string) bool {
	words := projections.TitleWords(name)
	for _, want := range f.words {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want) }) {
			return false
		}
	}
	return true
}

// add takes in what fits.
func (f *finding) add(kind, id, title, detail string, r rank) {
	if r < byNothing {
		f.all = append(f.all, found{kind, id, title, detail, r})
	}
}

// few keeps of the things of a kind, which are added from one place on, those that fit best: there may be very many.
func (f *finding) few(from int) {
	if len(f.all)-from < 2*findMax {
		return
	}
	slices.SortStableFunc(f.all[from:], func(a, b found) int { return cmp.Compare(a.rank, b.rank) })
	f.all = f.all[:from+findMax]
}

// someOf hands out a list's items, page by page, as many as are looked through.
func someOf[T any](ctx context.Context, list func(fold.PageQuery) (fold.Page[T], error), each func(*T)) error {
	q := fold.PageQuery{Limit: fold.PageLimitMax}
	for seen := 0; seen < findScanMax; {
		p, err := list(q)
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return err
		}
		for i := range p.Items {
			each(&p.Items[i])
		}
		seen += len(p.Items)
		if q.Cursor = p.Next; q.Cursor == "" {
			break
		}
	}
	return nil
}

// events finds the event of an id or a position, and a stream.
func (f *finding) events(ctx context.Context) error {
	if pos, ok := positionOf(f.text); ok {
		records, err := f.recordsAt(ctx, pos)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		for _, rec := range records {
			f.add("event", cmp.Or(rec.EventID, rec.Position), cmp.Or(rec.Type, "a record that cannot be read"), rec.Position, byID)
		}
		return nil
	}
	view := fold.Of[*projections.Audit](f.current().Views)
	entry, ok, err := view.Event(f.text)
	if err == nil && ok {
		ok, err = entry.AdmittedBy(f.at)
	}
	if err != nil {
		return err
	}
	if ok {
		f.add("event", entry.EventID, entry.Type+": "+entry.Summary, entry.Position, byID)
	}
	if streams.CheckStream(f.text) != nil {
		return nil
	}
	if entry, ok, err = view.First(f.text); err == nil && ok {
		ok, err = entry.AdmittedBy(f.at)
	}
	if ok && err == nil {
		f.add("stream", f.text, f.text, "since "+events.FormatTime(events.TimeOf(entry.EventMillis)), byID)
	}
	return err
}

// current is the surface of now.
func (s *Surface) current() *Surface {
	if s.now != nil {
		return s.now
	}
	return s
}

func (f *finding) topics(context.Context) error {
	for _, t := range streams.Topics {
		f.add("topic", t.Name, t.Name, fmt.Sprintf("%d partitions", t.Partitions), f.rank(t.Name, t.Name))
	}
	return nil
}

func (f *finding) movies(context.Context) error {
	view := fold.Of[*projections.Catalogue](f.Views)
	show := func(m *projections.Movie, r rank) {
		detail := strings.Join(m.Genres, ", ")
		if m.Year != 0 {
			detail = strings.TrimSuffix(fmt.Sprintf("%d · %s", m.Year, detail), " · ")
		}
		f.add("movie", m.MovieID, m.Title, detail, r)
	}
	m, ok, err := view.Movie(f.text)
	if err == nil && !ok && strings.HasPrefix(f.lower, "tt") {
		m, ok, err = view.ByIMDb(f.lower)
	}
	if err != nil {
		return err
	}
	if ok {
		show(&m, byID)
	}
	if len(f.words) == 0 {
		return nil
	}
	p, err := view.Search(f.text, fold.PageQuery{Limit: findFilmsMax})
	for i := range p.Items {
		if other := &p.Items[i]; !ok || other.MovieID != m.MovieID {
			show(other, min(f.rank("", other.Title), byWords))
		}
	}
	return err
}

// users finds a person by the id alone: they have no names.
func (f *finding) users(context.Context) error {
	id := events.CanonicalUser(f.text)
	if api.CheckID("q", id) != nil {
		return nil
	}
	u, said, err := fold.Of[*projections.Users](f.Views).User(id, fold.At{EventMillis: f.today().UnixMilli()})
	if err != nil {
		return err
	}
	acted := false
	for _, err := range fold.Of[*projections.Histories](f.current().Views).User(id, f.at) {
		if err != nil {
			return err
		}
		acted = true
		break
	}
	if said || acted {
		var known []string
		if u.Age != 0 {
			known = append(known, "age "+strconv.Itoa(u.Age))
		}
		for _, v := range []string{u.Gender, u.Occupation} {
			if v != "" {
				known = append(known, v)
			}
		}
		f.add("user", id, id, strings.Join(known, ", "), byID)
	}
	return nil
}

// models finds models by their names, and a version by MODEL/NUMBER or "MODEL NUMBER".
func (f *finding) models(ctx context.Context) error {
	from := len(f.all)
	name, number := f.text, 0
	if at := strings.LastIndexAny(f.text, "/ @"); at > 0 {
		if n, err := strconv.Atoi(strings.TrimPrefix(f.text[at+1:], "v")); err == nil {
			name, number = f.text[:at], n
		}
	}
	return someOf(ctx, f.registry().Models, func(m *projections.Model) {
		f.add("model", m.Name, m.Name, fmt.Sprintf("%d versions", len(m.Versions)), f.rank(m.Name, m.Name))
		if v := m.Version(number); v != nil && strings.EqualFold(m.Name, name) {
			f.add("version", fmt.Sprintf("%s/%d", m.Name, number), fmt.Sprintf("%s version %d", m.Name, number), strings.Trim(v.Algorithm+" · "+v.Stage, " ·"), byID)
		}
		f.few(from)
	})
}

func (f *finding) workflows(ctx context.Context) error {
	from := len(f.all)
	return someOf(ctx, fold.Of[*projections.Workflows](f.Views).Workflows, func(v *projections.Workflow) {
		if v.Hash != "" { // else it is deleted, or was only asked for
			f.add("workflow", v.Name, v.Name, "", f.rank(v.Name, v.Name))
		}
		f.few(from)
	})
}

func (f *finding) workflowRuns(context.Context) error {
	view := fold.Of[*projections.Workflows](f.Views)
	run, ok, err := view.Run(f.text)
	if err != nil {
		return err
	}
	if ok {
		f.add("workflow_run", run.RunID, run.RunID, run.Workflow+" · "+run.State, byID)
	}
	digests, err := view.Digests(nil, func(d *projections.RunDigest) bool { return d.RunID != f.text && strings.HasPrefix(d.RunID, f.text) })
	slices.SortFunc(digests, func(a, b projections.RunDigest) int { return -cmp.Compare(a.RequestedOffset, b.RequestedOffset) })
	for i := range digests[:min(len(digests), findMax)] {
		d := &digests[i]
		f.add("workflow_run", d.RunID, d.RunID, d.Workflow+" · "+d.State, byIDPrefix)
	}
	return err
}

func (f *finding) experiments(ctx context.Context) error {
	from := len(f.all)
	return someOf(ctx, fold.Of[*projections.Runs](f.Views).Experiments, func(e *projections.Experiment) {
		if !e.Deleted || e.ExperimentID == f.text {
			f.add("experiment", e.ExperimentID, e.Name, "", f.rank(e.ExperimentID, e.Name))
		}
		f.few(from)
	})
}

// runs finds runs by their ids and names, of each experiment the newest first. What they are searched by is read, and no run but the one with the id.
func (f *finding) runs(ctx context.Context) error {
	view := fold.Of[*projections.Runs](f.Views)
	run, ok, err := view.Run(f.text)
	if err != nil {
		return err
	}
	if ok {
		f.add("run", run.RunID, cmp.Or(run.Name, run.RunID), run.Status, byID)
	}
	var experiments []string
	if err := someOf(ctx, view.Experiments, func(e *projections.Experiment) { experiments = append(experiments, e.ExperimentID) }); err != nil {
		return err
	}
	from, seen := len(f.all), 0
	for _, experiment := range experiments {
		cells := projections.Cells{Experiment: experiment, Columns: []projections.Column{projections.HeadColumn}, Needed: []bool{true}}
		err := view.Search(ctx, cells, func(r *projections.FoundRun) (bool, error) {
			head, err := projections.CellHead(r.Cells[0])
			if id := r.RunID(); err == nil && id != f.text {
				f.add("run", id, cmp.Or(head.Name, id), head.Status, f.rank(id, head.Name))
				f.few(from)
			}
			seen++
			return seen < findScanMax, err
		})
		if err != nil || seen >= findScanMax {
			return err
		}
	}
	return nil
}

func (f *finding) datasets(ctx context.Context) error {
	from := len(f.all)
	return someOf(ctx, fold.Of[*projections.Datasets](f.Views).List, func(d *projections.Dataset) {
		f.add("dataset", d.DatasetID, d.DatasetID, fmt.Sprintf("%d interactions", d.Interactions), f.rank(d.DatasetID, d.DatasetID))
		f.few(from)
	})
}

func (f *finding) trainingSets(ctx context.Context) error {
	from := len(f.all)
	return someOf(ctx, fold.Of[*projections.TrainingSets](f.Views).List, func(t *projections.TrainingSet) {
		f.add("training_set", t.Name, t.Name, fmt.Sprintf("version %d · %d rows", t.Version, t.Rows), f.rank(t.Name, t.Name))
		f.few(from)
	})
}

func (f *finding) featureViews(context.Context) error {
	reg, err := f.Features.RegistryAt(f.at)
	if err != nil {
		return err
	}
	for _, v := range reg.Views {
		f.add("feature_view", v.Name, v.Name, fmt.Sprintf("%d features", len(v.Features)), f.rank(v.Name, v.Name))
	}
	for _, v := range reg.External {
		f.add("feature_view", v.Name, v.Name, "pushed", f.rank(v.Name, v.Name))
	}
	for _, v := range reg.OnDemand {
		f.add("feature_view", v.Name, v.Name, "on demand", f.rank(v.Name, v.Name))
	}
	return nil
}
