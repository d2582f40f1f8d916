package spill

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"io"
	"os"
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
)

// blockBytes is what memory is taken by.
const blockBytes = 256 << 10

// Sorter sorts records by their bytes, more than fit memory: sorted runs go to one file on the disk and are merged
// when they are read. Records of the same bytes are all kept. Its methods are not safe for concurrent use.
type Sorter struct {
	dir    string
	memory int // bytes

	// The records in memory: each its length and its bytes, in blocks that are used again after a run.
	blocks [][]byte
	used   int // blocks with records
	held   int // bytes of those
	index  []place

	f    *os.File
	runs []run
	next int64 // where the next run begins in f
	out  *merge
}

// place is where a record is, with the first bytes of it, which nearly always decide the order.
type place struct {
	prefix    uint64
	block, at uint32
}

const placeBytes = 16

// run is a piece of the file.
type run struct{ from, size int64 }

// NewSorter makes one that takes some memory, twice blockBytes or the longest record at least, and scratch files in
// dir, which is made when it is needed and missing.
func NewSorter(dir string, memory int) *Sorter {
	return &Sorter{dir: dir, memory: max(memory, 2*blockBytes)}
}

// Add takes a record, and keeps a copy. It may not follow Next.
func (s *Sorter) Add(record []byte) error {
	size, more := len(record)+binary.MaxVarintLen32, 0
	if s.used == 0 || len(s.blocks[s.used-1])+size > cap(s.blocks[s.used-1]) {
		more = max(blockBytes, size)
	}
	if s.used > 0 && s.held+more+(len(s.index)+1)*placeBytes > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
		more = max(blockBytes, size)
	}
	if more > 0 {
		s.block(more)
	}
	b := &s.blocks[s.used-1]
	s.index = append(s.index, place{prefixOf(record), uint32(s.used - 1), uint32(len(*b))})
	*b = append(binary.AppendUvarint(*b, uint64(len(record))), record...)
	return nil
}

// block begins another one.
func (s *Sorter) block(size int) {
	if s.used == len(s.blocks) {
		s.blocks = append(s.blocks, nil)
	}
	if cap(s.blocks[s.used]) < size {
		s.blocks[s.used] = make([]byte, 0, size)
	}
	s.blocks[s.used] = s.blocks[s.used][:0]
	s.held += cap(s.blocks[s.used])
	s.used++
}

func prefixOf(record []byte) uint64 {
	if len(record) >= 8 {
		return binary.BigEndian.Uint64(record)
	}
	var b [8]byte
	copy(b[:], record)
	return binary.BigEndian.Uint64(b[:])
}

func (s *Sorter) record(p place) []byte {
	b := s.blocks[p.block][p.at:]
	size, n := binary.Uvarint(b)
	return b[n : n+int(size)]
}

func (s *Sorter) sort() {
	slices.SortFunc(s.index, func(a, b place) int {
		switch {
		case a.prefix < b.prefix:
			return -1
		case a.prefix > b.prefix:
			return 1
		}
		return bytes.Compare(s.record(a), s.record(b))
	})
}

// spill writes what is in memory as a run.
func (s *Sorter) spill() (err error) {
	if s.f == nil {
		if s.f, err = create(s.dir); err != nil {
			return err
		}
	}
	s.sort()
	out := bufio.NewWriterSize(io.NewOffsetWriter(s.f, s.next), readBytes)
	from := s.next
	var length [binary.MaxVarintLen32]byte
	for _, p := range s.index {
		record := s.record(p)
		n := binary.PutUvarint(length[:], uint64(len(record)))
		out.Write(length[:n]) //nolint:errcheck // Flush gives the first error
		out.Write(record)     //nolint:errcheck
		s.next += int64(n + len(record))
	}
	s.runs = append(s.runs, run{from, s.next - from})
	s.index, s.used, s.held = s.index[:0], 0, 0
	return unwritable(s.dir, out.Flush())
}

// Next gives the records in order, then io.EOF. A record is valid until the next one.
func (s *Sorter) Next() ([]byte, error) {
	if s.out == nil {
		if err := s.read(); err != nil {
			return nil, err
		}
	}
	if s.f == nil {
		if len(s.index) == 0 {
			return nil, io.EOF
		}
		p := s.index[0]
		s.index = s.index[1:]
		return s.record(p), nil
	}
	return s.out.next()
}

func (s *Sorter) read() error {
	s.out = &merge{}
	if s.f == nil {
		s.sort()
		return nil
	}
	if len(s.index) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.blocks, s.index = nil, nil
	for _, r := range s.runs {
		h := &head{in: bufio.NewReaderSize(io.NewSectionReader(s.f, r.from, r.size), readBytes)}
		if err := h.advance(); err != nil {
			return err
		}
		s.out.heads = append(s.out.heads, h)
	}
	heap.Init(s.out)
	return nil
}

// Bytes is what has gone to the disk.
func (s *Sorter) Bytes() int64 { return s.next }

// Close frees what it holds. It may be called again.
func (s *Sorter) Close() error {
	f := s.f
	s.blocks, s.index, s.out, s.f = nil, nil, nil, nil
	return discard(f)
}

// merge is the runs by their first records.
type merge struct {
	heads []*head
	given bool // the first one's record was given out
}

func (m *merge) next() ([]byte, error) {
	if m.given {
		switch err := m.heads[0].advance(); {
		case err == io.EOF:
			heap.Pop(m)
		case err != nil:
			return nil, err
		default:
			heap.Fix(m, 0)
		}
		m.given = false
	}
	if len(m.heads) == 0 {
		return nil, io.EOF
	}
	m.given = true
	return m.heads[0].record, nil
}

func (m *merge) Len() int           { return len(m.heads) }
func (m *merge) Less(i, k int) bool { return bytes.Compare(m.heads[i].record, m.heads[k].record) < 0 }
func (m *merge) Swap(i, k int)      { m.heads[i], m.heads[k] = m.heads[k], m.heads[i] }
func (m *merge) Push(x any)         { m.heads = append(m.heads, x.(*head)) }
func (m *merge) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// head is a run that is being read.
type head struct {
	in     *bufio.Reader
	record []byte
}

// advance reads the run's next record, io.EOF after the last.
func (h *head) advance() error {
	size, err := binary.ReadUvarint(h.in)
	if err == io.EOF {
		return io.EOF
	}
	if err == nil {
		h.record = slices.Grow(h.record[:0], int(size))[:size]
		_, err = io.ReadFull(h.in, h.record)
	}
	return fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
}
