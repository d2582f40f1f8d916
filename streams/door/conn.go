package door

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn is one client's connection. Requests are answered in order. One goroutine reads, handles and
// answers; only Produce requests are pipelined: they are submitted as they come, and a second goroutine
// waits for the disk and answers. Any other request waits until those are answered.
type conn struct {
	d  *Door
	nc net.Conn
	br *bufio.Reader

	user      string // authenticated as
	mechanism bool   // SaslHandshake was answered
	bare      bool   // and what follows is not in a request
	out       []byte // the reader's answers

	produced   chan *production // to the writer; nil before the first
	pending    sync.WaitGroup   // productions that are not answered yet
	unanswered atomic.Int32     // how many those are

	idle  idleness
	known atomic.Bool // whether it is trusted, for others to read
}

// errDone ends a connection without a word.
var errDone = errors.New("done")

func (c *conn) trusted() bool { return len(c.d.cfg.Users) == 0 || c.user != "" }

func (c *conn) serve() {
	defer c.nc.Close()
	var err error
	defer c.recovered()
	defer func() {
		if err != nil && !errors.Is(err, errDone) && !errors.Is(err, io.EOF) && c.d.ctx.Err() == nil {
			c.d.complain("a Kafka client's connection is closed", "client", c.nc.RemoteAddr().String(), "reason", err.Error())
		}
	}()
	defer c.endProductions()
	defer func() {
		if c.idle.over() {
			err = errors.New("it was idle for the longest of all when another client came")
		}
	}()
	c.br = bufio.NewReaderSize(c.nc, 16<<10)
	if !c.trusted() {
		c.nc.SetDeadline(time.Now().Add(strangerTimeout))
	}
	for err == nil && c.d.ctx.Err() == nil {
		err = c.next()
	}
}

// recovered, deferred, ends the connection whose handling has panicked, and only that.
func (c *conn) recovered() {
	if r := recover(); r != nil {
		c.nc.Close()
		c.d.logger.Error("a Kafka client's request could not be handled: a defect", "client", c.nc.RemoteAddr().String(),
			"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

// next reads and handles one request.
func (c *conn) next() error {
	trusted := c.trusted()
	c.known.Store(trusted)
	c.idle.begin(time.Now())
	if c.bare {
		return c.bareAuthenticate()
	}
	if trusted {
		c.setReadDeadline(idleTimeout)
	}
	head, err := c.br.Peek(4)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errDone // idle
		}
		return err
	}
	size := int64(int32(binary.BigEndian.Uint32(head)))
	if size < 10 || size > frameBytesMax {
		return fmt.Errorf("a frame of %d bytes; want 10 to %d", size, frameBytesMax)
	}
	if trusted {
		c.setReadDeadline(frameTimeout)
	}
	if head, err = c.br.Peek(12); err != nil {
		return err
	}
	key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
	correlation := binary.BigEndian.Uint32(head[8:])
	if _, err := c.br.Discard(12); err != nil {
		return err
	}
	limit := int64(smallFrameBytesMax)
	switch {
	case !trusted:
		limit = strangerFrameBytesMax
	case key == keyProduce:
		limit = frameBytesMax
	}
	if size > limit {
		return fmt.Errorf("a frame of %d bytes for API %s; at most %d are allowed", size, kmsg.NameForKey(key), limit)
	}
	if !trusted && key != keyApiVersions && key != keySASLHandshake && key != keySASLAuthenticate {
		return fmt.Errorf("API %s before SASL authentication", kmsg.NameForKey(key))
	}
	if !c.supports(key, version) && key != keyApiVersions {
		return fmt.Errorf("version %d of API %s is not spoken here", version, kmsg.NameForKey(key))
	}

	held := int64(0) // of the budget, released here or by who answers
	defer func() { c.d.produce.release(held) }()
	frame, err := c.readFrame(int(size-8), &held)
	if err != nil {
		return err
	}
	if !c.idle.end() {
		return errDone
	}
	if trusted {
		// Nothing is read while the request is handled, however long that takes, except by watch.
		c.nc.SetReadDeadline(time.Time{})
	}
	client, body, ok := cutClientID(frame)
	if !ok {
		return fmt.Errorf("a request of API %s is cut short", kmsg.NameForKey(key))
	}
	if key == keyProduce {
		h := held
		held = 0 // now the production's
		return c.produce(version, correlation, frame, body, h)
	}
	c.pending.Wait()

	var resp kmsg.Response
	if key == keyApiVersions {
		resp = c.apiVersions(version)
	} else {
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if err := c.parse(req, body); err != nil {
			return fmt.Errorf("a request of API %s cannot be read: %w", kmsg.NameForKey(key), err)
		}
		switch req := req.(type) {
		case *kmsg.FetchRequest:
			return c.fetch(req, correlation)
		case *kmsg.SASLHandshakeRequest:
			resp = c.saslHandshake(req)
		case *kmsg.SASLAuthenticateRequest:
			resp = c.saslAuthenticate(req)
		case *kmsg.JoinGroupRequest:
			resp = c.d.groups.join(c, client, req)
		default:
			resp = c.handle(req)
		}
		if resp == nil {
			return errDone
		}
		resp.SetVersion(version)
	}
	if err := c.answer(correlation, resp); err != nil {
		return err
	}
	if a, ok := resp.(*kmsg.SASLAuthenticateResponse); ok {
		if a.ErrorCode != codeNone {
			return errSASL
		}
		c.nc.SetDeadline(time.Time{})
	}
	return nil
}

func (c *conn) setReadDeadline(timeout time.Duration) {
	c.nc.SetReadDeadline(time.Now().Add(timeout))
	if c.d.ctx.Err() != nil { // Close may have set one just before
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// parse bounds how many large requests are parsed at once, for what arrays of structs take.
func (c *conn) parse(req kmsg.Request, body []byte) error {
	if len(body) > heavyFrameBytes {
		c.d.heavy <- struct{}{}
		defer func() { <-c.d.heavy }()
	}
	if req.IsFlexible() {
		return parseFlexible(req, body)
	}
	return req.ReadFrom(body)
}

// readFrame reads n bytes. Beyond the first step it takes them from the budget as they arrive.
func (c *conn) readFrame(n int, held *int64) ([]byte, error) {
	buf := takeFrame(n)
	if buf != nil {
		buf = buf[:min(n, readStep)]
	} else {
		buf = make([]byte, min(n, readStep))
	}
	if _, err := io.ReadFull(c.br, buf); err != nil {
		return nil, unexpected(err)
	}
	for len(buf) < n {
		grow := min(n-len(buf), len(buf)) // doubles
		ctx, cancel := context.WithTimeout(c.d.ctx, frameTimeout)
		ok := c.d.produce.acquire(ctx, int64(grow))
		cancel()
		if !ok {
			return nil, errors.New("too many requests are under way")
		}
		*held += int64(grow)
		next := buf[:min(len(buf)+grow, cap(buf))]
		if len(next) < len(buf)+grow {
			next = roomy(len(buf) + grow)
			copy(next, buf)
		}
		if _, err := io.ReadFull(c.br, next[len(buf):]); err != nil {
			return nil, unexpected(err)
		}
		buf = next
	}
	return buf, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cutClientID cuts the nullable client id off.
func cutClientID(b []byte) (id string, rest []byte, ok bool) {
	n := int(int16(binary.BigEndian.Uint16(b)))
	b = b[2:]
	if n < 0 {
		return "", b, n == -1
	}
	if n > len(b) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// answer writes a response.
func (c *conn) answer(correlation uint32, resp kmsg.Response) error {
	c.out = appendAnswer(c.out[:0], correlation, resp)
	_, err := c.write(c.out)
	if cap(c.out) > readStep {
		c.out = nil // a thousand connections must not keep megabytes each
	}
	return err
}

func appendAnswer(b []byte, correlation uint32, resp kmsg.Response) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, correlation)
	if resp.IsFlexible() && resp.Key() != keyApiVersions { // whose header is always the first one
		b = append(b, 0) // no tags
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (c *conn) write(b []byte) (int, error) {
	if c.trusted() {
		c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	return c.nc.Write(b)
}

// watch gives a context that ends when the client goes away or the door closes, and a function that
// must be called before anything else is read. It does not see a client go whose next request has come.
func (c *conn) watch() (context.Context, func()) {
	ctx, cancel := context.WithCancel(c.d.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.br.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		}
	}()
	return ctx, func() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
		<-done
		cancel()
	}
}
