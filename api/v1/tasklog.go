package v1

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
)

// taskLog gives the log of a try as text, a line as it is written; without try= that of the last one. With follow=true
// it goes on until the try is over. since= and until= bound the times of lines.
func (s *Surface) taskLog(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "try", "follow", "since", "until")
	asked := tasklog.Query{ID: tasklog.ID{Run: r.PathValue("run"), Task: r.PathValue("task"), Try: int(q.Number("try", 0, 1, math.MaxInt32))}, Follow: q.Flag("follow"),
		Since: momentOf(q.Millis("since")), Until: momentOf(q.Millis("until"))}
	if err := q.Err(); err != nil {
		return err
	}
	if s.TaskLog == nil {
		return fault.New(fault.Unavailable, "this server keeps no logs of tasks")
	}
	run, d, err := s.runUnder(r)
	if err != nil {
		return err
	}
	t := run.TaskOf(asked.Task)
	if d.Task(asked.Task) == nil && t.Try == 0 {
		return fault.New(fault.NotFound, "%q is no task of workflow %s", api.Short(asked.Task), run.Workflow)
	}
	if asked.Try == 0 {
		asked.Try = lastTry(&t, asked.Follow && !run.Ended())
	}
	if asked.Try == 0 {
		return fault.New(fault.NotFound, "the task %s has not begun", t.Task).WithHint("follow=true waits for it")
	}
	return s.sendTaskLog(w, r, asked)
}

// lastTry is a task's last try, or, where the next is waited for, that one; 0 for none.
func lastTry(t *projections.Task, wait bool) int {
	if wait && (t.State == projections.StateQueued || t.State == projections.StateUpForRetry) {
		return t.Try + 1
	}
	return t.Try
}

func (s *Surface) sendTaskLog(w http.ResponseWriter, r *http.Request, asked tasklog.Query) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if asked.Follow {
		defer context.AfterFunc(s.Follow(), cancel)()
	} else {
		defer context.AfterFunc(s.Work(), cancel)()
	}
	w.Header().Set("X-Try", strconv.Itoa(asked.Try))
	out := api.NewAnswer(ctx, w, r, "text/plain; charset=utf-8")
	err := s.TaskLog(ctx, s.Views, asked, func(line []byte) error {
		if line == nil {
			return out.Flush()
		}
		_, err := out.Write(line)
		return err
	})
	if asked.Follow && r.Context().Err() == nil && s.Follow().Err() != nil {
		err = nil // the server ends, and says so by ending the answer
	}
	return out.End(err)
}

// momentOf is a time; zero for none.
func momentOf(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}
