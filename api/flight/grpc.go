package flight

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// frames reads the messages of a body of gRPC, each valid until the next.
type frames struct {
	in  io.Reader
	buf bytes.Buffer
}

// next is io.EOF behind the last.
func (f *frames) next() ([]byte, error) {
	var head [5]byte
	switch _, err := io.ReadFull(f.in, head[:]); {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil:
		return nil, broken(err)
	case head[0] != 0:
		return nil, fault.New(fault.Invalid, "a message is compressed").WithHint("send it as it is")
	}
	n := int64(binary.BigEndian.Uint32(head[1:]))
	if n > messageBytesMax {
		return nil, fault.New(fault.TooLarge, "a record batch has %d bytes, more than %d", n, messageBytesMax).WithHint("send the rows in smaller tables")
	}
	f.buf.Reset()
	if _, err := io.CopyN(&f.buf, f.in, n); err != nil {
		return nil, broken(err)
	}
	return f.buf.Bytes(), nil
}

func broken(err error) error {
	if fault.CodeOf(err) != fault.Internal {
		return err
	}
	return fault.New(fault.Invalid, "the stream ends within a message")
}

// fields reads the length-delimited fields of a message of Protocol Buffers; others are passed over.
func fields(b []byte, each func(number protowire.Number, value []byte)) error {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fault.New(fault.Invalid, "a message is not one of Flight")
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return fault.New(fault.Invalid, "a message is not one of Flight")
		}
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			each(number, value)
		}
		b = b[n:]
	}
	return nil
}

// data is a message of Flight.
type data struct {
	descriptor, header, body []byte
}

const bodyNumber = 1000 // of the field

func readData(b []byte) (d data, err error) {
	err = fields(b, func(number protowire.Number, value []byte) {
		switch number {
		case 1:
			d.descriptor = value
		case 2:
			d.header = value
		case bodyNumber:
			d.body = value
		}
	})
	return d, err
}

// commandOf is the command of a descriptor.
func commandOf(descriptor []byte) (command []byte, err error) {
	err = fields(descriptor, func(number protowire.Number, value []byte) {
		if number == 2 {
			command = value
		}
	})
	if err == nil && len(command) == 0 {
		err = fault.New(fault.Invalid, "the descriptor has no command").WithHint("send one as Feast's remote offline store does")
	}
	if len(command) > commandBytesMax {
		err = fault.New(fault.TooLarge, "the command has more than %d bytes", commandBytesMax)
	}
	return command, err
}

func appendField(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

// answer is a stream of messages. Nothing is sent before the first, so that an error until then is answered alone.
type answer struct {
	w     http.ResponseWriter
	r     *http.Request
	begun bool
}

// send sends a message, given in pieces.
func (a *answer) send(pieces ...[]byte) error {
	if !a.begun {
		a.w.Header().Set("Content-Type", "application/grpc")
		a.begun = true
	}
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	head := binary.BigEndian.AppendUint32([]byte{0}, uint32(n))
	for _, p := range append([][]byte{head}, pieces...) {
		if _, err := a.w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// sendData sends a message of a table.
func (a *answer) sendData(header, body []byte) error {
	b := appendField(nil, 2, header)
	b = protowire.AppendVarint(protowire.AppendTag(b, bodyNumber, protowire.BytesType), uint64(len(body)))
	return a.send(b, body)
}

// end ends the stream with an error of the work, if any.
func (a *answer) end(err error) error {
	if err != nil && !a.begun {
		return err
	}
	if !a.begun { // with nothing but its end
		a.w.Header().Set("Content-Type", "application/grpc")
		a.w.WriteHeader(http.StatusOK)
	}
	code, message := codeOK, ""
	if err != nil {
		code, message = statusOf(api.ProblemOf(err, api.RequestID(a.r)))
		a.w.Header().Set(http.TrailerPrefix+"Grpc-Message", percent(message))
	}
	a.w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
	return nil
}
