package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func rename(from, to string) *commands.RenameModel { return &commands.RenameModel{Name: from, To: to} }

var namedMarks atomic.Int64

// keyOf is the key of the model that a name leads to, by a command that changes it; "" for none.
func keyOf(t *testing.T, d *Dispatcher, name string) string {
	t.Helper()
	r, err := d.Dispatch(context.Background(), &commands.DescribeModel{Name: name, Description: fmt.Sprint("mark ", namedMarks.Add(1))}, Meta{})
	if fault.Is(err, fault.NotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(name, err)
	}
	return r.Events[0].Data.(*events.ModelDescribed).Name
}

func TestModelsAreRenamed(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	mustDispatch(t, d, &commands.RegisterModel{Name: "a"}, Meta{})
	mustDispatch(t, d, testVersion("a"), Meta{})
	for i, step := range []struct {
		do         commands.Command
		code       fault.Code
		a, b, c, x string // the keys the names lead to
	}{
		{do: rename("a", "b"), b: "a"},
		{do: rename("a", "c"), code: fault.NotFound, b: "a"},
		{do: rename("b", "b"), b: "a"},
		{do: &commands.RegisterModel{Name: "b"}, code: fault.Conflict, b: "a"},
		{do: testVersion("b"), b: "a"},
		{do: testVersion("a"), code: fault.NotFound, b: "a"},
		{do: &commands.RegisterModel{Name: "a"}, a: "a:2", b: "a"},
		{do: &commands.RegisterModel{Name: "a"}, code: fault.Conflict, a: "a:2", b: "a"},
		{do: rename("b", "a"), code: fault.Conflict, a: "a:2", b: "a"},
		{do: rename("a", "b"), code: fault.Conflict, a: "a:2", b: "a"},
		{do: rename("a", "c"), b: "a", c: "a:2"},
		{do: &commands.RegisterModel{Name: "a"}, a: "a:3", b: "a", c: "a:2"},
		{do: rename("a", "x"), x: "a:3", b: "a", c: "a:2"},
		{do: rename("b", "a"), a: "a", c: "a:2", x: "a:3"},
		{do: &commands.RegisterModel{Name: "b"}, a: "a", b: "b", c: "a:2", x: "a:3"},
		{do: &commands.DeleteModel{Name: "c"}, a: "a", b: "b", x: "a:3"},
		{do: rename("a", "c"), b: "b", c: "a", x: "a:3"},
		{do: &commands.DeleteModel{Name: "c"}, b: "b", x: "a:3"},
		{do: &commands.RegisterModel{Name: "c"}, b: "b", c: "c", x: "a:3"},
		{do: &commands.RegisterModel{Name: "a"}, a: "a", b: "b", c: "c", x: "a:3"},
	} {
		_, err := d.Dispatch(context.Background(), step.do, Meta{})
		if fault.CodeOf(err) != step.code {
			t.Fatalf("step %d, %s: %v, want %q", i, step.do.CommandType(), err, step.code)
		}
		other := newTestDispatcher(l, fmt.Sprint("other-", i)) // which knows only the log
		for _, d := range []*Dispatcher{d, other} {
			got := []string{keyOf(t, d, "a"), keyOf(t, d, "b"), keyOf(t, d, "c"), keyOf(t, d, "x")}
			if want := []string{step.a, step.b, step.c, step.x}; !slices.Equal(got, want) {
				t.Fatalf("step %d, %s: names lead to %q, want %q", i, step.do.CommandType(), got, want)
			}
		}
	}
	r := mustDispatch(t, d, testVersion("a"), Meta{}) // two before, of the same stream
	if v := r.Events[0].Data.(*events.ModelVersionRegistered); v.Version != 3 || v.Name != "a" {
		t.Errorf("%+v", v)
	}
}

func TestExperimentsAreRenamed(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	create := func(name string) string {
		t.Helper()
		r := mustDispatch(t, d, &commands.CreateExperiment{Name: name, Tags: map[string]string{"of": name}}, Meta{})
		return r.Events[len(r.Events)-1].Data.(*events.ExperimentCreated).ExperimentID
	}
	rename := func(id, name string, code fault.Code) {
		t.Helper()
		_, err := d.Dispatch(context.Background(), &commands.RenameExperiment{ExperimentID: id, Name: name}, Meta{})
		if fault.CodeOf(err) != code {
			t.Fatalf("%s to %s: %v, want %q", id, name, err, code)
		}
	}
	first := create("a")
	rename(first, "b", "")
	second := create("a")
	if first != events.ExperimentID("a", 1) || second != events.ExperimentID("a", 2) {
		t.Fatal(first, second)
	}
	rename(first, "a", fault.Conflict)
	rename(second, "b", fault.Conflict)
	rename(second, "c", "")
	rename(first, "a", "")
	rename(second, "b", "")
	rename(first, "b", fault.Conflict)
	rename(create("d"), "a", fault.Conflict)
	mustDispatch(t, d, &commands.DeleteExperiment{ExperimentID: first}, Meta{})
	rename(second, "a", fault.Conflict) // it may be restored
	rename(first, "e", fault.NotFound)
}

// TestUnfinishedNaming ends a renaming, or a registration, between its two commits.
func TestUnfinishedNaming(t *testing.T) {
	broken := errors.New("killed")
	cases := map[string]struct {
		before []commands.Command
		do     commands.Command
		then   commands.Command
		code   fault.Code // of then
		want   [3]string  // keys of a, b, c in the end
	}{
		"the same again":          {nil, rename("a", "b"), rename("a", "b"), fault.NotFound, [3]string{"", "a", ""}},
		"a command by the name":   {nil, rename("a", "b"), &commands.DescribeModel{Name: "b", Description: "x"}, "", [3]string{"", "a", ""}},
		"another wants the name":  {[]commands.Command{&commands.RegisterModel{Name: "c"}}, rename("a", "b"), rename("c", "b"), fault.Conflict, [3]string{"", "a", "c"}},
		"it is registered":        {nil, rename("a", "b"), &commands.RegisterModel{Name: "b"}, fault.Conflict, [3]string{"", "a", ""}},
		"it goes another way":     {nil, rename("a", "b"), rename("a", "c"), "", [3]string{"", "", "a"}},
		"it is deleted":           {nil, rename("a", "b"), &commands.DeleteModel{Name: "a"}, "", [3]string{"", "", ""}},
		"a registration":          {[]commands.Command{rename("a", "c")}, &commands.RegisterModel{Name: "a"}, &commands.RegisterModel{Name: "a"}, fault.Conflict, [3]string{"a:2", "", "a"}},
		"renamed to it meanwhile": {[]commands.Command{rename("a", "c")}, &commands.RegisterModel{Name: "a"}, rename("c", "a"), fault.Conflict, [3]string{"a:2", "", "a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newTestLog(t)
			d := newTestDispatcher(l, "id")
			mustDispatch(t, d, &commands.RegisterModel{Name: "a"}, Meta{})
			for _, c := range c.before {
				mustDispatch(t, d, c, Meta{})
			}
			claimed := false
			l.beforeAppend = func(commit streams.Commit) error {
				if claimed {
					return broken
				}
				_, claimed = commit.Events[0].Data.(*events.ModelNameClaimed)
				return nil
			}
			if _, err := d.Dispatch(context.Background(), c.do, Meta{}); !errors.Is(err, broken) {
				t.Fatal("the second commit was to fail:", err)
			}
			l.beforeAppend = nil
			next := newTestDispatcher(l, "next")
			if _, err := next.Dispatch(context.Background(), c.then, Meta{}); name != "the same again" && fault.CodeOf(err) != c.code {
				t.Fatalf("then %s: %v, want %q", c.then.CommandType(), err, c.code)
			}
			if got := [3]string{keyOf(t, next, "a"), keyOf(t, next, "b"), keyOf(t, next, "c")}; got != c.want {
				t.Errorf("names lead to %q, want %q", got, c.want)
			}
		})
	}
}

// TestRenamedOnce repeats a renaming under its idempotency key.
func TestRenamedOnce(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	mustDispatch(t, d, &commands.RegisterModel{Name: "a"}, Meta{})
	first := mustDispatch(t, d, rename("a", "b"), Meta{IdempotencyKey: "k"})
	mustDispatch(t, d, testVersion("b"), Meta{IdempotencyKey: "v"})
	again := mustDispatch(t, newTestDispatcher(l, "next"), rename("a", "b"), Meta{IdempotencyKey: "k"})
	if !again.Duplicate || again.Events[0].ID != first.Events[0].ID {
		t.Errorf("%+v after %+v", again, first)
	}
	if v := mustDispatch(t, newTestDispatcher(l, "next"), testVersion("b"), Meta{IdempotencyKey: "v"}); !v.Duplicate {
		t.Errorf("%+v", v)
	}
	if n := len(l.commits(t, "model/a")); n != 3 {
		t.Errorf("%d commits of the model, want 3", n)
	}
	mustDispatch(t, d, rename("b", "a"), Meta{IdempotencyKey: "back"})
	if back := mustDispatch(t, newTestDispatcher(l, "next"), rename("b", "a"), Meta{IdempotencyKey: "back"}); !back.Duplicate || len(l.commits(t, "model/a")) != 4 {
		t.Errorf("%+v", back)
	}
}

// TestNameIsOnes lets many on several dispatchers want the same few names at once, and then asks the log who has each.
func TestNameIsOnes(t *testing.T) {
	l := newTestLog(t)
	names := []string{"a", "b", "c"}
	var all sync.WaitGroup
	for n := range 4 {
		d := newTestDispatcher(l, fmt.Sprint("d", n))
		for w := range 3 {
			all.Go(func() {
				for i := range 12 {
					from, to := names[(n+w+i)%3], names[(n+2*w+i*i+1)%3]
					var c commands.Command = rename(from, to)
					switch (n + w + i) % 4 {
					case 0:
						c = &commands.RegisterModel{Name: from}
					case 1:
						c = &commands.DeleteModel{Name: to}
					}
					_, err := d.Dispatch(context.Background(), c, Meta{})
					if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
						t.Errorf("%s: %v", c.CommandType(), err)
					}
				}
			})
		}
	}
	all.Wait()
	called := map[string][]string{} // streams by the name they have
	seen := map[string]bool{}
	for c, err := range l.Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen[c.Stream] = true
	}
	for stream := range seen {
		s := newDecider(stream).(named)
		for _, c := range l.commits(t, stream) {
			for i := range c.Events {
				s.evolve(c.Events[i].Data)
			}
		}
		if name := s.names().name; name != "" {
			called[name] = append(called[name], stream)
		}
	}
	d := newTestDispatcher(l, "last")
	for _, name := range names {
		if len(called[name]) > 1 {
			t.Errorf("%s is the name of %q", name, called[name])
		}
		if key := keyOf(t, d, name); (key == "") != (len(called[name]) == 0) || key != "" && called[name][0] != "model/"+key {
			t.Errorf("%s leads to %q and is the name of %q", name, key, called[name])
		}
	}
}
