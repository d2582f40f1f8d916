//go:build unix

package roles_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
)

// commanding runs a workflow of one command in a process of its own, which allows it.
func (b *bench) commanding(dir, with string) (stop func()) {
	b.t.Helper()
	b.define("name: doing\nparams: [{name: word, default: \"a b; exit 9\"}]\ntasks:\n  - {name: do, operator: command, retries: 0, with: " + with + "}\n")
	c := b.config(dir, nil)
	own := b.roles(c.Dir)
	own.Commands = true
	stop = b.run(b.reactorsWith(c, own))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "doing", RunType: "manual"})
	return stop
}

// log is that of the last try that was kept.
func (b *bench) lastLog() string {
	b.t.Helper()
	kept := all[events.TaskLogKept](b)
	if len(kept) == 0 {
		b.t.Fatal("no log was kept")
	}
	text, err := b.blobs.Get(kept[len(kept)-1].Log)
	must(b.t, err)
	return string(text)
}

// alive says whether a process is there, and has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	return !strings.Contains(string(stat[strings.LastIndexByte(string(stat), ')'):]), ") Z")
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(5 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("never: " + what)
		}
	}
}

func pidIn(path string) int {
	raw, _ := os.ReadFile(path)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return pid
}

// TestCommand runs commands, and takes what they print and put out.
func TestCommand(t *testing.T) {
	const key = "hunter2-hunter2"
	t.Setenv("PROJECTIONIST_SECRET_key", key)
	t.Setenv("PROJECTIONIST_TOKEN", "the server's own")
	for name, test := range map[string]struct {
		with   string
		output map[string]string // in part
		says   string
		fails  string
	}{
		"prints":       {`{command: 'echo one; echo two >&2'}`, map[string]string{"exit_status": "0"}, " INFO  one\n| WARN  two\n", ""},
		"fails":        {`{command: 'echo before; exit 3'}`, nil, "before", "the command ended with exit status 3"},
		"words":        {`{command: 'echo "$WORD"', env: {WORD: "{{ params.word }}"}}`, nil, " INFO  a b; exit 9\n", ""},
		"secret":       {`{command: 'echo "it is $KEY"; echo "v=$KEY" >>"$PROJECTIONIST_OUTPUT"', env: {KEY: "{{ secret.key }}"}}`, map[string]string{"v": "***"}, "it is ***", ""},
		"environment":  {`{command: 'env'}`, nil, "PROJECTIONIST_TASK=do", ""},
		"file":         {`{command: 'printf "a=1\n\nb = x=y \n" >"$PROJECTIONIST_OUTPUT"'}`, map[string]string{"a": "1", "b": "x=y"}, "a = 1", ""},
		"json":         {`{command: 'echo first; echo "{\"loss\": 0.25, \"name\": \"x\", \"big\": 12345678901234567890, \"l\": [1]}"'}`, map[string]string{"loss": "0.25", "name": "x", "big": "12345678901234567890", "l": "[1]"}, "", ""},
		"no json":      {`{command: 'echo "{no"'}`, map[string]string{"exit_status": "0"}, "{no", ""},
		"bad output":   {`{command: 'echo nonsense >"$PROJECTIONIST_OUTPUT"'}`, nil, "", "line 1 of the outputs is not NAME=VALUE"},
		"bad name":     {`{command: 'echo "a b=1" >"$PROJECTIONIST_OUTPUT"'}`, nil, "", "cannot be the name of an output"},
		"large output": {`{command: 'head -c 9000 /dev/zero | tr "\0" x >x; echo "a=$(cat x)" >"$PROJECTIONIST_OUTPUT"'}`, nil, "", "the output a has 9000 bytes"},
		"much":         {`{command: 'yes 0123456789012345678901234567890123456789 | head -c 12000000; echo the end'}`, nil, "lines are left out here|the end", ""},
		"memory":       {`{command: 'x=$(head -c 60000000 /dev/zero | tr "\0" x); echo ${#x}', memory_mib: 32}`, nil, "", "the command ended with"},
		"disk":         {`{command: 'head -c 3000000 /dev/zero >big && echo written', file_mib: 1}`, nil, "", "the command ended with"},
		"nowhere":      {`{command: 'echo x', folder: /no/such/folder}`, nil, "", "the command cannot be started"},
		"killed":       {`{command: 'kill -9 $$'}`, nil, "", "signal: killed"},
		"waits":        {`{command: 'sleep 0.01 & wait; echo waited'}`, nil, "waited", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir := newBench(t), t.TempDir()
			b.commanding(dir, test.with)
			run := b.waitEnded("r1")
			task := run.TaskOf("do")
			if (task.State == projections.StateSuccess) != (test.fails == "") || !strings.Contains(task.Error, test.fails) {
				t.Errorf("%s: %s", task.State, task.Error)
			}
			for name, want := range test.output {
				if task.Output[name] != want {
					t.Errorf("%s is %q; want %q", name, task.Output[name], want)
				}
			}
			log := b.lastLog()
			for want := range strings.SplitSeq(test.says, "|") {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %q:\n%.3000s", want, log)
				}
			}
			if len(log) > 6<<20 || strings.Contains(b.said(), key) || strings.Contains(log, "the server's own") {
				t.Errorf("%d bytes, or a secret, are in %.3000s", len(log), log)
			}
			if left, err := os.ReadDir(filepath.Join(dir, "commands")); err != nil || len(left) != 0 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

// TestCommandIsOff runs none where its owner has not said so.
func TestCommandIsOff(t *testing.T) {
	b := newBench(t)
	b.define("name: doing\ntasks:\n  - {name: do, operator: command, with: {command: \"echo x >/tmp/never\"}}\n")
	b.run(b.reactors(b.config(t.TempDir(), nil)))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "doing", RunType: "manual"})
	run := b.waitEnded("r1")
	if task := run.TaskOf("do"); task.Try != 1 || !strings.Contains(task.Error, "--allow-commands") {
		t.Errorf("%+v", task)
	}
}

// TestCommandEnds ends commands and all they have started, whatever these do against it: when their run is cancelled, when the
// program ends, and when it was killed.
func TestCommandEnds(t *testing.T) {
	const stubborn = `trap "" TERM HUP INT; echo $$ >FOLDER/shell; sleep 600 & echo $! >FOLDER/child; setsid sh -c "trap \"\" TERM; echo \$\$ >FOLDER/away; sleep 600" & wait; sleep 600`
	for name, end := range map[string]func(b *bench, dir string, stop func()){
		"cancelled": func(b *bench, _ string, _ func()) {
			b.dispatch(&commands.EndWorkflowRun{RunID: "r1", State: "cancelled"})
		},
		"stopped": func(_ *bench, _ string, stop func()) { stop() },
		"orphans": func(_ *bench, dir string, _ func()) { must(t, roles.EndCommands(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir, pids := newBench(t), t.TempDir(), t.TempDir()
			stop := b.commanding(dir, "{command: '"+strings.ReplaceAll(stubborn, "FOLDER", pids)+"'}")
			var all []int
			for _, of := range []string{"shell", "child", "away"} {
				eventually(t, of+" is there", func() bool { return alive(pidIn(filepath.Join(pids, of))) && pidIn(filepath.Join(pids, of)) > 0 })
				all = append(all, pidIn(filepath.Join(pids, of)))
			}
			end(b, dir, stop)
			for _, pid := range all {
				eventually(t, strconv.Itoa(pid)+" is gone", func() bool { return !alive(pid) })
			}
		})
	}
}
