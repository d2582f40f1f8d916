package events_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

var update = flag.Bool("update", false, "write the golden files that are missing; existing ones are never touched")

const goldenDir = "testdata/golden"

var goldenMovie = events.Movie{
	MovieID: "603", Title: "The Matrix", Year: 1999, Genres: []string{"Action", "Sci-Fi"},
	IMDbID: "tt0133093", TMDBID: "603", Overview: "A hacker <learns> the truth & more.", Language: "en",
	RuntimeMinutes: 136, ReleaseDate: "1999-03-30", Keywords: []string{"hacker", "simulated reality"},
	PosterPath: "/poster.jpg", Popularity: 83.25, VoteAverage: 8.2, VoteCount: 24000,
}

const (
	goldenRun    = "0123456789abcdef0123456789abcdef"
	goldenSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var goldenMeta = events.FeatureMeta{"films", "of films", "anna", map[string]string{"team": "a", "goal": "b"}, []byte{10, 1, 255}}

// goldens are a filled value of every type as the newest program knows it, with the stream it is of.
var goldens = []struct {
	subject string
	data    events.Data
}{
	{"movie/603", &events.MovieListed{goldenMovie, "ml-latest-small"}},
	{"movie/603", &events.MovieFetched{goldenMovie, goldenSHA256}},
	{"movie/603", &events.MovieHidden{"603", "the licence has ended"}},
	{"movie/603", &events.MovieUnhidden{"603", "the licence was renewed"}},
	{"user/7", &events.UserDescribed{events.User{"7", 34, "F", "writer", "98107-2117"}, "ml-1m", "2024-01-15T10:30:00.000Z"}},
	{"import/e3b0c442", &events.ImportStarted{"e3b0c442", "ml-latest-small", goldenSHA256, "data/ml-latest-small"}},
	{"import/e3b0c442", &events.ImportCompleted{"e3b0c442", 9742, 100836, 3}},
	{"import/e3b0c442", &events.ImportFailed{"e3b0c442", "ratings.csv: unexpected end of file"}},
	{"features/definitions", &events.FeaturesDefined{"entities: [user, movie]\n", goldenSHA256}},
	{"feature-project/films", &events.FeatureProjectApplied{goldenMeta}},
	{"feature-project/films", &events.FeatureProjectDeleted{"films"}},
	{"feature-entity/films.movie", &events.FeatureEntityApplied{"movie", "movie_id", "int64", goldenMeta}},
	{"feature-entity/films.movie", &events.FeatureEntityDeleted{"movie", "films"}},
	{"feature-source/films.scores_push", &events.FeatureSourceApplied{"scores_push", true, goldenMeta}},
	{"feature-source/films.scores_push", &events.FeatureSourceDeleted{"scores_push", "films"}},
	{"feature-view/scores", &events.FeatureViewApplied{"scores", []string{"movie", "user"}, []events.FeatureField{{"movie_id", "int64", "which"}, {"user_id", "string", "who"}},
		[]events.FeatureField{{"score", "float64", "of a critic"}, {"tags", "string_list", "of people"}}, 86400000, "scores_push", "at", "made_at", true, goldenMeta}},
	{"feature-view/scores", &events.FeatureViewDeleted{"scores", "films"}},
	{"feature-service/cards", &events.FeatureServiceApplied{"cards", []string{"scores:score", "movie_features:rating"}, goldenMeta}},
	{"feature-service/cards", &events.FeatureServiceDeleted{"cards", "films"}},
	{events.SignalsStream, &events.SignalsDefined{"rating: {liked: 3.5, disliked: 2, seen: forever}\n", goldenSHA256}},
	{"dataset/d1", &events.DatasetBuilt{"d1", "mlops-events/0:12,user-events/0:40", goldenSHA256, goldenSHA256, 610, 9742, 100836, 90000}},
	{"experiment/0", &events.ExperimentCreated{"0", "Default", "where runs go by default", map[string]string{"team": "a", "goal": "b"}, "s3://bucket/runs"}},
	{"experiment/0", &events.ExperimentNameClaimed{"Default", "5", 1, &events.ExperimentCreated{"5", "Default", "another", map[string]string{"team": "a"}, "s3://bucket/runs"}}},
	{"experiment/0", &events.ExperimentRenamed{"0", "first", 2}},
	{"experiment/0", &events.ExperimentDeleted{"0"}},
	{"experiment/0", &events.ExperimentRestored{"0"}},
	{"experiment/0", &events.ExperimentTagsSet{"0", map[string]string{"team": "c"}}},
	{"experiment/0", &events.ExperimentTagRemoved{"0", "team"}},
	{"run/" + goldenRun, &events.RunStarted{goldenRun, "0", "als-64", map[string]string{"rank": "64", "alpha": "40"}, map[string]string{"mlflow.user": "anna"}, "d1", "w1", "anna"}},
	{"run/" + goldenRun, &events.RunMetricsLogged{goldenRun, []events.Metric{{"ndcg@10", 0.3125, 3, 1705314600000, "m-" + goldenRun, "ratings", "abc123"}, {"loss", -1.5e-9, 4, 1705314600001, "m-1", "ratings", "abc124"}, {"loss", events.Number(math.Inf(-1)), 5, 1705314600002, "m-2", "others", "abc125"}}}},
	{"run/" + goldenRun, &events.RunParamsLogged{goldenRun, map[string]string{"reg": "0.01"}}},
	{"run/" + goldenRun, &events.RunTagsSet{goldenRun, map[string]string{"mlflow.note.content": "first\nsecond"}}},
	{events.ArtifactStream("team/a.txt"), &events.ArtifactStored{"team/a.txt", goldenSHA256, 1 << 40}},
	{events.ArtifactStream("team/a.txt"), &events.ArtifactDeleted{"team"}},
	{"run/" + goldenRun, &events.RunArtifactLogged{goldenRun, "model/als.bin", goldenSHA256, 1 << 40}},
	{"run/" + goldenRun, &events.RunEnded{goldenRun, "FAILED", "loss is not a number"}},
	{"run/" + goldenRun, &events.RunResumed{goldenRun, "RUNNING"}},
	{"run/" + goldenRun, &events.RunRenamed{goldenRun, "als-64 again"}},
	{"run/" + goldenRun, &events.RunTagRemoved{goldenRun, "mlflow.note.content"}},
	{"run/" + goldenRun, &events.RunDeleted{goldenRun}},
	{"run/" + goldenRun, &events.RunRestored{goldenRun}},
	{"run/" + goldenRun, &events.RunInputsLogged{goldenRun, []events.Dataset{{"films", "8cf61cce", "http", `{"url":"http://x/y.csv"}`, `{"mlflow_colspec":[]}`, `{"num_rows":3}`,
		map[string]string{"mlflow.data.context": "training"}}}, []string{"m-" + goldenRun}}},
	{"run/" + goldenRun, &events.RunOutputsLogged{goldenRun, []events.ModelOutput{{"m-" + goldenRun, 3}}}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelCreated{"m-" + goldenRun, "0", "model", "agent", goldenRun, map[string]string{"C": "0.5"}, map[string]string{"mlflow.user": "anna"}}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelFinalized{"m-" + goldenRun, "READY"}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelParamsLogged{"m-" + goldenRun, map[string]string{"tol": "0.1"}}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelTagsSet{"m-" + goldenRun, map[string]string{"a": "b"}}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelTagRemoved{"m-" + goldenRun, "a"}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelArtifactLogged{"m-" + goldenRun, "MLmodel", goldenSHA256, 512}},
	{"logged-model/m-" + goldenRun, &events.LoggedModelDeleted{"m-" + goldenRun}},
	{"experiment/0", &events.ExperimentPurged{"0"}},
	{"run/" + goldenRun, &events.RunArtifactDeleted{goldenRun, "plots"}},
	{"run/" + goldenRun, &events.RunPurged{goldenRun}},
	{"logged-model/m-1", &events.LoggedModelArtifactDeleted{"m-1", "data"}},
	{"logged-model/m-1", &events.LoggedModelPurged{"m-1"}},
	{"webhook/w1", &events.WebhookCreated{"w1", "hook", "https://example.com/hook", []string{"model_version.created"}, "for chat", "sealed", true}},
	{"webhook/w1", &events.WebhookRenamed{"w1", "other"}},
	{"webhook/w1", &events.WebhookDescribed{"w1", "for people"}},
	{"webhook/w1", &events.WebhookMoved{"w1", "https://example.com/other"}},
	{"webhook/w1", &events.WebhookSubscribed{"w1", []string{"model_version_tag.set"}}},
	{"webhook/w1", &events.WebhookSecretSet{"w1", "sealed"}},
	{"webhook/w1", &events.WebhookEnabled{"w1"}},
	{"webhook/w1", &events.WebhookDisabled{"w1"}},
	{"webhook/w1", &events.WebhookDeleted{"w1"}},
	{"webhook/w1", &events.WebhookDelivered{events.WebhookDelivery{"w1", "d1", "model_version.created", 12, 1, 2, 3, 503, "Service Unavailable"}}},
	{"webhook/w1", &events.WebhookDeliveryFailed{events.WebhookDelivery{"w1", "d1", "model_version.created", 12, 1, 2, 3, 503, "Service Unavailable"}}},
	{"model/als", &events.ModelRegistered{"als", "factors of implicit feedback", "als:2"}},
	{"model/als", &events.ModelNameClaimed{"als", "als:2", 1, &events.ModelRegistered{"als", "factors of implicit feedback", "als:2"}, map[string]string{"team": "a"}}},
	{"model/als", &events.ModelRenamed{"als", "factors", 2}},
	{"model/als", &events.ModelVersionRegistered{"als", 3, goldenRun, "als", map[string]string{"rank": "64"}, 1<<63 + 1, "1.0.0+avx2", "d1", "mlops-events/0:12", goldenSHA256, goldenSHA256, 5242880, "production", []events.ViewRead{{View: "movie_features", Hash: goldenSHA256}}}},
	{"model/als", &events.ModelVersionAdded{"als", 4, "models:/other/1", goldenRun, "https://elsewhere/runs/1", "s3://bucket/als"}},
	{"model/als", &events.ModelDescribed{"als", 4, "trained by hand"}},
	{"model/als", &events.ModelTagsSet{"als", 4, map[string]string{"reviewed": "yes"}}},
	{"model/als", &events.ModelTagRemoved{"als", 4, "reviewed"}},
	{"model/als", &events.ModelVersionStaged{"als", 3, "Staging", "Production", "beats the baseline"}},
	{"model/als", &events.ModelAliasSet{"als", "champion", 3}},
	{"model/als", &events.ModelAliasRemoved{"als", "champion"}},
	{"model/als", &events.ModelVersionDeleted{"als", 4}},
	{"model/als", &events.ModelDeleted{"als"}},
	{"deployment/production", &events.ModelDeployed{"production", "als", 3, goldenSHA256, "als", 2, "promoted"}},
	{"workflow/nightly", &events.WorkflowDefined{"nightly", "name: nightly\ntasks:\n  - {name: train, operator: train}\n", goldenSHA256, "program"}},
	{"workflow/nightly", &events.WorkflowPaused{"nightly"}},
	{"workflow/nightly", &events.WorkflowUnpaused{"nightly"}},
	{"workflow-run/w1", &events.WorkflowRunRequested{"w1", "movie_training_pipeline", "manual", map[string]string{"rank": "64"}, "by hand", 1705276800000, 1705363200000,
		&events.Triggered{"drift", "e1", "model.drift", "model-drift-alerts/0@4", 2, "model-drift-alerts/0:6"}}},
	{"workflow-run/w1", &events.TaskStarted{"w1", "train", 2, "node-a/1", 1705314660000}},
	{"workflow-run/w1", &events.TaskLeaseRenewed{"w1", "train", 2, "node-a/1", 1705314720000, goldenSHA256}},
	{"workflow-run/w1", &events.TaskSucceeded{"w1", "train", 2, map[string]string{"model_version": "3"}}},
	{"workflow-run/w1", &events.TaskFailed{"w1", "train", 1, "out of memory", 1705314660000}},
	{"workflow-run/w1", &events.TasksCleared{"w1", []string{"train", "evaluate"}, "the disk was full"}},
	{"workflow-run/w1", &events.TaskLogKept{"w1", "train", 2, goldenSHA256, 1234}},
	{"workflow-run/w1", &events.TaskMarked{"w1", "train", "success", "done by hand"}},
	{"workflow-run/w1", &events.TaskHastened{"w1", "train", 2, 1705276800000}},
	{"workflow-run/w1", &events.WorkflowSLAMissed{"w1", "nightly", "train", 1800000, 1705276800000}},
	{"workflow-run/w1", &events.WorkflowNoted{"w1", "train", "slow today"}},
	{"workflow-run/w1", &events.WorkflowRunEnded{"w1", "failed", "train failed"}},
	{"workflow/nightly", &events.SlotsMissed{"nightly", 3, 1705276800000, 1705449600000, []int64{1705276800000, 1705363200000, 1705449600000}}},
	{"backfill/b1", &events.BackfillRequested{"b1", "nightly", 1705276800000, 1705449600000, 2, true, true, true, map[string]string{"rank": "64"}}},
	{"backfill/b1", &events.BackfillPaused{"b1"}},
	{"backfill/b1", &events.BackfillUnpaused{"b1"}},
	{"backfill/b1", &events.BackfillEnded{"b1", "cancelled", "enough"}},
	{"training-set/ranking", &events.TrainingSetVersioned{"ranking", 2, goldenSHA256, goldenSHA256, goldenSHA256, "mlops-events/0:12", []string{"rating", "title"}, true, true, goldenSHA256, 5242880, 1000,
		[]events.ViewJoined{{events.ViewRead{"movie_features", goldenSHA256}, 2}}, []string{"movie_features@v2:rating", "movie_features@v2:title"}}},
	{"pool/gpu", &events.PoolDefined{"gpu", 2, "cards", true}},
	{"pool/gpu", &events.PoolRemoved{"gpu"}},
	{"workflow-run/w1", &events.WorkflowRunDeleted{"w1"}},
	{"workflow/w", &events.WorkflowDeleted{"w"}},
	{"variable/region", &events.VariableSet{"region", "eu", "where films are shown"}},
	{"variable/region", &events.VariableDeleted{"region"}},
	{"view/features", &events.ViewEventSkipped{"features", "user-events/0@17", "not a fact"}},
	{"operation/" + goldenRun, &events.OperationStarted{goldenRun, "backup", json.RawMessage(`"/backups/1"`), "node-a/1"}},
	{"operation/" + goldenRun, &events.OperationEnded{goldenRun, "success", json.RawMessage(`12`), 2, "none"}},
	{"dead-letter/x1", &events.DeadLettered{"x1", "retrain", "mlops-events/0@5", "ev-1", "timeout", 5}},
	{"dead-letter/x1", &events.DeadLetterResolved{"x1", "retried", "disk was full"}},
	{"quality/2024-01-15T10", &events.QualityJudged{"2024-01-15T10", "als", 3, []string{"served", "popularity"}, []events.JudgedAct{{"user-events/1@4711", 1705314600000, 4, 27000, []int{3, 120}}}}},
	{"refusal/user-events", &events.FactRefused{"user-events", "user_id is empty", 3, []byte("7"), []byte(`{"movie_id":"11"}`)}},
	{"quarantine/user-events/0@12", &events.QuarantineResolved{"user-events/0@12", "replaced", "user-events/2@40", "the id was missing"}},
	{"user/7", &events.Interaction{"7", "603", "rating", "2024-01-15T10:30:00.000Z", 4.5, "s-1"}},
	{"user/7", &events.RecommendationServed{"req-1", "7", "2024-01-15T10:30:00.000Z", "als", 3, "blend", "user-events/0:40",
		events.ListRules{true, []string{"606"}, []string{"Drama"}, 1990, 2010, []string{"en"}, 0.5, 0.25, 10},
		[]events.RecommendedItem{{"603", 11, 0.875, "als", map[string]float64{"als": 0.75, "cocounts": 0.25}, []string{"604", "605"}, new(1.)}}}},
	{"model/als", &events.ModelDrift{"als", "3", 0.31, 0.2, "2024-01-15T10:30:00.000Z", map[string]float64{"psi": 0.31}}},
	{"entity/movie_id=42", &events.FeatureValues{"movie_id=42", "scores", map[string]json.RawMessage{"score": json.RawMessage("2.5"), "watched": json.RawMessage("true"), "n": json.RawMessage("null")},
		"2024-01-15T10:30:00.000Z", "2024-01-15T10:31:00.000Z", true}},
	{"service/api", &events.SystemHealth{"api", "ok", 12.5, 40.25, 3.5, "2024-01-15T10:30:00.000Z"}},
}

func goldenEvent(i int) events.Event {
	return events.Event{
		ID: fmt.Sprintf("golden-%s", goldens[i].data.EventType()), Source: "/projectionist", Subject: goldens[i].subject,
		Time: time.Date(2024, 1, 15, 10, 30, 0, 123e6, time.UTC), Schema: events.SchemaOf(goldens[i].data.EventType()),
		Actor: "user:anna", Correlation: "req-1", Causation: "cmd-1", Data: goldens[i].data,
	}
}

func goldenPath(eventType string, schema int) string {
	return filepath.Join(goldenDir, fmt.Sprintf("%s.v%d.json", eventType, schema))
}

// encodeGolden is the event as structured CloudEvents JSON, indented for people.
func encodeGolden(t *testing.T, e events.Event) []byte {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func TestGoldens(t *testing.T) {
	if *update {
		writeMissingGoldens(t)
	}
	seen := map[string]bool{}
	for i, g := range goldens {
		eventType := g.data.EventType()
		seen[eventType] = true
		t.Run(eventType, func(t *testing.T) {
			if path := unfilled(reflect.ValueOf(g.data).Elem(), eventType); path != "" {
				t.Fatalf("the golden value leaves %s empty: its encoding would go unchecked", path)
			}
			newest := events.SchemaOf(eventType)
			for v := 1; v <= newest; v++ {
				bytesOnDisk, err := os.ReadFile(goldenPath(eventType, v))
				if err != nil {
					t.Fatalf("%v (go test ./events -run TestGoldens -update writes it)", err)
				}
				var e events.Event
				if err := json.Unmarshal(bytesOnDisk, &e); err != nil {
					t.Fatal(err)
				}
				e.Raw = nil // encode what was decoded, not what was read
				if want := goldenEvent(i); v == newest && !reflect.DeepEqual(e, want) {
					t.Errorf("decoded\n %+v\nwant\n %+v", e.Data, want.Data)
				}
				if v == newest {
					if again := encodeGolden(t, e); !bytes.Equal(again, bytesOnDisk) {
						t.Errorf("encodes to\n%s\nbut the golden file holds\n%s", again, bytesOnDisk)
					}
				}
			}
		})
	}
	for _, eventType := range events.Types() {
		if !seen[eventType] {
			t.Errorf("%s is registered without a golden value", eventType)
		}
	}
}

// TestGoldenFilesAreFrozen: what was once written is read for ever, so the files that stand for it
// never change, and none may be lost.
func TestGoldenFilesAreFrozen(t *testing.T) {
	sums := readSums(t)
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if want, ok := sums[name]; !ok {
			t.Errorf("%s has no line in SHA256SUMS", name)
		} else if got := sumOf(t, file); got != want {
			t.Errorf("%s was changed: SHA-256 %s, recorded %s; add a schema version instead", name, got, want)
		}
		delete(sums, name)
	}
	for name := range sums {
		t.Errorf("%s is in SHA256SUMS but was removed", name)
	}
	for _, eventType := range events.Types() {
		for v := 1; v <= events.SchemaOf(eventType); v++ {
			if _, err := os.Stat(goldenPath(eventType, v)); err != nil {
				t.Error(err)
			}
		}
	}
}

func writeMissingGoldens(t *testing.T) {
	t.Helper()
	sums := readSums(t)
	for i, g := range goldens {
		path := goldenPath(g.data.EventType(), events.SchemaOf(g.data.EventType()))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.MkdirAll(goldenDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, encodeGolden(t, goldenEvent(i)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, known := sums[filepath.Base(path)]; !known {
			sums[filepath.Base(path)] = sumOf(t, path)
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s  %s\n", sums[name], name)
	}
	if err := os.WriteFile(filepath.Join(goldenDir, "SHA256SUMS"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readSums(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(goldenDir, "SHA256SUMS"))
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			t.Fatalf("SHA256SUMS: %q", lines.Text())
		}
		sums[name] = sum
	}
	return sums
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// unfilled is the path of the first zero field of a value, or "".
func unfilled(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if p := unfilled(v.Field(i), path+"."+v.Type().Field(i).Name); p != "" {
				return p
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			return path
		}
		for i := range v.Len() {
			if p := unfilled(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); p != "" {
				return p
			}
		}
	default:
		if v.IsZero() {
			return path
		}
	}
	return ""
}
