package door

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// Config of a door. Log is needed; the rest has defaults.
type Config struct {
	Log *local.Log
	// Address to listen on; default 127.0.0.1:9092. Any other than a loopback address needs TLS and Users.
	Address string
	// Advertised is the host:port that clients are told to come back to; default the address listened
	// on. An address such as 0.0.0.0 needs it.
	Advertised string
	TLS        *tls.Config
	// Users are names and passwords for SASL PLAIN; with none, no one is asked.
	Users map[string]string
	// Validate says whether a record may enter a topic; an error refuses the record's batch. The record
	// and its slices are valid only during the call; its offset is -1, and its Recorded the time that the
	// client gave it, zero for none. Headers that it appends to the record are stored with it. It is called
	// concurrently.
	Validate func(topic string, rec *streams.Record) error
	// Read, if set, is asked in Validate's place for batches of few records, and gives what it has read: once placed
	// ([events.Event.Place]) what reading the record from the log gives, for who folds it; or nil. The same rules as
	// for Validate.
	Read func(topic string, rec *streams.Record) (*events.Event, error)
	// Rejected is told which record refused its batch, and why: clients show a general text. The same
	// rules as for Validate.
	Rejected func(rec *streams.Record, reason error)
	// Now is the clock that expires forgotten producers and groups; default time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Door is a running server.
type Door struct {
	cfg        Config
	log        *local.Log
	logger     *slog.Logger
	listener   net.Listener
	host       string
	port       int32
	topics     []streams.Topic
	partitions map[string]int32

	groups    *coordinator
	produce   *budget
	fetch     *budget
	heavy     chan struct{}
	decoders  chan struct{}
	catchUp   chan struct{}
	pace      pace
	producers producerIDs
	said      *rate.Limiter

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	work   sync.WaitGroup

	patience time.Duration // of Close with connections that do not end

	mu      sync.Mutex
	conns   map[*conn]struct{}
	closed  bool
	closing sync.Once
	err     error
}

// AddressDefault is Kafka's own port, on this machine only.
const AddressDefault = "127.0.0.1:9092"

// Listen opens the door. Errors: fault.Invalid for a configuration that would not be safe or cannot
// work, fault.Unavailable when the address is taken.
func Listen(cfg Config) (*Door, error) {
	if cfg.Address == "" {
		cfg.Address = AddressDefault
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	checkVersions()
	listener, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		return nil, &fault.Error{Code: fault.Unavailable, Field: "address", Err: err,
			Message: "Kafka's tools cannot be served on " + cfg.Address,
			Hint:    "stop the program that has the port, such as a Kafka broker, or choose another address"}
	}
	if host, _, _ := net.SplitHostPort(cfg.Address); host == "localhost" && !listener.Addr().(*net.TCPAddr).IP.IsLoopback() && cfg.open() {
		listener.Close()
		return nil, fault.Field("address", "localhost is %s on this machine, which can be reached from others", listener.Addr())
	}
	d := &Door{
		cfg: cfg, log: cfg.Log, logger: cfg.Logger, listener: listener,
		topics: cfg.Log.Topics(), partitions: map[string]int32{},
		produce: newBudget(produceBudget), fetch: newBudget(fetchBudget),
		heavy: make(chan struct{}, heavyFrames), decoders: make(chan struct{}, decompressions), catchUp: make(chan struct{}, 1),
		conns: map[*conn]struct{}{}, said: newRate(), patience: closeTimeout,
	}
	for _, t := range d.topics {
		d.partitions[t.Name] = t.Partitions
	}
	advertised := cfg.Advertised
	if advertised == "" {
		advertised = listener.Addr().String()
	}
	host, port, _ := net.SplitHostPort(advertised) // validate has seen it
	n, _ := strconv.ParseUint(port, 10, 16)
	d.host, d.port = host, int32(n)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if d.groups, err = newCoordinator(d); err != nil {
		d.cancel()
		return nil, errors.Join(err, listener.Close())
	}
	if cfg.TLS != nil {
		d.listener = tls.NewListener(listener, cfg.TLS)
	}
	d.work.Go(d.accept)
	d.work.Go(d.groups.tick)
	d.work.Go(d.expire)
	return d, nil
}

func (c *Config) validate() error {
	if c.Log == nil {
		return fault.Field("log", "the door needs a log")
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fault.Field("address", "%q is no address; want host:port such as %s", c.Address, AddressDefault)
	}
	ip := net.ParseIP(host)
	if !(ip != nil && ip.IsLoopback() || host == "localhost") && c.open() {
		return fault.Field("address", "%s can be reached from other machines; that needs TLS and SASL users", c.Address).
			WithHint("listen on 127.0.0.1, or serve with --kafka-cert, --kafka-key and $PROJECTIONIST_TOKEN")
	}
	if c.Advertised == "" {
		if host == "" || ip != nil && ip.IsUnspecified() {
			return fault.Field("advertised", "clients have to be told a host:port to come back to; %s is none", c.Address).
				WithHint("say under which name or address they reach this machine: serve --kafka-advertise HOST:PORT")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(c.Advertised)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" {
		return fault.Field("advertised", "%q is no address; want host:port such as films.example.com:9092", c.Advertised)
	}
	return nil
}

// open says that anyone who reaches the address gets in, or can listen in.
func (c *Config) open() bool { return c.TLS == nil || len(c.Users) == 0 }

// Addr is the address listened on.
func (d *Door) Addr() net.Addr { return d.listener.Addr() }

// accept takes connections until the listener closes.
func (d *Door) accept() {
	for {
		nc, err := d.listener.Accept()
		if err != nil {
			if d.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, say: it may pass.
			d.logger.Error("a Kafka client could not be accepted", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-d.ctx.Done():
				return
			}
		}
		c := &conn{d: d, nc: nc}
		c.idle.begin(time.Now())
		if !d.add(c) {
			c.cut()
			continue
		}
		d.work.Go(func() {
			defer d.remove(c)
			c.serve()
		})
	}
}

// Close ends long polls, answers what is under way, and closes the connections; after five seconds it
// closes them anyhow. It may be called again. The log is closed after it.
func (d *Door) Close() error {
	d.closing.Do(func() {
		d.cancel()
		d.err = d.listener.Close()
		d.each(func(c *conn) { c.nc.SetReadDeadline(time.Unix(1, 0)) }) // who waits for a request ends
		done := make(chan struct{})
		go func() { d.work.Wait(); close(done) }()
		timer := time.NewTimer(d.patience)
		defer timer.Stop()
		select {
		case <-done:
			return
		case <-timer.C:
		}
		d.each(func(c *conn) { c.nc.Close() })
		timer.Reset(d.patience)
		select {
		case <-done:
		case <-timer.C:
			d.err = errors.Join(d.err, fault.New(fault.Internal, "connections of Kafka clients did not end within %v", 2*d.patience))
		}
	})
	return d.err
}

func (d *Door) each(fn func(*conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.conns {
		fn(c)
	}
}

// expire forgets producers and groups that were not heard of for stateRetention.
func (d *Door) expire() {
	timer := time.NewTicker(expireInterval)
	defer timer.Stop()
	for {
		before := d.cfg.Now().Add(-stateRetention)
		n, err := d.log.ExpireProducers(d.ctx, before)
		if err == nil {
			err = d.groups.expire(before)
		}
		if err != nil && d.ctx.Err() == nil {
			d.logger.Error("old producers and groups could not be forgotten", "error", err)
		} else if n > 0 {
			d.logger.Info("idempotent producers that were not used for seven days are forgotten", "producers", n)
		}
		select {
		case <-timer.C:
		case <-d.ctx.Done():
			return
		}
	}
}

// producerIDs hands out reserved ids.
type producerIDs struct {
	mu      sync.Mutex
	next, n int64
}

func (p *producerIDs) take(log *local.Log) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		var err error
		if p.next, p.n, err = log.ReserveProducers(); err != nil {
			p.n = 0
			return 0, err
		}
	}
	id := p.next
	p.next++
	p.n--
	return id, nil
}

// complaintsPerSecond keeps a hostile client from filling the disk with our own words.
const complaintsPerSecond = 10

func newRate() *rate.Limiter { return rate.NewLimiter(complaintsPerSecond, complaintsPerSecond) }

func (d *Door) complain(message string, args ...any) {
	if d.said.Allow() {
		d.logger.Warn(message, args...)
	}
}
