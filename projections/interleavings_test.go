package projections_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// TestInterleavings folds a random log into every view: once event by event, partition after partition;
// then in random interleavings of the partitions, in chunks of random size, several chunks to a batch,
// some chunks twice, what is lazy saved and opened again in between. The bytes must be the same.
func TestInterleavings(t *testing.T) {
	log := randomLog(rand.New(rand.NewPCG(1, 2)), 2000)
	for _, f := range projections.All() {
		t.Run(f().Spec().Name, func(t *testing.T) {
			want := foldInterleaved(t, f, log, nil)
			if want == "" {
				t.Fatal("the view has folded nothing of the log")
			}
			for seed := range uint64(6) {
				if got := foldInterleaved(t, f, log, rand.New(rand.NewPCG(seed, 7))); got != want {
					t.Fatalf("interleaving %d gives other bytes:\n%s", seed, firstDifference(want, got))
				}
			}
		})
	}
}

// lastWord is a view that depends on the order between partitions: it keeps what came last.
type lastWord struct{}

func (lastWord) Spec() fold.Spec {
	return fold.Spec{Name: "last", Topics: []string{events.UserEventsTopic}}
}
func (lastWord) Open(fold.Reader) error  { return nil }
func (lastWord) Flush(fold.Writer) error { return nil }
func (lastWord) Apply(w fold.Writer, in []fold.Input) error {
	return w.Set([]byte("last"), []byte(in[len(in)-1].Position.String()))
}

// TestInterleavingsCatch makes sure that the test above can fail.
func TestInterleavingsCatch(t *testing.T) {
	log := randomLog(rand.New(rand.NewPCG(1, 2)), 300)
	want := foldInterleaved(t, func() fold.View { return lastWord{} }, log, nil)
	for seed := range uint64(20) {
		if foldInterleaved(t, func() fold.View { return lastWord{} }, log, rand.New(rand.NewPCG(seed, 7))) != want {
			return
		}
	}
	t.Fatal("twenty interleavings did not find a view that depends on the order")
}

// foldInterleaved folds the log as rng cuts it; without one event by event, partition after partition.
func foldInterleaved(t *testing.T, f fold.Factory, log map[streams.TP][]fold.Input, rng *rand.Rand) string {
	t.Helper()
	v := f()
	spec := v.Spec()
	s := foldtest.NewMemory()
	must0(t, v.Open(s))
	var parts [][]fold.Input
	for _, topic := range streams.Topics {
		for p := range topic.Partitions {
			for _, name := range spec.Topics {
				if name == topic.Name {
					parts = append(parts, admittedBy(spec, log[streams.TP{Topic: name, Partition: p}]))
				}
			}
		}
	}
	b, left := s.Batch(spec.Indexed), 1
	for {
		var open []int
		for i := range parts {
			if len(parts[i]) > 0 {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			break
		}
		i, n, twice := open[0], 1, false
		if rng != nil {
			i = open[rng.IntN(len(open))]
			n, twice = min(len(parts[i]), 1+rng.IntN(80)), rng.IntN(4) == 0
		}
		must0(t, v.Apply(b, parts[i][:n]))
		if twice {
			must0(t, v.Apply(b, parts[i][:n]))
		}
		parts[i] = parts[i][n:]
		if left--; left == 0 {
			if spec.Lazy && rng != nil && rng.IntN(3) > 0 { // saved, and sometimes opened again
				must0(t, v.Flush(b))
				b.Commit()
				if rng.IntN(2) == 0 {
					v = f()
					must0(t, v.Open(s))
				} else if tended, ok := v.(fold.Tended); ok {
					tended.Rest()
				}
			} else {
				b.Commit()
			}
			b, left = s.Batch(spec.Indexed), 40
			if rng != nil {
				left = 1 + rng.IntN(3)
			}
		}
	}
	must0(t, v.Flush(b))
	b.Commit()
	return s.Dump()
}

func admittedBy(spec fold.Spec, in []fold.Input) (kept []fold.Input) {
	for _, x := range in {
		if x.Malformed == nil || spec.Malformed {
			kept = append(kept, x)
		}
	}
	return kept
}

func firstDifference(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	lo := max(0, i-200)
	return fmt.Sprintf("want …%q\n got …%q", want[lo:min(len(want), i+200)], got[lo:min(len(got), i+200)])
}

// randomLog makes a log of n records with holes in the offsets, commits of several events, facts
// published twice, malformed facts, and events that contradict what was before.
func randomLog(rng *rand.Rand, n int) map[streams.TP][]fold.Input {
	log := map[streams.TP][]fold.Input{}
	next := map[streams.TP]int64{}
	revisions := map[string]streams.Revision{}
	recorded := foldtest.Day(400)
	at := func(tp streams.TP) fold.Input {
		p := streams.Position{TP: tp, Offset: next[tp]}
		next[tp] += 1 + int64(rng.IntN(10)/9)
		recorded += int64(rng.IntN(3))
		return fold.Input{Position: p, RecordedMillis: recorded}
	}
	for i := range n {
		ev := events.Event{ID: fmt.Sprintf("00000000-0000-%d000-8000-%012x", 4+i%2, i), Source: pick(rng, "/projectionist", "/import/movielens"),
			Time:   time.UnixMilli(foldtest.Day(rng.IntN(3)) + int64(rng.IntN(4))).UTC(),
			Schema: 1, Actor: pick(rng, "user:anna", "reactor:train", ""), Correlation: pick(rng, "c1", "c2", "")}
		if rng.IntN(2) == 0 {
			in := at(streams.TP{Topic: events.LedgerTopic})
			stream := ""
			for j := range 1 + rng.IntN(3) {
				e := ev
				e.ID += pick(rng, "", "x") + fmt.Sprint(j)
				e.Subject, e.Data = randomDecision(rng, stream)
				stream = e.Subject
				one := in
				one.Index, one.Revision, one.Event = j, revisions[stream], &e
				revisions[stream]++
				log[in.Position.TP] = append(log[in.Position.TP], one)
			}
			continue
		}
		topic, key, data := randomFact(rng, ev.Time)
		tp := streams.TP{Topic: topic, Partition: streams.PartitionOf([]byte(key), partitionsOf(topic))}
		ev.Data = data
		for range 1 + rng.IntN(8)/7 { // some are published twice
			in := at(tp)
			if rng.IntN(12) == 0 {
				in.Malformed = errors.New("rating: is 17; want above 0, at most 5")
				in.Record = &streams.Record{Position: in.Position, Recorded: time.UnixMilli(in.RecordedMillis), Key: []byte(key),
					Value: []byte{0xff, byte(i)}, Headers: []streams.Header{{Key: "ce_type", Value: []byte("user.interaction")}}}
			} else {
				e := ev
				in.Event = &e
			}
			log[tp] = append(log[tp], in)
		}
	}
	return log
}

func partitionsOf(topic string) int32 {
	for _, t := range streams.Topics {
		if t.Name == topic {
			return t.Partitions
		}
	}
	return 0
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func randomFact(rng *rand.Rand, at time.Time) (topic, key string, data events.Data) {
	user, movie := pick(rng, "1", "007", "user_12", "anna", "0"), pick(rng, "movie_42", "7", "tt9")
	switch rng.IntN(6) {
	case 3:
		entity := fmt.Sprint("movie_id=", rng.IntN(9))
		return events.FeatureValuesTopic, pick(rng, entity, user, movie), &events.FeatureValues{EntityKey: entity, View: pick(rng, "v", "w"), Offline: rng.IntN(3) == 0,
			Timestamp: events.FormatTime(at), Values: map[string]json.RawMessage{"b": json.RawMessage(fmt.Sprint(rng.IntN(9))), "a": json.RawMessage("null")}}
	case 0:
		return events.RecommendationsTopic, user, &events.RecommendationServed{RequestID: fmt.Sprint("r", rng.IntN(40)), UserID: user,
			Timestamp: events.FormatTime(at), Strategy: "blend", Cut: "user-events/0:1",
			Items: []events.RecommendedItem{{MovieID: movie, Score: rng.Float64(), Sources: map[string]float64{"als": .5, "content": .5}}}}
	case 1:
		service := pick(rng, "api", "trainer")
		return events.SystemHealthTopic, pick(rng, "a", "b", "c", "d", "e"), &events.SystemHealth{ServiceName: service, Status: pick(rng, "ok", "down"), CPUUsage: rng.Float64()}
	case 2:
		return events.DriftAlertsTopic, "als", &events.ModelDrift{ModelName: pick(rng, "als", "mlp"), DriftScore: rng.Float64(), Metrics: map[string]float64{"b": 1, "a": 2}}
	}
	// The key is not always the user: clients may choose another.
	return events.UserEventsTopic, pick(rng, user, movie), &events.Interaction{UserID: user, MovieID: movie,
		Kind: pick(rng, "rating", "click", "hummed"), Rating: float64(rng.IntN(11)) / 2, SessionID: pick(rng, "", "s1")}
}

// randomDecision is an event of a random stream, or of the given one's kind and id.
func randomDecision(rng *rand.Rand, stream string) (string, events.Data) {
	n := rng.IntN(4)
	id := fmt.Sprint("id", n)
	kind := pick(rng, "movie", "user", "run", "logged-model", "model", "workflow-run", "workflow", "variable", "artifacts", "import", "dataset", "training-set", "experiment", "deployment", "dead-letter", "operation", "quarantine", "refusal", "quality", "features", "view", "feature-view", "feature-entity")
	if stream != "" {
		for i := range stream {
			if stream[i] == '/' {
				kind, id = stream[:i], stream[i+1:]
			}
		}
	}
	version := 1 + rng.IntN(3)
	blob := pick(rng, "aa11", "bb22")
	var d events.Data
	switch kind {
	case "movie":
		m := events.Movie{MovieID: id, Title: pick(rng, "", "The Matrix", "Amélie & the Mätrix", "Heat"), Year: 1990 + rng.IntN(20),
			Genres: pick(rng, nil, []string{"Drama"}, []string{"Sci-Fi", "Drama"}), IMDbID: pick(rng, "", "tt0113", "113"), TMDBID: pick(rng, "", "5")}
		d = pick[events.Data](rng, &events.MovieListed{Movie: m, Dataset: pick(rng, "simulated", "ml")}, &events.MovieFetched{Movie: m, RawSHA256: blob})
	case "user":
		d = &events.UserDescribed{User: events.User{UserID: id, Age: rng.IntN(3)}, Dataset: pick(rng, "", "ml"), Since: pick(rng, "", "2024-01-15T10:30:00.000Z")}
	case "logged-model":
		d = pick[events.Data](rng,
			&events.LoggedModelCreated{ModelID: id, ExperimentID: "id1", Name: "model", Params: map[string]string{"d": "64"}, Tags: map[string]string{"t": "1"}},
			&events.LoggedModelFinalized{ModelID: id, Status: pick(rng, "READY", "FAILED")},
			&events.LoggedModelParamsLogged{ModelID: id, Params: map[string]string{"x": id}},
			&events.LoggedModelTagsSet{ModelID: id, Tags: map[string]string{"t": blob, "u": "v"}},
			&events.LoggedModelTagRemoved{ModelID: id, Key: "t"},
			&events.LoggedModelArtifactLogged{ModelID: id, Path: "MLmodel", Blob: blob, Bytes: 3},
			&events.LoggedModelDeleted{ModelID: id})
	case "run":
		d = pick[events.Data](rng,
			&events.RunInputsLogged{RunID: id, Datasets: []events.Dataset{{Name: "films", Digest: blob}}, Models: []string{"m-" + id}},
			&events.RunOutputsLogged{RunID: id, Models: []events.ModelOutput{{ModelID: "m-" + id, Step: int64(rng.IntN(3))}}},
			&events.RunStarted{RunID: id, ExperimentID: "id1", Name: "als", Params: map[string]string{"d": "64", "a": "1"}, DatasetID: "id1", WorkflowRun: "id2"},
			&events.RunMetricsLogged{RunID: id, Metrics: []events.Metric{{Key: pick(rng, "ndcg", "loss"), Value: events.Number(pick(rng, rng.NormFloat64(), math.NaN(), math.Inf(1))), Step: int64(rng.IntN(4)), TimestampMillis: int64(rng.IntN(3))}}},
			&events.RunParamsLogged{RunID: id, Params: map[string]string{"x": id}},
			&events.RunTagsSet{RunID: id, Tags: map[string]string{"t": blob, "u": "v"}},
			&events.RunArtifactLogged{RunID: id, Path: "model/als.bin", Blob: blob, Bytes: 3},
			&events.RunEnded{RunID: id, Status: pick(rng, "FINISHED", "FAILED")},
			&events.RunResumed{RunID: id, Status: "RUNNING"}, &events.RunRenamed{RunID: id, Name: blob}, &events.RunTagRemoved{RunID: id, Key: "t"},
			&events.RunDeleted{RunID: id}, &events.RunRestored{RunID: id})
	case "model":
		d = pick[events.Data](rng,
			&events.ModelRegistered{Name: id, Description: "d"},
			&events.ModelVersionRegistered{Name: id, Version: version, RunID: "id1", Algorithm: "als", Blob: blob, DatasetID: "id1", FeaturesHash: "ff"},
			&events.ModelVersionAdded{Name: id, Version: version, RunID: "id1", Source: "s3://b/" + blob},
			&events.ModelDescribed{Name: id, Version: rng.IntN(3), Description: blob},
			&events.ModelTagsSet{Name: id, Version: rng.IntN(3), Tags: map[string]string{"t": blob, "u": "v"}},
			&events.ModelTagRemoved{Name: id, Version: rng.IntN(3), Key: "t"},
			&events.ModelVersionStaged{Name: id, Version: version, From: "None", To: pick(rng, "Staging", "Production")},
			&events.ModelAliasSet{Name: id, Alias: "champion", Version: version},
			&events.ModelAliasRemoved{Name: id, Alias: "champion"})
	case "workflow-run":
		task := pick(rng, "fetch", "train")
		d = pick[events.Data](rng,
			&events.WorkflowRunRequested{RunID: id, Workflow: pick(rng, "w1", "w2"), RunType: "manual", Conf: map[string]string{"k": "v"}},
			&events.TaskStarted{RunID: id, Task: task, Try: version, Holder: "h", LeaseUntilMillis: 9},
			&events.TaskLeaseRenewed{RunID: id, Task: task, Try: version, Holder: "h", LeaseUntilMillis: 10, Checkpoint: blob},
			&events.TaskSucceeded{RunID: id, Task: task, Try: version, Output: map[string]string{"o": "1"}},
			&events.TaskFailed{RunID: id, Task: task, Try: version, Error: "no", RetryAtMillis: int64(rng.IntN(2))},
			&events.TasksCleared{RunID: id, Tasks: []string{task}},
			&events.TaskMarked{RunID: id, Task: task, State: pick(rng, "success", "skipped")},
			&events.WorkflowNoted{RunID: id, Task: pick(rng, "", task), Note: blob},
			&events.WorkflowRunDeleted{RunID: id},
			&events.WorkflowRunEnded{RunID: id, State: pick(rng, "success", "failed")})
	case "workflow":
		d = pick[events.Data](rng, &events.WorkflowDefined{Workflow: id, Source: "name: " + id, Hash: blob}, &events.WorkflowPaused{Workflow: id}, &events.WorkflowUnpaused{Workflow: id}, &events.WorkflowDeleted{Workflow: id})
	case "artifacts":
		d = pick[events.Data](rng, &events.ArtifactStored{Path: id + pick(rng, "/a", "/b", "/b/c"), Blob: blob, Bytes: 3}, &events.ArtifactDeleted{Path: id + pick(rng, "", "/b")})
	case "variable":
		d = pick[events.Data](rng, &events.VariableSet{Key: id, Value: blob}, &events.VariableDeleted{Key: id})
	case "import":
		d = pick[events.Data](rng, &events.ImportStarted{ImportID: id, Dataset: "ml", Digest: blob},
			&events.ImportCompleted{ImportID: id, FactsAdded: 5}, &events.ImportFailed{ImportID: id, Reason: "disk"})
	case "dataset":
		d = &events.DatasetBuilt{DatasetID: id, Cut: pick(rng, "", "mlops-events/0:30", "user-events/0:4", "nonsense"), FeaturesHash: "ff", Blob: blob, Rows: rng.IntN(9)}
	case "training-set":
		d = &events.TrainingSetVersioned{Name: id, Version: version, Identity: pick(rng, "i1", "i2"), Cut: pick(rng, "mlops-events/0:30", "nonsense"), FeaturesHash: "ff", Blob: blob}
	case "experiment":
		d = pick[events.Data](rng,
			&events.ExperimentCreated{ExperimentID: id, Name: pick(rng, "exp", "other"), Tags: map[string]string{"b": "1", "a": "2"}},
			&events.ExperimentDeleted{ExperimentID: id}, &events.ExperimentRestored{ExperimentID: id},
			&events.ExperimentTagsSet{ExperimentID: id, Tags: map[string]string{"a": blob}}, &events.ExperimentTagRemoved{ExperimentID: id, Key: "a"})
	case "deployment":
		d = &events.ModelDeployed{Slot: id, Model: "id1", Version: version, Blob: blob}
	case "dead-letter":
		d = pick[events.Data](rng, &events.DeadLettered{DeadLetterID: id, Reactor: "train", Error: "x"}, &events.DeadLetterResolved{DeadLetterID: id, Resolution: "retried"})
	case "operation":
		d = pick[events.Data](rng, &events.OperationStarted{OperationID: id, Kind: pick(rng, "verify", "backup"), Request: json.RawMessage(`{"to":"a<b"}`), Holder: "h"},
			&events.OperationEnded{OperationID: id, State: pick(rng, "success", "failed"), Result: pick(rng, nil, json.RawMessage(`{"equal":true}`)), Error: blob})
	case "quarantine":
		id = pick(rng, "user-events/0@4", "system-health/0@0")
		d = pick[events.Data](rng, &events.QuarantineResolved{Position: id, Resolution: "dropped", Reason: blob}, &events.QuarantineResolved{Position: id, Resolution: "replaced", By: "user-events/1@2"})
	case "refusal":
		id, d = "user-events", &events.FactRefused{Topic: "user-events", Reason: pick(rng, "a", "b"), Count: int64(rng.IntN(9) + 1), Value: []byte("{}")}
	case "quality":
		id = "2024-01-15T10"
		x := &events.QualityJudged{Hour: id, ModelName: pick(rng, "", "als"), ModelVersion: version, Sources: []string{"served", "popularity"}}
		for range 1 + rng.IntN(60) {
			x.Acts = append(x.Acts, events.JudgedAct{Position: fmt.Sprint("user-events/0@", rng.IntN(99)), TimeMillis: foldtest.Day(1) + int64(rng.IntN(1e8)), Of: 1, Films: 40, Ranks: []int{rng.IntN(40), rng.IntN(40)}})
		}
		d = x
	case "feature-view":
		d = pick[events.Data](rng, &events.FeatureViewApplied{View: id, Features: []events.FeatureField{{Name: blob, Type: "int64"}}, FeatureMeta: events.FeatureMeta{Project: "p", Tags: map[string]string{"b": "1", "a": "2"}}},
			&events.FeatureViewDeleted{View: id, Project: "p"})
	case "feature-entity":
		d = pick[events.Data](rng, &events.FeatureEntityApplied{Entity: id, JoinKey: blob, FeatureMeta: events.FeatureMeta{Project: "p"}}, &events.FeatureEntityDeleted{Entity: id, Project: "p"})
	case "features":
		id, d = "definitions", &events.FeaturesDefined{Definitions: "views: []", Hash: pick(rng, "ff", "ee")}
	default:
		d = &events.ViewEventSkipped{View: id, Position: "user-events/0@3", Reason: "r"}
	}
	return kind + "/" + id, d
}

// TestRandomLogUsesEveryPartition: an interleaving of one partition would show nothing.
func TestRandomLogUsesEveryPartition(t *testing.T) {
	log := randomLog(rand.New(rand.NewPCG(1, 2)), 2000)
	for _, topic := range streams.Topics {
		for p := range topic.Partitions {
			if tp := (streams.TP{Topic: topic.Name, Partition: p}); len(log[tp]) < 20 {
				t.Errorf("%s has %d inputs", tp, len(log[tp]))
			}
		}
	}
}

// TestRandomLogCorrects: ratings are corrected in one partition, and over several, and some of those are published again.
func TestRandomLogCorrects(t *testing.T) {
	type moment struct {
		user, movie, kind string
		millis            int64
	}
	type found struct{ partitions, ratings map[string]bool }
	all := map[moment]found{}
	for tp, in := range randomLog(rand.New(rand.NewPCG(1, 2)), 2000) {
		for i := range in {
			if in[i].Event == nil {
				continue
			}
			x, ok := in[i].Event.Data.(*events.Interaction)
			if !ok || x.Rating == 0 {
				continue
			}
			k := moment{x.UserID, x.MovieID, x.Kind, in[i].Event.Time.UnixMilli()}
			if all[k].ratings == nil {
				all[k] = found{map[string]bool{}, map[string]bool{}}
			}
			all[k].partitions[tp.String()], all[k].ratings[fmt.Sprint(in[i].Event.ID, x.Rating)] = true, true
		}
	}
	within, across := 0, 0
	for _, f := range all {
		if n := len(f.ratings); n > 1 && len(f.partitions) == 1 {
			within++
		} else if n > 1 {
			across++
		}
	}
	if within < 10 || across < 10 {
		t.Errorf("%d corrections in one partition and %d over several", within, across)
	}
}
