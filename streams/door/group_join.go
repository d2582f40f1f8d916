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

// giveUp removes a member whose connection ended while it waited. A static one keeps its place for the
// length of a session: it may be starting anew.
func (k *coordinator) giveUp(g *group, w *waiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := w.m
	if !(w.joined != nil && m.joined == w.joined || w.synced != nil && m.synced == w.synced) {
		return
	}
	if m.instance == nil {
		k.remove(g, m)
		return
	}
	m.joined, m.synced, m.deadline = nil, nil, time.Now().Add(m.session)
}

// checkJoin says what is wrong with a request to join by itself.
func checkJoin(req *kmsg.JoinGroupRequest) int16 {
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	switch {
	case !validGroup(req.Group):
		return codeInvalidGroupID
	case session < sessionTimeoutMin || session > sessionTimeoutMax:
		return codeInvalidSessionTimeout
	case req.ProtocolType == "" || len(req.ProtocolType) > local.GroupBytesMax || len(req.Protocols) == 0 || len(req.Protocols) > protocolsMax:
		return codeInconsistentProtocol
	case req.InstanceID != nil && !validGroup(*req.InstanceID):
		return codeInvalidRequest
	}
	size := len(req.ProtocolType)
	for i := range req.Protocols {
		size += len(req.Protocols[i].Name) + len(req.Protocols[i].Metadata)
	}
	if size > memberBytesMax {
		return codeInvalidRequest
	}
	return codeNone
}

// enter is join up to the waiting.
func (k *coordinator) enter(c *conn, client string, req *kmsg.JoinGroupRequest) (*waiter, *group, *kmsg.JoinGroupResponse) {
	fail := func(code int16) (*waiter, *group, *kmsg.JoinGroupResponse) {
		return nil, nil, joinError(req.MemberID, code)
	}
	if code := checkJoin(req); code != codeNone {
		return fail(code)
	}
	for i := range req.Protocols {
		p := &req.Protocols[i]
		p.Metadata = append([]byte{}, p.Metadata...) // lets go of the request
	}
	var gone *group
	defer func() { k.giveWay(gone) }()
	k.lock(req.Group)
	defer k.mu.Unlock()
	now := time.Now()
	g := k.groups[req.Group]
	if g == nil {
		if req.MemberID != "" {
			return fail(codeUnknownMember)
		}
		g, gone = k.add(req.Group)
	}
	m, known, code := g.joiner(req)
	if code != codeNone {
		return fail(code)
	}
	if common := g.common(m); len(g.members) > 0 && g.protocolType != req.ProtocolType || common != nil && !knowsOne(common, req.Protocols) {
		return fail(codeInconsistentProtocol)
	}
	switch {
	case m == nil:
		var r *kmsg.JoinGroupResponse
		if m, r = k.newMember(g, client, req, now); r != nil {
			return nil, nil, r
		}
		m.update(c, client, req, now)
		k.restart(g, now)
	case known:
		if m.joined != nil { // it asks again: the connection of the first request is forgotten
			m.finishJoin(codeRebalanceInProgress)
		}
		same := sameProtocols(m.protocols, req.Protocols)
		if same && (g.state == syncing || g.state == stable && m.id != g.leader) {
			// The answer was lost; what it says still holds.
			m.deadline = now.Add(m.session)
			return nil, nil, g.joinAnswer(m)
		}
		m.update(c, client, req, now)
		k.restart(g, now)
	default:
		leader := g.replace(m, newMemberID(*req.InstanceID))
		m.update(c, client, req, now)
		if g.state == stable && g.vote() == g.protocol {
			return nil, nil, g.placeKept(m, leader)
		}
		// While the leader assigns, it does so to the id before: the new one would get nothing.
		k.restart(g, now)
	}
	g.rebalanceEnd = later(g.rebalanceEnd, now.Add(m.rebalance))
	m.joined = make(chan *kmsg.JoinGroupResponse, 1)
	w := &waiter{m: m, joined: m.joined}
	k.advance(g, now)
	return w, g, nil
}

// joiner is the member who asks to join: known by its id, or a static one that has started anew and has
// no id yet. It is nil for one who is new, with an id that was promised or none.
func (g *group) joiner(req *kmsg.JoinGroupRequest) (m *member, known bool, code int16) {
	if req.MemberID == "" {
		if req.InstanceID != nil {
			m = g.static[*req.InstanceID]
		}
		return m, false, codeNone
	}
	if _, promised := g.promised[req.MemberID]; promised && req.InstanceID == nil {
		return nil, false, codeNone
	}
	m, code = g.current(req.MemberID, req.InstanceID)
	return m, true, code
}

// newMember takes in one who was not there, or gives the answer that it gets instead.
func (k *coordinator) newMember(g *group, client string, req *kmsg.JoinGroupRequest, now time.Time) (*member, *kmsg.JoinGroupResponse) {
	_, promised := g.promised[req.MemberID]
	if len(g.members)+len(g.promised) >= groupMembersMax && !promised || k.members >= membersMax {
		return nil, joinError(req.MemberID, codeGroupFull)
	}
	id := req.MemberID
	switch {
	case id == "" && req.InstanceID != nil:
		id = newMemberID(*req.InstanceID)
	case id == "":
		id = newMemberID(client)
		if req.Version >= 4 {
			g.promised[id] = now.Add(time.Duration(req.SessionTimeoutMillis) * time.Millisecond)
			k.rest(g)
			return nil, joinError(id, codeMemberIDRequired)
		}
	}
	delete(g.promised, id)
	m := &member{id: id, instance: req.InstanceID}
	g.members[id] = m
	if m.instance != nil {
		g.static[*m.instance] = m
	}
	k.members++
	k.rest(g)
	g.protocolType = req.ProtocolType
	return m, nil
}

// update takes over what a member says of itself when it joins.
func (m *member) update(c *conn, client string, req *kmsg.JoinGroupRequest, now time.Time) {
	host, _, _ := net.SplitHostPort(c.nc.RemoteAddr().String())
	m.client, m.host, m.protocols = client, "/"+host, req.Protocols
	m.session = time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	m.rebalance = min(max(time.Duration(req.RebalanceTimeoutMillis)*time.Millisecond, rebalanceTimeoutMin), rebalanceTimeoutMax)
	m.deadline = now.Add(m.session)
}

// joinAnswer tells a member of the group's generation; the leader, of all members too.
func (g *group) joinAnswer(m *member) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	protocol := g.protocol
	r.Generation, r.Protocol, r.LeaderID, r.MemberID = g.generation, &protocol, g.leader, m.id
	if m.id == g.leader {
		r.Members = g.metadata()
	}
	return r
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
