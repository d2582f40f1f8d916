package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/spf13/cobra"
)

// finding is what an inspection says of one system.
type finding struct {
	System string `json:"system"`
	At     string `json:"at,omitempty"`
	State  string `json:"state"` // ok, off, absent or wrong
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

const (
	stateOK     = "ok"
	stateOff    = "off"    // chosen so
	stateAbsent = "absent" // not part of this program, and not running
	stateWrong  = "WRONG"
)

// doctor inspects what a running program does, system by system, from outside.
type doctor struct {
	p                   *program
	c                   *client
	serving             app.Serving
	prometheus, grafana string
	findings            []finding
}

func (p *program) doctorCommand() *cobra.Command {
	d := &doctor{p: p}
	cmd := &cobra.Command{Use: "doctor", Short: "Inspect the running program, system by system, and say what to do", Args: cobra.NoArgs,
		Long: `Inspect the running program, system by system, and say what to do: the log, recommendations, workflows, every
address it answers on, Kafka's, and, where they run, Prometheus and Grafana. Nothing is changed.
Exit code 1 if anything of the program itself is wrong.`,
		Example: "  projectionist doctor",
		RunE: p.running(func(ctx context.Context, _ []string) error {
			if p.server == "" && p.dir == "" {
				p.dir = folder(ctx)
			}
			if p.server == "" {
				if _, ok := servedAt(ctx, p.dir); !ok {
					return fault.New(fault.Unavailable, "nothing serves %s", p.dir).WithHint("start it: projectionist serve, or make run")
				}
				d.serving, _ = app.ReadServing(p.dir)
			}
			c, err := p.connect(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			d.c = c
			return d.inspect(ctx)
		})}
	cmd.Flags().StringVar(&d.prometheus, "prometheus", "http://localhost:9090", "where Prometheus would be")
	cmd.Flags().StringVar(&d.grafana, "grafana", "http://localhost:3000", "where Grafana would be")
	return cmd
}

func (d *doctor) inspect(ctx context.Context) error {
	for _, look := range []func(context.Context){d.ready, d.log, d.recommendations, d.workflows, d.leftovers, d.listeners, d.kafka, d.monitoring} {
		look(ctx)
	}
	wrong := 0
	for _, f := range d.findings {
		if f.State == stateWrong {
			wrong++
		}
	}
	if d.p.json {
		raw, err := json.Marshal(map[string]any{"findings": d.findings, "wrong": wrong})
		if err != nil {
			return err
		}
		fmt.Fprintf(d.p.out, "%s\n", raw)
	} else {
		var rows []map[string]any
		for _, f := range d.findings {
			rows = append(rows, map[string]any{"system": f.System, "at": cmp.Or(f.At, "-"), "state": f.State, "found": f.Found, "advice": cmp.Or(f.Advice, "-")})
		}
		if err := table(d.p.out, columns("SYSTEM system, STATE state, AT at, FOUND found, WHAT-TO-DO advice"), rows); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s of %d wrong", count(int64(wrong), "finding"), len(d.findings))
	}
	return nil
}

func (d *doctor) find(f finding) { d.findings = append(d.findings, f) }

// failed is a finding of what cannot be asked.
func (d *doctor) failed(system string, err error) {
	f := finding{System: system, At: d.c.base, State: stateWrong, Found: oneLine(err.Error()), Advice: "look at the server's own output; projectionist status"}
	var why *problem
	if errors.As(err, &why) {
		f.Found = oneLine(why.Detail)
		f.Advice = cmp.Or(oneLine(why.Hint), f.Advice)
	}
	d.find(f)
}

func (d *doctor) ready(ctx context.Context) {
	raw, err := d.c.get(ctx, "/readyz", nil)
	if err != nil {
		d.failed("main", err)
		return
	}
	var v struct {
		Degraded []struct{ Field, Message, Hint string }
	}
	if err := decode(raw, &v); err != nil {
		d.failed("main", err)
		return
	}
	for _, g := range v.Degraded {
		d.find(finding{System: "main", At: d.c.base, State: stateWrong, Found: oneLine(g.Field + ": " + g.Message), Advice: oneLine(g.Hint)})
	}
	if len(v.Degraded) == 0 {
		d.find(finding{System: "main", At: d.c.base, State: stateOK, Found: "ready"})
	}
}

func (d *doctor) log(ctx context.Context) {
	raw, err := d.c.get(ctx, "/api/v1/log/topics", nil)
	if err != nil {
		d.failed("log", err)
		return
	}
	topics, err := topicsOf(raw)
	if err != nil {
		d.failed("log", err)
		return
	}
	n := int64(0)
	for _, t := range topics {
		for _, p := range t.Partitions {
			n += p.Next - p.First
		}
	}
	d.find(finding{System: "log", State: stateOK, Found: count(n, "record") + " in " + count(int64(len(topics)), "topic")})
}

func (d *doctor) recommendations(ctx context.Context) {
	raw, err := d.c.get(ctx, "/api/v1/recommendations", url.Values{"k": {"1"}, "user_id": {"nobody-yet"}, "record": {"false"}})
	if err != nil {
		d.failed("recommendations", err)
		return
	}
	var v struct {
		ModelName    string `json:"model_name"`
		ModelVersion int    `json:"model_version"`
		Items        []struct{ Title string }
	}
	switch err := decode(raw, &v); {
	case err != nil:
		d.failed("recommendations", err)
	case len(v.Items) == 0:
		d.find(finding{System: "recommendations", State: stateWrong, Found: "somebody new is shown nothing", Advice: "import films: projectionist import PATH"})
	case v.ModelName == "":
		d.find(finding{System: "recommendations", State: stateOK, Found: "by what is popular: no model is deployed", Advice: "train one: projectionist workflows run " + roles.TrainingPipeline})
	default:
		d.find(finding{System: "recommendations", State: stateOK, Found: fmt.Sprintf("by %s version %d; somebody new is shown %s", v.ModelName, v.ModelVersion, oneLine(v.Items[0].Title))})
	}
}

// workflows looks at the last run of each.
func (d *doctor) workflows(ctx context.Context) {
	raw, err := d.c.get(ctx, "/api/v1/workflows", nil)
	if err != nil {
		d.failed("workflows", err)
		return
	}
	all, _, err := itemsOf(raw, "items")
	if err != nil {
		d.failed("workflows", err)
		return
	}
	for _, w := range all {
		name, _ := w["name"].(string)
		f := finding{System: "workflow " + name, State: stateOK, Found: "never ran"}
		raw, err := d.c.get(ctx, "/api/v1/workflows/runs", url.Values{"workflow": {name}, "limit": {"1"}})
		if err != nil {
			d.failed(f.System, err)
			continue
		}
		runs, _, err := itemsOf(raw, "items")
		if err != nil {
			d.failed(f.System, err)
			continue
		}
		if len(runs) > 0 {
			f.Found = fmt.Sprintf("last run: %s", cell(runs[0]["state"]))
			if runs[0]["state"] == "failed" {
				f.State, f.Advice = stateWrong, "projectionist workflows show "+cell(runs[0]["run_id"])
				if name == roles.DataCollection { // without a key of TMDB it cannot but fail
					f.State = stateOK
				}
			}
		}
		d.find(f)
	}
}

// leftovers are what waits for an operator.
func (d *doctor) leftovers(ctx context.Context) {
	for _, l := range []struct {
		system, path string
		query        url.Values
		advice       string
		wrong        bool
	}{
		{"dead letters", "/api/v1/dead-letters", url.Values{"state": {"open"}}, "projectionist dead-letters list", true},
		{"quarantine", "/api/v1/quarantine", url.Values{"state": {"open"}}, "projectionist quarantine list", false},
	} {
		items, more, err := d.first(ctx, l.path, l.query)
		if err != nil {
			d.failed(l.system, err)
			continue
		}
		f := finding{System: l.system, State: stateOK, Found: "empty"}
		if n := len(items); n > 0 {
			f.Found, f.Advice = fmt.Sprint(n), l.advice
			if more != "" {
				f.Found += " and more"
			}
			if l.wrong {
				f.State = stateWrong
			}
		}
		d.find(f)
	}
}

// first is the first page of a list that has items, if any has, and the cursor of the one after it.
func (d *doctor) first(ctx context.Context, path string, q url.Values) (items []map[string]any, more string, err error) {
	for {
		raw, err := d.c.get(ctx, path, with(q, "cursor", more))
		if err != nil {
			return nil, "", err
		}
		if items, more, err = itemsOf(raw, "items"); err != nil || len(items) > 0 || more == "" {
			return items, more, err
		}
	}
}

// listeners asks every address for its health.
func (d *doctor) listeners(ctx context.Context) {
	if d.p.server != "" {
		return // what else that process answers on, its folder says
	}
	for _, l := range app.Listeners() {
		i := slices.IndexFunc(d.serving.Also, func(a app.Answered) bool { return a.Name == l.Name })
		if i < 0 {
			d.find(finding{System: l.Name, State: stateOff, Found: l.What, Advice: "serve --listen-" + l.Name + " " + l.Default})
			continue
		}
		at := "http://" + dialable(d.serving.Also[i].Address)
		status, err := probe(ctx, at+"/health")
		switch {
		case err != nil:
			d.find(finding{System: l.Name, At: at, State: stateWrong, Found: oneLine(err.Error()), Advice: "look at the server's own output"})
		case status != http.StatusOK:
			d.find(finding{System: l.Name, At: at, State: stateWrong, Found: fmt.Sprintf("its health is %d", status), Advice: "curl " + at + "/health"})
		default:
			d.find(finding{System: l.Name, At: at, State: stateOK, Found: l.What + forBrowsers(d.serving.Address, d.serving.Also[i])})
		}
	}
}

func (d *doctor) kafka(ctx context.Context) {
	switch at := d.serving.Kafka; {
	case d.p.server != "":
	case at == "":
		d.find(finding{System: "kafka", State: stateOff, Found: "Kafka's clients are not let in here", Advice: "serve --kafka 127.0.0.1:9092"})
	default:
		dialer := net.Dialer{Timeout: probeTimeout}
		conn, err := dialer.DialContext(ctx, "tcp", dialable(at))
		if err != nil {
			d.find(finding{System: "kafka", At: at, State: stateWrong, Found: oneLine(err.Error()), Advice: "look at the server's own output"})
			return
		}
		conn.Close() //nolint:errcheck // it was only looked whether somebody answers
		d.find(finding{System: "kafka", At: at, State: stateOK, Found: "Kafka's clients"})
	}
}

// monitoring looks for the programs beside this one that watch it.
func (d *doctor) monitoring(ctx context.Context) {
	for _, m := range []struct{ system, base, path string }{
		{"prometheus", d.prometheus, "/-/healthy"}, {"grafana", d.grafana, "/api/health"},
	} {
		status, err := probe(ctx, strings.TrimSuffix(m.base, "/")+m.path)
		switch {
		case err != nil:
			d.find(finding{System: m.system, At: m.base, State: stateAbsent, Found: "does not answer", Advice: "a program of its own: see deploy/"})
		case status != http.StatusOK:
			d.find(finding{System: m.system, At: m.base, State: stateAbsent, Found: fmt.Sprintf("answers %d", status), Advice: "another program may have its port"})
		default:
			d.find(finding{System: m.system, At: m.base, State: stateOK, Found: "healthy"})
		}
	}
}

// probe is the status of an address that is asked without credentials.
func probe(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	res, err := (&http.Client{Timeout: probeTimeout + time.Second}).Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) //nolint:errcheck // only the status counts
	return res.StatusCode, nil
}
