package featurestore

import (
	"bytes"
	"encoding/binary"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// longValue is the size above which a value is kept apart from the rows, once for those that see it one after the other: so a join takes no
// more of the disk than rows with short values do, and what was pushed.
const longValue = 32

// kept is where a long value is.
type kept struct {
	form []byte
	at   int64
}

// put appends a value as scratch files have it. last is the long one that was stored last of the same feature; nil where none is the
// same.
func (j *joining) put(dst []byte, v *features.Value, last *kept) ([]byte, error) {
	from := len(dst)
	dst = appendValue(dst, v)
	form := dst[from:]
	if len(form) <= longValue {
		return dst, nil
	}
	at, size := j.long.Size(), len(form)
	if last != nil && bytes.Equal(last.form, form) {
		at = last.at
	} else if _, err := j.long.Write(form); err != nil {
		return dst, err
	} else if last != nil {
		last.form, last.at = append(last.form[:0], form...), at
	}
	dst = binary.AppendUvarint(append(dst[:from], storedLong), uint64(at))
	return binary.AppendUvarint(dst, uint64(size)), nil
}

// get reads what put wrote, as readValue does.
func (j *joining) get(b []byte, v *features.Value) ([]byte, error) {
	if b[0] != storedLong {
		return readValue(b, v), nil
	}
	at, n := binary.Uvarint(b[1:])
	size, m := binary.Uvarint(b[1+n:])
	if uint64(cap(j.form)) < size {
		j.form = make([]byte, size)
	}
	j.form = j.form[:size]
	if _, err := j.long.ReadAt(j.form, int64(at)); err != nil {
		return b, fault.Wrap(fault.Unavailable, err, "a scratch file cannot be read")
	}
	readValue(j.form, v)
	return b[1+n+m:], nil
}
