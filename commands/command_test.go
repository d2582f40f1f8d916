package commands

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

const (
	sum   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	runID = "0123456789abcdef0123456789abcdef"
)

type validated interface{ Validate() error }

// good are commands and facts without fault, in which the tests below set one thing wrong.
func good() []validated {
	meta := events.FeatureMeta{Project: "films"}
	return []validated{
		&ListMovie{Movie: events.Movie{MovieID: "movie_007", Title: "Dr. No"}, Dataset: "x"},
		&FetchMovie{Movie: events.Movie{MovieID: "7", Title: "Dr. No", ReleaseDate: "1962-10-05", VoteAverage: 10}, RawSHA256: sum},
		&StartImport{Dataset: "x", Digest: sum}, &CompleteImport{ImportID: runID}, &FailImport{ImportID: runID, Reason: "x\xff"},
		&DefineFeatures{Definitions: "x", Hash: sum}, &DefineSignals{Definitions: "x", Hash: sum}, &RecordDataset{DatasetID: "d", Cut: "x", FeaturesHash: sum, Blob: sum},
		&CreateExperiment{Name: "x"},
		&StartRun{RunID: runID, ExperimentID: "0"}, &LogMetrics{RunID: runID, Metrics: []events.Metric{{Key: "a"}}},
		&LogParams{RunID: runID, Params: map[string]string{"a": ""}}, &SetTags{RunID: runID, Tags: map[string]string{"a": "b\nc"}},
		&LogArtifact{RunID: runID, Path: "a/b.txt", Blob: sum}, &EndRun{RunID: runID, Status: "KILLED"},
		&RegisterModel{Name: "als"}, &DeleteArtifact{RunID: runID, Path: "plots"}, &PurgeRun{RunID: runID}, &DeleteLoggedModelArtifact{ModelID: "m-" + runID}, &PurgeLoggedModel{ModelID: "m-" + runID}, &PurgeExperiment{ExperimentID: "0"},
		&CreateWebhook{WebhookID: "w", Name: "hook", URL: "https://x/y", Events: []string{"model_version.created"}}, &UpdateWebhook{WebhookID: "w"}, &DeleteWebhook{WebhookID: "w"},
		&EndDelivery{WebhookDelivery: events.WebhookDelivery{WebhookID: "w", DeliveryID: "d", Event: "model_version.created"}},
		&RenameModel{Name: "als", To: "factors"}, &RenameExperiment{ExperimentID: "0", Name: "first"}, &RegisterModelVersion{Name: "als", RunID: runID, Algorithm: "als", CodeVersion: "1", DatasetID: "d", DatasetCut: "x", FeaturesHash: sum, Blob: sum, Bytes: 1},
		&StageModelVersion{Name: "als", Version: 1, Stage: "staGing", ArchiveExisting: true}, &SetModelAlias{Name: "als", Alias: "version1", Version: 1},
		&RemoveModelAlias{Name: "als", Alias: "a-B_3"}, &DeployModel{Slot: "production", Model: "als", Version: 1},
		&RequestWorkflowRun{RunID: "w", Workflow: "x", RunType: "triggered"}, &StartTask{RunID: "w", Task: "t", Holder: "h", LeaseMillis: 1},
		&RenewTaskLease{RunID: "w", Task: "t", Try: 1, Holder: "h", LeaseMillis: LeaseMillisMax}, &SucceedTask{RunID: "w", Task: "t", Try: 1, Holder: "h"},
		&FailTask{RunID: "w", Task: "t", Try: 1, Holder: "h", Error: "x"}, &KeepTaskLog{RunID: "w", Task: "t", Try: 1, Log: sum}, &EndWorkflowRun{RunID: "w", State: "failed"}, &DeleteWorkflow{Workflow: "w"}, &DeleteWorkflowRun{RunID: "w"},
		&StoreArtifact{Path: "team/a.txt", Blob: sum, Bytes: 3}, &RemoveArtifact{Path: "team"},
		&SetVariable{Key: "k", Value: "v"}, &DeleteVariable{Key: "k"},
		&SkipViewEvent{View: "v", Position: "p", Reason: "r"}, &WriteDeadLetter{DeadLetterID: "d", Reactor: "r", Position: "p", Error: "e", Attempts: 1},
		&ResolveDeadLetter{DeadLetterID: "d", Resolution: "dropped"}, &RefuseFact{Topic: "user-events", Reason: "r", Count: 1}, &ResolveQuarantined{Position: "user-events/0@1", Resolution: "dropped", Reason: "r"},
		&RefuseRow{ImportID: runID, Topic: "user-events", File: "ratings.csv", Line: 1, Reason: "r\xff", Text: []byte{0xff}},
		&RecordInteraction{events.Interaction{UserID: "user_7", MovieID: "1", Kind: "view"}},
		&PublishRecommendation{events.RecommendationServed{RequestID: "r", UserID: "7", Strategy: "cold", Items: []events.RecommendedItem{{MovieID: "1"}}}},
		&ApplyFeatureProject{events.FeatureProjectApplied{FeatureMeta: meta}}, &DeleteFeatureProject{events.FeatureProjectDeleted{Project: "films"}},
		&ApplyFeatureEntity{events.FeatureEntityApplied{Entity: "__dummy", JoinKey: "__dummy_id", FeatureMeta: meta}}, &DeleteFeatureEntity{events.FeatureEntityDeleted{Entity: "e", Project: "films"}},
		&ApplyFeatureSource{events.FeatureSourceApplied{Source: "data/x.parquet", FeatureMeta: meta}}, &DeleteFeatureSource{events.FeatureSourceDeleted{Source: "s", Project: "films"}},
		&ApplyFeatureView{events.FeatureViewApplied{View: "v", Entities: []string{"movie"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}}, Features: []events.FeatureField{{Name: "f", Type: "bool"}}, FeatureMeta: meta}},
		&DeleteFeatureView{events.FeatureViewDeleted{View: "v", Project: "films"}},
		&ApplyFeatureService{events.FeatureServiceApplied{Service: "s", Features: []string{"v:f"}, FeatureMeta: meta}}, &DeleteFeatureService{events.FeatureServiceDeleted{Service: "s", Project: "films"}},
		&PushFeatureValues{events.FeatureValues{EntityKey: "movie_id=1", View: "v", Values: map[string]json.RawMessage{"f": json.RawMessage("true")}}},
		&PublishDrift{events.ModelDrift{ModelName: "als"}}, &PublishHealth{events.SystemHealth{ServiceName: "api", Status: "degraded"}},
	}
}

// What a list says of chance is a propensity, or nothing.
func TestPropensity(t *testing.T) {
	c := goodOf[*PublishRecommendation](t)
	for p, ok := range map[float64]bool{1: true, .5: true, 0: false, -1: false, 1.5: false, math.NaN(): false, math.Inf(1): false} {
		c.Items[0].Propensity = &p
		if err := c.Validate(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "items[0].propensity") {
			t.Errorf("%v: %v", p, err)
		}
	}
	c.Items[0].Propensity = nil
	if list := c.Event("2024-01-15T10:30:00Z").(*events.RecommendationServed); list.Items[0].Likelihood() != 1 || list.Items[0].Propensity == nil {
		t.Errorf("%+v", list.Items[0])
	}
}

// Every feed has one command that publishes to it, and the record's key is what the table of topics says.
func TestFactsAreKeyedAsTheirTopicSays(t *testing.T) {
	seen := map[string]bool{events.LedgerTopic: true}
	for _, v := range good() {
		c, ok := v.(Fact)
		if !ok {
			continue
		}
		topic, known := events.TopicOf(c.Topic())
		if !known || topic.Plain != c.FactType() || seen[topic.Name] {
			t.Errorf("%T: topic %q takes %q", c, c.Topic(), topic.Plain)
		}
		seen[topic.Name] = true
		raw, err := json.Marshal(c.Event("2024-01-15T10:30:00Z"))
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		if fields[topic.Key] != c.Key() {
			t.Errorf("%T has the key %q; its %s is %v", c, c.Key(), topic.Key, fields[topic.Key])
		}
	}
	if len(seen) != len(events.Topics) {
		t.Errorf("commands publish to %v", seen)
	}
}

func goodOf[T validated](t *testing.T) T {
	t.Helper()
	for _, v := range good() {
		if v, ok := v.(T); ok {
			return v
		}
	}
	t.Fatal("no good value of the type")
	panic("unreachable")
}

func TestGood(t *testing.T) {
	names, streams := map[string]bool{}, map[string]bool{}
	for _, v := range good() {
		if err := v.Validate(); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		name := ""
		switch c := v.(type) {
		case Command:
			name = c.CommandType()
			streams[c.Stream()] = true
		case Fact:
			name = "fact " + c.FactType()
			if c.Key() == "" || !strings.HasSuffix(c.Subject(), "/"+c.Key()) || c.Event("2024-01-15T10:30:00Z").EventType() != c.FactType() {
				t.Errorf("%T: key %q, subject %q", c, c.Key(), c.Subject())
			}
		default:
			t.Errorf("%T is neither a command nor a fact", v)
		}
		if names[name] {
			t.Errorf("%s is the name of two", name)
		}
		names[name] = true
	}
	if !streams["movie/7"] || !streams["experiment/"+events.ExperimentID("x", 1)] {
		t.Errorf("streams %v", streams)
	}
}

// The empty value of every command and fact is refused, each fault naming its field.
func TestEmpty(t *testing.T) {
	for _, v := range good() {
		empty := reflect.New(reflect.TypeOf(v).Elem()).Interface().(validated)
		err := empty.Validate()
		if err == nil {
			t.Errorf("the empty %T is good", v)
			continue
		}
		for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != fault.Invalid || f.Field == "" || f.Message == "" {
				t.Errorf("%T: %v does not name a field", v, err)
			}
		}
	}
}

func TestFaultNamesField(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	tooMany := map[string]string{}
	for i := range PairsMax + 1 {
		tooMany[long(i+1)] = ""
	}
	for _, c := range []struct {
		field string
		v     validated
	}{
		{"movie_id", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.MovieID = long(IDBytesMax + 1) })},
		{"title", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.Title = "a\xff" })},
		{"year", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.Year = 9999 })},
		{"genres", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.Genres = make([]string, listMax+1) })},
		{"keywords[1]", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.Keywords = []string{"a", "b\n"} })},
		{"imdb_id", with(goodOf[*ListMovie](t), func(c *ListMovie) { c.IMDbID = "nm0000001" })},
		{"imdb_id", with(goodOf[*FetchMovie](t), func(c *FetchMovie) { c.IMDbID = "tt" })},
		{"popularity", with(goodOf[*FetchMovie](t), func(c *FetchMovie) { c.Popularity = math.Inf(1) })},
		{"vote_average", with(goodOf[*FetchMovie](t), func(c *FetchMovie) { c.VoteAverage = math.NaN() })},
		{"raw_sha256", with(goodOf[*FetchMovie](t), func(c *FetchMovie) { c.RawSHA256 = strings.ToUpper(sum) })},
		{"reason", with(goodOf[*FailImport](t), func(c *FailImport) { c.Reason = long(TraceBytesMax + 1) })},
		{"definitions", with(goodOf[*DefineFeatures](t), func(c *DefineFeatures) { c.Definitions = long(DocumentBytesMax + 1) })},
		{"metrics", with(goodOf[*LogMetrics](t), func(c *LogMetrics) { c.Metrics = make([]events.Metric, BatchMax+1) })},
		{"metrics[0].value", with(goodOf[*LogMetrics](t), func(c *LogMetrics) { c.Metrics[0].Value = events.Number(math.NaN()) })},
		{"metrics[0].key", with(goodOf[*LogMetrics](t), func(c *LogMetrics) { c.Metrics[0].Key = long(KeyBytesMax + 1) })},
		{"metrics[0].timestamp_millis", with(goodOf[*LogMetrics](t), func(c *LogMetrics) { c.Metrics[0].TimestampMillis = events.TimeMillisEnd })},
		{"params", with(goodOf[*LogParams](t), func(c *LogParams) { c.Params = tooMany })},
		{"params.a", with(goodOf[*LogParams](t), func(c *LogParams) { c.Params["a"] = long(ParamBytesMax + 1) })},
		{"tags.a", with(goodOf[*SetTags](t), func(c *SetTags) { c.Tags["a"] = long(TagBytesMax + 1) })},
		{"path", with(goodOf[*LogArtifact](t), func(c *LogArtifact) { c.Path = "a/../../b" })},
		{"path", with(goodOf[*LogArtifact](t), func(c *LogArtifact) { c.Path = `a\b` })},
		{"name", with(goodOf[*RegisterModel](t), func(c *RegisterModel) { c.Name = long(NameBytesMax + 1) })},
		{"alias", with(goodOf[*SetModelAlias](t), func(c *SetModelAlias) { c.Alias = "V3" })},
		{"archive_existing", with(goodOf[*StageModelVersion](t), func(c *StageModelVersion) { c.Stage = "none" })},
		{"output.a", with(goodOf[*SucceedTask](t), func(c *SucceedTask) { c.Output = map[string]string{"a": "\xff"} })},
		{"user_id", with(goodOf[*RecordInteraction](t), func(c *RecordInteraction) { c.UserID = "a\n" })},
		{"user_id", with(goodOf[*RecordInteraction](t), func(c *RecordInteraction) { c.UserID = ".." })},
		{"movie_id", with(goodOf[*RecordInteraction](t), func(c *RecordInteraction) { c.MovieID = "." })},
		{"user_id", with(goodOf[*PublishRecommendation](t), func(c *PublishRecommendation) { c.UserID = ".." })},
		{"rating", with(goodOf[*RecordInteraction](t), func(c *RecordInteraction) { c.Rating = 5.5 })},
		{"timestamp", with(goodOf[*RecordInteraction](t), func(c *RecordInteraction) { c.Timestamp = "9999-01-01T00:00:00Z" })},
		{"items[0].score", with(goodOf[*PublishRecommendation](t), func(c *PublishRecommendation) { c.Items[0].Score = math.NaN() })},
		{"items", with(goodOf[*PublishRecommendation](t), func(c *PublishRecommendation) { c.Items = make([]events.RecommendedItem, BatchMax+1) })},
		{"timestamp", with(goodOf[*PublishDrift](t), func(c *PublishDrift) { c.Timestamp = "soon" })},
		{"metrics.psi", with(goodOf[*PublishDrift](t), func(c *PublishDrift) { c.Metrics = map[string]float64{"psi": math.Inf(1)} })},
		{"status", with(goodOf[*PublishHealth](t), func(c *PublishHealth) { c.Status = "fine" })},
		{"project", with(goodOf[*ApplyFeatureView](t), func(c *ApplyFeatureView) { c.Project = "a.b" })},
		{"join_keys", with(goodOf[*ApplyFeatureView](t), func(c *ApplyFeatureView) { c.JoinKeys = nil })},
		{"features[1].name", with(goodOf[*ApplyFeatureView](t), func(c *ApplyFeatureView) { c.Features = append(c.Features, c.Features[0]) })},
		{"spec", with(goodOf[*ApplyFeatureEntity](t), func(c *ApplyFeatureEntity) { c.Spec = make([]byte, FeatureSpecBytesMax+1) })},
		{"values.f", with(goodOf[*PushFeatureValues](t), func(c *PushFeatureValues) { c.Values["f"] = json.RawMessage("[[1]]") })},
		{"entity_key", with(goodOf[*PushFeatureValues](t), func(c *PushFeatureValues) { c.EntityKey = long(events.EntityKeyBytesMax + 1) })},
		{"created", with(goodOf[*PushFeatureValues](t), func(c *PushFeatureValues) { c.Created = "soon" })},
		{"cpu_usage", with(goodOf[*PublishHealth](t), func(c *PublishHealth) { c.CPUUsage = -1 })},
	} {
		err := c.v.Validate()
		if err == nil {
			t.Errorf("%T with a wrong %s is good", c.v, c.field)
			continue
		}
		var named []string
		for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
			var f *fault.Error
			if errors.As(err, &f) {
				named = append(named, f.Field)
			}
		}
		if len(named) != 1 || named[0] != c.field {
			t.Errorf("%T: %v names %v, want %s alone", c.v, err, named, c.field)
		}
	}
}

func with[T any](v *T, f func(*T)) *T {
	f(v)
	return v
}

// A name that stands in an address can be asked for under it, and looks like no other.
func TestNamesCanBeAddressed(t *testing.T) {
	for _, name := range []string{".", "..", "als ", " als", "\u00a0als", "als\u3000", "a\u202els", "a/b", "a:b", "a\tb"} {
		if err := (&RegisterModel{Name: name}).Validate(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "name") {
			t.Errorf("model %q: %v", name, err)
		}
	}
	for _, name := range []string{"als", "als 2", "...", ".als", "영화", "als-v1.2", "a%2Fb", "مدل"} {
		if err := (&RegisterModel{Name: name}).Validate(); err != nil {
			t.Errorf("model %q: %v", name, err)
		}
	}
	for _, id := range []string{"..", "run ", "a/b"} {
		if err := (&RequestWorkflowRun{RunID: id, Workflow: "w", RunType: "manual"}).Validate(); !fault.Is(err, fault.Invalid) {
			t.Errorf("run %q: %v", id, err)
		}
	}
}

func TestExperimentID(t *testing.T) {
	// The ids are for ever: streams are named after them.
	for name, want := range map[string]string{DefaultExperiment: "0", "als tuning": "664812461199823048"} {
		if got := events.ExperimentID(name, 1); got != want {
			t.Errorf("%s has the id %s, want %s", name, got, want)
		}
	}
}

func TestEventSharesNothing(t *testing.T) {
	c := &RecordInteraction{events.Interaction{UserID: "user_007", MovieID: "movie_1", Kind: "view"}}
	got := *c.Event("2024-01-15T10:30:00Z").(*events.Interaction)
	if want := (events.Interaction{UserID: "7", MovieID: "1", Kind: "view", Timestamp: "2024-01-15T10:30:00Z"}); got != want {
		t.Errorf("%+v", got)
	}
	if c.UserID != "user_007" || c.Timestamp != "" {
		t.Errorf("the command was changed: %+v", c)
	}
}
