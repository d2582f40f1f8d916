package api

import "time"

// What tests from outside look at, and change.

const (
	PastKeptMax = pastKeptMax
	PastBusyMax = pastBusyMax
)

// Hurry makes answers wait for less.
func (p *Past) Hurry(patience, grace time.Duration) { p.patience, p.grace = patience, grace }
