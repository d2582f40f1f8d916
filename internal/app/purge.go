package app

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// fileEvents are the events by which a stream, a run's, a logged model's or one of loose files, has named its files, by path, as far as these are its still.
type fileEvents map[string][]fileEvent

type fileEvent struct {
	hashes []string // in the event
	blob   string
	bytes  int64
}

// names yields every hash that the events name, as often as they do.
func (f fileEvents) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, path := range slices.Sorted(maps.Keys(f)) {
			for _, e := range f[path] {
				for _, name := range e.hashes {
					if !yield(name) {
						return
					}
				}
			}
		}
	}
}

// cut takes what is at a path or below it out, and gives it.
func (f fileEvents) cut(at string) fileEvents {
	out := fileEvents{}
	for path, e := range f {
		if events.Within(path, at) {
			out[path] = e
			delete(f, path)
		}
	}
	return out
}

// letGo is what the event of a stream of that revision lets go of: the files that were deleted or purged with it.
func letGo(ctx context.Context, ledger streams.Ledger, stream string, revision streams.Revision) (let fileEvents, err error) {
	_, let, err = files(ctx, ledger, stream, revision)
	return let, err
}

// files reads which files a run or a logged model has named, up to a revision of its stream, that included, and what the
// last event let go of.
func files(ctx context.Context, ledger streams.Ledger, stream string, to streams.Revision) (has, let fileEvents, err error) {
	has = fileEvents{}
	for com, err := range ledger.ReadStream(ctx, stream, 0) {
		if com == nil {
			return nil, nil, err
		}
		for i := range com.Events {
			if com.Revision+streams.Revision(i) > to {
				return has, let, nil
			}
			let = nil
			e := &com.Events[i]
			switch x := e.Data.(type) {
			case *events.RunArtifactLogged:
				has[x.Path] = append(has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
			case *events.LoggedModelArtifactLogged:
				has[x.Path] = append(has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
			case *events.ArtifactStored:
				has[x.Path] = append(has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
			case *events.ArtifactDeleted:
				let = has.cut(x.Path)
			case *events.RunArtifactDeleted:
				let = has.cut(x.Path)
			case *events.LoggedModelArtifactDeleted:
				let = has.cut(x.Path)
			case *events.RunPurged, *events.LoggedModelPurged:
				let = has.cut("")
			}
		}
	}
	return has, let, nil
}

// Freed says what would be named by nobody if the runs and logged models of these streams were purged.
func (a *App) Freed(ctx context.Context, purged []string) (blobs int, bytes int64, err error) {
	n := &a.named
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := a.readNames(ctx); err != nil {
		return 0, 0, err
	}
	fewer, size := map[string]int{}, map[string]int64{}
	for _, stream := range purged {
		has, _, err := files(ctx, a.Log.Ledger(), stream, math.MaxInt64)
		if err != nil {
			return 0, 0, err
		}
		for name := range has.names() {
			fewer[name]++
		}
		for _, all := range has {
			for _, e := range all {
				size[e.blob] = e.bytes
			}
		}
	}
	for name, times := range fewer {
		if held := slices.ContainsFunc(slices.Collect(maps.Values(n.held)), func(h map[string]bool) bool { return h[name] }); n.ever[name] <= times && !held {
			blobs++
			bytes += size[name]
		}
	}
	return blobs, bytes, nil
}
