package app

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api/mlflow"
)

// MLflowUIOff is what [Options.MLflowUI] says for none.
const MLflowUIOff = "off"

// openMLflowPages takes MLflow's pages from the folder that is asked for.
func openMLflowPages(o Options) (*mlflow.Pages, error) {
	pages := &mlflow.Pages{}
	if o.MLflowUI == "" || o.MLflowUI == MLflowUIOff {
		return pages, nil
	}
	return pages, pages.Open(o.MLflowUI)
}

// pythonWait is how long the machine's Python is waited for. It answers in some hundredths of a second.
const pythonWait = 10 * time.Second

// whereMLflow tells where mlflow is installed, without loading it.
const whereMLflow = `import importlib.util as u
s = u.find_spec("mlflow")
print(list(s.submodule_search_locations)[0] if s and s.submodule_search_locations else "")`

// findMLflowPages takes MLflow's pages from the mlflow that the python3 on the PATH has. Without any there are none: nothing
// here needs them.
func (a *App) findMLflowPages(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pythonWait)
	defer cancel()
	python, err := exec.LookPath("python3")
	if err != nil {
		return
	}
	c := exec.CommandContext(ctx, python, "-c", whereMLflow)
	c.Dir = string(filepath.Separator) // a folder of that name, where the program was started, is no package
	c.WaitDelay = time.Second
	out, err := c.Output()
	where := strings.TrimSpace(string(out))
	if err != nil || where == "" {
		return
	}
	dir := filepath.Join(where, "server", "js", "build")
	if err := a.mlflowPages.Open(dir); err != nil { // mlflow-skinny has none
		a.opts.Logger.Info("the installed mlflow has no pages", "error", err)
		return
	}
	a.opts.Logger.Info("MLflow's own pages are served", "dir", dir)
}
