package door

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression codecs as in a batch's attributes.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

var (
	errTooLarge = fmt.Errorf("the batch has more than %d bytes when decompressed", batchPlainBytesMax)
	errCodec    = errors.New("the compression codec is not known")
)

// xerial heads the framing that Java clients put around snappy's blocks.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(decompressions), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(batchPlainBytesMax), zstd.WithDecoderMaxWindow(batchPlainBytesMax))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
})

// decompress gives the bytes of a compressed batch's records, at most batchPlainBytesMax.
func decompress(codec int, b []byte) ([]byte, error) {
	switch codec {
	case codecGzip:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return readBounded(r, len(b))
	case codecSnappy:
		return unsnappy(b)
	case codecLZ4:
		return readBounded(lz4.NewReader(bytes.NewReader(b)), len(b))
	case codecZstd:
		plain, err := zstdDecoder().DecodeAll(b, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, errTooLarge
		}
		return plain, err
	}
	return nil, errCodec
}

func readBounded(r io.Reader, hint int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(min(3*hint, batchPlainBytesMax))
	if _, err := out.ReadFrom(io.LimitReader(r, batchPlainBytesMax+1)); err != nil {
		return nil, err
	}
	if out.Len() > batchPlainBytesMax {
		return nil, errTooLarge
	}
	return out.Bytes(), nil
}

func unsnappy(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, xerial) {
		return unsnappyBlock(nil, b)
	}
	if len(b) < 16 {
		return nil, errors.New("the snappy framing is cut short")
	}
	var out []byte
	for b = b[16:]; len(b) > 0; {
		if len(b) < 4 {
			return nil, errors.New("the snappy framing is cut short")
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return nil, errors.New("a snappy block is cut short")
		}
		var err error
		if out, err = unsnappyBlock(out, b[:n]); err != nil {
			return nil, err
		}
		b = b[n:]
	}
	return out, nil
}

func unsnappyBlock(out, b []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(b)
	if err != nil {
		return nil, err
	}
	if n > batchPlainBytesMax-len(out) {
		return nil, errTooLarge
	}
	var room []byte
	if out == nil {
		if room = takeFrame(n); room == nil {
			room = roomy(n)
		}
		return snappy.Decode(room[:n], b)
	}
	plain, err := snappy.Decode(nil, b)
	if err != nil {
		return nil, err
	}
	return append(out, plain...), nil
}
