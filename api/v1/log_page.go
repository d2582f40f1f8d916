package v1

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// recordFilter keeps the events that fit every field that is set.
type recordFilter struct {
	kind   string // its type
	stream string // or the subject of a fact; one that ends with a slash is how it begins
	actor  string
	word   string // somewhere in the key, stream or data, in lower case
}

func filterOf(q *api.Query) recordFilter {
	return recordFilter{kind: q.Str("type"), stream: q.Str("stream"), actor: q.Str("actor"), word: strings.ToLower(q.Str("q"))}
}

func (f *recordFilter) keeps(rec *record) (bool, error) {
	of := rec.Stream + rec.Subject // it has one of them
	switch {
	case f.kind != "" && rec.Type != f.kind,
		f.actor != "" && rec.Actor != f.actor,
		f.stream != "" && of != f.stream && !(strings.HasSuffix(f.stream, "/") && strings.HasPrefix(of, f.stream)):
		return false, nil
	case f.word == "" || strings.Contains(strings.ToLower(rec.Key), f.word) || strings.Contains(strings.ToLower(of), f.word):
		return true, nil
	}
	said, err := api.EncodeJSON([]any{rec.Data, rec.Value})
	return strings.Contains(strings.ToLower(string(said)), f.word), err
}

// recordsPage is a piece of a topic's events. ScannedTo is a cut: what has been looked at lies before it, or, with the newest first, behind
// it. A page may end before its limit where little fits.
type recordsPage struct {
	Items     []json.RawMessage `json:"items"`
	Next      string            `json:"next_cursor,omitempty"`
	ScannedTo string            `json:"scanned_to"`
	Scanned   int               `json:"scanned"` // events looked at
}

// recordsPage answers with a page, the newest first or the oldest. from= is the offset of the first that is looked at.
func (s *Surface) recordsPage(w http.ResponseWriter, r *http.Request, q *api.Query, a *recordsAsked, newest bool) error {
	cursor := q.Str("cursor")
	a.tails = fromOffsets(q, a.topic, a.head, newest) // without from, the newest first begin at the end
	if a.limit > recordsPageMax {
		q.Fault("limit", "is %d; the most of a page is %d", a.limit, recordsPageMax)
	}
	if cursor != "" && q.Str("from") != "" {
		q.Fault("from", "cannot be combined with cursor, which says where to go on")
	}
	at, err := streams.ParseCut(cursor)
	if err != nil {
		q.Add(badCursor())
	}
	if err := q.Err(); err != nil {
		return err
	}
	for i := range a.tails {
		t := &a.tails[i]
		if from := q.Str("from"); newest && from != "" && from != "end" && from != "beginning" {
			t.next++ // that one is looked at
		}
		if cursor != "" {
			next, ok := at[t.tp]
			if !ok {
				return badCursor()
			}
			t.next = next
		}
		t.next = min(t.next, a.head[t.tp])
	}
	if len(at) > len(a.tails) {
		return badCursor()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	page, err := s.pageOf(ctx, a, newest)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, page)
}

func badCursor() error {
	return fault.Field("cursor", "is not one that this list gave out").WithHint("leave it out to start at the beginning")
}

// pageOf looks through the partitions, merged by recorded time, from where each goes on. It ends between records: a commit's events are on one page.
func (s *Surface) pageOf(ctx context.Context, a *recordsAsked, newest bool) (*recordsPage, error) {
	log := fold.UpTo(s.Log, a.head)
	sources := make([]source, len(a.tails))
	for i, t := range a.tails {
		all := read(ctx, log, t.tp, t.next)
		if newest {
			all = readBack(ctx, log, t.tp, t.next)
		}
		next, stop := iter.Pull2(all)
		defer stop()
		sources[i].next = next
		if err := sources[i].advance(); err != nil {
			return nil, err
		}
	}
	page, size := &recordsPage{Items: []json.RawMessage{}}, 0
	for {
		first := -1
		for i := range sources {
			if sources[i].ok && (first < 0 || (!newest && sources[i].rec.recorded.Before(sources[first].rec.recorded)) || (newest && sources[i].rec.recorded.After(sources[first].rec.recorded))) {
				first = i
			}
		}
		full := int64(len(page.Items)) >= a.limit || page.Scanned >= recordsScanMax || size >= commitsBytesMax
		cut := streams.Cut{}
		if full || first < 0 {
			for _, t := range a.tails {
				cut[t.tp] = t.next
			}
			page.ScannedTo = cut.String()
			if first >= 0 {
				page.Next = page.ScannedTo
			}
			return page, ctx.Err()
		}
		from := &sources[first]
		for offset := from.rec.offset; from.ok && from.rec.offset == offset; {
			page.Scanned++
			keeps, err := a.filter.keeps(&from.rec)
			if err != nil {
				return nil, err
			}
			if keeps {
				raw, err := api.EncodeJSON(&from.rec)
				if err != nil {
					return nil, err
				}
				page.Items = append(page.Items, raw)
				size += len(raw)
			}
			if a.tails[first].next = offset; !newest {
				a.tails[first].next++
			}
			if err := from.advance(); err != nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// readBack yields a partition's events from before an offset down to the first: of a commit the last event first. It reads a few records at a
// time, more where they are small.
func readBack(ctx context.Context, log streams.Log, tp streams.TP, before int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for n := int64(16); before > 0; {
			from := max(before-n, 0)
			var some []record
			size, fits := 0, true
			for rec, err := range read(ctx, log, tp, from) {
				if err != nil {
					yield(record{}, err)
					return
				}
				if rec.offset >= before {
					break
				}
				if size += rec.bytes; size > recordsBackBytes && before-from > 1 {
					fits = false
					break
				}
				some = append(some, rec)
			}
			if !fits { // these are larger than those before them
				n = max((before-from)/4, 1)
				continue
			}
			for _, rec := range slices.Backward(some) {
				if !yield(rec, nil) {
					return
				}
			}
			before = from
			if n = min(2*n, recordsBackMax); size > recordsBackBytes/2 {
				n = max(n/4, 1)
			}
		}
	}
}
