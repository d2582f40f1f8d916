package react

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// route puts the reactors under watermill's router: each has a handler of its own, so that a long
// training does not hold up the others.
func (r *Reactors) route() error {
	dir := filepath.Join(r.cfg.Dir, "reactors")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the folder of the reactors' cursors cannot be made")
	}
	var err error
	if r.runs.node, err = nodeOf(filepath.Join(dir, "node")); err != nil {
		return err
	}
	logger := watermill.NewSlogLoggerWithLevelMapping(r.log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
	if r.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: r.cfg.CloseTimeout}, logger); err != nil {
		return err
	}
	poison, err := middleware.PoisonQueueWithFilter(deadLetters{r}, deadLetterTopic, func(err error) bool { return !errors.Is(err, errEnding) })
	if err != nil {
		return err
	}
	r.router.AddMiddleware(r.count, poison, ending, r.cfg.retryHandler().Middleware, middleware.Recoverer)
	if r.cfg.Subscribe == nil {
		r.tail = newTail(r.cfg.Ledger, r.log)
	}
	for _, one := range r.reactors {
		r.counters[one.name] = &counters{}
		s, err := r.source(one, dir)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, s)
		r.router.AddConsumerHandler(one.name, events.LedgerTopic, s, func(msg *message.Message) error {
			attempts, _ := strconv.Atoi(msg.Metadata.Get(metaAttempts))
			msg.Metadata.Set(metaAttempts, strconv.Itoa(attempts+1))
			ev, err := eventOf(msg)
			if err != nil {
				return err
			}
			return one.handle(msg.Context(), ev)
		})
	}
	return nil
}

// source is where a reactor's events come from.
type source interface {
	message.Subscriber
	stat(context.Context) place
}

// place is how far a source has got.
type place struct {
	offset int64 // of the ledger: below it all was dealt with
	lag    int64 // how many offsets lie above it
	here   bool  // this process is the one that deals with them
	err    error // why it does not go on for now
}

func (r *Reactors) source(one *reactor, dir string) (source, error) {
	if r.cfg.Subscribe == nil {
		return newSubscriber(context.Background(), r.tail, one.name, dir, one.wants, r.cfg.CloseTimeout, r.cfg.HandlerBackoff)
	}
	g, err := r.cfg.Subscribe(one.name)
	if err != nil {
		return nil, err
	}
	return &shared{delivery: delivery{r.log.With("reactor", one.name), r.cfg.CloseTimeout, r.cfg.HandlerBackoff},
		group: g, ledger: r.cfg.Ledger, wants: one.wants}, nil
}

// errEnding marks the error of a handler whose context ended: its event is dealt with at the next start.
var errEnding = errors.New("the reactor ends")

// ending is a middleware that marks errors of handlers that were told to end.
func ending(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		ctx := msg.Context()
		out, err := h(msg)
		if err != nil && ctx.Err() != nil {
			err = errors.Join(errEnding, context.Canceled, err)
		}
		return out, err
	}
}

// count is a middleware that counts what became of the messages.
func (r *Reactors) count(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		c := r.counters[message.HandlerNameFromCtx(msg.Context())]
		out, err := h(msg)
		if err != nil {
			c.failed.Add(1)
		} else {
			c.handled.Add(1)
		}
		return out, err
	}
}
