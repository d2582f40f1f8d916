package door

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Flexible versions (KIP-482): lengths are varints, and tagged fields may stand behind every structure. They
// are spoken only where something needs them, by readers of our own that stop where the request does.

// readFlexible are the APIs of which flexible versions are spoken. The bodies of ApiVersions and
// ConsumerGroupHeartbeat are not looked at.
var readFlexible = map[int16]bool{keyApiVersions: true, keyListGroups: true, keyConsumerGroupHeartbeat: true}

// parseFlexible reads a request of one of these APIs, from the tags of its header on.
func parseFlexible(req kmsg.Request, body []byte) error {
	r := reader{b: body}
	r.tags()
	if req, ok := req.(*kmsg.ListGroupsRequest); ok {
		if req.Version >= 4 {
			req.StatesFilter = r.compactStrings()
		}
		if req.Version >= 5 {
			req.TypesFilter = r.compactStrings()
		}
		r.tags()
		if r.bad || len(r.b) != 0 {
			return errors.New("its length is wrong")
		}
	}
	return nil
}

// uvarint reads an unsigned varint of at most 32 bits.
func (r *reader) uvarint() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31-1 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// tags passes over tagged fields: a number of them, each with a key, a length and so many bytes.
func (r *reader) tags() {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.uvarint()
		r.span(r.uvarint())
	}
}

// compactStrings reads an array of strings; lengths are one more than what they count, 0 is null.
func (r *reader) compactStrings() (list []string) {
	for n := r.uvarint() - 1; n > 0 && !r.bad; n-- {
		list = append(list, string(r.span(r.uvarint()-1)))
	}
	return list
}
