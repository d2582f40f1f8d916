package app

import (
	"encoding/json"
	"errors"
	"fmt"
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
//	facts/               what people did, as training reads it; may be deleted at any time
//	named.json           which blobs events name, up to a commit; may be deleted at any time
//	reactors/            how far each reactor has read; may be deleted at any time
//	data/, models/       raw answers of TMDB and files made for people, unless Options.Files says where they go
//	scratch/             work in progress; emptied at start
//	server.json          where the process that serves the folder listens; gone when it has ended well
//	UNFINISHED-BACKUP    while a backup is written into it: until then it is none
//
// A log is made in a folder once, while nothing else is in it. A folder that has lost its log is refused: it is
// no new one. It is its owner's alone (0700), whatever modes the files in it have.
const (
	folderFile   = "projectionist.json"
	folderFormat = 1
	serverFile   = "server.json"
	namesFile    = "named.json"
	backupFile   = "UNFINISHED-BACKUP"
)

type folderMark struct {
	Program string `json:"program"`
	Format  int    `json:"format"`
	Log     string `json:"log,omitempty"` // where in the folder a log was made
}

// grown are the parts of a folder that follow from its log.
var grown = []string{"blobs", "views", "reactors", "data", "models"}

// openFolder makes the folder or checks that it is one of this program's.
func openFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot make the data folder").(*fault.Error).
			WithHint("choose another with --dir")
	}
	if err := checkBackup(dir); err != nil {
		return err
	}
	mark, err := readMark(dir)
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
		return writeMark(dir, folderMark{"projectionist", folderFormat, ""})
	}
	if err != nil {
		return err
	}
	if mark.Format > folderFormat {
		return fault.New(fault.Corrupt, "%s has format %d; this program knows up to %d", dir, mark.Format, folderFormat).WithHint("run the newer program")
	}
	return nil
}

// closeToOthers takes from all but its owner what they may do in a folder, and says so in a sentence; "" where there was
// nothing to take. A folder of another user is left as it is, such as a volume to which a group was let in on purpose; if
// everybody can read it, that is said.
func closeToOthers(dir string) string {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	err = os.Chmod(dir, info.Mode()&^0o077)
	switch {
	case err == nil:
		return fmt.Sprintf("%s could be entered by others than its owner (mode %04o): it is closed to them now (0700)", dir, info.Mode().Perm())
	case info.Mode().Perm()&0o007 == 0:
		return ""
	}
	return fmt.Sprintf("%s can be entered by everybody (mode %04o), and is not this user's to close: %v", dir, info.Mode().Perm(), err)
}

// readMark reads a folder's mark; where there is none the error is os.ErrNotExist.
func readMark(dir string) (mark folderMark, err error) {
	path := filepath.Join(dir, folderFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return mark, err
	}
	if err != nil {
		return mark, fault.Wrap(fault.Unavailable, err, "cannot read the data folder")
	}
	if err := json.Unmarshal(b, &mark); err != nil || mark.Program != "projectionist" {
		return mark, fault.New(fault.Corrupt, "%s is not this program's: the folder belongs to another", path).WithHint("choose another folder with --dir")
	}
	return mark, nil
}

func writeMark(dir string, mark folderMark) error {
	b, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return fault.Wrap(fault.Unavailable, writeFile(filepath.Join(dir, folderFile), append(b, '\n')), "cannot write to the data folder")
}

// checkBackup refuses a folder into which a backup is being written, or was until it was cut short.
func checkBackup(dir string) error {
	if !exists(filepath.Join(dir, backupFile)) {
		return nil
	}
	return fault.New(fault.Corrupt, "%s is an unfinished backup", dir).WithHint("delete it, and back up again")
}

// checkLog refuses a folder that has lost its log, which is to be at a place in it: another one is not made there.
func checkLog(dir, log string) error {
	if has, err := holds(filepath.Join(dir, log), "LOCK"); has || err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot read the folder of the log")
	}
	mark, err := readMark(dir)
	if err != nil {
		return err
	}
	lost := ""
	if mark.Log == log {
		lost = "a log was made there"
	}
	for _, part := range grown {
		if has, err := holds(filepath.Join(dir, part), "tmp"); err != nil {
			return fault.Wrap(fault.Unavailable, err, "cannot read the data folder")
		} else if has {
			lost = "there is " + part + "/, which follows from a log"
			break
		}
	}
	if lost == "" {
		return nil
	}
	return fault.New(fault.Corrupt, "%s has lost %s/: %s", dir, log, lost).
		WithHint("restore it from a backup; or choose an empty or new folder with --dir")
}

// markLog notes where the folder's log was made.
func markLog(dir, log string) error {
	mark, err := readMark(dir)
	if err != nil || mark.Log == log {
		return err
	}
	mark.Log = log
	return writeMark(dir, mark)
}

// holds says whether there is anything in a folder but what counts for nothing.
func holds(dir, nothing string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	for _, e := range entries {
		if e.Name() != nothing {
			return true, nil
		}
	}
	return false, err
}

// Learned says whether there are weights or data sets in a folder whose log is its own: then that log was not
// always as empty as it may look.
func (a *App) Learned() (bool, error) {
	if a.embedded == nil || a.ledger != nil {
		return false, nil // nodes' blobs come and go
	}
	return holds(filepath.Join(a.opts.Dir, "blobs"), "tmp")
}

// UnmakeFolder removes a data folder that was made and has nothing in it yet.
func UnmakeFolder(dir string) error {
	os.Remove(filepath.Join(dir, "scratch")) // it may not be there, or not be empty: then nor is dir
	return errors.Join(os.Remove(filepath.Join(dir, folderFile)), os.Remove(dir))
}

// IsFolder says whether dir is a data folder of this program.
func IsFolder(dir string) bool {
	_, err := readMark(dir)
	return err == nil
}

// writeFile replaces a file whole: it is either the old one or the new one, also after a crash.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
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
	Dir     string     `json:"dir"`            // absolute: a copy of the folder is not served by the original's process
	Address string     `json:"address"`        // the main one
	Also    []Answered `json:"also,omitempty"` // the others
	Kafka   string     `json:"kafka,omitempty"`
	PID     int        `json:"pid"`
	Started time.Time  `json:"started"`
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
