package roles

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	nameRunner = "runner"
	opCommand  = "command"

	runnerSlots = 4

	// commandsFolder has a folder for each command at work, below the data folder.
	commandsFolder = "commands"
	// commandVariable marks the processes of a command, and all they start: by it those are found that outlived what started them.
	commandVariable = "PROJECTIONIST_COMMAND"
	outputFile      = "output"

	// commandGrace is how long a command that is asked to end may take, before it is killed.
	commandGrace = 3 * time.Second
	// drainWait bounds how long it is waited for what a command has printed, when it is gone.
	drainWait = 5 * time.Second
	// findWait bounds the wait for the views that tell which runs a command has logged.
	findWait = 30 * time.Second
	// outputFileBytesMax bounds the file of outputs, which are [commands.PairsMax] at most.
	outputFileBytesMax = commands.PairsMax * commands.ParamBytesMax
)

// CommandsOff is why commands are not run, and how they would be.
const CommandsOff = "commands are off on this server"

const commandsOn = "its owner turns them on with serve --allow-commands: whoever may apply a definition can then run what they like, as the server's user"

var commandOperator = workflow.Operator{
	Name: opCommand, Description: "Runs a command by /bin/sh, where the server allows commands; what it prints is the task's log",
	Args: []workflow.Param{
		{Name: "command", Type: workflow.Text, Literal: true, Description: "for sh -c; values come to it by env"},
		{Name: "env", Type: workflow.Mapping, Default: text(""), Secret: true, Description: "environment variables by name; they may name secrets"},
		{Name: "folder", Type: workflow.Text, Default: text(""), Description: "where it runs; by default a folder of its own that is removed afterwards"},
		{Name: "memory_mib", Type: workflow.Whole, Default: text("8192"), Least: bound(16), Most: bound(1 << 24), Description: "most of each process's address space"},
		{Name: "file_mib", Type: workflow.Whole, Default: text("10240"), Least: bound(1), Most: bound(1 << 24), Description: "most of each file that it writes"},
	},
	Outputs: []string{"exit_status", "mlflow_runs"}, OpenOutputs: true,
}

// TurnCommandsOff says of the operator that it is off.
func TurnCommandsOff(all workflow.Operators) {
	off := *all[opCommand]
	off.Off = CommandsOff + "; " + commandsOn
	all[opCommand] = &off
}

// runner runs commands.
func (c *Config) runner() react.Role {
	return react.Role{Name: nameRunner, Slots: runnerSlots, Tasks: map[string]react.TaskFunc{opCommand: c.task(runCommand)}}
}

// Tracking is where MLflow's clients find this program, and what they prove themselves with.
type Tracking struct {
	URI                   string // "" where it is not answered there
	Token, User, Password string
}

// command is a command at work.
type command struct {
	*job
	mark    string // of its processes
	scratch string // folder
	cmd     *exec.Cmd
}

// runCommand runs the command of a task. Its processes are a group, which is killed when the task is to stop, when the command
// ends, and when this process does: a watchdog in the group reads a pipe whose other end is here. What has left the group is
// found by the mark in its environment.
func runCommand(ctx context.Context, w *job) (map[string]string, error) {
	if !w.cfg.Commands {
		return nil, fault.New(fault.Forbidden, CommandsOff).WithHint(commandsOn)
	}
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	c := &command{job: w, mark: commandMark(w.cfg.Dir, w.RunID(), w.Task())}
	if err := killMarked(c.mark); err != nil { // of a try before
		return nil, err
	}
	name := react.HashID("command", w.RunID(), w.Task(), strconv.Itoa(w.Try()))
	if c.scratch, err = filepath.Abs(filepath.Join(w.cfg.Dir, commandsFolder, name)); err == nil {
		err = os.MkdirAll(c.scratch, 0o700)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the command has no folder")
	}
	defer os.RemoveAll(c.scratch) //nolint:errcheck // else the next start removes it
	if err := c.prepare(args); err != nil {
		return nil, err
	}
	last, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.output(last)
	if err != nil {
		return nil, err
	}
	out["exit_status"], out["mlflow_runs"] = "0", ""
	if c.cfg.Tracking == nil {
		return out, nil
	}
	if err := c.findRuns(ctx, out); err != nil { // it is done all the same, and not to be done again for this
		w.Log().Warn("the runs that the command has logged cannot be found", "error", err)
	}
	return out, nil
}

// commandMark is what marks the processes of a task's command: the data folder first.
func commandMark(dir, run, task string) string {
	return folderMark(dir) + react.HashID(run, task)
}

func folderMark(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:16]) + "/"
}

// EndCommands kills what commands of before have left behind, and removes their folders. It is for whoever alone has the data folder.
func EndCommands(dir string) error {
	return errors.Join(killMarked(folderMark(dir)), os.RemoveAll(filepath.Join(dir, commandsFolder)))
}

// variableName is that of an environment variable.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// prepare makes the command, with an environment of its own.
func (c *command) prepare(args map[string]string) error {
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": c.scratch, "TMPDIR": c.scratch, "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1", commandVariable: c.mark,
		"PROJECTIONIST_RUN": c.RunID(), "PROJECTIONIST_WORKFLOW": c.Workflow(), "PROJECTIONIST_TASK": c.Task(), "PROJECTIONIST_TRY": strconv.Itoa(c.Try()),
		"PROJECTIONIST_OUTPUT": filepath.Join(c.scratch, outputFile),
	}
	c.tracking(env)
	for name, value := range args {
		name, ok := strings.CutPrefix(name, "env.")
		if !ok {
			continue
		}
		if !variableName.MatchString(name) || name == commandVariable || strings.ContainsRune(value, 0) {
			return fault.Field("with.env."+name, "is no variable that a command can be given")
		}
		env[name] = value
	}
	for _, limit := range []string{"memory_mib", "file_mib"} {
		if _, err := strconv.Atoi(args[limit]); err != nil {
			return fault.Field("with."+limit, "is no number")
		}
	}
	c.cmd = newCommand(args["command"], args["memory_mib"], args["file_mib"])
	c.cmd.Dir = c.scratch
	if args["folder"] != "" {
		c.cmd.Dir = args["folder"]
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		c.cmd.Env = append(c.cmd.Env, name+"="+env[name])
	}
	return nil
}

// tracking has MLflow's client in the command log here, and its runs say what started them: by MLFLOW_RUN_CONTEXT, of which
// the client makes tags (mlflow/tracking/context/system_environment_context.py).
func (c *command) tracking(env map[string]string) {
	if c.cfg.Tracking == nil {
		return
	}
	t := c.cfg.Tracking()
	if t.URI == "" {
		c.Log().Info("MLflow's clients are not answered by this server: the command has no MLFLOW_TRACKING_URI")
		return
	}
	env["MLFLOW_TRACKING_URI"] = t.URI
	switch {
	case t.Token != "":
		env["MLFLOW_TRACKING_TOKEN"] = t.Token
	case t.User != "":
		env["MLFLOW_TRACKING_USERNAME"], env["MLFLOW_TRACKING_PASSWORD"] = t.User, t.Password
	}
	env["MLFLOW_RUN_CONTEXT"] = string(jsonOf(map[string]string{tagSourceName: c.Workflow(), tagSourceType: sourceJob,
		tagWorkflow: c.RunID(), tagTask: c.Task(), tagTry: strconv.Itoa(c.Try())}))
}

// Tags of a run that a command has logged, beside tagWorkflow.
const (
	tagTask = "projectionist.task"
	tagTry  = "projectionist.try"
)

// run runs the command to its end, or until ctx ends, and gives the last line of what it printed.
func (c *command) run(ctx context.Context) (last string, err error) {
	w := c.TaskLog()
	pipes, err := c.pipes()
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, err, "the command cannot be started")
	}
	defer pipes.close()
	if err := c.cmd.Start(); err != nil {
		return "", fault.New(fault.Invalid, "the command cannot be started: %v", err)
	}
	pipes.started()
	c.Log().Info("the command runs", "pid", c.cmd.Process.Pid, "folder", c.cmd.Dir)
	var reading sync.WaitGroup
	for level, from := range map[string]*os.File{"INFO": pipes.out, "WARN": pipes.errs} {
		reading.Go(func() {
			line := ""
			if w == nil {
				_, _ = io.Copy(io.Discard, from)
			} else {
				line, _ = w.Copy(c.Now, level, from) // what was read until the pipe was closed
			}
			if level == "INFO" {
				last = line
			}
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- c.cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		c.stop(react.Lost(ctx), ended)
		err = context.Cause(ctx)
	}
	killGroup(c.cmd)
	left := killMarked(c.mark)
	drained := make(chan struct{})
	go func() { reading.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainWait):
		pipes.close()
		<-drained
	}
	if ctx.Err() != nil {
		return "", errors.Join(err, left)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", errors.Join(fault.New(fault.Unavailable, "the command ended with %v", exit.ProcessState), left)
	}
	return last, errors.Join(err, left)
}

// stop asks the command to end, and kills it when it does not, or at once.
func (c *command) stop(atOnce bool, ended <-chan error) {
	if !atOnce {
		endGroup(c.cmd)
		select {
		case <-ended:
			return
		case <-time.After(commandGrace):
		}
	}
	killGroup(c.cmd)
	<-ended
}

// pipes are those of a command: what it prints, and the one that tells its watchdog that this process is gone.
type pipes struct {
	out, errs *os.File   // read here
	theirs    []*os.File // ends of the command
	alive     *os.File
}

func (c *command) pipes() (*pipes, error) {
	p := &pipes{}
	var ends [3][2]*os.File
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			for _, made := range ends[:i] {
				made[0].Close() //nolint:errcheck // nothing was written
				made[1].Close() //nolint:errcheck // nothing was written
			}
			return nil, err
		}
		ends[i] = [2]*os.File{r, w}
	}
	p.out, p.errs, p.alive = ends[0][0], ends[1][0], ends[2][1]
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.ExtraFiles = ends[0][1], ends[1][1], []*os.File{ends[2][0]}
	p.theirs = []*os.File{ends[0][1], ends[1][1], ends[2][0]}
	return p, nil
}

// started closes the command's ends here.
func (p *pipes) started() {
	for _, f := range p.theirs {
		f.Close() //nolint:errcheck // the command has them
	}
	p.theirs = nil
}

func (p *pipes) close() {
	for _, f := range append([]*os.File{p.out, p.errs, p.alive}, p.theirs...) {
		f.Close() //nolint:errcheck // it may be closed
	}
}

// output reads what the command puts out: NAME=VALUE lines of its file, or else the object that its last line is.
func (c *command) output(last string) (map[string]string, error) {
	out := map[string]string{}
	f, err := os.Open(filepath.Join(c.scratch, outputFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		var object map[string]any
		d := json.NewDecoder(strings.NewReader(last))
		d.UseNumber()
		if !strings.HasPrefix(last, "{") || d.Decode(&object) != nil {
			return out, nil
		}
		for name, value := range object {
			if s, ok := value.(string); ok {
				out[name] = s
			} else {
				out[name] = string(jsonOf(value))
			}
		}
		return out, checkOutput(out)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "the file of outputs cannot be read")
	}
	defer f.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(io.LimitReader(f, outputFileBytesMax+1))
	if err != nil || len(raw) > outputFileBytesMax {
		return nil, fault.New(fault.Invalid, "the file of outputs cannot be read, or has more than %d bytes", outputFileBytesMax)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, outputFileBytesMax+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fault.New(fault.Invalid, "line %d of the outputs is not NAME=VALUE", n)
		}
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out, checkOutput(out)
}

// outputsMax leaves room for those of the operator itself.
const outputsMax = commands.PairsMax - 2

func checkOutput(out map[string]string) error {
	if len(out) > outputsMax {
		return fault.New(fault.Invalid, "the command puts out %d values; the most is %d", len(out), outputsMax)
	}
	for name, value := range out {
		if !outputName.MatchString(name) || name == "exit_status" || name == "mlflow_runs" {
			return fault.New(fault.Invalid, "%q cannot be the name of an output", cutText(name, 100))
		}
		if _, err := whole(value); err != nil {
			return fault.New(fault.Invalid, "the output %s has %d bytes; the most is %d", name, len(value), outputBytesMax)
		}
		out[name] = strings.ToValidUTF8(value, "\ufffd")
	}
	return nil
}

// outputName is what a definition can refer to.
var outputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@-]{0,99}$`)

// findRuns puts out which runs MLflow's client in the command has logged.
func (c *command) findRuns(ctx context.Context, out map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, findWait)
	defer cancel()
	for _, v := range []fold.View{projections.NewLineage(), projections.NewRuns()} {
		if err := c.ledgerReaches(ctx, v); err != nil {
			return err
		}
	}
	graph, err := fold.Of[*projections.Lineage](c.cfg.Views).Downstream("workflow-run/"+c.RunID(), fold.At{})
	if err != nil {
		return err
	}
	var ids []string
	for _, e := range graph.Edges {
		id, ok := strings.CutPrefix(e.To, "run/")
		if !ok || e.From != "workflow-run/"+c.RunID() || slices.Contains(ids, id) {
			continue
		}
		run, ok, err := fold.Of[*projections.Runs](c.cfg.Views).Run(id)
		if err != nil {
			return err
		}
		if ok && run.Tags[tagTask] == c.Task() && run.Tags[tagTry] == strconv.Itoa(c.Try()) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for len(strings.Join(ids, ",")) > outputBytesMax {
		ids = ids[:len(ids)-1]
	}
	out["mlflow_runs"] = strings.Join(ids, ",")
	return nil
}
