package door

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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
		if len(g.members) == 0 && len(g.promised) == 0 {
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

// find is a member as a request names it, or the error's code.
func (k *coordinator) find(name, id string, instance *string, generation int32) (*group, *member, int16) {
	if !validGroup(name) {
		return nil, nil, codeInvalidGroupID
	}
	g := k.groups[name]
	if g == nil {
		return nil, nil, codeUnknownMember
	}
	m, code := g.current(id, instance)
	if code == codeNone && generation != g.generation {
		code = codeIllegalGeneration
	}
	return g, m, code
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
	if id == "" && instance != nil { // an operator names the instance only
		m := g.static[*instance]
		if m == nil {
			return codeUnknownMember
		}
		id = m.id
	}
	m, code := g.current(id, instance)
	if code == codeNone {
		k.remove(g, m)
	}
	return code
}
