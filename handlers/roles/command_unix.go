//go:build unix

package roles

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// watched is what runs before a command: a watchdog, which is no child of it, and kills the command's group, itself included, when
// nobody holds the other end of its pipe any more; and limits, of kilobytes of memory and of 512-byte blocks of a file.
const watched = `( ( read -r _ <&3; kill -9 -- -$$ ) </dev/null >/dev/null 2>&1 & )
exec 3<&-
ulimit -c 0
ulimit -v "$1" 2>/dev/null || [ "$(uname)" = Darwin ] || exit 125
ulimit -f "$2" || exit 125
exec /bin/sh -c "$3"`

// newCommand is a command in a group of its own.
func newCommand(command, memoryMiB, fileMiB string) *exec.Cmd {
	mib := func(s string, unit int) string {
		n, _ := strconv.Atoi(s) // it was checked
		return strconv.Itoa(n * unit)
	}
	cmd := exec.Command("/bin/sh", "-c", watched, "sh", mib(memoryMiB, 1024), mib(fileMiB, 2048), command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// endGroup asks the processes of a command's group to end, and killGroup kills them.
func endGroup(cmd *exec.Cmd)  { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } //nolint:errcheck // they may be gone
func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } //nolint:errcheck // they may be gone

const (
	killAgain = 20 * time.Millisecond
	killWait  = 5 * time.Second
)

// killMarked kills the processes whose environment has a mark that begins so, where the system tells environments (/proc), until
// there is none. The error is fault.Unavailable where one does not go.
func killMarked(mark string) error {
	for until := time.Now().Add(killWait); ; time.Sleep(killAgain) {
		found := marked(mark)
		if len(found) == 0 {
			return nil
		}
		if time.Now().After(until) {
			return fault.New(fault.Unavailable, "process %d, of a command of before, cannot be ended", found[0])
		}
		for _, pid := range found {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may be gone
		}
	}
}

// marked are the living processes with a mark.
func marked(mark string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is a good one
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+commandVariable+"="+mark)) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(file), "stat"))
		if at := bytes.LastIndexByte(stat, ')'); err != nil || at < 0 || bytes.HasPrefix(stat[at+1:], []byte(" Z")) {
			continue // it is gone, and nobody has looked yet
		}
		pids = append(pids, pid)
	}
	return pids
}
