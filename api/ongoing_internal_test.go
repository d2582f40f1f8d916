package api

import (
	"context"
	"testing"
	"time"
)

// Work that does not see that it is to end keeps no program from ending; work that does is waited for.
func TestShutIsBounded(t *testing.T) {
	c := &Core{common: &common{operations: make(chan struct{}, operationsMax)}}
	c.work, c.close = context.WithCancel(context.Background())
	leave, closed := make(chan struct{}), make(chan string, 2)
	launch := func(id string, work func(ctx context.Context)) {
		t.Helper()
		err := c.Launch(&Ongoing{ID: id, Kind: id, Opened: func() error { return nil },
			Work:   func(ctx context.Context, _ func(string, int64, int64)) (any, error) { work(ctx); return nil, ctx.Err() },
			Closed: func(_ any, err error) { closed <- id + ": " + err.Error() }})
		if err != nil {
			t.Fatal(err)
		}
	}
	launch("deaf", func(context.Context) { <-leave })
	launch("good", func(ctx context.Context) { <-ctx.Done() })
	c.close()
	if got := <-closed; got != "good: "+ErrInterrupted.Error() {
		t.Error(got)
	}
	for c.Ongoing("good") != nil { // what has been told leaves next
		time.Sleep(time.Millisecond)
	}
	if left := c.ongoing.shut(50 * time.Millisecond); len(left) != 1 || left[0].ID != "deaf" {
		t.Errorf("left: %v", left)
	}
	close(leave)
	if left := c.ongoing.shut(time.Minute); len(left) != 0 || <-closed != "deaf: "+ErrInterrupted.Error() {
		t.Errorf("left at last: %v", left)
	}
}
