package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/secret"
)

// client asks the HTTP surface of one data folder, over the network or in this process.
type client struct {
	base  string
	http  http.Client
	token string            // credentials of the server: a token,
	users map[string]string // or passwords by user
	actor string

	app *app.App // nil over the network
}

// probeTimeout is for what may run on this machine to say that it lives,
const probeTimeout = 2 * time.Second

// and holderTimeout for a server that holds the folder: it lives, and has only to come to answer on a machine that is busy.
const holderTimeout = 30 * time.Second

// readyTimeout is for a server to say whether it is ready, which may ask a log elsewhere; less than supervisors wait.
const readyTimeout = 8 * time.Second

// connect finds who answers for the data folder: the given server, the server that has the folder open,
// or this process, which then opens it and waits until its views have all of the log.
func (p *program) connect(ctx context.Context) (*client, error) {
	c := &client{token: os.Getenv(envToken), actor: actor()}
	var err error
	if c.users, err = users(os.Getenv(envUsers)); err != nil {
		return nil, err
	}
	if p.server != "" {
		u, err := url.Parse(p.server)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fault.Field("server", "%q is no address of a server", p.server).WithHint("give one such as http://127.0.0.1:8000")
		}
		c.base = strings.TrimSuffix(p.server, "/")
		return c, nil
	}
	if p.dir == "" {
		p.dir = folder(ctx)
	}
	if base, ok := servedAt(ctx, p.dir); ok {
		c.base = base
		return c, nil
	}
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) && !p.mayMake {
		return nil, fault.New(fault.NotFound, "there is no data folder %s", p.dir).
			WithHint("`projectionist serve` makes one; --dir names another, --server a running server")
	}
	secrets, err := secret.Open(os.Getenv(envSecrets), readEnv)
	if err != nil {
		return nil, err
	}
	a, err := app.Open(ctx, app.Options{Secrets: secrets, Commands: os.Getenv(envCommands) == "true", Dir: p.dir, Files: os.Getenv(envFiles), Blobs: os.Getenv(envBlobs), LogURL: os.Getenv(envLog), FeedsURL: os.Getenv(envFeeds), Peers: peers(), Logger: p.logger(slog.LevelWarn)})
	if err != nil {
		if fault.Is(err, fault.Unavailable) {
			err = hinted(err, "a server that starts or ends holds it too: wait a moment, or name the server with --server")
		}
		return nil, err
	}
	c.app, c.base = a, "http://localhost"
	c.token, c.users = "", nil // it wants none of itself
	c.http.Transport = transport{a.Handler()}
	if err := p.catchUp(ctx, a, p.bar(""), false); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// hinted adds a remedy to an error that has none.
func hinted(err error, hint string) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Hint == "" {
		g := *f
		g.Hint = hint
		return &g
	}
	return err
}

// servedAt is the address of the server that has the folder open. A file left by a server that was killed
// does not count, even if something else answers there by now.
func servedAt(ctx context.Context, dir string) (string, bool) {
	s, ok := app.ReadServing(dir)
	if !ok {
		return "", false
	}
	if s.PID != os.Getpid() && !logLocked(dir) {
		return "", false
	}
	base := "http://" + dialable(s.Address)
	ctx, cancel := context.WithTimeout(ctx, holderTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return "", false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	res.Body.Close()
	return base, res.StatusCode == http.StatusOK
}

// dialable is an address to reach a listener at: one that listens everywhere is on this machine too.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// actor names the person in events: "user:anna".
func actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "user:" + u.Username
	}
	return "user:unknown"
}

// Close ends what connect opened in this process.
func (c *client) Close() error {
	if c.app == nil {
		return nil
	}
	return c.app.Close()
}

// call is a request: body is nil, a value to send as JSON, or content as it is.
type call struct {
	method, path string
	query        url.Values
	body         any
	headers      map[string]string
}

type content struct {
	mediaType string
	io.Reader
	size int64 // 0: not known
}

// fileOf is a file as a request's body, "-" standard input. The caller closes it.
func fileOf(path, mediaType string) (content, func() error, error) {
	if path == "-" {
		return content{mediaType: mediaType, Reader: os.Stdin}, func() error { return nil }, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return content{}, nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fault.New(fault.Invalid, "%s is a folder", path).WithHint("give the file that is to be sent")
	}
	if err != nil {
		f.Close()
		return content{}, nil, err
	}
	body := content{mediaType: mediaType, Reader: f}
	if info.Mode().IsRegular() {
		body.size = info.Size()
	}
	return body, f.Close, nil
}

// do sends a request and returns the answer if it is a good one; the caller closes its body.
func (c *client) do(ctx context.Context, call call) (*http.Response, error) {
	var body io.Reader
	mediaType := ""
	switch b := call.body.(type) {
	case nil:
	case content:
		body, mediaType = b, b.mediaType
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body, mediaType = bytes.NewReader(raw), "application/json"
	}
	if strings.Contains(call.path, "//") || strings.HasSuffix(call.path, "/") { // what is in it is escaped, but for nothing
		return nil, fault.New(fault.Invalid, "a name or id is empty").WithHint("give one: see --help")
	}
	u := c.base + call.path
	if q := call.query.Encode(); q != "" {
		u += "?" + q
	}
	req, err := http.NewRequestWithContext(ctx, call.method, u, body)
	if err != nil {
		return nil, err
	}
	if b, ok := call.body.(content); ok && b.size > 0 {
		req.ContentLength = b.size
	}
	req.Header.Set("X-Actor", c.actor)
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	app.Authorise(req, c.token, c.users)
	for k, v := range call.headers {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fault.Wrap(fault.Unavailable, err, "the server does not answer").(*fault.Error).WithHint("is it running? see `projectionist status`")
}

// errorBytesMax bounds what is read of an answer that is an error.
const errorBytesMax = 1 << 20

// problem is an error the HTTP surface answered with.
type problem struct{ api.Problem }

func (p *problem) Error() string {
	if len(p.Errors) > 1 {
		lines := make([]string, len(p.Errors))
		for i, e := range p.Errors {
			lines[i] = phrase(e.Field, e.Message, e.Hint)
		}
		return strings.Join(lines, "\n")
	}
	return phrase(p.Field, p.Detail, p.Hint)
}

func phrase(field, detail, hint string) string {
	text := detail
	if field != "" {
		text = field + ": " + text
	}
	if hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

func readProblem(res *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(res.Body, errorBytesMax))
	if err != nil {
		return err
	}
	p := &problem{}
	if t, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); t == "application/problem+json" && json.Unmarshal(raw, p) == nil {
		return p
	}
	text := strings.TrimSpace(string(raw))
	return fault.New(fault.Internal, "%s answered %d: %.200s", res.Request.URL.Path, res.StatusCode, text)
}

// get reads an answer whole.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.whole(ctx, call{method: http.MethodGet, path: path, query: query})
}

func (c *client) post(ctx context.Context, path string, body any) ([]byte, error) {
	return c.whole(ctx, call{method: http.MethodPost, path: path, body: body})
}

func (c *client) whole(ctx context.Context, call call) ([]byte, error) {
	res, err := c.do(ctx, call)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	return raw, nil
}

// lineBytesMax bounds one line of a stream: a record of the log and what JSON adds.
const lineBytesMax = 64 << 20

// lines calls each with every line of a streamed answer as it comes, until the stream ends or each fails.
func (c *client) lines(ctx context.Context, call call, each func(line []byte) error) error {
	res, err := c.do(ctx, call)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	s := bufio.NewScanner(res.Body)
	s.Buffer(make([]byte, 0, 64<<10), lineBytesMax)
	for s.Scan() {
		if len(s.Bytes()) == 0 {
			continue
		}
		if err := each(s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the answer broke off: %w", err)
	}
	return nil
}

// step is a line of an operation's answer: progress, or its end.
type step struct {
	Stage  string          `json:"stage"`
	Done   int64           `json:"done"`
	Total  int64           `json:"total"`
	Result json.RawMessage `json:"result"`
	Error  *problem        `json:"error"`
	// Of a training: what it is trained on, and the losses of a step.
	Sizes      []size   `json:"sizes"`
	Loss       *float64 `json:"loss"`
	Validation *float64 `json:"validation_loss"`
	// Of a search for parameters: a trial that has ended.
	Tried *roles.Trial `json:"tried"`
}

// size is how many of something a training has.
type size struct {
	Name string
	N    int64
	Note string
}

// operate posts what takes a while, shows its progress, and returns its result.
func (p *program) operate(ctx context.Context, c *client, path string, query url.Values, body any, name string) (json.RawMessage, error) {
	bar := p.bar(name)
	defer bar.end()
	return p.follow(ctx, c, path, query, body, func(s step) { bar.show(s.Stage, s.Done, s.Total) })
}

// follow posts what takes a while, hands on every line that is not the end, and returns the result.
func (p *program) follow(ctx context.Context, c *client, path string, query url.Values, body any, each func(step)) (json.RawMessage, error) {
	var result json.RawMessage
	err := c.lines(ctx, call{method: http.MethodPost, path: path, query: query, body: body}, func(line []byte) error {
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("the answer has a line that is not JSON: %w", err)
		}
		switch {
		case s.Error != nil:
			return s.Error
		case s.Result != nil:
			result = bytes.Clone(s.Result)
		default:
			each(s)
		}
		return nil
	})
	if err == nil && result == nil {
		err = fault.New(fault.Unknown, "the answer broke off before its result").WithHint("ask again: what was done is kept")
	}
	return result, err
}

// absolute is a path as the server sees it, which may have another working folder.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}
