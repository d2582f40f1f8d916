package v1

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) qualityRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/quality", (*Surface).quality, "quality", "deployments", "registry")
	r.Handle("GET /api/v1/quality/acts", s.qualityActs, "quality", "registry")
}

const (
	qualityDays       = 30 // without a from
	qualityHoursMax   = 366 * 24
	qualityRowsMax    = 20_000
	qualityWindows    = 30 // of acts, without a last
	qualityWindowsMax = 1000
	qualityActsMax    = 1_000_000 // of a window
	qualityMarksMax   = 1000
)

// foreseen is how well a source foresaw the acts of a window.
type foreseen struct {
	HitRate1  float64 `json:"hr@1"`
	HitRate5  float64 `json:"hr@5"`
	HitRate10 float64 `json:"hr@10"`
	HitRate20 float64 `json:"hr@20"`
	NDCG10    float64 `json:"ndcg@10"`
	// Lead is how far what served was ahead of this source by hr@10 on the same acts, with its 95 % interval.
	Lead *lead `json:"served_ahead,omitempty"`
}

type lead struct {
	By   float64 `json:"by"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

func foreseenBy(source string, c *projections.QualityCounts) foreseen {
	f := foreseen{HitRate1: c.HitRate(1), HitRate5: c.HitRate(5), HitRate10: c.HitRate(10), HitRate20: c.HitRate(20), NDCG10: c.NDCG(10)}
	if source != events.SourceServed {
		var l lead
		l.By, l.Low, l.High = c.Lead()
		f.Lead = &l
	}
	return f
}

// qualityWindow is what one version came to over a window; of the total what all did.
type qualityWindow struct {
	From         string              `json:"from,omitempty"`
	To           string              `json:"to,omitempty"`
	FirstAct     uint64              `json:"first_act,omitempty"` // of a window of acts: their numbers in the order in which they were judged, from 1
	LastAct      uint64              `json:"last_act,omitempty"`
	ModelName    string              `json:"model_name,omitempty"`
	ModelVersion int                 `json:"model_version,omitempty"`
	Acts         uint64              `json:"acts"`            // that could have been judged
	Judged       uint64              `json:"judged"`          // of these
	NoFilm       uint64              `json:"no_film"`         // of those judged, of films that the catalogue does not have: missed by all
	Share        *float64            `json:"share,omitempty"` // of the acts, those judged
	Sources      map[string]foreseen `json:"sources"`
}

// deployedMark is a point of the curve at which the slot began to serve another version.
type deployedMark struct {
	Time         string `json:"time"`
	ModelName    string `json:"model_name"`
	ModelVersion int    `json:"model_version"`
}

// qualityQuery is what is asked for.
type qualityQuery struct {
	from, to int64
	hours    int // of a window; 0: windows are of acts
	blocks   int // of a window of acts
	last     int
	model    string
	version  int
}

func qualityQueryOf(q *api.Query, now int64) (v qualityQuery, err error) {
	const hour, day = time.Hour, 24 * time.Hour
	v.from, v.to = q.Millis("from"), q.Millis("to")
	v.model, v.version = q.Str("model"), int(q.Number("version", 0, 1, 1<<31-1))
	v.last = int(q.Number("last", qualityWindows, 1, qualityWindowsMax))
	if v.version != 0 && v.model == "" {
		q.Fault("version", "is given without model: it is a version of one")
	}
	switch window := q.Str("window"); window {
	case "", "day":
		v.hours = 24
	case "hour":
		v.hours = 1
	default:
		n, err := strconv.Atoi(window)
		if err != nil || n < projections.QualityBlock || n > qualityActsMax || n%projections.QualityBlock != 0 {
			q.Fault("window", "is %q; want day, hour, or a number of acts, %d to %d in steps of %d", api.Short(window), projections.QualityBlock, qualityActsMax, projections.QualityBlock)
		}
		v.blocks = n / projections.QualityBlock
	}
	if v.blocks > 0 {
		if q.Str("from") != "" || q.Str("to") != "" {
			q.Fault("from", "cannot be combined with a window of acts: last says how many windows are told")
		}
		return v, q.Err()
	}
	if q.Str("last") != "" {
		q.Fault("last", "is for windows of acts: from and to say which days or hours are told")
	}
	if v.to == 0 {
		v.to = now + 1
	}
	if v.from == 0 {
		v.from = time.UnixMilli(v.to - 1).Truncate(day).Add(-(qualityDays - 1) * day).UnixMilli()
	}
	v.from = time.UnixMilli(v.from).Truncate(time.Duration(v.hours) * hour).UnixMilli() // the window that it is in is told whole
	switch {
	case q.Err() != nil:
	case v.from >= v.to:
		q.Fault("from", "is not before to")
	case v.to-v.from > qualityHoursMax*hour.Milliseconds():
		q.Fault("from", "is more than %d days before to; ask for a year at a time", qualityHoursMax/24)
	}
	return v, q.Err()
}

// quality is the curve of how well what serves foresees what people choose: see [projections.Quality]. It is told by day, by hour or by a number of acts, of each version that served then, as it is
// known now or was at a moment.
func (s *Surface) quality(w http.ResponseWriter, r *http.Request) error {
	now := s.today().UnixMilli()
	v, err := qualityQueryOf(api.QueryOf(r, "from", "to", "window", "last", "model", "version"), now)
	if err != nil {
		return err
	}
	out, err := qualityOf(s.Views, now, v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

func (v *qualityQuery) rows(view *projections.Quality) ([]projections.QualityRow, error) {
	if v.blocks > 0 {
		return view.Blocks(v.last, v.blocks, qualityRowsMax)
	}
	return view.Hours(v.from, v.to, v.hours, qualityRowsMax)
}

type qualityAnswer struct {
	Windows     []qualityWindow `json:"windows"`
	Total       qualityWindow   `json:"total"`
	Deployments []deployedMark  `json:"deployments"`
}

func qualityOf(views *fold.Runner, now int64, v qualityQuery) (*qualityAnswer, error) {
	registry, view := fold.Of[*projections.Registry](views), fold.Of[*projections.Quality](views)
	if v.model != "" {
		m, ok, err := registry.Model(v.model)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.New(fault.NotFound, "no model %q", v.model)
		}
		v.model = m.Key
	}
	rows, err := v.rows(view)
	if err != nil {
		return nil, err
	}
	out := &qualityAnswer{Windows: []qualityWindow{}, Total: qualityWindow{Sources: map[string]foreseen{}}, Deployments: []deployedMark{}}
	type of struct {
		from    int64
		first   uint64
		model   string
		version int
	}
	at, total := map[of]int{}, map[string]*projections.QualityCounts{}
	for i := range rows {
		row := &rows[i]
		if v.model != "" && (row.ModelName != v.model || v.version != 0 && row.ModelVersion != v.version) {
			continue
		}
		key := of{row.FromMillis, row.FirstAct, row.ModelName, row.ModelVersion}
		n, ok := at[key]
		if !ok {
			n = len(out.Windows)
			at[key] = n
			name, err := registry.NameOf(row.ModelName)
			if err != nil {
				return nil, err
			}
			out.Windows = append(out.Windows, qualityWindow{From: stamp(row.FromMillis), To: stamp(row.ToMillis), FirstAct: row.FirstAct, LastAct: row.LastAct, ModelName: name, ModelVersion: row.ModelVersion, Sources: map[string]foreseen{}})
		}
		out.Windows[n].take(row.Source, &row.QualityCounts)
		if total[row.Source] == nil {
			total[row.Source] = &projections.QualityCounts{}
		}
		total[row.Source].Add(&row.QualityCounts)
	}
	for source, c := range total {
		out.Total.take(source, c)
	}
	if v.blocks > 0 {
		v.from, v.to = now+1, now+1 // of no acts there are no marks
		if len(rows) > 0 {
			v.from = rows[0].FromMillis
		}
	}
	out.Deployments, err = deployedBetween(views, v.from, v.to)
	return out, err
}

// take takes in what a source came to. What was judged is the same for all sources of a version; parts of other recipes saw fewer acts of a total.
func (v *qualityWindow) take(source string, c *projections.QualityCounts) {
	if source == events.SourceServed {
		v.Acts, v.Judged, v.NoFilm, v.Share = c.Acts, c.Judged, c.None, share(c.Judged, c.Acts)
	}
	v.Sources[source] = foreseenBy(source, c)
}

func stamp(millis int64) string { return events.FormatTime(time.UnixMilli(millis)) }

// deployedBetween are the deployments to the slot that people are ranked for, oldest first.
func deployedBetween(views *fold.Runner, from, to int64) ([]deployedMark, error) {
	marks := []deployedMark{}
	q := fold.PageQuery{Limit: fold.PageLimitMax}
	for {
		page, err := fold.Of[*projections.Deployments](views).History(events.ProductionSlot, fold.At{}, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items { // newest first
			d := &page.Items[i]
			if d.EventMillis < from || len(marks) == qualityMarksMax {
				page.Next = ""
				break
			}
			if d.EventMillis >= to {
				continue
			}
			name, err := fold.Of[*projections.Registry](views).NameOf(d.Model)
			if err != nil {
				return nil, err
			}
			marks = append(marks, deployedMark{stamp(d.EventMillis), name, d.Version})
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	slices.Reverse(marks)
	return marks, nil
}
