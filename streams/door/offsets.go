package door

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// offsetCommit stores a group's offsets; it answers when they are durable.
func (k *coordinator) offsetCommit(req *kmsg.OffsetCommitRequest) kmsg.Response {
	r := kmsg.NewOffsetCommitResponse()
	g, code := k.mayCommit(req)
	if g != nil {
		defer k.committed(g)
	}
	var offsets []local.GroupOffset
	n := 0
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			if n++; n > requestPartitionsMax {
				return nil
			}
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			metadata := ""
			if p.Metadata != nil {
				metadata = *p.Metadata
			}
			parts, ok := k.d.partitions[t.Topic]
			switch {
			case code != codeNone:
				rp.ErrorCode = code
			case !ok || p.Partition < 0 || p.Partition >= parts:
				rp.ErrorCode = codeUnknownTopic
			case p.Offset < 0:
				rp.ErrorCode = codeOffsetOutOfRange
			case len(metadata) > offsetMetadataBytesMax:
				rp.ErrorCode = codeOffsetMetadataTooLarge
			default:
				offsets = append(offsets, local.GroupOffset{TP: streams.TP{Topic: t.Topic, Partition: p.Partition}, Offset: p.Offset, Metadata: metadata})
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	if len(offsets) == 0 {
		return &r
	}
	if err := k.d.log.CommitOffsets(req.Group, offsets); err != nil {
		k.d.complain("a consumer group's offsets could not be stored", "group", req.Group, "error", err.Error())
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if p := &r.Topics[i].Partitions[j]; p.ErrorCode == codeNone {
					p.ErrorCode = faultCode(err)
				}
			}
		}
	}
	return &r
}

// mayCommit gives the group that takes offsets from whom the request names, or the code of why it does not.
// The caller says when they are committed.
func (k *coordinator) mayCommit(req *kmsg.OffsetCommitRequest) (*group, int16) {
	if !validGroup(req.Group) {
		return nil, codeInvalidGroupID
	}
	var gone *group
	defer func() { k.giveWay(gone) }()
	k.lock(req.Group)
	defer k.mu.Unlock()
	g := k.groups[req.Group]
	switch {
	case req.Generation < 0 && g == nil: // who assigns its partitions itself, or an operator
		g, gone = k.add(req.Group)
	case g == nil:
		return nil, codeIllegalGeneration
	case req.Generation >= 0 || len(g.members) > 0:
		m, code := g.current(req.MemberID, req.InstanceID)
		switch {
		case code != codeNone:
			return nil, code
		case req.Generation != g.generation:
			return nil, codeIllegalGeneration
		}
		m.deadline = time.Now().Add(m.session)
		if g.state == syncing {
			return nil, codeRebalanceInProgress
		}
	}
	k.committing(g)
	return g, codeNone
}

// offsetFetch gives a group's offsets, -1 where it has none.
func (k *coordinator) offsetFetch(req *kmsg.OffsetFetchRequest) kmsg.Response {
	r := kmsg.NewOffsetFetchResponse()
	var offsets []local.GroupOffset
	code := int16(codeNone)
	if !validGroup(req.Group) {
		code = codeInvalidGroupID
	} else {
		var err error
		if offsets, err = k.d.log.GroupOffsets(req.Group); err != nil {
			k.d.complain("a consumer group's offsets could not be read", "group", req.Group, "error", err.Error())
			code = faultCode(err)
		}
	}
	r.ErrorCode = code
	have := make(map[streams.TP]local.GroupOffset, len(offsets))
	for _, o := range offsets {
		have[o.TP] = o
	}
	add := func(rt *kmsg.OffsetFetchResponseTopic, partition int32) {
		rp := kmsg.NewOffsetFetchResponseTopicPartition()
		metadata := ""
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.ErrorCode = partition, -1, -1, code
		if o, ok := have[streams.TP{Topic: rt.Topic, Partition: partition}]; ok {
			rp.Offset, metadata = o.Offset, o.Metadata
		}
		rp.Metadata = &metadata
		rt.Partitions = append(rt.Partitions, rp)
	}
	if req.Topics == nil { // all, from version 2 on
		for _, o := range offsets {
			if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != o.Topic {
				rt := kmsg.NewOffsetFetchResponseTopic()
				rt.Topic = o.Topic
				r.Topics = append(r.Topics, rt)
			}
			add(&r.Topics[len(r.Topics)-1], o.Partition)
		}
		return &r
	}
	n := 0
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			if n++; n > requestPartitionsMax {
				return nil
			}
			add(&rt, p)
		}
		r.Topics = append(r.Topics, rt)
	}
	return &r
}

// offsetDelete forgets committed offsets of a group: of one without members, or of topics that no member
// subscribes to.
func (k *coordinator) offsetDelete(req *kmsg.OffsetDeleteRequest) kmsg.Response {
	r := kmsg.NewPtrOffsetDeleteResponse()
	subscribed, code := k.subscribed(req.Group)
	if r.ErrorCode = code; code != codeNone {
		return r
	}
	var gone []streams.TP
	n := 0
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetDeleteResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			if n++; n > requestPartitionsMax {
				return nil
			}
			rp := kmsg.NewOffsetDeleteResponseTopicPartition()
			rp.Partition = p.Partition
			parts, ok := k.d.partitions[t.Topic]
			switch {
			case !ok || p.Partition < 0 || p.Partition >= parts:
				rp.ErrorCode = codeUnknownTopic
			case subscribed(t.Topic):
				rp.ErrorCode = codeGroupSubscribed
			default:
				gone = append(gone, streams.TP{Topic: t.Topic, Partition: p.Partition})
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	if err := k.d.log.DeleteOffsetsOf(req.Group, gone); err != nil {
		k.d.complain("a consumer group's offsets could not be deleted", "group", req.Group, "error", err.Error())
		r.ErrorCode, r.Topics = faultCode(err), nil
	}
	return r
}

// subscribed says of a group's topics which its members subscribe to: as far as that is not known, all.
func (k *coordinator) subscribed(name string) (func(topic string) bool, int16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.groups[name]
	switch {
	case !validGroup(name):
		return nil, codeInvalidGroupID
	case g == nil:
		return nil, codeGroupNotFound
	case len(g.members) > 0 && g.protocolType != consumerProtocol:
		return nil, codeNonEmptyGroup
	}
	all := len(g.members) > 0 && g.protocol == ""
	topics := map[string]bool{}
	for _, m := range g.members {
		list, ok := subscription(m.metadata(g.protocol))
		all = all || !ok
		for _, t := range list {
			topics[t] = true
		}
	}
	return func(topic string) bool { return all || topics[topic] }, codeNone
}

// subscription reads the topics of a consumer's metadata: the part that all versions of it begin with.
func subscription(metadata []byte) (topics []string, ok bool) {
	r := reader{b: metadata}
	if version := r.int16(); version < 0 {
		return nil, false
	}
	for n := r.int32(); n > 0 && !r.bad; n-- {
		topics = append(topics, string(r.span(int(r.int16()))))
	}
	return topics, !r.bad
}
