package watermark_test

import (
	"sync"
	"testing"

	"github.com/projectionist/projectionist/streams/internal/watermark"
)

func TestMark(t *testing.T) {
	var m watermark.Mark
	if n, raised := m.Watch(); n != 0 || m.Above(0) != raised {
		t.Fatalf("a new mark is at %d", n)
	}
	if m.Above(-1) != nil {
		t.Error("0 is not above -1")
	}
	raised := m.Above(1)
	m.Raise(1)
	<-raised // who looks again, and waits on
	if raised = m.Above(1); raised == nil {
		t.Fatal("1 is not above 1")
	}
	m.Raise(0)
	select {
	case <-raised:
		t.Fatal("the mark sank")
	default:
	}
	m.Raise(2)
	<-raised
	if m.Above(1) != nil || m.Load() != 2 {
		t.Fatalf("2 is above 1; it is at %d", m.Load())
	}
	const waiters, top = 4, 1000 // from 2 on
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			for n := int64(0); n < top; n++ {
				for raised := m.Above(n); raised != nil; raised = m.Above(n) {
					<-raised
				}
			}
		})
		wg.Go(func() {
			for n := int64(1); n <= top; n++ {
				before := m.Load()
				m.Raise(n)
				if now := m.Load(); now < n || now < before {
					t.Errorf("raised from %d to %d it is at %d", before, n, now)
				}
			}
		})
	}
	wg.Wait()
	if m.Load() != top {
		t.Errorf("it ends at %d", m.Load())
	}
}
