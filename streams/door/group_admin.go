package door

import (
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// delete forgets groups and their offsets.
func (k *coordinator) delete(req *kmsg.DeleteGroupsRequest) kmsg.Response {
	r := kmsg.NewDeleteGroupsResponse()
	if len(req.Groups) > requestPartitionsMax {
		return nil
	}
	for _, name := range req.Groups {
		e := kmsg.NewDeleteGroupsResponseGroup()
		e.Group = strings.ToValidUTF8(name, "?")
		g, code := k.deletable(name)
		if e.ErrorCode = code; code == codeNone {
			if err := k.bury(g); err != nil {
				e.ErrorCode = faultCode(err)
			}
		}
		r.Groups = append(r.Groups, e)
	}
	return &r
}

// deletable takes a group out that may be deleted, or says why it may not.
func (k *coordinator) deletable(name string) (*group, int16) {
	if !validGroup(name) {
		return nil, codeInvalidGroupID
	}
	k.lock(name)
	defer k.mu.Unlock()
	g := k.groups[name]
	switch {
	case g == nil:
		return nil, codeGroupNotFound
	case len(g.members) > 0 || g.commits > 0:
		return nil, codeNonEmptyGroup
	}
	k.dismiss(g)
	return g, codeNone
}

// list gives the groups in the wanted states, of the wanted types; no filter wants all.
func (k *coordinator) list(req *kmsg.ListGroupsRequest) kmsg.Response {
	r := kmsg.NewPtrListGroupsResponse()
	if !wanted(req.TypesFilter, groupType) {
		return r
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, g := range k.groups {
		if !wanted(req.StatesFilter, g.state.String()) {
			continue
		}
		e := kmsg.NewListGroupsResponseGroup()
		e.Group, e.ProtocolType, e.GroupState, e.GroupType = name, g.protocolType, g.state.String(), groupType
		r.Groups = append(r.Groups, e)
	}
	sort.Slice(r.Groups, func(i, j int) bool { return r.Groups[i].Group < r.Groups[j].Group })
	return r
}

// groupType is Kafka's name for groups that speak the protocol before KIP-848.
const groupType = "classic"

func wanted(filter []string, s string) bool {
	for _, f := range filter[:min(len(filter), filtersMax)] {
		if strings.EqualFold(f, s) {
			return true
		}
	}
	return len(filter) == 0
}

// refuseHeartbeat answers who speaks KIP-848's protocol. It is advertised for this answer alone: without,
// librdkafka asks for a coordinator that speaks it for ever and says nothing.
func (k *coordinator) refuseHeartbeat() kmsg.Response {
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	message := "groups speak the classic protocol here: set group.protocol=classic"
	r.ErrorCode, r.ErrorMessage = codeUnsupportedVersion, &message
	return r
}

func (k *coordinator) describe(req *kmsg.DescribeGroupsRequest) kmsg.Response {
	r := kmsg.NewDescribeGroupsResponse()
	if len(req.Groups) > requestPartitionsMax {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	size := 0
	for _, name := range req.Groups {
		e := kmsg.NewDescribeGroupsResponseGroup()
		e.Group, e.State, e.AuthorizedOperations = strings.ToValidUTF8(name, "?"), "Dead", noACLs
		if g := k.groups[name]; g != nil {
			e.State, e.ProtocolType = g.state.String(), g.protocolType
			if g.state == stable || g.state == syncing {
				e.Protocol = g.protocol
			}
			for _, id := range g.ids() {
				m := g.members[id]
				em := kmsg.NewDescribeGroupsResponseGroupMember()
				em.MemberID, em.InstanceID, em.ClientID, em.ClientHost = id, m.instance, m.client, m.host
				em.ProtocolMetadata, em.MemberAssignment = []byte{}, []byte{}
				if g.state == stable {
					em.ProtocolMetadata = m.metadata(g.protocol)
					em.MemberAssignment = append(em.MemberAssignment, m.assignment...)
				}
				e.Members = append(e.Members, em)
				if size += len(em.ProtocolMetadata) + len(em.MemberAssignment) + 500; size > describeBytesMax {
					return nil
				}
			}
		} else if !validGroup(name) {
			e.ErrorCode = codeInvalidGroupID
		}
		r.Groups = append(r.Groups, e)
	}
	return &r
}
