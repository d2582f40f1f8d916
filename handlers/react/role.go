package react

import (
	"context"
	"errors"
	"regexp"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Role is what a reactor does, under a name that is part of its cursor, its consumer group and its
// idempotency keys: never change one. A role handles events, works on tasks, or both.
type Role struct {
	Name string

	// Wants picks the role's events by looking at the event alone, and cheaply; Handle deals with one of
	// them, and again with the same if it gave an error. nil both: only tasks.
	Wants  func(*events.Event) bool
	Handle func(context.Context, *Reaction) error

	// Tasks does the tasks of workflows, by operator, and Slots is how many of them a process works on at once; default 1.
	Tasks map[string]TaskFunc
	Slots int
	// Failed is told that a task of the role has failed for good, before its run ends as failed, to close
	// what the run has left open. It may be told again. nil: there is nothing to close.
	Failed func(ctx context.Context, w *Work, reason string) error
}

// TaskFunc does the work of a task and gives the output that is handed to the tasks after it. When ctx
// ends it stops soon. It may be run again from any point of an earlier run of it.
type TaskFunc func(ctx context.Context, w *Work) (map[string]string, error)

func checkRoles(roles []Role) error {
	var errs []error
	if len(roles) == 0 {
		errs = append(errs, fault.Field("roles", "are needed: at least one"))
	}
	seen := map[string]bool{}
	for _, r := range roles {
		if !roleName.MatchString(r.Name) || seen[r.Name] {
			errs = append(errs, fault.Field("roles", "%q is no role's name, or that of another: want small letters, digits, - and _", r.Name))
		}
		if (r.Wants == nil) != (r.Handle == nil) || r.Wants == nil && len(r.Tasks) == 0 {
			errs = append(errs, fault.Field("roles", "%q needs both Wants and Handle, or Tasks", r.Name))
		}
		seen[r.Name] = true
	}
	return errors.Join(errs...)
}

// roleName: it names files and consumer groups.
var roleName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
