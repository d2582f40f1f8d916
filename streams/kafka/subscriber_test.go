package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// TestGroupGoesOn has two members of a group on two nodes: one is given every record of the ledger, void
// ones too, in order, and when it leaves in the middle of one the other goes on with that one.
func TestGroupGoesOn(t *testing.T) {
	opts := testOptions(t)
	nodes := []*Log{node(t, opts), node(t, opts)}
	var subs []*Subscriber
	var in []<-chan *message.Message
	for _, l := range nodes {
		s, err := l.Subscriber("roles", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		messages, err := s.Subscribe(newContext(t), events.LedgerTopic)
		if err != nil {
			t.Fatal(err)
		}
		subs, in = append(subs, s), append(in, messages)
	}
	if _, err := subs[0].Subscribe(newContext(t), events.UserEventsTopic); err == nil {
		t.Error("a group on a feed")
	}
	var want []streams.Position
	for i := range 6 {
		c := testCommit(fmt.Sprint("c", i), "model/als", streams.Revision(i-1), 1)
		r, err := nodes[0].Ledger().Append(newContext(t), c)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r.Position)
	}
	// take gives the next message of whoever has it.
	take := func() (int, *message.Message) {
		t.Helper()
		select {
		case m := <-in[0]:
			return 0, m
		case m := <-in[1]:
			return 1, m
		case <-time.After(5 * time.Minute):
			t.Fatal("no message")
		}
		return 0, nil
	}
	first, m := take()
	for i := range 3 {
		if got := m.Metadata.Get(MetaPosition); got != want[i].String() {
			t.Fatalf("message %d is of %s; want %s", i, got, want[i])
		}
		m.Ack()
		var who int
		if who, m = take(); who != first {
			t.Fatalf("message %d came to the other member", i+1)
		}
	}
	if from, here := subs[first].Assigned(); !here || from != 0 {
		t.Errorf("the member that is given messages: from %d, %v", from, here)
	}
	if _, here := subs[1-first].Assigned(); here {
		t.Error("both members are assigned")
	}
	if got := m.Metadata.Get(MetaPosition); got != want[3].String() {
		t.Fatalf("message 3 is of %s; want %s", got, want[3])
	}
	if err := subs[first].Close(); err != nil { // with message 3 under way
		t.Fatal(err)
	}
	in[first] = nil
	for i := 3; i < len(want); i++ {
		who, m := take()
		if who == first || m.Metadata.Get(MetaPosition) != want[i].String() {
			t.Fatalf("message %d: %v from member %d; want %s", i, m.Metadata, who, want[i])
		}
		m.Ack()
	}
	if from, here := subs[1-first].Assigned(); !here || from != want[3].Offset {
		t.Errorf("the member that goes on: from %d, %v", from, here)
	}
}
