package app

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// A data folder holds:
//
//	projectionist.json   whose folder it is, and the format
//	log/                 the log: the only thing that cannot be made again
//	index/               instead of log/ for a log on Kafka: what this node has folded of it
//	feeds/               instead of log/ for a ledger on EventStoreDB: log/ with the feeds and a copy of the
//	                     ledger, or index/ where those are on Kafka
//	blobs/               weights and data sets, named by their hash; events point at them
//	views/               folds of the log; may be deleted at any time
//	reactors/            how far each reactor has read; may be deleted at any time
//	data/                raw answers of TMDB and files made for people
//	scratch/             work in progress; emptied at start
//	server.json          where the process that serves the folder listens; gone when it has ended well
const (
	folderFile   = "projectionist.json"
	folderFormat = 1
	serverFile   = "server.json"
)

type folderMark struct {
	Program string `json:"program"`
	Format  int    `json:"format"`
}

// openFolder makes the folder or checks that it is one of this program's.
func openFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot make the data folder").(*fault.Error).
			WithHint("choose another with --dir")
	}
	path := filepath.Join(dir, folderFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "cannot read the data folder")
		}
		for _, e := range entries {
			// What a start that was killed before it could mark the folder leaves behind.
			if e.Name() != folderFile+".tmp" {
				return fault.New(fault.Corrupt, "%s is not empty and not a data folder of this program (it holds %s)", dir, e.Name()).
					WithHint("choose an empty or new folder with --dir")
			}
		}
		mark, err := json.Marshal(folderMark{"projectionist", folderFormat})
		if err != nil {
			return err
		}
		return fault.Wrap(fault.Unavailable, writeFile(path, append(mark, '\n')), "cannot write to the data folder")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot read the data folder")
	}
	var mark folderMark
	if err := json.Unmarshal(b, &mark); err != nil || mark.Program != "projectionist" {
		return fault.New(fault.Corrupt, "%s is not this program's: the folder belongs to another", path).WithHint("choose another folder with --dir")
	}
	if mark.Format > folderFormat {
		return fault.New(fault.Corrupt, "%s has format %d; this program knows up to %d", dir, mark.Format, folderFormat).WithHint("run the newer program")
	}
	return nil
}

// UnmakeFolder removes a data folder that was made and has nothing in it yet.
func UnmakeFolder(dir string) error {
	os.Remove(filepath.Join(dir, "scratch")) // it may not be there, or not be empty: then nor is dir
	return errors.Join(os.Remove(filepath.Join(dir, folderFile)), os.Remove(dir))
}

// IsFolder says whether dir is a data folder of this program.
func IsFolder(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, folderFile))
	var mark folderMark
	return err == nil && json.Unmarshal(b, &mark) == nil && mark.Program == "projectionist"
}

// writeFile replaces a file whole: it is either the old one or the new one, also after a crash.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Serving says where a folder is served.
type Serving struct {
	Dir     string    `json:"dir"` // absolute: a copy of the folder is not served by the original's process
	Address string    `json:"address"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// ReadServing tells where the folder is, or was last, served; false if nowhere.
func ReadServing(dir string) (Serving, bool) {
	var s Serving
	b, err := os.ReadFile(filepath.Join(dir, serverFile))
	if err != nil || json.Unmarshal(b, &s) != nil {
		return s, false
	}
	abs, err := filepath.Abs(dir)
	return s, err == nil && s.Dir == abs
}
