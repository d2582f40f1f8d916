package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/projectionist/projectionist/internal/app"
)

//go:embed tracking.py
var trackingProgram string

// mlflowVersion is the server that is measured beside ours.
const mlflowVersion = "3.17.2"

// tracker is a server of MLflow's API: ours, or MLflow's own.
type tracker struct {
	name string
	base string // http://host:port
	pid  int
	stop func() error

	web   *client
	runs  string // experiment of many runs
	long  string // run of a long history
	files string // run of many files
}

// newPatientClient waits for a search that takes MLflow a minute.
func newPatientClient() *client {
	web := newClient()
	web.http.Timeout = 10 * time.Minute
	return web
}

// call asks for something, and reads the answer into what is given, if any.
func (t *tracker) call(web *client, method, path string, body, answer any) error {
	raw, encoded := body.(json.RawMessage)
	if body != nil && !encoded {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	if err := web.do(method, t.base+"/api/2.0/"+path, raw); err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(web.body.Bytes(), answer)
}

func (t *tracker) post(web *client, path string, body any) error {
	return t.call(web, "POST", "mlflow/"+path, body, nil)
}

func (t *tracker) makeExperiment(name string) (string, error) {
	var v struct {
		ID string `json:"experiment_id"`
	}
	err := t.call(t.web, "POST", "mlflow/experiments/create", map[string]any{"name": name}, &v)
	return v.ID, err
}

func (t *tracker) makeRun(web *client, experiment string, start int64) (string, error) {
	var v struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	err := t.call(web, "POST", "mlflow/runs/create", map[string]any{"experiment_id": experiment, "start_time": start, "user_id": "bench"}, &v)
	return v.Run.Info.ID, err
}

// resident is the memory of the server in bytes, what its processes share counted once.
func (t *tracker) resident() (sum float64, err error) {
	members, err := processesOf(t.pid)
	if err != nil {
		return 0, err
	}
	for _, pid := range members {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
				if err != nil {
					return 0, err
				}
				sum += kib * 1024
			}
		}
	}
	if sum == 0 {
		return 0, errors.New("the system does not tell a process's share of memory")
	}
	return sum, nil
}

// processesOf are a process and all that descend from it.
func processesOf(root int) (all []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) //nolint:errcheck // of digits
		// The name, in brackets, may hold blanks; the parent is the second field behind it.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1]) //nolint:errcheck // of digits
		children[parent] = append(children[parent], pid)
	}
	all = []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// ourTracker starts the program on a new folder.
func (b *bench) ourTracker() (*tracker, error) {
	parent, err := b.folder("tracking")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(parent, "data")
	c, err := b.serve(dir, "--listen-tracking", "127.0.0.1:0", "--simulate", "users=20,movies=20,events=200")
	if err != nil {
		return nil, err
	}
	if err := c.filled(b.ctx); err != nil {
		return nil, err
	}
	s, _ := app.ReadServing(dir)
	t := &tracker{name: "ours", pid: c.cmd.Process.Pid, stop: c.stop, web: newPatientClient()}
	for _, also := range s.Also {
		if also.Name == "tracking" {
			t.base = "http://" + also.Address
		}
	}
	if t.base == "" {
		c.kill()
		return nil, errors.New("the program does not say where it answers MLflow's clients")
	}
	return t, nil
}

// mlflow is MLflow in an environment of its own, which is made where it is missing, and its server on a new folder.
type mlflow struct {
	*tracker
	*peer
	database, artifacts string
}

// pythonWith is the Python of an environment that has a package, made where it is missing; of more than the package, what is installed in its place.
func (b *bench) pythonWith(name, pkg, version string, instead ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	venv := filepath.Join(cache, "projectionist", name)
	python := filepath.Join(venv, "bin", "python")
	check := fmt.Sprintf("import importlib.metadata, sys; sys.exit(importlib.metadata.version(%q) != %q)", pkg, version)
	if exec.CommandContext(b.ctx, python, "-c", check).Run() == nil {
		return python, nil
	}
	b.say("making a Python environment with %s %s", pkg, version)
	if err := os.MkdirAll(filepath.Dir(venv), 0o755); err != nil {
		return "", err
	}
	if instead == nil {
		instead = []string{pkg + "==" + version}
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		append([]string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, instead...),
	} {
		if out, err := exec.CommandContext(b.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:min(4, len(args))], " "), err, bytes.TrimSpace(out))
		}
	}
	return python, nil
}

func (b *bench) realTracker() (*mlflow, error) {
	python, err := b.pythonWith("bench-mlflow", "mlflow", mlflowVersion)
	if err != nil {
		return nil, skipped{"MLflow cannot be had: " + err.Error()}
	}
	dir, err := b.folder("mlflow")
	if err != nil {
		return nil, err
	}
	m := &mlflow{database: filepath.Join(dir, "mlflow.db"), artifacts: filepath.Join(dir, "artifacts")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close() //nolint:errcheck // the port was to be found
	out := &lines{each: func(string) {}}
	cmd := exec.CommandContext(b.ctx, python, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///"+m.database, "--artifacts-destination", m.artifacts,
		"--host", "127.0.0.1", "--port", strconv.Itoa(address.Port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = end
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, exited: make(chan struct{}), out: out}
	go func() {
		c.err = cmd.Wait()
		close(c.exited)
	}()
	m.tracker = &tracker{name: "MLflow " + mlflowVersion, base: "http://" + address.String(), pid: cmd.Process.Pid, web: newPatientClient(), stop: func() error {
		err := end()
		<-c.exited
		return err
	}}
	if err := c.wait(b.ctx, "answers", func() bool {
		time.Sleep(100 * time.Millisecond)
		return m.web.get(m.base+"/health") == nil
	}); err != nil {
		return nil, errors.Join(err, end())
	}
	if m.peer, err = startPeer(exec.CommandContext(b.ctx, python, "-c", trackingProgram), "MLflow"); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, nil
}
