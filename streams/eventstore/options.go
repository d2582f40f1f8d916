package eventstore

import (
	"errors"
	"log"
	"math"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Options of a log. URL is all that must be given.
type Options struct {
	// URL is a connection string: "esdb://host:2113?tls=false", "esdb://user:password@a:2113,b:2113",
	// "esdb+discover://cluster:2113". The parameters are the client's; see the server's documentation.
	URL string
	// Category begins the names of the ledger's streams, for several logs on one server: letters, digits,
	// '.' and '_'. Default "projectionist".
	Category string
	// Feeds is the log whose feeds are this one's, on Kafka or embedded, and to whose ledger every commit
	// is copied. It stays the caller's to close, after this one. Nil is a log without facts: publishing and
	// reading them is fault.NotFound.
	Feeds streams.Log
	// Restoring opens the log to be filled from another one: see streams.Restorer. Feeds must be one, and
	// open for the same.
	Restoring bool
	// RelayHalted is called once when the copying to Feeds has ended for good, with the reason, such as that
	// somebody else writes there; the log goes on. Default: it is told to Logf.
	RelayHalted func(error)
	// WriteTimeout bounds an append, default 30 s: longer than a cluster takes to elect a leader. When it
	// ends in doubt the error is fault.Unknown.
	WriteTimeout time.Duration
	// ReadTimeout bounds how long Open and the beginning of a read wait for the server; default 15 s.
	ReadTimeout time.Duration
	// CloseTimeout bounds how long Close waits for what is under way; default 10 s.
	CloseTimeout time.Duration
	// Logf reports what happens in the background; default log.Printf.
	Logf func(format string, args ...any)
}

const (
	categoryDefault     = "projectionist"
	categoryBytesMax    = 100
	writeTimeoutDefault = 30 * time.Second
	readTimeoutDefault  = 15 * time.Second
	closeTimeoutDefault = 10 * time.Second

	// openAttempts is how often Open looks for a node before it gives up.
	openAttempts = 3
	// discoveryMillis is the least time between two looks for a node, so that a server that is gone for
	// long costs nothing.
	discoveryMillis = 250
	// retryMin and retryMax are between two tries to follow the server.
	retryMin, retryMax = 20 * time.Millisecond, 2 * time.Second
)

func (o *Options) setDefaults() {
	if o.Category == "" {
		o.Category = categoryDefault
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = writeTimeoutDefault
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = readTimeoutDefault
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = closeTimeoutDefault
	}
	if o.Logf == nil {
		o.Logf = log.Printf
	}
	if o.RelayHalted == nil {
		logf := o.Logf
		o.RelayHalted = func(err error) { logf("%v", err) }
	}
}

// Validate names everything that is wrong with the options, each as a fault.Invalid. It never shows a
// password.
func (o *Options) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) { errs = append(errs, fault.Field(field, format, args...)) }
	if !strings.HasPrefix(o.URL, "esdb://") && !strings.HasPrefix(o.URL, "esdb+discover://") {
		bad("url", "it does not begin with esdb:// or esdb+discover://; want such as esdb://127.0.0.1:2113?tls=false")
	} else if _, err := esdb.ParseConnectionString(o.URL); err != nil {
		bad("url", "the connection string cannot be read; want such as esdb://127.0.0.1:2113?tls=false")
	}
	if len(o.Category) > categoryBytesMax {
		bad("category", "%d bytes; at most %d are allowed", len(o.Category), categoryBytesMax)
	}
	for _, r := range o.Category {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_') {
			bad("category", "%q; want letters, digits, '.' and '_'", o.Category)
			break
		}
	}
	for _, d := range []struct {
		field string
		d     time.Duration
	}{{"write_timeout", o.WriteTimeout}, {"read_timeout", o.ReadTimeout}, {"close_timeout", o.CloseTimeout}} {
		if d.d < 0 {
			bad(d.field, "%v; want a positive duration", d.d)
		}
	}
	if err := o.checkRestoring(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ParseURL reads an address of a log: a connection string, in which Options.Category may stand beside the
// client's parameters, such as "esdb://host:2113?tls=false&category=films". The error is fault.Invalid and
// never shows a password.
func ParseURL(s string) (Options, error) {
	var o Options
	address, query, _ := strings.Cut(s, "?")
	var kept []string
	for _, param := range strings.Split(query, "&") {
		if v, ok := strings.CutPrefix(param, "category="); ok {
			o.Category = v
		} else if param != "" {
			kept = append(kept, param)
		}
	}
	o.URL = address
	if len(kept) > 0 {
		o.URL += "?" + strings.Join(kept, "&")
	}
	return o, fault.Wrap(fault.Invalid, o.Validate(), "the log's URL")
}

// prefix begins the name of each of the log's streams on the server, and of no other log's. Up to the
// first '-' is what EventStoreDB calls a category.
func (o *Options) prefix() string { return o.Category + "-" }

// config is the client's configuration. attempts bounds how often it looks for a node.
func (o *Options) config(attempts int) (*esdb.Configuration, error) {
	c, err := esdb.ParseConnectionString(o.URL)
	if err != nil {
		return nil, fault.Field("url", "the connection string cannot be read")
	}
	c.Logger = esdb.NoopLogging() // it reports every drop as an error; follow reports what matters
	c.MaxDiscoverAttempts = attempts
	c.DiscoveryInterval = max(c.DiscoveryInterval, discoveryMillis)
	return c, nil
}

// attemptsForever: a client that has once given up never connects again, and callers that wait for it
// wait forever; so the one that is kept does not give up.
const attemptsForever = math.MaxInt
