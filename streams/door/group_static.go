package door

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Static members, as in KIP-345. A member with a group.instance.id is the same one when it comes back under
// no member id: it takes the place it had, with what is assigned to it, and nobody joins anew. It keeps that
// place, through rebalances too, until its session ends or an operator takes it out; leaving is no concern of
// its client. The member id that it had before is fenced: whoever uses it with that instance, in whatever
// request, is told FENCED_INSTANCE_ID, and ends.

// current is the member that a request names by its id, and by its instance if it has one.
func (g *group) current(id string, instance *string) (*member, int16) {
	if instance != nil {
		switch m := g.static[*instance]; {
		case m == nil:
			return nil, codeUnknownMember
		case m.id != id:
			return nil, codeFencedInstance
		}
	}
	if m := g.members[id]; m != nil {
		return m, codeNone
	}
	return nil, codeUnknownMember
}

// replace gives a static member that has started anew another id, and ends what the one before waits for.
// It gives the leader's id as it was.
func (g *group) replace(m *member, id string) (leader string) {
	if m.joined != nil {
		m.finishJoin(codeFencedInstance)
	}
	if m.synced != nil {
		m.finishSync(codeFencedInstance, nil)
	}
	leader = g.leader
	if leader == m.id {
		g.leader = id
	}
	delete(g.members, m.id)
	m.id = id
	g.members[id] = m
	return leader
}

// placeKept answers a static member whose return changes nothing: it only has to fetch its assignment.
// leader is the leader before. A leader who reads its own id here would assign anew, which the members of a
// stable group would not hear of; before version 9 of JoinGroup there is no other way to tell it not to.
func (g *group) placeKept(m *member, leader string) *kmsg.JoinGroupResponse {
	r := g.joinAnswer(m)
	r.LeaderID, r.Members = leader, nil
	return r
}
