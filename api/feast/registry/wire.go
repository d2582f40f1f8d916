package registry

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/projectionist/projectionist/internal/fault"
)

// message is a message of Feast's registry in protobuf's wire form. What clients declare is kept and given back as it
// came: of its fields only those are read that mean something here, by the numbers of Feast's .proto files.
type message []byte

// field is one field of a message: a message or text in bytes, or a number.
type field struct {
	number protowire.Number
	bytes  message
	value  uint64
	whole  []byte // with its tag
	typ    protowire.Type
}

// check says whether the bytes are a message.
func (m message) check() error {
	for b := []byte(m); len(b) > 0; {
		n := fieldLen(b)
		if n < 0 {
			return fault.New(fault.Invalid, "the message is no protobuf: %v", protowire.ParseError(n))
		}
		b = b[n:]
	}
	return nil
}

// fields are those of a message that has been checked, in their order; what does not read ends it.
func (m message) fields() iter.Seq[field] {
	return func(yield func(field) bool) {
		for b := []byte(m); len(b) > 0; {
			number, typ, n := protowire.ConsumeTag(b)
			if n < 0 {
				return
			}
			f, size := field{number: number, typ: typ}, 0
			switch typ {
			case protowire.BytesType:
				f.bytes, size = protowire.ConsumeBytes(b[n:])
			case protowire.VarintType:
				f.value, size = protowire.ConsumeVarint(b[n:])
			default:
				size = protowire.ConsumeFieldValue(number, typ, b[n:])
			}
			if size < 0 {
				return
			}
			f.whole = b[:n+size]
			if !yield(f) {
				return
			}
			b = b[n+size:]
		}
	}
}

// get is the last field of a number, as messages are read: the zero field where there is none.
func (m message) get(number protowire.Number) (last field) {
	for f := range m.fields() {
		if f.number == number {
			last = f
		}
	}
	return last
}

func (m message) text(number protowire.Number) string     { return string(m.get(number).bytes) }
func (m message) message(number protowire.Number) message { return m.get(number).bytes }
func (m message) number(number protowire.Number) int64    { return int64(m.get(number).value) }

// all are the fields of a number that may be given several times.
func (m message) all(number protowire.Number) (all []message) {
	for f := range m.fields() {
		if f.number == number && f.typ == protowire.BytesType {
			all = append(all, f.bytes)
		}
	}
	return all
}

func (m message) texts(number protowire.Number) []string {
	all := []string{}
	for _, b := range m.all(number) {
		all = append(all, string(b))
	}
	return all
}

// pairs are a map of texts; nil for none.
func (m message) pairs(number protowire.Number) map[string]string {
	var all map[string]string
	for _, entry := range m.all(number) {
		if all == nil {
			all = map[string]string{}
		}
		all[entry.text(1)] = entry.text(2)
	}
	return all
}

// What follows appends a field; an empty text or 0 is none, as in proto3.

func (m message) withText(number protowire.Number, s string) message {
	if s == "" {
		return m
	}
	return protowire.AppendString(protowire.AppendTag(m, number, protowire.BytesType), s)
}

func (m message) withMessage(number protowire.Number, b message) message {
	return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), b)
}

func (m message) withNumber(number protowire.Number, n int64) message {
	if n == 0 {
		return m
	}
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), uint64(n))
}

func (m message) withBool(number protowire.Number, is bool) message {
	if !is {
		return m
	}
	return m.withNumber(number, 1)
}

// withTime appends a google.protobuf.Timestamp.
func (m message) withTime(number protowire.Number, millis int64) message {
	if millis == 0 {
		return m
	}
	return m.withMessage(number, message{}.withNumber(1, millis/1000).withNumber(2, millis%1000*1_000_000))
}

// shape is what is known of a kind of message, to give it one form: clients write the entries of a map in any order, and
// put the time at which they made a thing into it.
type shape struct {
	maps   []protowire.Number
	drop   []protowire.Number
	within map[protowire.Number]*shape
}

var (
	featureShape = &shape{maps: []protowire.Number{3}}
	sourceShape  = &shape{maps: []protowire.Number{2, 24}, drop: []protowire.Number{21, 50}}
	viewShape    = &shape{maps: []protowire.Number{5}, drop: []protowire.Number{2},
		within: map[protowire.Number]*shape{4: featureShape, 12: featureShape, 7: sourceShape, 9: sourceShape}}
	streamShape = &shape{maps: []protowire.Number{7}, drop: []protowire.Number{2},
		within: map[protowire.Number]*shape{4: featureShape, 5: featureShape, 10: sourceShape, 11: sourceShape}}
	entityShape  = &shape{maps: []protowire.Number{8}, drop: []protowire.Number{9}}
	serviceShape = &shape{maps: []protowire.Number{4}, drop: []protowire.Number{2}, within: map[protowire.Number]*shape{
		3: {maps: []protowire.Number{4}, within: map[protowire.Number]*shape{2: featureShape, 8: sourceShape, 9: sourceShape}}}}
	projectShape = &shape{maps: []protowire.Number{3}}
)

func init() { sourceShape.within = map[protowire.Number]*shape{26: sourceShape} }

// form gives a message its one form: the entries of each map in order, at the place of the first.
func (s *shape) form(m message) message {
	out := message{}
	done := map[protowire.Number]bool{}
	for f := range m.fields() {
		switch {
		case slices.Contains(s.drop, f.number):
		case slices.Contains(s.maps, f.number):
			if done[f.number] {
				continue
			}
			done[f.number] = true
			entries := m.all(f.number)
			slices.SortStableFunc(entries, func(a, b message) int { return strings.Compare(a.text(1), b.text(1)) })
			for _, e := range entries {
				out = out.withMessage(f.number, e)
			}
		case s.within[f.number] != nil && f.typ == protowire.BytesType:
			out = out.withMessage(f.number, s.within[f.number].form(f.bytes))
		default:
			out = append(out, f.whole...)
		}
	}
	return out
}

// valueTypes are the types of values by their numbers in Feast's ValueType.
var valueTypes = map[int64]string{1: "bytes", 2: "string", 3: "int32", 4: "int64", 5: "float64", 6: "float32", 7: "bool", 8: "timestamp",
	11: "bytes_list", 12: "string_list", 13: "int32_list", 14: "int64_list", 15: "float64_list", 16: "float32_list", 17: "bool_list", 18: "timestamp_list"}

// typeNumbers are valueTypes, the other way.
var typeNumbers = func() map[string]int64 {
	all := map[string]int64{}
	for n, t := range valueTypes {
		all[t] = n
	}
	return all
}()

// typeOf names a type; an error says that it is none of those that are kept.
func typeOf(n int64) (string, error) {
	if t := valueTypes[n]; t != "" {
		return t, nil
	}
	return "", fmt.Errorf("is of Feast's value type %d, which is not kept here; want %s, or a list of one of them", n, "Bytes, String, Int32, Int64, Float64, Float32, Bool or UnixTimestamp")
}

// fieldLen is how many bytes the first field takes; below 0 for what is none.
func fieldLen(b []byte) int {
	_, _, n := protowire.ConsumeField(b)
	return n
}
