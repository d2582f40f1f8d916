package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
)

func fake(h http.HandlerFunc) *client {
	c := &client{base: "http://localhost", actor: "user:test"}
	c.http.Transport = transport{h}
	return c
}

// A commit's events share an offset: a page may end between them.
func TestPartitionPages(t *testing.T) {
	events := []int64{0, 1, 1, 1, 2, 4, 4, 5, 6, 6} // offsets; 3 is a hole
	requests := 0
	c := fake(func(w http.ResponseWriter, r *http.Request) {
		requests++
		from, _ := strconv.ParseInt(r.FormValue("from"), 10, 64)
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		for i, offset := range events {
			if offset >= from && limit > 0 {
				limit--
				fmt.Fprintf(w, `{"position":"t/0@%d","recorded":"2024-01-01T00:00:00Z","type":"e%d"}`+"\n", offset, i)
			}
		}
	})
	for _, limit := range []int{4, 5, 7, 100} {
		for _, to := range []int64{0, 2, 5, 7} {
			var got, want []string
			for i, offset := range events {
				if offset < to {
					want = append(want, fmt.Sprintf("e%d", i))
				}
			}
			for r, err := range partition(context.Background(), c, "t", span{0, 0, to}, limit) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Type)
			}
			if !slices.Equal(got, want) {
				t.Errorf("limit %d, up to %d: got %v, want %v", limit, to, got, want)
			}
		}
	}
	if requests < 8 {
		t.Errorf("%d requests: nothing was paged", requests)
	}
}

func TestMergedOrdersByRecordedTime(t *testing.T) {
	c := fake(func(w http.ResponseWriter, r *http.Request) {
		p, _ := strconv.Atoi(r.FormValue("partition"))
		for i := range 3 {
			fmt.Fprintf(w, `{"position":"t/%d@%d","recorded":"2024-01-01T00:00:0%dZ"}`+"\n", p, i, 2*i+p)
		}
	})
	var got []string
	for r, err := range merged(context.Background(), c, "t", []span{{1, 0, 3}, {0, 0, 3}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Position)
	}
	if want := "t/0@0 t/1@0 t/0@1 t/1@1 t/0@2 t/1@2"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if _, err := parseRecord([]byte(`{"error":{"detail":"the log is gone","hint":"look"}}`)); err == nil || err.Error() != "the log is gone (look)" {
		t.Errorf("the problem that ends a stream: %v", err)
	}
}

func TestOperate(t *testing.T) {
	answer := ""
	c := fake(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
	p := &program{out: io.Discard, err: io.Discard}
	for _, c2 := range []struct{ answer, result, err string }{
		{`{"stage":"a","done":1,"total":2}` + "\n" + `{"result":{"x":1}}` + "\n", `{"x":1}`, ""},
		{`{"stage":"a"}` + "\n" + `{"error":{"detail":"no space","field":"disk","hint":"free some"}}` + "\n", "", "disk: no space (free some)"},
		{`{"stage":"a","done":1}` + "\n", "", "broke off"},
		{"not json\n", "", "not JSON"},
	} {
		answer = c2.answer
		got, err := p.operate(context.Background(), c, "/x", nil, nil, "test")
		if string(got) != c2.result || (err == nil) != (c2.err == "") || err != nil && !strings.Contains(err.Error(), c2.err) {
			t.Errorf("%q: got %s, %v", c2.answer, got, err)
		}
	}
	answer = `{"stage":"a"}`
	if _, err := p.operate(context.Background(), c, "/x", nil, nil, "test"); !fault.Is(err, fault.Unknown) {
		t.Errorf("an answer without a result: %v", err)
	}
}

func TestProblems(t *testing.T) {
	body, mediaType := "", "application/problem+json"
	c := fake(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(400)
		io.WriteString(w, body)
	})
	for _, x := range []struct{ mediaType, body, want string }{
		{"application/problem+json", `{"detail":"is 0; want 1","field":"k","hint":"leave it out"}`, "k: is 0; want 1 (leave it out)"},
		{"application/problem+json", `{"detail":"2 faults","errors":[{"field":"a","message":"m"},{"message":"n","hint":"h"}]}`, "a: m\nn (h)"},
		{"text/html", "<h1>Bad gateway</h1>", "/x answered 400: <h1>Bad gateway</h1>"},
		{"application/problem+json", "{", "/x answered 400: {"},
	} {
		mediaType, body = x.mediaType, x.body
		if _, err := c.get(context.Background(), "/x", nil); err == nil || err.Error() != x.want {
			t.Errorf("got %v, want %s", err, x.want)
		}
	}
}

func TestWorldParameters(t *testing.T) {
	end := time.Date(2024, 5, 6, 7, 0, 0, 0, time.UTC)
	w, err := parseWorld("users=7, movies=3,events=50,seed=9")
	if err != nil {
		t.Fatal(err)
	}
	w.End = end
	if w.Users != 7 || w.Movies != 3 || w.Events != 50 || w.Seed != 9 {
		t.Errorf("got %+v", w)
	}
	back, ok := worldOfPath(w.path())
	if !ok || back != w || w.path() != "simulation:seed=9,users=7,movies=3,events=50,end=2024-05-06T07:00:00Z" {
		t.Errorf("%s came back as %+v, %v", w.path(), back, ok)
	}
	later := w
	later.End = end.Add(time.Hour)
	if !w.same(later) || w.same(defaultWorld()) {
		t.Error("same is about everything but the end")
	}
	for _, bad := range []string{"users", "users=x", "users=0", "films=3", "seed=-1"} {
		if _, err := parseWorld(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, ok := worldOfPath("/home/films"); ok {
		t.Error("a folder is no world")
	}
}

func TestTable(t *testing.T) {
	items, next, err := itemsOf([]byte(`{"items":[{"a":"x\u001b[2Jy","n":12345678901234567,"f":0.123456789,"at_millis":1700000000123,"l":["p","q"],"b":true},{"deep":{"v":3}}],"next_cursor":"c"}`), "items")
	if err != nil || next != "c" {
		t.Fatal(next, err)
	}
	var out bytes.Buffer
	if err := table(&out, columns("A a, N n, F f, AT at_millis, L l, B b, V deep.v|a"), items); err != nil {
		t.Fatal(err)
	}
	want := `A       N                  F        AT                        L     B    V
x [2Jy  12345678901234567  0.12346  2023-11-14T22:13:20.123Z  p, q  yes  x [2Jy
-       -                  -        -                         -     -    3
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// What comes from outside can neither move the cursor nor turn the line around.
func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2Jb\nc\u0085": "a [2Jb c ", "user\u202efdp.exe": `user\u202efdp.exe`, "zero\u200bwidth\ufeff": `zero\u200bwidth\ufeff`,
		"line\u2028break": `line\u2028break`, "Amélie 영화 👩‍🚀": "Amélie 영화 👩‍🚀",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q; want %q", in, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	var out bytes.Buffer
	p := &program{out: &out}
	raw := []byte(`{"z":"1","a":{"at_millis":1700000000123,"ttl_millis":2592000000,"l":[1,2]}}`)
	if err := p.document(raw); err != nil {
		t.Fatal(err)
	}
	want := "z: \"1\"\na:\n  at: 2023-11-14T22:13:20.123Z\n  ttl_millis: 2592000000\n  l:\n  - 1\n  - 2\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestBar(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		now := time.Unix(0, 0)
		b := &bar{out: &out, terminal: terminal, name: "importing", now: func() time.Time { return now }}
		b.show("interactions", 0, 4000)
		now = now.Add(10 * time.Second)
		b.show("interactions", 1000, 4000)
		b.show("interactions", 1001, 4000) // too soon to say again
		b.end()
		b.end()
		want := "importing: interactions  [######..................]  25%  1,000 of 4,000  100/s  30s left"
		if terminal {
			want = "\r\x1b[K" + want + "\r\x1b[K"
		} else {
			want += "\n"
		}
		if out.String() != want {
			t.Errorf("terminal %t: got %q, want %q", terminal, out.String(), want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}

func TestDialable(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1:8000": "127.0.0.1:8000", "[::]:80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "10.0.0.7:80": "10.0.0.7:80"} {
		if got := dialable(address); got != want {
			t.Errorf("%s is reached at %s, want %s", address, got, want)
		}
	}
}

// Kafka's clients are told to come to the address of the flag, else of the environment.
func TestAdvertise(t *testing.T) {
	t.Setenv(envAdvertise, "env.example.com:1")
	for _, c := range []struct {
		s                    serving
		address, advertise   string
		listenElsewhere, bad bool
	}{
		{s: serving{}, address: "127.0.0.1:9092", advertise: "env.example.com:1"},
		{s: serving{kafka: "0.0.0.0:9092", advertise: "flag.example.com:2"}, address: "0.0.0.0:9092", advertise: "flag.example.com:2"},
		{s: serving{kafka: "off"}},
		{s: serving{kafka: "off", advertise: "flag.example.com:2"}, bad: true},
		{s: serving{advertise: "flag.example.com:2"}, listenElsewhere: true, bad: true},
		{s: serving{}, listenElsewhere: true},
	} {
		s := c.s
		if s.listen = app.ListenDefault; c.listenElsewhere {
			s.listen = "127.0.0.1:1"
		}
		address, _, err := s.door()
		if (err != nil) != c.bad || address != c.address || !c.bad && s.advertise != c.advertise {
			t.Errorf("%+v: %q and %q, %v; want %q and %q", c.s, address, s.advertise, err, c.address, c.advertise)
		}
	}
	if got := comeTo("0.0.0.0:9092", "a:1"); got != "0.0.0.0:9092, and come to a:1" {
		t.Errorf("%q", got)
	}
}

// A row of a list names what speaks for a film, each once, and not what speaks against it.
func TestWhy(t *testing.T) {
	list := func(films ...any) []any { return films }
	heat := map[string]any{"movie_id": "1", "title": "Heat", "score": json.Number("0.5")}
	got := why(list(heat, map[string]any{"source": "decayed_popularity", "score": json.Number("0.25")}, heat, map[string]any{"title": "Ronin", "score": json.Number("-0.25")}))
	if got != "Heat; decayed_popularity" || why(nil) != "" {
		t.Errorf("%q", got)
	}
}
