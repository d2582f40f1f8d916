package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClientEffects publishes with Kafka's own console producer what acts on the program, in the three flat forms, and
// sees what comes of it; and creates the topics as Kafka's users type it. deploy/kafka/clients.sh runs it.
func TestClientEffects(t *testing.T) {
	libs := os.Getenv("DOOR_JAVA_LIBS")
	if libs == "" {
		t.Skip("DOOR_JAVA_LIBS is not set: Kafka's own tools were NOT tried")
	}
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", tiny, "--kafka", "127.0.0.1:0", "--listen-workflows", "127.0.0.1:0", "--listen-topics", "127.0.0.1:0")
	said := s.until(t, "/api/v1/feedback")
	at := func(line string) string {
		t.Helper()
		found := regexp.MustCompile(line).FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("no address after %q in:\n%s", line, said)
		}
		return found[1]
	}
	base, workflows, broker := at(`answering on (http://\S+)`), at(`workflows +(http://\S+)`), at(`kafka +(\S+)`)
	topics := at(`topics +(http://\S+)`)

	// tool runs one of Kafka's tools and gives its exit code and all it says.
	tool := func(input, class string, args ...string) (int, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
			"-cp", filepath.Join(libs, "*"), "org.apache.kafka.tools." + class, "--bootstrap-server", broker}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", class, err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}

	// The exit codes are those of Kafka 4.1 on a broker that has the topic: 1, and 0 with --if-not-exists.
	for topic, partitions := range map[string]string{"movie-recommendations": "3", "user-events": "3", "model-drift-alerts": "1", "system-health": "2"} {
		create := []string{"--create", "--topic", topic, "--replication-factor", "1", "--partitions"}
		for _, c := range []struct {
			more string
			code int
			says string
		}{{partitions, 1, "The topic exists, with the partitions you ask for: nothing to do"}, {"7", 1, "The topic exists with " + partitions + " partition"},
			{partitions + " --if-not-exists", 0, ""}, {"7 --if-not-exists", 0, ""}} {
			if topic != "user-events" && c.more != partitions {
				continue // alike, and each is a JVM
			}
			code, out := tool("", "TopicCommand", append(create, strings.Fields(c.more)...)...)
			if code != c.code || !strings.Contains(out, c.says) || c.says != "" && !strings.Contains(out, "TopicExistsException") {
				t.Fatalf("create %s %s: exit code %d: %s; want %d and %q", topic, c.more, code, out, c.code, c.says)
			}
		}
	}

	read := func(url string, v any) string {
		t.Helper()
		status, body := get(t, url)
		if status != 200 {
			t.Fatalf("%s: %d %s", url, status, body)
		}
		if v != nil {
			if err := json.Unmarshal([]byte(body), v); err != nil {
				t.Fatalf("%s: %v", url, err)
			}
		}
		return body
	}
	produce := func(topic, value string) {
		t.Helper()
		if code, out := tool(value+"\n", "ConsoleProducer", "--topic", topic); code != 0 || out != "" {
			t.Fatalf("%s: exit code %d: %s", topic, code, out)
		}
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within five minutes: %s", what)
			}
		}
	}

	// An interaction changes the list of who made it: what it is about is not shown again.
	list := func() (films []string) {
		var v struct {
			Items []struct {
				ID string `json:"movie_id"`
			} `json:"items"`
		}
		read(base+"/api/v1/recommendations?k=5&user_id=user_001&record=false", &v)
		for _, m := range v.Items {
			films = append(films, m.ID)
		}
		return films
	}
	before := list()
	if len(before) != 5 {
		t.Fatalf("a list of %v", before)
	}
	produce("user-events", `{"user_id":"user_001","movie_id":"`+before[0]+`","interaction_type":"like","timestamp":"2024-05-06T07:30:00","rating":5,"session_id":"s1"}`)
	until("the film that was liked is off the list", func() bool { return !slices.Contains(list(), before[0]) })
	if _, out := tool("", "consumer.ConsoleConsumer", "--topic", "user-events", "--from-beginning", "--max-messages", "1501", "--group", "inspector"); !strings.Contains(out, `"session_id":"s1"`) {
		t.Errorf("the consumer did not get the interaction among: %.500s", out)
	}
	if page := read(topics+"/", nil); !strings.Contains(page, "inspector") {
		t.Errorf("the page of topics does not show the group:\n%s", page)
	}
	if page := read(topics+"/topics/user-events", nil); !strings.Contains(page, "session_id") {
		t.Errorf("the page of the topic does not show the message:\n%s", page)
	}

	// An alert of drift starts a training, which Airflow's clients see.
	produce("model-drift-alerts", `{"model_name":"movie_predictor","model_version":"1","drift_score":0.85,"threshold":0.7,"timestamp":"2024-05-06T07:31:00Z","metrics":{"accuracy_drop":0.1,"feature_drift":0.3}}`)
	until("a training run of the alert has succeeded", func() bool {
		var v struct {
			Runs []struct {
				State string `json:"state"`
				Note  string `json:"note"`
			} `json:"dag_runs"`
		}
		read(workflows+"/api/v1/dags/movie_training_pipeline/dagRuns", &v)
		for _, run := range v.Runs {
			if strings.HasPrefix(run.Note, "trigger drift: model.drift at model-drift-alerts/0@") && run.State == "success" {
				return true
			}
		}
		return false
	})

	// An overloaded service leaves an alert that is listed, and counted.
	produce("system-health", `{"service_name":"movie-api","status":"degraded","cpu_usage":95.0,"memory_usage":88.5,"response_time_ms":1200,"timestamp":"2024-05-06T07:32:00Z"}`)
	until("the alert is listed", func() bool {
		return strings.Contains(read(base+"/api/v1/health/alerts", nil), `"service_name":"movie-api"`)
	})
	contains(t, "/metrics", read(base+"/metrics", nil), `system_health_alerts_total{status="degraded"} 1`, `system_health_alerts_total{status="down"} 0`)
	s.end(t)
}
