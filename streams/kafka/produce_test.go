package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// mockLog is a log with one partition and its writer, on sarama's mock broker: for answers that a real
// one does not give on request.
func mockLog(t *testing.T, ledger bool, answers ...any) (*Log, *partition, *sarama.MockBroker) {
	t.Helper()
	broker := sarama.NewMockBroker(t, 1)
	t.Cleanup(broker.Close)
	l := &Log{opts: Options{Brokers: []string{broker.Addr()}, Logf: t.Logf}, dialer: &dialer{}, stop: make(chan struct{}), ops: gate.New()}
	l.opts.setDefaults()
	p := &partition{TP: streams.TP{Topic: "facts"}, name: "facts", ledger: ledger, queue: make(chan *request, queueMax)}
	broker.SetHandlerByMap(map[string]sarama.MockResponse{
		"ApiVersionsRequest":    sarama.NewMockApiVersionsResponse(t),
		"MetadataRequest":       sarama.NewMockMetadataResponse(t).SetBroker(broker.Addr(), 1).SetController(1).SetLeader("facts", 0, 1),
		"InitProducerIDRequest": sarama.NewMockInitProducerIDResponse(t).SetProducerID(7),
		"ProduceRequest":        sarama.NewMockSequence(answers...),
	})
	config := l.opts.config(l.dialer, netTimeout)
	config.ApiVersionsRequest = false // the mock knows fewer than are asked for
	config.Net.ReadTimeout = 200 * time.Millisecond
	l.pool.config = config
	var err error
	if l.client, err = sarama.NewClient(l.opts.Brokers, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.client.Close() })
	l.running.Go((&writer{l: l, p: p, id: -1}).run)
	t.Cleanup(func() {
		close(l.stop)
		l.dialer.cut()
		l.running.Wait()
		l.pool.close()
	})
	return l, p, broker
}

// send writes one record and gives the outcome and the number of tries.
func send(t *testing.T, l *Log, p *partition, b *sarama.MockBroker, ctx context.Context, patience time.Duration) (produced, introduced int, err error) {
	t.Helper()
	var c chunk
	r := streams.Record{Key: []byte("k"), Value: []byte("v")}
	c.add(&r, streams.TailSize(&r))
	req := c.request(ctx, time.Now().Add(patience))
	if err := l.submit(p, req); err != nil {
		t.Fatal(err)
	}
	err = l.await(req)
	for _, h := range b.History() {
		switch h.Request.(type) {
		case *sarama.ProduceRequest:
			produced++
		case *sarama.InitProducerIDRequest:
			introduced++
		}
	}
	return produced, introduced, err
}

// TestWriter_Outcomes: what a writer says is what can be known. Tries are counted; "introduced" is the
// number of producer ids.
func TestWriter_Outcomes(t *testing.T) {
	answer := func(k sarama.KError) *sarama.MockProduceResponse {
		return sarama.NewMockProduceResponse(t).SetVersion(7).SetError("facts", 0, k)
	}
	ok := answer(sarama.ErrNoError)
	silence := sarama.NewMockWrapper(nil) // no answer: the connection is given up
	for _, c := range []struct {
		name       string
		ledger     bool
		answers    []any
		code       fault.Code // "" is success
		produced   int        // 0 is many
		introduced int
	}{
		{"OK", false, []any{ok}, "", 1, 1},
		{"OK_NewLeader", false, []any{answer(sarama.ErrNotLeaderForPartition), ok}, "", 2, 1},
		{"OK_TimedOut", false, []any{answer(sarama.ErrRequestTimedOut), ok}, "", 2, 1},
		{"OK_ReplicasBack", false, []any{answer(sarama.ErrNotEnoughReplicas), answer(sarama.ErrNotEnoughReplicasAfterAppend), ok}, "", 3, 1},
		{"OK_NoAnswer", false, []any{silence, ok}, "", 2, 1},
		{"ErrUnknown_NoAnswer", false, []any{silence}, fault.Unknown, 0, 1},
		{"ErrUnknown_NoAnswerThenRefused", false, []any{silence, answer(sarama.ErrNotEnoughReplicas)}, fault.Unknown, 0, 1},
		{"ErrUnknown_NoAnswerAndForgotten", false, []any{silence, answer(sarama.ErrOutOfOrderSequenceNumber), ok}, fault.Unknown, 2, 1},
		{"OK_ForgottenProducer", false, []any{answer(sarama.ErrUnknownProducerID), ok}, "", 2, 2},
		{"ErrUnavailable_NeverTaken", false, []any{answer(sarama.ErrNotEnoughReplicas)}, fault.Unavailable, 0, 1},
		{"ErrUnknown_TimedOut", false, []any{answer(sarama.ErrRequestTimedOut)}, fault.Unknown, 0, 1},
		{"ErrUnknown_TimedOutThenRefused", false, []any{answer(sarama.ErrRequestTimedOut), answer(sarama.ErrNotEnoughReplicas)}, fault.Unknown, 0, 1},
		{"ErrUnknown_WrittenAndForgotten", false, []any{answer(sarama.ErrRequestTimedOut), answer(sarama.ErrOutOfOrderSequenceNumber), ok}, fault.Unknown, 2, 1},
		{"OK_LedgerWrittenAndForgotten", true, []any{answer(sarama.ErrRequestTimedOut), answer(sarama.ErrOutOfOrderSequenceNumber), ok}, "", 3, 2},
		{"ErrUnknown_DuplicateSequence", false, []any{answer(sarama.ErrDuplicateSequenceNumber)}, fault.Unknown, 1, 1},
		{"ErrTooLarge", false, []any{answer(sarama.ErrMessageSizeTooLarge)}, fault.TooLarge, 1, 1},
		{"ErrForbidden", false, []any{answer(sarama.ErrTopicAuthorizationFailed)}, fault.Forbidden, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, p, b := mockLog(t, c.ledger, c.answers...)
			patience := 30 * time.Second // more than any answer needs
			if c.produced == 0 {
				patience = 500 * time.Millisecond
			}
			produced, introduced, err := send(t, l, p, b, context.Background(), patience)
			if fault.CodeOf(err) != c.code {
				t.Errorf("%v has code %q; want %q", err, fault.CodeOf(err), c.code)
			}
			if c.produced != 0 && produced != c.produced || c.produced == 0 && produced < 2 {
				t.Errorf("%d tries; want %d (0: several)", produced, c.produced)
			}
			if introduced != c.introduced {
				t.Errorf("%d producer ids; want %d", introduced, c.introduced)
			}
			if c.code == fault.Unknown || c.code == fault.Unavailable {
				// In doubt: what comes next must not be taken for what is in doubt.
				if c.produced == 0 || c.code == fault.Unavailable {
					b.SetHandlerByMap(map[string]sarama.MockResponse{
						"MetadataRequest":       sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), 1).SetLeader("facts", 0, 1),
						"InitProducerIDRequest": sarama.NewMockInitProducerIDResponse(t).SetProducerID(8),
						"ProduceRequest":        ok,
					})
					if _, again, err := send(t, l, p, b, context.Background(), 30*time.Second); err != nil || again != introduced+1 {
						t.Errorf("after it: %v, %d producer ids; want one more than %d", err, again, introduced)
					}
				}
			}
		})
	}
}

// TestWriter_Cancel: a caller who gives up is told whether it may have been written.
func TestWriter_Cancel(t *testing.T) {
	notYet := sarama.NewMockProduceResponse(t).SetVersion(7).SetError("facts", 0, sarama.ErrNotLeaderForPartition)
	l, p, b := mockLog(t, false, notYet)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, _, err := send(t, l, p, b, ctx, time.Minute)
	// The writer and the caller may notice first: in doubt for the caller, refused for the writer.
	if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	var c chunk
	r := streams.Record{Key: []byte("k")}
	c.add(&r, streams.TailSize(&r))
	req := c.request(gone, time.Now().Add(time.Minute))
	if err := l.await(req); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("not taken yet: %v; want that nothing was written", err)
	}
	if req.state.Load() != abandoned {
		t.Error("the writer would take it")
	}
}
