package v1_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api/v1"
)

// sent takes an answer without keeping it.
type sent struct {
	*httptest.ResponseRecorder
	bytes   int64
	written func() // at each piece; may be nil
}

func (s *sent) Write(b []byte) (int, error) {
	s.bytes += int64(len(b))
	if s.written != nil {
		s.written()
	}
	return len(b), nil
}

func (w *fixture) historical(ctx context.Context, out http.ResponseWriter, kind string, body io.Reader) {
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/features/historical", body)
	r.Host = "localhost:8000"
	r.Header.Set("Content-Type", kind)
	w.server.ServeHTTP(out, r)
}

// emptied fails if anything is left in the scratch folder.
func (w *fixture) emptied() {
	w.t.Helper()
	if entries, err := os.ReadDir(w.own.ScratchDir); err != nil || len(entries) > 0 {
		w.t.Errorf("left in the scratch folder: %v, %v", entries, err)
	}
}

func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A body of any size is joined, and neither it nor the answer is held.
func TestHistorical_OfAnySize(t *testing.T) {
	w := newFixture(t)
	note := strings.Repeat("n", 500_000)
	for kind, form := range map[string]struct{ head, row, between, tail string }{
		"text/csv":         {"movie_id,event_timestamp,note\n", "3,2024-03-08," + note + "\n", "", ""},
		"application/json": {`{"rows":[`, `{"movie_id":3,"event_timestamp":"2024-03-08","note":"` + note + `"}`, ",", `],"exclusive":true}`},
	} {
		const rows = 80
		in, body := io.Pipe()
		go func() {
			io.WriteString(body, form.head)
			for i := range rows {
				if i > 0 {
					io.WriteString(body, form.between)
				}
				io.WriteString(body, form.row)
			}
			io.WriteString(body, form.tail)
			body.Close()
		}()
		before, most, next := live(), int64(0), int64(0)
		out := &sent{ResponseRecorder: httptest.NewRecorder()}
		out.written = func() {
			if out.bytes >= next {
				next += 16 << 20
				most = max(most, live())
			}
		}
		w.historical(t.Context(), out, kind, in)
		if out.Code != 200 || out.bytes < rows*int64(len(note)) {
			t.Fatalf("%s: %d, %d bytes: %.300s", kind, out.Code, out.bytes, out.Body)
		}
		if grown := most - before; grown > 16<<20 {
			t.Errorf("%s: a body of %d bytes was answered with %d in memory", kind, rows*len(note), grown)
		}
		w.emptied()
	}
}

// What else a JSON body says is heard before its rows and behind them, and rows have the same answer either way.
func TestHistorical_FieldsAnywhere(t *testing.T) {
	w := newFixture(t)
	const rows = `"rows": [ {"note": {"b": [1, "é"]}, "movie_id": 3, "event_timestamp": "2024-03-08"},{"event_timestamp":"2024-06-02","user_id":"3"} ]`
	want := w.post("/api/v1/features/historical", `{`+rows+`,"features":["movie_features:rating_count","title"],"full_feature_names":true}`).want(200)
	for _, body := range []string{
		`{"features":["movie_features:rating_count","title"],"full_feature_names":true,` + rows + `}`,
		` { "full_feature_names" : true , ` + strings.Replace(rows, "rows", "Rows", 1) + ` , "features":["movie_features:rating_count","title"] } `,
	} {
		if got := w.post("/api/v1/features/historical", body).want(200); !bytes.Equal(got.Body, want.Body) {
			t.Errorf("%s: %s, want %s", body, got.Body, want.Body)
		}
	}
	const head = `{"rows":[{"event_timestamp":"2024-03-08","movie_id":3,"note":{"b": [1, "é"]},"movie_features__rating_count":`
	if !strings.HasPrefix(string(want.Body), head) || !strings.Contains(string(want.Body), `{"event_timestamp":"2024-06-02","user_id":"3","movie_features__rating_count":null`) {
		t.Errorf("%s", want.Body)
	}
}

// Whatever is wrong with a body is answered instead of any row.
func TestHistorical_Refused(t *testing.T) {
	w := newFixture(t)
	row := `{"movie_id":3,"event_timestamp":"2024-03-08"}`
	many := strings.Repeat(row+",", 5000)
	long := strings.Repeat("x", 2<<20)
	for _, c := range []struct {
		body   string
		status int
		field  string
		says   string
	}{
		{"", 400, "", "empty"},
		{" \n", 400, "", "empty"},
		{"[]", 400, "", "want a JSON object"},
		{"7", 400, "", "want a JSON object"},
		{`{}`, 400, "rows", "must not be empty"},
		{`{"rows":null}`, 400, "rows", "must not be empty"},
		{`{"rows":[]}`, 400, "rows", "must not be empty"},
		{`{"rows":{}}`, 400, "rows", "must be an array"},
		{`{"rows":[7]}`, 400, "rows[0]", "must be an object"},
		{`{"rows":[null]}`, 400, "rows[0]", "neither user_id nor movie_id"},
		{`{"rows":[{"event_timestamp":5}]}`, 400, "rows[0]", "neither user_id nor movie_id"},
		{`{"rows":[` + row + `],"rows":[` + row + `]}`, 400, "rows", "twice"},
		{`{"rows":[` + row + `],"row":1}`, 400, "row", "not a field"},
		{`{"rows":[` + row + `],"features":7}`, 400, "features", "must be an array"},
		{`{"rows":[` + row + `],"features":["none"]}`, 404, "features", "none"},
		{`{"rows":[` + row + `],"known_at":"never"}`, 400, "known_at", "never"},
		{`{"rows":[` + row, 400, "", "not whole"},
		{`{"rows":[` + row + `]`, 400, "", "not whole"},
		{`{"rows":[` + row + `,]}`, 400, "", "not JSON"},
		{`{"rows":[` + row + `]} 7`, 400, "", "goes on after"},
		{`{"rows":[` + row + `]}}`, 400, "", "goes on after"},
		{`{"rows":[` + many + `{"movie_id":1.5,"event_timestamp":5}]}`, 400, "rows[5000].movie_id", "whole number"},
		{`{"rows":[` + many + `{"movie_id":1,"event_timestamp":"never"}]}`, 400, "rows[5000].event_timestamp", "never"},
		{`{"rows":[` + many + `{"movie_id":1,"event_timestamp":5,"title":1}]}`, 400, "rows[5000].title", "name of a feature"},
		{`{"rows":[{"movie_id":3,"event_timestamp":5,"note":"` + long + `"}]}`, 413, "", "a row has more than"},
		{`{"rows":[` + row + strings.Repeat(" ", 2<<20) + `]}`, 413, "", "a row has more than"},
		{`{"rows":[{"movie_id":3,"event_timestamp":5,"` + long[:700_000] + `1":0},{"movie_id":3,"event_timestamp":5,"` + long[:700_000] + `2":0}]}`, 413, "", "names"},
		{`{"features":["` + long[:900_000] + `"],"service":"` + long[:900_000] + `","rows":[` + row + `]}`, 413, "", "beside its rows"},
		{`{"rows":[{"movie_id":3,"event_timestamp":5,"note":"` + "\xff" + `"}]}`, 400, "", "UTF-8"},
		{`{"rows":[{"movie_id":3,"event_timestamp":5,"note":"` + long[:100_000] + "\xe2\x82" + `"}]}`, 400, "", "UTF-8"},
	} {
		if p := w.post("/api/v1/features/historical", c.body).problem(c.status, c.field); !strings.Contains(p.Detail, c.says) {
			t.Errorf("%.60s: %s", c.body, p.Detail)
		}
	}
	csv := func(body string, status int, field, says string) {
		t.Helper()
		if p := w.post("/api/v1/features/historical?features=title", body, "Content-Type", "text/csv").problem(status, field); !strings.Contains(p.Detail, says) {
			t.Errorf("%.60s: %s", body, p.Detail)
		}
	}
	csv("movie_id,event_timestamp\n"+strings.Repeat("3,5\n", 5000)+"1.5,5\n", 400, "line 5002, column 1 (movie_id)", "whole number")
	csv("movie_id,event_timestamp,note\n3,5,\""+long+"\"\n", 413, "", "a row has more than")
	csv("movie_id,event_timestamp,"+long, 413, "", "a row has more than")
	csv("movie_id,event_timestamp,title\n3,5,x\n", 400, "line 1", "name of a feature")

	// Twenty faults are enough.
	p := w.post("/api/v1/features/historical", `{"rows":[`+strings.Repeat(`{"movie_id":1.5,"event_timestamp":5},`, 100)+row+`]}`).problem(400, "rows[0].movie_id")
	if len(p.Errors) != 20 {
		t.Errorf("%d faults are answered", len(p.Errors))
	}
	w.emptied()
}

// Characters that are cut by what is read at once are whole.
func TestUTF8Reader(t *testing.T) {
	for _, text := range []string{"a€é𝄞b", "€", "", "𝄞𝄞"} {
		for size := 1; size < 6; size++ {
			in := v1.UTF8Reader(strings.NewReader(text))
			var got []byte
			for buf := make([]byte, size); ; {
				n, err := in.Read(buf)
				if got = append(got, buf[:n]...); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%q by %d: %v", text, size, err)
				}
			}
			if string(got) != text {
				t.Errorf("%q by %d: %q", text, size, got)
			}
		}
	}
	for _, text := range []string{"a\xff", "\xe2\x82", "\xe2\x82a", "\x80", "€\xf0\x9d\x84", "\xed\xa0\x80"} {
		for size := 1; size < 6; size++ {
			in := v1.UTF8Reader(strings.NewReader(text))
			err := error(nil)
			for buf := make([]byte, size); err == nil; {
				_, err = in.Read(buf)
			}
			if err == io.EOF {
				t.Errorf("%q by %d is taken", text, size)
			}
		}
	}
}

// Few are joined at a time, and the next is told so at once.
func TestHistorical_FewAtATime(t *testing.T) {
	w := newFixture(t)
	const table = "movie_id,event_timestamp\n3,2024-03-08\n"
	var bodies []*io.PipeWriter
	ended := make(chan int, v1.HistoricalMax)
	for range v1.HistoricalMax {
		in, body := io.Pipe()
		bodies = append(bodies, body)
		go func() {
			out := httptest.NewRecorder()
			w.historical(t.Context(), out, "text/csv", in)
			ended <- out.Code
		}()
		io.WriteString(body, table) // returns once it is read: the join is admitted
	}
	a := w.post("/api/v1/features/historical", table, "Content-Type", "text/csv")
	if p := a.problem(503, ""); a.Header.Get("Retry-After") == "" || !strings.Contains(p.Detail, "2 joins are under way") {
		t.Errorf("%v, %+v", a.Header, p)
	}
	for _, body := range bodies {
		body.Close()
		if status := <-ended; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	w.post("/api/v1/features/historical", table, "Content-Type", "text/csv").want(200)
	w.must(w.core.Close())
	w.post("/api/v1/features/historical", table, "Content-Type", "text/csv").problem(503, "")
}

// An answer that cannot go on is cut off, so that nobody takes it for whole; the join ends and frees its place.
func TestHistorical_EndsWithItsClient(t *testing.T) {
	w := newFixture(t)
	body := "movie_id,user_id,event_timestamp\n" + strings.Repeat("3,3,2024-03-08\n", 5000)
	for range v1.HistoricalMax + 1 {
		ctx, gone := context.WithCancel(t.Context())
		out := &sent{ResponseRecorder: httptest.NewRecorder(), written: gone}
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("the answer ended with %v", p)
				}
			}()
			w.historical(ctx, out, "text/csv", strings.NewReader(body))
		}()
		if out.bytes == 0 || out.bytes > 200_000 {
			t.Errorf("%d bytes were sent", out.bytes)
		}
		w.emptied()
	}
	// Gone before anything was sent: an error as any other.
	ctx, gone := context.WithCancel(t.Context())
	gone()
	out := httptest.NewRecorder()
	w.historical(ctx, out, "text/csv", strings.NewReader(body))
	if out.Code != 503 {
		t.Errorf("status %d", out.Code)
	}
}

func TestHistorical_TooLarge(t *testing.T) {
	w := newFixture(t)
	r := httptest.NewRequest("POST", "/api/v1/features/historical", strings.NewReader("{"))
	r.Host, r.ContentLength = "localhost:8000", v1.HistoricalBytesMax+1
	out := httptest.NewRecorder()
	w.server.ServeHTTP(out, r)
	if out.Code != 413 || out.Header().Get("Connection") != "close" {
		t.Errorf("status %d, %v", out.Code, out.Header())
	}
}

// The features of a thousand are sent as they are read, and no longer than somebody takes them.
func TestBatchIsStreamed(t *testing.T) {
	w := newFixture(t)
	body := `{"entity_type":"movie","entity_ids":[` + strings.Repeat("3,", v1.EntitiesMax-1) + `4]}`
	whole := w.post("/api/v1/features/batch", body).want(200)
	if got := whole.at(fmt.Sprintf("results.%d.entity_id", v1.EntitiesMax-1)); got != "4" || len(whole.Body) < 500_000 {
		t.Errorf("the last of %d bytes is %s", len(whole.Body), got)
	}
	w.cutOff(httptest.NewRequest("POST", "/api/v1/features/batch", strings.NewReader(body)))
}

// cutOff fails unless a request whose client goes away with the first piece ends with that.
func (w *fixture) cutOff(r *http.Request) {
	w.t.Helper()
	ctx, gone := context.WithCancel(context.Background())
	r = r.WithContext(ctx)
	r.Host = "localhost:8000"
	out := &sent{ResponseRecorder: httptest.NewRecorder(), written: gone}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || out.bytes > 64<<10 {
			w.t.Errorf("%s ended with %v after %d bytes", r.URL, p, out.bytes)
		}
	}()
	w.server.ServeHTTP(out, r)
}
