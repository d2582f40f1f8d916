package handlers

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata with what the deciders say now")

// commandTypes make an empty command by its wire name.
var commandTypes = func() map[string]func() commands.Command {
	m := map[string]func() commands.Command{}
	for _, c := range []commands.Command{
		&commands.ListMovie{}, &commands.FetchMovie{}, &commands.HideMovie{}, &commands.UnhideMovie{}, &commands.DescribeUser{}, &commands.StartImport{}, &commands.CompleteImport{}, &commands.FailImport{},
		&commands.DefineFeatures{}, &commands.DefineSignals{}, &commands.RecordDataset{}, &commands.VersionTrainingSet{}, &commands.CreateExperiment{}, &commands.StartRun{}, &commands.LogMetrics{},
		&commands.LogParams{}, &commands.SetTags{}, &commands.LogArtifact{}, &commands.EndRun{}, &commands.RegisterModel{},
		&commands.RegisterModelVersion{}, &commands.StageModelVersion{}, &commands.SetModelAlias{}, &commands.RemoveModelAlias{},
		&commands.DeployModel{}, &commands.RequestWorkflowRun{}, &commands.StartTask{}, &commands.RenewTaskLease{}, &commands.SucceedTask{},
		&commands.FailTask{}, &commands.EndWorkflowRun{}, &commands.DefineWorkflow{}, &commands.PauseWorkflow{}, &commands.UnpauseWorkflow{}, &commands.DeleteWorkflow{}, &commands.DeleteWorkflowRun{},
		&commands.StoreArtifact{}, &commands.RemoveArtifact{},
		&commands.SetVariable{}, &commands.DeleteVariable{},
		&commands.ClearTasks{}, &commands.MarkTask{}, &commands.NoteWorkflow{}, &commands.KeepTaskLog{}, &commands.SkipViewEvent{}, &commands.StartOperation{}, &commands.EndOperation{}, &commands.WriteDeadLetter{}, &commands.ResolveDeadLetter{},
		&commands.JudgeQuality{}, &commands.RefuseFact{}, &commands.ResolveQuarantined{}, &commands.RefuseRow{}, &commands.DeleteExperiment{}, &commands.RestoreExperiment{}, &commands.SetExperimentTags{},
		&commands.RemoveExperimentTag{}, &commands.LogBatch{}, &commands.UpdateRun{}, &commands.RemoveTag{}, &commands.DeleteRun{}, &commands.RestoreRun{},
		&commands.AddModelVersion{}, &commands.DescribeModel{}, &commands.SetModelTags{}, &commands.RemoveModelTag{},
		&commands.DeleteModelVersion{}, &commands.DeleteModel{}, &commands.LogInputs{}, &commands.LogOutputs{},
		&commands.CreateLoggedModel{}, &commands.FinalizeLoggedModel{}, &commands.LogLoggedModelParams{}, &commands.SetLoggedModelTags{}, &commands.NoteModelVersion{},
		&commands.RemoveLoggedModelTag{}, &commands.LogLoggedModelArtifact{}, &commands.DeleteLoggedModel{},
		&commands.RenameExperiment{}, &commands.RenameModel{},
		&commands.DeleteArtifact{}, &commands.PurgeRun{}, &commands.DeleteLoggedModelArtifact{}, &commands.PurgeLoggedModel{}, &commands.PurgeExperiment{},
		&commands.CreateWebhook{}, &commands.UpdateWebhook{}, &commands.DeleteWebhook{}, &commands.EndDelivery{},
		&commands.DefinePool{}, &commands.RemovePool{}, &commands.HastenTask{}, &commands.MissSLA{}, &commands.MissSlots{}, &commands.RequestBackfill{}, &commands.EndBackfill{},
		&commands.PauseBackfill{}, &commands.UnpauseBackfill{},
		&commands.ApplyFeatureProject{}, &commands.DeleteFeatureProject{}, &commands.ApplyFeatureEntity{}, &commands.DeleteFeatureEntity{},
		&commands.ApplyFeatureSource{}, &commands.DeleteFeatureSource{}, &commands.ApplyFeatureView{}, &commands.DeleteFeatureView{},
		&commands.ApplyFeatureService{}, &commands.DeleteFeatureService{},
	} {
		t := reflect.TypeOf(c).Elem()
		m[c.CommandType()] = func() commands.Command { return reflect.New(t).Interface().(commands.Command) }
	}
	return m
}()

// scenario runs one file. It is a list of steps, each a directive with its input, a line of dashes and
// the answer, and a blank line:
//
//	stream NAME            a fresh state for the stream
//	given TYPE JSON        the stream holds this event
//	served [SLOT MODEL VERSION]  what the callers of later commands see served
//	when [TIME] TYPE JSON  the command, at TIME or at the last one; its events join the stream
//
// The answer of when is the events, "nothing" or the refusal. -update rewrites the answers.
type scenario struct {
	stream   string
	state    decider // folded from what the log gives back
	told     decider // folded from what was decided, as a dispatcher does with its own commits
	now      time.Time
	served   commands.Served
	decided  map[string]bool // event types
	accepted map[string]bool // command types
	refused  map[string]bool
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	all := scenario{decided: map[string]bool{}, accepted: map[string]bool{}, refused: map[string]bool{}}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := all // the maps are shared: together the files cover everything
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := s.run(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s: the answers differ (-update rewrites them)\n%s", file, firstDifference(string(want), got))
			}
		})
	}
	for name := range commandTypes {
		if !all.accepted[name] || !all.refused[name] && name != "fact.refuse" { // whose rule is to write it down
			t.Errorf("no scenario accepts (%v) or none refuses (%v) %s", all.accepted[name], all.refused[name], name)
		}
	}
	for _, name := range events.Types() {
		if !all.decided[name] && !facts[name] {
			t.Errorf("no scenario decides %s", name)
		}
	}
}

// facts are published, not decided.
var facts = map[string]bool{"user.interaction": true, "recommendation.served": true, "model.drift": true, "system.health": true, "feature.values_pushed": true}

func (s *scenario) run(t *testing.T, text string) string {
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		input, _, _ := strings.Cut(block+"\n", "\n----\n")
		input = strings.TrimRight(input, "\n")
		out.WriteString(input + "\n")
		var lines []string
		for line := range strings.Lines(input) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimRight(line, "\n"))
			}
		}
		if len(lines) == 0 {
			continue
		}
		if answer := s.step(t, strings.Join(lines, " ")); answer != "" {
			out.WriteString("----\n" + answer)
		}
	}
	return out.String()
}

func (s *scenario) step(t *testing.T, line string) string {
	t.Helper()
	directive, rest, _ := strings.Cut(line, " ")
	switch directive {
	case "stream":
		if s.stream, s.state, s.told = rest, newDecider(rest), newDecider(rest); s.state == nil {
			t.Fatalf("no rules for stream %q", rest)
		}
		s.now = time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC)
		return ""
	case "given":
		name, raw, _ := strings.Cut(rest, " ")
		data, err := events.Decode(name, max(1, events.SchemaOf(name)), json.RawMessage(raw))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s.state.evolve(data)
		s.told.evolve(data)
		return ""
	case "served":
		s.served = nil
		if slot, model, version := "", "", 0; rest != "" {
			if _, err := fmt.Sscan(rest, &slot, &model, &version); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			s.served = commands.Served{slot: {Model: model, Version: version}}
		}
		return ""
	case "when":
		name, raw, _ := strings.Cut(rest, " ")
		if at, err := time.Parse("15:04:05", name); err == nil {
			s.now = time.Date(2024, 1, 15, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
			name, raw, _ = strings.Cut(raw, " ")
		}
		return s.when(t, name, raw)
	}
	t.Fatalf("unknown directive %q", directive)
	return ""
}

func (s *scenario) when(t *testing.T, name, raw string) string {
	t.Helper()
	makeCommand, ok := commandTypes[name]
	if !ok {
		t.Fatalf("unknown command %q", name)
	}
	c := makeCommand()
	strict := json.NewDecoder(strings.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(c); err != nil {
		t.Fatalf("%s %s: %v", name, raw, err)
	}
	if f := reflect.ValueOf(c).Elem().FieldByName("Served"); f.IsValid() {
		f.Set(reflect.ValueOf(s.served))
	}
	if err := c.Validate(); err != nil {
		s.refused[name] = true
		return refusal(err)
	}
	if n, ok := s.state.(named); c.Stream() != s.stream && !(ok && c.Stream() == "model/"+n.names().name) { // a model's name leads to it
		t.Fatalf("%s is for %s, not %s", name, c.Stream(), s.stream)
	}
	before, _ := json.Marshal(c)
	data, err := s.state.decide(c, s.now)
	again, errAgain := s.state.decide(c, s.now)
	if !reflect.DeepEqual(data, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
		t.Errorf("%s decided twice on one state gives %v %v, then %v %v", name, data, err, again, errAgain)
	}
	if told, errTold := s.told.decide(c, s.now); !reflect.DeepEqual(data, told) || fmt.Sprint(err) != fmt.Sprint(errTold) {
		t.Errorf("%s decided on the log gives %v %v, on what was decided %v %v", name, data, err, told, errTold)
	}
	if after, _ := json.Marshal(c); !bytes.Equal(before, after) {
		t.Errorf("deciding %s changed it to %s", before, after)
	}
	if err != nil {
		s.refused[name] = true
		return refusal(err)
	}
	s.accepted[name] = true
	if len(data) == 0 {
		return "nothing\n"
	}
	var b strings.Builder
	for _, d := range data {
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		read, err := events.Decode(d.EventType(), events.SchemaOf(d.EventType()), raw)
		if err != nil {
			t.Fatal(err)
		}
		s.state.evolve(read)
		s.told.evolve(d)
		s.decided[d.EventType()] = true
		fmt.Fprintf(&b, "%s %s\n", d.EventType(), raw)
	}
	return b.String()
}

func refusal(err error) string {
	var b strings.Builder
	for line := range strings.Lines(err.Error() + "\n") {
		fmt.Fprintf(&b, "%s: %s", fault.CodeOf(err), line)
	}
	return b.String()
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], strings.Join(g[min(i, len(g)):min(i+1, len(g))], ""))
		}
	}
	return "got more: " + strings.Join(g[len(w):], "\n")
}

// Every command of one stream kind is refused, not lost or a panic, by the rules of another.
func TestForeignCommand(t *testing.T) {
	streams := []string{"movie/1", "user/1", "import/1", "features/definitions", "signals/definitions", "dataset/1", "experiment/1", "run/1", "logged-model/1", "model/1", "workflow-run/1", "variable/1", "view/1", "dead-letter/1"}
	for _, stream := range streams {
		for _, name := range slices.Sorted(maps.Keys(commandTypes)) {
			c := commandTypes[name]()
			own, _, _ := strings.Cut(c.Stream(), "/")
			if strings.HasPrefix(stream, own+"/") {
				continue
			}
			s := newDecider(stream)
			if data, err := s.decide(c, time.Time{}); err == nil {
				t.Errorf("%s decided %s: %v", stream, name, data)
			}
		}
	}
	if newDecider("nothing/1") != nil || newDecider("") != nil {
		t.Error("an unknown kind of stream has rules")
	}
}
