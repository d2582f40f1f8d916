package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

// list has what the guide must have, see [Missing].
//
//go:embed rows.txt
var list string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	doc := flag.String("doc", "docs/guide.md", "the guide, from the repository's root")
	keep := flag.Bool("keep", false, "keep the scratch folder")
	flag.Parse()
	failed, err := guide(ctx, os.Stdout, *doc, *keep)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guide:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// guide runs the document, and says whether a row failed.
func guide(ctx context.Context, out io.Writer, doc string, keep bool) (failed bool, err error) {
	text, err := os.ReadFile(doc)
	if err != nil {
		return false, err
	}
	rows, err := Parse(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", doc, err)
	}
	if missing := Missing(list, rows); len(missing) > 0 {
		return false, fmt.Errorf("%s lacks rows:\n  %s", doc, strings.Join(missing, "\n  "))
	}
	for _, tool := range []string{"bash", "curl", "git", "go", "jq", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			return false, fmt.Errorf("the guide needs %s", tool)
		}
	}
	if err := errors.Join(portsTaken()...); err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "guide-")
	if err != nil {
		return false, err
	}
	if scratch, err = filepath.EvalSymlinks(scratch); err != nil {
		return false, err
	}
	defer func() {
		if keep || failed || err != nil {
			fmt.Fprintln(out, "the copy it ran in is", scratch)
			return
		}
		err = os.RemoveAll(scratch)
	}()
	root, state := filepath.Join(scratch, "projectionist"), filepath.Join(scratch, "state")
	if err := copyRepository(".", root); err != nil {
		return false, err
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		return false, err
	}
	s, err := newSession(root, state, os.Environ())
	if err != nil {
		return false, err
	}
	defer s.close()
	t := table{out: out, ci: os.Getenv("CI") == "true", start: time.Now()}
	if os.Getenv("TMDB_API_KEY") == "" {
		address, stop, err := serveTMDB()
		if err != nil {
			return false, err
		}
		defer stop() //nolint:errcheck // it has no more to answer
		s.env = append(s.env, "TMDB_API_KEY=stand-in", "PROJECTIONIST_TMDB_URL="+address)
		t.standIn = true
	}
	t.head()
	for i := range rows {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		r := &rows[i]
		if missing := s.lacks(ctx, r); len(missing) > 0 {
			t.skipped(r, missing)
			continue
		}
		began := time.Now()
		res, err := s.until(ctx, r)
		t.ran(r, res, err, time.Since(began))
		if err != nil && r.Stop {
			t.stopped(len(rows) - i - 1)
			break
		}
	}
	return t.end() > 0, nil
}

// portsTaken are the addresses of the guide that another program has, each with the setting it goes by.
func portsTaken() (taken []error) {
	try := func(address, setting string) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			taken = append(taken, fmt.Errorf("%s is taken (%s): the guide is typed for it, so end what has it; a program of one's own is moved by %s", address, err, setting))
			return
		}
		l.Close() //nolint:errcheck // nobody has used it
	}
	try(app.ListenDefault, "PROJECTIONIST_LISTEN")
	for _, l := range app.Listeners() {
		try(l.Default, "PROJECTIONIST_LISTEN_"+strings.ToUpper(l.Name))
	}
	try("127.0.0.1:9092", "serve --kafka")
	try("127.0.0.1:9090", "prometheus --web.listen-address")
	return taken
}
