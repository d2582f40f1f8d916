package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Report is what two logs have in common.
type Report struct {
	Cut        string      `json:"cut"`
	Partitions []Partition `json:"partitions"`
	Streams    int         `json:"streams"` // of the ledger
	Events     int64       `json:"events"`  // in the ledger's commits
}

// Partition is one of both logs.
type Partition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
	Holes     int64  `json:"holes"`  // offsets without a record
	Next      int64  `json:"next"`   // the offset after the last
	SHA256    string `json:"sha256"` // of offsets, recorded times and content, in order
}

// stream is one of the ledger's, summed.
type stream struct {
	next streams.Revision
	sum  [sha256.Size]byte // of the sum before and the commit
}

func (s *stream) add(r *record, events int) {
	h := sha256.New()
	h.Write(s.sum[:])
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], uint64(r.offset))
	binary.BigEndian.PutUint64(n[8:], uint64(r.millis))
	h.Write(n[:])
	h.Write(r.tail)
	h.Sum(s.sum[:0])
	s.next = r.revision + streams.Revision(events)
}

// Compare reads both logs up to a cut, side by side, and each stream of the copy's ledger. The error is
// fault.Corrupt where they differ, and names the first difference.
func Compare(ctx context.Context, from, to streams.Log, cut streams.Cut, progress Progress) (Report, error) {
	report := Report{Cut: cut.String()}
	var done, total int64
	for _, next := range cut {
		total += next
	}
	all := map[string]*stream{}
	for _, tp := range streams.PartitionsOf() {
		p, err := comparePartition(ctx, from, to, tp, cut[tp], all, func(next int64) { progress("comparing", done+next, total) })
		if err != nil {
			return report, err
		}
		done += cut[tp]
		report.Partitions = append(report.Partitions, p)
	}
	report.Streams = len(all)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if err := compareStream(ctx, to, name, cut[streams.TP{Topic: events.LedgerTopic}], all[name]); err != nil {
			return report, err
		}
		report.Events += int64(all[name].next)
		progress("comparing streams", int64(i+1), int64(len(names)))
	}
	return report, nil
}

func comparePartition(ctx context.Context, from, to streams.Log, tp streams.TP, end int64, all map[string]*stream, progress func(int64)) (Partition, error) {
	p := Partition{Topic: tp.Topic, Partition: tp.Partition, Next: end}
	sum := sha256.New()
	source, stopSource := iter.Pull2(read(ctx, from, tp, 0, end))
	defer stopSource()
	copied, stopCopied := iter.Pull2(read(ctx, to, tp, 0, end))
	defer stopCopied()
	for {
		x, err, okX := source()
		if err != nil {
			return p, err
		}
		y, err, okY := copied()
		if err != nil {
			return p, err
		}
		diff := ""
		switch {
		case !okX && !okY:
			p.Holes = end - p.Records
			p.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return p, nil
		case !okY:
			diff = "the source has " + at(tp, x.offset) + ", the copy has not"
		case !okX:
			diff = "the copy has " + at(tp, y.offset) + ", the source has not"
		default:
			diff = difference(tp, &x, &y)
		}
		if diff != "" {
			return p, fault.New(fault.Corrupt, "the copy is not equal to its source: %s", diff)
		}
		var n [20]byte
		binary.BigEndian.PutUint64(n[:], uint64(x.offset))
		binary.BigEndian.PutUint64(n[8:], uint64(x.millis))
		binary.BigEndian.PutUint32(n[16:], uint32(len(x.tail)))
		sum.Write(n[:])
		sum.Write(x.tail)
		if tp.Topic == events.LedgerTopic {
			s := all[x.stream]
			if s == nil {
				s = &stream{}
				all[x.stream] = s
			}
			if x.revision != s.next {
				return p, fault.New(fault.Corrupt, "%s begins at revision %d of stream %s, which ends before revision %d", at(tp, x.offset), x.revision, x.stream, s.next)
			}
			s.add(&x, x.events)
		}
		if p.Records++; p.Records%1024 == 0 {
			progress(x.offset + 1)
		}
	}
}

// compareStream reads a stream of the copy and compares it with what it is in the ledger.
func compareStream(ctx context.Context, to streams.Log, name string, end int64, want *stream) error {
	var have stream
	for c, err := range to.Ledger().ReadStream(ctx, name, 0) {
		if c == nil {
			return err
		}
		if c.Position.Offset >= end {
			break
		}
		r, err := commitRecord(c)
		if err != nil {
			return err
		}
		have.add(&record{offset: c.Position.Offset, millis: c.Recorded.UnixMilli(), revision: c.Revision, tail: streams.AppendTail(nil, &r)}, len(c.Events))
	}
	if have != *want {
		return fault.New(fault.Corrupt, "stream %s of the copy is not what its ledger says: it has %d events, want %d", name, have.next, want.next)
	}
	return nil
}

func at(tp streams.TP, offset int64) string { return streams.Position{TP: tp, Offset: offset}.String() }

// difference says how a record of the source differs from the copy's, "" if it does not.
func difference(tp streams.TP, x, y *record) string {
	switch {
	case x.offset < y.offset:
		return "the source has " + at(tp, x.offset) + ", the copy has not"
	case x.offset > y.offset:
		return "the copy has " + at(tp, y.offset) + ", the source has not"
	case x.millis != y.millis:
		stamp := func(millis int64) string { return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z") }
		return fmt.Sprintf("%s was recorded at %s, in the copy at %s", at(tp, x.offset), stamp(x.millis), stamp(y.millis))
	case !bytes.Equal(x.tail, y.tail):
		return fmt.Sprintf("%s has another content in the copy (%d bytes; in the source %d)", at(tp, x.offset), len(y.tail), len(x.tail))
	case x.revision != y.revision:
		return fmt.Sprintf("%s begins at revision %d of its stream, in the copy at %d", at(tp, x.offset), x.revision, y.revision)
	}
	return ""
}

// Grown is how many offsets the log has beyond a cut by now.
func Grown(ctx context.Context, log streams.Log, cut streams.Cut) (n int64, err error) {
	now, err := fold.HeadCut(ctx, log, time.Time{})
	if err != nil {
		return 0, err
	}
	for tp, next := range now {
		n += max(0, next-cut[tp])
	}
	return n, nil
}

// CompareViews folds all views from both logs up to a cut, in a folder of their own each, and compares
// their sums. The reports are the source's. The error is fault.Corrupt where views differ, and names them.
func CompareViews(ctx context.Context, from, to streams.Log, cut streams.Cut, scratch string, factories []fold.Factory, progress Progress) ([]fold.ViewReport, error) {
	source, err := foldViews(ctx, from, cut, filepath.Join(scratch, "source"), factories, func(done, total int64) { progress("folding views of the source", done, total) })
	if err != nil {
		return nil, fault.Wrap(fault.CodeOf(err), err, "the views of the source cannot be folded")
	}
	copied, err := foldViews(ctx, to, cut, filepath.Join(scratch, "copy"), factories, func(done, total int64) { progress("folding views of the copy", done, total) })
	if err != nil {
		return source, fault.Wrap(fault.CodeOf(err), err, "the views of the copy cannot be folded")
	}
	var differ []string
	for i := range source {
		source[i].Equal = source[i].SHA256 == copied[i].SHA256 && source[i].Cut == copied[i].Cut
		if !source[i].Equal {
			differ = append(differ, source[i].View)
		}
	}
	if len(differ) > 0 {
		return source, fault.New(fault.Corrupt, "views folded from the copy differ from those folded from the source: %v", differ)
	}
	return source, nil
}

func foldViews(ctx context.Context, log streams.Log, cut streams.Cut, dir string, factories []fold.Factory, progress func(done, total int64)) (_ []fold.ViewReport, err error) {
	if err := os.RemoveAll(dir); err != nil { // of a run that was cut short
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	store, err := fold.OpenStore(dir, fold.StoreOptions{CacheBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := store.Close(); err == nil {
			err = cerr
		}
	}()
	r, err := fold.NewRunner(ctx, log, store, factories...)
	if err != nil {
		return nil, err
	}
	if err := r.CatchUp(ctx, cut, progress); err != nil {
		return nil, err
	}
	return r.Hashes(ctx)
}

// Settled says of a log that cannot be filled, because it has records and is no unfinished copy, what it
// is to the source: nil where it ends where the source does, and can be compared. Else the error is
// fault.Conflict: it goes on by itself, or the source has gone on, or they are two logs.
func Settled(ctx context.Context, from, to streams.Log, progress Progress) (streams.Cut, error) {
	cut, err := fold.HeadCut(ctx, from, time.Time{})
	if err != nil {
		return nil, err
	}
	have, err := fold.HeadCut(ctx, to, time.Time{})
	if err != nil {
		return nil, err
	}
	var more int64
	common := streams.Cut{}
	for _, tp := range streams.PartitionsOf() {
		if have[tp] > cut[tp] {
			return nil, fault.New(fault.Conflict, "it has records of its own: %s ends at offset %d, the source's at %d", tp, have[tp], cut[tp]).
				WithHint("a log that is in use is not filled: copy into an empty place")
		}
		more += cut[tp] - have[tp]
		common[tp] = have[tp]
	}
	if more == 0 {
		return cut, nil
	}
	if _, err := Compare(ctx, from, to, common, progress); fault.Is(err, fault.Corrupt) {
		return nil, fault.New(fault.Conflict, "it is another log: %s", err.Error()).WithHint("copy into an empty place")
	} else if err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Conflict, "it is a finished copy, and the source has gone on since, by %d offsets: a finished copy is a log of its own and is not filled further", more).
		WithHint("copy anew, into an empty place")
}
