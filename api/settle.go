package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// awaitQuery waits for what was promised, and for what after= names.
func (c *Core) awaitQuery(r *http.Request, views []string) error {
	c.Redeem(r.Context(), views...)
	if !strings.Contains(r.URL.RawQuery, "after=") {
		return nil
	}
	return c.Await(r.Context(), r.URL.Query().Get("after"), views...)
}

// Await waits until the views have folded the records at the positions, separated by commas; "" is none.
func (c *Core) Await(ctx context.Context, after string, views ...string) error {
	if after == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, WaitMax)
	defer cancel()
	for _, text := range strings.Split(after, ",") {
		p, err := streams.ParsePosition(text)
		if err == nil && !Known(p.TP) {
			err = fmt.Errorf("the log has no partition %s", p.TP)
		}
		if err != nil {
			return fault.Field("after", "%v", err)
		}
		if c.then != nil {
			err = c.then.has(p)
		} else {
			err = c.Views.Wait(ctx, p, views...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// othersMax bounds how long an answer waits for views that it does not concern, but that have what it was given in a
// moment: who reads one of them next finds it. A view that is busy with something else is not waited for.
const othersMax = 250 * time.Millisecond

// Settle waits until the views have folded what was just acknowledged, and says whether they have. It
// is no error if not: the log has it.
func (c *Core) Settle(ctx context.Context, positions []streams.Position, views ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, WaitMax)
	defer cancel()
	for _, p := range positions {
		if c.Views.Wait(ctx, p, views...) != nil {
			return false
		}
	}
	others, cancel := context.WithTimeout(ctx, othersMax)
	defer cancel()
	for _, p := range positions {
		c.Views.Settle(others, p) //nolint:errcheck // it was worth the try
	}
	return true
}

// promisedMax is how many commits the views may be behind what was promised: some tenths of a second of folding where each is a thousand values.
const promisedMax = 64

// Promise notes that a commit of the ledger is acknowledged before the views have it: whoever reads them next waits for
// it ([Core.Redeem]). So a client that writes many small things is not held up by each being folded. It waits itself
// where the views are promisedMax commits behind.
func (c *Core) Promise(ctx context.Context, p streams.Position, views ...string) {
	for next := p.Offset + 1; ; {
		was := c.promised.Load()
		if was >= next || c.promised.CompareAndSwap(was, next) {
			break
		}
	}
	if p.Offset -= promisedMax; p.Offset < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, WaitMax)
	defer cancel()
	c.Views.Settle(ctx, p, views...) //nolint:errcheck // the log has it
}

// Redeem waits until the views have what was promised of them before, unless they have halted or stalled. Routes that
// name views do it by themselves.
func (c *Core) Redeem(ctx context.Context, views ...string) {
	next := c.promised.Load()
	if next == 0 || c.then != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, WaitMax)
	defer cancel()
	c.Views.Settle(ctx, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: next - 1}, views...) //nolint:errcheck // the log has it
}

// Known says whether the log has the partition.
func Known(tp streams.TP) bool {
	return slices.Contains(streams.PartitionsOf(tp.Topic), tp)
}

// ReadCut is the header in which an answer to a GET says, to whoever prefers "read-cut" (RFC 7240), up to which cut it is read: it has all that was
// recorded before that, and perhaps some of what came later.
const ReadCut = "Read-Cut"

const preferReadCut = "read-cut"

// seen is a cut that whatever is read from now on has: as far as the views see the log or, where none are named, its end. A log on a cluster is
// asked for that alone: what views answer does not wait for it.
func (c *Core) seen(ctx context.Context, views []string) (streams.Cut, error) {
	if len(views) == 0 {
		return fold.HeadCut(ctx, c.Log, time.Time{})
	}
	return c.Views.Seen(views...), nil
}

// Prefers says whether a request has a preference, RFC 7240.
func Prefers(r *http.Request, preference string) bool {
	for _, line := range r.Header.Values("Prefer") {
		for one := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(name), preference) {
				return true
			}
		}
	}
	return false
}
