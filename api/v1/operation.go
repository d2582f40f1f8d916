package v1

import (
	"bytes"
	"context"
	"net/http"
	"os"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) operationRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/ops/verify", s.verify)
	r.Handle("POST /api/v1/ops/replay", s.replay)
	r.Handle("POST /api/v1/ops/models/{model}/{version}/rebuild", s.rebuildModel)
	r.Handle("POST /api/v1/ops/train", s.train)
	r.Handle("POST /api/v1/ops/tune", s.tune)
	r.Handle("POST /api/v1/ops/models/{model}/import", s.importModel)
	r.Handle("POST /api/v1/ops/recommendations", s.replayRecommendations)
	r.Handle("POST /api/v1/ops/similar", s.replaySimilar)
	r.Handle("POST /api/v1/ops/backup", s.backup)
	r.Handle("POST /api/v1/ops/checkpoint", s.checkpoint)
	r.Handle("POST /api/v1/ops/gc", s.gc, "runs", "logged-models", "registry")
}

// verify folds every view again from the log and compares it with the live one, byte for byte.
func (s *Surface) verify(w http.ResponseWriter, r *http.Request) error {
	if err := api.ReadJSON(w, r, &struct{}{}, true); err != nil {
		return err
	}
	return s.long(w, r, commands.OperationVerify, nil, nil, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		views, err := s.Views.Verify(ctx, s.ScratchDir, func(done, total int64) { progress("fold the log again", done, total) })
		if err != nil {
			return nil, err
		}
		out := struct {
			Equal bool              `json:"equal"`
			Views []fold.ViewReport `json:"views"`
		}{true, views}
		for _, v := range views {
			out.Equal = out.Equal && v.Equal
		}
		return out, nil
	})
}

// replay asks for views to be folded again.
type replay struct {
	View  string `json:"view,omitempty"`  // "": all
	Until string `json:"until,omitempty"` // TIME, POSITION or CUT, as known_at
	Into  string `json:"into,omitempty"`  // an empty folder on the server's machine
}

// replay folds a view (or all) again beside the running one and puts it in its place; or, with until or
// into, folds a copy up to a moment into a folder of its own and leaves the running ones alone.
func (s *Surface) replay(w http.ResponseWriter, r *http.Request) error {
	var v replay
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	var names []string
	if v.View != "" {
		names = []string{v.View}
		if len(s.factoriesOf(v.View)) == 0 {
			return fault.Field("view", "no view is named %q", api.Short(v.View)).WithHint("GET /api/v1/views lists them")
		}
	}
	if v.Until != "" || v.Into != "" {
		return s.replayCopy(w, r, names, v)
	}
	return s.long(w, r, commands.OperationReplay, v, nil, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		rebuilt := []string{}
		for _, f := range s.factoriesOf(names...) {
			name := f().Spec().Name
			if err := s.Views.Rebuild(ctx, name, func(done, total int64) { progress("rebuild "+name, done, total) }); err != nil {
				return nil, err
			}
			rebuilt = append(rebuilt, name)
		}
		return struct {
			Rebuilt []string `json:"rebuilt"`
		}{rebuilt}, nil
	})
}

func (s *Surface) replayCopy(w http.ResponseWriter, r *http.Request, names []string, asked replay) error {
	into := asked.Into
	m, err := s.MomentOf(r.Context(), "", asked.Until)
	if err != nil {
		return renamed(err, "until")
	}
	free := func() error {
		if into == "" {
			return nil
		}
		return api.NewFolder("into", into, s.Dir)
	}
	return s.long(w, r, commands.OperationReplay, asked, free, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		cut, err := m.Cut(ctx, s.Log)
		if err != nil {
			return nil, err
		}
		dir := into
		if dir == "" {
			if err := os.MkdirAll(s.ScratchDir, 0o700); err != nil {
				return nil, err
			}
			if dir, err = os.MkdirTemp(s.ScratchDir, "replay-"); err != nil {
				return nil, err
			}
			defer os.RemoveAll(dir) //nolint:errcheck // scratch is emptied at start
		}
		store, err := fold.OpenStore(dir, fold.StoreOptions{CacheBytes: scratchCacheBytes})
		if err != nil {
			return nil, err
		}
		views, err := fold.Replay(ctx, s.Log, store, cut, func(done, total int64) { progress("replay", done, total) }, s.factoriesOf(names...)...)
		var reports []fold.ViewReport
		if err == nil {
			reports, err = views.Hashes(ctx)
		}
		if closeErr := store.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, err
		}
		return struct {
			Cut   string            `json:"cut"`
			Into  string            `json:"into,omitempty"`
			Views []fold.ViewReport `json:"views"`
		}{cut.String(), into, reports}, nil
	})
}

// renamed is an error about known_at for a request that calls it otherwise.
func renamed(err error, field string) error {
	if f, ok := err.(*fault.Error); ok && f.Field == api.KnownAtParam {
		other := *f
		other.Field = field
		return &other
	}
	return err
}

// rebuildModel trains a version again from the log alone and compares the bytes. Where the same came out, and the
// blob is missing or damaged here, it is put back.
func (s *Surface) rebuildModel(w http.ResponseWriter, r *http.Request) error {
	n, err := versionOf(r)
	if err == nil {
		err = api.ReadJSON(w, r, &struct{}{}, true)
	}
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	key := name // of the model that is called so
	if m, ok, err := s.registry().Model(name); err != nil {
		return err
	} else if ok {
		key = m.Key
	}
	model, _, err := projections.FoldModel(fold.Known(s.Log.Ledger().ReadStream(r.Context(), "model/"+key, 0)), fold.At{}) // a version never changes
	if err != nil {
		return err
	}
	v := model.Version(n)
	if v == nil || model.Name != name {
		return fault.New(fault.NotFound, "no version %d of model %q", n, api.Short(name))
	}
	asked := struct {
		Model   string `json:"model"`
		Version int    `json:"version"`
	}{name, n}
	return s.long(w, r, commands.OperationRebuild, asked, nil, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		weights, sha, err := s.Rebuild(ctx, s.Log, &v.ModelVersionRegistered, progress)
		if err != nil {
			return nil, err
		}
		state := ""
		if sha == v.Blob {
			if state, err = s.putBack(ctx, v.Blob, weights); err != nil {
				return nil, err
			}
		}
		return struct {
			Model      string `json:"model"`
			Version    int    `json:"version"`
			Registered string `json:"registered_sha256"`
			SHA256     string `json:"sha256"`
			Equal      bool   `json:"equal"`
			Blob       string `json:"blob,omitempty"` // what became of it; "" where the bytes differ
		}{name, n, v.Blob, sha, sha == v.Blob, state}, nil
	})
}

// putBack writes a blob's content where the blob is missing or damaged, and says so.
func (s *Surface) putBack(ctx context.Context, hash string, content []byte) (state string, err error) {
	_, err = s.Blobs.Check(ctx, hash)
	switch {
	case err == nil:
		return "whole", nil
	case fault.Is(err, fault.NotFound):
		state = "put back: it was missing"
	case fault.Is(err, fault.Corrupt):
		state = "put back: it was damaged"
	default:
		return "", err
	}
	_, _, err = s.Blobs.Put(ctx, bytes.NewReader(content))
	return state, err
}

// replayRecommendations is what would have been recommended at a moment, with progress.
func (s *Surface) replayRecommendations(w http.ResponseWriter, r *http.Request) error {
	var v wanted
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.AsOf == "" && v.KnownAt == "" {
		return fault.Field(api.KnownAtParam, "is needed, or as_of: the moment to replay to")
	}
	req, err := v.request()
	if err != nil {
		return err
	}
	m, err := s.MomentOf(r.Context(), v.AsOf, v.KnownAt)
	if err != nil {
		return err
	}
	return s.long(w, r, commands.OperationRecommendations, v, nil, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		return s.replayed(ctx, &v, req, m, func(done, total int64) { progress("replay", done, total) })
	})
}

// replaySimilar is the films nearest to one as of a moment, with progress.
func (s *Surface) replaySimilar(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		MovieID api.ID `json:"movie_id"`
		K       *int64 `json:"k,omitempty"`
		KnownAt string `json:"known_at"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	k := int64(kDefault)
	if v.K != nil {
		k = *v.K
	}
	if k < 1 || k > KMax {
		return fault.Field("k", "is %d; want 1 to %d", k, KMax)
	}
	if v.KnownAt == "" {
		return fault.Field(api.KnownAtParam, "is needed: the moment to replay to")
	}
	id := events.CanonicalMovie(string(v.MovieID))
	if err := api.CheckID("movie_id", id); err != nil {
		return err
	}
	m, err := s.MomentOf(r.Context(), "", v.KnownAt)
	if err != nil {
		return err
	}
	return s.long(w, r, commands.OperationSimilar, v, nil, func(ctx context.Context, progress func(string, int64, int64)) (found any, err error) {
		err = s.viewsAt(ctx, m, func(done, total int64) { progress("replay", done, total) }, func(views *fold.Runner, _ streams.Cut) error {
			items, err := s.nearThen(ctx, views, id, int(k))
			found = similarAnswer{id, items}
			return err
		})
		return found, err
	})
}

// backup copies the running log and the blobs, and reads the copy again.
func (s *Surface) backup(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		To string `json:"to"` // a new folder on the server's machine
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if s.Backup == nil {
		return fault.New(fault.Unavailable, "this log cannot be copied from here").WithHint("use the backup of the log's own program")
	}
	if v.To == "" {
		return fault.Field("to", "is needed: a new folder")
	}
	free := func() error { return api.NewFolder("to", v.To, s.Dir) }
	return s.long(w, r, commands.OperationBackup, v, free, func(ctx context.Context, progress func(string, int64, int64)) (any, error) {
		return s.Backup(ctx, v.To, progress)
	})
}

// checkpoint writes the state of the views that live in memory.
func (s *Surface) checkpoint(w http.ResponseWriter, r *http.Request) error {
	if err := api.ReadJSON(w, r, &struct{}{}, true); err != nil {
		return err
	}
	return s.Stream(w, r, func(ctx context.Context, _ func(string, int64, int64)) (any, error) {
		if err := s.Views.Checkpoint(); err != nil {
			return nil, err
		}
		views, err := s.Views.Status(ctx)
		return fold.Page[fold.Status]{Items: views}, err
	})
}
