package kafka

import (
	"sync"

	"github.com/projectionist/projectionist/streams"
)

// partition is one partition of a topic, as this log knows it.
type partition struct {
	streams.TP
	name   string // the topic's on the brokers
	ledger bool
	queue  chan *request // of its writer

	// last is the offset after the last record that is known to be there, and who waits for a later one.
	last watermark

	tail struct {
		sync.Mutex
		waiting map[*int64]struct{} // the offsets that Waits wait behind
		running bool
		at      int64 // where the next fetch goes
	}

	filling struct { // restore.go
		sync.Mutex
		w    *writer
		next int64 // the partition's end, or -1 where it is to be looked up
		done bool
	}

	trim struct {
		sync.Mutex
		raw, end int64 // Head's last answer: the partition's end, and the offset after its last record
	}
}

// queueMax bounds the requests that wait for a writer; more make their callers wait.
const queueMax = 64

// watermark only grows, and wakes those who wait for it.
type watermark struct {
	mu     sync.Mutex
	n      int64
	raised chan struct{} // closed when n grows; nil while nobody waits
}

func (w *watermark) load() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

func (w *watermark) raise(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= w.n {
		return
	}
	w.n = n
	if w.raised != nil {
		close(w.raised)
		w.raised = nil
	}
}

// above returns nil when the mark is above n, else what is closed when it has grown.
func (w *watermark) above(n int64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n > n {
		return nil
	}
	if w.raised == nil {
		w.raised = make(chan struct{})
	}
	return w.raised
}
