package fold

import (
	"encoding/binary"
	"errors"
)

// Key is a key under construction. Views build theirs from a one-letter table name, strings (ended by
// a zero byte, so no string is a prefix of another; ids hold no control characters) and big-endian
// numbers, so that keys sort as their parts do.
type Key []byte

// Table starts a key of the view's table t.
func Table(t byte) Key { return append(make(Key, 0, 48), t) }

// Str appends a string part.
func (k Key) Str(s string) Key { return append(append(k, s...), 0) }

// U64 appends a number part.
func (k Key) U64(n uint64) Key { return binary.BigEndian.AppendUint64(k, n) }

// U32 appends a number part.
func (k Key) U32(n uint32) Key { return binary.BigEndian.AppendUint32(k, n) }

// Millis appends a time part; times before 1970 sort first.
func (k Key) Millis(ms int64) Key { return binary.BigEndian.AppendUint64(k, uint64(ms)^1<<63) }

// Entry appends the input's place in the ledger.
func (k Key) Entry(in *Input) Key { return k.U64(uint64(in.Position.Offset)).U32(uint32(in.Index)) }

// Fact appends an event time and the input's place in its feed.
func (k Key) Fact(in *Input, millis int64) Key {
	return k.Millis(millis).Number(uint64(in.Position.Partition)).Number(uint64(in.Position.Offset))
}

// End is the smallest key greater than every key that starts with k; nil if there is none.
func (k Key) End() []byte {
	end := append([]byte(nil), k...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

var ErrKey = errors.New("stored key is malformed")

// KeyParts reads a key back, part by part, in the order it was built. Err tells whether it fitted.
type KeyParts struct {
	b   []byte
	err error
}

// Parts reads a key after its table byte.
func Parts(key []byte) *KeyParts {
	if len(key) == 0 {
		return &KeyParts{err: ErrKey}
	}
	return &KeyParts{b: key[1:]}
}

// PartsOf reads parts from the beginning of b, which need not be a key.
func PartsOf(b []byte) KeyParts { return KeyParts{b: b} }

// Fail says that what was read makes no sense.
func (p *KeyParts) Fail() { p.err = ErrKey }

// Str reads a string part; the string owns its memory.
func (p *KeyParts) Str() string {
	for i, c := range p.b {
		if c == 0 {
			s := string(p.b[:i])
			p.b = p.b[i+1:]
			return s
		}
	}
	p.err = ErrKey
	return ""
}

// U64 reads a number part.
func (p *KeyParts) U64() uint64 {
	if len(p.b) < 8 {
		p.err = ErrKey
		return 0
	}
	n := binary.BigEndian.Uint64(p.b)
	p.b = p.b[8:]
	return n
}

// U32 reads a number part.
func (p *KeyParts) U32() uint32 {
	if len(p.b) < 4 {
		p.err = ErrKey
		return 0
	}
	n := binary.BigEndian.Uint32(p.b)
	p.b = p.b[4:]
	return n
}

// Millis reads a time part.
func (p *KeyParts) Millis() int64 { return int64(p.U64() ^ 1<<63) }

// Err is nil if every part read so far was there.
func (p *KeyParts) Err() error { return p.err }
