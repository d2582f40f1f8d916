// Package racing has tests try less under the race detector. What it costs, ten times as a rule, shows nothing where a test takes one chance after
// another in one goroutine; without the detector the same test takes all of them.
package racing

// Rounds is n, or under the race detector a quarter of it, at least one.
func Rounds(n int) int {
	if detected {
		return max(1, n/4)
	}
	return n
}
