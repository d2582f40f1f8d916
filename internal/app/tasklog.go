package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	taskLogsFolder = "tasklogs" // below the data folder
	// taskLogEvery is how often it is looked whether a log that is followed has grown.
	taskLogEvery = 200 * time.Millisecond
	// taskLogWait bounds the wait for a log that is on its way from another node.
	taskLogWait = 10 * time.Second
)

func (a *App) openTaskLogs() (err error) {
	if a.taskLogs, err = tasklog.Open(filepath.Join(a.opts.Dir, taskLogsFolder)); err == nil {
		a.taskLogs.Mask = a.opts.Secrets.Mask
	}
	return err
}

// passwordBytesMin is the shortest password that is masked: a shorter one is a word that people say.
const passwordBytesMin = 8

// hide has the credentials of the program itself masked in logs of tasks.
func (o *Options) hide() {
	for _, v := range append(slices.Collect(maps.Values(o.Users)), o.Token, os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")) {
		if len(v) >= passwordBytesMin {
			o.Secrets.Hide(v)
		}
	}
}

// TaskLog gives the lines of the log of a try: from its file while it is worked on here, from its blob when it is over. Where
// there is neither, what the events say of it. A line without bytes says that what was given may be shown. It stops at the error
// that to gives. Errors: fault.NotFound for no such try. views are those of now, or of a moment: then no file is looked at.
func (a *App) TaskLog(ctx context.Context, views *fold.Runner, q tasklog.Query, to func(line []byte) error) error {
	within := func(line []byte) error {
		if len(line) > 0 && !tasklog.Within(line, q.Since, q.Until) {
			return nil
		}
		return to(line)
	}
	told := false
	for {
		y, task, over, err := tried(fold.Of[*projections.Workflows](views), q.ID)
		switch {
		case err != nil && !(q.Follow && !over && fault.Is(err, fault.NotFound)):
			return err
		case err == nil:
			if release, here := a.taskLogs.Hold(q.ID); here && views == a.Views {
				defer release()
				return a.followTaskLog(ctx, q, within)
			} else if here {
				release()
			}
			if y.Log != "" {
				return a.keptTaskLog(ctx, &y, within)
			}
			if !told || y.State != projections.StateRunning {
				if err := sayTry(&task, &y, within); err != nil || !q.Follow || y.State != projections.StateRunning {
					return err
				}
				told = true
			}
		}
		if err := to(nil); err != nil {
			return err
		}
		if !pause(ctx, taskLogEvery) {
			return ctx.Err()
		}
	}
}

// tried is a try and its task; over says that there will be no such try.
func tried(view *projections.Workflows, id tasklog.ID) (y projections.Try, t projections.Task, over bool, err error) {
	run, ok, err := view.Run(id.Run)
	if err != nil {
		return y, t, true, err
	}
	if !ok {
		return y, t, true, fault.New(fault.NotFound, "no workflow run %q", id.Run)
	}
	t = run.TaskOf(id.Task)
	if y, ok = t.Tried(id.Try); !ok {
		return y, t, run.Ended() || id.Try > t.Try+1, fault.New(fault.NotFound, "there was no try %d of the task %s", id.Try, id.Task)
	}
	return y, t, false, nil
}

// followTaskLog reads a log that is here.
func (a *App) followTaskLog(ctx context.Context, q tasklog.Query, to func([]byte) error) error {
	tail := a.taskLogs.Tail(q.ID)
	for {
		writing := q.Follow && a.taskLogs.Writing(q.ID)
		if err := tail.Next(to); err != nil || !writing {
			return err
		}
		if err := to(nil); err != nil { // what there is may be sent
			return err
		}
		if !pause(ctx, taskLogEvery) {
			return ctx.Err()
		}
	}
}

// keptTaskLog reads a log's blob.
func (a *App) keptTaskLog(ctx context.Context, y *projections.Try, to func([]byte) error) error {
	if err := a.Blobs.Await(ctx, y.Log, taskLogWait); err != nil {
		return err
	}
	file, err := a.Blobs.Open(ctx, y.Log)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if err := to(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "a task's log cannot be read")
		}
	}
}

// sayTry says what the events say of a try that has no log: it is of before there were any, or another node has it.
func sayTry(t *projections.Task, y *projections.Try, to func([]byte) error) error {
	said := func(millis int64, level, text string) error {
		return to(tasklog.Format(time.UnixMilli(millis), level, text))
	}
	err := said(y.StartedMillis, "INFO", "try "+strconv.Itoa(y.Try)+" of the task "+t.Task+" began, by "+y.Holder)
	if y.State == projections.StateRunning {
		return errors.Join(err, said(y.StartedMillis, "INFO", "another node works on it, and has its log until it is over"))
	}
	err = errors.Join(err, said(y.EndedMillis, "WARN", "what it said is not here: it was said where no log was kept, or on a node that has not told yet"))
	if y.State == projections.StateSuccess {
		for _, name := range slices.Sorted(maps.Keys(t.Output)) {
			err = errors.Join(err, said(y.EndedMillis, "INFO", name+" = "+t.Output[name]))
		}
		return errors.Join(err, said(y.EndedMillis, "INFO", "task succeeded"))
	}
	err = errors.Join(err, said(y.EndedMillis, "ERROR", y.Error))
	if t.RetryAtMillis != 0 && y.Try == t.Try {
		err = errors.Join(err, said(y.EndedMillis, "INFO", "the task is tried again at "+events.FormatTime(time.UnixMilli(t.RetryAtMillis))))
	}
	return err
}

// pause says whether ctx went on for so long.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// tracking is where a command of a task finds MLflow's surface of this process, by credentials of its own if any are needed.
func (a *App) tracking() (t roles.Tracking) {
	at := a.at.Load()
	if at == nil {
		return t
	}
	for _, l := range *at {
		if l.Name == "tracking" {
			t = roles.Tracking{URI: "http://" + dialable(l.Address), Token: a.opts.Token}
		}
	}
	if users := slices.Sorted(maps.Keys(a.opts.Users)); len(users) > 0 && t.Token == "" {
		t.User, t.Password = users[0], a.opts.Users[users[0]]
	}
	return t
}

// dialable is an address that this machine's own processes can connect to.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
