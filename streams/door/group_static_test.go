package door

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func staticJoin(group, member, instance string) *kmsg.JoinGroupRequest {
	req := joinRequest(group, member)
	req.InstanceID = &instance
	return req
}

func staticSync(group, member, instance string, generation int32, assignments map[string]string) *kmsg.SyncGroupRequest {
	req := syncRequest(group, member, generation, assignments)
	req.InstanceID = &instance
	return req
}

func (p *peer) staticHeartbeat(group, member, instance string, generation int32) int16 {
	p.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 3, group, member, generation, &instance
	return p.call(req).(*kmsg.HeartbeatResponse).ErrorCode
}

func (p *peer) staticCommit(group, member, instance string, generation int32) int16 {
	p.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 7, group, member, generation, &instance
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = testTopic
	rt.Partitions = append(rt.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	req.Topics = append(req.Topics, rt)
	return p.call(req).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// leave takes one member out by its id, its instance or both.
func (p *peer) leave(group, member string, instance *string) int16 {
	p.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 3, group
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = member, instance
	req.Members = append(req.Members, m)
	resp := p.call(req).(*kmsg.LeaveGroupResponse)
	if resp.ErrorCode != codeNone {
		p.t.Errorf("%+v", resp)
	}
	return resp.Members[0].ErrorCode
}

// staticGroup is a stable group of two static members, the leader first.
type staticGroup struct {
	d          *Door
	peers      [2]*peer
	ids, names [2]string
	generation int32
}

func mustStaticGroup(t testing.TB) *staticGroup {
	t.Helper()
	s := &staticGroup{d: mustListen(t, Config{}), names: [2]string{"pod-1", "pod-2"}}
	for i := range s.peers {
		s.peers[i] = mustDial(t, s.d)
		s.peers[i].send(staticJoin("g", "", s.names[i]))
	}
	leader := ""
	for i, p := range s.peers { // the initial delay has brought them together
		r := p.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
		if r.ErrorCode != 0 || r.Generation != 1 {
			t.Fatalf("%+v", r)
		}
		s.ids[i], leader, s.generation = r.MemberID, r.LeaderID, r.Generation
	}
	if leader != s.ids[0] {
		s.ids[0], s.ids[1] = s.ids[1], s.ids[0]
		s.names[0], s.names[1] = s.names[1], s.names[0]
		s.peers[0], s.peers[1] = s.peers[1], s.peers[0]
	}
	s.assign(t, "first", "second")
	return s
}

// assign has the leader assign and both fetch what is theirs.
func (s *staticGroup) assign(t testing.TB, first, second string) {
	t.Helper()
	for i, want := range []string{first, second} {
		req := staticSync("g", s.ids[i], s.names[i], s.generation, nil)
		if i == 0 {
			req = staticSync("g", s.ids[i], s.names[i], s.generation, map[string]string{s.ids[0]: first, s.ids[1]: second})
		}
		if r := s.peers[i].call(req).(*kmsg.SyncGroupResponse); r.ErrorCode != 0 || string(r.MemberAssignment) != want {
			t.Fatalf("member %d has %+v; want %q", i, r, want)
		}
	}
}

// TestStaticReturn: a member that comes back, the leader too, has its assignment again, and nobody else
// notices.
func TestStaticReturn(t *testing.T) {
	s := mustStaticGroup(t)
	other := mustDial(t, s.d)
	before := other.describe("g")
	for i, want := range []string{"first", "second"} {
		s.peers[i].nc.Close()
		p := mustDial(t, s.d)
		r := p.join(staticJoin("g", "", s.names[i]))
		if r.ErrorCode != 0 || r.Generation != 1 || r.MemberID == s.ids[i] || r.LeaderID == r.MemberID || len(r.Members) != 0 || *r.Protocol != "range" {
			t.Fatalf("member %d: %+v; want another id in generation 1, and not to lead", i, r)
		}
		if sr := p.call(staticSync("g", r.MemberID, s.names[i], 1, nil)).(*kmsg.SyncGroupResponse); sr.ErrorCode != 0 || string(sr.MemberAssignment) != want {
			t.Errorf("member %d is assigned %+v; want %q", i, sr, want)
		}
		if code := p.staticHeartbeat("g", s.ids[i], s.names[i], 1); code != codeFencedInstance {
			t.Errorf("member %d as it was: heartbeat %d; want %d", i, code, codeFencedInstance)
		}
		s.peers[i], s.ids[i] = p, r.MemberID
		for j, q := range s.peers {
			if code := q.staticHeartbeat("g", s.ids[j], s.names[j], 1); code != 0 {
				t.Errorf("member %d: heartbeat %d", j, code)
			}
		}
	}
	after := other.describe("g")
	if after.State != "Stable" || len(after.Members) != 2 {
		t.Fatalf("%+v", after)
	}
	assigned := func(g kmsg.DescribeGroupsResponseGroup) map[string]string {
		m := map[string]string{}
		for _, x := range g.Members {
			m[*x.InstanceID] = string(x.MemberAssignment)
		}
		return m
	}
	if !reflect.DeepEqual(assigned(before), assigned(after)) {
		t.Errorf("before %v, after %v", assigned(before), assigned(after))
	}
	// Whoever came back as the leader leads the next generation.
	s.peers[0].send(staticJoin("g", s.ids[0], s.names[0]))
	eventually(t, func() bool {
		return s.peers[1].staticHeartbeat("g", s.ids[1], s.names[1], 1) == codeRebalanceInProgress
	})
	s.peers[1].send(staticJoin("g", s.ids[1], s.names[1]))
	r := s.peers[0].recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	if r.Generation != 2 || r.LeaderID != s.ids[0] || len(r.Members) != 2 {
		t.Errorf("%+v", r)
	}
}

// TestStaticFenced: each request that names an instance is refused to who held it before, and to who does
// not hold it.
func TestStaticFenced(t *testing.T) {
	s := mustStaticGroup(t)
	p := mustDial(t, s.d)
	old, name := s.ids[1], s.names[1]
	if r := p.join(staticJoin("g", "", name)); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	for _, c := range []struct {
		what             string
		member, instance string
		code             int16
	}{
		{"the one before", old, name, codeFencedInstance},
		{"a member who is another instance", s.ids[0], name, codeFencedInstance},
		{"no member", "", name, codeFencedInstance},
		{"an instance that is not there", s.ids[0], "pod-3", codeUnknownMember},
	} {
		got := map[string]int16{
			"heartbeat": p.staticHeartbeat("g", c.member, c.instance, 1),
			"commit":    p.staticCommit("g", c.member, c.instance, 1),
			"sync":      p.call(staticSync("g", c.member, c.instance, 1, nil)).(*kmsg.SyncGroupResponse).ErrorCode,
		}
		if c.member != "" { // else it joins, and an operator takes it out
			got["join"] = p.join(staticJoin("g", c.member, c.instance)).ErrorCode
			got["leave"] = p.leave("g", c.member, &c.instance)
		} else {
			got["commit without a generation"] = p.staticCommit("g", "", c.instance, -1)
		}
		for what, code := range got {
			if code != c.code {
				t.Errorf("%s of %s: code %d; want %d", what, c.what, code, c.code)
			}
		}
	}
	if code := p.heartbeat("g", s.ids[0], 1); code != 0 {
		t.Errorf("nobody was to be disturbed: heartbeat %d", code)
	}
}

// TestStaticParked: who waits in a join or a sync when its instance starts anew hears at once that it is
// fenced.
func TestStaticParked(t *testing.T) {
	s := mustStaticGroup(t)
	follower, name := s.ids[1], s.names[1]
	// The leader asks for another round; the follower waits in it.
	s.peers[1].send(staticJoin("g", s.ids[1], name)) // its metadata is as before: answered
	s.peers[1].recv(joinRequest("", ""))
	s.peers[0].send(staticJoin("g", s.ids[0], s.names[0]))
	eventually(t, func() bool { return mustDial(t, s.d).describe("g").State == "PreparingRebalance" })
	third := mustDial(t, s.d)
	third.send(staticJoin("g", "", name)) // completes the round
	leads := s.peers[0].recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	joins := third.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	if leads.Generation != 2 || joins.Generation != 2 || joins.MemberID == follower {
		t.Fatalf("%+v, %+v", leads, joins)
	}
	// It waits in sync, and starts anew: the leader is to assign again, for it would do so to the old id.
	third.send(staticSync("g", joins.MemberID, name, 2, nil))
	fourth := mustDial(t, s.d)
	eventually(t, func() bool { return parked(s.d, "g", joins.MemberID) })
	fourth.send(staticJoin("g", "", name))
	if r := third.recv(staticSync("", "", "", 0, nil)).(*kmsg.SyncGroupResponse); r.ErrorCode != codeFencedInstance {
		t.Errorf("sync: %+v", r)
	}
	eventually(t, func() bool { return mustDial(t, s.d).describe("g").State == "PreparingRebalance" })
	fifth := mustDial(t, s.d) // and while it waits in join, again
	fifth.send(staticJoin("g", "", name))
	if r := fourth.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse); r.ErrorCode != codeFencedInstance {
		t.Errorf("join: %+v", r)
	}
	if code := s.peers[0].staticHeartbeat("g", s.ids[0], s.names[0], 2); code != codeRebalanceInProgress {
		t.Errorf("heartbeat of the leader: %d", code)
	}
	s.peers[0].send(staticJoin("g", s.ids[0], s.names[0]))
	leads = s.peers[0].recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	last := fifth.recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	if leads.Generation != 3 || last.Generation != 3 || leads.LeaderID != s.ids[0] {
		t.Fatalf("%+v, %+v", leads, last)
	}
	s.peers[1], s.ids[1], s.generation = fifth, last.MemberID, 3
	s.assign(t, "one", "two")
}

// parked says whether a member waits for its assignment.
func parked(d *Door, group, id string) bool {
	d.groups.mu.Lock()
	defer d.groups.mu.Unlock()
	g := d.groups.groups[group]
	return g != nil && g.members[id] != nil && g.members[id].synced != nil
}

// impatient is a static member's request to join that is waited for at most half a second.
func impatient(member, instance, metadata string, session int32) *kmsg.JoinGroupRequest {
	req := staticJoin("g", member, instance)
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = session, 500
	req.Protocols[0].Metadata = []byte(metadata)
	return req
}

// hurry has both members waited for at most half a second, in generation 2.
func (s *staticGroup) hurry(t testing.TB) {
	t.Helper()
	s.peers[0].send(impatient(s.ids[0], s.names[0], "new", 30_000))
	eventually(t, func() bool { return mustDial(t, s.d).describe("g").State == "PreparingRebalance" })
	second := s.peers[1].join(impatient(s.ids[1], s.names[1], "new", 30_000))
	first := s.peers[0].recv(joinRequest("", "")).(*kmsg.JoinGroupResponse)
	if first.Generation != 2 || second.Generation != 2 || first.LeaderID != s.ids[0] {
		t.Fatalf("%+v, %+v", first, second)
	}
	s.generation = 2
	s.assign(t, "one", "two")
}

// TestStaticAway: a static member that is away keeps its place through a round of the others, and loses it
// when its session ends.
func TestStaticAway(t *testing.T) {
	s := mustStaticGroup(t)
	s.hurry(t)
	s.peers[1].nc.Close()
	r := s.peers[0].join(impatient(s.ids[0], s.names[0], "newer", 30_000))
	if r.ErrorCode != 0 || r.Generation != 3 || len(r.Members) != 2 || r.LeaderID != s.ids[0] {
		t.Fatalf("%+v; want both members in generation 3", r)
	}
	s.peers[0].call(staticSync("g", s.ids[0], s.names[0], 3, map[string]string{s.ids[0]: "mine", s.ids[1]: "kept"}))
	back := mustDial(t, s.d)
	again := back.join(impatient("", s.names[1], "new", 500))
	if again.ErrorCode != 0 || again.Generation != 3 {
		t.Fatalf("%+v", again)
	}
	if sr := back.call(staticSync("g", again.MemberID, s.names[1], 3, nil)).(*kmsg.SyncGroupResponse); string(sr.MemberAssignment) != "kept" {
		t.Errorf("%+v", sr)
	}
	// It says no more: its session, which is half a second now, ends.
	eventually(t, func() bool {
		return s.peers[0].staticHeartbeat("g", s.ids[0], s.names[0], 3) == codeRebalanceInProgress
	})
	if r := s.peers[0].join(impatient(s.ids[0], s.names[0], "newer", 30_000)); r.Generation != 4 || len(r.Members) != 1 {
		t.Errorf("%+v", r)
	}
}

// TestStaticAllAway: a round to which nobody comes begins again, and ends with the first who is back.
func TestStaticAllAway(t *testing.T) {
	s := mustStaticGroup(t)
	s.hurry(t)
	s.peers[0].send(impatient(s.ids[0], s.names[0], "newer", 30_000))
	s.peers[0].nc.Close() // its place is kept, though it waited
	s.peers[1].nc.Close()
	end := func() time.Time {
		s.d.groups.mu.Lock()
		defer s.d.groups.mu.Unlock()
		if g := s.d.groups.groups["g"]; g.state == joining {
			return g.rebalanceEnd
		}
		return time.Time{}
	}
	eventually(t, func() bool { return !end().IsZero() })
	first := end()
	eventually(t, func() bool { return end().After(first) })
	back := mustDial(t, s.d)
	r := back.join(impatient("", s.names[1], "new", 30_000))
	if r.ErrorCode != 0 || r.Generation != 3 || r.LeaderID != r.MemberID || len(r.Members) != 2 {
		t.Errorf("%+v; want to lead both", r)
	}
}

// TestStaticProtocol: who comes back without the group's protocol has the others choose anew.
func TestStaticProtocol(t *testing.T) {
	s := mustStaticGroup(t)
	s.peers[1].nc.Close()
	p := mustDial(t, s.d)
	req := staticJoin("g", "", s.names[1])
	req.Protocols = req.Protocols[1:] // roundrobin alone
	p.send(req)
	eventually(t, func() bool {
		return s.peers[0].staticHeartbeat("g", s.ids[0], s.names[0], 1) == codeRebalanceInProgress
	})
	r := s.peers[0].join(staticJoin("g", s.ids[0], s.names[0]))
	if r.Generation != 2 || *r.Protocol != "roundrobin" || len(r.Members) != 2 {
		t.Errorf("%+v", r)
	}
}

// TestStaticTakenOut: an operator takes a static member out by its instance; the rest share what it had.
func TestStaticTakenOut(t *testing.T) {
	s := mustStaticGroup(t)
	s.peers[1].nc.Close()
	p := mustDial(t, s.d)
	gone := "pod-3"
	if code := p.leave("g", "", &gone); code != codeUnknownMember {
		t.Errorf("an instance that is not there: %d", code)
	}
	if code := p.leave("g", "", &s.names[1]); code != 0 {
		t.Errorf("leave: %d", code)
	}
	if code := s.peers[0].staticHeartbeat("g", s.ids[0], s.names[0], 1); code != codeRebalanceInProgress {
		t.Errorf("heartbeat: %d", code)
	}
	if code := p.staticHeartbeat("g", s.ids[1], s.names[1], 1); code != codeUnknownMember {
		t.Errorf("heartbeat of who was taken out: %d", code)
	}
}

// saramaMember is a member of a consumer group as sarama's functional tests run one.
type saramaMember struct {
	group sarama.ConsumerGroup
	done  chan struct{} // closed when it has ended

	mu         sync.Mutex
	consuming  bool
	claims     int
	generation int32
	errs       []error
}

func runSarama(t *testing.T, addr, instance string) *saramaMember {
	t.Helper()
	cfg := saramaConfig()
	cfg.Version = sarama.MaxVersion
	cfg.ClientID, cfg.Consumer.Group.InstanceId, cfg.Consumer.Return.Errors = "client of "+instance, instance, true
	group, err := sarama.NewConsumerGroup([]string{addr}, "g", cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &saramaMember{group: group, done: make(chan struct{})}
	go func() {
		for err := range group.Errors() {
			m.fail(err)
			group.Close()
		}
	}()
	go func() {
		defer close(m.done)
		for {
			if err := group.Consume(context.Background(), []string{testTopic}, m); errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			} else if err != nil {
				m.fail(err)
				return
			}
		}
	}()
	t.Cleanup(func() { group.Close() })
	return m
}

func (m *saramaMember) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, err)
}

func (m *saramaMember) set(consuming bool, s sarama.ConsumerGroupSession) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consuming, m.claims, m.generation = consuming, len(s.Claims()[testTopic]), s.GenerationID()
}

func (m *saramaMember) Setup(s sarama.ConsumerGroupSession) error   { m.set(true, s); return nil }
func (m *saramaMember) Cleanup(s sarama.ConsumerGroupSession) error { m.set(false, s); return nil }
func (m *saramaMember) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for msg := range c.Messages() {
		s.MarkMessage(msg, "")
	}
	return nil
}

// has says whether the member consumes so many partitions.
func (m *saramaMember) has(claims int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.consuming && m.claims == claims
}

func (m *saramaMember) round() int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation
}

// close ends the member, which must not have failed.
func (m *saramaMember) close(t *testing.T) {
	t.Helper()
	if err := m.group.Close(); err != nil {
		t.Error(err)
	}
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.errs) > 0 {
		t.Errorf("errors %v", m.errs)
	}
}

func describeSarama(t *testing.T, admin sarama.ClusterAdmin) *sarama.GroupDescription {
	t.Helper()
	groups, err := admin.DescribeConsumerGroups([]string{"g"})
	if err != nil || len(groups) != 1 {
		t.Fatalf("%+v, %v", groups, err)
	}
	return groups[0]
}

// TestSaramaStatic is what sarama's TestFuncConsumerGroupStaticMembership_* ask of a broker: a static member
// that ends and comes back disturbs nobody; an operator may take it out; two of one instance cannot be.
func TestSaramaStatic(t *testing.T) {
	d := mustListen(t, Config{})
	addr := d.Addr().String()
	m1, m2 := runSarama(t, addr, "Instance1"), runSarama(t, addr, "Instance2")
	both := func() bool { return m1.has(2) && m2.has(1) || m1.has(1) && m2.has(2) }
	eventually(t, both)
	admin, err := sarama.NewClusterAdmin([]string{addr}, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	before, generation := describeSarama(t, admin), m1.round()
	if before.State != "Stable" || len(before.Members) != 2 {
		t.Fatalf("%+v", before)
	}

	// It ends, and nothing is different.
	m2.close(t)
	if after := describeSarama(t, admin); !reflect.DeepEqual(before, after) || m1.round() != generation {
		t.Errorf("%+v in generation %d; it was %+v in %d", after, m1.round(), before, generation)
	}
	// It comes back, under another member id.
	m2 = runSarama(t, addr, "Instance2")
	eventually(t, both)
	if after := describeSarama(t, admin); len(after.Members) != 2 || m1.round() != generation || m2.round() != generation {
		t.Errorf("%+v in generations %d and %d; it was %d", after, m1.round(), m2.round(), generation)
	}
	// It starts a second time beside itself: the first one is fenced.
	m3 := runSarama(t, addr, "Instance2")
	<-m2.done
	m2.mu.Lock()
	if len(m2.errs) == 0 || !errors.Is(m2.errs[0], sarama.ErrFencedInstancedId) {
		t.Errorf("the first of two ended with %v", m2.errs)
	}
	m2.mu.Unlock()
	eventually(t, func() bool { return (m3.has(1) || m3.has(2)) && m1.round() == generation })
	// It is taken out: the other has all.
	m3.close(t)
	resp, err := admin.RemoveMemberFromConsumerGroup("g", []string{"Instance2"})
	if err != nil || !errors.Is(resp.Err, sarama.ErrNoError) || !errors.Is(resp.Members[0].Err, sarama.ErrNoError) {
		t.Fatalf("%+v, %v", resp, err)
	}
	eventually(t, func() bool { return m1.has(3) && m1.round() > generation })
	m1.close(t)
}
