package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/internal/app"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // serve did not start; nothing was changed
)

// Environment variables, beside TMDB's key. A .env file in the working folder may set them too.
const (
	envDir      = "PROJECTIONIST_DIR"
	envServer   = "PROJECTIONIST_SERVER"
	envBlobs    = "PROJECTIONIST_BLOBS"          // s3://BUCKET/PREFIX: a bucket that has all blobs too; as serve --blobs
	envCommands = "PROJECTIONIST_ALLOW_COMMANDS" // true lets tasks run commands; as serve --allow-commands
	envSecrets  = "PROJECTIONIST_SECRETS"        // file or directory of secrets; as serve --secrets
	envFiles    = "PROJECTIONIST_FILES"          // folder of the files made for people, data/ and models/; as serve --files
	envToken    = "PROJECTIONIST_TOKEN"
	envPages    = "PROJECTIONIST_MLFLOW_UI" // folder of MLflow's own pages, or off; as serve --mlflow-ui
	envLog      = "PROJECTIONIST_LOG"       // kafka://host:9092,…: the log is on that cluster; esdb://host:2113: the ledger is there
	envFeeds    = "PROJECTIONIST_FEEDS"     // kafka://host:9092,…: the feeds beside a ledger on EventStoreDB (for `log copy` also a data folder)
	envHosts    = "PROJECTIONIST_HOSTS"     // movies.example.com,…: names the program may be asked under without credentials, beside localhost
	envPeers    = "PROJECTIONIST_PEERS"     // http://host:8000,…: other nodes of it
	envFrom     = "PROJECTIONIST_FROM"      // http://host:8000: one whose views a new folder starts from; as --from

	envAdvertise = "PROJECTIONIST_KAFKA_ADVERTISE" // host:port under which Kafka's clients reach the log; as --kafka-advertise

	dirDefault = "projectionist-data"
)

// program is one run of the command line.
type program struct {
	out, err io.Writer
	now      func() time.Time

	dir, server string
	json        bool
	verbose     bool
	mayMake     bool // a data folder where there is none
	ran         bool // the arguments were good and a command has begun
}

// Main runs the command line of this process and returns its exit code. The first SIGINT or SIGTERM ends
// the command in good order; the second one ends the process at once.
func Main() int {
	private()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Run runs one command and returns its exit code: 0 for success, 1 for a failure, 2 for wrong arguments,
// 3 where the server refuses to start. It sets environment variables that a .env file in the working
// folder has and the environment has not.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	errOut = &shared{to: errOut} // a command writes there, and what is logged beside it
	p := &program{out: out, err: errOut, now: time.Now}
	if err := readEnvFile(".env"); err != nil {
		p.say(err)
		return exitUsage
	}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		if code.err != nil {
			p.say(code.err)
		}
		return code.code
	case !p.ran:
		p.say(err)
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		p.say(errors.New("interrupted"))
	default:
		p.say(err)
	}
	return exitFailed
}

// shared is a writer for several at once, one write after the other.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

// exitCode is an error that decides the exit code; its message is printed unless it has none.
type exitCode struct {
	code int
	err  error
}

func (e exitCode) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitCode) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return exitCode{exitUsage, fmt.Errorf(format, args...)} }

// say prints an error, one line for each of several faults.
func (p *program) say(err error) {
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(p.err, "error:", line)
	}
}

func (p *program) logger(level slog.Level) *slog.Logger {
	if p.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: level}))
}

// peers are the other nodes of a shared log.
func peers() []string {
	return strings.FieldsFunc(os.Getenv(envPeers), func(r rune) bool { return r == ',' || r == ' ' })
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "projectionist",
		Short: "An event-sourced film recommender: everything is a fold of one log",
		Example: `  projectionist serve --data ml-latest-small.zip
  projectionist recommend --user 1 --explain
  projectionist verify`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&p.dir, "dir", os.Getenv(envDir), "data folder ($"+envDir+"); by default the one in "+dirDefault+"/ that is served, or was last")
	f.StringVar(&p.server, "server", os.Getenv(envServer), "address of a running server, such as http://127.0.0.1:8000 ($"+envServer+")")
	f.BoolVar(&p.json, "json", false, "print answers as JSON, as the server gives them")
	f.BoolVar(&p.verbose, "verbose", false, "log what happens inside")
	root.AddCommand(
		p.serveCommand(), p.statusCommand(), p.readyCommand(), p.doctorCommand(), p.versionCommand(),
		p.importCommand(), p.simulateCommand(), p.ingestCommand(), p.evalCommand(),
		p.verifyCommand(), p.replayCommand(), p.viewsCommand(), p.backupCommand(), p.gcCommand(), p.webhooksCommand(),
		p.recommendCommand(), p.similarCommand(), p.moviesCommand(), p.historyCommand(), p.shownCommand(), p.feedbackCommand(),
		p.featuresCommand(), p.featureViewsCommand(), p.entitiesCommand(), p.featureServicesCommand(), p.feastCommand(), p.signalsCommand(),
		p.trainCommand(), p.tuneCommand(), p.modelsCommand(), p.deploymentsCommand(), p.experimentsCommand(), p.runsCommand(), p.workflowsCommand(), p.poolsCommand(), p.datasetsCommand(), p.variablesCommand(),
		p.lineageCommand(), p.auditCommand(), p.whyCommand(), p.quarantineCommand(), p.deadLettersCommand(), p.logCommand(), p.produceCommand(), p.consumeCommand(), p.qualityCommand(),
	)
	return root
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("unknown command %q for %q (see `%s --help`)", args[0], cmd.CommandPath(), cmd.CommandPath())
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(subs...)
	return cmd
}

// asking makes the body of a command that asks the HTTP surface.
func (p *program) asking(f func(ctx context.Context, c *client, args []string) error) func(*cobra.Command, []string) error {
	return p.running(func(ctx context.Context, args []string) (err error) {
		c, err := p.connect(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		return f(ctx, c, args)
	})
}

func (p *program) running(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.ran = true
		return f(cmd.Context(), args)
	}
}

// moment are the flags of the two times.
type moment struct{ asOf, knownAt string }

func (m *moment) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.asOf, "as-of", "", "only what had happened by then (event time), such as 2013-09-01")
	m.knownFlag(cmd)
}

func (m *moment) knownFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.knownAt, "known-at", "", "only what the log had by then: a time, or a position such as user-events/0@120")
}

func (m *moment) query(q url.Values) url.Values {
	return with(with(q, "as_of", m.asOf), "known_at", m.knownAt)
}

// with sets a parameter unless its value is empty.
func with(q url.Values, name, value string) url.Values {
	if q == nil {
		q = url.Values{}
	}
	if value != "" {
		q.Set(name, value)
	}
	return q
}

// page are the flags of a piece of a list.
type page struct {
	limit  int
	cursor string
}

func (g *page) flags(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&g.limit, "limit", "n", 50, "how many at most")
	cmd.Flags().StringVar(&g.cursor, "cursor", "", "go on where the last page ended")
}

func (g *page) query(q url.Values) url.Values {
	return with(with(q, "limit", fmt.Sprint(g.limit)), "cursor", g.cursor)
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the program's version", Args: cobra.NoArgs, Example: "  projectionist version",
		RunE: p.running(func(context.Context, []string) error {
			_, err := fmt.Fprintln(p.out, "projectionist", app.Version)
			return err
		})}
}

// escape makes a path segment of an id.
func escape(id string) string { return url.PathEscape(id) }

// need makes the check, before a command begins, that a flag was given.
func need(value *string, flag, example string) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		if *value == "" {
			return fmt.Errorf("--%s is needed, such as --%s %s", flag, flag, example)
		}
		return nil
	}
}
