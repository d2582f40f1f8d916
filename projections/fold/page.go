package fold

import (
	"bytes"
	"encoding/base64"

	"github.com/projectionist/projectionist/internal/fault"
)

const (
	// PageLimitMax keeps a page of the largest documents (runs with hundreds of metrics) at a few megabytes.
	PageLimitMax = 1000
	// pageScanMax bounds the entries one page looks at when a filter lets few through: about 50 ms. A
	// page cut short by it has fewer items than its limit, and a cursor.
	pageScanMax = 20_000
	// pageBytesMax is what a page's items may take as they are stored: one may take a megabyte, such as a record in
	// quarantine or a definitions file. A page that comes so far ends, with a cursor.
	pageBytesMax = 4 << 20
)

// PageQuery asks for a piece of a list.
type PageQuery struct {
	Cursor string // where the last page ended, its Next; "" is the start
	Limit  int    // 1..PageLimitMax; 0 is PageLimitMax
	// Lo and Hi bound the entries of the list that are looked at: lo <= key < hi. nil is no bound.
	Lo, Hi Key
}

// Page is a piece of a list. Next is the cursor of the next one, "" at the end; a page may hold fewer
// items than asked for, even none, and still have a next one.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor,omitempty"`
}

// Size is the most items of the page. The error is fault.Invalid.
func (q PageQuery) Size() (int, error) {
	switch {
	case q.Limit == 0:
		return PageLimitMax, nil
	case q.Limit < 0 || q.Limit > PageLimitMax:
		return 0, fault.Field("limit", "is %d; want 1 to %d", q.Limit, PageLimitMax)
	}
	return q.Limit, nil
}

// within is the key a cursor stands for, nil for none; it must lie in the list it is used on.
func (q PageQuery) within(prefix Key) ([]byte, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	key, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || !bytes.HasPrefix(key, prefix) {
		return nil, fault.Field("cursor", "is not one that this list gave out").WithHint("leave it out to start at the beginning")
	}
	return key, nil
}

func PageCursor(key []byte) string { return base64.RawURLEncoding.EncodeToString(key) }

// sized counts the bytes of what is read.
type sized struct {
	Reader
	bytes int
}

func (s *sized) Get(key []byte) ([]byte, bool, error) {
	v, ok, err := s.Reader.Get(key)
	s.bytes += len(v)
	return v, ok, err
}

// Paginate reads a piece of the entries under a prefix, from the end if back. load turns an entry into an
// item, or passes it over; what it reads for that it reads with r, so that a page's bytes are counted.
func Paginate[T any](r Reader, prefix Key, back bool, q PageQuery, load func(r Reader, kv KV) (item T, ok bool, err error)) (Page[T], error) {
	p := Page[T]{Items: []T{}}
	limit, err := q.Size()
	if err != nil {
		return p, err
	}
	after, err := q.within(prefix)
	if err != nil {
		return p, err
	}
	lo, hi, scan := []byte(prefix), prefix.End(), r.Scan
	if back {
		scan = r.ScanBack
	}
	if bytes.Compare(q.Lo, lo) > 0 {
		lo = q.Lo
	}
	if q.Hi != nil && bytes.Compare(q.Hi, hi) < 0 {
		hi = q.Hi
	}
	switch {
	case after != nil && back:
		hi = after
	case after != nil:
		lo = append(after, 0)
	}
	var last []byte
	seen, size, in := 0, 0, &sized{Reader: r}
	for kv, err := range scan(lo, hi) {
		if err != nil {
			return p, err
		}
		if len(p.Items) == limit || seen == pageScanMax || size >= pageBytesMax {
			p.Next = PageCursor(last)
			break
		}
		seen++
		last = append(last[:0], kv.Key...)
		in.bytes = len(kv.Value)
		item, ok, err := load(in, kv)
		if err != nil {
			return p, err
		}
		if ok {
			p.Items = append(p.Items, item)
			size += in.bytes
		}
	}
	return p, nil
}
