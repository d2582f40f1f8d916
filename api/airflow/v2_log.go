package airflow

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
)

// v2Message is a line of a try's log.
type v2Message struct {
	Timestamp *string `json:"timestamp,omitempty"`
	Event     string  `json:"event"`
	Level     string  `json:"level,omitempty"`
	Logger    string  `json:"logger,omitempty"` // who had the try
}

// logLine is a line as v1 has it: [time] {holder} LEVEL - text, or time LEVEL text.
var logLine = regexp.MustCompile(`^(?:\[([^\]]+)\] \{([^}]*)\} ([A-Z]+) - |(\d{4}-\d\d-\d\dT\S+Z) ([A-Z]+) +)(.*)$`)

// messagesOf reads the lines of a log; what has another form is a message without a time.
func messagesOf(text string) []v2Message {
	all := []v2Message{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		m := v2Message{Event: line}
		if part := logLine.FindStringSubmatch(line); part != nil {
			at, err := time.Parse("2006-01-02T15:04:05.000Z0700", part[1]+part[4])
			if err == nil {
				m = v2Message{stamp(at.UnixMilli()), part[6], strings.ToLower(part[3] + part[5]), part[2]}
			}
		}
		all = append(all, m)
	}
	return all
}

// log is a try's log: a document of messages, or a line of JSON for each. It is whole, so that there is no token to go on by.
func (s *V2) log(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	q.Flag("full_content", false)
	token, _ := q.Text("token", 0)
	kind := accepts(r, "application/json", "application/x-ndjson")
	if kind == "" {
		return fastapi.Refuse(http.StatusNotAcceptable, "Only application/json or application/x-ndjson is supported")
	}
	if _, err := wholeInPath(r, "try_number", "try", 0); err != nil {
		return err
	}
	missing := fastapi.Refuse(http.StatusNotFound, "TaskInstance not found")
	t, err := s.ofIndex(r, q)
	if refused, is := err.(*fastapi.Refusal); is && refused.Status == http.StatusNotFound {
		return missing
	}
	if err != nil {
		return err
	}
	y, err := s.tryOf(r, &t, missing)
	if err != nil {
		return err
	}
	if token != "" {
		return fastapi.Refuse(http.StatusBadRequest, "Bad Signature. Please use only the tokens provided by the API.")
	}
	task := t.task()
	text, err := s.v1.logText(r.Context(), t.run, &task, y)
	if err != nil {
		return err
	}
	messages := messagesOf(text)
	if kind == "application/json" {
		return api.WriteJSON(w, http.StatusOK, map[string]any{"content": messages, "continuation_token": nil})
	}
	answer := api.NewAnswer(r.Context(), w, r, kind)
	lines := json.NewEncoder(answer)
	lines.SetEscapeHTML(false)
	for i := range messages {
		if err := lines.Encode(&messages[i]); err != nil {
			return answer.End(err)
		}
	}
	return answer.End(nil)
}

func (s *V2) externalLog(w http.ResponseWriter, r *http.Request) error {
	return fastapi.Refuse(http.StatusBadRequest, "Task log handler does not support external logs.")
}
