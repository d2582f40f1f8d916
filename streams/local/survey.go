package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Before a log is opened to be written to, it is looked at without changing anything: when Pebble opens a
// database, it deletes what it no longer needs by what it takes for the truth.

// Shortfall says that a log ends before what was acknowledged. It is in the chain of [Open]'s error.
type Shortfall struct {
	Missing []Missing
	// Bare is how many writes without a record are missing: offsets of consumer groups, ids of producers.
	Bare uint64
	dir  string
	wals []string // the files of the WAL that are there
	bare uint64   // the last that was acknowledged
}

// Missing are records of a partition that were acknowledged and are gone.
type Missing struct {
	streams.TP
	From, To int64 // offsets: the first one, and the one after the last
}

func (m Missing) String() string {
	return fmt.Sprintf("%s has %d of %d records (offsets %d to %d are missing)", m.TP, m.From, m.To, m.From, m.To-1)
}

func (s *Shortfall) Error() string {
	parts := make([]string, 0, len(s.Missing)+2)
	for _, m := range s.Missing {
		parts = append(parts, m.String())
	}
	if s.Bare > 0 {
		parts = append(parts, fmt.Sprintf("%d writes without a record are missing, such as offsets of consumer groups", s.Bare))
	}
	if len(s.wals) == 0 {
		parts = append(parts, "there is no write-ahead log (*.log)")
	} else {
		parts = append(parts, "see the end of its write-ahead log "+s.wals[len(s.wals)-1])
	}
	return strings.Join(parts, "; ")
}

func (s *Shortfall) fault() error {
	f := fault.New(fault.Corrupt, "the log in %s ends before what was acknowledged", s.dir).
		WithHint("restore the folder from a backup; or give up what is missing, for good, with `projectionist log accept-loss --reason WHY`")
	f.Err = s
	return f
}

// CanAccept says whether what is wrong with a log can be taken with Options.AcceptLoss: it ends before what was
// acknowledged, or cannot prove its end.
func CanAccept(err error) bool {
	var short *Shortfall
	return errors.As(err, &short) || errors.Is(err, errUnproven)
}

// survey opens the database to read only and looks whether it is whole: it goes as far as what was proven, if
// anything was, and each partition's tables follow one another. It gives what was found, and a shortfall where
// that is accepted; else it is the error.
func (l *Log) survey(proven *claim) (found claim, short *Shortfall, err error) {
	fsys := l.opts.FS
	dir := fsys.PathJoin(l.dir, pebbleDir)
	o := l.pebbleOptions()
	o.ReadOnly, o.Logger = true, readOnlyLogger{pebbleLogger{l}}
	db, err := openPebble(dir, o)
	if err != nil {
		return claim{}, nil, l.openError(err)
	}
	found, err = l.read(db)
	if err := errors.Join(err, db.Close()); err != nil {
		return claim{}, nil, err
	}
	if proven == nil {
		return found, nil, nil
	}
	if short = found.short(proven); short == nil {
		return found, nil, nil
	}
	short.dir = l.dir
	names, err := fsys.List(dir)
	if err != nil {
		return claim{}, nil, fault.Wrap(fault.Unavailable, err, "the log in %s cannot be read", l.dir)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			short.wals = append(short.wals, fsys.PathJoin(dir, name))
		}
	}
	if l.opts.AcceptLoss == "" {
		return claim{}, nil, short.fault()
	}
	return found, short, nil
}

// openError says why the database does not open.
func (l *Log) openError(err error) error {
	code := fault.Corrupt
	if damage.Unreadable(err) {
		code = fault.Unavailable
	}
	f := fault.New(code, "the log in %s cannot be opened", l.dir)
	f.Err = damage.Of(err)
	if code == fault.Corrupt {
		f.Hint = "restore the folder from a backup; nothing in it was touched"
	}
	return f
}

// read reads all that load will, and gives the log's ends.
func (l *Log) read(db *pebble.DB) (c claim, err error) {
	shapes, _, err := readTopics(db)
	if err != nil {
		return c, err
	}
	if err := checkShapes(shapes, l.opts.Topics); err != nil {
		return c, err
	}
	tables, err := db.SSTables()
	if err != nil {
		return c, readError(err, "the tables of the log in "+l.dir+" cannot be listed")
	}
	partitions := inOrder(newTopics(shapes))
	for _, p := range partitions {
		if err := p.recover(db); err != nil {
			return c, err
		}
		if err := p.checkJoints(db, tables); err != nil {
			return c, err
		}
		c.marks = append(c.marks, mark{p.TP, p.top})
	}
	if _, err := readLosses(db, partitions); err != nil {
		return c, err
	}
	if err := l.checkFilling(db); err != nil {
		return c, err
	}
	c.bare, err = readBare(db)
	return c, err
}

// short is what a log lacks of what was proven, or nil.
func (c *claim) short(proven *claim) *Shortfall {
	ends := map[streams.TP]int64{}
	for _, m := range c.marks {
		ends[m.TP] = m.end
	}
	s := &Shortfall{bare: proven.bare, Bare: proven.bare - min(c.bare, proven.bare)}
	for _, m := range proven.marks {
		if end := ends[m.TP]; end < m.end {
			s.Missing = append(s.Missing, Missing{m.TP, end, m.end})
		}
	}
	if s.Bare == 0 && len(s.Missing) == 0 {
		return nil
	}
	return s
}

// checkJoints looks whether there is a record behind each of the partition's tables, and at its beginning: a
// table or WAL that is gone from the middle would else be noticed only by who reads there.
func (p *partition) checkJoints(db *pebble.DB, levels [][]pebble.SSTableInfo) error {
	begins, ends := map[int64]bool{}, []int64{0}
	prefix := p.key(0)[:9]
	for _, level := range levels {
		for _, t := range level {
			low, high := t.Smallest.UserKey, t.Largest.UserKey
			if len(low) < len(prefix) || string(low[:len(prefix)]) != string(prefix) || len(high) < len(prefix) || string(high[:len(prefix)]) != string(prefix) {
				continue // of another partition, or of no one's: tables end between partitions
			}
			from, ok1 := parseOffsetOf(low)
			last, ok2 := parseOffsetOf(high)
			if !ok1 || !ok2 {
				return p.corrupt(0, errors.New("a table has a key that is no record's"))
			}
			begins[from], ends = true, append(ends, last+1)
		}
	}
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: p.key(0), UpperBound: recordSpanEnd(p.key(0))})
	if err != nil {
		return p.corrupt(0, err)
	}
	defer iter.Close()
	for _, end := range ends {
		if begins[end] || end == p.top {
			continue
		}
		if !iter.SeekGE(p.key(end)) {
			return p.corrupt(end, iter.Error())
		}
		if _, err := p.over(db, end, iter.Key()); err != nil {
			return err
		}
	}
	return nil
}

// readBare is the number of the last write without a record in the log.
func readBare(db pebble.Reader) (uint64, error) {
	v, closer, err := db.Get(bareKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, readError(err, "the number of the log's last write without a record cannot be read")
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fault.New(fault.Corrupt, "the number of the log's last write without a record has %d bytes; want 8", len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// readOnlyLogger is for a database that is only looked at: that it cannot be read is no reason to end the
// process.
type readOnlyLogger struct{ pebbleLogger }

func (readOnlyLogger) Fatalf(format string, args ...any) {
	panic(damage.Text(fmt.Sprintf(format, args...)))
}
