package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"
)

// openLog opens the log the folder is a node of: the embedded one in log/; or with Options.LogURL one on a
// Kafka cluster, of which index/ keeps what this node has folded; or the ledger on EventStoreDB, whose feeds
// are embedded in feeds/log/, or on the cluster of Options.FeedsURL with feeds/index/. A folder stays with
// the kind of log it began with: its views are folds of that one.
func (a *App) openLog(ctx context.Context) error {
	address, o, err := a.whichLog()
	if err != nil {
		return err
	}
	l, err := OpenLog(ctx, address, o)
	if err != nil {
		return err
	}
	a.opened, a.Log = l, fold.Passing(l)
	if e, ok := l.(*eventStoreLog); ok {
		a.ledger, l = e, e.feeds
	}
	a.embedded, _ = l.(*local.Log)
	if a.embedded != nil {
		return markLog(a.opts.Dir, a.embeddedIn())
	}
	return nil
}

// whichLog is the address that is asked for, if the folder's log is one of that kind.
func (a *App) whichLog() (address string, o LogOptions, err error) {
	in := func(parts ...string) string { return filepath.Join(append([]string{a.opts.Dir}, parts...)...) }
	address, feeds := a.opts.LogURL, a.opts.FeedsURL
	o = LogOptions{Index: in("index"), Now: a.opts.Now, Logf: func(format string, args ...any) { a.opts.Logger.Debug(fmt.Sprintf(format, args...)) },
		RelayHalted: func(err error) {
			a.opts.Logger.Error("Kafka's tools see no new commits; all else goes on", "error", err)
		}}
	eventStore := isEventStore(address)
	refuse := func(is, hint string) (string, LogOptions, error) {
		return "", o, fault.New(fault.Corrupt, "%s is %s, and another log is asked for", a.opts.Dir, is).WithHint("%s, or choose another folder with --dir", hint)
	}
	switch {
	case feeds != "" && !eventStore:
		return "", o, fault.Field("feeds", "feeds of their own go with a ledger on EventStoreDB").WithHint("unset PROJECTIONIST_FEEDS, or set PROJECTIONIST_LOG=esdb://host:2113")
	case feeds != "" && !strings.HasPrefix(feeds, kafka.Scheme+"://"):
		return "", o, fault.Field("feeds", "they are on Kafka, or else in the data folder").WithHint("set PROJECTIONIST_FEEDS=kafka://host:9092, or unset it")
	case exists(in("log")) && address != "":
		return refuse("a folder with a log of its own", "unset PROJECTIONIST_LOG")
	case exists(in("index")) && (address == "" || eventStore):
		return refuse("a node of a log on Kafka", "set PROJECTIONIST_LOG=kafka://host:9092")
	case exists(in("feeds")) && !eventStore:
		return refuse("a node of a ledger on EventStoreDB", "set PROJECTIONIST_LOG=esdb://host:2113")
	case exists(in("feeds", "log")) && feeds != "":
		return refuse("a node of a ledger on EventStoreDB with feeds of its own", "unset PROJECTIONIST_FEEDS")
	case exists(in("feeds", "index")) && feeds == "":
		return refuse("a node of a ledger on EventStoreDB with feeds on Kafka", "set PROJECTIONIST_FEEDS=kafka://host:9092")
	case address == "":
		address = in("log")
		err = checkLog(a.opts.Dir, "log")
	case eventStore:
		o.Index, o.Feeds = in("feeds", "index"), cmp.Or(feeds, in("feeds", "log"))
		if feeds == "" {
			err = checkLog(a.opts.Dir, feedsLog)
		}
	}
	return address, o, err
}

const feedsLog = "feeds/log"

// embeddedIn is where in the folder the embedded log is.
func (a *App) embeddedIn() string {
	if a.ledger != nil {
		return feedsLog
	}
	return "log"
}

// LogOptions of a log that is opened by its address.
type LogOptions struct {
	Index string // folder of what is kept here of a log on a cluster; "" keeps it in memory
	Now   func() time.Time
	Logf  func(format string, args ...any) // of what happens in the background
	// Feeds is the address of the log whose feeds go with a ledger on EventStoreDB; "" is a ledger alone.
	Feeds string
	// RelayHalted is told why the commits of that ledger are not copied there any more.
	RelayHalted func(error)
	// Restoring opens a log to be filled from another one: see [streams.Restorer].
	Restoring bool
}

// OpenLog opens the log at an address: kafka://host:9092,… on a cluster, esdb://host:2113 with the ledger on
// EventStoreDB, or else the folder of an embedded one, which is made if it is not there. Errors are those of
// the adapters: fault.Invalid for an address that is none, fault.Unavailable where it does not answer or is
// open elsewhere.
func OpenLog(ctx context.Context, address string, o LogOptions) (streams.Log, error) {
	if !strings.Contains(address, "://") {
		return local.Open(address, local.Options{Now: o.Now, Logf: o.Logf, Restoring: o.Restoring})
	}
	if isEventStore(address) {
		return openEventStore(ctx, address, o)
	}
	if scheme, _, _ := strings.Cut(address, "://"); scheme != kafka.Scheme {
		return nil, fault.Field("log", "a log at %s:// is none this program knows", scheme).
			WithHint("want such as kafka://host:9092 for a log on a cluster, esdb://host:2113 for a ledger on EventStoreDB, or nothing for the embedded one")
	}
	opts, err := kafka.ParseURL(address)
	if err != nil {
		return nil, err
	}
	opts.Dir, opts.Logf, opts.Restoring = o.Index, o.Logf, o.Restoring
	return kafka.Open(ctx, opts)
}

// EmbeddedLog is the address of the log in a data folder. Errors: fault.NotFound where there is no such
// folder, fault.Invalid for one whose log is elsewhere.
func EmbeddedLog(dir string) (address string, err error) {
	address = filepath.Join(dir, "log")
	if err := checkBackup(dir); err != nil {
		return "", err
	}
	switch {
	case !IsFolder(dir):
		return "", fault.New(fault.NotFound, "%s is no data folder", dir).WithHint("give one that `projectionist serve` has made, or the address of a log such as kafka://host:9092")
	case exists(filepath.Join(dir, "index")):
		return "", fault.New(fault.Invalid, "%s is a node of a log on Kafka, and has none of its own", dir).WithHint("give that log's address, such as kafka://host:9092")
	case exists(filepath.Join(dir, "feeds")):
		return "", fault.New(fault.Invalid, "%s is a node of a ledger on EventStoreDB, and has none of its own", dir).WithHint("give that ledger's address, such as esdb://host:2113, and PROJECTIONIST_FEEDS=%s", dir)
	case !exists(address):
		return "", fault.New(fault.NotFound, "%s has no log", dir)
	}
	return address, nil
}

// NewEmbeddedLog is the address of the log in a data folder, which is made if it is not there. Errors are
// those of [Open] for the folder, and fault.Invalid for one whose log is elsewhere.
func NewEmbeddedLog(dir string) (address string, err error) {
	if err := openFolder(dir); err != nil {
		return "", err
	}
	closeToOthers(dir)
	address = filepath.Join(dir, "log")
	if !exists(address) && !exists(filepath.Join(dir, "index")) && !exists(filepath.Join(dir, "feeds")) {
		return address, checkLog(dir, "log")
	}
	return EmbeddedLog(dir)
}

// EmbeddedFeeds is the address of the feeds in a data folder, to go with a ledger on EventStoreDB; the folder
// is made if it is not there. Errors are those of [Open] for the folder, and fault.Invalid for one with
// another kind of log.
func EmbeddedFeeds(dir string) (address string, err error) {
	if err := openFolder(dir); err != nil {
		return "", err
	}
	closeToOthers(dir)
	for _, other := range []string{"log", "index", "feeds/index"} {
		if exists(filepath.Join(dir, other)) {
			return "", fault.New(fault.Invalid, "%s is no folder with feeds that go with a ledger on EventStoreDB: it has %s", dir, other).WithHint("give a new one")
		}
	}
	return filepath.Join(dir, feedsLog), checkLog(dir, feedsLog)
}

// AcceptLoss gives up what a data folder's embedded log has lost of what was acknowledged, with an operator's
// reason, and gives all that was ever given up in it. What was folded from it is folded again. Errors are those
// of [EmbeddedLog] and of the log, and fault.Conflict where nothing is missing.
func AcceptLoss(dir, reason string, logf func(string, ...any)) (_ []local.Loss, err error) {
	address := filepath.Join(dir, feedsLog)
	if !exists(address) {
		if address, err = EmbeddedLog(dir); err != nil {
			return nil, err
		}
	}
	l, err := local.Open(address, local.Options{Logf: logf})
	if err == nil {
		return nil, errors.Join(fault.New(fault.Conflict, "the log in %s is all that was acknowledged: there is nothing to give up", dir), l.Close())
	}
	if !local.CanAccept(err) {
		return nil, err
	}
	if err := ForgetFolds(dir); err != nil {
		return nil, err
	}
	if l, err = local.Open(address, local.Options{Logf: logf, AcceptLoss: reason}); err != nil {
		return nil, err
	}
	losses, err := l.Losses()
	return losses, errors.Join(err, l.Close())
}

// Shown is a log's address without its secrets.
func Shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***" + rest[i:]
	}
	rest, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + "://" + rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		if name, _, _ := strings.Cut(p, "="); strings.EqualFold(name, "password") {
			params[i] = name + "=***"
		}
	}
	return scheme + "://" + rest + "?" + strings.Join(params, "&")
}

// ForgetFolds removes from a data folder what follows from its log, before that becomes another one. It
// grows back.
func ForgetFolds(dir string) error {
	return errors.Join(os.RemoveAll(fold.StoreDir(dir)), os.RemoveAll(filepath.Join(dir, "reactors")))
}

// OpenBlobs opens the blobs of a data folder, without the program around them.
func OpenBlobs(dir string) (*blob.Store, error) { return blob.Open(filepath.Join(dir, "blobs")) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
