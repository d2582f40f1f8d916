package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
)

// TestOpenRefuses: an address that is none is told from a bucket that is not there, credentials that are refused and a server that is away.
func TestOpenRefuses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not to be shown")
	for name := range map[string]bool{"AWS_ENDPOINT_URL": true, "AWS_ENDPOINT_URL_S3": true} {
		t.Setenv(name, "")
	}
	answers := func(status int) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for address, want := range map[string]struct {
		code fault.Code
		says string
	}{
		"":                       {fault.Invalid, "no address of a bucket"},
		"http://films":           {fault.Invalid, "no address of a bucket"},
		"s3://":                  {fault.Invalid, "no address of a bucket"},
		"s3://key:secret@films":  {fault.Invalid, "no address of a bucket"},
		"s3://films?bucket=two":  {fault.Invalid, "bucket"},
		"s3://films?endpoint=me": {fault.Invalid, "endpoint"},
		"s3://films?endpoint=http://127.0.0.1:1/path":                {fault.Invalid, "endpoint"},
		"s3://films?region=us-east-1&endpoint=" + answers(404):       {fault.Invalid, "there is no bucket s3://films at 127.0.0.1"},
		"s3://films/blobs?region=us-east-1&endpoint=" + answers(403): {fault.Invalid, "s3://films/blobs at 127.0.0.1"},
		"s3://films?region=us-east-1&endpoint=" + gone.URL:           {fault.Unavailable, "s3://films"},
		"s3://films/x/y?region=us-east-1&endpoint=" + answers(500):   {fault.Unavailable, "s3://films/x/y"},
	} {
		b, err := Open(t.Context(), address)
		if !fault.Is(err, want.code) || !strings.Contains(err.Error(), want.says) || strings.Contains(err.Error(), "not to be shown") {
			t.Errorf("%s: %v", address, err)
		}
		if (b != nil) != (want.code == fault.Unavailable) {
			t.Errorf("%s: a bucket: %v", address, b)
		}
	}
}

// TestStalled: a server that takes a request and says nothing holds up nobody for ever.
func TestStalled(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead:
			if strings.Contains(r.URL.Path, "/ab/") {
				w.WriteHeader(http.StatusNotFound)
			}
			return
		case http.MethodGet:
			w.Header().Set("Content-Length", "10")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			io.WriteString(w, "half") //nolint:errcheck // the test's
			w.(http.Flusher).Flush()
		}
		<-end
	}))
	defer srv.Close()
	defer close(end)
	b, err := Open(t.Context(), "s3://films?region=us-east-1&endpoint="+srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.stalled = 50 * time.Millisecond
	hash := "ab" + strings.Repeat("0", 62)
	content := bytes.NewReader([]byte("content"))
	if err := b.Put(t.Context(), hash, io.NewSectionReader(content, 0, 7), 7); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "stood still") {
		t.Error("put:", err)
	}
	r, err := b.Get(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); string(got) != "half" || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "stood still") {
		t.Errorf("get: %q, %v", got, err)
	}
}

// onServer is a bucket of a real server, PROJECTIONIST_TEST_S3; deploy/s3/test.sh starts one.
func onServer(t *testing.T) *Bucket {
	t.Helper()
	address := os.Getenv("PROJECTIONIST_TEST_S3")
	if address == "" {
		t.Skip("SKIPPED: PROJECTIONIST_TEST_S3 names no bucket: see deploy/s3/test.sh")
	}
	before, after, _ := strings.Cut(address, "?")
	b, err := Open(t.Context(), before+"/"+strings.ToLower(t.Name())+"?"+after)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// TestBucket: a real bucket keeps blobs of any size, tells which it has, and forgets.
func TestBucket(t *testing.T) {
	b := onServer(t)
	ctx, all := t.Context(), []string{}
	chance := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{0, 1, 4096, partBytes - 1, partBytes, partBytes + 1, 2*partBytes + 7} {
		content := make([]byte, size)
		chance.Read(content) //nolint:errcheck // it has none
		hash := hashOf(content)
		all = append(all, hash)
		for range 2 {
			if err := b.Put(ctx, hash, io.NewSectionReader(bytes.NewReader(content), 0, int64(size)), int64(size)); err != nil {
				t.Fatal(size, err)
			}
		}
		r, err := b.Get(ctx, hash)
		if err != nil {
			t.Fatal(size, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || hashOf(got) != hash {
			t.Fatal(size, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	if got := listed(t, b); !slices.Equal(got, all) {
		t.Fatalf("it has %v; want %v", got, all)
	}
	if _, err := b.Get(ctx, strings.Repeat("0", 64)); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	for _, hash := range append(all, all[0]) { // the first twice
		if err := b.Remove(ctx, hash); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(t, b); len(got) > 0 {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Put(ended, all[0], io.NewSectionReader(bytes.NewReader(nil), 0, 0), 0); err == nil {
		t.Error("put for nobody")
	}
}

func listed(t *testing.T, b *Bucket) (all []string) {
	t.Helper()
	for hash, err := range b.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hash)
	}
	slices.Sort(all)
	return all
}

// TestLargeBlob: a blob that does not fit memory goes through it both ways.
func TestLargeBlob(t *testing.T) {
	b := onServer(t)
	const size, most = 1 << 30, 256 << 20
	var peak uint64
	there, err := blob.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	there.Remote = b
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
	}
	hash, n, err := there.Put(t.Context(), &looked{io.LimitReader(rand.NewChaCha8([32]byte{2}), size), look, 0})
	if err != nil || n != size {
		t.Fatal(n, err)
	}
	look()
	here, err := blob.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	here.Remote = b
	if err := here.Fetch(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
	look()
	if n, err := here.Check(t.Context(), hash); err != nil || n != size {
		t.Fatal(n, err)
	}
	if peak > most {
		t.Errorf("%d MiB of heap for a blob of %d MiB", peak>>20, size>>20)
	}
	if err := b.Remove(t.Context(), hash); err != nil {
		t.Fatal(err)
	}
}

// looked is a reader that has memory looked at now and then.
type looked struct {
	io.Reader
	look func()
	n    int
}

func (l *looked) Read(p []byte) (int, error) {
	if l.n++; l.n%1024 == 0 {
		l.look()
	}
	return l.Reader.Read(p)
}
