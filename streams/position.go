package streams

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// TP names one partition of one topic.
type TP struct {
	Topic     string
	Partition int32
}

func (tp TP) String() string { return tp.Topic + "/" + strconv.Itoa(int(tp.Partition)) }

// Position names one record of the log, as "topic/partition@offset". A command answers with one;
// a query waits for it with after=.
//
// Offsets grow within a partition but may have holes (Kafka's control records): never count with them.
type Position struct {
	TP
	Offset int64
}

func (p Position) String() string { return p.TP.String() + "@" + strconv.FormatInt(p.Offset, 10) }

// Cut is a state of the whole log: for each partition the offset of the first record that is NOT in it.
// A data set, a model version and a view's cursor are pinned by a cut, never by a time.
type Cut map[TP]int64

// String is canonical: "topic/partition:next" sorted by topic and partition, joined with commas.
func (c Cut) String() string {
	tps := c.Partitions()
	var b strings.Builder
	for i, tp := range tps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", tp, c[tp])
	}
	return b.String()
}

// Partitions are the cut's partitions in canonical order.
func (c Cut) Partitions() []TP {
	tps := make([]TP, 0, len(c))
	for tp := range c {
		tps = append(tps, tp)
	}
	sort.Slice(tps, func(i, j int) bool {
		if tps[i].Topic != tps[j].Topic {
			return tps[i].Topic < tps[j].Topic
		}
		return tps[i].Partition < tps[j].Partition
	})
	return tps
}

// Covers says whether the record at p is in the cut.
func (c Cut) Covers(p Position) bool { return p.Offset < c[p.TP] }

// Include widens the cut so that it covers p.
func (c Cut) Include(p Position) {
	if c[p.TP] <= p.Offset {
		c[p.TP] = p.Offset + 1
	}
}

// Clone is a copy that shares nothing.
func (c Cut) Clone() Cut {
	d := make(Cut, len(c))
	for tp, n := range c {
		d[tp] = n
	}
	return d
}

// ParsePosition reads "topic/partition@offset".
func ParsePosition(s string) (Position, error) {
	tp, off, err := parseTP(s, '@')
	return Position{tp, off}, err
}

// ParseCut reads what [Cut.String] writes. The empty string is the empty cut: nothing has happened.
func ParseCut(s string) (Cut, error) {
	c := Cut{}
	if s == "" {
		return c, nil
	}
	for _, part := range strings.Split(s, ",") {
		tp, off, err := parseTP(part, ':')
		if err != nil {
			return nil, err
		}
		if _, dup := c[tp]; dup {
			return nil, fmt.Errorf("cut %q names %s twice", s, tp)
		}
		c[tp] = off
	}
	return c, nil
}

func parseTP(s string, sep byte) (TP, int64, error) {
	bad := func() (TP, int64, error) {
		return TP{}, 0, fmt.Errorf("position %q: want topic/partition%coffset, such as mlops-events/0%c12", s, sep, sep)
	}
	i, j := strings.LastIndexByte(s, '/'), strings.LastIndexByte(s, sep)
	if i <= 0 || j < i {
		return bad()
	}
	p, err := strconv.ParseInt(s[i+1:j], 10, 32)
	if err != nil || p < 0 {
		return bad()
	}
	off, err := strconv.ParseInt(s[j+1:], 10, 64)
	if err != nil || off < 0 {
		return bad()
	}
	return TP{s[:i], int32(p)}, off, nil
}
