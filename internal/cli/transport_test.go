package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func roundTrip(t *testing.T, ctx context.Context, h http.HandlerFunc, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/x%2Fy?q=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return (&http.Client{Transport: transport{h}}).Do(req)
}

func TestTransport(t *testing.T) {
	ctx := context.Background()
	t.Run("WholeAnswer", func(t *testing.T) {
		res, err := roundTrip(t, ctx, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil || r.URL.Query().Get("q") != "1" || r.URL.EscapedPath() != "/x%2Fy" {
				t.Errorf("body %q, error %v, URL %s", b, err, r.URL)
			}
			w.Header().Set("X-Test", "a")
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Test", "too late")
			w.Write(b)
		}, "hello")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || string(b) != "hello" || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Test") != "a" {
			t.Errorf("got %d %v %q %v", res.StatusCode, res.Header, b, err)
		}
	})
	t.Run("EmptyAnswer", func(t *testing.T) {
		res, err := roundTrip(t, ctx, func(http.ResponseWriter, *http.Request) {}, "")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); len(b) != 0 || err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("got %d %q %v", res.StatusCode, b, err)
		}
	})
	t.Run("StreamsAndEndsWhenTheReaderDoes", func(t *testing.T) {
		next, ended := make(chan bool), make(chan error, 1)
		res, err := roundTrip(t, ctx, func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-next // the header is out by then, or this would hang
			io.WriteString(w, "one\n")
			<-next // and so is the line
			<-r.Context().Done()
			_, err := io.WriteString(w, "two\n")
			ended <- err
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		next <- true
		if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "one\n" || err != nil {
			t.Errorf("got %q %v", line, err)
		}
		next <- true
		res.Body.Close()
		if <-ended == nil {
			t.Error("the handler could write to a reader that is gone")
		}
	})
	t.Run("ErrCanceledInTheMiddle", func(t *testing.T) {
		cctx, cancel := context.WithCancel(ctx)
		res, err := roundTrip(t, cctx, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "one")
			<-r.Context().Done()
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("an answer that was cut off looks whole")
		}
	})
	t.Run("ErrCanceledBeforeTheHeader", func(t *testing.T) {
		cctx, cancel := context.WithCancel(ctx)
		release := make(chan bool)
		_, err := roundTrip(t, cctx, func(http.ResponseWriter, *http.Request) {
			cancel()
			<-release // a handler that does not look at its context
		}, "")
		close(release)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("ErrPanic", func(t *testing.T) {
		if _, err := roundTrip(t, ctx, func(http.ResponseWriter, *http.Request) { panic("boom") }, ""); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("got %v", err)
		}
		res, err := roundTrip(t, ctx, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %q %v", b, err)
		}
	})
}
