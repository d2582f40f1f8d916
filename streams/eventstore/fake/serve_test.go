package fake

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// serveEnv is an address of this machine, on which the test below serves until it is interrupted.
const serveEnv = "PROJECTIONIST_FAKE_ESDB"

// TestServe lets the program be tried by hand where no server can be had. What it holds is gone with it:
//
//	PROJECTIONIST_FAKE_ESDB=127.0.0.1:2113 go test -run TestServe -timeout 0 -v ./streams/eventstore/fake
//	PROJECTIONIST_LOG='esdb://127.0.0.1:2113?tls=false' projectionist serve
func TestServe(t *testing.T) {
	addr := os.Getenv(serveEnv)
	if addr == "" {
		t.Skipf("SKIPPED: for trying by hand: set %s to an address such as 127.0.0.1:2113", serveEnv)
	}
	s := newServer(addr, nil)
	s.Start(t)
	defer s.Stop()
	t.Logf("a SIMULATION of EventStoreDB serves at %s until it is interrupted", s.URL())
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	<-interrupted
}
