package door

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// words is a log that may be read while it is written.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) say(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.b.String(), s)
}

// conn is the door's end of the connection.
func (p *peer) conn(d *Door) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.nc.RemoteAddr().String() == p.nc.LocalAddr().String() {
			return c
		}
	}
	return nil
}

// ask makes a request, and waits until the door waits for the next.
func (p *peer) ask(d *Door) {
	p.t.Helper()
	p.call(kmsg.NewPtrFindCoordinatorRequest())
	c := p.conn(d)
	eventually(p.t, func() bool { return c.idle.since.Load() > idleBusy })
}

// poll begins a long poll.
func (p *peer) poll() {
	p.t.Helper()
	req := fetchRequest(testTopic, 0, 0)
	req.MaxWaitMillis = 60_000
	p.send(req)
}

// idle is how many connections wait for a request.
func idle(d *Door) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.idle.since.Load() > idleBusy {
			n++
		}
	}
	return n
}

// mustDialMany opens connections; the first three have waited the longest, in their order.
func mustDialMany(t testing.TB, d *Door, n int) (peers []*peer) {
	t.Helper()
	for range 3 {
		p := mustDial(t, d)
		p.ask(d)
		peers = append(peers, p)
	}
	for len(peers) < n {
		p := mustDial(t, d)
		p.call(kmsg.NewPtrFindCoordinatorRequest())
		peers = append(peers, p)
	}
	eventually(t, func() bool { return idle(d) == n })
	return peers
}

// TestIdle: where all places are taken, a new client takes that of who has waited the longest, and not of who
// waits for an answer. Where all do that, it is refused.
func TestIdle(t *testing.T) {
	said := &words{}
	d := mustListen(t, Config{Logger: slog.New(slog.NewTextHandler(said, nil))})
	busy := mustDial(t, d)
	busy.ask(d)
	busy.poll()
	eventually(t, func() bool { return idle(d) == 0 })
	peers := mustDialMany(t, d, connectionsMax-1)
	peers[0].ask(d) // is not the oldest any more
	half := peers[2]
	if _, err := half.nc.Write([]byte{0, 0, 1, 0, 0, 3}); err != nil { // never says the rest
		t.Fatal(err)
	}
	for range 2 {
		mustDial(t, d).ask(d)
	}
	peers[1].gone()
	half.gone()
	for _, p := range []*peer{peers[0], peers[3], peers[len(peers)-1]} {
		p.ask(d)
	}
	busy.produceElsewhere(d)
	if !said.say("it was idle for the longest of all when another client came") {
		t.Error("nothing is said of it")
	}
	alive(t, d)
}

// produceElsewhere ends the long poll by a record, and reads it.
func (p *peer) produceElsewhere(d *Door) {
	p.t.Helper()
	q := mustDial(p.t, d)
	if r := q.produce(testTopic, 0, newBatch(rec("k", "v")).bytes()); r.ErrorCode != 0 {
		p.t.Fatalf("%+v", r)
	}
	req := fetchRequest(testTopic, 0, 0)
	if r := p.recv(req).(*kmsg.FetchResponse); len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		p.t.Errorf("%+v", r)
	}
}

// TestIdleNone: where all connections are at work, a new one is refused, and that is said.
func TestIdleNone(t *testing.T) {
	said := &words{}
	d := mustListen(t, Config{Logger: slog.New(slog.NewTextHandler(said, nil))})
	peers := mustDialMany(t, d, connectionsMax)
	for _, p := range peers {
		p.poll()
	}
	eventually(t, func() bool { return idle(d) == 0 })
	mustDial(t, d).gone()
	if !said.say("all connections are at work") {
		t.Error("nothing is said of it")
	}
	peers[0].nc.Close()
	eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.conns) < connectionsMax })
	alive(t, d)
}

// login says who the client is.
func (p *peer) login(user, password string) int16 {
	p.t.Helper()
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, mechanismPlain
	if r := p.call(hello).(*kmsg.SASLHandshakeResponse); r.ErrorCode != 0 {
		p.t.Fatalf("%+v", r)
	}
	auth := kmsg.NewPtrSASLAuthenticateRequest()
	auth.Version, auth.SASLAuthBytes = 1, []byte("\x00"+user+"\x00"+password)
	return p.call(auth).(*kmsg.SASLAuthenticateResponse).ErrorCode
}

// TestIdleStrangers: who has not said who it is neither fills the door nor closes the connections of those
// who are known.
func TestIdleStrangers(t *testing.T) {
	d := mustListen(t, Config{Users: map[string]string{"ada": "s3cret"}})
	known := mustDial(t, d)
	if code := known.login("ada", "s3cret"); code != 0 {
		t.Fatal(code)
	}
	known.ask(d)
	var strangers []*peer
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, mechanismPlain
	for range strangersMax {
		p := mustDial(t, d)
		p.call(hello)
		c := p.conn(d)
		eventually(t, func() bool { return c.idle.since.Load() > idleBusy })
		strangers = append(strangers, p)
	}
	for range 3 { // each takes the place of the first of them
		p := mustDial(t, d)
		if code := p.login("ada", "s3cret"); code != 0 {
			t.Fatal(code)
		}
		p.ask(d)
	}
	strangers[0].gone()
	strangers[len(strangers)-1].call(hello)
	known.ask(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.conns); n > strangersMax+4 {
		t.Errorf("%d connections", n)
	}
}

// TestComplain: what clients make the door say has a rate.
func TestComplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := &words{}
		d := &Door{logger: slog.New(slog.NewTextHandler(said, nil)), said: newRate()}
		for second := 1; second <= 3; second++ {
			for range 1000 {
				d.complain("a line")
			}
			if got, want := strings.Count(said.b.String(), "a line"), second*complaintsPerSecond; got != want {
				t.Errorf("%d lines after %d s; want %d", got, second, want)
			}
			time.Sleep(time.Second)
		}
	})
}
