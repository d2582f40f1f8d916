package door

import (
	"crypto/tls"
	"sync/atomic"
	"time"
)

// There are at most connectionsMax connections. One that waits for a request for idleTimeout is closed, and
// sooner where another client comes for which there would be no place: then the one that has waited the
// longest goes, as long as none of its requests is under way. Clients come back to where they were closed.
//
// Where there are users, who has not said yet which of them it is may take a quarter of the places, so that
// strangers can neither fill the door nor close the connections of those who are known.
const strangersMax = connectionsMax / 4

// idleness is since when a connection waits for a request, in Unix nanoseconds: idleBusy while it has one,
// idleOver when it has been given up. It ends with the request's last byte.
type idleness struct{ since atomic.Int64 }

const (
	idleBusy = 0
	idleOver = -1
)

// begin is for the connection's reader, as is end.
func (i *idleness) begin(now time.Time) {
	if !i.over() {
		i.since.CompareAndSwap(idleBusy, now.UnixNano())
	}
}

// end says that a request has come; false if the connection has been given up.
func (i *idleness) end() bool {
	since := i.since.Load()
	return since != idleOver && i.since.CompareAndSwap(since, idleBusy)
}

func (i *idleness) over() bool { return i.since.Load() == idleOver }

// giveUp ends the wait that began at a time, if it still goes on.
func (i *idleness) giveUp(since int64) bool { return i.since.CompareAndSwap(since, idleOver) }

// add takes a connection in, and closes another one for it if it must.
func (d *Door) add(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	for {
		victim, since, full := d.idlest(len(d.cfg.Users) > 0)
		if !full {
			d.conns[c] = struct{}{}
			return true
		}
		if victim == nil {
			d.complain("a Kafka client is refused: all connections are at work", "client", c.nc.RemoteAddr().String(), "connections", len(d.conns))
			return false
		}
		if victim.idle.giveUp(since) {
			delete(d.conns, victim)
			victim.cut()
		}
	}
}

// idlest says whether one more connection, of a stranger or not, is too many, and which one waits the longest
// among those that may be closed for it, and since when.
func (d *Door) idlest(stranger bool) (victim *conn, since int64, full bool) {
	strangers := 0
	var idlest [2]*conn // of those who are known, of strangers
	var from [2]int64
	for c := range d.conns {
		kind := 0
		if !c.known.Load() && len(d.cfg.Users) > 0 {
			kind = 1
			strangers++
		}
		at := c.idle.since.Load()
		if at > idleBusy && c.unanswered.Load() == 0 && (idlest[kind] == nil || at < from[kind]) {
			idlest[kind], from[kind] = c, at
		}
	}
	switch {
	case stranger && strangers >= strangersMax:
		return idlest[1], from[1], true
	case len(d.conns) < connectionsMax:
		return nil, 0, false
	case idlest[0] == nil:
		return idlest[1], from[1], true
	}
	return idlest[0], from[0], true
}

func (d *Door) remove(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

// cut closes the connection at once: TLS would say goodbye first, to who may not listen.
func (c *conn) cut() {
	if t, ok := c.nc.(*tls.Conn); ok {
		t.NetConn().Close()
		return
	}
	c.nc.Close()
}
