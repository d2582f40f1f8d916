package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/transfer"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/spf13/cobra"
)

// copying is one `log copy`.
type copying struct {
	p                 *program
	from, to, scratch string
	noViews           bool

	bar    *bar
	report copied
}

// copied is what it came to.
type copied struct {
	From string `json:"from"`
	To   string `json:"to"`
	transfer.Report
	Views    []fold.ViewReport `json:"views,omitempty"`
	Blobs    int               `json:"blobs"` // that were put
	Bytes    int64             `json:"blob_bytes"`
	Was      bool              `json:"was_complete"` // before this run
	Finished bool              `json:"finished"`
}

func (p *program) logCopyCommand() *cobra.Command {
	c := &copying{p: p}
	cmd := &cobra.Command{Use: "copy --from A --to B", Short: "Copy a whole log to another place, verified, to be served from there", Args: cobra.NoArgs,
		Long: `Copy a whole log to another place, to be served from there. A and B are data folders or addresses such as
kafka://host:9092; B is new or empty. Every record keeps its position and its recorded time, so that
model versions, cuts and answers go on meaning the same. From folder to folder the blobs go along.

Both logs are then read again and compared, and all views are folded from both and compared byte for byte.
Only after that can B be served. A copy that was cut short goes on where it stopped: run the same again.
A folder must not be served meanwhile. A log on Kafka may be, but the copy is finished only when nothing
has come in during a run: stop its nodes before the last one. A finished copy is a log of its own.

The feeds beside a ledger at esdb://host:2113 are those of PROJECTIONIST_FEEDS, an address or a data folder.

What Kafka's clients have committed for their groups does not go along.`,
		Example: `  projectionist log copy --from projectionist-data/ml-latest-small --to kafka://127.0.0.1:9092
  projectionist log copy --from kafka://127.0.0.1:9092 --to /srv/films`,
		PreRunE: func(cmd *cobra.Command, args []string) error {
			if err := need(&c.from, "from", "projectionist-data/ml-latest-small")(cmd, args); err != nil {
				return err
			}
			return need(&c.to, "to", "kafka://127.0.0.1:9092")(cmd, args)
		},
		RunE: p.running(func(ctx context.Context, _ []string) error { return c.run(ctx) })}
	cmd.Flags().StringVar(&c.from, "from", "", "the log to copy: a data folder, or an address")
	cmd.Flags().StringVar(&c.to, "to", "", "where to: a new data folder, or an address")
	cmd.Flags().StringVar(&c.scratch, "scratch", "", "folder for work in progress, some times as large as the views (default: in the folder copied to,\nor else where temporary files go)")
	cmd.Flags().BoolVar(&c.noViews, "no-views", false, "do not fold the views from both logs to compare them")
	return cmd
}

// isAddress says whether it is a log's address; else it is a folder.
func isAddress(s string) bool { return strings.Contains(s, "://") }

func (c *copying) run(ctx context.Context) (err error) {
	if !isAddress(c.from) && !isAddress(c.to) {
		if a, b := resolved(c.from), resolved(c.to); a == b {
			return usage("--from and --to are the same folder %s", a)
		}
	} else if c.from == c.to {
		return usage("--from and --to are the same log")
	}
	c.bar = c.p.bar("")
	defer c.bar.end()
	start := time.Now()

	for _, dir := range []string{c.from, c.to} {
		if err := c.idle(ctx, dir); err != nil {
			return err
		}
	}
	source := c.from
	if !isAddress(c.from) {
		if source, err = app.EmbeddedLog(c.from); err != nil {
			return err
		}
	}
	if !isAddress(c.from) && !isAddress(c.to) {
		if err := api.Apart("--to", c.to, c.from); err != nil {
			return err
		}
	}
	target, made := c.to, false
	if !isAddress(c.to) {
		made = !app.IsFolder(c.to)
		if target, err = app.NewEmbeddedLog(c.to); err != nil {
			return err
		}
	}
	c.from, c.to = app.Shown(c.from), app.Shown(c.to)
	c.report = copied{From: c.from, To: c.to}
	scratch, err := c.makeScratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	from, err := c.open(ctx, source, filepath.Join(scratch, "index-source"), false)
	if err != nil {
		if made { // an empty data folder would be a riddle
			err = errors.Join(err, os.RemoveAll(scratch), app.UnmakeFolder(c.to))
		}
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := c.open(ctx, target, filepath.Join(scratch, "index-copy"), true)
	if fault.Is(err, fault.Conflict) {
		return c.settled(ctx, from, target, scratch, err)
	}
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	restorer, ok := to.(streams.Restorer)
	if !ok {
		return usage("--to %s: such a log cannot be filled", c.to)
	}
	if !isAddress(c.to) {
		if err := app.ForgetFolds(c.to); err != nil {
			return err
		}
	}
	cut, err := transfer.Copy(ctx, from, restorer, c.bar.show)
	if err != nil {
		return c.explain(err)
	}
	var offsets int64
	for _, next := range cut {
		offsets += next
	}
	c.step(start, "copied: all %s offsets are there", thousands(offsets))
	if err := c.compare(ctx, from, to, cut, scratch, start); err != nil {
		return c.explain(err)
	}
	if err := c.copyBlobs(ctx); err != nil {
		return c.explain(err)
	}
	grown, err := transfer.Grown(ctx, from, cut)
	if err != nil {
		return c.explain(err)
	}
	if grown == 0 {
		if err := restorer.Restored(ctx); err != nil {
			return c.explain(err)
		}
		c.report.Finished = true
	}
	if err := c.print(); err != nil {
		return err
	}
	if grown > 0 {
		return fmt.Errorf("%s offsets came to %s meanwhile, and the copy is not finished: stop what writes there, and run the same again; it goes on where this run stopped", thousands(grown), c.from)
	}
	return nil
}

// idle refuses a folder that is open elsewhere.
func (c *copying) idle(ctx context.Context, dir string) error {
	if isAddress(dir) {
		return nil
	}
	where := "by another process"
	if base, ok := servedAt(ctx, dir); ok {
		where = "at " + base
	} else if !logLocked(dir) {
		return nil
	}
	return fault.New(fault.Unavailable, "%s is served, or open, %s", dir, where).
		WithHint("stop that first; or copy a backup of it: `projectionist backup --dir %s --to DIR`, then `projectionist log copy --from DIR`", dir)
}

func (c *copying) makeScratch() (string, error) {
	parent := c.scratch
	if parent == "" && !isAddress(c.to) {
		parent = filepath.Join(c.to, "scratch")
	}
	if parent != "" {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(parent, "projectionist-copy-")
}

func (c *copying) open(ctx context.Context, address, index string, restoring bool) (streams.Log, error) {
	logger := c.p.logger(slog.LevelWarn)
	feeds := os.Getenv(envFeeds)
	if feeds != "" && !isAddress(feeds) {
		var err error
		if feeds, err = app.EmbeddedFeeds(feeds); err != nil {
			return nil, err
		}
	}
	return app.OpenLog(ctx, address, app.LogOptions{Index: index, Feeds: feeds, Restoring: restoring,
		Logf: func(format string, args ...any) { logger.Debug(fmt.Sprintf(format, args...)) }})
}

// settled looks at a target that has records and is no unfinished copy: it may be a finished one.
func (c *copying) settled(ctx context.Context, from streams.Log, target, scratch string, refusal error) (err error) {
	to, err := c.open(ctx, target, filepath.Join(scratch, "index-settled"), false)
	if err != nil {
		return fmt.Errorf("--to: %w", refusal)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	start := time.Now()
	cut, err := transfer.Settled(ctx, from, to, c.bar.show)
	if err != nil {
		return fmt.Errorf("--to %s: %w", c.to, err)
	}
	if err := c.compare(ctx, from, to, cut, scratch, start); err != nil {
		return fmt.Errorf("--to %s is not a copy of %s: %w", c.to, c.from, err)
	}
	if err := c.copyBlobs(ctx); err != nil {
		return err
	}
	c.report.Was, c.report.Finished = true, true
	return c.print()
}

func (c *copying) compare(ctx context.Context, from, to streams.Log, cut streams.Cut, scratch string, start time.Time) (err error) {
	if c.report.Report, err = transfer.Compare(ctx, from, to, cut, c.bar.show); err != nil {
		return err
	}
	c.step(start, "both logs read again: equal")
	if c.noViews {
		return nil
	}
	// What is read here stays, so collecting garbage at every doubling is mostly work for nothing.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if c.report.Views, err = transfer.CompareViews(ctx, from, to, cut, scratch, projections.All(), c.bar.show); err != nil {
		return err
	}
	c.step(start, "all views folded from both: equal")
	return nil
}

func (c *copying) copyBlobs(ctx context.Context) error {
	if isAddress(c.from) || isAddress(c.to) {
		return nil
	}
	from, err := app.OpenBlobs(c.from)
	if err != nil {
		return err
	}
	to, err := app.OpenBlobs(c.to)
	if err != nil {
		return err
	}
	c.report.Blobs, c.report.Bytes, err = from.CopyTo(ctx, to)
	return err
}

// step tells on standard error what has been done, with the time since the start.
func (c *copying) step(start time.Time, format string, args ...any) {
	c.bar.end()
	if !c.p.json {
		fmt.Fprintf(c.p.err, "%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}

// explain says of an error in the middle what it leaves behind.
func (c *copying) explain(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fmt.Errorf("--to %s: %w", c.to, err)
	}
	return fmt.Errorf("%w\n%s is unfinished and cannot be served; the same command goes on where this one stopped", err, c.to)
}

func (c *copying) print() error {
	c.bar.end()
	if c.p.json {
		raw, err := json.Marshal(c.report)
		return errors.Join(err, c.p.printRaw(raw))
	}
	var rows []map[string]any
	for _, t := range streams.Topics {
		var records, holes int64
		for _, part := range c.report.Partitions {
			if part.Topic == t.Name {
				records, holes = records+part.Records, holes+part.Holes
			}
		}
		rows = append(rows, map[string]any{"t": t.Name, "n": thousands(records), "h": thousands(holes)})
	}
	if err := table(c.p.out, columns("TOPIC t, RECORDS n, HOLES h"), rows); err != nil {
		return err
	}
	if len(c.report.Views) > 0 {
		rows = nil
		for _, v := range c.report.Views {
			rows = append(rows, map[string]any{"v": v.View, "p": thousands(v.Pairs), "b": thousands(v.Bytes), "s": v.SHA256[:16], "e": v.Equal})
		}
		fmt.Fprintln(c.p.out)
		if err := table(c.p.out, columns("VIEW v, PAIRS p, BYTES b, SHA-256 s, EQUAL e"), rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.p.out, "\n%s events in %s streams of the ledger", thousands(c.report.Events), thousands(int64(c.report.Streams)))
	if !isAddress(c.from) && !isAddress(c.to) {
		fmt.Fprintf(c.p.out, "; blobs copied: %d (%s bytes)", c.report.Blobs, thousands(c.report.Bytes))
	}
	fmt.Fprintln(c.p.out)
	switch {
	case c.report.Was:
		fmt.Fprintf(c.p.out, "%s was a finished copy of %s before\n", c.to, c.from)
	case !c.report.Finished:
	case isAddress(c.to):
		where, dir := envLog+"="+forShell.Replace(c.to), "DIR"
		if feeds := os.Getenv(envFeeds); isAddress(feeds) {
			where += " " + envFeeds + "=" + forShell.Replace(app.Shown(feeds))
		} else if feeds != "" {
			dir = feeds
		}
		fmt.Fprintf(c.p.out, "serve it with %s projectionist serve --dir %s\n", where, dir)
	default:
		fmt.Fprintf(c.p.out, "serve it with projectionist serve --dir %s\n", c.to)
	}
	return nil
}

// forShell escapes what a shell would take for its own in an address.
var forShell = strings.NewReplacer("?", `\?`, "&", `\&`)

// resolved is a folder's one name.
func resolved(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}
