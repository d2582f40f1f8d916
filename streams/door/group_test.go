package door

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams/local"
)

func joinRequest(group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = 5, group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 120_000, 120_000 // longer than any test takes
	for _, name := range []string{"range", "roundrobin"} {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, []byte("meta "+name)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

func (p *peer) join(req *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	p.t.Helper()
	return p.call(req).(*kmsg.JoinGroupResponse)
}

// promise gets a member id.
func (p *peer) promise(group string) string {
	p.t.Helper()
	resp := p.join(joinRequest(group, ""))
	if resp.ErrorCode != codeMemberIDRequired || resp.MemberID == "" {
		p.t.Fatalf("%+v", resp)
	}
	return resp.MemberID
}

func syncRequest(group, member string, generation int32, assignments map[string]string) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, group, member, generation
	for id, a := range assignments {
		e := kmsg.NewSyncGroupRequestGroupAssignment()
		e.MemberID, e.MemberAssignment = id, []byte(a)
		req.GroupAssignment = append(req.GroupAssignment, e)
	}
	return req
}

func (p *peer) heartbeat(group, member string, generation int32) int16 {
	p.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, group, member, generation
	return p.call(req).(*kmsg.HeartbeatResponse).ErrorCode
}

func (p *peer) commit(group, member string, generation int32, topic string, partition int32, offset int64) int16 {
	p.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 7, group, member, generation
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	metadata := "m"
	rp.Partition, rp.Offset, rp.Metadata = partition, offset, &metadata
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return p.call(req).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func (p *peer) committed(group, topic string, partition int32) int64 {
	p.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	req.Topics = append(req.Topics, rt)
	resp := p.call(req).(*kmsg.OffsetFetchResponse)
	if resp.ErrorCode != 0 {
		p.t.Fatalf("%+v", resp)
	}
	return resp.Topics[0].Partitions[0].Offset
}

func (p *peer) describe(group string) kmsg.DescribeGroupsResponseGroup {
	p.t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Version, req.Groups = 4, []string{group}
	return p.call(req).(*kmsg.DescribeGroupsResponse).Groups[0]
}

func (p *peer) listed() (names []string) {
	p.t.Helper()
	req := kmsg.NewPtrListGroupsRequest()
	req.Version = 2
	for _, g := range p.call(req).(*kmsg.ListGroupsResponse).Groups {
		if g.ProtocolType != "consumer" {
			p.t.Errorf("%+v", g)
		}
		names = append(names, g.Group)
	}
	return names
}

// TestGroup takes two members through joining, a rebalance, leaving and the end of a session.
func TestGroup(t *testing.T) {
	d := mustListen(t, Config{})
	a, b := mustDial(t, d), mustDial(t, d)
	ida := a.promise("g")
	ja := a.join(joinRequest("g", ida))
	if ja.ErrorCode != 0 || ja.Generation != 1 || ja.LeaderID != ida || len(ja.Members) != 1 || *ja.Protocol != "range" || string(ja.Members[0].ProtocolMetadata) != "meta range" {
		t.Fatalf("%+v", ja)
	}
	if got := a.describe("g"); got.State != "CompletingRebalance" {
		t.Errorf("%+v", got)
	}
	if code := a.commit("g", ida, 1, testTopic, 0, 1); code != codeRebalanceInProgress {
		t.Errorf("commit before the assignment: %d", code)
	}
	sa := a.call(syncRequest("g", ida, 1, map[string]string{ida: "all"})).(*kmsg.SyncGroupResponse)
	if sa.ErrorCode != 0 || string(sa.MemberAssignment) != "all" {
		t.Fatalf("%+v", sa)
	}
	if code := a.heartbeat("g", ida, 1); code != 0 {
		t.Errorf("heartbeat: %d", code)
	}

	// b joins: a hears of it by its heartbeat and joins anew.
	idb := b.promise("g")
	b.send(joinRequest("g", idb))
	eventually(t, func() bool { return a.heartbeat("g", ida, 1) == codeRebalanceInProgress })
	if code := a.commit("g", ida, 1, testTopic, 0, 10); code != 0 {
		t.Errorf("commit of the last generation's work: %d", code)
	}
	ja = a.join(joinRequest("g", ida))
	jb := b.recv(joinRequest("g", idb)).(*kmsg.JoinGroupResponse)
	if ja.Generation != 2 || jb.Generation != 2 || ja.LeaderID != ida || jb.LeaderID != ida || len(ja.Members) != 2 || len(jb.Members) != 0 || jb.MemberID != idb {
		t.Fatalf("%+v, %+v", ja, jb)
	}
	b.send(syncRequest("g", idb, 2, nil)) // waits for the leader
	sa = a.call(syncRequest("g", ida, 2, map[string]string{ida: "half", idb: "other half"})).(*kmsg.SyncGroupResponse)
	sb := b.recv(syncRequest("g", idb, 2, nil)).(*kmsg.SyncGroupResponse)
	if string(sa.MemberAssignment) != "half" || string(sb.MemberAssignment) != "other half" {
		t.Fatalf("%+v, %+v", sa, sb)
	}
	if got := a.describe("g"); got.State != "Stable" || got.Protocol != "range" || len(got.Members) != 2 || got.Members[0].ClientID != "test" || got.Members[0].ClientHost != "/127.0.0.1" {
		t.Errorf("%+v", got)
	}
	for name, got := range map[string]int16{
		"old generation":      a.commit("g", ida, 1, testTopic, 0, 11) - codeIllegalGeneration,
		"stranger":            a.commit("g", "nobody", 2, testTopic, 0, 11) - codeUnknownMember,
		"operator":            a.commit("g", "", -1, testTopic, 0, 11) - codeUnknownMember,
		"unknown topic":       a.commit("g", ida, 2, "nope", 0, 11) - codeUnknownTopic,
		"heartbeat, old":      a.heartbeat("g", ida, 1) - codeIllegalGeneration,
		"heartbeat, stranger": a.heartbeat("g", "nobody", 2) - codeUnknownMember,
		"group's name":        a.heartbeat("\xff", ida, 2) - codeInvalidGroupID,
	} {
		if got != 0 {
			t.Errorf("%s: another code, by %d", name, got)
		}
	}
	if got := a.committed("g", testTopic, 0); got != 10 {
		t.Errorf("offset %d; want 10", got)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = 1, []string{"g", "unknown"}
	if resp := a.call(del).(*kmsg.DeleteGroupsResponse); resp.Groups[0].ErrorCode != codeNonEmptyGroup || resp.Groups[1].ErrorCode != codeGroupNotFound {
		t.Errorf("%+v", resp)
	}

	// The leader leaves: b is alone in the next generation.
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group = 3, "g"
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = ida
	leave.Members = append(leave.Members, m)
	if resp := a.call(leave).(*kmsg.LeaveGroupResponse); resp.ErrorCode != 0 || resp.Members[0].ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	if code := b.heartbeat("g", idb, 2); code != codeRebalanceInProgress {
		t.Errorf("heartbeat after another has left: %d", code)
	}
	short := joinRequest("g", idb)
	short.SessionTimeoutMillis = 500
	if jb = b.join(short); jb.Generation != 3 || jb.LeaderID != idb || len(jb.Members) != 1 {
		t.Errorf("%+v", jb)
	}
	// b falls silent.
	eventually(t, func() bool { return a.describe("g").State == "Empty" })
	if resp := a.call(del).(*kmsg.DeleteGroupsResponse); resp.Groups[0].ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	if got := a.committed("g", testTopic, 0); got != -1 {
		t.Errorf("offset %d of a deleted group", got)
	}
	if got := a.describe("g"); got.State != "Dead" {
		t.Errorf("%+v", got)
	}
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it did not come about")
}

// TestGroupParked: who waits in a group and goes away does not hold up the others.
func TestGroupParked(t *testing.T) {
	d := mustListen(t, Config{})
	a, b := mustDial(t, d), mustDial(t, d)
	ida, idb := a.promise("g"), b.promise("g")
	a.send(joinRequest("g", ida))
	b.send(joinRequest("g", idb))
	ja, jb := a.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse), b.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	if ja.Generation != 1 || jb.Generation != 1 { // the initial delay has brought them together
		t.Fatalf("%+v, %+v", ja, jb)
	}
	leader, follower, idl, idf := a, b, ida, idb
	if ja.LeaderID == idb {
		leader, follower, idl, idf = b, a, idb, ida
	}
	follower.send(syncRequest("g", idf, 1, nil))
	follower.nc.Close() // in sync: the others begin anew
	eventually(t, func() bool { return leader.heartbeat("g", idl, 1) == codeRebalanceInProgress })
	c := mustDial(t, d)
	idc := c.promise("g")
	c.send(joinRequest("g", idc))
	eventually(t, func() bool { return len(leader.describe("g").Members) == 2 })
	c.nc.Close() // in join
	eventually(t, func() bool { return len(leader.describe("g").Members) == 1 })
	if resp := leader.join(joinRequest("g", idl)); resp.Generation != 2 || len(resp.Members) != 1 {
		t.Errorf("%+v", resp)
	}
}

func TestGroupRefused(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	edit := func(fn func(*kmsg.JoinGroupRequest)) *kmsg.JoinGroupRequest {
		req := joinRequest("g", "")
		fn(req)
		return req
	}
	for name, c := range map[string]struct {
		req  *kmsg.JoinGroupRequest
		code int16
	}{
		"no name":         {joinRequest("", ""), codeInvalidGroupID},
		"name not UTF-8":  {joinRequest("\xff", ""), codeInvalidGroupID},
		"control":         {joinRequest("a\x00b", ""), codeInvalidGroupID},
		"stranger":        {joinRequest("g", "nobody"), codeUnknownMember},
		"short session":   {edit(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 }), codeInvalidSessionTimeout},
		"long session":    {edit(func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 << 30 }), codeInvalidSessionTimeout},
		"no protocols":    {edit(func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }), codeInconsistentProtocol},
		"no protocoltype": {edit(func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" }), codeInconsistentProtocol},
		"large metadata":  {edit(func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Metadata = make([]byte, memberBytesMax) }), codeInvalidRequest},
	} {
		if resp := p.join(c.req); resp.ErrorCode != c.code {
			t.Errorf("%s: code %d; want %d", name, resp.ErrorCode, c.code)
		}
	}
	id := p.promise("g")
	if resp := p.join(joinRequest("g", id)); resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	other := joinRequest("g", "")
	other.Protocols = other.Protocols[:1]
	other.Protocols[0].Name = "sticky"
	if resp := p.join(other); resp.ErrorCode != codeInconsistentProtocol {
		t.Errorf("%+v", resp)
	}
	for range groupMembersMax {
		if resp := p.join(joinRequest("g", "")); resp.ErrorCode == codeGroupFull {
			return
		}
	}
	t.Error("a group has no end")
}

// TestGroupRestart: offsets survive, and the admin clients see the group.
func TestGroupRestart(t *testing.T) {
	dir := t.TempDir()
	for life := range 3 {
		l, err := local.Open(dir, local.Options{ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Listen(Config{Log: l, Address: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		p := mustDial(t, d)
		if life > 0 {
			if got := p.committed("g", testTopic, 2); got != int64(life) {
				t.Errorf("offset %d; want %d", got, life)
			}
			if got := p.describe("g"); got.State != "Empty" || got.ProtocolType != "consumer" {
				t.Errorf("%+v", got)
			}
			if got := p.listed(); !slices.Equal(got, []string{"g"}) {
				t.Errorf("groups %q", got)
			}
		}
		if code := p.commit("g", "", -1, testTopic, 2, int64(life+1)); code != 0 {
			t.Errorf("commit: %d", code)
		}
		all := kmsg.NewPtrOffsetFetchRequest()
		all.Version, all.Group, all.Topics = 5, "g", nil
		if resp := p.call(all).(*kmsg.OffsetFetchResponse); len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].Offset != int64(life+1) || *resp.Topics[0].Partitions[0].Metadata != "m" {
			t.Errorf("%+v", resp)
		}
		if err := errors.Join(d.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// hasGroups checks which groups are left.
func (p *peer) hasGroups(want ...string) {
	p.t.Helper()
	if got := p.listed(); !slices.Equal(got, want) {
		p.t.Errorf("groups %q; want %q", got, want)
	}
}

// TestGroupExpiresNot: a group whose first offsets are being written is neither forgotten nor deleted
// meanwhile.
func TestGroupExpiresNot(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = "new", -1
	g, code := d.groups.mayCommit(req)
	if code != 0 { // and no more yet
		t.Fatal(code)
	}
	later := time.Now().Add(time.Hour)
	if err := d.groups.expire(later); err != nil {
		t.Fatal(err)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"new"}
	if resp := p.call(del).(*kmsg.DeleteGroupsResponse); resp.Groups[0].ErrorCode != codeNonEmptyGroup {
		t.Errorf("%+v", resp)
	}
	p.hasGroups("new")
	d.groups.committed(g)
	if err := d.groups.expire(later); err != nil {
		t.Fatal(err)
	}
	p.hasGroups()
}

// TestGroupExpires: groups that had no member for a week are forgotten with their offsets, by when they were
// last used, not by when they committed.
func TestGroupExpires(t *testing.T) {
	var now atomic.Int64
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	now.Store(1_700_000_000)
	dir := t.TempDir()
	open := func() (*local.Log, *Door) {
		l, err := local.Open(dir, local.Options{ReserveBytes: -1, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Listen(Config{Log: l, Address: "127.0.0.1:0", Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		return l, d
	}
	l, d := open()
	p := mustDial(t, d)
	for _, g := range []string{"busy", "idle", "left"} {
		if code := p.commit(g, "", -1, testTopic, 0, 1); code != 0 {
			t.Fatal(code)
		}
	}
	left := p.promise("left")
	for group, id := range map[string]string{"busy": p.promise("busy"), "left": left} {
		if r := p.join(joinRequest(group, id)); r.ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
	}
	expire := func() {
		t.Helper()
		if err := d.groups.expire(clock().Add(-stateRetention)); err != nil {
			t.Fatal(err)
		}
	}
	week := int64(stateRetention / time.Second)
	now.Add(week)
	expire()
	p.hasGroups("busy", "idle", "left")
	now.Add(1)
	expire()
	p.hasGroups("busy", "left")
	if got := p.committed("idle", testTopic, 0); got != -1 {
		t.Errorf("offset %d of a group that is forgotten", got)
	}
	if code := p.leave("left", left, nil); code != 0 {
		t.Fatal(code)
	}
	expire()
	p.hasGroups("busy", "left")

	// After a start they have a day to come back in: who was in use before is not known.
	if err := errors.Join(d.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l, d = open()
	p = mustDial(t, d)
	expire()
	p.hasGroups("busy", "left")
	now.Add(int64(startGrace/time.Second) + 1)
	p.join(joinRequest("busy", p.promise("busy")))
	expire()
	p.hasGroups("busy")
	if got := p.committed("busy", testTopic, 0); got != 1 {
		t.Errorf("offset %d of a group in use", got)
	}
	if err := errors.Join(d.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestGroupsGiveWay: where there are as many groups as there may be, a new one takes the place of the one
// that was used the longest ago: of those that have committed nothing, and then of the others.
func TestGroupsGiveWay(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	p.nc.SetDeadline(time.Now().Add(5 * time.Minute))
	name := func(i int) string { return fmt.Sprintf("group %05d", i) }
	commit := func(group string) {
		t.Helper()
		if code := p.commit(group, "", -1, testTopic, 0, 1); code != 0 {
			t.Fatalf("%s: %d", group, code)
		}
	}
	member := p.promise("members")
	if r := p.join(joinRequest("members", member)); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	commit("old")
	p.promise("bare") // has committed nothing
	for i := range groupsMax - 3 {
		commit(name(i))
	}
	commit("old") // is not the oldest any more
	has := func(want map[string]int64) {
		t.Helper()
		for group, offset := range want {
			if got := p.committed(group, testTopic, 0); got != offset {
				t.Errorf("%s has committed %d; want %d", group, got, offset)
			}
		}
		if n := len(p.listed()); n != groupsMax {
			t.Errorf("%d groups; want %d", n, groupsMax)
		}
	}
	has(map[string]int64{"old": 1, name(0): 1, name(1): 1})
	commit("new 1") // for the one that has committed nothing
	has(map[string]int64{"new 1": 1, "old": 1, name(0): 1, name(1): 1})
	commit("new 2")
	has(map[string]int64{"new 2": 1, "old": 1, name(0): -1, name(1): 1})
	id := p.promise("new 3")
	if r := p.join(joinRequest("new 3", id)); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	has(map[string]int64{"old": 1, name(1): -1, name(2): 1})
	commit(name(0)) // as if it had never been there
	has(map[string]int64{name(0): 1, name(2): -1, name(3): 1})
	if code := p.heartbeat("members", member, 1); code != 0 {
		t.Errorf("a group with members: heartbeat %d", code)
	}
}

// TestGroupReturns: who commits for a group while its offsets are being deleted waits, and keeps what it has
// committed.
func TestGroupReturns(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	if code := p.commit("g", "", -1, testTopic, 0, 1); code != 0 {
		t.Fatal(code)
	}
	g, code := d.groups.deletable("g")
	if code != 0 {
		t.Fatal(code)
	}
	done := make(chan int16)
	q := mustDial(t, d)
	go func() { done <- q.commit("g", "", -1, testTopic, 0, 2) }()
	if err := d.groups.bury(g); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Fatal(code)
	}
	if got := p.committed("g", testTopic, 0); got != 2 {
		t.Errorf("offset %d; want 2", got)
	}
	p.hasGroups("g")

	synctest.Test(t, func(t *testing.T) {
		buried := make(chan struct{})
		k := &coordinator{leaving: map[string]chan struct{}{"g": buried}}
		in := false
		go func() {
			k.lock("g")
			in = true
			k.mu.Unlock()
		}()
		synctest.Wait()
		if in {
			t.Error("it does not wait")
		}
		k.lock("other") // which need not
		delete(k.leaving, "g")
		close(buried)
		k.mu.Unlock()
		synctest.Wait()
		if !in {
			t.Error("it waits for ever")
		}
	})
}
