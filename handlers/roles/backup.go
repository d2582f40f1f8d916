package roles

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
)

// Backup is what became of one.
type Backup struct {
	To                       string // its folder
	Records, Blobs, BlobSize int64
	Note                     string
}

// backup copies the running log and the blobs into a new folder below the one that is named, which is called by the
// run, the task and the try: what a try has left that was cut off is no backup, and is not in the way of the next.
func backup(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	if w.cfg.Backup == nil {
		return nil, react.Permanent(fault.New(fault.Unavailable, "this log cannot be copied by its nodes").WithHint("back it up where it is, such as on Kafka"))
	}
	to := args[argTo]
	if !filepath.IsAbs(to) {
		return nil, react.Permanent(fault.Field(argTo, "is %q; want an absolute path, apart from the data folder", to))
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r) {
			return r
		}
		return '-' // of a run's id, which may have colons
	}, fmt.Sprintf("%s.%s.%d", w.RunID(), w.Task(), w.Try()))
	done, err := w.cfg.Backup(ctx, filepath.Join(to, strings.TrimLeft(name, ".")), func(stage string, n, of int64) { w.Progress(stage, n, of) })
	if fault.Is(err, fault.Invalid) {
		err = react.Permanent(err)
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{"folder": done.To, "records": strconv.FormatInt(done.Records, 10), "blobs": strconv.FormatInt(done.Blobs, 10), "bytes": strconv.FormatInt(done.BlobSize, 10)}
	if done.Note != "" {
		out["note"] = done.Note
	}
	return out, nil
}
