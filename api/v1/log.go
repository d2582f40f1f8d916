package v1

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) logRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/log/moment", s.moment)
	r.Handle("GET /api/v1/log/histogram", s.histogram, "audit")
	s.then(r, "GET /api/v1/log/topics", (*Surface).topics)
	r.Handle("GET /api/v1/log/groups", s.groups)
	r.Handle("GET /api/v1/log/topics/{topic}/records", s.records)
	r.Handle("GET /api/v1/log/streams/{stream...}", s.streamCommits)
	r.Handle("GET /api/v1/log/events/{id...}", s.event, "audit", "idempotency")
}

// topicInfo is a topic; the ledger's has how far it is copied, where that is on EventStoreDB.
type topicInfo struct {
	api.TopicInfo
	Relay *relayInfo `json:"relay,omitempty"`
}

type relayInfo struct {
	Copied int64  `json:"copied"`
	Behind int64  `json:"behind"`
	Error  string `json:"error,omitempty"`
}

func (s *Surface) relay() *relayInfo {
	if s.Relay == nil || s.now != nil {
		return nil
	}
	r := s.Relay()
	info := &relayInfo{Copied: r.Copied, Behind: r.Behind}
	if r.Err != nil {
		info.Error = r.Err.Error()
	}
	return info
}

func (s *Surface) topics(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	all, err := s.Topics(r.Context())
	if err != nil {
		return err
	}
	out := fold.Page[topicInfo]{}
	for _, t := range all {
		info := topicInfo{TopicInfo: t}
		if t.Topic == events.LedgerTopic {
			info.Relay = s.relay()
		}
		if err := s.measure(&t); err != nil {
			return err
		}
		out.Items = append(out.Items, info)
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// measure adds what a topic's partitions take on the disk, where the log is here and as it is now.
func (s *Surface) measure(t *api.TopicInfo) error {
	if s.LogBytes == nil || s.now != nil {
		return nil
	}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		n, err := s.LogBytes(streams.TP{Topic: t.Topic, Partition: p.Partition})
		if err != nil {
			return err
		}
		p.Bytes = &n
	}
	return nil
}

// record is one event of the log as a line. A record that cannot be read has an error, and its value as it came.
type record struct {
	Position    string            `json:"position"`
	Recorded    string            `json:"recorded"`
	Type        string            `json:"type,omitempty"`
	Time        string            `json:"time,omitempty"`
	Stream      string            `json:"stream,omitempty"` // of the ledger
	Revision    *streams.Revision `json:"revision,omitempty"`
	Subject     string            `json:"subject,omitempty"` // of a fact
	Actor       string            `json:"actor,omitempty"`
	Cause       string            `json:"cause,omitempty"`
	Correlation string            `json:"correlation,omitempty"`
	Source      string            `json:"source,omitempty"`
	EventID     string            `json:"event_id,omitempty"`
	Key         string            `json:"key,omitempty"`
	Data        any               `json:"data,omitempty"`
	Error       string            `json:"error,omitempty"`
	Value       any               `json:"value,omitempty"` // text, or base64 where it is none; of the ledger JSON

	offset   int64
	recorded time.Time
	bytes    int // of its value in the log
}

func (rec *record) of(ev *events.Event) {
	rec.Type, rec.Time, rec.Actor, rec.Cause, rec.Correlation = ev.Type(), events.FormatTime(ev.Time), ev.Actor, ev.Causation, ev.Correlation
	rec.Source, rec.EventID, rec.Data = ev.Source, ev.ID, ev.Data
}

func factRecord(r *streams.Record) record {
	rec := record{Position: r.Position.String(), Recorded: events.FormatTime(r.Recorded), Key: string(r.Key),
		offset: r.Offset, recorded: r.Recorded, bytes: len(r.Value)}
	ev, err := streams.ReadFact(r)
	if err != nil {
		rec.Error = err.Error()
		if utf8.Valid(r.Value) {
			rec.Value = string(r.Value)
		} else {
			rec.Value = append([]byte(nil), r.Value...)
		}
		return rec
	}
	rec.of(&ev)
	rec.Subject = ev.Subject
	return rec
}

// commitRecords are the events of a commit. Of one that this program cannot read they say so.
func commitRecords(c *streams.Committed) []record {
	unread := c.Unreadable()
	out := make([]record, len(c.Events))
	for i := range c.Events {
		revision := c.Revision + streams.Revision(i)
		out[i] = record{Position: c.Position.String(), Recorded: events.FormatTime(c.Recorded), Stream: c.Stream, Revision: &revision,
			offset: c.Position.Offset, recorded: c.Recorded, bytes: len(c.Events[i].Raw)}
		out[i].of(&c.Events[i])
		if unread != nil {
			out[i].Data, out[i].Value, out[i].Error = nil, c.Events[i].Raw, errors.Unwrap(unread).Error()
		}
	}
	return out
}

// read yields a partition's events from an offset up to the head.
func read(ctx context.Context, log streams.Log, tp streams.TP, from int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		if tp.Topic == events.LedgerTopic {
			for c, err := range log.Ledger().Read(ctx, from) {
				if c == nil {
					yield(record{}, err)
					return
				}
				for _, rec := range commitRecords(c) {
					if !yield(rec, nil) {
						return
					}
				}
			}
			return
		}
		for r, err := range log.Feed().Read(ctx, tp, from) {
			if err != nil {
				yield(record{}, err)
				return
			}
			if !yield(factRecord(r), nil) {
				return
			}
		}
	}
}

// tail is where reading goes on in one partition.
type tail struct {
	tp   streams.TP
	next int64
}

// recordsAsked is what is asked of a topic's records.
type recordsAsked struct {
	topic  string
	head   streams.Cut // what is known
	tails  []tail
	filter recordFilter
	limit  int64 // negative: none
	follow bool
}

// records gives a topic's events, of one partition or of all, merged by recorded time. from is an offset, beginning or end. Without order=, they are
// lines, oldest first, and follow waits for more; following begins at the end unless told. With order=, they are a page: see [Surface.recordsPage].
// type=, stream=, actor= and q= leave out what does not fit.
func (s *Surface) records(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "partition", "from", "limit", "follow", "order", "cursor", "type", "stream", "actor", "q", api.KnownAtParam)
	a := recordsAsked{topic: r.PathValue("topic"), follow: q.Flag("follow"), limit: q.Number("limit", recordsDefault, 1, recordsMax), filter: filterOf(q)}
	if !api.Known(streams.TP{Topic: a.topic}) {
		return fault.New(fault.NotFound, "no topic %q", api.Short(a.topic)).WithHint("GET /api/v1/log/topics lists them")
	}
	if a.follow && q.Str("limit") == "" {
		a.limit = -1
	}
	order := q.Str("order")
	switch {
	case order != "" && order != "asc" && order != "desc":
		q.Fault("order", "is %q; want asc or desc", api.Short(order))
	case order != "" && a.follow:
		q.Fault("follow", "cannot be combined with order; leave one of them out")
	case order == "" && q.Str("cursor") != "":
		q.Fault("cursor", "is of a page; give the order= that it was given with")
	case a.follow && q.Str(api.KnownAtParam) != "":
		q.Fault(api.KnownAtParam, "cannot be combined with follow: nothing comes after what is known")
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	if a.head, err = s.known(r.Context(), &m); err != nil {
		return err
	}
	if order != "" {
		return s.recordsPage(w, r, q, &a, order == "desc")
	}
	a.tails = fromOffsets(q, a.topic, a.head, a.follow)
	if err := q.Err(); err != nil {
		return err
	}
	if a.follow && s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if a.follow {
		defer context.AfterFunc(s.Follow(), cancel)()
	} else {
		defer context.AfterFunc(s.Work(), cancel)()
	}
	return s.sendRecords(ctx, w, r, &a, m.Given())
}

// known is all that a moment knows, of every partition.
func (s *Surface) known(ctx context.Context, m *api.Moment) (streams.Cut, error) {
	head, err := fold.HeadCut(ctx, s.Log, time.Time{})
	if err != nil || !m.Given() {
		return head, err
	}
	cut, err := m.Cut(ctx, s.Log)
	if err != nil {
		return nil, err
	}
	for tp, next := range head {
		head[tp] = min(next, cut[tp])
	}
	return head, nil
}

// sendRecords sends lines: of what is known alone, or of all that there is, and comes.
func (s *Surface) sendRecords(ctx context.Context, w http.ResponseWriter, r *http.Request, a *recordsAsked, known bool) (err error) {
	log := s.Log
	if known {
		log = fold.UpTo(s.Log, a.head)
	}
	out := api.NewLines(w)
	for {
		if a.limit, err = sendNew(ctx, log, out, a); err != nil {
			if !out.Begun() {
				return err
			}
			if ctx.Err() == nil {
				out.Write(struct {
					Error *api.Problem `json:"error"`
				}{api.ProblemOf(err, api.RequestID(r))})
			}
			return nil
		}
		out.Begin()
		out.Flush()
		if !a.follow || a.limit == 0 || !s.awaitAny(ctx, a.tails) {
			return nil
		}
	}
}

func fromOffsets(q *api.Query, topic string, head streams.Cut, follow bool) []tail {
	var tails []tail
	for _, t := range streams.Topics {
		if t.Name != topic {
			continue
		}
		only := q.Number("partition", -1, 0, int64(t.Partitions)-1)
		for p := range t.Partitions {
			if only < 0 || int64(p) == only {
				tails = append(tails, tail{tp: streams.TP{Topic: topic, Partition: p}})
			}
		}
	}
	from := q.Str("from")
	if from == "" && follow {
		from = "end"
	}
	for i := range tails {
		switch from {
		case "", "beginning":
		case "end":
			tails[i].next = head[tails[i].tp]
		default:
			n, err := strconv.ParseInt(from, 10, 64)
			if err != nil || n < 0 {
				q.Fault("from", "is %q; want an offset, beginning or end", api.Short(from))
				return tails
			}
			tails[i].next = n
		}
	}
	return tails
}

// source is a partition's events, one at a time.
type source struct {
	rec  record
	ok   bool
	next func() (record, error, bool)
}

func (s *source) advance() (err error) {
	s.rec, err, s.ok = s.next()
	return err
}

// sendNew sends what the partitions hold from where each goes on, oldest recorded first, at most as many lines as are asked for. It returns how many
// more may be sent.
func sendNew(ctx context.Context, log streams.Log, out *api.Lines, a *recordsAsked) (int64, error) {
	limit := a.limit
	sources := make([]source, len(a.tails))
	for i := range a.tails {
		next, stop := iter.Pull2(read(ctx, log, a.tails[i].tp, a.tails[i].next))
		defer stop()
		sources[i].next = next
		if err := sources[i].advance(); err != nil {
			return limit, err
		}
	}
	for limit != 0 {
		oldest := -1
		for i := range sources {
			if sources[i].ok && (oldest < 0 || sources[i].rec.recorded.Before(sources[oldest].rec.recorded)) {
				oldest = i
			}
		}
		if oldest < 0 {
			break
		}
		rec := &sources[oldest].rec
		keeps, err := a.filter.keeps(rec)
		if err != nil {
			return limit, err
		}
		if keeps {
			out.Write(rec)
			limit--
		}
		a.tails[oldest].next = rec.offset + 1
		if err := sources[oldest].advance(); err != nil {
			return limit, err
		}
		if ctx.Err() != nil {
			return limit, ctx.Err()
		}
	}
	return limit, nil
}

// awaitAny waits until one of the partitions has more; false when ctx has ended.
func (s *Surface) awaitAny(ctx context.Context, tails []tail) bool {
	any, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, len(tails))
	for _, t := range tails {
		go func() {
			if t.tp.Topic == events.LedgerTopic {
				errs <- s.Log.Ledger().Wait(any, t.next)
			} else {
				errs <- s.Log.Feed().Wait(any, t.tp, t.next)
			}
		}()
	}
	return <-errs == nil && ctx.Err() == nil
}

// streamCommits pages through a stream of the ledger by revision.
func (s *Surface) streamCommits(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "from", "limit", "cursor", api.KnownAtParam)
	from := q.Number("from", 0, 0, 1<<62)
	limit := q.Number("limit", recordsDefault, 1, commitsMax)
	if q.Str("cursor") != "" {
		from = q.Number("cursor", 0, 0, 1<<62)
	}
	name := r.PathValue("stream")
	if err := streams.CheckStream(name); err != nil {
		q.Add(err)
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	out := fold.Page[json.RawMessage]{Items: []json.RawMessage{}}
	head, size := streams.NoStream, 0
	for c, err := range s.Log.Ledger().ReadStream(r.Context(), name, streams.Revision(from)) {
		if c == nil {
			return err
		}
		if !m.At.Admits(0, c.Recorded.UnixMilli(), c.Position) {
			break
		}
		head = c.Revision
		for _, rec := range commitRecords(c) {
			if *rec.Revision < streams.Revision(from) {
				continue
			}
			if int64(len(out.Items)) == limit || size >= commitsBytesMax {
				out.Next = strconv.FormatInt(int64(*rec.Revision), 10)
				return api.WriteJSON(w, http.StatusOK, out)
			}
			raw, err := api.EncodeJSON(rec)
			if err != nil {
				return err
			}
			out.Items = append(out.Items, raw)
			size += len(raw)
		}
	}
	if head == streams.NoStream && from == 0 {
		return fault.New(fault.NotFound, "no stream %q", api.Short(name)).WithHint("GET /api/v1/audit names the streams of what happened")
	}
	return api.WriteJSON(w, http.StatusOK, out)
}
