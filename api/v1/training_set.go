package v1

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) trainingSetRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/training-sets", (*Surface).trainingSets, "training_sets")
	r.Handle("POST /api/v1/training-sets/{set}", s.versionTrainingSet)
	s.then(r, "GET /api/v1/training-sets/{set}", (*Surface).trainingSetVersions, "training_sets")
	s.then(r, "GET /api/v1/training-sets/{set}/{version}", (*Surface).trainingSet, "training_sets")
	s.then(r, "GET /api/v1/training-sets/{set}/{version}/rows", (*Surface).trainingSetRows, "training_sets")
	s.then(r, "GET /api/v1/training-sets/{set}/{version}/diff/{other}", (*Surface).diffTrainingSets, "training_sets")
}

func (s *Surface) trainingSets(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.TrainingSets](s.Views).List(page)
	return api.Paged(w, p, err)
}

func (s *Surface) trainingSetVersions(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	view, name := fold.Of[*projections.TrainingSets](s.Views), r.PathValue("set")
	if t, ok, err := view.Set(name); err != nil || !ok {
		return api.Found(w, t, ok, err, "no training set %q", api.Short(name))
	}
	p, err := view.Versions(name, page)
	return api.Paged(w, p, err)
}

// setVersion is the version of a training set that a path names: by its number, or the latest.
func (s *Surface) setVersion(r *http.Request, param string) (t projections.TrainingSet, err error) {
	view, name, text := fold.Of[*projections.TrainingSets](s.Views), r.PathValue("set"), r.PathValue(param)
	ok := false
	if text == "latest" {
		t, ok, err = view.Set(name)
	} else {
		n, bad := strconv.Atoi(text)
		if bad != nil {
			return t, fault.Field(param, "%q is no version", api.Short(text)).WithHint("give its number, or latest")
		}
		t, ok, err = view.Version(name, n)
	}
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no version %s of a training set %q", api.Short(text), api.Short(name))
	}
	return t, err
}

func (s *Surface) trainingSet(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	t, err := s.setVersion(r, "version")
	return api.Found(w, t, err == nil, err, "")
}

// trainingSetRows gives the rows, in CSV.
func (s *Surface) trainingSetRows(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	t, err := s.setVersion(r, "version")
	if err != nil {
		return err
	}
	f, err := s.Blobs.Open(r.Context(), t.Blob)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("ETag", strconv.Quote(t.Blob))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// versionTrainingSet joins the rows of a CSV body as POST /api/v1/features/historical does, up to a cut of the log and with the definitions in force
// there, keeps what comes of it, and makes it the set's next version. The same rows with the same cut are the same version.
func (s *Surface) versionTrainingSet(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "text/csv" {
		return fault.New(fault.Invalid, "the body is no CSV file of rows").WithHint("send it as text/csv, with what is asked for in the query")
	}
	if err := checkSetName(r.PathValue("set")); err != nil {
		return err
	}
	meta, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	body, sum := spill.NewFile(s.ScratchDir, spoolMemoryBytes), sha256.New()
	defer body.Close() //nolint:errcheck // scratch is emptied at start
	t, err := tableOf(r, body)
	if err != nil {
		return err
	}
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	done, err := s.Features.BeginJoin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()

	if err := api.ReceiveBody(w, r, historicalBytesMax, io.MultiWriter(body, sum)); err != nil {
		return err
	}
	rows := &joinRows{Keys: s.keys()}
	defer func() { rows.File.Close() }() //nolint:errcheck
	n := int64(0)
	asked, columns, err := t.check(api.Interrupted(ctx, body.Open()), func(row featurestore.Row) error { n++; return rows.Add(row) })
	if err != nil {
		return err
	}
	asked.plain()
	cut, err := s.cutOf(ctx, asked.KnownAt)
	if err != nil {
		return err
	}
	reg, err := s.Features.RegistryAt(fold.At{Cut: cut})
	if err == nil { // a version that came later is none
		reg, err = s.Features.Pinned(reg, asked.pins(), fold.At{Cut: cut})
	}
	if err != nil {
		return err
	}
	sel, err := s.selected(ctx, t, body, rows, reg, asked, columns)
	if err != nil {
		return err
	}
	c := &commands.VersionTrainingSet{Name: r.PathValue("set"), FeaturesHash: reg.HashOf(sel), EntitiesHash: hex.EncodeToString(sum.Sum(nil)), Cut: cut.String(),
		Columns: sel.Names(), KnownAtRow: asked.KnownAtRow, Exclusive: asked.Exclusive, Rows: n}
	if c.FeatureViews, err = s.Features.ViewsJoined(sel, fold.At{Cut: cut}); err != nil {
		return err
	}
	if refs := sel.References(); slices.ContainsFunc(refs, func(ref string) bool { _, pinned := features.PinOf(ref); return pinned }) {
		c.References = refs
	}
	values := s.Features.Historical(ctx, featurestore.Historical{Selection: sel, At: fold.At{Cut: cut}, AtRow: asked.KnownAtRow, Exclusive: asked.Exclusive,
		Scratch: s.ScratchDir}, rows.All())
	out, in := io.Pipe()
	var joining sync.WaitGroup
	joining.Go(func() { in.CloseWithError(t.join(body.Open(), in, sel, c.FeaturesHash, values)) })
	c.Blob, c.Bytes, err = s.Blobs.Put(ctx, out)
	out.CloseWithError(context.Canceled)
	joining.Wait() // it reads what is closed behind it
	if err != nil {
		return err
	}
	res, err := s.Dispatcher.Dispatch(ctx, c, meta)
	if err != nil {
		return err
	}
	if res.Position.Topic != "" {
		s.Settle(ctx, []streams.Position{res.Position}, "training_sets")
	}
	e := events.TrainingSetVersioned{FeaturesHash: c.FeaturesHash, EntitiesHash: c.EntitiesHash, Cut: c.Cut, Columns: c.Columns, KnownAtRow: c.KnownAtRow, Exclusive: c.Exclusive, References: c.References}
	made, ok, err := fold.Of[*projections.TrainingSets](s.Views).Identified(c.Name, e.Identify())
	if err == nil && !ok {
		err = fault.New(fault.Unavailable, "the version is made, and its view is behind").WithHint("ask for it in a moment: GET /api/v1/training-sets/%s", c.Name)
	}
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if res.Unchanged() {
		status = http.StatusOK
	}
	return api.WriteJSON(w, status, struct {
		projections.TrainingSet
		Unchanged bool `json:"unchanged,omitempty"` // there was this version already
	}{made, res.Unchanged()})
}

// checkSetName refuses what the command would, before anything is joined.
func checkSetName(name string) error {
	if strings.Contains(name, "/") {
		return fault.Field("name", "must not hold a slash")
	}
	return api.CheckID("name", name)
}

// cutOf is the cut that known_at stands for, or that of now; the views have it.
func (s *Surface) cutOf(ctx context.Context, knownAt string) (streams.Cut, error) {
	m, err := s.MomentOf(ctx, "", knownAt)
	if err != nil {
		return nil, err
	}
	cut := m.At.Cut
	if cut == nil {
		until := time.Time{}
		if m.At.RecordedMillis != 0 {
			until = time.UnixMilli(m.At.RecordedMillis)
		}
		if cut, err = fold.HeadCut(ctx, s.Log, until); err != nil {
			return nil, err
		}
	}
	var all []streams.Position
	for tp, next := range cut {
		if next > 0 {
			all = append(all, streams.Position{TP: tp, Offset: next - 1})
		}
	}
	if !s.Settle(ctx, all, "online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values") {
		return nil, fault.New(fault.Unavailable, "the views have not folded the log up to there").WithHint("try again in a moment")
	}
	return cut, nil
}

// setDiff is what tells two versions of a training set apart.
type setDiff struct {
	From             projections.TrainingSet `json:"from"`
	To               projections.TrainingSet `json:"to"`
	SameDefinitions  bool                    `json:"same_definitions"`
	SameEntities     bool                    `json:"same_entities"`
	SameCut          bool                    `json:"same_cut"`
	SameRows         bool                    `json:"same_rows"` // to the byte
	ColumnsAdded     []string                `json:"columns_added"`
	ColumnsRemoved   []string                `json:"columns_removed"`
	RecordsBetween   map[string]int64        `json:"records_between"`              // by partition, how many more the cut of to has
	RowsCompared     int64                   `json:"rows_compared"`                // of the same entities: all; else none
	RowsChanged      int64                   `json:"rows_changed"`                 // with another value in a column of both
	ValuesChanged    map[string]int64        `json:"values_changed"`               // by column
	FirstRowsChanged []int64                 `json:"first_rows_changed,omitempty"` // their numbers, from 0
}

// rowsShown is how many rows that changed are told.
const rowsShown = 10

func (s *Surface) diffTrainingSets(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	from, err := s.setVersion(r, "version")
	if err != nil {
		return err
	}
	to, err := s.setVersion(r, "other")
	if err != nil {
		return err
	}
	d := setDiff{From: from, To: to, SameDefinitions: from.FeaturesHash == to.FeaturesHash && slices.Equal(from.References, to.References), SameEntities: from.EntitiesHash == to.EntitiesHash, SameCut: from.Cut == to.Cut,
		SameRows: from.Blob == to.Blob, ColumnsAdded: without(to.Columns, from.Columns), ColumnsRemoved: without(from.Columns, to.Columns),
		RecordsBetween: map[string]int64{}, ValuesChanged: map[string]int64{}}
	a, err := streams.ParseCut(from.Cut)
	if err != nil {
		return err
	}
	b, err := streams.ParseCut(to.Cut)
	if err != nil {
		return err
	}
	for _, tp := range streams.PartitionsOf() {
		if n := b[tp] - a[tp]; n != 0 {
			d.RecordsBetween[tp.String()] = n
		}
	}
	if d.SameEntities && d.SameRows {
		d.RowsCompared = from.Rows
	} else if d.SameEntities {
		if err := s.compareRows(r.Context(), &d); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, d)
}

// without are the names of all that others does not have.
func without(all, others []string) []string {
	rest := []string{}
	for _, name := range all {
		if !slices.Contains(others, name) {
			rest = append(rest, name)
		}
	}
	return rest
}

// compareRows reads both versions side by side.
func (s *Surface) compareRows(ctx context.Context, d *setDiff) (err error) {
	var files [2]*os.File
	var read [2]*csv.Reader
	var places [2][]int
	for i, t := range []*projections.TrainingSet{&d.From, &d.To} {
		if files[i], err = s.Blobs.Open(ctx, t.Blob); err != nil {
			return err
		}
		defer files[i].Close()
		read[i] = csv.NewReader(files[i])
		header, err := read[i].Read()
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "the rows of version %d", t.Version)
		}
		read[i].ReuseRecord = true
		for _, name := range d.From.Columns {
			if slices.Contains(d.To.Columns, name) {
				places[i] = append(places[i], slices.Index(header, name))
			}
		}
	}
	var names []string
	for _, name := range d.From.Columns {
		if slices.Contains(d.To.Columns, name) {
			names = append(names, name)
		}
	}
	for {
		a, errA := read[0].Read()
		b, errB := read[1].Read()
		switch {
		case errA == io.EOF && errB == io.EOF:
			return nil
		case errA != nil || errB != nil:
			return fault.Wrap(fault.Corrupt, errors.Join(errA, errB), "the rows of the two versions")
		}
		if d.RowsCompared%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		changed := false
		for k, name := range names {
			if a[places[0][k]] != b[places[1][k]] {
				d.ValuesChanged[name]++
				changed = true
			}
		}
		if changed {
			if d.RowsChanged++; len(d.FirstRowsChanged) < rowsShown {
				d.FirstRowsChanged = append(d.FirstRowsChanged, d.RowsCompared)
			}
		}
		d.RowsCompared++
	}
}
