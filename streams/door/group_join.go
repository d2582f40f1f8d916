package door

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams/local"
)

// join adds or renews a member, and waits until its group's next generation begins.
func (k *coordinator) join(c *conn, client string, req *kmsg.JoinGroupRequest) kmsg.Response {
	w, g, r := k.enter(c, client, req)
	if r != nil {
		return r
	}
	ctx, stop := c.watch()
	defer stop()
	select {
	case r := <-w.joined:
		return r
	case <-ctx.Done():
	}
	k.giveUp(g, w)
	return nil
}

// waiter is a member's join or sync as its connection sees it.
type waiter struct {
	m      *member
	joined chan *kmsg.JoinGroupResponse
	synced chan *kmsg.SyncGroupResponse
}

// giveUp removes a member whose connection ended while it waited.
func (k *coordinator) giveUp(g *group, w *waiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.joined != nil && w.m.joined == w.joined || w.synced != nil && w.m.synced == w.synced {
		k.remove(g, w.m)
	}
}

// enter is join up to the waiting.
func (k *coordinator) enter(c *conn, client string, req *kmsg.JoinGroupRequest) (*waiter, *group, *kmsg.JoinGroupResponse) {
	fail := func(code int16) (*waiter, *group, *kmsg.JoinGroupResponse) {
		return nil, nil, joinError(req.MemberID, code)
	}
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	switch {
	case !validGroup(req.Group):
		return fail(codeInvalidGroupID)
	case session < sessionTimeoutMin || session > sessionTimeoutMax:
		return fail(codeInvalidSessionTimeout)
	case req.ProtocolType == "" || len(req.ProtocolType) > local.GroupBytesMax || len(req.Protocols) == 0 || len(req.Protocols) > protocolsMax:
		return fail(codeInconsistentProtocol)
	case req.InstanceID != nil && !validGroup(*req.InstanceID):
		return fail(codeInvalidRequest)
	}
	size := len(req.ProtocolType)
	for i := range req.Protocols {
		p := &req.Protocols[i]
		size += len(p.Name) + len(p.Metadata)
		p.Metadata = append([]byte{}, p.Metadata...) // lets go of the request
	}
	if size > memberBytesMax {
		return fail(codeInvalidRequest)
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	g := k.groups[req.Group]
	if g == nil {
		if req.MemberID != "" {
			return fail(codeUnknownMember)
		}
		if g = k.add(req.Group); g == nil {
			return fail(codeGroupFull)
		}
	}
	m := g.members[req.MemberID]
	common := g.common(m)
	if len(g.members) > 0 && g.protocolType != req.ProtocolType || common != nil && !knowsOne(common, req.Protocols) {
		return fail(codeInconsistentProtocol)
	}
	if m == nil {
		_, promised := g.promised[req.MemberID]
		switch {
		case req.MemberID != "" && !promised:
			return fail(codeUnknownMember)
		case len(g.members)+len(g.promised) >= groupMembersMax && !promised, k.members >= membersMax:
			return fail(codeGroupFull)
		}
		id := req.MemberID
		if id == "" {
			id = newMemberID(client)
			if req.Version >= 4 && req.InstanceID == nil {
				g.promised[id] = now.Add(session)
				return nil, nil, joinError(id, codeMemberIDRequired)
			}
		}
		delete(g.promised, req.MemberID)
		if req.InstanceID != nil { // the instance has started anew, under a new id
			for _, old := range g.members {
				if sameInstance(old.instance, req.InstanceID) {
					if old.joined != nil {
						old.finishJoin(codeFencedInstance)
					}
					if old.synced != nil {
						old.finishSync(codeFencedInstance, nil)
					}
					k.drop(g, old)
				}
			}
		}
		m = &member{id: id}
		g.members[id] = m
		k.members++
		g.protocolType = req.ProtocolType
		k.restart(g, now)
	} else {
		if !sameInstance(m.instance, req.InstanceID) {
			return fail(codeFencedInstance)
		}
		if m.joined != nil { // it asks again: the connection of the first request is forgotten
			m.finishJoin(codeRebalanceInProgress)
		}
		same := sameProtocols(m.protocols, req.Protocols)
		if same && (g.state == syncing || g.state == stable && m.id != g.leader) {
			// The answer was lost; what it says still holds.
			m.deadline = now.Add(m.session)
			r := kmsg.NewPtrJoinGroupResponse()
			protocol := g.protocol
			r.Generation, r.Protocol, r.LeaderID, r.MemberID = g.generation, &protocol, g.leader, m.id
			if m.id == g.leader {
				r.Members = g.metadata()
			}
			return nil, nil, r
		}
		k.restart(g, now)
	}
	host, _, _ := net.SplitHostPort(c.nc.RemoteAddr().String())
	m.instance, m.client, m.host, m.session = req.InstanceID, client, "/"+host, session
	m.rebalance = min(max(time.Duration(req.RebalanceTimeoutMillis)*time.Millisecond, session), rebalanceTimeoutMax)
	m.protocols, m.deadline = req.Protocols, now.Add(session)
	g.rebalanceEnd = later(g.rebalanceEnd, now.Add(m.rebalance))
	m.joined = make(chan *kmsg.JoinGroupResponse, 1)
	w := &waiter{m: m, joined: m.joined}
	k.advance(g, now)
	return w, g, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// newMemberID is the client's id and a random part, as Kafka's.
func newMemberID(client string) string {
	client = strings.ToValidUTF8(client, "")
	return fmt.Sprintf("%.100s-%s", client, rand.Text())
}

func (m *member) finishJoin(code int16) {
	m.joined <- joinError(m.id, code)
	m.joined = nil
}

func joinError(id string, code int16) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	protocol := ""
	r.ErrorCode, r.Generation, r.MemberID, r.Protocol = code, -1, id, &protocol
	return r
}
