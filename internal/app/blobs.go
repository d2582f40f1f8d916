package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
)

// Nodes of one log share events, not files. A node that lacks the weights of a model version asks the
// others for them; where none has them it trains the version again from the log, to the same hash. So does
// a folder whose log is a copy of one that had its blobs elsewhere.

const (
	peerTimeout  = 30 * time.Second
	peerBytesMax = 4 << 30
	fetchAgain   = 5 * time.Second // after a failure
)

// fetches are the blobs under way.
type fetches struct {
	mu     sync.Mutex
	failed map[string]error
	tried  map[string]time.Time
	going  map[string]bool
}

// elsewhere begins to get a blob that is not here, and says that it is on its way; or at once that it
// cannot be had, where there is nobody to ask and it is no model version's.
func (a *App) elsewhere(hash string) ([]byte, error) {
	if len(a.opts.Peers) == 0 {
		if versions, err := fold.Of[*projections.Registry](a.Views).ByBlob(hash); err != nil {
			return nil, err
		} else if len(versions) == 0 {
			return nil, fault.New(fault.NotFound, "no blob %s", hash)
		}
	}
	f := &a.fetching
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.going == nil {
		f.going, f.failed, f.tried = map[string]bool{}, map[string]error{}, map[string]time.Time{}
	}
	if err := f.failed[hash]; err != nil && a.opts.Now().Sub(f.tried[hash]) < fetchAgain {
		return nil, err
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
	return nil, fault.New(fault.Unavailable, "blob %s is not on this node yet", hash).
		WithHint("it is being fetched from another node, or made again from the log: try again later")
}

// obtain puts a blob into the store, from wherever it can be had.
func (a *App) obtain(ctx context.Context, hash string) error {
	peers := slices.Clone(a.opts.Peers)
	if a.opts.From != "" { // the node that has given its views has their weights
		peers = append(peers, a.opts.From)
	}
	for _, peer := range peers {
		b, err := a.ask(ctx, peer, hash)
		if err != nil {
			a.opts.Logger.Debug("a node has no blob", "peer", peer, "blob", hash, "error", err)
			continue
		}
		_, _, err = a.Blobs.Put(bytes.NewReader(b))
		return err
	}
	versions, err := fold.Of[*projections.Registry](a.Views).ByBlob(hash)
	if err != nil {
		return err
	}
	if len(versions) > 0 { // several versions of one blob are the same training
		v := versions[0]
		a.opts.Logger.Info("training a version again whose weights no node has", "model", v.Name, "version", v.Version)
		trained, err := trainset.Rebuild(ctx, a.Log, &v.ModelVersionRegistered, nil)
		if err != nil {
			return err
		}
		if trained.SHA256 != hash {
			return fault.New(fault.Corrupt, "%s version %d was trained again to %s, not to %s", v.Name, v.Version, trained.SHA256, hash)
		}
		_, _, err = a.Blobs.Put(bytes.NewReader(trained.Bytes))
		return err
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
func (a *App) ask(ctx context.Context, peer, hash string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	resp, err := a.askNode(ctx, peer, "/api/v1/blobs/"+hash)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, peerBytesMax))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("what %s sent has another hash", peer)
	}
	return b, nil
}
