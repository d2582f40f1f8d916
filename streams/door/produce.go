package door

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// production is one Produce request on its way.
type production struct {
	version     int16
	correlation uint32
	acks        int16
	held        int64 // of the budget
	crowded     bool  // the budget was not to be had
	parts       []productionPart

	frame   []byte   // the request; parts' tails are pieces of it, or of what was decompressed
	batches []*batch // submitted
}

type productionPart struct {
	topic     string
	partition int32
	records   []byte
	pending   *local.PendingAppend // or refused
	refused   *refusal
}

// produce submits a Produce request's batches to the log and leaves the rest to answerProductions. Its
// share of the budget is released when it is answered. body is a piece of frame, which is the door's now.
func (c *conn) produce(version int16, correlation uint32, frame, body []byte, held int64) error {
	p := &production{version: version, correlation: correlation, held: held, frame: frame}
	sent := false
	defer func() {
		if sent {
			return
		}
		for i := range p.parts { // Validate has panicked, or the request is malformed
			if a := p.parts[i].pending; a != nil {
				a.Wait()
			}
		}
		c.d.produce.release(p.held)
	}()
	if !c.charge(p, int64(min(len(body), readStep))) {
		return errors.New("too many requests are under way")
	}
	transactional, err := p.parse(body)
	if err != nil {
		return fmt.Errorf("a Produce request cannot be read: %w", err)
	}
	for i := range p.parts {
		part := &p.parts[i]
		part.refused = func() *refusal {
			switch {
			case transactional:
				return refuse(codeTransactionalForbidden, noTransactions)
			case p.acks < -1 || p.acks > 1:
				return refuse(codeInvalidAcks, "acks %d; want -1, 0 or 1", p.acks)
			}
			return c.submit(p, part)
		}()
		part.records = nil
	}
	if c.produced == nil {
		c.produced = make(chan *production, produceInFlight)
		c.d.work.Go(func() { c.answerProductions(c.produced) })
	}
	c.pending.Add(1)
	c.unanswered.Add(1)
	c.produced <- p
	sent = true
	return nil
}

// charge takes bytes from the budget for a production, and waits for them once.
func (c *conn) charge(p *production, n int64) bool {
	if p.crowded {
		return false
	}
	ctx, cancel := context.WithTimeout(c.d.ctx, frameTimeout/3)
	defer cancel()
	if !c.d.produce.acquire(ctx, n) {
		p.crowded = true
		return false
	}
	p.held += n
	return true
}

// submit checks one partition's batch and hands it to the log.
func (c *conn) submit(p *production, part *productionPart) *refusal {
	d := c.d
	n, ok := d.partitions[part.topic]
	switch {
	case !utf8.ValidString(part.topic):
		return refuse(codeInvalidTopic, "the topic's name is not UTF-8")
	case !ok || part.partition < 0 || part.partition >= n:
		return refuse(codeUnknownTopic, "the log has no partition %d of topic %q", part.partition, part.topic)
	case part.topic == ledgerTopic:
		// Not TOPIC_AUTHORIZATION_FAILED: on that, librdkafka takes the whole topic for gone. Java
		// clients show the message of this one.
		return refuse(codePolicyViolation, "topic %s is the ledger: it can be read; only the program's commands write it", ledgerTopic)
	}
	b, r := d.readBatch(part.topic, part.partition, part.records, func(n int64) bool { return c.charge(p, n) })
	if r != nil {
		if r.err != nil && d.cfg.Rejected != nil {
			d.cfg.Rejected(r.rec, r.err)
		}
		return r
	}
	pending, err := d.log.SubmitTails(local.TailBatch{
		TP: streams.TP{Topic: part.topic, Partition: part.partition}, Tails: b.tails, Facts: b.facts,
		Producer: b.producer, Epoch: b.epoch, Sequence: b.sequence,
	})
	if err != nil {
		return refuse(faultCode(err), "%v", err)
	}
	part.pending = pending
	p.batches = append(p.batches, b)
	return nil
}

// reuse gives back the memory of a production that the log has taken or refused.
func (p *production) reuse() {
	giveFrame(p.frame)
	for _, b := range p.batches {
		giveFrame(b.plain)
		giveTails(b.tails)
	}
	p.frame, p.batches = nil, nil
}

// answerProductions answers Produce requests in order, each when it is durable.
func (c *conn) answerProductions(produced <-chan *production) {
	var out []byte
	broken := false
	for p := range produced {
		func() {
			defer c.recovered()
			defer c.pending.Done()
			defer c.unanswered.Add(-1)
			defer c.d.produce.release(p.held)
			resp, refused := c.await(p)
			p.reuse()
			if broken || p.acks == 0 {
				if refused && !broken { // Kafka's only way to say so
					broken = true
					c.nc.Close()
				}
				return
			}
			out = appendAnswer(out[:0], p.correlation, resp)
			if _, err := c.write(out); err != nil {
				broken = true
				c.nc.Close() // the reader ends too
			}
		}()
	}
}

// await waits for the log's word on each batch.
func (c *conn) await(p *production) (kmsg.Response, bool) {
	resp := kmsg.NewProduceResponse()
	resp.Version = p.version
	refused := false
	for i := range p.parts {
		part := &p.parts[i]
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.Partition, rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = part.partition, -1, -1, -1
		r := part.refused
		if part.pending != nil {
			a, err := part.pending.Wait()
			if err == nil {
				rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = a.Offset, a.Millis, 0
			} else {
				r = refuse(faultCode(err), "%v", err)
				switch {
				case errors.Is(err, local.ErrOutOfOrderSequence):
					r.code = codeOutOfOrderSequence
				case errors.Is(err, local.ErrProducerEpoch):
					r.code = codeInvalidProducerEpoch
				}
			}
		}
		if r != nil {
			refused = true
			rp.ErrorCode, rp.ErrorMessage = r.code, &r.message
			if r.record >= 0 {
				e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				e.RelativeOffset, e.ErrorMessage = int32(r.record), &r.message
				rp.ErrorRecords = append(rp.ErrorRecords, e)
			}
			c.d.complain("a Kafka client's batch is refused", "client", c.nc.RemoteAddr().String(), "topic", part.topic, "partition", part.partition, "reason", r.message)
		}
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != part.topic {
			t := kmsg.NewProduceResponseTopic()
			t.Topic = part.topic
			resp.Topics = append(resp.Topics, t)
		}
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, rp)
	}
	return &resp, refused
}

// endProductions waits for what was submitted, so that the log is not closed under it.
func (c *conn) endProductions() {
	if c.produced != nil {
		close(c.produced)
	}
	c.pending.Wait()
}

// parse reads a Produce request of versions 3 to 8. kmsg's reader makes room for as many partitions as
// the request announces; this one for as many as there are.
func (p *production) parse(b []byte) (transactional bool, err error) {
	r := reader{b: b}
	if n := r.int16(); n >= 0 {
		transactional = true
		r.span(int(n))
	}
	p.acks = r.int16()
	r.int32() // timeout: the disk answers, or the process ends
	for topics := r.int32(); topics > 0 && !r.bad; topics-- {
		name := string(r.span(int(r.int16())))
		for partitions := r.int32(); partitions > 0 && !r.bad; partitions-- {
			part := productionPart{topic: name, partition: r.int32()}
			if n := r.int32(); n >= 0 {
				part.records = r.span(int(n))
			}
			if len(p.parts) == requestPartitionsMax {
				return false, fault.New(fault.TooLarge, "more than %d partitions", requestPartitionsMax)
			}
			p.parts = append(p.parts, part)
		}
	}
	if r.bad || len(r.b) != 0 {
		return false, errors.New("its length is wrong")
	}
	return transactional, nil
}

// reader reads Kafka's primitive types; after the end it gives zeroes and is bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) int16() int16 {
	if s := r.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (r *reader) int32() int32 {
	if s := r.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}
