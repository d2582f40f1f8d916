package eventstore

import (
	"testing"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
	"github.com/projectionist/projectionist/streams/local"
)

// BenchmarkRelay copies a ledger to an embedded log on disk.
func BenchmarkRelay(b *testing.B) {
	s := fake.New(b, nil)
	for i := range b.N {
		c := testCommit("c"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676%26))+string(rune('a'+i/17576)), "run/1", streams.AnyRevision, 1)
		data, err := encode(&c, "b", nil)
		if err != nil {
			b.Fatal(err)
		}
		s.Put(categoryDefault+"-run/1", data[0].EventType, true, data[0].Data, data[0].Metadata)
	}
	feeds, err := local.Open(b.TempDir(), local.Options{Logf: b.Logf})
	if err != nil {
		b.Fatal(err)
	}
	defer feeds.Close()
	b.ResetTimer()
	l := mustOpen(b, Options{URL: s.URL(), Feeds: feeds})
	relayed(b, l, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
