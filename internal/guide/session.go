package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// rowTimeout bounds one run of a block: the longest ones run tests.
const rowTimeout = 15 * time.Minute

// retryEvery is how long after a run of a block that did not hold it is run again.
const retryEvery = 500 * time.Millisecond

// session is the terminal: what a block exports, and the folder that it goes to, are there for the next one.
type session struct {
	root   string // the repository's copy
	state  string // folder for what is carried on
	env    []string
	groups []int // of processes, one for each block that was run
	has    map[string]bool
}

// wrapper runs a block and keeps what it changed of its surroundings.
const wrapper = `cd "$(cat "$GUIDE_STATE/folder")" || exit
. "$GUIDE_STATE/exports"
eval "$(cat "$GUIDE_STATE/block")"
status=$?
export -p >"$GUIDE_STATE/exports"
pwd >"$GUIDE_STATE/folder"
exit $status
`

func newSession(root, state string, env []string) (*session, error) {
	s := &session{root: root, state: state, has: map[string]bool{}}
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		// The settings of somebody's own program are not the guide's, nor are those of the make that runs it.
		if own := strings.HasPrefix(name, "PROJECTIONIST_") && name != "PROJECTIONIST_KAFKA_HOME"; !own && !strings.HasPrefix(name, "MAKE") && name != "MFLAGS" {
			s.env = append(s.env, kv)
		}
	}
	s.env = append(s.env, "GUIDE_STATE="+state)
	for name, text := range map[string]string{"exports": "", "folder": root, "wrapper": wrapper} {
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run runs a block once.
func (s *session) run(ctx context.Context, language, code string) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	if language == "python" {
		script := filepath.Join(s.state, "block.py")
		if err := os.WriteFile(script, []byte(code), 0o600); err != nil {
			return nil, err
		}
		code = `python "$GUIDE_STATE/block.py"`
	}
	if err := os.WriteFile(filepath.Join(s.state, "block"), []byte(code), 0o600); err != nil {
		return nil, err
	}
	// Files, not pipes: what a block leaves running in the background would hold those open.
	var printed [2]*os.File
	for i := range printed {
		f, err := os.CreateTemp(s.state, "printed-*")
		if err != nil {
			return nil, err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		printed[i] = f
	}
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", filepath.Join(s.state, "wrapper"))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.root, s.env, printed[0], printed[1]
	inGroup(cmd)
	err := cmd.Start()
	if err == nil {
		s.groups = append(s.groups, cmd.Process.Pid)
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	res := &Result{Exit: cmd.ProcessState.ExitCode(), Root: s.root}
	for i, to := range []*[]byte{&res.Output, &res.Err} {
		if *to, err = os.ReadFile(printed[i].Name()); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		res.Err = fmt.Appendf(res.Err, "\n(ended after %v)\n", rowTimeout)
	}
	return res, nil
}

// until runs a row until all holds of it that must, once or for as long as it says.
func (s *session) until(ctx context.Context, r *Row) (res *Result, err error) {
	end := time.Now().Add(r.Within)
	for {
		if res, err = s.run(ctx, r.Language, r.Code); err != nil {
			return res, err
		}
		err = r.holds(ctx, res)
		if err == nil || ctx.Err() != nil || !time.Now().Before(end) {
			return res, err
		}
		time.Sleep(retryEvery)
	}
}

// close ends what blocks have left running.
func (s *session) close() {
	for _, g := range s.groups {
		endGroup(g)
	}
}

// shown is the end of what was printed, for people.
func (r *Result) shown() string {
	const bytesMax = 3000
	all := bytes.TrimSpace(append(append(bytes.TrimSpace(r.Output), '\n'), r.Err...))
	if len(all) > bytesMax {
		all = append([]byte("… "), all[len(all)-bytesMax:]...)
	}
	return strings.ToValidUTF8(string(all), "?")
}
