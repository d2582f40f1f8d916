package gate_test

import (
	"context"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

func TestCloseWaitsForThoseInside(t *testing.T) {
	ctx := context.Background()
	g := gate.New()
	if err := g.Enter(ctx); err != nil || g.InUse() != 1 {
		t.Fatalf("an open gate turns away: %v", err)
	}
	if err := g.Stay(ctx); err != nil {
		t.Fatal(err)
	}
	if g.Close(time.Millisecond) {
		t.Fatal("somebody is still inside")
	}
	select {
	case <-g.Ending():
	default:
		t.Error("those inside are not told")
	}
	if err := g.Enter(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a closed gate lets in: %v", err)
	}
	if err := g.Stay(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an operation may go on: %v", err)
	}
	g.Leave()
	if g.InUse() != 0 {
		t.Fatal(g.InUse())
	}

	h := gate.New()
	if err := h.EnterRead(ctx, 0); err != nil {
		t.Fatal(err)
	}
	left := make(chan bool)
	go func() { left <- h.Close(time.Minute) }()
	<-h.Ending()
	h.Leave()
	if !<-left {
		t.Fatal("all have left")
	}
	if !gate.New().Close(time.Minute) {
		t.Fatal("nobody was inside")
	}
}

func TestTurnsAway(t *testing.T) {
	g := gate.New()
	if err := g.EnterRead(context.Background(), -1); !fault.Is(err, fault.Invalid) {
		t.Errorf("offset -1: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Enter(gone); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a caller that has gone: %v", err)
	}
	if g.InUse() != 0 {
		t.Errorf("%d are inside", g.InUse())
	}
}
