// Package app is the program as one value: it opens a data folder, wires log, views, deciders, reactors
// and the HTTP surface, and closes them in order. The command line and the tests start it whole.
package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/google/uuid"
	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/mlflow"
	v1 "github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/secret"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/door"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"
)

// Version is the program's release. An image says by the linker which it is: -X …/internal/app.Version=1.2.3.
var Version = "0.1.0"

// Options of an App. Dir is needed; the rest has defaults.
type Options struct {
	Dir    string
	Files  string            // where files for people go, in data/ and models/; default Dir
	Listen string            // main address, default [ListenDefault]
	Also   map[string]string // other addresses by the name of their [Listener]; those that are not there are off
	// Token is a bearer token, and Users are passwords by user: either is wanted of every request. To listen on
	// anything but loopback one of them is needed.
	Token string
	Users map[string]string
	Hosts []string // names the program may be asked under without credentials, beside localhost; in lower case

	LogURL   string   // kafka://host:9092,… for a log on a cluster, esdb://host:2113 for a ledger there; "" for the embedded one
	FeedsURL string   // kafka://host:9092,… for the feeds of a ledger on EventStoreDB; "" for embedded ones
	Peers    []string // other nodes of that log, such as http://10.0.0.2:8000: asked for weights
	From     string   // one of them, whose views a folder without any starts from; "" folds them from the log

	Blobs string // s3://BUCKET/PREFIX for a bucket that outlives this node's blobs; "" for the data folder alone

	Kafka           string      // where Kafka's clients connect, such as 127.0.0.1:9092; "" nowhere
	KafkaAdvertised string      // host:port that they are told to come back to; "" for where they connect
	KafkaTLS        *tls.Config // needed there on anything but loopback, as is Token: the password of user KafkaUser

	// MLflowUI is the folder of MLflow's own pages, [MLflowUIOff] for none, or "" for that of the mlflow that the python3
	// on the PATH has, if any.
	MLflowUI string

	// Commands has tasks of workflows run commands of people's, as this process's user.
	Commands bool

	// Secrets are those of TMDB, of seals and of definitions; default those of the environment.
	Secrets *secret.Store

	Logger *slog.Logger
	Now    func() time.Time
	// Progress is told how far a download of views is, in bytes; may be nil.
	Progress func(stage string, done, total int64)

	Lease time.Duration // of a task; 0: the reactors' default
}

// App is the running program.
type App struct {
	opts     Options
	opened   streams.Log    // the log as its adapter gives it
	embedded *local.Log     // the log, or its feeds; nil where both are elsewhere
	ledger   *eventStoreLog // nil where the ledger is not on EventStoreDB
	store    *fold.Store

	work       context.Context // of what goes on in the background, until Close
	background sync.WaitGroup
	fetching   fetches
	refused    *refusals
	named      names // blobs
	taskLogs   *tasklog.Folder
	at         atomic.Pointer[[]Answered] // while it is served
	origin     string

	Log        streams.Log // what all were told to pass over is passed over
	Views      *fold.Runner
	Dispatcher *handlers.Dispatcher
	Blobs      *blob.Store
	Recommend  *recommend.Service
	Features   *featurestore.Store
	Importer   *ingest.Importer
	sets       *trainset.Cache // of trainings, by workflows and by hand
	tuning     sync.Mutex      // held by a search for parameters
	Reactors   *react.Reactors
	messenger  *roles.Messenger
	judge      *roles.Judge
	seals      *seals
	main       *v1.Surface
	API        *api.Core
	Servers    map[string]*api.Server // by listener

	mlflowPages *mlflow.Pages

	runViews chan error
	stop     context.CancelFunc
}

// Open opens the data folder and starts folding. Another process on the same folder, a folder of another
// program or of a newer version is refused with the reason.
func Open(ctx context.Context, o Options) (_ *App, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Secrets == nil {
		if o.Secrets, err = secret.Open("", nil); err != nil {
			return nil, err
		}
	}
	o.hide()
	if err := checkFrom(o); err != nil {
		return nil, err
	}
	pages, err := openMLflowPages(o)
	if err != nil {
		return nil, err
	}
	if err := openFolder(o.Dir); err != nil {
		return nil, errors.Join(err, pages.Close())
	}
	if note := closeToOthers(o.Dir); note != "" {
		o.Logger.Warn(note)
	}
	a := &App{opts: o, mlflowPages: pages}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	a.work, a.stop = context.WithCancel(context.Background())
	if err := a.startFrom(ctx); err != nil {
		return nil, err
	}
	if err := a.openLog(ctx); err != nil {
		return nil, err
	}
	scratch := filepath.Join(o.Dir, "scratch")
	if err := os.RemoveAll(scratch); err != nil { // ours alone: the log's lock is held
		return nil, err
	}
	a.store, a.Views, err = fold.Open(ctx, a.Log, fold.StoreDir(o.Dir), fold.StoreOptions{Logf: func(format string, args ...any) { o.Logger.Warn(fmt.Sprintf(format, args...)) }}, o.Now(), projections.All()...)
	if err != nil {
		return nil, err
	}
	for _, note := range a.Views.Refolded() {
		o.Logger.Warn(note)
	}
	if err := a.openBlobs(ctx); err != nil {
		return nil, err
	}
	a.Blobs.Elsewhere = a.elsewhere
	if err := a.openTaskLogs(); err != nil {
		return nil, err
	}
	recall, err := a.recaller(ctx)
	if err != nil {
		return nil, err
	}
	a.Dispatcher = handlers.New(handlers.Config{Ledger: a.Log.Ledger(), Feed: a.Log.Feed(), Now: o.Now, NewID: uuid.NewString, Recall: recall.find})
	a.Recommend = recommend.New(a.Views, a.Blobs.Get)
	a.Features = featurestore.New(a.Views, a.Log)
	a.Recommend.Fits = a.Features.Fits
	a.Importer = &ingest.Importer{Log: a.Log, Dispatcher: a.Dispatcher, Imported: a.imported, Shared: a.embedded == nil || a.ledger != nil, Look: a.look}
	if a.Reactors, err = a.reactors(); err != nil {
		return nil, err
	}
	a.seals = &seals{dir: o.Dir, secrets: o.Secrets}
	private, _ := strconv.ParseBool(os.Getenv(WebhooksPrivateVariable)) // anything else is no
	a.messenger = &roles.Messenger{Ledger: a.Log.Ledger(), Views: a.Views, Dispatcher: a.Dispatcher, Unseal: a.seals.Unseal, Private: private, Now: o.Now, Logger: o.Logger,
		Here: func() bool { return roles.MessengerHere(a.Reactors.Stats(a.work)) }}
	if a.judge, err = a.qualityJudge(ctx); err != nil {
		return nil, err
	}
	if err := a.surfaces(scratch); err != nil {
		return nil, err
	}
	a.refused = &refusals{dispatch: a.Dispatcher.Dispatch, logger: o.Logger}
	a.background.Go(func() { a.refused.run(a.work) })
	a.background.Go(func() { tuneHeap(a.work) })
	a.background.Go(func() { a.redefine(a.work) })
	a.background.Go(func() { a.endInterrupted(a.work) })
	a.Views.YieldTo(a.Reactors.Rush)
	a.runViews = make(chan error, 1)
	go func() { a.runViews <- a.Views.Run(a.work) }()
	return a, nil
}

// imported are the names of the data sets in the log.
func (a *App) imported(ctx context.Context) ([]string, error) {
	if err := a.caughtUp(ctx, "imports"); err != nil {
		return nil, err
	}
	var names []string
	for cursor := ""; ; {
		page, err := fold.Of[*projections.Imports](a.Views).List(fold.PageQuery{Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, im := range page.Items {
			if !slices.Contains(names, im.Dataset) {
				names = append(names, im.Dataset)
			}
		}
		if cursor = page.Next; cursor == "" {
			return names, nil
		}
	}
}

// lookWait is how long an import waits for the view that tells what the log has: to read a log of ten million facts takes as
// long.
const lookWait = 10 * time.Second

// look gives a look at what people did, up to where the log is now.
func (a *App) look(ctx context.Context) (func(userID string, timeMillis int64, eventID string) (bool, error), error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	return fold.Of[*projections.Histories](a.Views).HasEvent, a.caughtUp(ctx, "histories")
}

// caughtUp waits until the views have folded the log as it is now.
func (a *App) caughtUp(ctx context.Context, views ...string) error {
	head, err := fold.HeadCut(ctx, a.Log, time.Time{})
	if err != nil {
		return err
	}
	for tp, next := range head {
		if next > 0 {
			if err := a.Views.Wait(ctx, streams.Position{TP: tp, Offset: next - 1}, views...); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	// headStartMax bounds how long a start waits for the views,
	headStartMax = 3 * time.Second
	// and headStartFewMax where none is further behind than headStartFew records, for which only a machine that is busy takes longer.
	headStartFewMax = time.Minute
	headStartFew    = 1000
)

// headStart lets the views fold what the ledger has, so that the first answers after a crash have all that was
// acknowledged before it. Views that have much to fold, or have halted, are not waited for: what they have is answered.
func (a *App) headStart(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, headStartFewMax)
	defer cancel()
	head, err := a.Log.Ledger().Head(ctx, time.Time{})
	if err != nil || head == 0 {
		return
	}
	for {
		some, done := context.WithTimeout(ctx, headStartMax)
		err := a.Views.Wait(some, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1})
		over := some.Err() == nil || ctx.Err() != nil
		done()
		if err == nil || over {
			return
		}
		all, err := a.Views.Status(ctx)
		if err != nil || slices.ContainsFunc(all, func(s fold.Status) bool { return s.Lag > headStartFew || s.Error != "" }) {
			return
		}
		a.opts.Logger.Info("waiting for views that are a few records behind", "at_most", headStartFewMax)
	}
}

// Serve starts the reactors and answers HTTP until ctx ends, then drains. ready is called with the
// addresses, the main one first, once requests are answered (which is before recommendations can be served).
func (a *App) Serve(ctx context.Context, ready func([]Answered)) (err error) {
	if err := CheckListen(a.opts); err != nil {
		return err
	}
	a.headStart(ctx)
	all, err := a.listen()
	if err != nil {
		return err
	}
	kafka, err := a.openDoor()
	if err != nil {
		for _, l := range all {
			err = errors.Join(err, l.listener.Close())
		}
		return err
	}
	defer func() {
		if kafka != nil {
			err = errors.Join(err, kafka.Close())
		}
	}()
	abs, err := filepath.Abs(a.opts.Dir)
	if err != nil {
		return err
	}
	at := answered(all)
	a.at.Store(&at)
	here := Serving{Dir: abs, Address: at[0].Address, Also: at[1:], PID: os.Getpid(), Started: a.opts.Now().UTC()}
	if kafka != nil {
		here.Kafka = kafka.Addr().String()
	}
	serving, err := json.Marshal(here)
	if err != nil {
		return err
	}
	where := filepath.Join(a.opts.Dir, serverFile)
	if err := writeFile(where, append(serving, '\n')); err != nil {
		return err
	}
	defer os.Remove(where)

	work, stop := context.WithCancel(ctx)
	defer stop()
	reactors, served := make(chan error, 1), make(chan error, len(all))
	go func() { reactors <- a.Reactors.Run(work) }()
	for _, l := range all {
		go func() { served <- l.server.Serve(l.listener) }()
	}
	var beside sync.WaitGroup
	beside.Go(func() { a.sweeps(work) })
	if a.Blobs.Remote != nil {
		beside.Go(func() { a.mirror(work) })
	}
	beside.Go(func() { a.messenger.Run(work) })
	beside.Go(func() { a.judge.Run(work) })
	if a.opts.MLflowUI == "" && a.opts.Also["tracking"] != "" {
		beside.Go(func() { a.findMLflowPages(work) })
	}
	if ready != nil {
		ready(at)
	}
	select {
	case <-ctx.Done():
	case err = <-served:
	case err = <-reactors:
		reactors <- nil
		if err == nil && ctx.Err() == nil {
			err = errors.New("the reactors ended")
		}
	case err = <-a.runViews:
		a.runViews <- nil
		if err == nil {
			err = errors.New("folding ended")
		}
	}
	a.API.Drain()
	drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	shutdown(drain, all)
	stop()
	beside.Wait()
	select {
	case e := <-reactors:
		err = errors.Join(err, e)
	case <-drain.Done():
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Dir is the data folder.
func (a *App) Dir() string { return a.opts.Dir }

// Handler answers the requests of the main listener.
func (a *App) Handler() http.Handler { return a.Servers[MainListener] }

// Close ends everything in order: no more folding, then views, then the log. It may be called twice.
func (a *App) Close() error {
	errs := []error{a.mlflowPages.Close()}
	if a.stop != nil {
		a.fetching.mu.Lock() // no fetch begins between the two
		a.stop()
		a.fetching.mu.Unlock()
		a.background.Wait()
		if a.runViews != nil {
			if err := <-a.runViews; err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, err)
			}
		}
		a.stop = nil
	}
	if a.API != nil {
		errs = append(errs, a.API.Close())
	}
	if a.Recommend != nil {
		a.Recommend.Close() // it may be reading the views
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
		a.store = nil
	}
	if a.Log != nil {
		errs = append(errs, a.Log.Close())
		a.Log = nil
	}
	return errors.Join(errs...)
}

// KafkaUser is the SASL user of Kafka's clients where credentials are needed.
const KafkaUser = api.TokenUser

// openDoor lets Kafka's clients in, if they are to come in.
func (a *App) openDoor() (*door.Door, error) {
	if a.opts.Kafka == "" || a.embedded == nil { // feeds on Kafka have Kafka's own door
		return nil, nil
	}
	c := door.Config{Log: a.embedded, Address: a.opts.Kafka, Advertised: a.opts.KafkaAdvertised, TLS: a.opts.KafkaTLS, Now: a.opts.Now, Logger: a.opts.Logger,
		Validate: a.validFact, Read: a.readFact, Rejected: a.refused.add}
	if a.opts.Token != "" {
		c.Users = map[string]string{KafkaUser: a.opts.Token}
	}
	return door.Listen(c)
}

// validFact says whether a record of a feed is one that every view can read.
func (a *App) validFact(topic string, rec *streams.Record) error {
	return door.ValidFact(topic, rec, a.opts.Now())
}

// readFact is validFact, and gives what it has read.
func (a *App) readFact(topic string, rec *streams.Record) (*events.Event, error) {
	return door.ReadFact(topic, rec, a.opts.Now())
}

// groupPrefix begins the names of the reactors' consumer groups.
const groupPrefix = "projectionist-"

// WebhooksPrivateVariable allows, with true, webhooks at http and at addresses that are not public, for development.
const WebhooksPrivateVariable = "PROJECTIONIST_WEBHOOKS_PRIVATE"

// reactors are this node's. Where the nodes of one log share it, each reactor runs on one of them.
func (a *App) reactors() (*react.Reactors, error) {
	a.sets = &trainset.Cache{Dir: filepath.Join(a.opts.Dir, "facts"), Warn: func(err error) {
		a.opts.Logger.Warn("the facts that were read for training are not kept: the next training reads the log again", "error", err)
	}}
	tmdbKey, err := a.opts.Secrets.Setting(tmdb.KeyVariable)
	if err != nil {
		return nil, err
	}
	if err := roles.EndCommands(a.opts.Dir); err != nil {
		return nil, err
	}
	private, _ := strconv.ParseBool(os.Getenv(roles.HTTPPrivateVariable)) // anything else is no
	own := roles.Config{HTTPPrivate: private, Commands: a.opts.Commands, Tracking: a.tracking, Log: a.Log, Views: a.Views, Dir: a.opts.Dir, Files: a.opts.Files, Sets: a.sets, Import: a.Importer.Import,
		Served: func(ctx context.Context, model string, version int) (commands.Served, error) {
			return a.main.Served(ctx, model, version)
		},
		Publish: a.Dispatcher.Publish, Rank: a.rank,
		TMDB: tmdb.Config{Key: tmdbKey, BaseURL: os.Getenv(tmdb.URLVariable)}}
	if a.embedded != nil {
		own.Backup = a.backupForWorkflow
	}
	all, err := roles.New(own)
	if err != nil {
		return nil, err
	}
	c := react.Config{
		Dispatcher: a.Dispatcher, Ledger: a.Log.Ledger(), Blobs: a.Blobs, Dir: a.opts.Dir, Operators: roles.Operators(), Secrets: a.opts.Secrets, TaskLogs: a.taskLogs,
		Prepare: a.DefineWorkflows, Active: a.activeRuns, Defined: a.definedWorkflows, LastScheduled: a.lastScheduled, Variable: a.variable,
		Triggered: a.triggered, Pools: a.pools, Backfills: a.backfills, Feed: a.Log.Feed(),
		Clock: a.opts.Now, Exclusive: a.embedded != nil && a.ledger == nil, Logger: a.opts.Logger, Lease: a.opts.Lease,
	}
	if l, ok := a.opened.(*kafka.Log); ok {
		logger := watermill.NewSlogLoggerWithLevelMapping(a.opts.Logger, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
		c.Subscribe = func(reactor string) (react.Group, error) { return l.Subscriber(groupPrefix+reactor, logger) }
	}
	return react.New(c, all...)
}
