package api_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// pipes listens without a network, so that time can be simulated: a byte that is not read is not sent.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// alone answers all requests on a pipe with one handler, while talk is the client.
func alone(t *testing.T, h api.Handler, talk func(net.Conn)) {
	t.Helper()
	c := core(t)
	server := c.Serve(surface{"only", func(r *api.Routes) { r.Handle("/x", h) }})
	synctest.Test(t, func(t *testing.T) {
		l, srv := make(pipes), &http.Server{Handler: server}
		go srv.Serve(l) //nolint:errcheck // ends with the listener
		client, conn := net.Pipe()
		l <- conn
		defer srv.Close()
		defer client.Close()
		talk(client)
	})
}

// A client that asks for much and reads nothing is cut off; what was done for it ends.
func TestReaderThatDoesNotRead(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"at once": func(w http.ResponseWriter) error {
			_, err := w.Write(make([]byte, 1<<20))
			return err
		},
		"line by line": func(w http.ResponseWriter) error {
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 999)+"\n"); err != nil {
					return err
				}
			}
		},
		"with flushes": func(w http.ResponseWriter) error {
			io.WriteString(w, "x")
			return http.NewResponseController(w).Flush()
		},
		"in lines": func(w http.ResponseWriter) error {
			out := api.NewLines(w)
			out.Write(strings.Repeat("x", 10_000))
			out.Flush()
			return os.ErrDeadlineExceeded // it does not say
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			alone(t, func(w http.ResponseWriter, r *http.Request) error {
				start := time.Now()
				err := write(w)
				if took := time.Since(start); took != time.Minute {
					t.Errorf("it took %v", took)
				}
				<-r.Context().Done()
				ended <- err
				return nil
			}, func(c net.Conn) {
				io.WriteString(c, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
				synctest.Wait()
				time.Sleep(2 * time.Minute)
				select {
				case err := <-ended:
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("ended with %v", err)
					}
				default:
					t.Error("it is still waited for")
				}
			})
		})
	}
}

// A slow client that goes on reading gets all, however much is written at once, and so does one that asks again
// after long.
func TestReaderThatIsSlow(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	alone(t, func(w http.ResponseWriter, _ *http.Request) error {
		w.Write(body) //nolint:errcheck // the client looks
		return nil
	}, func(c net.Conn) {
		in := bufio.NewReaderSize(c, 1<<10)
		for range 2 {
			io.WriteString(c, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for buf := make([]byte, 10_000); ; {
				n, err := io.ReadFull(res.Body, buf)
				if got = append(got, buf[:n]...); err != nil {
					break
				}
				time.Sleep(8 * time.Second)
			}
			if !bytes.Equal(got, body) {
				t.Errorf("%d bytes of %d", len(got), len(body))
			}
			time.Sleep(time.Hour)
		}
	})
}

// A body that was promised and does not come is not waited for, whether or not the handler wants it.
func TestBodyThatDoesNotCome(t *testing.T) {
	alone(t, func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "answer") //nolint:errcheck // the client looks
		return nil
	}, func(c net.Conn) {
		io.WriteString(c, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nno more")
		start := time.Now()
		if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "answer") {
			t.Errorf("%q, %v", b, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("the connection was held for %v", took)
		}
	})
}

// A body is read for as long as it comes, but not from a client that lets it trickle in.
func TestBodyThatTrickles(t *testing.T) {
	const size = 3 * api.BodyBytesMax
	for name, c := range map[string]struct {
		piece int
		pause time.Duration
		whole bool
	}{"slow": {100_000, 2 * time.Second, true}, "trickling": {1, 20 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			var failed error
			alone(t, func(w http.ResponseWriter, r *http.Request) error {
				failed = api.ReceiveBody(w, r, size, &got)
				return nil
			}, func(conn net.Conn) {
				io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n")
				go io.Copy(io.Discard, conn) //nolint:errcheck // the answer does not matter
				for left := size; left > 0; left -= c.piece {
					if _, err := conn.Write(make([]byte, min(left, c.piece))); err != nil {
						break
					}
					time.Sleep(c.pause)
				}
			})
			if whole := failed == nil && got.Len() == size; whole != c.whole || !c.whole && !fault.Is(failed, fault.Invalid) {
				t.Errorf("%d bytes, %v", got.Len(), failed)
			}
		})
	}
}
