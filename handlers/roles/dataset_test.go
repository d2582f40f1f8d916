package roles

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/signal"
)

func TestDatasetCodec(t *testing.T) {
	d := &dataset{Cut: "user-events/0:3", FeaturesHash: "abc", Users: []string{"1", "ü"}, Items: []string{"7"},
		Samples: []ml.Sample{{Time: -5}, {User: 1, Time: 1 << 41}, {Time: 1 << 41}}, Signals: []signal.Signal{400, 1<<16 - 1, 0},
		Features: []string{"a", "b"}, Rows: []datasetRow{{1, []float32{.5, -2}}, {2, []float32{0, 1e30}}}}
	b := d.encode()
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != "b2492dbdbdfa214746b6a6bdd6643cd61062acc2493742416e838050b7c040eb" {
		t.Errorf("other bytes than any program before: %x", sum)
	}
	back, err := decodeDataset(b, 3)
	want := *d
	want.Samples, want.Signals = nil, nil // the set has them
	if err != nil || !reflect.DeepEqual(back, &want) {
		t.Fatalf("%v\n%+v\n%+v", err, back, want)
	}
	for _, other := range []int{0, 2, 4} {
		if _, err := decodeDataset(b, other); !fault.Is(err, fault.Corrupt) {
			t.Errorf("of a set with %d samples: %v", other, err)
		}
	}
	for i := range b {
		if _, err := decodeDataset(b[:i], 3); !fault.Is(err, fault.Corrupt) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x10
		if _, err := decodeDataset(damaged, 3); !fault.Is(err, fault.Corrupt) {
			t.Errorf("byte %d damaged: %v", i, err)
		}
	}
}
