package events

import "testing"

func TestTopics(t *testing.T) {
	if Topics[0].Name != LedgerTopic || Topics[0].Partitions != 1 || Topics[0].Plain != "" || Topics[0].Key != "" {
		t.Errorf("the ledger's topic is %+v", Topics[0])
	}
	for _, topic := range Topics[1:] {
		if got, ok := TopicOf(topic.Name); !ok || got != topic {
			t.Errorf("TopicOf %s: %+v, %v", topic.Name, got, ok)
		}
		if SchemaOf(topic.Plain) == 0 {
			t.Errorf("topic %s takes plain values of the type %q, which is not registered", topic.Name, topic.Plain)
		} else if _, ok := kinds[topic.Plain].make().(stamped); !ok {
			t.Errorf("a %s has no time of its own", topic.Plain)
		}
	}
	if SchemaOf(interactionType) != interactionSchema {
		t.Errorf("the newest schema of an interaction is %d; its own reader knows %d", SchemaOf(interactionType), interactionSchema)
	}
	if _, ok := TopicOf("nonsense"); ok {
		t.Error("there is a topic nonsense")
	}
}
