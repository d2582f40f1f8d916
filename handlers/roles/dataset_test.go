package roles

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

func TestDatasetCodec(t *testing.T) {
	d := &dataset{Cut: "user-events/0:3", FeaturesHash: "abc", Users: []string{"1", "ü"}, Items: []string{"7"},
		Samples:  []datasetSample{{0, 0, -5, 400}, {1, 0, 1 << 41, 1<<16 - 1}, {0, 0, 1 << 41, 0}},
		Features: []string{"a", "b"}, Rows: []datasetRow{{1, []float32{.5, -2}}, {2, []float32{0, 1e30}}}}
	b := d.encode()
	back, err := decodeDataset(b)
	if err != nil || !reflect.DeepEqual(back, d) {
		t.Fatalf("%v\n%+v\n%+v", err, back, d)
	}
	if !bytes.Equal(back.encode(), b) {
		t.Error("encoded again it has other bytes")
	}
	for i := range b {
		if _, err := decodeDataset(b[:i]); !fault.Is(err, fault.Corrupt) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x10
		if _, err := decodeDataset(damaged); !fault.Is(err, fault.Corrupt) {
			t.Errorf("byte %d damaged: %v", i, err)
		}
	}
}
