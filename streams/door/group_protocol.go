package door

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (g *group) metadata() (list []kmsg.JoinGroupResponseMember) {
	for _, id := range g.ids() {
		m := g.members[id]
		e := kmsg.NewJoinGroupResponseMember()
		e.MemberID, e.InstanceID, e.ProtocolMetadata = id, m.instance, m.metadata(g.protocol)
		list = append(list, e)
	}
	return list
}

func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return []byte{}
}

// common are the protocols that all members know.
func (g *group) common(except *member) map[string]int {
	known := map[string]int{}
	n := 0
	for _, m := range g.members {
		if m == except {
			continue
		}
		n++
		for _, p := range m.protocols {
			known[p.Name]++
		}
	}
	for name, have := range known {
		if have < n {
			delete(known, name)
		}
	}
	if n == 0 {
		return nil
	}
	return known
}

// vote is the protocol that most members like best among those that all know.
func (g *group) vote() string {
	common := g.common(nil)
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if _, ok := common[p.Name]; ok {
				votes[p.Name]++
				break
			}
		}
	}
	best := ""
	for name, n := range votes {
		if best == "" || n > votes[best] || n == votes[best] && name < best {
			best = name
		}
	}
	return best
}

func knowsOne(common map[string]int, protocols []kmsg.JoinGroupRequestProtocol) bool {
	for _, p := range protocols {
		if _, ok := common[p.Name]; ok {
			return true
		}
	}
	return false
}

func sameProtocols(a, b []kmsg.JoinGroupRequestProtocol) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || string(a[i].Metadata) != string(b[i].Metadata) {
			return false
		}
	}
	return true
}
