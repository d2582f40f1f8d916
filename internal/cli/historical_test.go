package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestHistorical: rows are joined from file to file, over a server and in the folder itself, to the same bytes; what
// fails leaves the old file.
func TestHistorical(t *testing.T) {
	home := t.TempDir()
	dir, rows, list := filepath.Join(home, "data"), filepath.Join(home, "rows.csv"), filepath.Join(home, "rows.json")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	table, object := "user_id,movie_id,event_timestamp,mine\n", `{"service":"ranking","rows":[`
	for i := range 4000 {
		at := time.Date(2024, 1, 1, i%24, 0, 0, 0, time.UTC).AddDate(0, 0, i%500).Format(time.RFC3339)
		table += fmt.Sprintf("%d,%d,%s,%d\n", i%9, i%7, at, i)
		object += fmt.Sprintf(`{"user_id":%d,"movie_id":%d,"event_timestamp":"%s","mine":%d},`, i%9, i%7, at, i)
	}
	object = strings.TrimSuffix(object, ",") + "]}"
	for path, text := range map[string]string{rows: table, list: object} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	join := func(entities, out string) string {
		t.Helper()
		args := []string{"features", "historical", "--entities", entities, "-o", out, "--dir", dir}
		if entities == rows {
			args = append(args, "--service", "ranking")
		}
		r := command(args...)
		if r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
		contains(t, "historical -o", r.err, "wrote ", out)
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	served, servedList := join(rows, filepath.Join(home, "served.csv")), join(list, filepath.Join(home, "served.json"))
	if printed := ok(t, "features", "historical", "--entities", rows, "--service", "ranking", "--dir", dir); printed != served {
		t.Errorf("%d bytes are printed, %d written", len(printed), len(served))
	}
	s.end(t)
	out := filepath.Join(home, "out.csv")
	if joined := join(rows, out); joined != served || strings.Count(joined, "\n") != 4001 {
		t.Errorf("the folder itself gives %d bytes, its server %d", len(joined), len(served))
	}
	if joined := join(list, filepath.Join(home, "out.json")); joined != servedList || strings.Count(joined, `"mine":`) != 4000 {
		t.Errorf("the folder itself gives %d bytes, its server %d", len(joined), len(servedList))
	}

	// What is joined can be kept under a name: the same again is the same version, and has the same rows.
	create := []string{"datasets", "create", "films", "--entities", rows, "--service", "ranking", "--dir", dir}
	contains(t, "datasets create", ok(t, create...), "films  1        4000", "cut ")
	var kept struct{ Cut, Blob string }
	if err := json.Unmarshal([]byte(ok(t, "datasets", "show", "films", "--json", "--dir", dir)), &kept); err != nil {
		t.Fatal(err)
	}
	contains(t, "datasets create, again", command(append(create, "--known-at", kept.Cut)...).err, "there is this version already")
	ok(t, "feedback", "1", "1", "--rating", "5", "--dir", dir)
	contains(t, "datasets create, later", ok(t, create...), "films  2        4000")
	contains(t, "datasets diff", ok(t, "datasets", "diff", "films", "1", "2", "--dir", dir), "definitions  the same", "entity rows  the same", "user-events/", "values       the same, to the byte")
	contains(t, "features history", ok(t, "features", "history", "movie_features:rating_count,title", "movie_id=1", "--dir", dir), "FEATURE", "rating 5 of film 1 by 1", "movie.listed")
	contains(t, "features history", command("features", "history", "movie_features", "1", "--dir", dir).err, "write it as movie_id=42")
	contains(t, "features statistics", ok(t, "features", "statistics", "user_features", "--against", "films@2", "--dir", dir), "DRIFTED", "user_features  rating_count", "genre_preference")
	if rows := ok(t, "datasets", "show", "films", "1", "-o", "-", "--dir", dir); rows != served {
		t.Errorf("%d bytes are kept, %d were joined", len(rows), len(served))
	}

	if err := os.WriteFile(rows, []byte(table+"1,1,never,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := command("features", "historical", "--entities", rows, "-o", out, "--dir", dir)
	if r.code == 0 {
		t.Errorf("a bad row is joined: %+v", r)
	}
	contains(t, "a bad row", r.err, "line 4002", "event_timestamp", "never")
	if b, err := os.ReadFile(out); err != nil || string(b) != served {
		t.Errorf("the old file is gone: %d bytes, %v", len(b), err)
	}
	if left, _ := filepath.Glob(filepath.Join(home, ".out*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// lines takes what a bar writes and says when a text was among it.
type lines struct {
	mu     sync.Mutex
	all    bytes.Buffer
	waited string
	there  chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(b)
	if l.waited != "" && strings.Contains(l.all.String(), l.waited) {
		l.waited = ""
		close(l.there)
	}
	return len(b), nil
}

// A join says how far it is while rows are sent and while they are joined.
func TestHistorical_Progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := &lines{waited: "joining", there: make(chan struct{})}
		c := &client{base: "http://localhost", http: http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Expect") != "100-continue" || r.ContentLength != 1000 {
				t.Errorf("header %v, length %d", r.Header, r.ContentLength)
			}
			for buf := make([]byte, 100); ; time.Sleep(time.Second) {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					break
				}
			}
			<-said.there
			io.WriteString(w, "joined")
		})}}}
		bar := &bar{out: said, now: time.Now}
		res, err := (&program{}).sendRows(t.Context(), c, "/api/v1/features/historical", content{"text/csv", strings.NewReader(strings.Repeat("x", 1000)), 1000}, nil, bar)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || string(b) != "joined" {
			t.Errorf("%q, %v", b, err)
		}
		res.Body.Close()
		contains(t, "progress", said.all.String(), "sending bytes", "of 1,000", "joining")
	})
}
