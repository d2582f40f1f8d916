// Package flush bounds what Pebble does without end: work in the background that fails, on a disk that is full or in a folder that is gone, is
// done again at once, and again, and whoever waits for a flush waits for ever.
package flush

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// Pause is between a failure and the next try.
	Pause = 200 * time.Millisecond
	// Quiet is for how long the same failure is not told again.
	Quiet = time.Minute
	// Patience is how long closing waits for a flush. What it would have written stands in the WAL, which the next start replays.
	Patience = 10 * time.Second
	// Last is how long closing waits for work under way to end, which a machine that has other things to do takes long for. Who is killed before loses nothing.
	Last = time.Minute
)

// Failures paces work that fails.
type Failures struct {
	mu   sync.Mutex
	told map[string]time.Time // by what was told
}

// failuresMax bounds how many kinds of failure are told apart.
const failuresMax = 16

// Met is for Pebble's BackgroundError: it returns after a pause, before which the work is not tried again, and says whether to tell of the
// failure: it was not told before, or a while ago.
func (f *Failures) Met(err error) (tell bool) {
	time.Sleep(Pause)
	what := strings.Map(func(r rune) rune { // each try names another file, by its number
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
	f.mu.Lock()
	defer f.mu.Unlock()
	if told, ok := f.told[what]; ok && time.Since(told) < Quiet {
		return false
	}
	if f.told == nil || len(f.told) >= failuresMax {
		f.told = map[string]time.Time{}
	}
	f.told[what] = time.Now()
	return true
}

// ErrNot says that a database was closed, or could not even be, without what its memory has in its tables. What was written with a WAL stands there.
var ErrNot = errors.New("it could not be flushed")

// ErrOpen says that a database is left open to the end of the process: nothing else may open it before.
var ErrOpen = errors.New("it is left open")

// Close flushes a database and closes it, so that the next start has no WAL to replay. It waits for the flush as long as patience, and for work
// under way as long again, [Last] at least; where that does not end, or flushes fail for so long that writes have to wait for them, the error is [ErrOpen].
func Close(db *pebble.DB, patience time.Duration) error {
	type begun struct {
		done <-chan struct{}
		err  error
	}
	flushing := make(chan begun, 1)
	go func() {
		done, err := db.AsyncFlush()
		flushing <- begun{done, err}
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	var err error
	select {
	case b := <-flushing:
		if err = b.err; err != nil {
			break
		}
		select {
		case <-b.done:
		case <-limit.C:
			err = fmt.Errorf("%w in %v", ErrNot, patience)
		}
	case <-limit.C:
		return fmt.Errorf("%w in %v: %w", ErrNot, patience, ErrOpen)
	}
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	last := time.NewTimer(max(patience, Last))
	defer last.Stop()
	select {
	case failed := <-closed:
		return errors.Join(err, failed)
	case <-last.C: // for a write or a read that does not return
		return errors.Join(err, fmt.Errorf("%w: work in the background goes on", ErrOpen))
	}
}
