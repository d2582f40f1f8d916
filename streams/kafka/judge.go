package kafka

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/streams"
)

// The rule by which every node judges every record of the ledger's partition. Nodes of different
// versions must reach the same verdict, or they split for good: the rule therefore looks at a record's
// frame only (key, headers, and of each event the CloudEvents attributes), never at what an event means,
// and its limits are written here and not taken from the program's, which may be raised one day.
// It cannot be changed, only be followed by a new one that a record names.
const (
	judgedType          = "content-type" // headers
	judgedID            = "commit_id"
	judgedExpected      = "expected_revision"
	judgedContentType   = "application/cloudevents-batch+json"
	judgedStreamBytes   = 400
	judgedCommitIDBytes = 100
	judgedEvents        = 1000
)

// verdict is what the fold makes of a record.
type verdict uint8

const (
	accepted  verdict = iota
	conflict          // void: its expected revision is not the head of its stream
	duplicate         // void: its commit id was accepted before
	garbage           // void: it is no commit
	verdicts          // their number
)

func (v verdict) String() string {
	return [...]string{"accepted", "conflict", "duplicate", "garbage"}[v]
}

// frame is what a record is judged by. It owns its memory.
type frame struct {
	id       string
	stream   string
	expected streams.Revision
	events   int
}

// parseFrame reads a record's frame; false means that it is no commit.
func parseFrame(r *streams.Record) (f frame, ok bool) {
	if string(header(r, judgedType)) != judgedContentType {
		return frame{}, false
	}
	n, err := strconv.ParseInt(string(header(r, judgedExpected)), 10, 64)
	if err != nil || streams.Revision(n) < streams.AnyRevision {
		return frame{}, false
	}
	f.id = string(header(r, judgedID))
	f.expected = streams.Revision(n)
	f.stream = string(r.Key)
	if !goodStream(f.stream) || !goodCommitID(f.id) {
		return frame{}, false
	}
	var attributes []struct {
		SpecVersion string          `json:"specversion"`
		ID          string          `json:"id"`
		Source      string          `json:"source"`
		Type        string          `json:"type"`
		Time        string          `json:"time"`
		Data        json.RawMessage `json:"data"`
	}
	if json.Unmarshal(r.Value, &attributes) != nil || len(attributes) == 0 || len(attributes) > judgedEvents {
		return frame{}, false
	}
	for i := range attributes {
		a := &attributes[i]
		if a.SpecVersion != "1.0" || a.Type == "" || len(a.Data) == 0 || string(a.Data) == "null" {
			return frame{}, false
		}
		if _, err := time.Parse(time.RFC3339Nano, a.Time); err != nil {
			return frame{}, false
		}
	}
	f.events = len(attributes)
	return f, true
}

// header is the value of the first header of a name.
func header(r *streams.Record, key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

func goodStream(s string) bool {
	if len(s) == 0 || len(s) > judgedStreamBytes {
		return false
	}
	if !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func goodCommitID(s string) bool {
	if len(s) == 0 || len(s) > judgedCommitIDBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// judge decides about a commit: head is the revision of its stream's last event at that point, or
// streams.NoStream; known says whether its id was accepted before.
func judge(f *frame, head streams.Revision, known bool) verdict {
	switch {
	case known:
		return duplicate
	case f.expected != streams.AnyRevision && f.expected != head:
		return conflict
	}
	return accepted
}
