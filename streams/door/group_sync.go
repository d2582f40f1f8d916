package door

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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

func (m *member) finishSync(code int16, assignment []byte) {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode, r.MemberAssignment = code, assignment
	if assignment == nil {
		r.MemberAssignment = []byte{}
	}
	m.synced <- r
	m.synced = nil
}
