package roles

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

const (
	nameCaller = "caller"
	opHTTP     = "http"

	// HTTPPrivateVariable allows, with true, the operator http to ask at http, and at addresses that are not public.
	HTTPPrivateVariable = "PROJECTIONIST_HTTP_PRIVATE"

	callerSlots = 8 // they wait, most of the time
	// calledBytesMax bounds the answer that is read.
	calledBytesMax = 4 << 20
	redirectsMax   = 5
	// outputBytesMax bounds one value that is put out: what is large is a file, or a blob.
	outputBytesMax = 5900
	// quotedBytesMax is how much of an answer is shown that was not expected.
	quotedBytesMax = 500
)

var httpOperator = workflow.Operator{
	Name: opHTTP, Description: "Sends an HTTP request, and puts out the answer, or a value of its JSON",
	Args: []workflow.Param{
		{Name: "url", Type: workflow.Text, Description: "https, at a public address; others where the server allows them"},
		{Name: "method", Type: workflow.Text, Default: text(http.MethodGet), OneOf: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}},
		{Name: "headers", Type: workflow.Mapping, Default: text(""), Secret: true, Description: "by name; they may name secrets"},
		{Name: "body", Type: workflow.Text, Default: text(""), Secret: true, Description: "it may name secrets"},
		{Name: "expect", Type: workflow.Text, Default: text("200-299"), Description: "statuses that are a success, such as 200-299,404"},
		{Name: "pointer", Type: workflow.Text, Default: text(""), Description: "JSON Pointer (RFC 6901) of the value that is put out, such as /items/0/id"},
		{Name: "timeout_seconds", Type: workflow.Whole, Default: text("30"), Least: bound(1), Most: bound(3600), Description: "of the request"},
	},
	Outputs: []string{"status", "bytes", "body", "cut", "value"},
}

// caller sends requests.
func (c *Config) caller() react.Role {
	return react.Role{Name: nameCaller, Slots: callerSlots, Tasks: map[string]react.TaskFunc{opHTTP: c.task(callHTTP)}}
}

// call is a request of a task.
type call struct {
	request *http.Request
	expect  []statuses
	pointer string
	timeout time.Duration
}

// statuses are those from one to another.
type statuses struct{ from, to int }

// callHTTP sends the request. A status that says so by itself (408, 425, 429, 5xx), and a network that fails, is worth another try.
// Every try has the same Idempotency-Key, so that a receiver that knows it does the same once.
func callHTTP(ctx context.Context, w *job) (map[string]string, error) {
	c, err := w.call(ctx)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: c.timeout, CheckRedirect: sameHost,
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: c.timeout, Control: reachable(w.cfg.HTTPPrivate)}).DialContext, TLSHandshakeTimeout: c.timeout, DisableKeepAlives: true}} // no proxy: its address would be judged
	shown := c.request.URL.Redacted()
	w.Log().Info(c.request.Method + " " + shown)
	began := time.Now()
	resp, err := client.Do(c.request)
	if err != nil {
		return nil, unanswered(c.request, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, calledBytesMax+1))
	if err != nil {
		return nil, unanswered(c.request, err)
	}
	if len(body) > calledBytesMax {
		return nil, fault.New(fault.TooLarge, "%s %s answers with more than %d bytes", c.request.Method, shown, calledBytesMax)
	}
	w.Log().Info(resp.Status, "bytes", len(body), "seconds", time.Since(began).Seconds())
	return c.output(resp.StatusCode, body)
}

// call reads the arguments.
func (w *job) call(ctx context.Context) (*call, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(args["url"])
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fault.Field("with.url", "is no address of HTTP")
	}
	if u.Scheme == "http" && !w.cfg.HTTPPrivate {
		return nil, fault.Field("with.url", "must begin with https://").WithHint("%s=true of the server allows http, and private addresses", HTTPPrivateVariable)
	}
	c := &call{pointer: args["pointer"]}
	if c.expect, err = statusesOf(args["expect"]); err != nil {
		return nil, err
	}
	if c.pointer != "" && c.pointer[0] != '/' {
		return nil, fault.Field("with.pointer", "is %q; want a JSON Pointer such as /items/0/id", c.pointer)
	}
	seconds, err := strconv.Atoi(args["timeout_seconds"])
	if err != nil {
		return nil, err
	}
	c.timeout = time.Duration(seconds) * time.Second
	if c.request, err = http.NewRequestWithContext(ctx, args["method"], args["url"], strings.NewReader(args["body"])); err != nil {
		return nil, fault.Field("with.url", "is no address of HTTP")
	}
	c.request.Header.Set("User-Agent", "projectionist")
	if c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		c.request.Header.Set("Idempotency-Key", react.HashID("http", w.RunID(), w.Task(), strconv.Itoa(w.Cleared())))
	}
	for name, value := range args {
		if header, ok := strings.CutPrefix(name, "headers."); ok {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil, fault.Field("with."+name, "holds an end of line, or another sign that no header has")
			}
			c.request.Header.Set(header, value)
		}
	}
	if host := c.request.Header.Get("Host"); host != "" {
		c.request.Host = host
	}
	return c, nil
}

// statusesOf reads a list such as 200-299,404.
func statusesOf(list string) (all []statuses, err error) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || low < 100 || high > 599 || low > high {
			return nil, fault.Field("with.expect", "is %q; want statuses such as 200-299,404", list)
		}
		all = append(all, statuses{low, high})
	}
	return all, nil
}

// sameHost follows what leads to the same host by the same scheme: headers go along, and they may be secrets.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > redirectsMax || next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme || first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	return nil
}

// reachable judges the address itself that is about to be connected to, whatever a name resolved to before.
func reachable(private bool) func(network, address string, c syscall.RawConn) error {
	m := &Messenger{Private: private}
	return m.control
}

// unanswered is why there was no answer, without the address's secrets.
func unanswered(r *http.Request, err error) error {
	var own *fault.Error
	if errors.As(err, &own) { // the address was refused
		return own
	}
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err
	}
	return fault.New(fault.Unavailable, "%s %s: %v", r.Method, r.URL.Redacted(), err)
}

// output is what an answer puts out, or why it is none that was wanted.
func (c *call) output(status int, body []byte) (map[string]string, error) {
	wanted := false
	for _, s := range c.expect {
		wanted = wanted || s.from <= status && status <= s.to
	}
	if !wanted {
		err := fault.New(fault.Unavailable, "%s %s answered %d %s: %s", c.request.Method, c.request.URL.Redacted(), status, http.StatusText(status), cutText(string(body), quotedBytesMax))
		if status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500 {
			return nil, err
		}
		return nil, react.Permanent(err)
	}
	out := map[string]string{"status": strconv.Itoa(status), "bytes": strconv.Itoa(len(body)), "body": "", "cut": "false", "value": ""}
	if utf8.Valid(body) {
		out["body"] = cutText(string(body), outputBytesMax)
		out["cut"] = strconv.FormatBool(len(out["body"]) < len(body))
	}
	if c.pointer == "" {
		return out, nil
	}
	value, err := valueAt(body, c.pointer)
	if err != nil {
		return nil, err
	}
	out["value"] = value
	return out, nil
}

// cutText is the beginning of a text, in whole runes.
func cutText(s string, most int) string {
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// valueAt is the value of a document at a JSON Pointer: a text as it is, anything else as JSON.
func valueAt(document []byte, pointer string) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	var at any
	if err := decoder.Decode(&at); err != nil {
		return "", fault.New(fault.Invalid, "the answer is no JSON, of which with.pointer could take a value")
	}
	for step := range strings.SplitSeq(pointer[1:], "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		var ok bool
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && 0 <= i && i < len(v) && strconv.Itoa(i) == step; ok {
				at = v[i]
			}
		}
		if !ok {
			return "", fault.New(fault.Invalid, "the answer has nothing at %s", pointer).WithHint("%q leads nowhere", step)
		}
	}
	if s, ok := at.(string); ok {
		return whole(s)
	}
	raw, err := json.Marshal(at)
	if err != nil {
		return "", err
	}
	return whole(string(raw))
}

// whole is a value that can be put out.
func whole(s string) (string, error) {
	if len(s) > outputBytesMax {
		return "", fault.New(fault.TooLarge, "the value has %d bytes; the most that is put out is %d", len(s), outputBytesMax)
	}
	return s, nil
}
