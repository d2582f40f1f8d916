package local

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/conformance"
)

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   func() vfs.FS
		dir  func(t testing.TB) string
	}{
		{"Mem", func() vfs.FS { return vfs.NewMem() }, func(testing.TB) string { return "log" }},
		{"Disk", func() vfs.FS { return vfs.Default }, func(t testing.TB) string { return t.TempDir() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			open := func(t testing.TB) streams.Log {
				return mustOpen(t, c.dir(t), Options{FS: c.fs()})
			}
			conformance.Run(t, open, conformance.Features{
				Reopen: func(t testing.TB, log streams.Log) streams.Log {
					l := log.(*Log)
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					return mustOpen(t, l.dir, Options{FS: l.opts.FS})
				},
				Foreign: appendForeign,
			})
		})
	}
}

func mustOpen(t testing.TB, dir string, opts Options) *Log {
	t.Helper()
	opts.Logf = t.Logf
	l, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// appendForeign appends records to the ledger's topic without judging them.
func appendForeign(t testing.TB, log streams.Log, recs []streams.Record) {
	t.Helper()
	l := log.(*Log)
	r := &request{bytes: 1 << 20, done: make(chan struct{})}
	r.fill = func(g *group) error {
		for i := range recs {
			if err := l.fillRecord(g, l.ledger, 0, &recs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if l.submit(r) {
		l.lead()
	}
	if <-r.done; r.err != nil {
		t.Fatal(r.err)
	}
}
