package door

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// TestCreateTopics: no topic is made, and who asks for one that is there is told whether it is what they
// ask for.
func TestCreateTopics(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	const same, fixed = "The topic exists, with the partitions you ask for: nothing to do", "the topics of the embedded log are fixed"
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 4
	assigned := make([]kmsg.CreateTopicsRequestTopicReplicaAssignment, 2)
	cases := []struct {
		name     string
		n        int32
		assigned []kmsg.CreateTopicsRequestTopicReplicaAssignment
		code     int16
		message  string
	}{
		{"new", 1, nil, codePolicyViolation, fixed},
		{testTopic, 3, nil, codeTopicExists, same},
		{testTopic, -1, nil, codeTopicExists, same},
		{testTopic, 7, nil, codeTopicExists, "The topic exists with 3 partitions, and you ask for 7: the number is fixed"},
		{"system-health", -1, assigned, codeTopicExists, same},
		{testTopic, -1, assigned, codeTopicExists, "The topic exists with 3 partitions, and you ask for 2: the number is fixed"},
	}
	for _, c := range cases {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor, topic.ReplicaAssignment = c.name, c.n, 1, c.assigned
		req.Topics = append(req.Topics, topic)
	}
	resp := p.call(req).(*kmsg.CreateTopicsResponse)
	for i, c := range cases {
		if got := resp.Topics[i]; got.Topic != c.name || got.ErrorCode != c.code || !strings.HasPrefix(*got.ErrorMessage, c.message) {
			t.Errorf("%s with %d partitions: code %d, %q; want %d, %q", c.name, c.n, got.ErrorCode, *got.ErrorMessage, c.code, c.message)
		}
	}
}

// TestTransactions: who wants them finds a coordinator, which refuses with the code on which clients give up
// at once.
func TestTransactions(t *testing.T) {
	var said bytes.Buffer
	d := mustListen(t, Config{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	p := mustDial(t, d)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKey = 2, "t"
	for kind, code := range map[int8]int16{coordinatorOfTransactions: codeNone, 2: codeInvalidRequest} {
		find.CoordinatorType = kind
		if r := p.call(find).(*kmsg.FindCoordinatorResponse); r.ErrorCode != code {
			t.Errorf("coordinator of type %d: %+v", kind, r)
		}
	}
	id := strings.Repeat("t", 200)
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID = &id
	if r := p.call(init).(*kmsg.InitProducerIDResponse); r.ErrorCode != codeTransactionalForbidden {
		t.Errorf("%+v", r)
	}
	if words := said.String(); !strings.Contains(words, "leave transactional.id out") || strings.Contains(words, id) {
		t.Errorf("the log says %q", words)
	}
	c := saramaConfig()
	c.Producer.Transaction.ID = id
	c.Producer.Transaction.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		t.Errorf("sarama asks again, %d times more", retries)
		return 0
	}
	if _, err := sarama.NewSyncProducer([]string{d.Addr().String()}, c); !errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed) {
		t.Errorf("sarama: %v", err)
	}
}

// TestNewGroups: who speaks the protocol of KIP-848 is told which one is spoken here.
func TestNewGroups(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	for v := range int16(2) {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Version, req.Group, req.MemberID = v, "g", "m"
		p.send(req)
		if r := p.recv(req).(*kmsg.ConsumerGroupHeartbeatResponse); r.ErrorCode != codeUnsupportedVersion || !strings.Contains(*r.ErrorMessage, "group.protocol=classic") {
			t.Errorf("version %d: %+v", v, r)
		}
	}
}

// TestListGroups: by state and by type, from the versions that can ask for them on.
func TestListGroups(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	if code := p.commit("empty", "", -1, testTopic, 0, 1); code != 0 {
		t.Fatal(code)
	}
	id := p.promise("busy")
	if r := p.join(joinRequest("busy", id)); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	for _, c := range []struct {
		version       int16
		states, types []string
		want          []string
	}{
		{0, nil, nil, []string{"busy", "empty"}},
		{3, nil, nil, []string{"busy", "empty"}},
		{4, nil, nil, []string{"busy CompletingRebalance", "empty Empty"}},
		{4, []string{"Stable", "empty"}, nil, []string{"empty Empty"}},
		{4, []string{"Dead"}, nil, nil},
		{5, []string{"CompletingRebalance"}, []string{"Classic"}, []string{"busy CompletingRebalance classic"}},
		{5, nil, []string{"consumer", "share"}, nil},
	} {
		req := kmsg.NewPtrListGroupsRequest()
		req.Version, req.StatesFilter, req.TypesFilter = c.version, c.states, c.types
		req.UnknownTags.Set(7, []byte("passed over"))
		var got []string
		for _, g := range p.call(req).(*kmsg.ListGroupsResponse).Groups {
			got = append(got, strings.TrimSpace(g.Group+" "+g.GroupState+" "+g.GroupType))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("version %d, states %q, types %q: %q; want %q", c.version, c.states, c.types, got, c.want)
		}
	}
}

// TestFlexibleHostile: counts that the request does not hold end it.
func TestFlexibleHostile(t *testing.T) {
	d := mustListen(t, Config{})
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for name, body := range map[string][]byte{
		"tags of the header":        many,
		"a tag's length":            append([]byte{1, 0}, many...),
		"states":                    append([]byte{0}, many...),
		"a state's length":          append([]byte{0, 2}, many...),
		"a state that is no string": {0, 2, 0, 1, 0},
		"tags":                      append([]byte{0, 1, 1}, many...),
		"cut short":                 {0, 1},
		"too long":                  {0, 1, 1, 0, 0},
	} {
		req := kmsg.NewPtrListGroupsRequest()
		req.Version = 5
		if err := parseFlexible(req, body); err == nil {
			t.Errorf("%s: it is taken", name)
		}
		frame := append([]byte{0, 0, 0, byte(10 + len(body)), 0, keyListGroups, 0, 5, 0, 0, 0, 1, 0xff, 0xff}, body...)
		throw(t, d, frame)
	}
	alive(t, d)
}

// subscribes is a consumer's metadata.
func subscribes(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, topics
	return m.AppendTo(nil)
}

func (p *peer) deleteOffsets(group string, tps ...streams.TP) *kmsg.OffsetDeleteResponse {
	p.t.Helper()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	for _, tp := range tps {
		rt := kmsg.NewOffsetDeleteRequestTopic()
		rt.Topic = tp.Topic
		rp := kmsg.NewOffsetDeleteRequestTopicPartition()
		rp.Partition = tp.Partition
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
	}
	return p.call(req).(*kmsg.OffsetDeleteResponse)
}

// TestOffsetDelete: offsets of a group without members are deleted one by one; of one with members, those of
// topics that none subscribes to.
func TestOffsetDelete(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	const other = "system-health"
	for _, topic := range []string{testTopic, other} {
		if code := p.commit("g", "", -1, topic, 1, 5); code != 0 {
			t.Fatal(code)
		}
	}
	if r := p.deleteOffsets("unknown", streams.TP{Topic: testTopic}); r.ErrorCode != codeGroupNotFound || len(r.Topics) != 0 {
		t.Errorf("%+v", r)
	}
	if r := p.deleteOffsets("\xff", streams.TP{Topic: testTopic}); r.ErrorCode != codeInvalidGroupID {
		t.Errorf("%+v", r)
	}

	id := p.promise("g")
	join := joinRequest("g", id)
	join.Protocols = join.Protocols[:1]
	join.Protocols[0].Metadata = subscribes(testTopic, "nope")
	if r := p.join(join); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	r := p.deleteOffsets("g", streams.TP{Topic: testTopic, Partition: 1}, streams.TP{Topic: other, Partition: 1}, streams.TP{Topic: other, Partition: 9})
	if r.ErrorCode != 0 || r.Topics[0].Partitions[0].ErrorCode != codeGroupSubscribed || r.Topics[1].Partitions[0].ErrorCode != 0 || r.Topics[2].Partitions[0].ErrorCode != codeUnknownTopic {
		t.Errorf("%+v", r)
	}
	if a, b := p.committed("g", testTopic, 1), p.committed("g", other, 1); a != 5 || b != -1 {
		t.Errorf("offsets %d and %d; want 5 and none", a, b)
	}
	if code := p.leave("g", id, nil); code != 0 {
		t.Fatal(code)
	}
	if r := p.deleteOffsets("g", streams.TP{Topic: testTopic, Partition: 1}); r.ErrorCode != 0 || r.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("%+v", r)
	}
	if got := p.committed("g", testTopic, 1); got != -1 {
		t.Errorf("offset %d; want none", got)
	}

	// Of metadata that cannot be read, every topic may be one.
	if _, ok := subscription([]byte{0, 1, 0, 0, 0, 9, 0}); ok {
		t.Error("a subscription that is cut short is taken")
	}
	raw := joinRequest("raw", p.promise("raw"))
	if r := p.join(raw); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	if r := p.deleteOffsets("raw", streams.TP{Topic: other, Partition: 1}); r.Topics[0].Partitions[0].ErrorCode != codeGroupSubscribed {
		t.Errorf("%+v", r)
	}
	connect := joinRequest("connect", "")
	connect.Version, connect.ProtocolType = 3, "connect"
	if r := p.join(connect); r.ErrorCode != 0 {
		t.Fatalf("%+v", r)
	}
	if r := p.deleteOffsets("connect", streams.TP{Topic: other, Partition: 1}); r.ErrorCode != codeNonEmptyGroup {
		t.Errorf("%+v", r)
	}
}

// TestDescribeLogDirs: each partition, or those that are named.
func TestDescribeLogDirs(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	all := kmsg.NewPtrDescribeLogDirsRequest()
	all.Version, all.Topics = 1, nil
	r := p.call(all).(*kmsg.DescribeLogDirsResponse)
	var got []streams.TP
	for _, topic := range r.Dirs[0].Topics {
		for _, x := range topic.Partitions {
			got = append(got, streams.TP{Topic: topic.Topic, Partition: x.Partition})
		}
	}
	if len(r.Dirs) != 1 || r.Dirs[0].ErrorCode != 0 || r.Dirs[0].Dir != "log" || !slices.Equal(got, streams.PartitionsOf()) {
		t.Errorf("%+v", r)
	}
	one := kmsg.NewPtrDescribeLogDirsRequest()
	one.Version = 1
	topic := kmsg.NewDescribeLogDirsRequestTopic()
	topic.Topic, topic.Partitions = "system-health", []int32{1, 5}
	one.Topics = append(one.Topics, topic)
	if r := p.call(one).(*kmsg.DescribeLogDirsResponse); len(r.Dirs[0].Topics) != 1 || len(r.Dirs[0].Topics[0].Partitions) != 1 || r.Dirs[0].Topics[0].Partitions[0].Partition != 1 {
		t.Errorf("%+v", r)
	}
}

// TestDescribeACLs: there are none.
func TestDescribeACLs(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	for v := range int16(2) {
		req := kmsg.NewPtrDescribeACLsRequest()
		req.Version, req.ResourceType, req.Operation, req.PermissionType = v, kmsg.ACLResourceTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
		if r := p.call(req).(*kmsg.DescribeACLsResponse); r.ErrorCode != 0 || len(r.Resources) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// told is what DescribeConfigs says of a topic.
func (p *peer) told(topic string) map[string]string {
	p.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 3
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	req.Resources = append(req.Resources, r)
	settings := map[string]string{}
	for _, c := range p.call(req).(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
		settings[c.Name] = *c.Value
	}
	return settings
}

// TestToldSize: a batch of max.message.bytes is taken whatever is in it, and one of a byte more is not.
func TestToldSize(t *testing.T) {
	p := mustDial(t, mustListen(t, Config{}))
	most, err := strconv.Atoi(p.told(testTopic)["max.message.bytes"])
	if err != nil {
		t.Fatal(err)
	}
	// padded is a batch of so many bytes: the last record is as large as it takes.
	padded := func(bytes int, recs ...streams.Record) []byte {
		last := streams.Record{Value: make([]byte, bytes-len(newBatch(append(recs, streams.Record{Value: []byte{}})...).bytes()))}
		for {
			b := newBatch(append(recs, last)...).bytes()
			if len(b) <= bytes {
				if len(b) != bytes {
					t.Fatalf("a batch of %d bytes; want %d", len(b), bytes)
				}
				return b
			}
			last.Value = last.Value[:len(last.Value)-1]
		}
	}
	one := func(bytes int) []byte { return padded(bytes) }
	many := func(bytes int) []byte {
		return padded(bytes, slices.Repeat([]streams.Record{rec("key", "value")}, 10_000)...)
	}
	for name, batch := range map[string]func(int) []byte{"one record": one, "many records": many} {
		if r := p.produce(testTopic, 0, batch(most)); r.ErrorCode != codeNone {
			t.Errorf("%s, %d bytes: %d %v", name, most, r.ErrorCode, *r.ErrorMessage)
		}
		if r := p.produce(testTopic, 0, batch(most+1)); r.ErrorCode != codeMessageTooLarge {
			t.Errorf("%s, %d bytes: %d", name, most+1, r.ErrorCode)
		}
	}
}

// TestToldTime: message.timestamp.type is LogAppendTime, so every batch handed out says so and has one time,
// that at which the log took all of it; an answer to Produce has the same.
func TestToldTime(t *testing.T) {
	var millis atomic.Int64
	millis.Store(1_700_000_000_000)
	d := mustListen(t, Config{Log: mustMem(t, local.Options{Now: func() time.Time { return time.UnixMilli(millis.Load()) }})})
	p := mustDial(t, d)
	if got := p.told(testTopic)["message.timestamp.type"]; got != "LogAppendTime" {
		t.Errorf("it is told as %s", got)
	}
	var want []int64 // of each record
	for _, n := range []int{2, 1, 3} {
		at := millis.Add(1)
		for range 2 { // two batches at the same time
			batch := newBatch(slices.Repeat([]streams.Record{rec("k", "v")}, n)...)
			batch.FirstTimestamp, batch.MaxTimestamp = 5, 5 // the client's time is not the log's
			r := p.produce(testTopic, 0, batch.bytes())
			if r.ErrorCode != 0 || r.LogAppendTime != at {
				t.Errorf("%+v; want the time %d", r, at)
			}
			want = append(want, slices.Repeat([]int64{at}, n)...)
		}
	}
	b := p.fetch(fetchRequest(testTopic, 0, 0)).RecordBatches
	var got []int64
	batches := 0
	for rest := b; len(rest) > 0; batches++ {
		var batch kmsg.RecordBatch
		n := batchLengthFrom + int(binary.BigEndian.Uint32(rest[8:]))
		if err := batch.ReadFrom(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		if batch.Attributes != timestampTypeBit || batch.FirstTimestamp != batch.MaxTimestamp {
			t.Errorf("%+v", batch)
		}
		got = append(got, slices.Repeat([]int64{batch.MaxTimestamp}, int(batch.NumRecords))...)
	}
	if batches != 3 || !slices.Equal(got, want) {
		t.Errorf("%d batches with the times %d; want 3 with %d", batches, got, want)
	}
	for i, r := range records(t, b) {
		if r.Recorded.UnixMilli() != want[i] {
			t.Errorf("record %d is of %v", i, r.Recorded)
		}
	}
}
