package ml

import (
	"encoding/binary"
	"io"
	"math"
)

// File is a file of a model that is ready to be written: bytes, and between them numbers, which are written as they stand
// in memory, so that a file takes no copy of a model. It holds the model's slices.
type File struct {
	parts []filePart
	size  int64
}

// filePart is bytes, then float32 in little-endian.
type filePart struct {
	bytes  []byte
	floats []float32
}

func (f *File) addBytes(b []byte) {
	f.parts = append(f.parts, filePart{bytes: b})
	f.size += int64(len(b))
}

func (f *File) addFloats(v []float32) {
	f.parts = append(f.parts, filePart{floats: v})
	f.size += 4 * int64(len(v))
}

func (f *File) addFile(o *File) {
	f.parts = append(f.parts, o.parts...)
	f.size += o.size
}

// Size is how many bytes [File.WriteTo] writes.
func (f *File) Size() int64 { return f.size }

// fileBlock is how many numbers are written at a time.
const fileBlock = 8192

// WriteTo writes the file; the same one always the same bytes.
func (f *File) WriteTo(w io.Writer) (written int64, err error) {
	write := func(b []byte) error {
		n, err := w.Write(b)
		written += int64(n)
		return err
	}
	var block []byte
	for _, p := range f.parts {
		if err := write(p.bytes); err != nil {
			return written, err
		}
		for v := p.floats; len(v) > 0; {
			n := min(len(v), fileBlock)
			block = block[:0]
			for _, x := range v[:n] {
				block = binary.LittleEndian.AppendUint32(block, math.Float32bits(x))
			}
			if err := write(block); err != nil {
				return written, err
			}
			v = v[n:]
		}
	}
	return written, nil
}
