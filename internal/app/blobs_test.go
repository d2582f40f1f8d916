package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/blob"
)

// TestObtain: a blob comes from any node that was named, and what has another hash is not believed.
func TestObtain(t *testing.T) {
	const content = "weights"
	theirs, err := blob.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name, _, err := theirs.Put(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	node := func(answer string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/blobs/"+name || r.Header.Get("Authorization") != "Bearer secret" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			io.WriteString(w, answer)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	liar, good := node("rubbish"), node(content)
	for what, o := range map[string]Options{
		"the node the views are from": {From: good},
		"a peer":                      {Peers: []string{liar, good + "/"}},
		"not the liar":                {Peers: []string{liar}, From: good},
	} {
		ours, err := blob.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		o.Token, o.Logger = "secret", slog.New(slog.DiscardHandler)
		a := &App{opts: o, Blobs: ours}
		if err := a.obtain(t.Context(), name); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if b, err := ours.Get(name); err != nil || string(b) != content {
			t.Errorf("%s: %q, %v", what, b, err)
		}
	}
}
