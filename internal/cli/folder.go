package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/projectionist/projectionist/internal/app"
)

// Without --dir, `serve` keeps every data set in a folder of its own below dirDefault, named after it, and
// the other commands find the folder that is meant.

// folderFor is where serve keeps a data set; "" is the simulated world.
func folderFor(data string) string {
	name := "simulated"
	if data != "" {
		if abs, err := filepath.Abs(data); err == nil {
			data = abs
		}
		name = strings.TrimSuffix(filepath.Base(data), ".zip")
	}
	return filepath.Join(dirDefault, name)
}

// folder is the data folder that a command means when it names none: the one that is served, or else the
// one that was used last.
func folder(ctx context.Context) string {
	entries, err := os.ReadDir(dirDefault)
	if err != nil {
		return folderFor("")
	}
	last, lastUse := folderFor(""), int64(-1)
	for _, e := range entries {
		dir := filepath.Join(dirDefault, e.Name())
		if !app.IsFolder(dir) {
			continue
		}
		if _, ok := servedAt(ctx, dir); ok {
			return dir
		}
		// The log's folder changes with every start, if only by its files.
		if info, err := os.Stat(filepath.Join(dir, "log")); err == nil && info.ModTime().UnixNano() > lastUse {
			last, lastUse = dir, info.ModTime().UnixNano()
		}
	}
	return last
}
