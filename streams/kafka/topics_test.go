package kafka

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func goodTopic(partitions, replicas int) topicFound {
	have := topicFound{partitions: partitions, replicas: replicas, settings: map[string]string{}}
	for _, s := range settings(replicas, brokersTime) {
		have.settings[s.name] = s.want
	}
	return have
}

func TestCheckTopic(t *testing.T) {
	topic := streams.Topic{Name: "user-events", Partitions: 3}
	for _, replicas := range []int{1, 2, 3, 5} {
		if err := checkTopic("user-events", topic, goodTopic(3, replicas), brokersTime); err != nil {
			t.Errorf("as this program makes it, with %d replicas: %v", replicas, err)
		}
	}
	refuse := func(have topicFound, parts ...string) {
		t.Helper()
		err := checkTopic("p.user-events", topic, have, brokersTime)
		if !fault.Is(err, fault.Corrupt) {
			t.Errorf("%v: %v; want code %s", parts, err, fault.Corrupt)
			return
		}
		for _, part := range append(parts, "p.user-events") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %q", err, part)
			}
		}
	}
	refuse(goodTopic(6, 3), "6 partitions", "want 3")
	for name, value := range map[string]string{
		"retention.ms": "604800000", "retention.bytes": "1", "cleanup.policy": "compact", "message.timestamp.type": "CreateTime",
		"max.message.bytes": "1000000", "min.insync.replicas": "1", "unclean.leader.election.enable": "true",
	} {
		have := goodTopic(3, 3)
		have.settings[name] = value
		refuse(have, name+"="+value, "--add-config "+name+"=")
		delete(have.settings, name)
		refuse(have, name)
	}
	have := goodTopic(6, 3)
	maps.Copy(have.settings, map[string]string{"retention.ms": "1", "cleanup.policy": "compact,delete"})
	refuse(have, "6 partitions", "retention.ms=1", "cleanup.policy=compact,delete")
	have = goodTopic(3, 3)
	have.settings["max.message.bytes"], have.settings["min.insync.replicas"] = "5000000", "3"
	if err := checkTopic("user-events", topic, have, brokersTime); err != nil {
		t.Errorf("stricter than needed: %v", err)
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		sequence int32
		n        int
		want     int32
	}{{0, 1, 1}, {5, 10, 15}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 5, 3}, {math.MaxInt32, 0, math.MaxInt32}} {
		if got := next(c.sequence, c.n); got != c.want {
			t.Errorf("%d records after sequence %d: %d; want %d", c.n, c.sequence, got, c.want)
		}
	}
}
