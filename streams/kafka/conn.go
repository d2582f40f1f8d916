package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// dialer makes all connections to the brokers and knows them, so that Close can cut off requests that
// wait for an answer: sarama's own Close lets them run out.
type dialer struct {
	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

type conn struct {
	net.Conn
	d *dialer
}

func (c *conn) Close() error {
	c.d.mu.Lock()
	delete(c.d.conns, c)
	c.d.mu.Unlock()
	return c.Conn.Close()
}

// Dial is what sarama calls.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	nd := net.Dialer{Timeout: metadataTimeout, KeepAlive: 30 * time.Second}
	nc, err := nd.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{nc, d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		nc.Close()
		return nil, net.ErrClosed
	}
	if d.conns == nil {
		d.conns = map[*conn]struct{}{}
	}
	d.conns[c] = struct{}{}
	return c, nil
}

// cut ends all connections, and refuses new ones.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.conns {
		c.Conn.Close()
	}
}

// pool holds idle connections by address. A request has a connection for itself: a fetch that waits
// must not hold up what comes after it, and on one connection brokers answer in order.
type pool struct {
	config *sarama.Config
	mu     sync.Mutex
	idle   map[string][]*sarama.Broker
}

func (p *pool) get(addr string) (*sarama.Broker, error) {
	p.mu.Lock()
	if list := p.idle[addr]; len(list) > 0 {
		b := list[len(list)-1]
		p.idle[addr] = list[:len(list)-1]
		p.mu.Unlock()
		return b, nil
	}
	p.mu.Unlock()
	b := sarama.NewBroker(addr)
	if err := b.Open(p.config); err != nil {
		return nil, err
	}
	if ok, err := b.Connected(); !ok {
		if err == nil {
			err = sarama.ErrNotConnected
		}
		return nil, err
	}
	return b, nil
}

func (p *pool) put(addr string, b *sarama.Broker) {
	p.mu.Lock()
	if len(p.idle[addr]) < idleMax {
		if p.idle == nil {
			p.idle = map[string][]*sarama.Broker{}
		}
		p.idle[addr] = append(p.idle[addr], b)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	b.Close()
}

// drop closes a connection that failed, and those idle to the same broker: they have failed with it.
func (p *pool) drop(addr string, b *sarama.Broker) {
	p.mu.Lock()
	list := append(p.idle[addr], b)
	delete(p.idle, addr)
	p.mu.Unlock()
	for _, b := range list {
		b.Close() // it is not connected any more, or is not asked again
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.idle {
		for _, b := range list {
			b.Close()
		}
	}
	p.idle = nil
}

// errUnsent marks an error before a request went out: nothing can have been written.
type errUnsent struct{ error }

func (e errUnsent) Unwrap() error { return e.error }

// ask sends one request to the leader of a partition. On an error the leader is looked up anew before
// the next try.
func ask[R any](l *Log, p *partition, send func(*sarama.Broker) (R, error)) (r R, err error) {
	leader, err := l.client.Leader(p.name, p.Partition)
	if err != nil {
		return r, errUnsent{err}
	}
	addr := leader.Addr()
	b, err := l.pool.get(addr)
	if err != nil {
		l.refresh(p)
		return r, errUnsent{err}
	}
	if r, err = send(b); err != nil {
		l.pool.drop(addr, b)
		l.refresh(p)
		return r, err
	}
	l.pool.put(addr, b)
	return r, nil
}

// refresh looks a topic's leaders up anew. That it fails is seen by the next request.
func (l *Log) refresh(p *partition) {
	if l.stopped() {
		return
	}
	_ = l.client.RefreshMetadata(p.name)
}

// backoff is how long to wait before a try: short at first, since a new leader is often there at once.
func backoff(try int) time.Duration {
	return min(20*time.Millisecond<<min(try, 10), 500*time.Millisecond)
}

// pause waits before the next try; false means that the log or the context ends.
func (l *Log) pause(ctx context.Context, try int) bool {
	t := time.NewTimer(backoff(try))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-l.stop:
	}
	return false
}

// transient says whether a broker's answer may be another one soon: a leader moves, a broker starts.
func transient(err error) bool {
	var f *fault.Error
	if errors.As(err, &f) {
		return false // a judgement of our own
	}
	var k sarama.KError
	if !errors.As(err, &k) {
		return true // the network
	}
	switch k {
	case sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrUnknownTopicOrPartition,
		sarama.ErrReplicaNotAvailable, sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch,
		sarama.ErrOffsetNotAvailable, sarama.ErrRequestTimedOut, sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend,
		sarama.ErrNetworkException, sarama.ErrBrokerNotAvailable, sarama.ErrNotController, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress,
		sarama.ErrThrottlingQuotaExceeded:
		return true
	}
	return false
}

// fetch asks once for records from an offset on, and waits in the broker for the first.
func (l *Log) fetch(p *partition, from int64, wait time.Duration, bytes int) (*sarama.FetchResponseBlock, error) {
	req := &sarama.FetchRequest{
		Version:      11,
		MaxWaitTime:  int32(wait.Milliseconds()),
		MinBytes:     1,
		MaxBytes:     int32(bytes),
		Isolation:    sarama.ReadCommitted,
		SessionEpoch: -1, // no fetch session
	}
	req.AddBlock(p.name, p.Partition, from, int32(bytes), -1)
	resp, err := ask(l, p, func(b *sarama.Broker) (*sarama.FetchResponse, error) { return b.Fetch(req) })
	if err != nil {
		return nil, err
	}
	block := resp.GetBlock(p.name, p.Partition)
	if block == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		if transient(block.Err) {
			l.refresh(p)
		}
		return nil, block.Err
	}
	return block, nil
}

// listOffset asks for the offset of the first record recorded at or after a time, or for one of
// sarama.OffsetNewest (after the last that is stable) and OffsetOldest. -1 is none.
func (l *Log) listOffset(p *partition, millis int64) (int64, error) {
	req := &sarama.OffsetRequest{Version: 5, IsolationLevel: sarama.ReadCommitted}
	req.AddBlock(p.name, p.Partition, millis, 1)
	resp, err := ask(l, p, func(b *sarama.Broker) (*sarama.OffsetResponse, error) { return b.GetAvailableOffsets(req) })
	if err != nil {
		return 0, err
	}
	block := resp.GetBlock(p.name, p.Partition)
	if block == nil {
		return 0, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		if transient(block.Err) {
			l.refresh(p)
		}
		return 0, block.Err
	}
	return block.Offset, nil
}

// persist repeats fn while its errors are transient, up to ReadTimeout.
func (l *Log) persist(ctx context.Context, what string, fn func() error) error {
	end := time.Now().Add(l.opts.ReadTimeout)
	for try := 0; ; try++ {
		err := fn()
		if err == nil {
			return nil
		}
		if l.ops.Stay(context.Background()) != nil {
			return gate.Closed()
		}
		if !transient(err) || time.Now().After(end) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return brokerError(err, what) // rather than that time is up
		}
		if err := gate.Ended(ctx); err != nil {
			return err
		}
		if !l.pause(ctx, try) {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return brokerError(err, what)
			}
			if err := gate.Ended(ctx); err != nil {
				return err
			}
			return gate.Closed()
		}
	}
}

// brokerError gives what a broker or the network said its code.
func brokerError(err error, what string) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	code, hint := fault.Unavailable, "is the cluster up, and its advertised listeners reachable from here?"
	switch {
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed), errors.Is(err, sarama.ErrClusterAuthorizationFailed), errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		code, hint = fault.Forbidden, "grant the user Create, DescribeConfigs, Read and Write on the log's topics and IdempotentWrite on the cluster"
	case errors.Is(err, sarama.ErrInvalidMessage):
		code, hint = fault.Corrupt, "a broker's disk or the network is damaged"
	}
	out := fault.New(code, "%s", what).WithHint("%s", hint)
	out.Err = err
	return out
}
