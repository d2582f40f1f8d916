package workflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

func operators() Operators {
	least, most := 1., 9.
	all := Operators{}
	for _, o := range []Operator{
		{Name: "plain", OpenOutputs: true},
		{Name: "set", Outputs: []string{"rows"}},
		{Name: "fit", Inputs: []string{"set"}, Args: []Param{{Name: "how", Type: Text}, {Name: "size", Type: Whole, Default: new(string), Least: &least, Most: &most}}, Outputs: []string{"loss"},
			Conf: func(conf map[string]string) error {
				for name := range conf {
					if !strings.HasPrefix(name, "fit.") && name != "how" {
						return fault.Field("conf."+name, "is none of fit's")
					}
				}
				return nil
			}},
		{Name: "open", OpenArgs: true},
	} {
		*paramDefault(&o) = "1"
		all[o.Name] = &o
	}
	return all
}

// paramDefault is where the default of an operator's argument size is kept.
func paramDefault(o *Operator) *string {
	for i := range o.Args {
		if o.Args[i].Name == "size" {
			return o.Args[i].Default
		}
	}
	return new(string)
}

func mustParse(t testing.TB, source string) *Definition {
	t.Helper()
	d, err := Parse([]byte(source), operators())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParse(t *testing.T) {
	d := mustParse(t, `name: nightly
description: All of it
tags: [a, b]
timeout: 2h
params: [{name: size, type: whole, default: 3, minimum: 1}, {name: note}]
tasks:
  - {name: last, operator: plain, needs: [fit, other], trigger_rule: none_failed, when: tasks.fit.loss < 0.5 or params.note == "anyway"}
  - {name: fit, operator: fit, needs: [set], with: {how: "{{ params.note }} by {{ run.id }}", size: "{{ params.size }}"}, retries: 0, timeout: 10m}
  - {name: set, operator: set}
  - {name: other, operator: open, with: {anything.at_all: 4}}
`)
	var order []string
	for i := range d.Tasks {
		order = append(order, d.Tasks[i].Name)
	}
	if got := strings.Join(order, " "); got != "set other fit last" && got != "set fit other last" {
		t.Errorf("in the order %s", got)
	}
	fit, set := d.Task("fit"), d.Task("set")
	if fit.Inputs["set"] != "set" || fit.Retries != 0 || fit.Timeout != 10*time.Minute || set.Retries != RetriesDefault || set.Timeout != TaskTimeoutDefault || d.Timeout != 2*time.Hour || d.MaxActiveRuns != MaxActiveRunsDefault {
		t.Errorf("%+v %+v %+v", fit, set, d)
	}
	run := &Run{Told: map[string]string{"id": "r1"}, Conf: d.Defaults(map[string]string{"note": "x"}), Outcome: func(string) Outcome { return Outcome{} }}
	if args, err := fit.Args(operators()["fit"], run); err != nil || !maps.Equal(args, map[string]string{"how": "x by r1", "size": "3"}) {
		t.Errorf("%v, %v", args, err)
	}
	run.Conf["size"] = "10"
	if _, err := fit.Args(operators()["fit"], run); err == nil || !strings.Contains(err.Error(), "with.size") {
		t.Errorf("an argument that is out of bounds: %v", err)
	}
	if args, err := d.Task("other").Args(operators()["open"], run); err != nil || args["anything.at_all"] != "4" {
		t.Errorf("%v, %v", args, err)
	}
	v := mustParse(t, "name: v\ntasks: [{name: a, operator: open, with: {x: '{{ var.value.b.c }}-{{ var.value.a }}', y: '{{ var.value.a }}'}}]").Task("a")
	if keys := v.Variables(); !slices.Equal(keys, []string{"a", "b.c"}) {
		t.Errorf("it names %v", keys)
	}
	run.Variables = map[string]string{"a": "1", "b.c": "{{ 2 }}"}
	if args, err := v.Args(operators()["open"], run); err != nil || !maps.Equal(args, map[string]string{"x": "{{ 2 }}-1", "y": "1"}) {
		t.Errorf("%v, %v", args, err)
	}
	if got := d.Downstream("set"); !slices.Equal(got, []string{"set", "fit", "last"}) {
		t.Errorf("behind set: %v", got)
	}
	if d.Hash() != mustParse(t, d.Source()).Hash() || d.Hash() == mustParse(t, d.Source()+"# x\n").Hash() {
		t.Error("the hash is not the source's")
	}
}

func TestParseErrors(t *testing.T) {
	const head = "name: w\ntasks:\n"
	for source, want := range map[string]string{
		"tasks: [{name: a, operator: plain}]":            "name: is missing",
		"name: a/b\ntasks: [{name: a, operator: plain}]": `name: "a/b" is not a name, line 1`,
		"name: w": "tasks: has 0 tasks",
		"name: w\nmore: 1\ntasks: [{name: a, operator: plain}]":                                    "more: is not a known key, line 2",
		"name: w\nschedule: 61 * * * *\ntasks: [{name: a, operator: plain}]":                       "schedule: ",
		"name: w\nschedule: '@daily'\ntimezone: Mars/Olympus\ntasks: [{name: a, operator: plain}]": "timezone: ",
		"name: w\ncatchup: true\ntasks: [{name: a, operator: plain}]":                              "catchup: is of a schedule",
		"name: w\nschedule: '@daily'\ncatchup: sometimes\ntasks: [{name: a, operator: plain}]":     "catchup: is a text, line 3",
		head + "  - {name: a}":                                                                                                           `tasks[0].operator: "" is not an operator, line 3`,
		head + "  - {name: a, operator: burn}":                                                                                           `"burn" is not an operator, line 3 (the operators are fit, open, plain, set)`,
		head + "  - {name: a, operator: plain}\n  - {name: a, operator: plain}":                                                          `tasks[1].name: "a" is taken, line 4`,
		head + "  - {name: a, operator: plain, needs: [b]}":                                                                              `tasks[0].needs[0]: "b" is no task before it, line 3`,
		head + "  - {name: a, operator: plain, needs: [a]}":                                                                              `tasks[0].needs[0]: "a" is no task before it`,
		head + "  - {name: a, operator: plain, needs: [b]}\n  - {name: b, operator: plain, needs: [a]}":                                  "tasks[0].needs: is a cycle: a needs b needs a, line 3",
		head + "  - {name: a, operator: plain, trigger_rule: most}":                                                                      `tasks[0].trigger_rule: "most" is not a rule`,
		head + "  - {name: a, operator: plain, retries: -1}":                                                                             "tasks[0].retries",
		head + "  - {name: a, operator: plain, timeout: 90d}":                                                                            "tasks[0].timeout",
		head + "  - {name: a, operator: plain, with: {x: 1}}":                                                                            "tasks[0].with.x: is not an argument of operator plain",
		head + "  - {name: a, operator: plain, when: params.x == 1}":                                                                     "tasks[0].when: params.x is no param of this workflow",
		head + "  - {name: a, operator: plain, when: run.mood == 1}":                                                                     "run.mood is not known of a run",
		head + "  - {name: a, operator: plain, when: var.value.mood == 1}":                                                               "tasks[0].when: var.value.mood may change while the run goes on",
		head + "  - {name: a, operator: open, with: {x: '{{ var.mood }}'}}":                                                              "tasks[0].with.x: names nothing by {{ var.mood }}",
		head + "  - {name: a, operator: open, with: {x: '{{ var.value. }}'}}":                                                            "tasks[0].with.x: names nothing by",
		head + "  - {name: a, operator: plain, when: mood == 1}":                                                                         `names nothing by "mood"`,
		head + "  - {name: a, operator: plain, when: \"1 == \"}":                                                                         "ends too early",
		head + "  - {name: a, operator: plain, when: \"(1 == 1\"}":                                                                       "ends too early",
		head + "  - {name: a, operator: plain, when: \"1 == 1 2\"}":                                                                      `has "2" too many`,
		head + "  - {name: a, operator: plain, when: \"1 ~ 2\"}":                                                                         "cannot be read from",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: plain, when: tasks.a.rows > 1}":                                    "tasks.a.rows is of no task before it",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: plain, needs: [a], when: tasks.a.x}":                               "tasks.a.x is put out by no task",
		head + "  - {name: b, operator: fit, with: {how: x}}":                                                                            "reads what operator set puts out, and no task before it is one",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: fit, needs: [a]}":                                                  "tasks[1].with.how: is missing: operator fit needs it",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: fit, needs: [a], with: {how: x, size: 10}}":                        `with.size: is "10"; want at most 9`,
		head + "  - {name: a, operator: set}\n  - {name: c, operator: set}\n  - {name: b, operator: fit, needs: [a, c], with: {how: x}}": "a and c before it are such",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: fit, needs: [a], with: {how: x, set: zz}}":                         `"zz" is no task of operator set before it`,
		head + "  - {name: a, operator: set}\n  - {name: b, operator: fit, needs: [a], with: {how: \"{{ x\"}}":                           "opens {{ and does not close it",
		head + "  - {name: a, operator: set}\n  - {name: b, operator: fit, needs: [a], with: {how: \"{{ tasks.zz.y }}\"}}":               "tasks.zz.y is of no task before it",
		"name: w\nparams: [{name: a, type: float}]\ntasks: [{name: a, operator: plain}]":                                                 `params[0].type: "float" is not a type`,
		"name: w\nparams: [{name: a, type: whole, default: 3, maximum: 2}]\ntasks: [{name: a, operator: plain}]":                         `params[0].default: is "3"; want at most 2`,
		"name: w\nparams: [{name: a, minimum: 2}]\ntasks: [{name: a, operator: plain}]":                                                  "params[0].minimum: does not apply to text",
		"name: w\nparams: [{name: a}, {name: a}]\ntasks: [{name: a, operator: plain}]":                                                   `params[1].name: "a" is taken`,
	} {
		_, err := Parse([]byte(source), operators())
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s\n got %v\nwant %s", source, err, want)
		}
	}
}

// TestConf: what a run may be asked for with is what its workflow declares, and what an operator takes beside.
func TestConf(t *testing.T) {
	declared := mustParse(t, "name: w\nparams: [{name: n, type: number, default: 2, maximum: 5}, {name: must}, {name: kind, enum: [full, part], default: full}]\ntasks: [{name: a, operator: plain}]")
	takes := mustParse(t, "name: w\nparams: [{name: n, default: 2}]\ntasks:\n  - {name: s, operator: set}\n  - {name: f, operator: fit, needs: [s], with: {how: x}}")
	for _, c := range []struct {
		d     *Definition
		conf  map[string]string
		wrong string
	}{
		{declared, map[string]string{"must": "x"}, ""},
		{declared, map[string]string{"must": "x", "n": "4.5", "kind": "part"}, ""},
		{declared, nil, "conf.must"},
		{declared, map[string]string{"must": "x", "n": "NaN"}, "conf.n"},
		{declared, map[string]string{"must": "x", "n": "5.1"}, "conf.n"},
		{declared, map[string]string{"must": "x", "kind": "half"}, "conf.kind"},
		{declared, map[string]string{"must": "x", "other": "1"}, "conf.other"},
		{takes, map[string]string{"fit.rate": "1", "n": "3"}, ""},
		{takes, map[string]string{"rate": "1"}, "conf.rate"},
	} {
		got, err := c.d.Conf(c.conf, operators())
		var f *fault.Error
		if (err == nil) != (c.wrong == "") || err != nil && (!errors.As(err, &f) || f.Field != c.wrong) {
			t.Errorf("%v: %v; want %q at fault", c.conf, err, c.wrong)
		}
		if err == nil && got["n"] == "" {
			t.Errorf("%v lacks a default: %v", c.conf, got)
		}
	}
}

// TestRules has each rule decide over all combinations of two tasks before it, as Airflow's does.
func TestRules(t *testing.T) {
	states := []State{None, Success, Failed, Skipped, UpstreamFailed}
	letters := map[State]byte{None: '.', Queued: 'q', Skipped: 's', UpstreamFailed: 'u'}
	for rule, want := range map[Rule]string{
		// the first task is ....., then sssss (success), fffff (failed), kkkkk (skipped), uuuuu; the second each of them in turn
		AllSuccess:              "..usu" + ".qusu" + "uuuuu" + "ssusu" + "uuuuu",
		AllFailed:               ".s.s." + "sssss" + ".sqsq" + "sssss" + ".sqsq",
		AllDone:                 "....." + ".qqqq" + ".qqqq" + ".qqqq" + ".qqqq",
		AllSkipped:              ".ss.s" + "sssss" + "sssss" + ".ssqs" + "sssss",
		OneFailed:               "..q.q" + ".sqsq" + "qqqqq" + ".sqsq" + "qqqqq",
		OneSuccess:              ".q..." + "qqqqq" + ".quuu" + ".qusu" + ".quuu",
		OneDone:                 ".qq.." + "qqqqq" + "qqqqq" + ".qqss" + ".qqss",
		NoneFailed:              "..u.u" + ".ququ" + "uuuuu" + ".ququ" + "uuuuu",
		NoneFailedMinOneSuccess: "..u.u" + ".ququ" + "uuuuu" + ".qusu" + "uuuuu",
		NoneSkipped:             "...s." + ".qqsq" + ".qqsq" + "sssss" + ".qqsq",
		Always:                  "qqqqq" + "qqqqq" + "qqqqq" + "qqqqq" + "qqqqq",
	} {
		var got []byte
		for _, a := range states {
			for _, b := range states {
				got = append(got, letters[rule.decide([]string{"a", "b"}, map[string]State{"a": a, "b": b})])
			}
		}
		if string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", rule, got, want)
		}
		if s := rule.decide(nil, nil); s != Queued {
			t.Errorf("%s of a task that needs none: %q", rule, s)
		}
	}
}

// TestStates: what no event speaks of follows from the rest.
func TestStates(t *testing.T) {
	d := mustParse(t, `name: w
tasks:
  - {name: a, operator: plain}
  - {name: b, operator: plain, needs: [a], when: tasks.a.go}
  - {name: c, operator: plain, needs: [b]}
  - {name: d, operator: plain, needs: [c], trigger_rule: all_done}
`)
	for name, c := range map[string]struct {
		has   map[string]Outcome
		want  string
		ended State
	}{
		"nothing yet":    {nil, "queued   ", None},
		"under way":      {map[string]Outcome{"a": {State: Running}}, "running   ", None},
		"again":          {map[string]Outcome{"a": {State: UpForRetry}}, "up_for_retry   ", None},
		"goes on":        {map[string]Outcome{"a": {State: Success, Output: map[string]string{"go": "yes"}}}, "success queued  ", None},
		"does not":       {map[string]Outcome{"a": {State: Success}}, "success skipped skipped queued", None},
		"failed":         {map[string]Outcome{"a": {State: Failed}}, "failed upstream_failed upstream_failed queued", None},
		"failed, and on": {map[string]Outcome{"a": {State: Failed}, "d": {State: Success}}, "failed upstream_failed upstream_failed success", Success},
		"marked":         {map[string]Outcome{"a": {State: Failed}, "b": {State: Success}, "c": {State: Success}, "d": {State: Failed}}, "failed success success failed", Failed},
	} {
		states := d.States(&Run{Outcome: func(task string) Outcome { return c.has[task] }})
		var got []string
		for i := range d.Tasks {
			got = append(got, string(states[d.Tasks[i].Name]))
		}
		ended, reason := d.Ended(states)
		if strings.Join(got, " ") != c.want || ended != c.ended || ended == Failed && reason != "a" || ended == Success && reason != "" {
			t.Errorf("%s: %q, ended %q (%s); want %q, %q", name, strings.Join(got, " "), ended, reason, c.want, c.ended)
		}
	}
}

func TestConditions(t *testing.T) {
	values := func(r Reference) string {
		return map[string]string{"params.n": "10", "params.text": "10 films", "params.nan": "NaN", "tasks.a.ndcg@10": "0.21", "params.off": "false"}[r.String()]
	}
	for text, want := range map[string]bool{
		"params.n == 10": true, "params.n == 10.0": true, "params.n == '10'": true, "params.n > 9": true, "params.n < 9": false, "params.n != 9": true,
		"params.text > 9": false, `params.text == "10 films"`: true, "params.text >= '1'": true, "params.nan == params.nan": false, "params.nan != 1": true, "params.nan < 1": false,
		"params.none": false, "params.off": false, "params.n": true, "not params.off": true, "not not params.off": false, "params.none == ''": true,
		"tasks.a.ndcg@10 > 0.2 and params.n == 10": true, "tasks.a.ndcg@10 > 0.3 or params.n == 10": true, "params.off or params.off and params.n": false,
		"not (params.off or params.n == 10)": false, "(params.n == 1 or params.n == 10) and not params.off": true, "true": true, "1 < 2": true, "-1 < -2": false, `"a\"b" == 'a"b'`: true,
	} {
		c, wrong := parseCondition(text)
		if wrong != "" {
			t.Errorf("%s: %s", text, wrong)
			continue
		}
		if got := c.Holds(values); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if _, wrong := parseCondition(strings.Repeat("not ", 1000) + "true"); !strings.Contains(wrong, "too deep") {
		t.Errorf("a thousand nots: %q", wrong)
	}
}

// FuzzParse: no text has it panic, and what is read can be read again to the same.
func FuzzParse(f *testing.F) {
	f.Add("name: w\ntasks: [{name: a, operator: set}, {name: b, operator: fit, needs: [a], with: {how: '{{ params.x }}'}, when: not (tasks.a.rows > 3)}]")
	f.Add("name: w\nparams: [{name: x, type: whole, default: 3}]\ntasks: [{name: a, operator: plain, when: params.x}]")
	f.Fuzz(func(t *testing.T, source string) {
		d, err := Parse([]byte(source), operators())
		if err != nil {
			return
		}
		states := d.States(&Run{Outcome: func(string) Outcome { return Outcome{} }})
		if len(states) != len(d.Tasks) || mustParse(t, d.Source()).Hash() != d.Hash() {
			t.Errorf("%q", source)
		}
	})
}
