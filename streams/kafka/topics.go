package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// messageBytesMin is what a topic must take: the largest record with its batch's header. It is the
// brokers' default.
const messageBytesMin = 1_048_588

// setting is one of a topic's that matters.
type setting struct {
	name string
	want string // when the topic is made, and what the remedy says
	ok   func(have string) bool
	why  string
}

// settings are those of a topic with a replication factor, whose records get their times from one of the
// above.
func settings(replicas int, times string) []setting {
	is := func(want string) func(string) bool { return func(have string) bool { return have == want } }
	atLeast := func(want int64) func(string) bool {
		return func(have string) bool {
			n, err := strconv.ParseInt(have, 10, 64)
			return err == nil && n >= want
		}
	}
	isr := int64(1)
	if replicas >= 3 {
		isr = 2
	}
	return []setting{
		{"retention.ms", "-1", is("-1"), "the log is kept for ever"},
		{"retention.bytes", "-1", is("-1"), "the log is kept for ever"},
		{"cleanup.policy", "delete", is("delete"), "compaction would drop all but a key's last event"},
		{timestampType, times, is(times), "recorded times are the log's, not its writers'"},
		{"max.message.bytes", strconv.Itoa(messageBytesMin), atLeast(messageBytesMin), "the largest record must fit"},
		{"min.insync.replicas", strconv.FormatInt(isr, 10), atLeast(isr), "what is acknowledged must outlive a broker"},
		{"unclean.leader.election.enable", "false", is("false"), "what is acknowledged must outlive a broker"},
	}
}

// topicFound is what the brokers say of a topic.
type topicFound struct {
	partitions int
	replicas   int // of the partition with the fewest
	settings   map[string]string
}

// checkTopic refuses a topic that would lose or disorder the log, and names everything at once.
func checkTopic(name string, t streams.Topic, have topicFound, times string) error {
	var errs []error
	if have.partitions != int(t.Partitions) {
		errs = append(errs, fault.New(fault.Corrupt, "topic %s has %d partitions; want %d, since a key's partition follows from their number", name, have.partitions, t.Partitions).
			WithHint("if it is empty, delete it and start again: it is made as it has to be; else copy the log to a topic with %d", t.Partitions))
	}
	for _, s := range settings(have.replicas, times) {
		v := have.settings[s.name]
		if s.ok(v) {
			continue
		}
		why, remedy := s.why, fmt.Sprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s", name, s.name, s.want)
		if s.name == timestampType && v == writersTime {
			why += "; it is so while another log is copied into it"
			remedy = "if a copy was begun, run the same `projectionist log copy` again, it goes on where it stopped; if none was, " + remedy
		}
		errs = append(errs, fault.New(fault.Corrupt, "topic %s has %s=%s; want %s: %s", name, s.name, v, s.want, why).WithHint("%s", remedy))
	}
	return fault.Wrap(fault.Corrupt, errors.Join(errs...), "topic %s cannot hold the log", name)
}

// identity is what an index is tied to.
type identity struct{ cluster, topicID string }

// openTopics makes the topics that are missing and checks the others.
func (l *Log) openTopics(ctx context.Context) (id identity, err error) {
	client, err := sarama.NewClient(l.opts.Brokers, l.opts.config(l.dialer, adminTimeout))
	if err != nil {
		return id, brokerError(err, "the cluster does not answer")
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return id, brokerError(err, "the cluster has no controller")
	}
	names := l.opts.topicNames()
	times := brokersTime
	if l.opts.Restoring {
		// The ledger's topic is the first that is made, and says what the others are made as.
		have, err := l.timesOf(ctx, client, l.ledger.name)
		if err != nil {
			return id, err
		}
		if have != brokersTime {
			times = writersTime
		}
	}
	var meta *sarama.MetadataResponse
	made := map[string]bool{}
	err = l.persist(ctx, "the log's topics cannot be made", func() error {
		var err error
		if meta, err = metadata(client, names); err != nil {
			return err
		}
		missing := errNone
		for i, name := range names {
			switch m := topicOf(meta, name); {
			case m != nil && m.Err == sarama.ErrUnknownTopicOrPartition && !made[name]:
				if err := l.makeTopic(admin, name, streams.Topics[i], len(meta.Brokers), times); err != nil {
					return err
				}
				made[name] = true
				missing = sarama.ErrUnknownTopicOrPartition
			case m == nil || m.Err != sarama.ErrNoError:
				missing = sarama.ErrUnknownTopicOrPartition
				if m != nil && !transient(m.Err) {
					return m.Err
				}
			case slices.ContainsFunc(m.Partitions, func(p *sarama.PartitionMetadata) bool { return p.Leader < 0 }):
				missing = sarama.ErrLeaderNotAvailable
			}
		}
		return missing
	})
	if err != nil {
		return id, err
	}
	found, err := l.describe(ctx, admin, meta)
	if err != nil {
		return id, err
	}
	if l.opts.Restoring {
		if err := l.openRestoring(ctx, client, admin, found); err != nil {
			return id, err
		}
		times = writersTime
	}
	var errs []error
	for i, t := range streams.Topics {
		errs = append(errs, checkTopic(names[i], t, found[names[i]], times))
		if t.Name == events.LedgerTopic {
			id.topicID = uuid(topicOf(meta, names[i]).Uuid)
		}
	}
	if meta.ClusterID != nil {
		id.cluster = *meta.ClusterID
	}
	return id, errors.Join(errs...)
}

// errNone is a nil error of an interface type that a switch can set.
var errNone error

func topicOf(meta *sarama.MetadataResponse, name string) *sarama.TopicMetadata {
	for _, t := range meta.Topics {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// metadata asks any broker.
func metadata(client sarama.Client, names []string) (*sarama.MetadataResponse, error) {
	b := client.LeastLoadedBroker()
	if b == nil {
		// All brokers that were asked have failed; look at the given ones again.
		if err := client.RefreshMetadata(); err != nil {
			return nil, err
		}
		if b = client.LeastLoadedBroker(); b == nil {
			return nil, sarama.ErrOutOfBrokers
		}
	}
	_ = b.Open(client.Config()) // it may be open
	return b.GetMetadata(sarama.NewMetadataRequest(sarama.V3_6_0_0, names))
}

func (l *Log) makeTopic(admin sarama.ClusterAdmin, name string, t streams.Topic, brokers int, times string) error {
	replicas := l.opts.ReplicationFactor
	if replicas == 0 {
		replicas = min(3, max(brokers, 1))
	}
	entries := map[string]*string{}
	for _, s := range settings(replicas, times) {
		entries[s.name] = &s.want
	}
	if times == writersTime {
		for _, name := range timeBounds {
			entries[name] = &anyTime
		}
	}
	err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: t.Partitions, ReplicationFactor: int16(replicas), ConfigEntries: entries}, false)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return nil // another node was faster
	}
	if errors.Is(err, sarama.ErrInvalidReplicationFactor) {
		f := fault.New(fault.Invalid, "topic %s cannot be made with %d replicas on %d brokers", name, replicas, brokers).WithHint("set the replication factor to at most the number of brokers")
		f.Err = err
		return f
	}
	return err
}

// describe gathers what the brokers say of the topics.
func (l *Log) describe(ctx context.Context, admin sarama.ClusterAdmin, meta *sarama.MetadataResponse) (map[string]topicFound, error) {
	found := map[string]topicFound{}
	var resources []*sarama.ConfigResource
	for _, m := range meta.Topics {
		have := topicFound{partitions: len(m.Partitions), settings: map[string]string{}}
		for i, p := range m.Partitions {
			if i == 0 || len(p.Replicas) < have.replicas {
				have.replicas = len(p.Replicas)
			}
		}
		found[m.Name] = have
		resources = append(resources, &sarama.ConfigResource{Type: sarama.TopicResource, Name: m.Name})
	}
	err := l.persist(ctx, "the settings of the log's topics cannot be read", func() error {
		results, err := admin.DescribeConfigs(resources, sarama.DescribeConfigsOptions{})
		if err != nil {
			return err
		}
		for _, r := range results {
			if k := sarama.KError(r.ErrorCode); k != sarama.ErrNoError {
				return k
			}
			for _, e := range r.Configs {
				found[r.Name].settings[e.Name] = e.Value
			}
		}
		return nil
	})
	return found, err
}

// uuid is a topic's id as text; the zero one is none.
func uuid(id sarama.Uuid) string {
	if id == (sarama.Uuid{}) {
		return ""
	}
	return strings.TrimSpace(id.String())
}
