package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"
)

// openLog opens the log the folder is a node of: the embedded one in log/, or with Options.LogURL one on a
// Kafka cluster, of which index/ keeps what this node has folded. A folder stays with the log it began
// with: its views are folds of that one.
func (a *App) openLog(ctx context.Context) error {
	embedded, index := filepath.Join(a.opts.Dir, "log"), filepath.Join(a.opts.Dir, "index")
	o := LogOptions{Index: index, Now: a.opts.Now, Logf: func(format string, args ...any) { a.opts.Logger.Debug(fmt.Sprintf(format, args...)) }}
	address := a.opts.LogURL
	if address == "" {
		if exists(index) {
			return fault.New(fault.Corrupt, "%s is a node of a log on Kafka, and no address of one is given", a.opts.Dir).
				WithHint("set PROJECTIONIST_LOG=kafka://host:9092, or choose another folder with --dir")
		}
		address = embedded
	} else if exists(embedded) {
		return fault.New(fault.Corrupt, "%s has a log of its own, so it cannot be a node of the one at %s", a.opts.Dir, a.opts.LogURL).
			WithHint("choose another folder with --dir, or unset PROJECTIONIST_LOG")
	}
	l, err := OpenLog(ctx, address, o)
	if err != nil {
		return err
	}
	a.Log = l
	a.embedded, _ = l.(*local.Log)
	return nil
}

// LogOptions of a log that is opened by its address.
type LogOptions struct {
	Index string // folder of what is kept here of a log on a cluster; "" keeps it in memory
	Now   func() time.Time
	Logf  func(format string, args ...any) // of what happens in the background
	// Restoring opens a log to be filled from another one: see [streams.Restorer].
	Restoring bool
}

// OpenLog opens the log at an address: kafka://host:9092,… on a cluster, or else the folder of an embedded
// one, which is made if it is not there. Errors are those of the adapters: fault.Invalid for an address
// that is none, fault.Unavailable where it does not answer or is open elsewhere.
func OpenLog(ctx context.Context, address string, o LogOptions) (streams.Log, error) {
	if !strings.Contains(address, "://") {
		return local.Open(address, local.Options{Now: o.Now, Logf: o.Logf})
	}
	opts, err := kafka.ParseURL(address)
	if err != nil {
		return nil, err
	}
	opts.Dir, opts.Logf = o.Index, o.Logf
	return kafka.Open(ctx, opts)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
