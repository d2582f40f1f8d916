package react

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// errLost is the cause of a work's end when its lease was lost: somebody else may be at it.
var errLost = errors.New("the lease on the task was lost")

// Lost says whether a task's work was ended since it is for nothing: somebody else may be at it, or its run has ended.
func Lost(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errLost) }

// watch is for how long a lease, or the wait for another try, has been seen to stand unchanged. Its end
// is a time on another node's clock, which may be an hour off; its length is not.
type watch struct {
	state       taskState
	try         int
	untilMillis int64
	since       time.Time
}

// left is how long the task is still to be left alone.
func (s *watch) left(t *taskFold) time.Duration {
	until := t.leaseUntilMillis
	if t.state == taskFailed {
		until = t.retryAtMillis
	}
	if s.state != t.state || s.try != t.try || s.untilMillis != until {
		*s = watch{t.state, t.try, until, time.Now()}
	}
	return t.length - time.Since(s.since)
}

// holder names this process as the worker of a role's tasks.
func (s *runs) holder(role string) string { return s.node + s.cfg.Holder + "/" + role }

// predecessor says whether the holder was a process on this folder before this one: then it is dead.
func (s *runs) predecessor(holder string) bool {
	return s.cfg.Exclusive && strings.HasPrefix(holder, s.node) && !strings.HasPrefix(holder, s.node+s.cfg.Holder+"/")
}

// Holder names this process as the worker of a role, as it is named in leases.
func (r *Reactors) Holder(role string) string { return r.runs.holder(role) }

// Gone says whether a holder is a process that is gone, to whoever has the folder's views to itself: one that was on this folder before this
// one, and where this process has the whole log to itself, any other: the log may be a copy, of which nobody else knows.
func (r *Reactors) Gone(holder string) bool {
	s := r.runs
	return (s.cfg.Exclusive || strings.HasPrefix(holder, s.node)) && !strings.HasPrefix(holder, s.node+s.cfg.Holder+"/")
}

// bury ends the try of a predecessor in its name.
func (w *Work) bury(ctx context.Context, t *taskFold) error {
	message, retryAt := crashed+"the process that worked on it is gone", w.runs.cfg.Clock().UnixMilli()
	if t.crashes+1 >= w.runs.cfg.CrashesMax {
		message, retryAt = givenUp(t.crashes+1), 0
	}
	_, err := w.Dispatch(ctx, w.step("bury"), &commands.FailTask{RunID: w.run.id, Task: w.task.Name, Try: t.try, Holder: t.holder, Error: message, RetryAtMillis: retryAt})
	return err
}

// heartbeat renews the lease until ctx ends. It ends the work when the lease is lost.
func (w *Work) heartbeat(ctx context.Context) {
	for sleep(ctx, w.runs.cfg.Heartbeat) {
		if err := w.renew(ctx, ""); err != nil && ctx.Err() == nil {
			w.Log().Warn("lease not renewed", "error", err)
		}
	}
}

// renew extends the lease, with a checkpoint or "". A refusal, or failing until the lease has run out,
// ends the work.
func (w *Work) renew(ctx context.Context, checkpoint string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewals++
	lease := w.runs.cfg.Lease
	res, err := w.Dispatch(ctx, w.step("renew", strconv.Itoa(w.renewals)), &commands.RenewTaskLease{RunID: w.run.id, Task: w.task.Name,
		Try: w.try, Holder: w.holder, LeaseMillis: lease.Milliseconds(), Checkpoint: checkpoint})
	switch {
	case err == nil && len(res.Events) > 0:
		if e, ok := res.Events[0].Data.(*events.TaskLeaseRenewed); ok {
			w.leaseUntil = time.UnixMilli(e.LeaseUntilMillis)
		}
	case fault.Is(err, fault.Conflict) || err != nil && !w.runs.cfg.Clock().Before(w.leaseUntil):
		w.cancel(errLost)
		return errors.Join(errLost, err)
	}
	return err
}

// nodeOf reads the name of the folder, which begins the names of all holders from it, or gives it one.
func nodeOf(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !nodeName.Match(b) {
		b = []byte(uuid.NewString())
		err = os.WriteFile(path, b, 0o600)
	}
	return string(b) + "/", fault.Wrap(fault.Unavailable, err, "the name of the reactors' folder cannot be kept")
}

var nodeName = regexp.MustCompile(`^[0-9a-f-]{36}$`)
