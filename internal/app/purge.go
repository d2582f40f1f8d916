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

// namedFiles are the files that a stream has named, as far as it was read.
type namedFiles struct {
	has  fileEvents
	next streams.Revision
}

// upTo reads on to a revision of the stream, that included, and gives what the event there let go of: the files that were deleted or
// purged with it.
func (f *namedFiles) upTo(ctx context.Context, ledger streams.Ledger, stream string, to streams.Revision) (let fileEvents, err error) {
	if f.has == nil {
		f.has = fileEvents{}
	}
	for com, err := range ledger.ReadStream(ctx, stream, f.next) {
		if com == nil {
			return nil, err
		}
		for i := range com.Events {
			at := com.Revision + streams.Revision(i)
			if at < f.next {
				continue
			}
			if at > to {
				return let, nil
			}
			f.next, let = at+1, f.take(&com.Events[i])
		}
	}
	return let, nil
}

// take takes in an event, and gives what it let go of.
func (f *namedFiles) take(e *events.Event) fileEvents {
	switch x := e.Data.(type) {
	case *events.RunArtifactLogged:
		f.has[x.Path] = append(f.has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
	case *events.LoggedModelArtifactLogged:
		f.has[x.Path] = append(f.has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
	case *events.ArtifactStored:
		f.has[x.Path] = append(f.has[x.Path], fileEvent{hashesIn(e), x.Blob, x.Bytes})
	case *events.ArtifactDeleted:
		return f.has.cut(x.Path)
	case *events.RunArtifactDeleted:
		return f.has.cut(x.Path)
	case *events.LoggedModelArtifactDeleted:
		return f.has.cut(x.Path)
	case *events.RunPurged, *events.LoggedModelPurged:
		return f.has.cut("")
	}
	return nil
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
		var files namedFiles
		if _, err := files.upTo(ctx, a.Log.Ledger(), stream, math.MaxInt64); err != nil {
			return 0, 0, err
		}
		for name := range files.has.names() {
			fewer[name]++
		}
		for _, all := range files.has {
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
