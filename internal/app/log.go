package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"
)

// openLog opens the log the folder is a node of: the embedded one in log/, or with Options.LogURL one on a
// Kafka cluster, of which index/ keeps what this node has folded. A folder stays with the log it began
// with: its views are folds of that one.
func (a *App) openLog(ctx context.Context) error {
	logf := func(format string, args ...any) { a.opts.Logger.Debug(fmt.Sprintf(format, args...)) }
	embedded, index := filepath.Join(a.opts.Dir, "log"), filepath.Join(a.opts.Dir, "index")
	if a.opts.LogURL == "" {
		if exists(index) {
			return fault.New(fault.Corrupt, "%s is a node of a log on Kafka, and no address of one is given", a.opts.Dir).
				WithHint("set PROJECTIONIST_LOG=kafka://host:9092, or choose another folder with --dir")
		}
		l, err := local.Open(embedded, local.Options{Now: a.opts.Now, Logf: logf})
		if err != nil {
			return err
		}
		a.embedded, a.Log = l, l
		return nil
	}
	if exists(embedded) {
		return fault.New(fault.Corrupt, "%s has a log of its own, so it cannot be a node of the one at %s", a.opts.Dir, a.opts.LogURL).
			WithHint("choose another folder with --dir, or unset PROJECTIONIST_LOG")
	}
	opts, err := kafka.ParseURL(a.opts.LogURL)
	if err != nil {
		return err
	}
	opts.Dir, opts.Logf = index, logf
	l, err := kafka.Open(ctx, opts)
	if err != nil {
		return err
	}
	a.Log = l
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
