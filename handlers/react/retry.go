package react

import (
	"errors"
	"math"
	"time"

	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

// What fails is tried again on three levels: the handling of an event at once, a few times, then it is a
// dead letter; the try of a task after a wait, unless it cannot mend; and the delivery of an event whose
// dead letter could not be written, for ever.

// retryHandler is the middleware that handles an event again.
func (c *Config) retryHandler() middleware.Retry {
	return middleware.Retry{
		MaxRetries: c.HandlerRetries, InitialInterval: c.HandlerBackoff, MaxInterval: handlerBackoffMax, Multiplier: 2,
		ShouldRetry: func(p middleware.RetryParams) bool { return !errors.Is(p.Err, errEnding) },
	}
}

// retryAt is when a task is tried again, in Unix milliseconds; 0 for never.
func (c *Config) retryAt(err error, failures int, t *workflow.Task) int64 {
	if !mends(err) || failures >= t.Retries {
		return 0
	}
	delay := min(float64(t.RetryDelay)*math.Pow(t.RetryBackoff, float64(failures)), float64(retryDelayMax))
	return c.Clock().Add(time.Duration(delay)).UnixMilli()
}

// Permanent marks the error of a task that no other try mends; nil stays nil. Errors that say so by their
// code (fault.Invalid, NotFound, Conflict, TooLarge, Forbidden, Corrupt) need no mark.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// mends says whether another try may go better: not when the request, the data or the configuration is
// what is wrong.
func mends(err error) bool {
	if errors.As(err, new(permanent)) {
		return false
	}
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge, fault.Forbidden, fault.Corrupt:
		return false
	}
	return true
}
