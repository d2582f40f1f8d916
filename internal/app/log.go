package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
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
		return local.Open(address, local.Options{Now: o.Now, Logf: o.Logf, Restoring: o.Restoring})
	}
	opts, err := kafka.ParseURL(address)
	if err != nil {
		return nil, err
	}
	opts.Dir, opts.Logf, opts.Restoring = o.Index, o.Logf, o.Restoring
	return kafka.Open(ctx, opts)
}

// EmbeddedLog is the address of the log in a data folder. Errors: fault.NotFound where there is no such
// folder, fault.Invalid for one whose log is elsewhere.
func EmbeddedLog(dir string) (address string, err error) {
	address = filepath.Join(dir, "log")
	switch {
	case !IsFolder(dir):
		return "", fault.New(fault.NotFound, "%s is no data folder", dir).WithHint("give one that `projectionist serve` has made, or the address of a log such as kafka://host:9092")
	case exists(filepath.Join(dir, "index")):
		return "", fault.New(fault.Invalid, "%s is a node of a log on Kafka, and has none of its own", dir).WithHint("give that log's address, such as kafka://host:9092")
	case !exists(address):
		return "", fault.New(fault.NotFound, "%s has no log", dir)
	}
	return address, nil
}

// NewEmbeddedLog is the address of the log in a data folder, which is made if it is not there. Errors are
// those of [Open] for the folder, and fault.Invalid for one whose log is elsewhere.
func NewEmbeddedLog(dir string) (address string, err error) {
	if err := openFolder(dir); err != nil {
		return "", err
	}
	address = filepath.Join(dir, "log")
	if !exists(address) && !exists(filepath.Join(dir, "index")) {
		return address, nil
	}
	return EmbeddedLog(dir)
}

// ForgetFolds removes from a data folder what follows from its log, before that becomes another one. It
// grows back.
func ForgetFolds(dir string) error {
	return errors.Join(os.RemoveAll(projections.StoreDir(dir)), os.RemoveAll(filepath.Join(dir, "reactors")))
}

// OpenBlobs opens the blobs of a data folder, without the program around them.
func OpenBlobs(dir string) (*blob.Store, error) { return blob.Open(filepath.Join(dir, "blobs")) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
