package kafka

import (
	"sync"
	"time"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/watermark"
)

// partition is one partition of a topic, as this log knows it.
type partition struct {
	streams.TP
	name   string // the topic's on the brokers
	ledger bool
	queue  chan *request // of its writer

	// last is the offset after the last record that is known to be there, and who waits for a later one.
	last watermark.Mark

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

	kept struct {
		sync.Mutex
		blocks []*block
	}
}

// keep leaves blocks that follow each other, or nothing, for a read that goes on where one ended: folding
// reads chunk by chunk, and would else fetch much of the log twice.
func (p *partition) keep(blocks []*block) {
	p.kept.Lock()
	defer p.kept.Unlock()
	if p.kept.blocks = blocks; len(blocks) == 0 {
		return
	}
	time.AfterFunc(keptFor, func() {
		p.kept.Lock()
		defer p.kept.Unlock()
		if len(p.kept.blocks) > 0 && p.kept.blocks[0] == blocks[0] {
			p.kept.blocks = nil
		}
	})
}

// takeKept takes the blocks that were left, from the one that holds an offset; nil if none does. They
// hold all records from there up to where the last one ends.
func (p *partition) takeKept(from int64) []*block {
	p.kept.Lock()
	defer p.kept.Unlock()
	blocks := p.kept.blocks
	p.kept.blocks = nil
	for i, k := range blocks {
		if k.from <= from && from < k.next {
			rest := *k
			rest.from = from
			return append([]*block{&rest}, blocks[i+1:]...)
		}
	}
	return nil
}
