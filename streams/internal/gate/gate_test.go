package gate

import (
	"testing"
	"time"
)

func TestCloseWaitsForThoseInside(t *testing.T) {
	var g Gate
	if !g.Enter() || g.InUse() != 1 {
		t.Fatal("an open gate turns away")
	}
	told := false
	if g.Close(time.Millisecond, func() { told = true }) || !told {
		t.Fatal("somebody is still inside")
	}
	if g.Enter() {
		t.Fatal("a closed gate lets in")
	}
	g.Leave()
	if g.InUse() != 0 {
		t.Fatal(g.InUse())
	}

	var h Gate
	h.Enter()
	left := make(chan bool)
	ending := make(chan struct{})
	go func() { left <- h.Close(time.Minute, func() { close(ending) }) }()
	<-ending
	h.Leave()
	if !<-left {
		t.Fatal("all have left")
	}
	if !new(Gate).Close(time.Minute, func() {}) {
		t.Fatal("nobody was inside")
	}
}
