package door

import (
	"bufio"
	"context"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

func mustDisk(b *testing.B) *local.Log {
	b.Helper()
	l, err := local.Open(b.TempDir(), local.Options{ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

var benchValue = string(make([]byte, 200))

func report(b *testing.B, took []time.Duration) {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkProduceOne is one record over TCP, acknowledged when fsynced, one at a time.
func BenchmarkProduceOne(b *testing.B) {
	p := mustDial(b, mustListen(b, Config{Log: mustDisk(b)}))
	p.nc.SetDeadline(time.Time{})
	batch := newBatch(rec("k", benchValue)).bytes()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		p.produce(testTopic, 0, batch)
		took = append(took, time.Since(start))
	}
	report(b, took)
}

func fill(b *testing.B, l *local.Log, n int) {
	b.Helper()
	recs := make([]streams.Record, 10_000)
	for i := 0; i < n; i += len(recs) {
		for j := range recs {
			recs[j] = streams.Record{Value: []byte(benchValue)}
		}
		mustPublish(b, l, testTopic, recs...)
	}
}

// scan reads everything again and again with a client that looks at nothing.
func scan(t testing.TB, d *Door, partition int32, stop *atomic.Bool, read *atomic.Int64) {
	nc, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	p := &peer{t: t, nc: nc, br: bufio.NewReaderSize(nc, 1<<20)}
	from := int64(0)
	for !stop.Load() {
		part := p.fetch(fetchRequest(testTopic, partition, from))
		b, n := part.RecordBatches, int64(0)
		for len(b) > 0 {
			var batch kmsg.RecordBatch
			size := batchLengthFrom + int(uint32(b[8])<<24|uint32(b[9])<<16|uint32(b[10])<<8|uint32(b[11]))
			batch.ReadFrom(b[:size])
			n += int64(batch.NumRecords)
			b = b[size:]
		}
		from += n
		read.Add(n)
		if from >= part.HighWatermark {
			from = 0
		}
	}
}

// BenchmarkFetch is what one reader gets from an idle log.
func BenchmarkFetch(b *testing.B) {
	l := mustDisk(b)
	fill(b, l, 500_000)
	d := mustListen(b, Config{Log: l})
	var stop atomic.Bool
	var read atomic.Int64
	var work sync.WaitGroup
	partition := streams.PartitionOf(nil, 3)
	b.ResetTimer()
	work.Go(func() { scan(b, d, partition, &stop, &read) })
	start := time.Now()
	for b.Loop() {
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(float64(read.Load())/time.Since(start).Seconds(), "records/s")
	stop.Store(true)
	work.Wait()
}

// BenchmarkAppendBesideScanners is the program's own append while two clients catch up.
func BenchmarkAppendBesideScanners(b *testing.B) {
	for _, readers := range []int{0, 2} {
		b.Run("readers="+string(rune('0'+readers)), func(b *testing.B) {
			l := mustDisk(b)
			fill(b, l, 500_000)
			d := mustListen(b, Config{Log: l})
			var stop atomic.Bool
			var read atomic.Int64
			var work sync.WaitGroup
			for range readers {
				work.Go(func() { scan(b, d, streams.PartitionOf(nil, 3), &stop, &read) })
			}
			var took []time.Duration
			start := time.Now()
			for b.Loop() {
				r := []streams.Record{{Key: []byte("other"), Value: []byte(benchValue)}}
				at := time.Now()
				if err := l.Feed().Publish(context.Background(), "system-health", r); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(at))
				time.Sleep(time.Millisecond)
			}
			report(b, took)
			b.ReportMetric(float64(read.Load())/time.Since(start).Seconds(), "records/s")
			stop.Store(true)
			work.Wait()
		})
	}
}
