// Package topics shows the log to people as Kafka's: topics and partitions, messages as they lie there, consumer groups
// and how far they are behind. What else a Kafka UI is opened for, Kafka's own tools do on the same log.
package topics

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Config is what a [Surface] answers from.
type Config struct {
	// Groups are the offsets of all consumer groups by name. nil where the log is on a cluster, whose own tools have
	// them.
	Groups func() (map[string][]api.GroupOffset, error)
}

// Surface is the pages and the JSON behind them.
type Surface struct {
	*api.Core
	Config
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface { return &Surface{core, c} }

func (s *Surface) Name() string { return "topics" }

func (s *Surface) Routes(r *api.Routes) {
	r.Handle("GET /health", s.health)
	r.Handle("GET /healthz", s.health)
	r.Handle("GET /api/topics", s.topics)
	r.Handle("GET /api/topics/{topic}/messages", s.messages)
	r.Handle("GET /api/groups", s.groups)
	s.pageRoutes(r)
}

func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

// healthTimeout bounds how long the log is asked how far it is.
const healthTimeout = 2 * time.Second

// health says whether the log can be read.
func (s *Surface) health(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	all, err := s.Topics(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the log cannot be read")
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"status": "ok", "topics": len(all)})
}

func (s *Surface) topics(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	all, err := s.Topics(r.Context())
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"items": all})
}

const (
	messagesDefault = 50
	messagesMax     = 500
	// messagesBytesMax ends a list of large messages early.
	messagesBytesMax = 4 << 20
)

// message is a record as it lies in the log. What is no text is given in base64.
type message struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Timestamp string    `json:"timestamp"` // when the log took it
	Key       string    `json:"key,omitempty"`
	Value     any       `json:"value"`
	Headers   []headers `json:"headers,omitempty"`
}

type headers struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func messageOf(r *streams.Record) message {
	m := message{Partition: r.Partition, Offset: r.Offset, Timestamp: events.FormatTime(r.Recorded), Key: string(r.Key), Value: slices.Clone(r.Value)}
	if utf8.Valid(r.Value) {
		m.Value = string(r.Value)
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, headers{h.Key, string(h.Value)})
	}
	return m
}

// messages lists a topic's messages, newest first: of one partition or of all, the last ones or those from an offset
// on.
func (s *Surface) messages(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "partition", "offset", "limit")
	limit := q.Number("limit", messagesDefault, 1, messagesMax)
	partition, offset, err := whereIn(q)
	if err != nil {
		return err
	}
	_, list, err := s.list(r.Context(), r.PathValue("topic"), partition, offset, int(limit))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"items": list})
}

// whereIn is the partition that a query names, -1 for all, and the offset in it, -1 for the last messages; or all that
// is wrong with the query.
func whereIn(q *api.Query) (partition int32, offset int64, err error) {
	partition, offset = int32(q.Number("partition", -1, 0, 1<<30)), q.Number("offset", -1, 0, 1<<62)
	if offset >= 0 && partition < 0 {
		q.Fault("offset", "is of a partition: give that too")
	}
	return partition, offset, q.Err()
}

// list is a topic, and at most limit messages of it, newest first, of a partition (-1: of all) from an offset on (-1: the
// last ones).
func (s *Surface) list(ctx context.Context, topic string, partition int32, offset int64, limit int) (info api.TopicInfo, list []message, err error) {
	all, err := s.Topics(ctx)
	if err != nil {
		return info, nil, err
	}
	i := slices.IndexFunc(all, func(t api.TopicInfo) bool { return t.Topic == topic })
	if i < 0 {
		return info, nil, fault.New(fault.NotFound, "no topic %q", api.Short(topic)).WithHint("GET /api/topics lists them")
	}
	if int(partition) >= len(all[i].Partitions) {
		return info, nil, fault.Field("partition", "%s has %d", topic, len(all[i].Partitions))
	}
	info, list = all[i], []message{}
	for _, p := range info.Partitions {
		if partition >= 0 && p.Partition != partition {
			continue
		}
		from := offset
		if from < 0 {
			from = max(p.First, p.Next-int64(limit))
		}
		n, bytes := 0, 0
		for rec, err := range s.Log.Feed().Read(ctx, streams.TP{Topic: topic, Partition: p.Partition}, from) {
			if err != nil {
				return info, nil, err
			}
			list = append(list, messageOf(rec))
			if n, bytes = n+1, bytes+len(rec.Value); n == limit || bytes > messagesBytesMax {
				break
			}
		}
	}
	slices.SortStableFunc(list, func(a, b message) int {
		return cmp.Or(cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Offset, a.Offset))
	})
	return info, list[:min(len(list), limit)], nil
}

// all are the groups by name.
func (s *Surface) all(ctx context.Context) ([]api.Group, error) {
	if s.Groups == nil {
		return nil, api.ErrGroupsElsewhere
	}
	known, err := s.Groups()
	if err != nil {
		return nil, err
	}
	return s.GroupsOf(ctx, known)
}

func (s *Surface) groups(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	list, err := s.all(r.Context())
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"items": list})
}
