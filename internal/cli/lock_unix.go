//go:build unix

package cli

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// logLocked says whether another process holds the log of a data folder, its index of a log on Kafka, or
// the feeds beside a ledger on EventStoreDB.
// It only asks: a lock taken to find out could turn away a server that starts at that moment.
func logLocked(dir string) bool {
	for _, part := range []string{"log", "index", "feeds/log", "feeds/index"} {
		if locked(filepath.Join(dir, part, "LOCK")) {
			return true
		}
	}
	return false
}

func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}
