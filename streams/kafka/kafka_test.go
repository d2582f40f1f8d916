package kafka

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/conformance"
)

// clusterEnv names the brokers of a cluster the tests may fill: deploy/kafka/cluster.sh up prints them.
const clusterEnv = "PROJECTIONIST_TEST_KAFKA"

func testBrokers(t testing.TB) []string {
	t.Helper()
	s := os.Getenv(clusterEnv)
	if s == "" {
		t.Skipf("SKIPPED: no Kafka: set %s=host:port,… (deploy/kafka/cluster.sh up starts one)", clusterEnv)
	}
	return strings.Split(s, ",")
}

// testOptions are those of a log with topics of its own, which are deleted when the test ends.
func testOptions(t testing.TB) Options {
	t.Helper()
	brokers := testBrokers(t)
	opts := Options{Brokers: brokers, TopicPrefix: "t" + strings.ToLower(rand.Text())[:12] + ".", Dir: t.TempDir(), Logf: t.Logf}
	t.Cleanup(func() {
		admin := newAdmin(t, brokers)
		defer admin.Close()
		for _, topic := range streams.Topics {
			admin.DeleteTopic(opts.topicName(topic)) // it may not have been made
		}
	})
	return opts
}

func newAdmin(t testing.TB, brokers []string) sarama.ClusterAdmin {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	admin, err := sarama.NewClusterAdmin(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

func mustOpen(t testing.TB, opts Options) *Log {
	t.Helper()
	l, err := Open(newContext(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func testCommit(id, stream string, expected streams.Revision, n int) streams.Commit {
	c := streams.Commit{ID: id, Stream: stream, Expected: expected}
	for i := range n {
		c.Events = append(c.Events, events.Event{
			ID: fmt.Sprintf("%s/%d", id, i), Source: "/test", Subject: stream, Time: time.UnixMilli(1_700_000_000_000).UTC(),
			Data: &events.ModelAliasSet{Name: stream, Alias: "champion", Version: i + 1},
		})
	}
	return c
}

func TestConformance(t *testing.T) {
	testBrokers(t)
	conformance.Run(t, func(t testing.TB) streams.Log { return mustOpen(t, testOptions(t)) }, conformance.Features{
		Reopen: func(t testing.TB, log streams.Log) streams.Log {
			l := log.(*Log)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return mustOpen(t, l.opts)
		},
		Foreign: produceForeign,
	})
}

// TestConformance_FoldedAnew is the same with an index that is lost at every restart.
func TestConformance_FoldedAnew(t *testing.T) {
	testBrokers(t)
	conformance.Run(t, func(t testing.TB) streams.Log {
		opts := testOptions(t)
		opts.Dir = ""
		return mustOpen(t, opts)
	}, conformance.Features{
		Reopen: func(t testing.TB, log streams.Log) streams.Log {
			l := log.(*Log)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return mustOpen(t, l.opts)
		},
		Foreign: produceForeign,
	})
}

// produceForeign is what a Kafka client does that writes to the ledger's topic.
func produceForeign(t testing.TB, log streams.Log, recs []streams.Record) {
	t.Helper()
	l := log.(*Log)
	p := raw(t, l.opts, nil)
	for i := range recs {
		if _, _, err := p.SendMessage(saramaMessage(l.ledger.name, 0, &recs[i])); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestore(t *testing.T) {
	testBrokers(t)
	conformance.RunRestore(t, conformance.Restoring{
		Open: func(t testing.TB, restoring bool) streams.Log {
			opts := testOptions(t)
			opts.Restoring = restoring
			return mustOpen(t, opts)
		},
		Reopen: func(t testing.TB, log streams.Log, restoring bool) (streams.Log, error) {
			l := log.(*Log)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			opts := l.opts
			opts.Restoring = restoring
			l, err := Open(newContext(t), opts)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { l.Close() })
			return l, nil
		},
	})
}
