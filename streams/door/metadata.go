package door

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

const (
	nodeID    = 1
	clusterID = "projectionist"
	noACLs    = -2147483648 // Kafka's word for operations that were not asked for

	coordinatorOfGroups       = 0
	coordinatorOfTransactions = 1
	noTransactions            = "there are no transactions here: leave transactional.id out; an idempotent producer writes each record once"
)

func (d *Door) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	r := kmsg.NewMetadataResponse()
	cluster := clusterID
	r.ClusterID, r.ControllerID = &cluster, nodeID
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = nodeID, d.host, d.port
	r.Brokers = append(r.Brokers, b)
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		for _, t := range d.topics {
			r.Topics = append(r.Topics, d.topicMetadata(t.Name))
		}
		return &r
	}
	if len(req.Topics) > requestPartitionsMax {
		return nil
	}
	for _, t := range req.Topics {
		name := ""
		if t.Topic != nil {
			name = *t.Topic
		}
		r.Topics = append(r.Topics, d.topicMetadata(name))
	}
	return &r
}

func (d *Door) topicMetadata(name string) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.AuthorizedOperations = noACLs
	n, ok := d.partitions[name]
	if !ok {
		// Topics are the program's: none is made because a client asks for it.
		t.ErrorCode = codeUnknownTopic
		if !utf8.ValidString(name) {
			t.ErrorCode, name = codeInvalidTopic, strings.ToValidUTF8(name, "?")
		}
	}
	t.Topic = &name
	for i := range n {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = i, nodeID, -1
		p.Replicas, p.ISR, p.OfflineReplicas = []int32{nodeID}, []int32{nodeID}, []int32{}
		t.Partitions = append(t.Partitions, p)
	}
	return t
}

// findCoordinator names this node, for transactions too: it is initProducerID that refuses them.
func (d *Door) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	r := kmsg.NewFindCoordinatorResponse()
	switch {
	case req.CoordinatorType != coordinatorOfGroups && req.CoordinatorType != coordinatorOfTransactions:
		message := fmt.Sprintf("there is no coordinator of type %d here", req.CoordinatorType)
		r.ErrorCode, r.ErrorMessage, r.NodeID = codeInvalidRequest, &message, -1
	case !utf8.ValidString(req.CoordinatorKey):
		r.ErrorCode, r.NodeID = codeInvalidGroupID, -1
	default:
		r.NodeID, r.Host, r.Port = nodeID, d.host, d.port
	}
	return &r
}

// initProducerID gives an idempotent producer its id. Who wants transactions gets the code, in the answer, on
// which clients give up at once: librdkafka asks again for ever on most others, and sarama for five seconds
// when it finds no coordinator.
func (d *Door) initProducerID(req *kmsg.InitProducerIDRequest) kmsg.Response {
	r := kmsg.NewInitProducerIDResponse()
	if req.TransactionalID != nil {
		d.complain("a Kafka client that wants transactions is refused", "transactional_id", clip(*req.TransactionalID), "reason", noTransactions)
		r.ErrorCode = codeTransactionalForbidden
		return &r
	}
	id, err := d.producers.take(d.log)
	if err != nil {
		d.logger.Error("no producer id could be given", "error", err)
		r.ErrorCode = codeCoordinatorUnavailable
		return &r
	}
	r.ProducerID, r.ProducerEpoch = id, 0
	return &r
}

// createTopics refuses: the log's topics, their partitions and settings are the program's.
func (d *Door) createTopics(req *kmsg.CreateTopicsRequest) kmsg.Response {
	r := kmsg.NewCreateTopicsResponse()
	if len(req.Topics) > requestPartitionsMax {
		return nil
	}
	for _, want := range req.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic = strings.ToValidUTF8(want.Topic, "?")
		message := "the topics of the embedded log are fixed; none can be added"
		t.ErrorCode = codePolicyViolation
		if have, ok := d.partitions[want.Topic]; ok {
			t.ErrorCode, message = codeTopicExists, topicExists(have, &want)
		}
		t.ErrorMessage = &message
		r.Topics = append(r.Topics, t)
	}
	return &r
}

// topicExists tells who wants a topic made that is there whether it is what they want.
func topicExists(have int32, want *kmsg.CreateTopicsRequestTopic) string {
	n := want.NumPartitions // -1 leaves it to the log
	if len(want.ReplicaAssignment) > 0 {
		n = int32(min(len(want.ReplicaAssignment), math.MaxInt32))
	}
	if n >= 0 && n != have {
		return fmt.Sprintf("The topic exists with %d partitions, and you ask for %d: the number is fixed", have, n)
	}
	return "The topic exists, with the partitions you ask for: nothing to do"
}

// describeLogDirs tells how much the log takes of the disk. Its folder's name is nobody's business.
func (d *Door) describeLogDirs(req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = logDir
	if len(req.Topics) > requestPartitionsMax {
		return nil
	}
	for _, t := range d.topics {
		rt := kmsg.NewDescribeLogDirsResponseDirTopic()
		rt.Topic = t.Name
		for i := range t.Partitions {
			if req.Topics != nil && !names(req.Topics, t.Name, i) {
				continue
			}
			rp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			size, err := d.log.DiskUsage(streams.TP{Topic: t.Name, Partition: i})
			if err != nil {
				d.complain("the log's size could not be measured", "topic", t.Name, "partition", i, "error", err.Error())
				dir.ErrorCode = faultCode(err)
			}
			rp.Partition, rp.Size = i, size
			rt.Partitions = append(rt.Partitions, rp)
		}
		if len(rt.Partitions) > 0 {
			dir.Topics = append(dir.Topics, rt)
		}
	}
	r.Dirs = append(r.Dirs, dir)
	return r
}

// logDir stands for the log's folder.
const logDir = "log"

func names(list []kmsg.DescribeLogDirsRequestTopic, topic string, partition int32) bool {
	return slices.ContainsFunc(list, func(t kmsg.DescribeLogDirsRequestTopic) bool {
		return t.Topic == topic && slices.Contains(t.Partitions, partition)
	})
}

// clip is what is said of a client's words.
func clip(s string) string {
	if len(s) > clippedBytes {
		s = s[:clippedBytes] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

const clippedBytes = 100

type setting struct {
	name, value string
	kind        kmsg.ConfigType
}

var (
	topicSettings = []setting{
		{"cleanup.policy", "delete", kmsg.ConfigTypeList},
		{"compression.type", "uncompressed", kmsg.ConfigTypeString},
		{"flush.messages", "1", kmsg.ConfigTypeLong},
		{"max.message.bytes", strconv.Itoa(batchBytesMax), kmsg.ConfigTypeInt},
		{"message.timestamp.type", "LogAppendTime", kmsg.ConfigTypeString},
		{"min.insync.replicas", "1", kmsg.ConfigTypeInt},
		{"retention.bytes", "-1", kmsg.ConfigTypeLong},
		{"retention.ms", "-1", kmsg.ConfigTypeLong},
	}
	brokerSettings = []setting{
		{"auto.create.topics.enable", "false", kmsg.ConfigTypeBoolean},
		{"broker.id", "1", kmsg.ConfigTypeInt},
		{"delete.topic.enable", "false", kmsg.ConfigTypeBoolean},
		{"log.message.timestamp.type", "LogAppendTime", kmsg.ConfigTypeString},
		{"log.retention.ms", "-1", kmsg.ConfigTypeLong},
		{"message.max.bytes", strconv.Itoa(batchBytesMax), kmsg.ConfigTypeInt},
		{"offsets.retention.minutes", "10080", kmsg.ConfigTypeInt},
	}
)

func (d *Door) describeConfigs(req *kmsg.DescribeConfigsRequest) kmsg.Response {
	r := kmsg.NewDescribeConfigsResponse()
	if len(req.Resources) > requestPartitionsMax {
		return nil
	}
	for _, want := range req.Resources {
		res := kmsg.NewDescribeConfigsResponseResource()
		res.ResourceType, res.ResourceName = want.ResourceType, strings.ToValidUTF8(want.ResourceName, "?")
		var settings []setting
		source := kmsg.ConfigSourceStaticBrokerConfig
		_, known := d.partitions[want.ResourceName]
		switch {
		case want.ResourceType == kmsg.ConfigResourceTypeBroker:
			settings = brokerSettings
		case want.ResourceType != kmsg.ConfigResourceTypeTopic:
			res.ErrorCode = codeInvalidRequest
		case !known:
			res.ErrorCode = codeUnknownTopic
		default:
			settings, source = topicSettings, kmsg.ConfigSourceDynamicTopicConfig // a UI shows these alone
		}
		for _, s := range settings {
			if want.ConfigNames != nil && !contains(want.ConfigNames, s.name) {
				continue
			}
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			value := s.value
			c.Name, c.Value, c.ReadOnly, c.ConfigType = s.name, &value, true, s.kind
			c.Source = source
			res.Configs = append(res.Configs, c)
		}
		r.Resources = append(r.Resources, res)
	}
	return &r
}

func contains(list []string, s string) bool {
	for _, x := range list[:min(len(list), requestPartitionsMax)] {
		if x == s {
			return true
		}
	}
	return false
}

// ledgerTopic is read only.
const ledgerTopic = events.LedgerTopic
