package kafka

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/local"
)

var update = flag.Bool("update", false, "rewrite the verdicts in testdata")

func memIndex(t testing.TB) *index {
	t.Helper()
	ix, err := openIndex("", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ix.close() })
	return ix
}

// foldAll folds records that a fetch would bring, in blocks of some size.
func foldAll(t testing.TB, ix *index, recs []streams.Record, size int) {
	t.Helper()
	for len(recs) > 0 {
		n := min(size, len(recs))
		next := recs[n-1].Offset + 1
		if err := ix.fold(sequence(recs[:n]), next); err != nil {
			t.Fatal(err)
		}
		recs = recs[n:]
	}
}

func sequence(recs []streams.Record) func(func(*streams.Record) bool) {
	return func(yield func(*streams.Record) bool) {
		for i := range recs {
			if !yield(&recs[i]) {
				return
			}
		}
	}
}

func mustRecord(t testing.TB, c streams.Commit, offset, millis int64) streams.Record {
	t.Helper()
	r, err := streams.CommitRecord(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Offset, r.Recorded = offset, time.UnixMilli(millis).UTC()
	return r
}

// TestJudge runs scripts of records and compares the verdicts. A line is
//
//	commit ID STREAM EXPECTED EVENTS    EXPECTED is a number, none or any
//	broken WHAT                         a record that is no commit, or one just over a limit
//	hole N                              N offsets without a record, as control records leave
//
// and behind => stands what the fold makes of it.
func TestJudge(t *testing.T) {
	files, err := filepath.Glob("testdata/judge/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			ix := memIndex(t)
			offset := int64(0)
			for line := range strings.Lines(string(script)) {
				line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), " =>")
				out.WriteString(line)
				words := strings.Fields(line)
				if len(words) > 0 && words[0] != "#" {
					out.WriteString(" => " + runJudgeLine(t, ix, words, &offset))
				}
				out.WriteString("\n")
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(script) {
				t.Errorf("the verdicts are other ones (-update rewrites them):\n%s", out.String())
			}
		})
	}
}

func runJudgeLine(t *testing.T, ix *index, words []string, offset *int64) string {
	t.Helper()
	var r streams.Record
	stream := ""
	switch words[0] {
	case "hole":
		n, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		*offset += n
		if err := ix.fold(sequence(nil), *offset); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("cursor %d", ix.snapshot().Cursor)
	case "commit":
		stream = words[2]
		expected, ok := map[string]streams.Revision{"none": streams.NoStream, "any": streams.AnyRevision}[words[3]]
		if !ok {
			n, err := strconv.Atoi(words[3])
			if err != nil {
				t.Fatal(err)
			}
			expected = streams.Revision(n)
		}
		n, err := strconv.Atoi(words[4])
		if err != nil {
			t.Fatal(err)
		}
		r = mustRecord(t, testCommit(words[1], stream, expected, n), *offset, 1000+*offset)
	case "broken":
		r = brokenRecord(t, strings.Join(words[1:], " "))
		stream = string(r.Key)
		r.Offset, r.Recorded = *offset, time.UnixMilli(1000+*offset)
	default:
		t.Fatalf("unknown line %q", words)
	}
	before := ix.snapshot()
	if err := ix.fold(sequence([]streams.Record{r}), *offset+1); err != nil {
		t.Fatal(err)
	}
	*offset++
	after := ix.snapshot()
	for v := range verdicts {
		if after.Counts[v] == before.Counts[v] {
			continue
		}
		if v != accepted {
			if after.Head != before.Head {
				t.Fatalf("a void record moved the head from %d to %d", before.Head, after.Head)
			}
			return v.String()
		}
		head, err := ix.head(stream)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("accepted @%d, revision %d", after.Head-1, head)
	}
	t.Fatal("the record was not counted")
	return ""
}

// brokenRecord spoils a good commit's record in one way.
func brokenRecord(t *testing.T, what string) streams.Record {
	t.Helper()
	r := mustRecord(t, testCommit("good", "model/als", streams.AnyRevision, 1), 0, 0)
	set := func(key, value string) {
		for i := range r.Headers {
			if r.Headers[i].Key == key {
				r.Headers[i].Value = []byte(value)
				return
			}
		}
		t.Fatalf("no header %s", key)
	}
	many := func(n int) []byte {
		return []byte("[" + strings.Repeat(`{"specversion":"1.0","type":"x","time":"2024-01-01T00:00:00Z","data":{}},`, n-1) + `{"specversion":"1.0","type":"x","time":"2024-01-01T00:00:00Z","data":{}}]`)
	}
	switch what {
	case "nothing":
	case "empty record":
		r = streams.Record{}
	case "plain text":
		r = streams.Record{Key: []byte("k"), Value: []byte("hello")}
	case "no headers":
		r.Headers = nil
	case "content type":
		set("content-type", "application/json")
	case "no commit id":
		set("commit_id", "")
	case "commit id with a space":
		set("commit_id", "a b")
	case "commit id of 101 bytes":
		set("commit_id", strings.Repeat("x", 101))
	case "expected revision no number":
		set("expected_revision", "latest")
	case "expected revision -3":
		set("expected_revision", "-3")
	case "no stream":
		r.Key = nil
	case "stream not UTF-8":
		r.Key = []byte("model/\xff")
	case "stream with a zero byte":
		r.Key = []byte("model/\x00")
	case "stream with the replacement character":
		r.Key = []byte("model/\uFFFD")
	case "stream of 401 bytes":
		r.Key = bytes.Repeat([]byte("x"), 401)
	case "value cut short":
		r.Value = r.Value[:len(r.Value)-1]
	case "value an object":
		r.Value = []byte(`{}`)
	case "no events":
		r.Value = []byte(`[]`)
	case "event null":
		r.Value = []byte(`[null]`)
	case "event without time":
		r.Value = []byte(`[{"specversion":"1.0","type":"x"}]`)
	case "event without data":
		r.Value = []byte(`[{"specversion":"1.0","type":"x","time":"2024-01-01T00:00:00Z"}]`)
	case "event with data null":
		r.Value = []byte(`[{"specversion":"1.0","type":"x","time":"2024-01-01T00:00:00Z","data":null}]`)
	case "1000 events":
		r.Value = many(1000)
	case "1001 events":
		set("commit_id", "other")
		r.Value = many(1001)
	case "event of a type of the future":
		set("commit_id", "future")
		r.Value = many(1)
	default:
		t.Fatalf("unknown breakage %q", what)
	}
	return r
}

// TestJudge_Limits ties the rule to what the program writes: whatever a log takes is a commit to the
// fold, at the limits too.
func TestJudge_Limits(t *testing.T) {
	if judgedStreamBytes < streams.StreamBytesMax || judgedCommitIDBytes < streams.CommitIDBytesMax || judgedEvents < streams.CommitEventsMax {
		t.Fatal("the program takes commits that the fold calls garbage: the rule needs a successor, see judge.go")
	}
	c := testCommit(strings.Repeat("~", streams.CommitIDBytesMax), strings.Repeat("é", streams.StreamBytesMax/2), streams.NoStream, streams.CommitEventsMax)
	for i := range c.Events {
		c.Events[i].Subject, c.Events[i].Data = "", &events.ModelAliasSet{Name: "als", Alias: "champion", Version: 1}
	}
	r := mustRecord(t, c, 0, 0)
	f, ok := parseFrame(&r)
	if !ok || f.id != c.ID || f.stream != c.Stream || f.expected != c.Expected || f.events != len(c.Events) {
		t.Fatalf("frame %+v, %v", f, ok)
	}
}

// TestFold_Local races random commits, some of them sent twice, some decided anew under the same id
// after a conflict, and compares what the fold accepts with what the local log accepts in the same
// order. Offsets have holes, garbage lies in between, the blocks are of any size, and some of the way the
// index is closed and opened again.
func TestFold_Local(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, seed))
			clock := int64(1_700_000_000_000)
			peer, err := local.OpenMem(local.Options{Now: func() time.Time { return time.UnixMilli(clock) }, ReserveBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			type outcome struct {
				id    string
				last  streams.Revision
				where int64
			}
			var recs []streams.Record
			var want []outcome
			heads := map[string]streams.Revision{}
			var sent []streams.Commit
			counts := [verdicts]uint64{}
			offset := int64(0)
			for step := range 400 {
				clock += rng.Int64N(4)
				offset += int64(rng.IntN(3)) / 2 // a hole now and then
				if rng.IntN(20) == 0 {
					recs = append(recs, streams.Record{Position: streams.Position{Offset: offset}, Recorded: time.UnixMilli(clock), Key: []byte("x"), Value: []byte("garbage")})
					counts[garbage]++
					offset++
					continue
				}
				stream := fmt.Sprint("s/", rng.IntN(5))
				head, ok := heads[stream]
				if !ok {
					head = streams.NoStream
				}
				c := testCommit(fmt.Sprint("c", step), stream, head-streams.Revision(rng.IntN(3)/2), 1+rng.IntN(3))
				c.Expected = max(c.Expected, streams.AnyRevision)
				if len(sent) > 0 && rng.IntN(5) == 0 {
					c = sent[rng.IntN(len(sent))] // the same again, or decided anew
					if rng.IntN(2) == 0 {
						if c.Expected, ok = heads[c.Stream]; !ok {
							c.Expected = streams.NoStream
						}
					}
				}
				sent = append(sent, c)
				recs = append(recs, mustRecord(t, c, offset, clock))
				r, err := peer.Ledger().Append(context.Background(), c)
				switch {
				case err == nil && r.Duplicate:
					counts[duplicate]++
				case err == nil:
					counts[accepted]++
					heads[c.Stream] = r.Revision
					want = append(want, outcome{c.ID, r.Revision, offset})
				case fault.Is(err, fault.Conflict):
					counts[conflict]++
				default:
					t.Fatal(err)
				}
				offset++
			}
			for v, n := range counts {
				if n == 0 {
					t.Fatalf("the run has no record with verdict %v", verdict(v))
				}
			}
			dir := t.TempDir()
			ix, err := openIndex(dir, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			cut := rng.IntN(len(recs))
			foldAll(t, ix, recs[:cut], 1+rng.IntN(20))
			if err := ix.close(); err != nil {
				t.Fatal(err)
			}
			if ix, err = openIndex(dir, t.Logf); err != nil {
				t.Fatal(err)
			}
			defer func() { ix.close() }()
			// What was judged comes again, as after a crash that lost the last cursor: it is left out.
			foldAll(t, ix, recs[max(cut-10, 0):], 1+rng.IntN(20))
			if got := ix.snapshot().Counts; got != counts {
				t.Errorf("verdicts %v; want %v", got, counts)
			}
			all := peerCommits(t, peer)
			for i, w := range want {
				e, ok, err := ix.entry(w.id)
				if err != nil || !ok || e.Last != w.last || e.Offset != w.where || e.Millis != all[i].Recorded.UnixMilli() {
					t.Fatalf("commit %s: %+v, %v, %v; want %+v", w.id, e, ok, err, w)
				}
			}
			l := &Log{index: ix, ledger: &partition{TP: streams.TP{Topic: events.LedgerTopic}}, ops: gate.New()}
			l.head.Raise(ix.snapshot().Head)
			n := 0
			for c, err := range l.Ledger().Read(context.Background(), 0) {
				if err != nil {
					t.Fatal(err)
				}
				p := all[n]
				if c.ID != p.ID || c.Stream != p.Stream || c.Revision != p.Revision || !c.Recorded.Equal(p.Recorded) || len(c.Events) != len(p.Events) || c.Position.Offset != want[n].where {
					t.Fatalf("commit %d is %s %s %d; the local log has %s %s %d", n, c.ID, c.Stream, c.Revision, p.ID, p.Stream, p.Revision)
				}
				n++
			}
			if n != len(all) {
				t.Fatalf("%d commits; the local log has %d", n, len(all))
			}
			for stream, head := range heads {
				next := streams.Revision(0)
				for c, err := range l.Ledger().ReadStream(context.Background(), stream, 0) {
					if err != nil || c.Revision != next {
						t.Fatalf("%s: revision %d, %v; want %d", stream, c.Revision, err, next)
					}
					next += streams.Revision(len(c.Events))
				}
				if next-1 != head {
					t.Fatalf("%s ends at %d; want %d", stream, next-1, head)
				}
			}
		})
	}
}

func peerCommits(t *testing.T, l streams.Log) (all []*streams.Committed) {
	t.Helper()
	for c, err := range l.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestFold_TimeStepsBack: brokers' clocks differ; the ledger's recorded time does not step back.
func TestFold_TimeStepsBack(t *testing.T) {
	ix := memIndex(t)
	recs := []streams.Record{
		mustRecord(t, testCommit("a", "s", streams.AnyRevision, 1), 0, 5000),
		mustRecord(t, testCommit("b", "s", streams.AnyRevision, 1), 1, 4000),
		mustRecord(t, testCommit("c", "s", streams.AnyRevision, 1), 2, 6000),
	}
	foldAll(t, ix, recs, 1)
	for id, want := range map[string]int64{"a": 5000, "b": 5000, "c": 6000} {
		if e, _, err := ix.entry(id); err != nil || e.Millis != want {
			t.Errorf("%s was recorded at %d, %v; want %d", id, e.Millis, err, want)
		}
	}
}

// TestIndex_Adopt: an index goes with one topic of one cluster.
// TestFold_Foreign: what another program has written is read as it was judged, by its frame, also with more headers
// than this program takes, and with events that it does not know.
func TestFold_Foreign(t *testing.T) {
	l := &Log{index: memIndex(t), ledger: &partition{TP: streams.TP{Topic: "mlops-events"}, ledger: true}}
	const event = `{"specversion":"1.0","id":"x","source":"/other","type":"%s","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":%s}`
	alias := `{"name":"als","alias":"champion","version":1}`
	for i, c := range []struct{ value, unread string }{
		{"[" + fmt.Sprintf(event, "model.alias_set", alias) + "]", ""},
		{"[" + fmt.Sprintf(event, "trial.begun", "{}") + "]", "trial.begun"},
		{"[" + fmt.Sprintf(event, "model.alias_set", "[1,2,3]") + "]", "model.alias_set"},
		{"[" + fmt.Sprintf(event, "model.alias_set", alias) + "," + fmt.Sprintf(event, "trial.ended", "7") + "]", "trial.ended"},
		{`[{"specversion":"1.0","type":"trial.begun","time":"2024-02-29T12:00:00Z","subject":[],"data":7}]`, "trial.begun"},
	} {
		r := mustRecord(t, testCommit(fmt.Sprint("c", i), fmt.Sprint("model/", i), streams.NoStream, 1), int64(i), 1)
		r.Value = []byte(c.value)
		for n := range streams.HeadersMax {
			r.Headers = append(r.Headers, streams.Header{Key: fmt.Sprint("trace-", n), Value: []byte("x")})
		}
		foldAll(t, l.index, []streams.Record{r}, 1)
		got, err := l.commitAt(int64(i))
		if err != nil {
			t.Fatal(err)
		}
		err = got.Unreadable()
		if got.ID != fmt.Sprint("c", i) || (err != nil) != (c.unread != "") || err != nil && !strings.Contains(err.Error(), c.unread) {
			t.Errorf("%s is read as %+v, %v", c.value, got, err)
		}
	}
}

func TestIndex_Adopt(t *testing.T) {
	ix := memIndex(t)
	if err := ix.adopt("c1", "p.mlops-events", "t1"); err != nil {
		t.Fatal(err)
	}
	foldAll(t, ix, []streams.Record{mustRecord(t, testCommit("a", "s", streams.AnyRevision, 1), 0, 1)}, 1)
	if err := ix.adopt("c1", "p.mlops-events", "t1"); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := ix.adopt("", "p.mlops-events", ""); err != nil {
		t.Errorf("a cluster that does not say who it is: %v", err)
	}
	for name, id := range map[string][3]string{"other cluster": {"c2", "p.mlops-events", "t1"}, "other topic": {"c1", "mlops-events", "t2"}, "made anew": {"c1", "p.mlops-events", "t2"}} {
		err := ix.adopt(id[0], id[1], id[2])
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "delete") {
			t.Errorf("%s: %v; want a refusal that says what to do", name, err)
		}
	}
}

// TestFoldWritten: what a node folds of its own writes, from the brokers' acknowledgement alone, is what
// it would fold of a fetch; and it folds only what follows what it has.
func TestFoldWritten(t *testing.T) {
	const millis = 1_700_000_000_000
	commits := []streams.Commit{
		testCommit("a", "model/als", streams.NoStream, 2),
		testCommit("b", "model/als", streams.NoStream, 1), // a conflict
		testCommit("a", "model/als", streams.NoStream, 2), // a duplicate
		testCommit("c", "run/1", streams.AnyRevision, 1),
		testCommit("d", "model/als", 1, 3),
	}
	fetched := memIndex(t)
	var want []streams.Record
	var batch []*request
	for i, c := range commits {
		r := mustRecord(t, c, int64(i), millis)
		want = append(want, r)
		var k chunk
		k.add(&r, streams.TailSize(&r))
		req := k.request(t.Context(), time.Time{})
		req.offset, req.at = int64(i), r.Recorded
		batch = append(batch, req)
	}
	foldAll(t, fetched, want, len(want))
	l := &Log{index: memIndex(t), ledger: &partition{TP: streams.TP{Topic: "mlops-events"}, ledger: true}}
	l.foldWritten(batch[2:])
	if s := l.index.snapshot(); s.Cursor != 0 || l.judged.Load() != 0 {
		t.Fatalf("records were folded whose past is not known: %+v", s)
	}
	l.foldWritten(batch[:2])
	l.foldWritten(batch[:2])
	l.foldWritten(batch[2:])
	if got, want := l.index.snapshot(), fetched.snapshot(); got != want {
		t.Fatalf("the state is\n%+v, of a fetch\n%+v", got, want)
	}
	if l.judged.Load() != 5 || l.head.Load() != 5 {
		t.Errorf("judged %d, head %d; want 5 and 5", l.judged.Load(), l.head.Load())
	}
	if got, want := dump(t, l.index), dump(t, fetched); !slices.Equal(got, want) {
		t.Errorf("the index holds\n%q, of a fetch\n%q", got, want)
	}
	// The fetch that was under way brings the same records, and changes nothing.
	if err := l.judge(sequence(want), 5); err != nil {
		t.Fatal(err)
	}
	if got, want := l.index.snapshot(), fetched.snapshot(); got != want {
		t.Errorf("after a fetch of the same the state is\n%+v, not\n%+v", got, want)
	}
}

// dump is every pair of an index.
func dump(t *testing.T, ix *index) (pairs []string) {
	t.Helper()
	iter, err := ix.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		v, err := iter.ValueAndErr()
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, fmt.Sprintf("%x=%x", iter.Key(), v))
	}
	return pairs
}

// TestFoldWritten_Fetched: on a real cluster, a node's index of its own appends equals the one that another
// node folds of what it fetches.
func TestFoldWritten_Fetched(t *testing.T) {
	opts := testOptions(t)
	l := mustOpen(t, opts)
	for i := range 50 {
		if _, err := l.Ledger().Append(newContext(t), testCommit("c"+strconv.Itoa(i), "run/"+strconv.Itoa(i%7), streams.AnyRevision, 1+i%3)); err != nil {
			t.Fatal(err)
		}
	}
	opts.Dir = t.TempDir()
	other := mustOpen(t, opts)
	if got, want := l.index.snapshot(), other.index.snapshot(); got != want {
		t.Errorf("the state is\n%+v, of a fetch\n%+v", got, want)
	}
	if got, want := dump(t, l.index), dump(t, other.index); !slices.Equal(got, want) {
		t.Error("the index holds other pairs than that of a fetch")
	}
}
