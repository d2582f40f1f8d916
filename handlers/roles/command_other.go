//go:build !unix

package roles

import "os/exec"

// newCommand is a command by the system's sh; without process groups it is killed alone.
func newCommand(command, _, _ string) *exec.Cmd { return exec.Command("sh", "-c", command) }

func endGroup(cmd *exec.Cmd)  { killGroup(cmd) }
func killGroup(cmd *exec.Cmd) { cmd.Process.Kill() } //nolint:errcheck // it may be gone

func killMarked(string) error { return nil }
