package app

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/streams/door"
)

// TestBrowsersTakeEveryPage: where a browser refuses the default port of a listener, its page is on the main address.
func TestBrowsersTakeEveryPage(t *testing.T) {
	refused := 0
	for _, l := range append(Listeners(), Listener{Name: MainListener, Default: ListenDefault}, Listener{Name: "kafka", Default: door.AddressDefault}) {
		_, text, err := net.SplitHostPort(l.Default)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(browserRefuses, port) {
			if at := (Answered{Name: l.Name, Address: l.Default}).BrowserPath(); at != "" {
				t.Errorf("a browser is sent from %s to %s", l.Default, at)
			}
			continue
		}
		refused++
		if (Answered{Name: l.Name, Address: l.Default}).BrowserPath() == "" {
			t.Errorf("browsers refuse %s, where %s is, and its page is nowhere else", l.Default, l.Name)
		}
		if at := (Answered{Name: l.Name, Address: "127.0.0.1:7001"}).BrowserPath(); at != "" {
			t.Errorf("%s on a port that browsers take: sent to %s", l.Name, at)
		}
	}
	if refused == 0 || !slices.IsSorted(browserRefuses) {
		t.Errorf("%d listeners are refused; the list %v", refused, browserRefuses)
	}
}
