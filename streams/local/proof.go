package local

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// The log's proof of its own end (docs/adr/0011): the file END says how far the log goes that was acknowledged.
// It lies outside of Pebble, to which the damaged end of a WAL, or a WAL or table that is gone, looks like the
// place where writing ended.
//
// END has two slots of the same size, each a multiple of proofPage:
//
//	| "pjct-end" 8 | generation 8 | bare writes 8 | partitions 4 | of each: topic length 2, topic, partition 4, |
//	| end 8 | CRC-32C 4 of all before it
//
// Integers are big-endian. The whole slot with the higher generation counts; the other one is written next, so
// that a write that was cut short leaves the one before it. A bare write is one without a record, such as consumer
// groups' offsets; its number stands in Pebble too, under the key e, in the same batch.
//
// A slot is written when the WAL has been synced up to a group commit and before any of its callers is answered, so
// it never promises what is not durable. It is in the operating system's hands then, and outlives the process;
// it is synced within proofSyncAfter, and outlives a power cut from then on.
const (
	proofFile  = "END"
	proofTemp  = "END.new"
	proofMagic = "pjct-end"
	proofPage  = 4096
	proofHead  = 28 // bytes before the partitions
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark is an end that was acknowledged.
type mark struct {
	streams.TP
	end int64 // offset after the last record
}

// claim is what a slot says.
type claim struct {
	generation uint64
	bare       uint64 // number of the last write without a record
	marks      []mark
}

func appendClaim(b []byte, c *claim) []byte {
	start := len(b)
	b = append(b, proofMagic...)
	b = binary.BigEndian.AppendUint64(b, c.generation)
	b = binary.BigEndian.AppendUint64(b, c.bare)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.marks)))
	for i := range c.marks {
		m := &c.marks[i]
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Topic)))
		b = append(b, m.Topic...)
		b = binary.BigEndian.AppendUint32(b, uint32(m.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(m.end))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseClaim reads a slot; what is behind the claim does not matter.
func parseClaim(b []byte) (c claim, ok bool) {
	all := b
	if len(b) < proofHead || string(b[:8]) != proofMagic {
		return c, false
	}
	c.generation, c.bare = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	n := binary.BigEndian.Uint32(b[24:])
	b = b[proofHead:]
	for ; n > 0; n-- {
		if len(b) < 2 {
			return c, false
		}
		topic := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; len(b) < topic+12 {
			return c, false
		}
		m := mark{TP: streams.TP{Topic: string(b[:topic]), Partition: int32(binary.BigEndian.Uint32(b[topic:]))}, end: int64(binary.BigEndian.Uint64(b[topic+4:]))}
		if m.Partition < 0 || m.end < 0 {
			return c, false
		}
		c.marks = append(c.marks, m)
		b = b[topic+12:]
	}
	return c, len(b) >= 4 && crc32.Checksum(all[:len(all)-len(b)], castagnoli) == binary.BigEndian.Uint32(b)
}

// errUnproven is wrapped by the error of a log whose END is gone or damaged.
var errUnproven = errors.New("how far it went is not known")

func unproven(dir, what string, cause error) error {
	f := fault.New(fault.Corrupt, "%s of the log in %s %s, which says how far the log went that was acknowledged", proofFile, dir, what).
		WithHint("restore the folder from a backup; or go on with what is there, for good, with `projectionist log accept-loss --reason WHY`")
	f.Err = errors.Join(errUnproven, cause)
	return f
}

// readProof reads the folder's END. The error is fault.Corrupt, and errUnproven, where it is gone, which is
// fs.ErrNotExist too, or neither slot is whole.
func readProof(fsys vfs.FS, dir string) (claim, error) {
	b, err := readFile(fsys, fsys.PathJoin(dir, proofFile))
	if errors.Is(err, fs.ErrNotExist) {
		return claim{}, unproven(dir, "is gone", err)
	}
	if err != nil {
		return claim{}, fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be read", proofFile, dir)
	}
	var best claim
	found := false
	for half := range 2 {
		slot := b[half*len(b)/2:]
		if half == 0 {
			slot = b[:len(b)/2]
		}
		if c, ok := parseClaim(slot); ok && (!found || c.generation > best.generation) {
			best, found = c, true
		}
	}
	if !found {
		return claim{}, unproven(dir, "is damaged", nil)
	}
	return best, nil
}

// proof writes END while the log is open.
type proof struct {
	fail func(error) // told when END cannot be synced

	mu     sync.Mutex
	file   vfs.File
	slot   int64 // bytes of one
	buf    []byte
	now    claim  // written last
	group  uint64 // number of the group that was claimed last
	dirty  bool   // a sync is due
	timer  *time.Timer
	syncMu sync.Mutex // held while it is synced or closed
}

// newProof makes END anew, whole or not at all, with what stands in the log.
func newProof(fsys vfs.FS, dir string, c claim, fail func(error)) (*proof, error) {
	c.generation = 1
	p := &proof{fail: fail, now: c}
	p.buf = appendClaim(nil, &c)
	p.slot = int64((len(p.buf) + proofPage - 1) / proofPage * proofPage)
	path, temp := fsys.PathJoin(dir, proofFile), fsys.PathJoin(dir, proofTemp)
	err := func() error {
		f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		b := make([]byte, 2*p.slot)
		copy(b, p.buf)
		if _, err = f.Write(b); err == nil {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := errors.Join(fsys.Rename(temp, path), syncDir(fsys, dir)); err != nil {
			return err
		}
		p.file, err = fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		return err
	}()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be written", proofFile, dir)
	}
	return p, nil
}

// claim says that the log is durable up to a group, counted since it was opened, with which it has so many bare
// writes and its partitions end at these offsets, in the order of the marks. A group below one that was claimed is
// claimed with it.
func (p *proof) claim(group, bare uint64, ends []int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if group <= p.group {
		return nil
	}
	p.group = group
	p.now.generation++
	p.now.bare = bare
	for i := range p.now.marks {
		p.now.marks[i].end = ends[i]
	}
	p.buf = appendClaim(p.buf[:0], &p.now)
	at := int64(p.now.generation+1) % 2 * p.slot // generation 1 stands in the first slot
	if _, err := p.file.WriteAt(p.buf, at); err != nil {
		return err
	}
	if !p.dirty {
		p.dirty = true
		if p.timer == nil {
			p.timer = time.AfterFunc(proofSyncAfter, p.sync)
		} else {
			p.timer.Reset(proofSyncAfter)
		}
	}
	return nil
}

// written is what was claimed last.
func (p *proof) written() claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.now
	c.marks = slices.Clone(c.marks)
	return c
}

// sync makes what was claimed outlive a power cut.
func (p *proof) sync() {
	p.syncMu.Lock()
	defer p.syncMu.Unlock()
	p.mu.Lock()
	file := p.file
	p.dirty = false
	p.mu.Unlock()
	if file == nil {
		return // closed
	}
	if err := file.SyncData(); err != nil {
		p.fail(err)
	}
}

// close syncs and closes END; nothing is claimed after it.
func (p *proof) close() error {
	p.syncMu.Lock()
	defer p.syncMu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	file := p.file
	p.file = nil
	return errors.Join(file.SyncData(), file.Close())
}
