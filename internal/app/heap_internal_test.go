package app

import "testing"

func TestGarbagePercent(t *testing.T) {
	last := 100
	for live, want := range map[uint64]int{0: 100, 25 << 20: 100, 32 << 20: 100, 64 << 20: 62, 256 << 20: 34, 16 << 30: 25} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
	for live := uint64(0); live < 64<<30; live += 37 << 20 {
		got := garbagePercent(live)
		if got > last || got < 25 {
			t.Fatalf("%d MiB live: %d %% after %d", live>>20, got, last)
		}
		last = got
	}
}
