package door

import (
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/events"
)

const (
	nodeID    = 1
	clusterID = "projectionist"
	noACLs    = -2147483648 // Kafka's word for operations that were not asked for
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

func (d *Door) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	r := kmsg.NewFindCoordinatorResponse()
	switch {
	case req.CoordinatorType != 0:
		message := "there are no transactions here"
		r.ErrorCode, r.ErrorMessage, r.NodeID = codeInvalidRequest, &message, -1
	case !utf8.ValidString(req.CoordinatorKey):
		r.ErrorCode, r.NodeID = codeInvalidGroupID, -1
	default:
		r.NodeID, r.Host, r.Port = nodeID, d.host, d.port
	}
	return &r
}

func (d *Door) initProducerID(req *kmsg.InitProducerIDRequest) kmsg.Response {
	r := kmsg.NewInitProducerIDResponse()
	if req.TransactionalID != nil {
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
		if _, ok := d.partitions[want.Topic]; ok {
			t.ErrorCode, message = codeTopicExists, "the topic exists"
		}
		t.ErrorMessage = &message
		r.Topics = append(r.Topics, t)
	}
	return &r
}

type setting struct {
	name, value string
	kind        kmsg.ConfigType
}

var (
	topicSettings = []setting{
		{"cleanup.policy", "delete", kmsg.ConfigTypeList},
		{"compression.type", "uncompressed", kmsg.ConfigTypeString},
		{"flush.messages", "1", kmsg.ConfigTypeLong},
		{"max.message.bytes", "4194304", kmsg.ConfigTypeInt},
		{"message.timestamp.type", "LogAppendTime", kmsg.ConfigTypeString},
		{"min.insync.replicas", "1", kmsg.ConfigTypeInt},
		{"retention.bytes", "-1", kmsg.ConfigTypeLong},
		{"retention.ms", "-1", kmsg.ConfigTypeLong},
	}
	brokerSettings = []setting{
		{"auto.create.topics.enable", "false", kmsg.ConfigTypeBoolean},
		{"broker.id", "1", kmsg.ConfigTypeInt},
		{"delete.topic.enable", "false", kmsg.ConfigTypeBoolean},
		{"log.retention.ms", "-1", kmsg.ConfigTypeLong},
		{"message.max.bytes", "4194304", kmsg.ConfigTypeInt},
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
