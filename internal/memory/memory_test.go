package memory

import (
	"runtime"
	"testing"
)

func TestWatch(t *testing.T) {
	end := Watch()
	b := make([]byte, 64<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	most, first := end()
	runtime.KeepAlive(b)
	if grown := most - first; grown < 60<<20 || grown > 200<<20 {
		t.Errorf("64 MiB are taken for %d", grown)
	}
	if free, ok := Free(); runtime.GOOS == "linux" && (!ok || free < 1<<20) {
		t.Errorf("%d bytes are free, %v", free, ok)
	}
}
