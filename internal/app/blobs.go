package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/blob/s3"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Nodes of one log share events, not files. A node that lacks a blob asks the bucket that all put theirs into, where
// there is one, and the other nodes; the weights of a model version that nobody has it trains again from the log, to
// the same hash. So does a folder whose log is a copy of one that had its blobs elsewhere.

const (
	peerAnswersIn = 30 * time.Second
	fetchTimeout  = time.Hour       // of a blob of any size
	fetchAgain    = 5 * time.Second // after a failure
	mirrorAgain   = time.Minute     // after a failure
)

// openBlobs opens the folder of blobs, and the bucket behind it.
func (a *App) openBlobs(ctx context.Context) (err error) {
	if a.Blobs, err = OpenBlobs(a.opts.Dir); err != nil || a.opts.Blobs == "" {
		return err
	}
	bucket, err := s3.Open(ctx, a.opts.Blobs)
	if fault.Is(err, fault.Unavailable) {
		a.opts.Logger.Warn("the bucket of blobs does not answer: until it does, files and models are refused", "error", err)
		err = nil
	}
	if err == nil {
		a.Blobs.Remote = bucket
	}
	return err
}

// mirror gives the bucket what was put before there was one, and ends when it has all of it.
func (a *App) mirror(ctx context.Context) {
	for ctx.Err() == nil {
		said := time.Time{}
		put, bytes, err := a.mirrorOnce(ctx, func(done, total int) {
			if time.Since(said) >= fetchAgain {
				said = time.Now()
				a.opts.Logger.Info("giving the bucket the blobs it lacks", "done", done, "of", total)
			}
		})
		if put > 0 {
			a.opts.Logger.Info("the bucket was given blobs that it lacked", "put", put, "bytes", bytes, "bucket", a.Blobs.Remote.String())
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		a.opts.Logger.Warn("the bucket lacks blobs that this node has: it is tried again in a minute", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(mirrorAgain):
		}
	}
}

func (a *App) mirrorOnce(ctx context.Context, progress func(done, total int)) (put int, bytes int64, err error) {
	n := &a.named
	n.mu.Lock()
	err = a.readNames(ctx)
	ever := maps.Clone(n.ever)
	n.mu.Unlock()
	if err != nil {
		return 0, 0, err
	}
	return a.Blobs.Mirror(ctx, func(hash string) bool { return ever[hash] > 0 }, progress)
}

// fetches are the blobs under way.
type fetches struct {
	mu     sync.Mutex
	failed map[string]error
	tried  map[string]time.Time
	going  map[string]bool
}

// elsewhere begins to get a blob that is not here, and says that it is on its way; or at once that it
// cannot be had, where there is nobody to ask and it is no model version's.
func (a *App) elsewhere(hash string) error {
	if len(a.opts.Peers) == 0 && a.Blobs.Remote == nil {
		if versions, err := fold.Of[*projections.Registry](a.Views).ByBlob(hash); err != nil {
			return err
		} else if len(versions) == 0 {
			return fault.New(fault.NotFound, "no blob %s", hash)
		}
	}
	f := &a.fetching
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.going == nil {
		f.going, f.failed, f.tried = map[string]bool{}, map[string]error{}, map[string]time.Time{}
	}
	if err := f.failed[hash]; err != nil && a.opts.Now().Sub(f.tried[hash]) < fetchAgain {
		return err
	}
	if !f.going[hash] && a.work.Err() == nil {
		f.going[hash] = true
		a.background.Add(1)
		go func() {
			defer a.background.Done()
			err := a.obtain(a.work, hash)
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.going, hash)
			f.failed[hash], f.tried[hash] = err, a.opts.Now()
		}()
	}
	return fault.New(fault.Unavailable, "blob %s is not on this node yet", hash).
		WithHint("it is being fetched, or made again from the log: try again later")
}

// obtain puts a blob into the store, from wherever it can be had.
func (a *App) obtain(ctx context.Context, hash string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	lacks := a.Blobs.Fetch(ctx, hash)
	if lacks == nil {
		return nil
	}
	if !fault.Is(lacks, fault.NotFound) {
		a.opts.Logger.Warn("a blob cannot be had from the bucket", "blob", hash, "error", lacks)
	}
	peers := slices.Clone(a.opts.Peers)
	if a.opts.From != "" { // the node that has given its views has their weights
		peers = append(peers, a.opts.From)
	}
	for _, peer := range peers {
		if err := a.ask(ctx, peer, hash); err == nil {
			return nil
		} else {
			a.opts.Logger.Debug("a node has no blob", "peer", peer, "blob", hash, "error", err)
		}
	}
	versions, err := fold.Of[*projections.Registry](a.Views).ByBlob(hash)
	if err != nil {
		return err
	}
	if len(versions) > 0 { // several versions of one blob are the same training
		v := versions[0]
		a.opts.Logger.Info("training a version again whose weights no node has", "model", v.Name, "version", v.Version)
		weights, sha, err := roles.Rebuild(ctx, a.Log, &v.ModelVersionRegistered, nil)
		if err != nil {
			return err
		}
		if sha != hash {
			return fault.New(fault.Corrupt, "%s version %d was trained again to %s, not to %s", v.Name, v.Version, sha, hash)
		}
		_, _, err = a.Blobs.Put(ctx, bytes.NewReader(weights))
		return err
	}
	if fault.Is(lacks, fault.Unavailable) {
		return lacks
	}
	return fault.New(fault.NotFound, "no blob %s: no other node has it, and it is no model version's weights", hash)
}

// askNode asks another node, with the credentials that all have.
func (a *App) askNode(ctx context.Context, node, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", strings.TrimSuffix(node, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	Authorise(req, a.opts.Token, a.opts.Users)
	return http.DefaultClient.Do(req)
}

// ask gets a blob from another node, and believes only its hash.
func (a *App) ask(ctx context.Context, peer, hash string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(peerAnswersIn, cancel)
	resp, err := a.askNode(ctx, peer, "/api/v1/blobs/"+hash)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	_, err = a.Blobs.PutAs(ctx, hash, &hurried{resp.Body, late})
	return err
}

// hurried is a body that must not stand still.
type hurried struct {
	io.Reader
	late *time.Timer
}

func (h *hurried) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	h.late.Reset(peerAnswersIn)
	return n, err
}
