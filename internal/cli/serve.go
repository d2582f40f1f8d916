package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/spf13/cobra"
)

const (
	// pollEvery is how often the views and the reactors are looked at while waiting for them.
	pollEvery = 50 * time.Millisecond
	// waitingEvery is how often it is said again what readiness waits for.
	waitingEvery = 10 * time.Second
)

type serving struct {
	p                      *program
	listen, data, simulate string
	files, blobs, mlflowUI string
	also                   map[string]*string // other addresses by listener, as flags have them
	merge                  bool
	from, kafka, cert, key string
	secrets                string
	commands               bool
	advertise              string // to Kafka's clients

	set   *dataset.Set // of data
	bar   *bar         // of what is under way
	app   *app.App
	opts  app.Options
	start time.Time
}

func (p *program) serveCommand() *cobra.Command {
	s := &serving{p: p}
	cmd := &cobra.Command{Use: "serve", Short: "Serve the data folder; fill it first where there is nothing in it", Args: cobra.NoArgs,
		Long: `Serve the data folder over HTTP.

An empty folder is filled from --data, or else from a simulated world of invented films and people;
with --simulate off it stays empty, as a tracking server that trains nothing of its own.
A model is trained on what is there, and recommendations are served once one is deployed. With --data
on a folder that has data, what is new is added; the same data set twice adds nothing.

The first SIGINT or SIGTERM ends the server in good order, the second one at once.
Exit codes: 0 ended in good order, 1 failed, 2 wrong arguments, 3 did not start.`,
		Example: `  projectionist serve
  projectionist serve --dir /srv/films --data ml-latest-small.zip
  projectionist serve --simulate users=2000,movies=500,events=200000`,
		RunE: p.running(func(ctx context.Context, _ []string) error { return s.run(ctx) })}
	s.listenFlags(cmd)
	cmd.Flags().StringVar(&s.data, "data", "", "MovieLens or MovieTweetings data set to import: a folder or a .zip")
	cmd.Flags().StringVar(&s.simulate, "simulate", "", "simulated world to import, such as users=600,movies=1000,events=60000,seed=1, or off")
	cmd.Flags().StringVar(&s.files, "files", "", "folder for the files made for people, in data/ and models/: TMDB's answers, the watch log,\nweights of models; default $"+envFiles+" or the data folder")
	cmd.Flags().StringVar(&s.blobs, "blobs", "", "bucket that has files of runs and weights of models too, so that they outlive this node, such as\ns3://films/blobs?endpoint=http://10.0.0.9:9000, with the credentials in AWS_ACCESS_KEY_ID and\nAWS_SECRET_ACCESS_KEY (default $"+envBlobs+", or the data folder alone)")
	cmd.Flags().StringVar(&s.mlflowUI, "mlflow-ui", "", "folder of MLflow's own web pages, server/js/build of an installed mlflow, for --listen-tracking, or off;\ndefault $"+envPages+", or that of the mlflow that the python3 on the PATH has")
	s.workflowFlags(cmd)
	mergeFlag(cmd, &s.merge)
	cmd.Flags().StringVar(&s.from, "from", "", "another node of a log on Kafka, such as http://10.0.0.2:8000: a folder without views takes\nthat node's and folds what follows; else all is folded from the log (default $"+envFrom+")")
	s.kafkaFlags(cmd)
	return cmd
}

func refused(err error) error { return exitCode{exitRefused, err} }

// step tells what has been done, with the time since the start.
func (s *serving) step(format string, args ...any) {
	s.bar.end()
	fmt.Fprintf(s.p.out, "%6.1fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

func (s *serving) run(ctx context.Context) (err error) {
	if s.p.server != "" && os.Getenv(envServer) == "" {
		return usage("serve is a server itself: --server does not go with it")
	}
	if s.data != "" && s.simulate != "" {
		return usage("--data and --simulate are two ways to fill the folder: give one of them")
	}
	s.start, s.bar = time.Now(), s.p.bar("")
	var given worldParams
	if s.simulate != off {
		given, err = parseWorld(s.simulate)
	}
	if err != nil {
		return exitCode{exitUsage, err}
	}
	o := app.Options{LogURL: os.Getenv(envLog), FeedsURL: os.Getenv(envFeeds), Peers: peers(), From: cmp.Or(s.from, os.Getenv(envFrom)), Files: cmp.Or(s.files, os.Getenv(envFiles)), Blobs: cmp.Or(s.blobs, os.Getenv(envBlobs)), MLflowUI: cmp.Or(s.mlflowUI, os.Getenv(envPages)),
		Hosts: hosts(os.Getenv(envHosts)), Logger: s.p.logger(slog.LevelWarn), Progress: s.downloading}
	if err := s.addresses(&o); err != nil {
		return refused(err)
	}
	if err := s.workflows(&o); err != nil {
		return refused(err)
	}
	if s.data != "" { // before a folder is made for what is not there
		if s.set, err = openData(s.data); err != nil {
			return refused(err)
		}
		defer func() { err = errors.Join(err, s.set.Close()) }()
	}
	if s.p.dir == "" {
		s.p.dir = folderFor(s.data)
	}
	o.Dir, s.opts = s.p.dir, o
	s.app, err = app.Open(ctx, o)
	s.bar.end()
	if err != nil {
		if at, ok := servedAt(ctx, s.p.dir); ok {
			err = fmt.Errorf("%w; it is served at %s", err, at)
		}
		return refused(err)
	}
	defer func() { err = errors.Join(err, s.app.Close()) }()
	s.step("opened %s", s.p.dir)
	if origin := s.app.Origin(); origin != "" {
		s.step("%s", origin)
	}
	if err := s.app.Begin(ctx); err != nil {
		return refused(err)
	}

	// From here on the server answers, with what the views have; what fails now is no refusal to start, except
	// for the listener.
	sctx, stop := context.WithCancel(ctx)
	defer stop()
	served, addresses := make(chan error, 1), make(chan []app.Answered, 1)
	go func() { served <- s.app.Serve(sctx, func(all []app.Answered) { addresses <- all }) }()
	var base string
	select {
	case all := <-addresses:
		base = "http://" + dialable(all[0].Address)
		s.step("answering on %s", base)
		s.listAddresses(all, o.Kafka)
	case err := <-served:
		return refused(err)
	}
	work := make(chan error, 1)
	go func() { work <- s.fill(sctx, given, base) }()
	for {
		select {
		case err := <-work:
			if err != nil && sctx.Err() == nil {
				stop()
				return errors.Join(err, <-served)
			}
			work = nil
		case err := <-served:
			stop()
			if work != nil {
				<-work // it uses the app, which is closed next
			}
			if err == nil && ctx.Err() != nil {
				s.step("ended in good order")
			}
			return err
		case <-sctx.Done():
			s.step("ending: requests under way are answered, work under way goes on at the next start")
			err := <-served
			if work != nil {
				<-work
			}
			if err == nil {
				s.step("ended in good order")
			}
			return err
		}
	}
}

// downloading shows how far a download is.
func (s *serving) downloading(stage string, done, total int64) {
	s.bar.show(stage+", MiB", done>>20, total>>20)
}

// open brings the views to the end of the log, says whether all got there, and then sees to it that there are
// definitions.
func (s *serving) open(ctx context.Context) (whole bool, err error) {
	if err := s.p.catchUp(ctx, s.app, s.bar, true); err != nil {
		return false, err
	}
	head, err := fold.HeadCut(ctx, s.app.Log, time.Time{})
	if err != nil {
		return false, err
	}
	var records int64
	for _, n := range head {
		records += n
	}
	s.step("%s in the log", count(records, "record"))
	views, err := s.app.Views.Status(ctx)
	if err != nil {
		return false, err
	}
	halted := 0
	told := map[streams.Position]bool{}
	for _, v := range views {
		switch h := v.Halted; {
		case h == nil:
			continue
		case !h.Unread:
			s.step("HALTED: %s", v.Error)
			fmt.Fprintf(s.p.out, "         mend what it cannot read, or pass over it: projectionist views skip %s %s --reason WHY\n", v.View, h.Position)
		case !told[h.Position]:
			told[h.Position] = true
			s.step("HALTED: all views of the ledger, at %s, which this release cannot read: %s %s: %v", h.Position, h.Type, h.EventID, h.Err)
			fmt.Fprintf(s.p.out, "         run the release that knows it, or have everyone pass over it: projectionist views skip --all %s --reason WHY\n", h.Position)
		}
		halted++
	}
	s.step("%d of %d views have all of it", len(views)-halted, len(views))
	if halted > 0 {
		return false, nil // the definitions may be what cannot be read
	}
	return true, s.app.Define(ctx)
}

// unreadableWait is how long a command without a server waits for a log that cannot be read.
var unreadableWait = 5 * time.Second

// catchUp waits until every view that is not halted has all of the log. That the log cannot be read is told at
// once. A server waits for somebody to mend it, another command does not wait long.
func (p *program) catchUp(ctx context.Context, a *app.App, bar *bar, server bool) error {
	defer bar.end()
	var total int64
	var told string
	var since time.Time // the log cannot be read
	for {
		lag, why := lagOf(ctx, a)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case lag == 0 && why == nil:
			return nil
		case why == nil:
			told, since = "", time.Time{}
		case why.Error() != told:
			bar.end()
			p.say(fmt.Errorf("the log cannot be folded for now: %w", why))
			if told = why.Error(); since.IsZero() {
				since = time.Now()
			}
		case !server && time.Since(since) > unreadableWait:
			return fault.New(fault.Corrupt, "the log cannot be folded").
				WithHint("mend it, or restore a backup; what was folded before can be asked of a server: projectionist serve")
		}
		if total = max(total, lag); why == nil {
			bar.show("folding the log", total-lag, total)
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// lagOf is how many records views that are not halted have not folded, and why they do not go on.
func lagOf(ctx context.Context, a *app.App) (lag int64, why error) {
	views, err := a.Views.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, v := range views {
		if v.Halted == nil && v.Lag > 0 {
			if lag += v.Lag; v.Error != "" && why == nil {
				why = errors.New(v.Error)
			}
		}
	}
	return lag, why
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// untilReady waits until recommendations can be served and the workflow run, if any, has ended.
func (s *serving) untilReady(ctx context.Context, c *client, run string) error {
	defer s.bar.end()
	workflows := fold.Of[*projections.Workflows](s.app.Views)
	var told map[string]bool // tasks of the run whose end was told
	var why string
	var since, lastCheck time.Time
	ready := false
	for {
		if tasks := s.app.Reactors.Progress(); len(tasks) > 0 {
			t := tasks[0]
			s.bar.show(strings.TrimSuffix(t.Task+", "+t.Stage, ", "), t.Done, t.Of)
		}
		ended := run == ""
		if run != "" {
			r, ok, err := workflows.Run(run)
			if err != nil {
				return err
			}
			if told == nil {
				told = map[string]bool{}
			}
			for _, t := range r.Tasks {
				if over := t.State == projections.StateSuccess || t.State == projections.StateFailed; over && !told[t.Task] {
					told[t.Task] = true
					s.step("%s: %s%s", t.Task, t.State, cmp.Or(errorText(t.Error), outputText(t.Output)))
				}
			}
			if ended = ok && r.Ended(); ended && r.State == projections.StateFailed {
				s.step("%s FAILED: %s (see `projectionist workflows show %s`)", r.Workflow, r.Reason, run)
				run = ""
			}
		}
		if time.Since(lastCheck) >= 4*pollEvery {
			lastCheck = time.Now()
			_, err := c.get(ctx, "/readyz", nil)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			ready = err == nil
			if err != nil && (err.Error() != why || time.Since(since) > waitingEvery) && len(s.app.Reactors.Progress()) == 0 {
				if why != "" {
					s.step("not ready: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
				}
				why, since = err.Error(), time.Now()
			}
		}
		if ready && ended {
			return nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func errorText(e string) string {
	if e == "" {
		return ""
	}
	return ": " + e
}

// outputText shows the main figures of a task's result, and why; without hashes, and without what is said
// of the parts ("online.ndcg@10"), which the run keeps.
func outputText(output map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(output)) {
		v := output[k]
		if f, err := strconv.ParseFloat(v, 64); err == nil && strings.Contains(v, ".") {
			v = strconv.FormatFloat(f, 'g', 4, 64)
		}
		if k == "reason" || v != "" && len(v) <= outputWidthMax && !strings.Contains(k, ".") {
			parts = append(parts, k+"="+oneLine(v))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, " ") + ")"
}

// outputWidthMax keeps words and numbers, and leaves out hashes.
const outputWidthMax = 30

// announce says what is ready, with requests to try.
func (s *serving) announce(ctx context.Context, c *client, base string) error {
	films, err := fold.Of[*projections.Catalogue](s.app.Views).Count()
	if err != nil {
		return err
	}
	facts, err := s.facts(ctx)
	if err != nil {
		return err
	}
	model := "no model yet: ranking by what people do online"
	if slot, ok, err := fold.Of[*projections.Deployments](s.app.Views).Slot(events.ProductionSlot); err != nil {
		return err
	} else if ok {
		name, err := fold.Of[*projections.Registry](s.app.Views).NameOf(slot.Current.Model)
		if err != nil {
			return err
		}
		model = fmt.Sprintf("model %s version %d", name, slot.Current.Version)
	}
	user, movie, simulated, err := s.example(ctx)
	if err != nil {
		return err
	}
	s.step("ready: %s, %s, %s", count(films, "film"), count(facts, "interaction"), model)
	if simulated {
		fmt.Fprintln(s.p.out, "         The films and people are SIMULATED: nobody in here is real.")
	}
	auth := ""
	switch {
	case s.opts.Token != "":
		auth = ` -H "Authorization: Bearer $` + envToken + `"`
	case len(s.opts.Users) > 0:
		auth = " -u NAME:PASSWORD"
	}
	fmt.Fprintf(s.p.out, `
  %[1]s

  curl%[2]s "%[1]s/api/v1/recommendations?k=10&user_id=%[3]s&explain=true"
  curl%[2]s "%[1]s/api/v1/movies/%[4]s/similar?k=5"
  curl%[2]s -H "Content-Type: application/json" "%[1]s/api/v1/feedback" -d '{"user_id":"%[3]s","movie_id":"%[4]s","rating":5}'

`, base, auth, url.QueryEscape(user), url.PathEscape(movie))
	return nil
}

// example is someone who has rated a film, and a film of the catalogue that people have met.
func (s *serving) example(ctx context.Context) (user, movie string, simulated bool, err error) {
	catalogue := fold.Of[*projections.Catalogue](s.app.Views)
	if top, err := s.app.Recommend.Popular(1); err != nil {
		return "", "", false, err
	} else if len(top) > 0 {
		movie = top[0].MovieID
	}
	for m, err := range catalogue.All() {
		if err != nil {
			return "", "", false, err
		}
		if movie == "" || m.MovieID == movie {
			movie, simulated = m.MovieID, m.Simulated
			break
		}
	}
	for f, err := range fold.Of[*projections.Histories](s.app.Views).Movie(movie, fold.At{}) {
		if err != nil {
			return "", "", false, err
		}
		user = f.UserID
		break
	}
	return cmp.Or(user, "1"), cmp.Or(movie, "1"), simulated, ctx.Err()
}

// hosts are names separated by commas.
func hosts(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			names = append(names, name)
		}
	}
	return names
}
