package fold

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
)

// Compact parts of keys and values. Ids of people and films are short decimals nearly always, and facts
// come by the million: a decimal takes 1 to 9 bytes. Each part says where it ends, so none is a prefix
// of another and any string can be one, whatever it holds.
//
//	number   n, then its n significant bytes big-endian (n = 0..8); numbers sort by value
//	id       a number if it is a canonical decimal below 2^64; else idText, then the bytes with
//	         0x00 as 0x00 0xFF, then 0x00 0x01
//	event id tag 0: uvarint length and bytes; tag 1: UUID in 16 bytes; tag 2: uvarint n and n bytes of
//	         lower-case hex
const idText = 0x80

// Number appends a number in as few bytes as it needs.
func (k Key) Number(n uint64) Key {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	i := 0
	for i < 8 && b[i] == 0 {
		i++
	}
	return append(append(k, byte(8-i)), b[i:]...)
}

// ID appends an id: any string, compactly if it is a canonical decimal.
func (k Key) ID(id string) Key {
	if n, ok := decimal(id); ok {
		return k.Number(n)
	}
	k = append(k, idText)
	for i := 0; i < len(id); i++ {
		if k = append(k, id[i]); id[i] == 0 {
			k = append(k, 0xff)
		}
	}
	return append(k, 0, 1)
}

// decimal reads a decimal without sign or leading zeros of at most 19 digits, which always fits.
func decimal(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 19 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, true
}

// Number reads a number part.
func (p *KeyParts) Number() uint64 {
	if len(p.b) == 0 || p.b[0] > 8 || len(p.b) < 1+int(p.b[0]) {
		p.err, p.b = ErrKey, nil
		return 0
	}
	n := uint64(0)
	for _, c := range p.b[1 : 1+p.b[0]] {
		n = n<<8 | uint64(c)
	}
	p.b = p.b[1+p.b[0]:]
	return n
}

// ID reads an id part; the string owns its memory.
func (p *KeyParts) ID() string {
	if len(p.b) == 0 || p.b[0] != idText {
		n := p.Number()
		if p.err != nil {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	var s []byte
	for b := p.b[1:]; len(b) >= 2; b = b[1:] {
		if b[0] != 0 {
			s = append(s, b[0])
			continue
		}
		if b[1] == 1 {
			p.b = b[2:]
			return string(s)
		}
		s = append(s, 0)
		b = b[1:]
	}
	p.err, p.b = ErrKey, nil
	return ""
}

// Uvarint appends a number of a value; unlike Number it does not sort.
func (k Key) Uvarint(n uint64) Key { return binary.AppendUvarint(k, n) }

// Text appends a string of a value with its length.
func (k Key) Text(s string) Key { return append(k.Uvarint(uint64(len(s))), s...) }

// Uvarint reads what Key.Uvarint wrote.
func (p *KeyParts) Uvarint() uint64 {
	n, size := binary.Uvarint(p.b)
	if size <= 0 {
		p.err, p.b = ErrKey, nil
		return 0
	}
	p.b = p.b[size:]
	return n
}

// Text reads what Key.Text wrote; the bytes are the input's.
func (p *KeyParts) Text() []byte {
	n := p.Uvarint()
	if n > uint64(len(p.b)) {
		p.err, p.b = ErrKey, nil
		return nil
	}
	s := p.b[:n]
	p.b = p.b[n:]
	return s
}

// Hundredths appends a number of a value: twice its hundredths if it has no more digits (ratings have not), else 1
// and the float itself.
func (k Key) Hundredths(r float64) Key {
	if n := math.Round(r * 100); n >= 0 && n < 1<<20 && n/100 == r {
		return k.Uvarint(uint64(n) << 1)
	}
	return k.Uvarint(1).U64(math.Float64bits(r))
}

// Hundredths reads what Key.Hundredths wrote.
func (p *KeyParts) Hundredths() float64 {
	if n := p.Uvarint(); n&1 == 0 {
		return float64(n>>1) / 100
	}
	return math.Float64frombits(p.U64())
}

// Byte reads one byte of a value.
func (p *KeyParts) Byte() byte {
	if len(p.b) == 0 {
		p.err = ErrKey
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

const (
	eventIDText = iota
	eventIDUUID
	eventIDHex
)

// EventID appends the id of an event: UUIDs and hex in half their length.
func (k Key) EventID(id string) Key {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		full := append(k, eventIDUUID)
		ok := true
		for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
			if full, ok = appendHex(full, id[part[0]:part[1]]); !ok {
				break
			}
		}
		if ok {
			return full
		}
	} else if id != "" && len(id)%2 == 0 {
		if full, ok := appendHex(append(k, eventIDHex).Uvarint(uint64(len(id)/2)), id); ok {
			return full
		}
	}
	return append(k, eventIDText).Text(id)
}

func appendHex(k Key, s string) (Key, bool) {
	for i := 0; i+1 < len(s); i += 2 {
		hi, lo := hexDigit[s[i]], hexDigit[s[i+1]]
		if hi > 15 || lo > 15 {
			return k, false
		}
		k = append(k, hi<<4|lo)
	}
	return k, true
}

// hexDigit is the value of a lower-case hex digit; 0xff for any other byte.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// EventID reads the id of an event; the string owns its memory.
func (p *KeyParts) EventID() string {
	switch p.Byte() {
	case eventIDText:
		return string(p.Text())
	case eventIDUUID:
		if len(p.b) < 16 {
			break
		}
		var s [36]byte
		hex.Encode(s[0:8], p.b[0:4])
		hex.Encode(s[9:13], p.b[4:6])
		hex.Encode(s[14:18], p.b[6:8])
		hex.Encode(s[19:23], p.b[8:10])
		hex.Encode(s[24:36], p.b[10:16])
		s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
		p.b = p.b[16:]
		return string(s[:])
	case eventIDHex:
		return hex.EncodeToString(p.Text())
	}
	p.err, p.b = ErrKey, nil
	return ""
}
