package trainset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// A file of facts:
//
//	magic    "PROJFACT" and the format, 2: another one whenever a fact is read from its record in another way
//	header   uint32 length, bytes, CRC-32C
//	  marks    uvarint number of partitions; each: uvarint next, last + 1, uint32 sum
//	  users, items, acts    uvarint number, texts of uvarint length and bytes, in order
//	facts    each: uvarint time less the one before (milliseconds), uvarint user, item, act, turn, uint64 id
//	end      uint64 number of facts, CRC-32C of the facts and this number
//
// Integers of fixed size are little-endian. Facts are in the order of fact.compare, none twice; those that do not count
// are there too, since what comes later may have them count.
const fileMagic = "PROJFACT\x02"

const (
	endBytes     = 8 + 4
	factBytesMin = 5 + 8
	factBytesMax = 5*binary.MaxVarintLen64 + 8
	bufferBytes  = 1 << 18
	tmpSuffix    = ".tmp"
)

// errDamaged is of a file that is not whole, or not of this log.
var errDamaged = errors.New("the file of facts is damaged, or of another log")

// writer writes a file. After the first error it does nothing, and finish returns it.
type writer struct {
	f     *os.File
	buf   []byte
	sum   uint32
	count int
	time  int64
	err   error
}

// create begins a file under a name of its own, in a folder that it makes. What earlier ones have left is removed.
func create(dir string, n *names, marks map[int32]mark) (*writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"+tmpSuffix))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	w := &writer{buf: make([]byte, 0, bufferBytes)}
	if w.f, err = os.CreateTemp(dir, "*"+tmpSuffix); err != nil {
		return nil, err
	}
	header := encodeHeader(n, marks)
	b := binary.LittleEndian.AppendUint32([]byte(fileMagic), uint32(len(header)))
	b = append(b, header...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(header, castagnoli))
	_, w.err = w.f.Write(b)
	return w, nil
}

func encodeHeader(n *names, marks map[int32]mark) []byte {
	b := binary.AppendUvarint(nil, uint64(len(marks)))
	for p := range int32(len(marks)) {
		m := marks[p]
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(m.next)), uint64(m.last+1))
		b = binary.LittleEndian.AppendUint32(b, m.sum)
	}
	for _, list := range [][]string{n.users, n.items, n.acts} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, s := range list {
			b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
	}
	return b
}

// tee writes the facts that pass.
func (w *writer) tee(facts iter.Seq2[*fact, bool]) iter.Seq2[*fact, bool] {
	return func(yield func(*fact, bool) bool) {
		for f, counts := range facts {
			w.add(f)
			if !yield(f, counts) {
				return
			}
		}
	}
}

func (w *writer) add(f *fact) {
	if cap(w.buf)-len(w.buf) < factBytesMax {
		w.flush()
	}
	b := binary.AppendUvarint(w.buf, uint64(f.time)-uint64(w.time))
	b = binary.AppendUvarint(b, uint64(f.user))
	b = binary.AppendUvarint(b, uint64(f.item))
	b = binary.AppendUvarint(b, uint64(f.act))
	b = binary.AppendUvarint(b, uint64(f.turn))
	w.buf = binary.LittleEndian.AppendUint64(b, f.id)
	w.time = f.time
	w.count++
}

func (w *writer) flush() {
	if w.err == nil {
		w.sum = crc32.Update(w.sum, castagnoli, w.buf)
		_, w.err = w.f.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// finish ends the file and gives it its name.
func (w *writer) finish(path string) error {
	w.flush()
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(w.count))
	w.flush()
	if w.err == nil {
		_, w.err = w.f.Write(binary.LittleEndian.AppendUint32(nil, w.sum))
	}
	if err := errors.Join(w.err, w.f.Close()); err != nil {
		return errors.Join(err, os.Remove(w.f.Name()))
	}
	return os.Rename(w.f.Name(), path)
}

// abandon removes what was written; w may be nil.
func (w *writer) abandon() {
	if w != nil {
		w.f.Close()
		os.Remove(w.f.Name()) //nolint:errcheck // the next file removes it
	}
}

// file reads one. The zero value has nothing in it.
type file struct {
	path  string
	names names
	marks map[int32]mark
	count int
	err   error // after all facts were read: whether they are to be believed

	f     *os.File
	end   []byte // of the file: number and sum
	left  int64  // bytes of facts not yet in buf
	buf   []byte
	sum   uint32
	given int // facts
	time  int64
	// By the file's numbers, those of the names that are asked for.
	users, items, acts []int32
	fact               fact
}

// open reads all but the facts. The error is errDamaged, also of a file that cannot be read: there is the log. It is to be
// closed in any case.
func open(path string) (*file, error) {
	r := &file{path: path, marks: map[int32]mark{}}
	var err error
	if r.f, err = os.Open(path); err != nil {
		return r, errDamaged
	}
	info, err := r.f.Stat()
	if err != nil {
		return r, errDamaged
	}
	start := make([]byte, len(fileMagic)+4)
	if _, err := io.ReadFull(r.f, start); err != nil || !bytes.HasPrefix(start, []byte(fileMagic)) {
		return r, errDamaged
	}
	n := int64(binary.LittleEndian.Uint32(start[len(fileMagic):]))
	if r.left = info.Size() - int64(len(start)) - n - 4 - endBytes; r.left < 0 {
		return r, errDamaged
	}
	header := make([]byte, n+4)
	if _, err := io.ReadFull(r.f, header); err != nil {
		return r, errDamaged
	}
	r.end = make([]byte, endBytes)
	if _, err := r.f.ReadAt(r.end, info.Size()-endBytes); err != nil {
		return r, errDamaged
	}
	count := binary.LittleEndian.Uint64(r.end)
	if crc32.Checksum(header[:n], castagnoli) != binary.LittleEndian.Uint32(header[n:]) || count > uint64(r.left)/factBytesMin {
		return r, errDamaged
	}
	r.count = int(count)
	r.decodeHeader(header[:n])
	return r, nil
}

// decodeHeader reads what encodeHeader wrote: its sum says so.
func (r *file) decodeHeader(b []byte) {
	number := func() int {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return int(v)
	}
	for p := range int32(number()) {
		m := mark{next: int64(number()), last: int64(number()) - 1}
		m.sum, b = binary.LittleEndian.Uint32(b), b[4:]
		r.marks[p] = m
	}
	for _, list := range []*[]string{&r.names.users, &r.names.items, &r.names.acts} {
		*list = make([]string, number())
		for i := range *list {
			n := number()
			(*list)[i], b = string(b[:n]), b[n:]
		}
	}
}

func (r *file) close() {
	if r.f != nil {
		r.f.Close()
	}
}

// source gives the facts by names that hold the file's.
func (r *file) source(n *names) source {
	r.users, r.items, r.acts = places(r.names.users, n.users), places(r.names.items, n.items), places(r.names.acts, n.acts)
	return r
}

func (r *file) next() *fact {
	if r.given == r.count {
		r.finish()
		return nil
	}
	if len(r.buf) < factBytesMax && r.left > 0 {
		r.fill()
	}
	b := r.buf
	r.time = int64(uint64(r.time) + take(&b))
	user, item, act, turn := take(&b), take(&b), take(&b), take(&b)
	if r.err != nil || len(b) < 8 || user >= uint64(len(r.users)) || item >= uint64(len(r.items)) || act >= uint64(len(r.acts)) || turn >= fresh {
		r.fail(errDamaged)
		return nil
	}
	r.fact = fact{r.time, binary.LittleEndian.Uint64(b), r.users[user], r.items[item], r.acts[act], uint32(turn)}
	r.buf = b[8:]
	r.given++
	return &r.fact
}

// take reads a number; one that does not read takes all there is.
func take(b *[]byte) uint64 {
	if s := *b; len(s) > 0 && s[0] < 0x80 {
		*b = s[1:]
		return uint64(s[0])
	}
	v, n := binary.Uvarint(*b)
	if n <= 0 {
		*b = nil
		return 0
	}
	*b = (*b)[n:]
	return v
}

// fill reads on.
func (r *file) fill() {
	rest := len(r.buf)
	buf := make([]byte, min(int64(bufferBytes), int64(rest)+r.left))
	copy(buf, r.buf)
	_, err := io.ReadFull(r.f, buf[rest:])
	if err != nil {
		r.fail(errDamaged)
		return
	}
	r.sum = crc32.Update(r.sum, castagnoli, buf[rest:])
	r.left -= int64(len(buf) - rest)
	r.buf = buf
}

// finish sees that all that was read is what was written.
func (r *file) finish() {
	if r.f == nil || r.err != nil {
		return
	}
	if len(r.buf) > 0 || r.left > 0 || crc32.Update(r.sum, castagnoli, r.end[:8]) != binary.LittleEndian.Uint32(r.end[8:]) {
		r.fail(errDamaged)
	}
}

func (r *file) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.given, r.buf, r.left = r.count, nil, 0
}
