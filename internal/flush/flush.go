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
)

// Failures paces work that fails.
type Failures struct {
	mu   sync.Mutex
	what string
	told time.Time
}

// Met is for Pebble's BackgroundError: it returns after a pause, before which the work is not tried again, and says whether to tell of the
// failure: it is another than the last, or that was told a while ago.
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
	if what == f.what && time.Since(f.told) < Quiet {
		return false
	}
	f.what, f.told = what, time.Now()
	return true
}

// ErrNot says that a database was closed, or could not even be, without what its memory has in its tables. What was written with a WAL stands there.
var ErrNot = errors.New("it could not be flushed")

// Close flushes a database and closes it, so that the next start has no WAL to replay. It waits for the flush as long as patience; where a
// flush fails for so long that writes have to wait for it, the database is left open to the end of the process.
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
		return fmt.Errorf("%w in %v; it is left open", ErrNot, patience)
	}
	return errors.Join(err, db.Close())
}
