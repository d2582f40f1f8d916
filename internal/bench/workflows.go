package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// workflows has many workflows of a task each run at the same moment, every minute: how late their tasks begin, and what of a core that takes.
func (b *bench) workflows() (err error) {
	dir, err := b.folder("workflows")
	if err != nil {
		return err
	}
	c, err := b.serve(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	n, minutes := b.size(1000, 50), b.size(2, 1)
	web := newClient()
	for i := range n {
		name := fmt.Sprintf("minutely_%d", i)
		source := "name: " + name + "\nschedule: '* * * * *'\ntasks: [{name: say, operator: notify, with: {message: it is time}}]\n"
		if err := web.put(c.base+"/api/v1/workflows/definitions/"+name, "application/yaml", source); err != nil {
			return err
		}
	}
	b.say("%s workflows defined", thousands(int64(n)))
	late, used := []*figure{}, figure{name: fmt.Sprintf("%s workflows each minute: processor seconds a minute, of 60 a core", thousands(int64(n))), unit: seconds, aim: atMost(60)}
	for _, q := range []string{"p50", "p99"} {
		late = append(late, &figure{name: fmt.Sprintf("%s workflows of one slot: from the slot to the beginning of the task, %s", thousands(int64(n)), q), unit: seconds})
	}
	late[1].aim = atMost(.25)
	slot := time.Now().Truncate(time.Minute).Add(time.Minute)
	for range minutes {
		if err := b.until(slot.Add(-time.Second)); err != nil {
			return err
		}
		before, err := c.processor()
		if err != nil {
			return err
		}
		if err := b.until(slot.Add(58 * time.Second)); err != nil {
			return err
		}
		after, err := c.processor()
		if err != nil {
			return err
		}
		took, err := begun(web, c.base, n, slot)
		if err != nil {
			return err
		}
		used.ours = append(used.ours, after-before)
		late[0].ours, late[1].ours = append(late[0].ours, quantile(.5, took)), append(late[1].ours, quantile(.99, took))
		slot = slot.Add(time.Minute)
	}
	b.add(*late[0], *late[1], used)
	return nil
}

// begun is, for each run of a slot, how long after it its task began, in seconds. Each workflow must have one.
func begun(web *client, base string, n int, slot time.Time) (took []float64, err error) {
	for cursor := ""; ; {
		if err := web.get(base + "/api/v1/workflows/runs?limit=500&cursor=" + cursor); err != nil {
			return nil, err
		}
		var page struct {
			Items []struct {
				RunID   string `json:"run_id"`
				Slot    int64  `json:"interval_end_millis"`
				Started int64  `json:"started_millis"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(web.body.Bytes(), &page); err != nil {
			return nil, err
		}
		old := false
		for _, run := range page.Items {
			switch {
			case run.Slot == slot.UnixMilli() && run.Started == 0:
				return nil, fmt.Errorf("run %s has not begun within its minute", run.RunID)
			case run.Slot == slot.UnixMilli():
				took = append(took, float64(run.Started-run.Slot)/1000)
			case run.Slot < slot.UnixMilli():
				old = true
			}
		}
		if cursor = page.Next; cursor == "" || old {
			break
		}
	}
	if len(took) != n {
		return nil, fmt.Errorf("%d of %d workflows ran for %v", len(took), n, slot)
	}
	return took, nil
}

// until waits for a moment.
func (b *bench) until(at time.Time) error {
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(time.Until(at)):
		return nil
	}
}

// put sends a document; other than 200 is an error.
func (c *client) put(url, mediaType, body string) error {
	req, err := http.NewRequest(http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s: %s", url, resp.Status, c.body.String())
	}
	return nil
}

// processor is the time that the child has had of the processors, in seconds.
func (c *child) processor() (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may have blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the system does not tell a process's time")
	}
	ticks := 0.
	for _, i := range []int{11, 12} { // of the program itself, and of the system for it
		t, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, err
		}
		ticks += t
	}
	const ticksPerSecond = 100 // USER_HZ
	return ticks / ticksPerSecond, nil
}
