//go:build !unix

package cli

// logLocked cannot be asked here without taking the lock: a server that answers is believed.
func logLocked(string) bool { return true }
