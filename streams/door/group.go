package door

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams/local"
)

// The coordinator of consumer groups, as in Kafka's classic protocol. Members and generations are in
// memory: after a restart clients join anew and find their offsets, which are in the log.
//
//	          first join            all joined, or time is up        the leader has synced
//	empty ───────────────► joining ─────────────────────────► syncing ────────────────► stable
//	  ▲                    ▲  │ nobody is left                   │  a member joins,        │
//	  │                    │  └──────────► empty                 │  leaves or dies         │
//	  └────────────────────┴─────────────────────────────────────┴─────────────────────────┘
type groupState int

const (
	empty   groupState = iota
	joining            // members are asked to join again
	syncing            // the leader is to assign
	stable
)

// String is Kafka's name of the state.
func (s groupState) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

const consumerProtocol = "consumer"

type coordinator struct {
	d *Door

	mu      sync.Mutex
	groups  map[string]*group
	members int
}

type group struct {
	name         string
	state        groupState
	protocolType string
	protocol     string
	generation   int32
	leader       string
	members      map[string]*member
	promised     map[string]time.Time // member ids given out and not used yet, and until when they may
	rebalanceEnd time.Time            // when a rebalance goes on without who has not joined
	notBefore    time.Time            // it does not go on before
	stored       bool                 // it has offsets in the log
}

type member struct {
	id         string
	instance   *string
	client     string
	host       string
	session    time.Duration
	rebalance  time.Duration
	protocols  []kmsg.JoinGroupRequestProtocol
	assignment []byte
	deadline   time.Time // of its session; does not run while it waits
	joined     chan *kmsg.JoinGroupResponse
	synced     chan *kmsg.SyncGroupResponse
}

func newCoordinator(d *Door) (*coordinator, error) {
	known, err := d.log.Groups()
	if err != nil {
		return nil, err
	}
	k := &coordinator{d: d, groups: make(map[string]*group, len(known))}
	for name := range known {
		g := newGroup(name)
		g.stored = true
		k.groups[name] = g
	}
	return k, nil
}

func newGroup(name string) *group {
	// A group that is known from its offsets has to be one of consumers for the admin clients to see it.
	return &group{name: name, protocolType: consumerProtocol, members: map[string]*member{}, promised: map[string]time.Time{}}
}

// tickInterval is how exact the timeouts of sessions and rebalances are.
const tickInterval = 50 * time.Millisecond

// tick ends sessions and rebalances whose time is up.
func (k *coordinator) tick() {
	timer := time.NewTicker(tickInterval)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			k.tickAll(time.Now())
		case <-k.d.ctx.Done():
			return
		}
	}
}

func (k *coordinator) tickAll(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range k.groups {
		if g.idle() {
			continue
		}
		for id, until := range g.promised {
			if now.After(until) {
				delete(g.promised, id)
			}
		}
		for _, m := range g.members {
			if m.joined == nil && m.synced == nil && now.After(m.deadline) {
				k.remove(g, m)
			}
		}
		k.advance(g, now)
	}
}

// advance ends a rebalance when all have joined, or its time is up.
func (k *coordinator) advance(g *group, now time.Time) {
	if g.state != joining {
		return
	}
	all := true
	for _, m := range g.members {
		all = all && m.joined != nil
	}
	if now.Before(g.notBefore) || !all && now.Before(g.rebalanceEnd) {
		return
	}
	for _, m := range g.members {
		if m.joined == nil {
			k.drop(g, m)
		}
	}
	if len(g.members) == 0 {
		g.state, g.leader, g.protocol = empty, "", ""
		return
	}
	g.generation++
	g.state = syncing
	g.protocol = g.vote()
	if g.members[g.leader] == nil {
		g.leader = g.ids()[0]
	}
	for _, m := range g.members {
		r := kmsg.NewPtrJoinGroupResponse()
		protocol := g.protocol
		r.Generation, r.Protocol, r.LeaderID, r.MemberID = g.generation, &protocol, g.leader, m.id
		if m.id == g.leader {
			r.Members = g.metadata()
		}
		m.assignment = nil
		m.deadline = now.Add(m.session)
		m.joined <- r
		m.joined = nil
	}
}

func (g *group) ids() []string {
	ids := make([]string, 0, len(g.members))
	for id := range g.members {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

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

// restart asks all members to join again.
func (k *coordinator) restart(g *group, now time.Time) {
	if g.state == joining {
		return
	}
	if g.state == empty {
		g.notBefore = now.Add(rebalanceDelay)
	}
	g.state = joining
	longest := time.Duration(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalance)
		if m.synced != nil {
			m.finishSync(codeRebalanceInProgress, nil)
		}
		m.deadline = now.Add(m.session)
	}
	g.rebalanceEnd = now.Add(longest)
}

func (m *member) finishSync(code int16, assignment []byte) {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode, r.MemberAssignment = code, assignment
	if assignment == nil {
		r.MemberAssignment = []byte{}
	}
	m.synced <- r
	m.synced = nil
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

// drop takes a member out, and answers what it waits for.
func (k *coordinator) drop(g *group, m *member) {
	if g.members[m.id] != m {
		return
	}
	delete(g.members, m.id)
	k.members--
	if m.joined != nil {
		m.finishJoin(codeUnknownMember)
	}
	if m.synced != nil {
		m.finishSync(codeUnknownMember, nil)
	}
}

// remove takes a member out, and has the others share what it had.
func (k *coordinator) remove(g *group, m *member) {
	if g.members[m.id] != m {
		return
	}
	k.drop(g, m)
	now := time.Now()
	k.restart(g, now)
	if len(g.members) == 0 {
		g.notBefore = time.Time{}
	}
	k.advance(g, now)
}

func validGroup(name string) bool {
	if name == "" || len(name) > local.GroupBytesMax || !utf8.ValidString(name) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

func sameInstance(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

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

// add makes a group, or gives nil when there are too many.
func (k *coordinator) add(name string) *group {
	if len(k.groups) >= groupsMax {
		for old, g := range k.groups {
			if g.idle() && !g.stored {
				delete(k.groups, old)
			}
		}
	}
	if len(k.groups) >= groupsMax {
		k.d.complain("a consumer group is refused: there are too many", "group", name, "most", groupsMax)
		return nil
	}
	g := newGroup(name)
	k.groups[name] = g
	return g
}

func (g *group) idle() bool { return len(g.members) == 0 && len(g.promised) == 0 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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

// newMemberID is the client's id and a random part, as Kafka's.
func newMemberID(client string) string {
	client = strings.ToValidUTF8(client, "")
	return fmt.Sprintf("%.100s-%s", client, rand.Text())
}

// find is a member as a request names it, or the error's code.
func (k *coordinator) find(name, id string, instance *string, generation int32) (*group, *member, int16) {
	if !validGroup(name) {
		return nil, nil, codeInvalidGroupID
	}
	g := k.groups[name]
	if g == nil {
		return nil, nil, codeUnknownMember
	}
	m := g.members[id]
	switch {
	case m == nil && instance != nil:
		for _, other := range g.members {
			if sameInstance(other.instance, instance) {
				return g, nil, codeFencedInstance
			}
		}
		return g, nil, codeUnknownMember
	case m == nil:
		return g, nil, codeUnknownMember
	case instance != nil && !sameInstance(m.instance, instance):
		return g, nil, codeFencedInstance
	case generation != g.generation:
		return g, m, codeIllegalGeneration
	}
	return g, m, codeNone
}

// sync takes the leader's assignment and gives each member its own.
func (k *coordinator) sync(c *conn, req *kmsg.SyncGroupRequest) kmsg.Response {
	w, g, r := k.enterSync(req)
	if r != nil {
		return r
	}
	ctx, stop := c.watch()
	defer stop()
	select {
	case r := <-w.synced:
		return r
	case <-ctx.Done():
	}
	k.giveUp(g, w)
	return nil
}

func (k *coordinator) enterSync(req *kmsg.SyncGroupRequest) (*waiter, *group, *kmsg.SyncGroupResponse) {
	answer := func(code int16, assignment []byte) (*waiter, *group, *kmsg.SyncGroupResponse) {
		r := kmsg.NewPtrSyncGroupResponse()
		r.ErrorCode, r.MemberAssignment = code, assignment
		if assignment == nil {
			r.MemberAssignment = []byte{}
		}
		return nil, nil, r
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g, m, code := k.find(req.Group, req.MemberID, req.InstanceID, req.Generation)
	if code != codeNone {
		return answer(code, nil)
	}
	now := time.Now()
	m.deadline = now.Add(m.session)
	switch g.state {
	case joining:
		return answer(codeRebalanceInProgress, nil)
	case stable:
		return answer(codeNone, m.assignment)
	case empty:
		return answer(codeUnknownMember, nil)
	}
	if m.id == g.leader {
		if len(req.GroupAssignment) > groupMembersMax {
			return answer(codeInvalidRequest, nil)
		}
		for _, a := range req.GroupAssignment {
			if len(a.MemberAssignment) > memberBytesMax {
				return answer(codeInvalidRequest, nil)
			}
		}
		for _, a := range req.GroupAssignment {
			if to := g.members[a.MemberID]; to != nil {
				to.assignment = append([]byte{}, a.MemberAssignment...)
			}
		}
		g.state = stable
		for _, other := range g.members {
			if other.synced != nil {
				other.deadline = now.Add(other.session)
				other.finishSync(codeNone, other.assignment)
			}
		}
		return answer(codeNone, m.assignment)
	}
	if m.synced != nil { // it asks again
		m.finishSync(codeRebalanceInProgress, nil)
	}
	m.synced = make(chan *kmsg.SyncGroupResponse, 1)
	return &waiter{m: m, synced: m.synced}, g, nil
}

func (k *coordinator) heartbeat(req *kmsg.HeartbeatRequest) kmsg.Response {
	r := kmsg.NewHeartbeatResponse()
	k.mu.Lock()
	defer k.mu.Unlock()
	g, m, code := k.find(req.Group, req.MemberID, req.InstanceID, req.Generation)
	if r.ErrorCode = code; code == codeNone {
		m.deadline = time.Now().Add(m.session)
		if g.state == joining {
			r.ErrorCode = codeRebalanceInProgress
		}
	}
	return &r
}

func (k *coordinator) leave(req *kmsg.LeaveGroupRequest) kmsg.Response {
	r := kmsg.NewLeaveGroupResponse()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !validGroup(req.Group) {
		r.ErrorCode = codeInvalidGroupID
		return &r
	}
	if req.Version < 3 {
		r.ErrorCode = k.leaveOne(req.Group, req.MemberID, nil)
		return &r
	}
	if len(req.Members) > groupMembersMax {
		r.ErrorCode = codeInvalidRequest
		return &r
	}
	for _, m := range req.Members {
		e := kmsg.NewLeaveGroupResponseMember()
		e.MemberID, e.InstanceID = m.MemberID, m.InstanceID
		e.ErrorCode = k.leaveOne(req.Group, m.MemberID, m.InstanceID)
		r.Members = append(r.Members, e)
	}
	return &r
}

func (k *coordinator) leaveOne(name, id string, instance *string) int16 {
	g := k.groups[name]
	if g == nil {
		return codeUnknownMember
	}
	if _, ok := g.promised[id]; ok {
		delete(g.promised, id)
		return codeNone
	}
	m := g.members[id]
	if m == nil && id == "" && instance != nil { // an operator names the instance only
		for _, other := range g.members {
			if sameInstance(other.instance, instance) {
				m = other
			}
		}
	}
	switch {
	case m == nil:
		return codeUnknownMember
	case instance != nil && !sameInstance(m.instance, instance):
		return codeFencedInstance
	}
	k.remove(g, m)
	return codeNone
}

// delete forgets groups and their offsets.
func (k *coordinator) delete(req *kmsg.DeleteGroupsRequest) kmsg.Response {
	r := kmsg.NewDeleteGroupsResponse()
	if len(req.Groups) > requestPartitionsMax {
		return nil
	}
	for _, name := range req.Groups {
		e := kmsg.NewDeleteGroupsResponseGroup()
		e.Group = strings.ToValidUTF8(name, "?")
		if e.ErrorCode = k.deletable(name); e.ErrorCode == codeNone {
			if err := k.d.log.DeleteOffsets(context.Background(), name, time.Time{}); err != nil {
				e.ErrorCode = faultCode(err)
			} else {
				k.forget(name)
			}
		}
		r.Groups = append(r.Groups, e)
	}
	return &r
}

func (k *coordinator) deletable(name string) int16 {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch g := k.groups[name]; {
	case !validGroup(name):
		return codeInvalidGroupID
	case g == nil:
		return codeGroupNotFound
	case len(g.members) > 0:
		return codeNonEmptyGroup
	}
	return codeNone
}

// forget drops an empty group from memory.
func (k *coordinator) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.groups[name]; g != nil && g.idle() {
		delete(k.groups, name)
	}
}

// expire forgets the offsets of idle groups that were committed before a time, and groups without any.
func (k *coordinator) expire(before time.Time) error {
	known, err := k.d.log.Groups()
	if err != nil {
		return err
	}
	for name, stored := range k.idle() {
		last, ok := known[name]
		if ok && !last.Before(before) || !ok && stored { // the latter's first offsets are on their way
			continue
		}
		if ok {
			if err := k.d.log.DeleteOffsets(k.d.ctx, name, before); err != nil {
				return err
			}
		}
		k.forget(name)
	}
	return nil
}

// idle are the groups without members, and whether offsets of theirs were ever taken.
func (k *coordinator) idle() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := map[string]bool{}
	for name, g := range k.groups {
		if g.idle() {
			names[name] = g.stored
		}
	}
	return names
}

func (k *coordinator) list(*kmsg.ListGroupsRequest) kmsg.Response {
	r := kmsg.NewListGroupsResponse()
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, g := range k.groups {
		e := kmsg.NewListGroupsResponseGroup()
		e.Group, e.ProtocolType = name, g.protocolType
		r.Groups = append(r.Groups, e)
	}
	sort.Slice(r.Groups, func(i, j int) bool { return r.Groups[i].Group < r.Groups[j].Group })
	return &r
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
