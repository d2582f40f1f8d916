package fake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

func newClient(t testing.TB, url string) *esdb.Client {
	t.Helper()
	c, err := esdb.ParseConnectionString(url)
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func newContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// id is a UUID of a name.
func id(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

func data(names ...string) (out []esdb.EventData) {
	for _, n := range names {
		out = append(out, esdb.EventData{EventID: id(n), EventType: "t", ContentType: esdb.ContentTypeJson, Data: []byte(`"` + n + `"`)})
	}
	return out
}

func codeOf(err error) esdb.ErrorCode {
	var e *esdb.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return -1
}

// TestIdempotency holds the fake to "Optimistic concurrency and idempotence" of the server's
// documentation, step by step on one stream.
func TestIdempotency(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	ctx := newContext(t)
	const wrong = -1
	for i, step := range []struct {
		what     string
		expected esdb.ExpectedRevision
		events   []string
		revision int // that is answered
		length   int // of the stream afterwards
	}{
		{"a revision of a stream that does not exist", esdb.Revision(0), []string{"a"}, wrong, 0},
		{"a stream that has to exist", esdb.StreamExists{}, []string{"a"}, wrong, 0},
		{"a new stream", esdb.NoStream{}, []string{"a", "b"}, 1, 2},
		{"the same again", esdb.NoStream{}, []string{"a", "b"}, 1, 2},
		{"the first part of it", esdb.NoStream{}, []string{"a"}, 0, 2},
		{"others where there are events", esdb.NoStream{}, []string{"x"}, wrong, 2},
		{"partly the same", esdb.NoStream{}, []string{"a", "x"}, wrong, 2},
		{"on top", esdb.Revision(1), []string{"c"}, 2, 3},
		{"the same on top", esdb.Revision(1), []string{"c"}, 2, 3},
		{"the second and third again", esdb.Revision(0), []string{"b", "c"}, 2, 3},
		{"more than there is", esdb.Revision(1), []string{"c", "d"}, wrong, 3},
		{"above the head", esdb.Revision(3), []string{"c"}, wrong, 3},
		{"known ids at the head are written again", esdb.Revision(2), []string{"a"}, 3, 4},
		{"any", esdb.Any{}, []string{"e", "f"}, 5, 6},
		{"any, again", esdb.Any{}, []string{"e", "f"}, 5, 6},
		{"any, partly", esdb.Any{}, []string{"e", "g"}, wrong, 6},
		{"exists, again", esdb.StreamExists{}, []string{"e", "f"}, 5, 6},
		{"exists", esdb.StreamExists{}, []string{"h"}, 6, 7},
	} {
		r, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: step.expected}, data(step.events...)...)
		switch {
		case step.revision == wrong && codeOf(err) != esdb.ErrorCodeWrongExpectedVersion:
			t.Errorf("%d, %s: %v", i, step.what, err)
		case step.revision != wrong && (err != nil || int(r.NextExpectedVersion) != step.revision || r.CommitPosition != s.Events()[step.revision].Position):
			t.Errorf("%d, %s: %+v, %v", i, step.what, r, err)
		}
		if n := len(s.Events()); n != step.length {
			t.Fatalf("%d, %s: %d events", i, step.what, n)
		}
	}
	if _, err := c.AppendToStream(ctx, "other", esdb.AppendToStreamOptions{}, data("e")...); err != nil || len(s.Events()) != 8 {
		t.Errorf("an id is known per stream: %v", err)
	}
	s.ForgetRecent()
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, data("h")...); err != nil || len(s.Events()) != 9 {
		t.Errorf("without the cache any revision writes again: %v", err)
	}
	if _, err := c.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, data("a", "b")...); err != nil || len(s.Events()) != 9 {
		t.Errorf("an exact one looks into the stream: %v", err)
	}
}

func TestReads(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	ctx := newContext(t)
	for i := range 4 {
		s.Put("a", "t", true, []byte(fmt.Sprint(i)), nil)
		s.Put("b", "t", true, []byte(fmt.Sprint(i)), nil)
	}
	read := func(r *esdb.ReadStream, err error) (got string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for {
			e, err := r.Recv()
			if errors.Is(err, io.EOF) {
				return got
			}
			if err != nil {
				return got + err.Error()
			}
			got += e.Event.StreamID + string(e.Event.Data)
		}
	}
	third := s.Events()[2].Position
	at := esdb.Position{Commit: third, Prepare: third}
	back := esdb.Backwards
	for i, step := range []struct{ got, want string }{
		{read(c.ReadStream(ctx, "a", esdb.ReadStreamOptions{}, 9)), "a0a1a2a3"},
		{read(c.ReadStream(ctx, "a", esdb.ReadStreamOptions{From: esdb.Revision(1)}, 2)), "a1a2"},
		{read(c.ReadStream(ctx, "a", esdb.ReadStreamOptions{From: esdb.End{}}, 2)), ""},
		{read(c.ReadStream(ctx, "a", esdb.ReadStreamOptions{Direction: back, From: esdb.End{}}, 2)), "a3a2"},
		{read(c.ReadStream(ctx, "a", esdb.ReadStreamOptions{Direction: back, From: esdb.Revision(1)}, 9)), "a1a0"},
		{read(c.ReadAll(ctx, esdb.ReadAllOptions{}, 3)), "a0b0a1"},
		{read(c.ReadAll(ctx, esdb.ReadAllOptions{From: at}, 2)), "a1b1"},
		{read(c.ReadAll(ctx, esdb.ReadAllOptions{Direction: back, From: esdb.End{}}, 3)), "b3a3b2"},
		{read(c.ReadAll(ctx, esdb.ReadAllOptions{Direction: back, From: at}, 9)), "b0a0"},
	} {
		if step.got != step.want {
			t.Errorf("%d: %q; want %q", i, step.got, step.want)
		}
	}
	r, err := c.ReadStream(ctx, "none", esdb.ReadStreamOptions{}, 1)
	if err == nil {
		_, err = r.Recv()
	}
	if codeOf(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("%v", err)
	}
	r, err = c.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Position{Commit: third + 1, Prepare: third + 1}}, 1)
	if err == nil {
		_, err = r.Recv()
	}
	if err == nil {
		t.Error("a position that no event has is read from")
	}
}

func TestDeletion(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	ctx := newContext(t)
	for _, name := range []string{"soft", "hard"} {
		if _, err := c.AppendToStream(ctx, name, esdb.AppendToStreamOptions{}, data("a", "b")...); err != nil {
			t.Fatal(err)
		}
	}
	first := func(name string) error {
		r, err := c.ReadStream(ctx, name, esdb.ReadStreamOptions{}, 1)
		if err == nil {
			_, err = r.Recv()
		}
		return err
	}
	if _, err := c.DeleteStream(ctx, "soft", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := first("soft"); codeOf(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("%v", err)
	}
	r, err := c.AppendToStream(ctx, "soft", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, data("c")...)
	if err != nil || r.NextExpectedVersion != 2 {
		t.Errorf("%+v, %v: a softly deleted stream begins anew with the next number", r, err)
	}
	if err := first("soft"); err != nil {
		t.Error(err)
	}
	if _, err := c.TombstoneStream(ctx, "hard", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := first("hard"); codeOf(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("%v", err)
	}
	if _, err := c.AppendToStream(ctx, "hard", esdb.AppendToStreamOptions{}, data("c")...); codeOf(err) != esdb.ErrorCodeStreamDeleted {
		t.Errorf("%v", err)
	}
}

// TestSubscription: what was there, a checkpoint, the word that it has caught up, once; then what comes.
func TestSubscription(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	ctx := newContext(t)
	for i := range 3 {
		s.Put("a-1", "t", true, []byte(fmt.Sprint(i)), nil)
		s.Put("b-1", "t", true, []byte("{}"), nil)
	}
	subscribe := func(from esdb.AllPosition) *esdb.Subscription {
		t.Helper()
		sub, err := c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: from, MaxSearchWindow: 2, CheckpointInterval: 1,
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"a-"}}})
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	next := func(sub *esdb.Subscription) string {
		e := sub.Recv()
		switch {
		case e.EventAppeared != nil:
			return string(e.EventAppeared.Event.Data)
		case e.CheckPointReached != nil:
			return "checkpoint"
		case e.CaughtUp != nil:
			return "caught up"
		}
		return fmt.Sprint(e.SubscriptionDropped.Error)
	}
	take := func(sub *esdb.Subscription, n int) (got []string) {
		for range n {
			got = append(got, next(sub))
		}
		return got
	}
	sub := subscribe(esdb.Start{})
	if got, want := take(sub, 7), []string{"0", "checkpoint", "1", "checkpoint", "2", "checkpoint", "caught up"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	s.Put("b-1", "t", true, []byte("{}"), nil)
	s.Put("a-1", "t", true, []byte("3"), nil)
	if got, want := take(sub, 2), []string{"3", "checkpoint"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	p := s.Events()[4].Position
	after := subscribe(esdb.Position{Commit: p, Prepare: p}) // exclusive
	if got, want := take(after, 4), []string{"checkpoint", "3", "checkpoint", "caught up"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	end := subscribe(esdb.End{})
	s.Put("a-1", "t", true, []byte("4"), nil)
	if got, want := take(end, 2), []string{"caught up", "4"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	s.Stop()
	if got := next(end); got == "caught up" {
		t.Error("a stopped server is not noticed")
	}
	s.Start(t)
	if n := len(s.Events()); n != 9 {
		t.Errorf("after a restart there are %d events", n)
	}
}

func TestSubscribeToStream(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	s.Put("a", "t", true, []byte("0"), nil)
	s.Put("a", "t", true, []byte("1"), nil)
	sub, err := c.SubscribeToStream(newContext(t), "a", esdb.SubscribeToStreamOptions{From: esdb.Revision(0)})
	if err != nil {
		t.Fatal(err)
	}
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventNumber != 1 {
		t.Errorf("%+v", e)
	}
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Errorf("%+v", e)
	}
	s.Put("a", "t", true, []byte("2"), nil)
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventNumber != 2 {
		t.Errorf("%+v", e)
	}
}

func TestMaxAppendSize(t *testing.T) {
	s := fake.New(t, nil)
	c := newClient(t, s.URL())
	e := data("a")
	e[0].Data = make([]byte, fake.MaxAppendSize-2)
	if _, err := c.AppendToStream(newContext(t), "s", esdb.AppendToStreamOptions{}, e...); err != nil {
		t.Error(err)
	}
	e[0].EventID, e[0].Data = id("b"), make([]byte, fake.MaxAppendSize-1)
	if _, err := c.AppendToStream(newContext(t), "s", esdb.AppendToStreamOptions{}, e...); err == nil || len(s.Events()) != 1 {
		t.Errorf("%v, %d events", err, len(s.Events()))
	}
}
