package fake

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
)

// Version is the server version it answers with.
const Version = "24.10.0"

// Fault is what befalls an append.
type Fault int

const (
	None       Fault = iota
	DropBefore       // all connections break before the append is taken
	DropAfter        // the append is taken, then all connections break before anyone hears of it
	GoneAfter        // the same, and the server is gone until Start
	Silent           // the append is taken but never answered: the caller's deadline passes
	Busy             // refused as too busy
)

// Server is one node. It listens on a port of 127.0.0.1, the same after every Start.
type Server struct {
	*Store
	version string
	leader  *Server // nil for a leader

	mu      sync.Mutex
	addr    string
	grpc    *grpc.Server
	conns   map[net.Conn]struct{}
	onWrite func(stream string, events int) Fault
	calls   map[string]int // requests by name
	held    chan struct{}  // subscriptions wait until it is closed; nil for not
}

// New starts a leader that is stopped when the test ends. A nil store is a new one.
func New(t testing.TB, store *Store) *Server {
	t.Helper()
	s := newServer("127.0.0.1:0", store)
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

func newServer(addr string, store *Store) *Server {
	if store == nil {
		store = NewStore()
	}
	return &Server{Store: store, version: Version, addr: addr, conns: map[net.Conn]struct{}{}, calls: map[string]int{}}
}

// NewFollower starts a follower of the leader, on the same store. What is asked of it with
// "requires-leader" it answers with the leader's address.
func NewFollower(t testing.TB, leader *Server) *Server {
	t.Helper()
	s := New(t, leader.Store)
	s.leader = leader
	return s
}

// SetVersion is what server features answer from now on.
func (s *Server) SetVersion(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = v
}

// Addr is host:port.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL is the connection string.
func (s *Server) URL() string { return "esdb://" + s.Addr() + "?tls=false" }

// Calls is how many requests of a name there were: "append", "read", "subscribe", "gossip", "features".
func (s *Server) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

// Hold lets new subscriptions be confirmed and then hear nothing, until release is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	})
}

// released waits for the end of Hold.
func (s *Server) released(ctx context.Context) error {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
}

// OnAppend decides what befalls each append; nil is nothing. It is called before the append is judged.
func (s *Server) OnAppend(f func(stream string, events int) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onWrite = f
}

func (s *Server) fault(stream string, events int) Fault {
	s.mu.Lock()
	f := s.onWrite
	s.mu.Unlock()
	if f == nil {
		return None
	}
	return f(stream, events)
}

// Start listens, after New or Stop. What the store holds is kept.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var lis net.Listener
	for try := 0; ; try++ {
		var err error
		if lis, err = net.Listen("tcp", s.addr); err == nil {
			break
		}
		if try == 100 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the port may be held by a connection that is being closed
	}
	s.addr = lis.Addr().String()
	s.grpc = grpc.NewServer()
	streams.RegisterStreamsServer(s.grpc, streamsService{s: s})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, featuresService{s: s})
	gossip.RegisterGossipServer(s.grpc, gossipService{s: s})
	go s.grpc.Serve(&listener{lis, s})
}

// Stop closes the port and all connections. It may be called again.
func (s *Server) Stop() {
	s.mu.Lock()
	g := s.grpc
	s.grpc = nil
	s.mu.Unlock()
	if g != nil {
		g.Stop()
	}
}

// Drop breaks all connections; new ones are taken.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// listener knows the connections that are open.
type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	k := &conn{Conn: c, s: l.s}
	l.s.conns[k] = struct{}{}
	return k, nil
}

type conn struct {
	net.Conn
	s    *Server
	once sync.Once
}

func (c *conn) Close() error {
	c.once.Do(func() {
		go func() { // Drop holds the lock
			c.s.mu.Lock()
			defer c.s.mu.Unlock()
			delete(c.s.conns, c)
		}()
	})
	return c.Conn.Close()
}

type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
	s *Server
}

func (f featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	f.s.count("features")
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	m := &serverfeatures.SupportedMethods{EventStoreServerVersion: f.s.version}
	for _, name := range []string{"read", "append", "delete", "tombstone"} {
		m.Methods = append(m.Methods, &serverfeatures.SupportedMethod{MethodName: name, ServiceName: "event_store.client.streams.streams"})
	}
	return m, nil
}

type gossipService struct {
	gossip.UnimplementedGossipServer
	s *Server
}

func (g gossipService) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	g.s.count("gossip")
	info := &gossip.ClusterInfo{}
	add := func(s *Server, state gossip.MemberInfo_VNodeState) {
		host, port := s.hostPort()
		info.Members = append(info.Members, &gossip.MemberInfo{State: state, IsAlive: true, HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)}})
	}
	if g.s.leader == nil {
		add(g.s, gossip.MemberInfo_Leader)
	} else {
		add(g.s, gossip.MemberInfo_Follower)
		add(g.s.leader, gossip.MemberInfo_Leader)
	}
	return info, nil
}

func (s *Server) hostPort() (string, int) {
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(fmt.Sprint("port ", port))
	}
	return host, n
}
