//go:build unix

package cli

import "golang.org/x/sys/unix"

// private makes what this process writes its user's alone, also where a database under it knows no other mode than
// that of everybody: acts of people are in there.
func private() { unix.Umask(0o077) }
