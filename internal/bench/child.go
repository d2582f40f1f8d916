package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

// child is this binary in a process of its own, as the program or as the limit's server.
type child struct {
	cmd    *exec.Cmd
	begun  time.Time
	base   string
	out    *lines
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

const (
	// pollEvery is the grain of start times.
	pollEvery = time.Millisecond
	// readyMax bounds waiting for a server that trains on a million events first.
	readyMax = 20 * time.Minute
	// stopMax bounds an end in good order.
	stopMax = 2 * time.Minute
)

func (b *bench) spawn(as string, tell func(string), args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{exited: make(chan struct{}), out: &lines{each: tell}}
	c.cmd = exec.CommandContext(b.ctx, exe, args...)
	c.cmd.Dir = b.dir // no .env of the folder this was called in
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PROJECTIONIST_") && !strings.HasPrefix(v, "TMDB_") { // a token would shut us out
			c.cmd.Env = append(c.cmd.Env, v)
		}
	}
	c.cmd.Env = append(c.cmd.Env, childVariable+"="+as)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	c.begun = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// serve starts the program on a folder and waits until it listens.
func (b *bench) serve(dir string, args ...string) (*child, error) {
	tell := func(string) {}
	if len(args) > 0 { // it fills the folder, which takes a while
		tell = func(s string) { b.say("  | %s", s) }
	}
	c, err := b.spawn(childServe, tell, append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, err
	}
	return c, c.wait(b.ctx, "listens", func() bool {
		s, ok := app.ReadServing(dir)
		c.base = "http://" + s.Address
		return ok && s.PID == c.cmd.Process.Pid
	})
}

// wait polls until something holds; where it never does, the child is killed.
func (c *child) wait(ctx context.Context, what string, holds func() bool) error {
	deadline := time.Now().Add(readyMax)
	for !holds() {
		select {
		case <-c.exited:
			return fmt.Errorf("the child ended before it %s: %v\n%s", what, c.err, c.out.tail())
		case <-ctx.Done():
			c.kill()
			return ctx.Err()
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			c.kill()
			return fmt.Errorf("after %v no child that %s\n%s", readyMax, what, c.out.tail())
		}
	}
	return nil
}

// ready waits until recommendations are served.
func (c *child) ready(ctx context.Context, web *client) error {
	for _, path := range []string{"/readyz", "/api/v1/recommendations?user_id=1"} {
		if err := c.wait(ctx, "answers "+path, func() bool { return web.get(c.base+path) == nil }); err != nil {
			return err
		}
	}
	return nil
}

// filled waits until an import and the training that follows are over.
func (c *child) filled(ctx context.Context) error {
	return c.wait(ctx, "is ready", func() bool { return strings.Contains(c.out.tail(), "s  ready: ") })
}

func (c *child) kill() {
	c.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-c.exited
}

// stop ends the child in good order. It may be called again, and after kill.
func (c *child) stop() error {
	select {
	case <-c.exited:
		return nil
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.exited:
		if c.err != nil {
			return fmt.Errorf("the child did not end well: %w\n%s", c.err, c.out.tail())
		}
		return nil
	case <-time.After(stopMax):
		c.kill()
		return fmt.Errorf("the child does not end\n%s", c.out.tail())
	}
}

// resident is the child's memory in bytes.
func (c *child) resident() (float64, error) { return c.status("VmRSS:") }

// status is what the system tells of the child's memory, in bytes.
func (c *child) status(name string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if value, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("the system does not tell a process's resident memory")
}

// lines passes a child's output on, line by line, and keeps the last of it.
type lines struct {
	each func(string)

	mu   sync.Mutex
	part []byte
	kept []string
}

const linesKept = 40

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte{'\n'})
		if !ok {
			return len(b), nil
		}
		if s := strings.TrimSpace(string(line)); s != "" {
			l.each(s)
			l.kept = append(l.kept, " "+s)
			l.kept = l.kept[max(0, len(l.kept)-linesKept):]
		}
		l.part = rest
	}
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept, "\n")
}

// client is one keep-alive connection, as one person's.
type client struct {
	http http.Client
	body bytes.Buffer // of the last answer
}

func newClient() *client {
	return &client{http: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1}}}
}

func (c *client) get(url string) error { return c.do("GET", url, nil) }

// do sends a request and reads the answer whole; other than 200 is an error.
func (c *client) do(method, url string, body []byte) error {
	var from io.Reader
	if body != nil {
		from = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, url, from)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, c.body.String())
	}
	return nil
}

// lines sends a file and counts the lines of the answer, of which none is kept.
func (c *client) lines(url, mediaType string, body io.Reader) (n int, err error) {
	req, err := http.NewRequest("POST", url, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	block := make([]byte, 64<<10)
	var first []byte
	for {
		k, err := resp.Body.Read(block)
		n += bytes.Count(block[:k], []byte{'\n'})
		if len(first) < 1000 {
			first = append(first, block[:k]...)
		}
		switch {
		case err == io.EOF && resp.StatusCode == http.StatusOK:
			return n, nil
		case err == io.EOF:
			return n, fmt.Errorf("POST %s: %s: %s", url, resp.Status, first)
		case err != nil:
			return n, err
		}
	}
}

// The limit's server answers /plain with so many bytes as ?bytes= says; /synced first appends a fact's
// worth of bytes to a file and syncs it.
const (
	limitAnswered = "answering on "
	limitBytesMax = 1 << 20
)

func limitServer() int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if len(os.Args) != 2 {
		return fail(errors.New("want a folder"))
	}
	const factBytes = 300
	d, err := newDisk(os.Args[1], factBytes)
	if err != nil {
		return fail(err)
	}
	filler := bytes.Repeat([]byte("0123456789"), limitBytesMax/10)
	answer := func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("bytes"))
		if err != nil || n < 0 || n > len(filler) {
			http.Error(w, "bytes: want a number", http.StatusBadRequest)
			return
		}
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the client is gone
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(filler[:n]) //nolint:errcheck // the client is gone
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", answer)
	mux.HandleFunc("/synced", func(w http.ResponseWriter, r *http.Request) {
		if _, err := d.appendSync(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(err)
	}
	fmt.Println(limitAnswered + l.Addr().String())
	return fail(http.Serve(l, mux))
}

// limit starts the limit's server.
func (b *bench) limit() (*child, error) {
	dir, err := b.folder("limit")
	if err != nil {
		return nil, err
	}
	c, err := b.spawn(childLimit, func(string) {}, dir)
	if err != nil {
		return nil, err
	}
	return c, c.wait(b.ctx, "answers", func() bool {
		_, at, ok := strings.Cut(c.out.tail(), limitAnswered)
		c.base = "http://" + at
		return ok
	})
}

// millionFolder is a data folder of a simulated world of a million events and a deployed model, made
// once, by the program, as a person would.
func (b *bench) millionFolder() (string, error) {
	if b.million.dir != "" {
		return b.million.dir, nil
	}
	parent, err := b.folder("million")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, "data")
	events := b.size(1_000_000, 60_000)
	b.say("filling a folder with %s events and training on them", thousands(int64(events)))
	c, err := b.serve(dir, "--simulate", fmt.Sprintf("users=%d,movies=%d,events=%d", millionUsers, millionMovies, events))
	if err != nil {
		return "", err
	}
	defer c.kill()
	if err := c.filled(b.ctx); err != nil {
		return "", err
	}
	if err := b.rest(); err != nil {
		return "", err
	}
	if r, err := c.resident(); err == nil {
		b.million.resident = append(b.million.resident, r)
	}
	if err := c.stop(); err != nil {
		return "", err
	}
	b.million.dir = dir
	return dir, nil
}

// rest lets a server come to rest.
func (b *bench) rest() error {
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(time.Duration(b.size(5, 1)) * time.Second):
		return nil
	}
}
