package handlers

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// run knows whether it is active, and what was set that must not, or need not, be set again. Metrics
// are a history without rules: they are not kept, only which batches of them came last.
type run struct {
	started    bool
	deleted    bool
	purged     bool
	experiment string
	name       string
	waits      bool   // to go on: its status is SCHEDULED
	ended      string // the status it ended with, or ""
	params     map[string]string
	tags       map[string]string
	artifacts  map[string]string // blob by path
	given      map[input]bool
	made       map[events.ModelOutput]bool
	batches    [batchesKept]batchDigest // a ring
	batchNext  int
}

// batchesKept are remembered. A client repeats a request that it had no answer to before it sends the next, and one run is
// seldom written to by more clients than these.
const batchesKept = 16

// batchDigest tells a batch of metrics. The zero value is of none.
type batchDigest [16]byte

func digestOfBatch(metrics []events.Metric) (d batchDigest) {
	h := sha256.New()
	var b []byte
	for i := range metrics {
		m := &metrics[i]
		bits := math.Float64bits(float64(m.Value))
		if math.IsNaN(float64(m.Value)) {
			bits = math.Float64bits(math.NaN()) // of which there are many
		}
		b = binary.AppendVarint(binary.AppendVarint(binary.BigEndian.AppendUint64(b[:0], bits), m.Step), m.TimestampMillis)
		for _, text := range []string{m.Key, m.ModelID, m.DatasetName, m.DatasetDigest} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
		h.Write(b)
	}
	copy(d[:], h.Sum(nil))
	return d
}

// repeats says whether the metrics are, all of them, one of the last batches. A history is a set of values at steps and
// times, so that nothing is new in them.
func (s *run) repeats(metrics []events.Metric) bool {
	d := digestOfBatch(metrics)
	return d != batchDigest{} && slices.Contains(s.batches[:], d)
}

// input is a data set by name and digest, or a logged model by its id.
type input struct{ name, digest string }

func (s *run) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.RunStarted:
		s.started, s.name, s.experiment = true, e.Name, e.ExperimentID
		maps.Copy(s.params, e.Params)
		maps.Copy(s.tags, e.Tags)
	case *events.RunMetricsLogged:
		s.batches[s.batchNext%batchesKept] = digestOfBatch(e.Metrics)
		s.batchNext++
	case *events.RunParamsLogged:
		maps.Copy(s.params, e.Params)
	case *events.RunTagsSet:
		maps.Copy(s.tags, e.Tags)
	case *events.RunArtifactLogged:
		s.artifacts[e.Path] = e.Blob
	case *events.RunEnded:
		s.ended, s.waits = e.Status, false
	case *events.RunResumed:
		s.ended, s.waits = "", e.Status == runScheduled
	case *events.RunRenamed:
		s.name = e.Name
	case *events.RunTagRemoved:
		delete(s.tags, e.Key)
	case *events.RunInputsLogged:
		for i := range e.Datasets {
			s.given[input{e.Datasets[i].Name, e.Datasets[i].Digest}] = true
		}
		for _, id := range e.Models {
			s.given[input{id, ""}] = true
		}
	case *events.RunOutputsLogged:
		for _, m := range e.Models {
			s.made[m] = true
		}
	case *events.RunArtifactDeleted:
		maps.DeleteFunc(s.artifacts, func(at, _ string) bool { return events.Within(at, e.Path) })
	case *events.RunPurged:
		*s = run{purged: true}
	case *events.RunDeleted:
		s.deleted = true
	case *events.RunRestored:
		s.deleted = false
	}
}

func (s *run) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.StartRun:
		if s.started || s.purged {
			return refuse(fault.Conflict, "run_id", "run %s exists already", c.RunID)
		}
		e := events.RunStarted(*c)
		e.Params, e.Tags = maps.Clone(c.Params), maps.Clone(c.Tags)
		return one(&e)
	case *commands.LogMetrics:
		if err := s.active(c.RunID); err != nil {
			return nil, err
		}
		return one(&events.RunMetricsLogged{RunID: c.RunID, Metrics: slices.Clone(c.Metrics)})
	case *commands.LogParams:
		return s.logParams(c)
	case *commands.SetTags:
		if !s.started {
			return nil, s.active(c.RunID)
		}
		fresh := news(s.tags, c.Tags)
		if len(fresh) == 0 {
			return nil, nil
		}
		return one(&events.RunTagsSet{RunID: c.RunID, Tags: fresh})
	case *commands.LogArtifact:
		return s.logArtifact(c)
	case *commands.EndRun:
		if s.ended == c.Status {
			return nil, nil
		}
		if err := s.active(c.RunID); err != nil {
			return nil, err
		}
		e := events.RunEnded(*c)
		return one(&e)
	case *commands.DeleteRun:
		if !s.started {
			return nil, s.active(c.RunID)
		}
		if s.deleted {
			return nil, nil
		}
		return one(&events.RunDeleted{RunID: c.RunID})
	case *commands.DeleteArtifact:
		if !s.started {
			return nil, s.active(c.RunID)
		}
		return dropped(s.artifacts, c.Path, &events.RunArtifactDeleted{RunID: c.RunID, Path: c.Path}), nil
	case *commands.PurgeRun:
		switch {
		case !s.started:
			return nil, s.active(c.RunID)
		case !s.deleted && (c.Experiment == "" || c.Experiment != s.experiment):
			return refuse(fault.Conflict, "run_id", "run %s is not deleted", c.RunID)
		}
		return one(&events.RunPurged{RunID: c.RunID})
	case *commands.RestoreRun:
		if !s.started {
			return nil, s.active(c.RunID)
		}
		if !s.deleted {
			return nil, nil
		}
		return one(&events.RunRestored{RunID: c.RunID})
	}
	return s.decideKept(c)
}

// decideKept decides what is open to any run that is not deleted, whether it has ended or not.
func (s *run) decideKept(c commands.Command) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.LogBatch:
		if err := s.kept(c.RunID); err != nil {
			return nil, err
		}
		return s.logBatch(c)
	case *commands.LogInputs:
		if err := s.kept(c.RunID); err != nil {
			return nil, err
		}
		return s.logInputs(c), nil
	case *commands.LogOutputs:
		if err := s.kept(c.RunID); err != nil {
			return nil, err
		}
		return s.logOutputs(c), nil
	case *commands.UpdateRun:
		if err := s.kept(c.RunID); err != nil {
			return nil, err
		}
		return s.update(c), nil
	case *commands.RemoveTag:
		if err := s.kept(c.RunID); err != nil {
			return nil, err
		}
		if _, set := s.tags[c.Key]; !set {
			return refuse(fault.NotFound, "key", "run %s has no tag %q", c.RunID, c.Key)
		}
		return one(&events.RunTagRemoved{RunID: c.RunID, Key: c.Key})
	}
	return nil, noRule(c)
}

// runScheduled is the status of a run that waits to go on.
const runScheduled = "SCHEDULED"

func (s *run) logParams(c *commands.LogParams) ([]events.Data, error) {
	if err := s.active(c.RunID); err != nil {
		return nil, err
	}
	return s.setParams(c.RunID, c.Params)
}

// setParams is what sets parameters, once each.
func (s *run) setParams(id string, params map[string]string) ([]events.Data, error) {
	fresh, err := unset(s.params, params)
	if err != nil || len(fresh) == 0 {
		return nil, err
	}
	return one(&events.RunParamsLogged{RunID: id, Params: fresh})
}

// unset are the params wanted that have does not hold; one of another value is refused.
func unset(have, wanted map[string]string) (map[string]string, error) {
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if old, set := have[key]; set && old != wanted[key] {
			_, err := refuse(fault.Invalid, "params."+key, "is %q and cannot be changed to %q: a parameter is set once", old, wanted[key])
			return nil, err
		}
	}
	return news(have, wanted), nil
}

// logInputs are the inputs that the run has not yet, each once.
func (s *run) logInputs(c *commands.LogInputs) []events.Data {
	e := &events.RunInputsLogged{RunID: c.RunID}
	seen := map[input]bool{}
	fresh := func(in input) bool {
		is := !s.given[in] && !seen[in]
		seen[in] = true
		return is
	}
	for _, d := range c.Datasets {
		if fresh(input{d.Name, d.Digest}) {
			d.Tags = maps.Clone(d.Tags)
			e.Datasets = append(e.Datasets, d)
		}
	}
	for _, id := range c.Models {
		if fresh(input{id, ""}) {
			e.Models = append(e.Models, id)
		}
	}
	if len(e.Datasets)+len(e.Models) == 0 {
		return nil
	}
	return []events.Data{e}
}

func (s *run) logOutputs(c *commands.LogOutputs) []events.Data {
	e := &events.RunOutputsLogged{RunID: c.RunID}
	for _, m := range c.Models {
		if !s.made[m] && !slices.Contains(e.Models, m) {
			e.Models = append(e.Models, m)
		}
	}
	if len(e.Models) == 0 {
		return nil
	}
	return []events.Data{e}
}

func (s *run) logBatch(c *commands.LogBatch) ([]events.Data, error) {
	decided, err := s.setParams(c.RunID, c.Params)
	if err != nil {
		return nil, err
	}
	if len(c.Metrics) > 0 && !s.repeats(c.Metrics) {
		decided = append(decided, &events.RunMetricsLogged{RunID: c.RunID, Metrics: slices.Clone(c.Metrics)})
	}
	if fresh := news(s.tags, c.Tags); len(fresh) > 0 {
		decided = append(decided, &events.RunTagsSet{RunID: c.RunID, Tags: fresh})
	}
	return decided, nil
}

func (s *run) logArtifact(c *commands.LogArtifact) ([]events.Data, error) {
	check := s.active
	if c.Late {
		check = s.kept
	}
	if err := check(c.RunID); err != nil {
		return nil, err
	}
	if s.artifacts[c.Path] == c.Blob {
		return nil, nil
	}
	return one(&events.RunArtifactLogged{RunID: c.RunID, Path: c.Path, Blob: c.Blob, Bytes: c.Bytes})
}

func (s *run) update(c *commands.UpdateRun) (decided []events.Data) {
	switch {
	case c.Status == "":
	case c.Status == "RUNNING" || c.Status == runScheduled:
		if s.ended != "" || s.waits != (c.Status == runScheduled) {
			decided = append(decided, &events.RunResumed{RunID: c.RunID, Status: c.Status})
		}
	case s.ended != c.Status:
		decided = append(decided, &events.RunEnded{RunID: c.RunID, Status: c.Status})
	}
	if c.Name != "" && c.Name != s.name {
		decided = append(decided, &events.RunRenamed{RunID: c.RunID, Name: c.Name})
	}
	return decided
}

// kept is nil if the run is there and not deleted.
func (s *run) kept(id string) error {
	if !s.started {
		return s.active(id)
	}
	if s.deleted {
		_, err := refuse(fault.Conflict, "run_id", "run %s is deleted", id)
		return err.(*fault.Error).WithHint("restore it first")
	}
	return nil
}

// active is nil if the run can be logged to.
func (s *run) active(id string) error {
	var err error
	switch {
	case !s.started:
		_, err = refuse(fault.NotFound, "run_id", "no run %s", id)
	case s.ended != "":
		_, err = refuse(fault.Conflict, "run_id", "run %s has ended: %s", id, s.ended)
	}
	return err
}

// dropped says that a path is gone, if there is a file at or below it.
func dropped(artifacts map[string]string, at string, gone events.Data) []events.Data {
	for path := range artifacts {
		if events.Within(path, at) {
			return []events.Data{gone}
		}
	}
	return nil
}

// news are the entries of wanted that have does not hold with that value.
func news(have, wanted map[string]string) map[string]string {
	fresh := map[string]string{}
	for k, v := range wanted {
		if old, ok := have[k]; !ok || old != v {
			fresh[k] = v
		}
	}
	return fresh
}
