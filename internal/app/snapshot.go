package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/snapshot"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
)

// A new node of a shared log can start from another one's views and index instead of from the log's first
// record. What it takes is a fold of the same log, so it ends equal to a node that has folded everything
// itself; and it may be refused at any moment, for the log has everything.

const (
	// snapshotStall is how long the other node may send nothing: it copies its views before the first byte.
	snapshotStall = time.Minute
	// snapshotPatience is how long a node that is busy, such as with another one's snapshot, is asked again.
	snapshotPatience = 2 * time.Minute
	snapshotAgain    = time.Second

	hintFrom = "correct it, or leave it out: then all views are folded from the log"
)

// nodeLog is a log that several nodes share, each with an index of its own.
type nodeLog interface {
	Identity() kafka.Identity
	Checkpoint(dir string) error
}

// snapshotOf copies the views and then the index into a folder, so that the index is not behind them.
func (a *App) snapshotOf(l nodeLog) func(dir string) (*snapshot.Manifest, error) {
	return func(dir string) (*snapshot.Manifest, error) {
		views, err := a.Views.Snapshot(filepath.Join(dir, snapshot.Views))
		if err != nil {
			return nil, err
		}
		if err := l.Checkpoint(filepath.Join(dir, snapshot.Index)); err != nil {
			return nil, err
		}
		return &snapshot.Manifest{Log: snapshot.Log(l.Identity()), Views: views}, nil
	}
}

// Origin says in a sentence what became of Options.From; "" where there was none.
func (a *App) Origin() string { return a.origin }

// checkFrom refuses a node to start from that cannot be one, before anything is made.
func checkFrom(o Options) error {
	if o.From == "" {
		return nil
	}
	if o.LogURL == "" {
		return fault.Field("from", "the folder's log is its own, so there is no other node to start from").
			WithHint("set PROJECTIONIST_LOG=kafka://host:9092 as on that node, or leave it out")
	}
	if isEventStore(o.LogURL) {
		return fault.Field("from", "a node of a ledger on EventStoreDB folds it itself").WithHint("leave it out")
	}
	u, err := url.Parse(o.From)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fault.Field("from", "%q is no node's address: want such as http://10.0.0.2:8000", o.From).WithHint(hintFrom)
	}
	return nil
}

// startFrom puts the views and the index of another node into a folder that has no views yet, before the
// log is opened. A node that cannot have them starts without and says why; the error is of the operator's
// making, or of the log.
func (a *App) startFrom(ctx context.Context) error {
	from, dir := strings.TrimSuffix(a.opts.From, "/"), a.opts.Dir
	if from == "" {
		return nil
	}
	if exists(filepath.Join(dir, "log")) {
		return nil // it is no node of that log: openLog says so
	}
	if has, err := hasViews(dir); has || err != nil {
		a.origin = fmt.Sprintf("%s has views already: those of %s are not wanted", dir, from)
		return err
	}
	scratch := filepath.Join(dir, "scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	staged, err := os.MkdirTemp(scratch, "from-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staged) //nolint:errcheck // scratch is emptied when the log is open

	start := time.Now()
	m, err := a.take(ctx, from, staged)
	if err == nil {
		err = a.checkSnapshot(ctx, staged)
	}
	if err == nil {
		err = install(staged, dir)
	}
	var f *fault.Error
	switch {
	case err == nil:
		took := time.Since(start)
		a.origin = fmt.Sprintf("took the views of %s: %.1f MiB in %.1f s (%.0f MiB/s)", from, mib(m.Bytes()), took.Seconds(), mib(m.Bytes())/took.Seconds())
		a.opts.Logger.Info(a.origin)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &f) && f.Field != "": // the operator's mistake
		return err
	}
	a.opts.Logger.Warn("no views from the other node: folding all of them from the log", "from", from, "error", err)
	a.origin = fmt.Sprintf("NO VIEWS from %s: folding all of them from the log", from)
	return nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// hasViews says whether a data folder has any. An empty folder, which a start that was killed leaves, has none.
func hasViews(dir string) (bool, error) {
	entries, err := os.ReadDir(fold.StoreDir(dir))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, fault.Wrap(fault.Unavailable, err, "cannot read the data folder")
}

// take downloads a snapshot into a folder, and asks again while the other node is busy.
func (a *App) take(ctx context.Context, from, staged string) (*snapshot.Manifest, error) {
	until := time.Now().Add(snapshotPatience)
	for {
		m, err := a.takeOnce(ctx, from, staged)
		var busy *busyError
		if !errors.As(err, &busy) || time.Now().After(until) {
			return m, err
		}
		a.progress("waiting for "+from, 0, 0)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(snapshotAgain):
		}
	}
}

// busyError is a node's answer that is another one later.
type busyError struct{ error }

func (a *App) takeOnce(ctx context.Context, from, staged string) (*snapshot.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(snapshotStall, func() { cancel(fmt.Errorf("it sent nothing for %v", snapshotStall)) })
	defer stalled.Stop()
	resp, err := a.askNode(ctx, from, "/api/v1/ops/snapshot")
	if err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	body := readerFunc(func(b []byte) (int, error) {
		stalled.Reset(snapshotStall)
		n, err := resp.Body.Read(b)
		if err != nil && err != io.EOF {
			err = cmp.Or(context.Cause(ctx), err)
		}
		return n, err
	})
	return snapshot.Receive(body, staged, accepts,
		func(done, total int64) { a.progress("taking the views of "+from, done, total) })
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (a *App) progress(stage string, done, total int64) {
	if a.opts.Progress != nil {
		a.opts.Progress(stage, done, total)
	}
}

// refusal is an answer without a snapshot. Its field is set where the operator has to correct something.
func refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) //nolint:errcheck // then the status alone has to do
	var p api.Problem
	said := resp.Status
	if json.Unmarshal(b, &p) == nil && p.Detail != "" {
		said = p.Detail
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Field("from", "the other node does not let this one in: %s", said).WithHint("set PROJECTIONIST_TOKEN to the same secret on both, or leave --from out")
	case http.StatusConflict:
		return fault.Field("from", "the other node has no snapshot to give: %s", said).WithHint(hintFrom)
	case http.StatusServiceUnavailable:
		return &busyError{fault.New(fault.Unavailable, "the other node is busy: %s", said)}
	}
	return fault.New(fault.Unavailable, "the other node has no snapshot to give: %s", said)
}

// accepts refuses, before it is downloaded, what this program could not read.
func accepts(m *snapshot.Manifest) error {
	var f *fault.Error
	if errors.As(fold.Readable(m.Views, projections.All()...), &f) {
		return fault.New(f.Code, "it runs a newer program (%s): %s", m.Version, f.Message)
	}
	return nil
}

// checkSnapshot opens what was taken as it will be opened, while it can still be refused: the index on the
// log, which refuses another one's, and the views. Only a fault.Corrupt is the snapshot's; where the log
// cannot be opened the node cannot start with or without it.
func (a *App) checkSnapshot(ctx context.Context, staged string) (err error) {
	l, err := OpenLog(ctx, a.opts.LogURL, LogOptions{Index: filepath.Join(staged, snapshot.Index), Now: a.opts.Now,
		Logf: func(format string, args ...any) { a.opts.Logger.Debug(fmt.Sprintf(format, args...)) }})
	if err != nil {
		return unfit(err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	head, err := fold.HeadCut(ctx, l, time.Time{})
	if err != nil {
		return err
	}
	return checkViews(staged, head)
}

func checkViews(staged string, head streams.Cut) (err error) {
	s, err := fold.OpenStore(filepath.Join(staged, snapshot.Views), fold.StoreOptions{})
	if err != nil {
		return unfit(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return unfit(s.Fits(head, projections.All()...))
}

// unfit is an error of what was taken. Its remedy is left out: it names a folder that is about to go.
func unfit(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	other := *f
	other.Message, other.Hint = "what it sent does not fit: "+f.Message, ""
	return &other
}

// install moves what was taken into place, whole and on the disk before any of it can be found there. The
// views come first: without an index the log makes one anew.
func install(staged, dir string) error {
	err := filepath.WalkDir(staged, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, syncPath(path))
	})
	if err != nil {
		return err
	}
	for _, name := range []string{snapshot.Views, snapshot.Index} {
		to := filepath.Join(dir, name)
		if entries, err := os.ReadDir(to); err == nil && len(entries) == 0 {
			if err := os.Remove(to); err != nil {
				return err
			}
		} else if err == nil && name == snapshot.Index {
			break // of the same log, or the log will say so
		}
		if err := os.Rename(filepath.Join(staged, name), to); err != nil {
			return err
		}
	}
	return syncPath(dir)
}

// syncPath makes a file's content, or a folder's entries, outlive a crash.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
