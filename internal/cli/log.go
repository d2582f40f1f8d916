package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/streams"
)

// recordsMax is the most that one request for records gives.
const recordsMax = 100_000

func (p *program) logCommand() *cobra.Command {
	topics := &cobra.Command{Use: "topics", Short: "List the log's topics and partitions", Args: cobra.NoArgs, Example: "  projectionist log topics",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/log/topics", nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			topics, err := topicsOf(raw)
			if err != nil {
				return err
			}
			var rows []map[string]any
			for _, t := range topics {
				for _, part := range t.Partitions {
					rows = append(rows, map[string]any{"t": t.Topic, "p": part.Partition, "n": thousands(part.Next - part.First), "first": part.First, "next": part.Next})
				}
			}
			return p.rows(rows, "", "TOPIC t, PARTITION p, RECORDS n, FIRST first, NEXT next", "there is none")
		})}

	var t tailing
	tail := &cobra.Command{Use: "tail TOPIC", Short: "Show a topic's last records; -f goes on with new ones", Args: cobra.ExactArgs(1),
		Long:    "Show a topic's last records, oldest first as the log took them. The time is that of the event.\nWith --from-beginning all of them; -f stays and shows new ones as they come.",
		Example: "  projectionist log tail user-events -n 5 -f\n  projectionist log tail mlops-events --from-beginning"}
	tail.PreRunE = func(*cobra.Command, []string) error {
		if t.n < 1 || t.n > recordsMax {
			return fmt.Errorf("-n: %d: want 1 to %d", t.n, recordsMax)
		}
		return nil
	}
	tail.RunE = p.asking(func(ctx context.Context, c *client, args []string) error {
		t.topic, t.bounded = args[0], tail.Flags().Changed("lines")
		return p.tail(ctx, c, t)
	})
	tail.Flags().BoolVar(&t.beginning, "from-beginning", false, "all records, or the first -n")
	tail.Flags().IntVar(&t.partition, "partition", -1, "only one partition")
	tail.Flags().IntVarP(&t.n, "lines", "n", 10, "how many of the last")
	tail.Flags().BoolVarP(&t.follow, "follow", "f", false, "show new records as they come")

	var g page
	show := &cobra.Command{Use: "show STREAM", Short: "Show what happened to one thing: a stream of the ledger", Args: cobra.ExactArgs(1),
		Example: "  projectionist log show model/" + exampleModel + "\n  projectionist log show deployment/production",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			segments := strings.Split(args[0], "/")
			for i := range segments {
				segments[i] = escape(segments[i])
			}
			raw, err := c.get(ctx, "/api/v1/log/streams/"+strings.Join(segments, "/"), g.query(nil))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			var res struct {
				Items []record
				Next  string `json:"next_cursor"`
			}
			if err := json.Unmarshal(raw, &res); err != nil {
				return fmt.Errorf("the answer cannot be read: %w", err)
			}
			p.heading("REV")
			for i := range res.Items {
				p.record(&res.Items[i], strconv.FormatInt(res.Items[i].Revision, 10))
			}
			if res.Next != "" {
				fmt.Fprintf(p.err, "there are more: add --cursor %s\n", res.Next)
			}
			return nil
		})}
	g.flags(show)
	return group("log", "Look at the log itself, or copy it", topics, tail, show, p.logCopyCommand(), p.acceptLossCommand())
}

type topic struct {
	Topic      string
	Partitions []struct {
		Partition int32
		First     int64 `json:"first_offset"`
		Next      int64 `json:"next_offset"`
	}
	Relay *struct {
		Copied, Behind int64
		Error          string
	}
}

func topicsOf(raw []byte) ([]topic, error) {
	var res struct{ Items []topic }
	err := decode(raw, &res)
	return res.Items, err
}

// record is a line of a topic.
type record struct {
	Position string
	Recorded string
	Time     string
	Type     string
	Revision int64
	Actor    string
	Cause    string
	Data     json.RawMessage
	Error    json.RawMessage // text: why the record cannot be read; an object: the problem that ends the stream
	Value    json.RawMessage

	line     []byte
	at       streams.Position
	recorded time.Time
}

func parseRecord(line []byte) (record, error) {
	r := record{line: append([]byte(nil), line...)}
	if err := json.Unmarshal(r.line, &r); err != nil {
		return r, fmt.Errorf("the answer has a line that cannot be read: %w", err)
	}
	if strings.HasPrefix(string(r.Error), "{") {
		var end api.Problem
		if err := json.Unmarshal(r.Error, &end); err != nil {
			return r, err
		}
		return r, &problem{end}
	}
	var err error
	if r.at, err = streams.ParsePosition(r.Position); err != nil {
		return r, err
	}
	r.recorded, err = time.Parse(time.RFC3339Nano, r.Recorded)
	return r, err
}

const recordFormat = "%-24s  %-26s  %-24s  %-18s  %-36s  %s\n"

func (p *program) heading(place string) {
	if !p.json {
		fmt.Fprintf(p.out, recordFormat, "TIME", place, "TYPE", "ACTOR", "CAUSE", "DATA")
	}
}

func (p *program) record(r *record, place string) {
	if p.json {
		fmt.Fprintf(p.out, "%s\n", visible(string(r.line)))
		return
	}
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return oneLine(s)
	}
	data := string(r.Data)
	if len(r.Error) > 0 {
		data = fmt.Sprintf("UNREADABLE: %s: %s", r.Error, r.Value)
	}
	fmt.Fprintf(p.out, recordFormat, or(r.Time), place, or(r.Type), or(r.Actor), or(r.Cause), or(data))
}

type tailing struct {
	topic     string
	partition int
	n         int
	bounded   bool // n was given
	beginning bool
	follow    bool
}

// span is a piece of one partition, [from, to).
type span struct {
	partition int32
	from, to  int64
}

func (p *program) tail(ctx context.Context, c *client, t tailing) error {
	raw, err := c.get(ctx, "/api/v1/log/topics", nil)
	if err != nil {
		return err
	}
	topics, err := topicsOf(raw)
	if err != nil {
		return err
	}
	var spans []span
	var names []string
	for _, one := range topics {
		names = append(names, one.Topic)
		for _, part := range one.Partitions {
			if one.Topic != t.topic || t.partition >= 0 && part.Partition != int32(t.partition) {
				continue
			}
			s := span{part.Partition, part.First, part.Next}
			if !t.beginning {
				s.from = max(s.from, s.to-int64(t.n))
			}
			spans = append(spans, s)
		}
	}
	if len(spans) == 0 {
		if t.partition >= 0 {
			return fmt.Errorf("there is no partition %d of topic %s: see `projectionist log topics`", t.partition, oneLine(t.topic))
		}
		return fmt.Errorf("there is no topic %s: there are %s", oneLine(t.topic), strings.Join(names, ", "))
	}
	p.heading("POSITION")
	var last []record
	printed := 0
	for r, err := range merged(ctx, c, t.topic, spans) {
		if err != nil {
			return err
		}
		if !t.beginning {
			if last = append(last, r); len(last) > 2*t.n {
				last = append(last[:0], last[len(last)-t.n:]...)
			}
			continue
		}
		p.record(&r, r.Position)
		if printed++; t.bounded && printed == t.n {
			break
		}
	}
	for i := max(0, len(last)-t.n); i < len(last); i++ {
		p.record(&last[i], last[i].Position)
	}
	if !t.follow {
		return nil
	}
	return p.followTopic(ctx, c, t.topic, spans)
}

// followTopic prints what comes after the spans until ctx ends, which is no error: it is how a tail ends.
func (p *program) followTopic(ctx context.Context, c *client, topic string, spans []span) error {
	fctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	errs := make(chan error, len(spans))
	for _, s := range spans {
		go func() {
			q := url.Values{"partition": {fmt.Sprint(s.partition)}, "from": {fmt.Sprint(s.to)}, "follow": {"true"}}
			errs <- c.lines(fctx, call{method: http.MethodGet, path: recordsPath(topic), query: q}, func(line []byte) error {
				r, err := parseRecord(line)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				p.record(&r, r.Position)
				return nil
			})
		}()
	}
	err := <-errs
	stop()
	for range len(spans) - 1 {
		<-errs
	}
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("the server has ended")
	}
	return err
}

func recordsPath(topic string) string { return "/api/v1/log/topics/" + escape(topic) + "/records" }

// merged yields the records of several partitions, oldest recorded first.
func merged(ctx context.Context, c *client, topic string, spans []span) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		type source struct {
			rec  record
			ok   bool
			next func() (record, error, bool)
		}
		sources := make([]source, len(spans))
		advance := func(i int) (err error) {
			sources[i].rec, err, sources[i].ok = sources[i].next()
			return err
		}
		for i, s := range spans {
			next, stop := iter.Pull2(partition(ctx, c, topic, s, recordsMax))
			defer stop()
			sources[i].next = next
			if err := advance(i); err != nil {
				yield(record{}, err)
				return
			}
		}
		for {
			oldest := -1
			for i := range sources {
				if sources[i].ok && (oldest < 0 || sources[i].rec.recorded.Before(sources[oldest].rec.recorded)) {
					oldest = i
				}
			}
			if oldest < 0 || !yield(sources[oldest].rec, nil) {
				return
			}
			if err := advance(oldest); err != nil {
				yield(record{}, err)
				return
			}
		}
	}
}

var errEnough = errors.New("enough")

// partition yields the records of a span, by as many requests of at most limit as it takes. An offset may
// hold several records: a commit's events; limit is above their number.
func partition(ctx context.Context, c *client, topic string, s span, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		from, had := s.from, 0 // had: how many of offset from were yielded
		for from < s.to {
			lines, skip := 0, had
			q := url.Values{"partition": {fmt.Sprint(s.partition)}, "from": {fmt.Sprint(from)}, "limit": {fmt.Sprint(limit)}}
			err := c.lines(ctx, call{method: http.MethodGet, path: recordsPath(topic), query: q}, func(line []byte) error {
				lines++
				r, err := parseRecord(line)
				if err != nil {
					return err
				}
				if r.at.Offset >= s.to {
					return errEnough
				}
				if r.at.Offset != from {
					from, had, skip = r.at.Offset, 0, 0
				}
				if skip > 0 {
					skip--
					return nil
				}
				had++
				if !yield(r, nil) {
					return errEnough
				}
				return nil
			})
			if err == errEnough {
				return
			}
			if err != nil {
				yield(record{}, err)
				return
			}
			if lines < limit {
				return
			}
		}
	}
}

// recordsIn counts the records of a cut, as far as offsets do.
func recordsIn(cut string) any {
	c, err := streams.ParseCut(cut)
	if err != nil {
		return nil
	}
	var n int64
	for _, next := range c {
		n += next
	}
	return thousands(n)
}
