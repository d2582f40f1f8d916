package api

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/internal/fault"
)

// Known answers a read whose views tell of now alone: as of known_at in its query, where it is given, over a core whose views, those that are
// named, are folded up to there, and whose log ends there. answer is given that core, and the request without known_at; for a request
// without it, this core and the request as it is.
// Errors: fault.Unavailable while the views are folded, or where there are none of the past.
func (c *Core) Known(r *http.Request, views []string, answer func(*Core, *http.Request) error) error {
	given := r.URL.Query()
	all, ok := given[KnownAtParam]
	if !ok {
		return answer(c, r)
	}
	if len(all) > 1 {
		return fault.Field(KnownAtParam, "is given %d times", len(all))
	}
	now := r.Clone(r.Context())
	given.Del(KnownAtParam)
	now.URL.RawQuery = given.Encode()
	if all[0] == "" {
		return answer(c, now)
	}
	m, err := c.MomentOf(r.Context(), "", all[0])
	if err != nil {
		return err
	}
	if c.past == nil {
		return fault.New(fault.Unavailable, "this process keeps no views of the past").WithHint("leave out %s", KnownAtParam)
	}
	cut, err := m.Cut(r.Context(), c.Log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.past.patience)
	defer cancel()
	then, err := c.past.Views(ctx, Wanted{Views: views, Cut: cut}, nil)
	if err != nil {
		return err
	}
	defer then.Release()
	past := c.at(moment{all[0], cut, m.KnownMillis}, then.Views)
	if err := past.awaitQuery(now, nil); err != nil {
		return err
	}
	return answer(past, now)
}

// Now refuses known_at in a query of which nothing else is asked.
func Now(r *http.Request) error {
	if r.URL.Query().Has(KnownAtParam) {
		return notThen()
	}
	return nil
}

// notThen is why known_at is refused.
func notThen() error {
	return fault.Field(KnownAtParam, "is not taken here: this is told as it is now alone").WithHint("leave it out")
}
