package v1_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A blob is given whole or a range of it, and never one that is damaged.
func TestBlob(t *testing.T) {
	w := newFixture(t)
	content := strings.Repeat("0123456789", 100_000)
	hash, _, err := w.blobs.Put(t.Context(), strings.NewReader(content))
	w.must(err)
	whole := w.get("/api/v1/blobs/" + hash).want(http.StatusOK)
	if string(whole.Body) != content || whole.Header.Get("Content-Length") != strconv.Itoa(len(content)) || whole.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes, %v", len(whole.Body), whole.Header)
	}
	etag := whole.Header.Get("ETag")
	part := w.get("/api/v1/blobs/"+hash, "Range", "bytes=999995-", "If-Range", etag).want(http.StatusPartialContent)
	if string(part.Body) != "56789" || part.Header.Get("Content-Range") != "bytes 999995-999999/1000000" {
		t.Errorf("%q, %v", part.Body, part.Header)
	}
	w.get("/api/v1/blobs/"+hash, "Range", "bytes=1000000-").want(http.StatusRequestedRangeNotSatisfiable)
	w.get("/api/v1/blobs/"+hash, "If-None-Match", etag).want(http.StatusNotModified)

	f, err := w.blobs.Open(t.Context(), hash)
	w.must(err)
	w.must(f.Close())
	w.must(os.WriteFile(f.Name(), []byte(content[1:]+"0"), 0o600))
	for _, header := range [][]string{nil, {"Range", "bytes=0-0"}} {
		if p := w.get("/api/v1/blobs/"+hash, header...).problem(http.StatusInternalServerError, ""); !strings.Contains(p.Detail, "damaged") {
			t.Errorf("%+v", p)
		}
	}
	w.get("/api/v1/blobs/"+strings.Repeat("0", 64)).problem(http.StatusNotFound, "")
}
