package v1

import (
	"context"
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) importRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/imports", (*Surface).imports, "imports")
	r.Handle("GET /api/v1/imports/{import}", s.importOne, "imports")
	r.Handle("POST /api/v1/imports", s.importData)
}

func (s *Surface) imports(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Imports](s.Views).List(page)
	return api.Paged(w, p, err)
}

func (s *Surface) importOne(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("import")
	im, ok, err := documentAt(m, fold.Of[*projections.Imports](s.Views).Import, projections.FoldImport, s.streamOf(r.Context(), "import", id), id)
	return api.Found(w, im, ok, err, "no import %q", api.Short(id))
}

// simulate asks for a simulated world. Zero values stand for the world's defaults; end is today's first
// instant by default, so that asking twice in a day imports nothing twice.
type simulate struct {
	Seed   uint64 `json:"seed"`
	Users  int    `json:"users"`
	Movies int    `json:"movies"`
	Events int    `json:"events"`
	Start  string `json:"start"`
	End    string `json:"end"`
}

func (v *simulate) params(now time.Time) (world.Params, error) {
	p := world.Params{Seed: v.Seed, Users: v.Users, Movies: v.Movies, Events: v.Events, End: now.UTC().Truncate(24 * time.Hour)}
	for _, t := range []struct {
		field, text string
		into        *time.Time
	}{{"simulate.start", v.Start, &p.Start}, {"simulate.end", v.End, &p.End}} {
		if t.text == "" {
			continue
		}
		ms, err := api.ParseTime(t.text)
		if err != nil {
			return p, fault.Field(t.field, "%v", err)
		}
		*t.into = time.UnixMilli(ms).UTC()
	}
	return p, nil
}

// columns are names of a csv file's header, or numbers from 1.
type columns struct {
	User   api.Scalar `json:"user"`
	Item   api.Scalar `json:"item"`
	Rating api.Scalar `json:"rating"`
	Time   api.Scalar `json:"time"`
}

// openData opens the data set at path, or the csv file that has the columns.
func openData(path string, c *columns) (*dataset.Set, error) {
	if c == nil {
		set, err := dataset.Open(path)
		if err != nil {
			return nil, fault.Field("path", "%v", err).WithHint("give the folder or .zip of a MovieLens or MovieTweetings data set on the server's machine")
		}
		return set, nil
	}
	set, err := dataset.OpenCSV(path, dataset.Columns{User: string(c.User), Item: string(c.Item), Rating: string(c.Rating), Time: string(c.Time)})
	if err != nil && !fault.Is(err, fault.Invalid) { // those about the columns name them
		return nil, fault.Field("path", "%v", err).WithHint("give a csv file on the server's machine")
	}
	return set, err
}

func (s *Surface) importData(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Path     string    `json:"path,omitempty"`    // on the server's machine
		Columns  *columns  `json:"columns,omitempty"` // of the csv file at path
		Simulate *simulate `json:"simulate,omitempty"`
		Merge    bool      `json:"merge,omitempty"`    // ids mean the same as in the data sets imported before
		BadRows  int64     `json:"bad_rows,omitempty"` // lines that cannot be read and go to the quarantine; at the next it stops
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	switch {
	case err != nil:
		return err
	case s.Importer == nil:
		return fault.New(fault.Unavailable, "this process does not import").WithHint("projectionist import PATH does")
	case (v.Path == "") == (v.Simulate == nil):
		return fault.Field("path", "give either path, of a data set on the server's machine, or simulate")
	case v.Columns != nil && v.Simulate != nil:
		return fault.Field("columns", "are those of a csv file at path; a simulated world has none")
	case v.BadRows < 0 || v.BadRows > commands.BadRowsMax:
		return fault.Field("bad_rows", "is %d; want 0 to %d", v.BadRows, commands.BadRowsMax)
	}
	return s.long(w, r, commands.OperationImport, v, nil, func(ctx context.Context, progress func(stage string, done, total int64)) (any, error) {
		follow := func(p ingest.Progress) { progress(p.Stage, p.Done, p.Total) }
		var src ingest.Source
		if v.Simulate != nil {
			params, err := v.Simulate.params(s.Now())
			if err != nil {
				return nil, err
			}
			if src, err = ingest.FromWorld(params, s.Now()); err != nil {
				return nil, fault.Field("simulate", "%v", err)
			}
		} else {
			set, err := openData(v.Path, v.Columns)
			if err != nil {
				return nil, err
			}
			defer set.Close() //nolint:errcheck // read only
			progress("opening "+set.Name, 0, 0)
			if src, err = ingest.FromDataset(ctx, set, v.Path, s.Now(), follow); err != nil {
				return nil, fault.Wrap(fault.Invalid, err, "the data set at %s", v.Path)
			}
		}
		src.Merge, src.BadRowsMax = v.Merge, v.BadRows
		return s.Importer.Import(ctx, src, m.Actor, follow)
	})
}
