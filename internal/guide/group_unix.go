//go:build unix

package main

import (
	"os/exec"
	"syscall"
	"time"
)

// endWait is how long a program has to end in good order.
const endWait = 20 * time.Second

// inGroup makes a command the first of a group of processes of its own.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup ends what is left of a group, in good order if it does so in time.
func endGroup(id int) {
	if id <= 1 { // to kill, -1 and 0 are more than a group that was started here
		return
	}
	if syscall.Kill(-id, syscall.SIGTERM) != nil {
		return // there is nothing left
	}
	for end := time.Now().Add(endWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if syscall.Kill(-id, 0) != nil {
			return
		}
	}
	syscall.Kill(-id, syscall.SIGKILL) //nolint:errcheck // it may have ended just now
}
