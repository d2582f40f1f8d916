package fold_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// asked is a context that counts how often it is asked, and ends when that is too often.
type asked struct {
	context.Context
	n, most atomic.Int64
}

func (c *asked) Err() error {
	if n := c.n.Add(1); n > c.most.Load() {
		return context.Canceled
	}
	return nil
}

// Whoever ends a comparison need not wait until it has read all pairs.
func TestComparisonsEndWithTheirContext(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	wait(t, r, publish(t, log, 0, 10_000, func(i int) string { return fmt.Sprint(i) }))
	ctx := &asked{Context: t.Context()}
	ctx.most.Store(1 << 40)
	reports, err := r.Hashes(ctx)
	if err != nil || len(reports) != len(tallies) {
		t.Fatal(reports, err)
	}
	asks := ctx.n.Load()
	if reports[0].Pairs != 10_000 || asks < 3 {
		t.Fatalf("%d pairs, and it asked %d times", reports[0].Pairs, asks)
	}
	for most := range asks {
		ctx.n.Store(0)
		ctx.most.Store(most)
		if _, err := r.Hashes(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("ended after %d asks: %v", most, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	_, err = r.Verify(over, t.TempDir(), func(done, total int64) {
		if done == total {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a verification that was ended: %v", err)
	}
}
