package tmdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/projectionist/projectionist/internal/fault"
)

// KeyVariable and URLVariable are the environment variables of [Config.Key] and [Config.BaseURL].
const (
	KeyVariable = "TMDB_API_KEY"
	URLVariable = "PROJECTIONIST_TMDB_URL"
)

// URLDefault is TMDB's own API.
const URLDefault = "https://api.themoviedb.org/3"

// ErrNoKey is returned by [New] where there is no key.
var ErrNoKey = errors.New("tmdb: TMDB_API_KEY is not set: put a key from themoviedb.org (settings, API) into the environment or .env")

// Config says how the client behaves. All but Key have defaults.
type Config struct {
	Key      string // v3 key, sent as api_key, or v4 read access token (a JWT), sent as bearer token; "Bearer " before it is left out
	BaseURL  string // default [URLDefault]; a stand-in's for tests, or a mirror's
	Language string // of titles and overviews, default en-US

	PerSecond float64 // requests a second, default 40: TMDB refuses at about 50
	Burst     int     // requests that may go out at once after a pause, default 10

	Attempts       int           // per request, default 6
	AttemptTimeout time.Duration // default 10 s: TMDB answers within one
	BackoffBase    time.Duration // before the second attempt, doubling, default 500 ms
	BackoffMax     time.Duration // default 30 s
	RetryAfterMax  time.Duration // the longest wait a server may ask for, default 2 min
	BodyBytesMax   int64         // default 8 MiB: a film with every credit is below 1 MiB

	Seed  uint64                                           // of the jitter
	HTTP  *http.Client                                     // default: a new client; redirects are never followed
	Now   func() time.Time                                 // default time.Now
	Sleep func(ctx context.Context, d time.Duration) error // default: waits, ends early with ctx's error

	// Save receives every usable answer as it came, under a name such as "popular.json",
	// "popular-2.json", "movie-603.json" or "genres.json". Its error ends the request.
	Save func(name string, raw []byte) error
}

func (c *Config) setDefaults() {
	if c.BaseURL == "" {
		c.BaseURL = URLDefault
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Language == "" {
		c.Language = "en-US"
	}
	if c.PerSecond <= 0 {
		c.PerSecond = 40
	}
	if c.Burst <= 0 {
		c.Burst = 10
	}
	if c.Attempts <= 0 {
		c.Attempts = 6
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = 10 * time.Second
	}
	if c.BackoffBase <= 0 {
		c.BackoffBase = 500 * time.Millisecond
	}
	if c.BackoffMax <= 0 {
		c.BackoffMax = 30 * time.Second
	}
	if c.RetryAfterMax <= 0 {
		c.RetryAfterMax = 2 * time.Minute
	}
	if c.BodyBytesMax <= 0 {
		c.BodyBytesMax = 8 << 20
	}
	var client http.Client
	if c.HTTP != nil {
		client = *c.HTTP
	}
	// A redirect would carry the key, as part of the referring URL, to whoever it names.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &client
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Client is safe for concurrent use; all its requests share one rate.
type Client struct {
	config Config
	limit  limiter

	mu     sync.Mutex
	jitter *rand.Rand
	genres map[int64]string // nil until read
}

// New returns a client, [ErrNoKey], or fault.Invalid where the key or the address cannot be one. It sends
// nothing.
func New(config Config) (*Client, error) {
	config.Key = bareKey(config.Key)
	if config.Key == "" {
		return nil, ErrNoKey
	}
	if strings.ContainsFunc(config.Key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, fault.Field(KeyVariable, "holds a blank").WithHint("put the key or the token there, and nothing else")
	}
	config.setDefaults()
	if u, err := url.Parse(config.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return nil, fault.Field(URLVariable, "%q is no address of an API", config.BaseURL).WithHint("give one such as https://api.themoviedb.org/3")
	}
	return &Client{
		config: config,
		limit:  limiter{interval: time.Duration(float64(time.Second) / config.PerSecond), burst: config.Burst},
		jitter: rand.New(rand.NewPCG(config.Seed, 0)),
	}, nil
}

// bareKey is what was pasted, without the header it was copied from and the quotes around it.
func bareKey(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	for _, word := range []string{"authorization:", "bearer "} {
		if len(text) > len(word) && strings.EqualFold(text[:len(word)], word) {
			text = strings.TrimSpace(text[len(word):])
		}
	}
	return strings.TrimSpace(text)
}

// Error is a request that failed for good.
type Error struct {
	Endpoint string // path without parameters, such as "/movie/603"
	Status   int    // HTTP status of the last answer, 0 without one
	Code     int    // TMDB's own status_code, 0 without one
	Message  string // TMDB's status_message
	Attempts int
	Err      error // what went wrong where it was not the status
}

func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "tmdb: %s", e.Endpoint)
	if e.Status != 0 {
		fmt.Fprintf(&s, ": status %d", e.Status)
	}
	if e.Message != "" {
		fmt.Fprintf(&s, ": %s", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&s, ": %v", e.Err)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&s, " (after %d attempts)", e.Attempts)
	}
	if e.Status == http.StatusUnauthorized {
		s.WriteString(": check TMDB_API_KEY")
	}
	return s.String()
}

func (e *Error) Unwrap() error { return e.Err }

// get sends one GET request, as often as it takes, and returns a body that is whole JSON.
func (c *Client) get(ctx context.Context, endpoint string, query url.Values, saveAs string) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		now := c.config.Now()
		if wait := c.limit.reserve(now); wait > 0 {
			if err := c.config.Sleep(ctx, wait); err != nil {
				return nil, &Error{Endpoint: endpoint, Attempts: attempt - 1, Err: err}
			}
		}
		body, failed, retryAfter, retry := c.try(ctx, endpoint, query)
		if failed == nil {
			if c.config.Save != nil {
				if err := c.config.Save(saveAs, body); err != nil {
					return nil, &Error{Endpoint: endpoint, Attempts: attempt, Err: fmt.Errorf("keeping the answer as %s: %w", saveAs, err)}
				}
			}
			return body, nil
		}
		failed.Attempts = attempt
		if err := ctx.Err(); err != nil {
			failed.Err = err
			return nil, failed
		}
		if !retry || attempt == c.config.Attempts {
			return nil, failed
		}
		wait := c.backoff(attempt)
		if retryAfter > 0 {
			if retryAfter > c.config.RetryAfterMax {
				failed.Err = fmt.Errorf("the server asks to wait %v, more than the %v allowed: try later", retryAfter, c.config.RetryAfterMax)
				return nil, failed
			}
			// The refusal is for the key, so it holds back the client's other requests as well.
			wait = max(wait, retryAfter)
			c.limit.pause(c.config.Now().Add(retryAfter))
		}
		if err := c.config.Sleep(ctx, wait); err != nil {
			failed.Err = err
			return nil, failed
		}
	}
}

// try sends the request once. retry says whether another attempt may succeed.
func (c *Client) try(parent context.Context, endpoint string, query url.Values) (body []byte, failed *Error, retryAfter time.Duration, retry bool) {
	fail := func(status int, err error) *Error {
		return &Error{Endpoint: endpoint, Status: status, Err: c.redact(err)}
	}
	ctx, cancel := context.WithTimeout(parent, c.config.AttemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.BaseURL+endpoint, nil)
	if err != nil {
		return nil, fail(0, err), 0, false
	}
	parameters := url.Values{"language": {c.config.Language}}
	for k, v := range query {
		parameters[k] = v
	}
	if isJWT(c.config.Key) {
		request.Header.Set("Authorization", "Bearer "+c.config.Key)
	} else {
		parameters.Set("api_key", c.config.Key)
	}
	request.URL.RawQuery = parameters.Encode()
	request.Header.Set("Accept", "application/json")

	response, err := c.config.HTTP.Do(request)
	if err != nil {
		return nil, fail(0, err), 0, true
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, c.config.BodyBytesMax+1))
	if response.StatusCode != http.StatusOK {
		failed = fail(response.StatusCode, nil)
		var answer struct {
			Code    number `json:"status_code"`
			Message string `json:"status_message"`
		}
		if json.Unmarshal(body, &answer) == nil { // a proxy's page has none
			failed.Code, failed.Message = int(answer.Code), c.hideKey(answer.Message)
		}
		switch response.StatusCode {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return nil, failed, c.retryAfter(response.Header.Get("Retry-After")), true
		}
		return nil, failed, 0, false
	}
	if int64(len(body)) > c.config.BodyBytesMax {
		return nil, fail(response.StatusCode, fmt.Errorf("the answer has more than %d bytes", c.config.BodyBytesMax)), 0, false
	}
	if err != nil {
		return nil, fail(response.StatusCode, fmt.Errorf("reading the answer: %w", err)), 0, true
	}
	if !json.Valid(body) {
		return nil, fail(response.StatusCode, fmt.Errorf("the answer of %d bytes is not whole JSON", len(body))), 0, true
	}
	return body, nil, 0, false
}

// redact takes the URL, which holds the key, out of an error of net/http.
func (c *Client) redact(err error) error {
	if err == nil {
		return nil
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if hidden := c.hideKey(err.Error()); hidden != err.Error() {
		return errors.New(hidden)
	}
	return err
}

func (c *Client) hideKey(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, c.config.Key, "[key]"), url.QueryEscape(c.config.Key), "[key]")
}

// isJWT tells v4's tokens, three base64 parts of which the first is a JSON object, from v3's keys.
func isJWT(key string) bool { return strings.HasPrefix(key, "eyJ") && strings.Count(key, ".") == 2 }

// backoff doubles with every attempt and draws from its upper half, so that clients which failed
// together do not come back together.
func (c *Client) backoff(attempt int) time.Duration {
	d := c.config.BackoffMax
	if shift := attempt - 1; shift < 32 && c.config.BackoffBase<<shift < d && c.config.BackoffBase<<shift > 0 {
		d = c.config.BackoffBase << shift
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return d/2 + time.Duration(c.jitter.Int64N(int64(d/2)+1))
}

// retryAfter reads the header of RFC 9110, 10.2.3: seconds or a date.
func (c *Client) retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseInt(strings.TrimSpace(header), 10, 32); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(c.config.Now()), 0)
	}
	return 0
}

// limiter is a token bucket, kept as the time at which the bucket is full again less its depth (GCRA).
type limiter struct {
	mu       sync.Mutex
	interval time.Duration
	burst    int
	next     time.Time // when the next token is due, were there no burst
	resume   time.Time // nothing goes out before it
}

// reserve takes a token and returns how long to wait for it.
func (l *limiter) reserve(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if earliest := now.Add(-time.Duration(l.burst-1) * l.interval); l.next.Before(earliest) {
		l.next = earliest
	}
	at := l.next
	if at.Before(l.resume) {
		at = l.resume
		l.next = at
	}
	l.next = l.next.Add(l.interval)
	return max(at.Sub(now), 0)
}

func (l *limiter) pause(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.resume) {
		l.resume = until
	}
}
