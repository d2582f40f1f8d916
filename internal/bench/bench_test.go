package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func TestFigureCells(t *testing.T) {
	runs := []float64{5e-6, 1e-6, 3e-6, 2e-6, 4e-6}
	for _, c := range []struct {
		name string
		f    figure
		want []string
	}{
		{"median, least and most", figure{name: "a", ours: runs}, []string{"a", "3.00 µs (1.00 µs–5.00 µs)", "–", "–", "–", "–"}},
		{"ratio met", figure{ours: runs, peer: []float64{2e-6}, peerName: "p", aim: ratioAtMost(1.5)},
			[]string{"", "3.00 µs (1.00 µs–5.00 µs)", "p: 2.00 µs", "1.50", "ratio ≤ 1.5", "yes"}},
		{"ratio missed", figure{ours: []float64{2}, peer: []float64{4}, peerName: "p", unit: perSecond, aim: ratioAtLeast(.7)},
			[]string{"", "2/s", "p: 4/s", "0.50", "ratio ≥ 0.7", "no"}},
		{"value met", figure{ours: []float64{500_000}, unit: perSecond, aim: atLeast(500_000)}, []string{"", "500,000/s", "–", "–", "≥ 500,000/s", "yes"}},
		{"value missed", figure{ours: []float64{.0051}, aim: atMost(.005)}, []string{"", "5.10 ms", "–", "–", "≤ 5.00 ms", "no"}},
		{"not measured", figure{name: "n", missing: "SKIPPED: a\nb", aim: ratioAtMost(1)}, []string{"n", "SKIPPED: a", "–", "–", "ratio ≤ 1", "–"}},
	} {
		if got := c.f.cells(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		u    unit
		v    float64
		want string
	}{
		{seconds, 5e-9, "5 ns"}, {seconds, 12.34e-6, "12.3 µs"}, {seconds, .1234, "123 ms"}, {seconds, 65.4, "65.4 s"},
		{perSecond, 1234567.4, "1,234,567/s"}, {mebibytes, 3 << 19, "1.5 MiB"}, {share, .04567, "0.0457"},
	} {
		if got := c.u.format(c.v); got != c.want {
			t.Errorf("%v: %q, want %q", c.v, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var v []float64
	for i := 100; i >= 1; i-- {
		v = append(v, float64(i))
	}
	if p50, p99 := quantile(.5, v), quantile(.99, v); p50 != 50 || p99 != 99 {
		t.Errorf("of 1 to 100: p50 %v, p99 %v", p50, p99)
	}
	if v[0] != 100 || !math.IsNaN(median(nil)) {
		t.Error("the values were sorted in place, or nothing has a median")
	}
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	printTable(&out, []figure{{name: "a|b", ours: []float64{1}}}, true)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || lines[2] != `| a\|b | 1.00 s | – | – | – | – |` {
		t.Errorf("%q", lines)
	}
}

func TestFeatureDefinitions(t *testing.T) {
	defs, err := features.Parse([]byte(featureDefinitions()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wide_user", "wide_movie"} {
		if n := len(defs.View(name).Features); n != featureCount {
			t.Errorf("%s has %d features", name, n)
		}
	}
}

func TestMatrixFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "matrix")
	d := &ml.Dataset{Users: numbered(3), Items: numbered(4), Samples: []ml.Sample{
		{User: 2, Item: 3, Weight: 1}, {User: 0, Item: 1, Weight: 1}, {User: 2, Item: 0, Weight: 1}, {User: 2, Item: 3, Weight: 1}, {User: 1, Item: 2},
	}}
	if err := writeMatrix(path, d); err != nil {
		t.Fatal(err)
	}
	got, err := readMatrix(path)
	if err != nil {
		t.Fatal(err)
	}
	var pairs [][2]int32
	for _, s := range got.Samples {
		pairs = append(pairs, [2]int32{s.User, s.Item})
	}
	if want := [][2]int32{{0, 1}, {2, 0}, {2, 3}}; !reflect.DeepEqual(pairs, want) || len(got.Users) != 3 || len(got.Items) != 4 {
		t.Errorf("%v of %d × %d, want %v of 3 × 4", pairs, len(got.Users), len(got.Items), want)
	}
}

// TestQuick runs what needs no server and no peer.
func TestQuick(t *testing.T) {
	var out, progress bytes.Buffer
	if status := run([]string{"-quick", "-dir", t.TempDir(), "-only", "append|topk"}, &out, &progress); status != 0 {
		t.Fatalf("status %d\n%s", status, progress.String())
	}
	for _, want := range []string{"machine: ", "QUICK", "durable append of one fact", "exact top 10"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if status := run([]string{"-only", "nothing like this", "-dir", t.TempDir()}, &out, &progress); status != 2 {
		t.Errorf("status %d for groups that do not exist", status)
	}
}

// TestSkipped: what cannot be had is reported, and is no failure.
func TestSkipped(t *testing.T) {
	kept := groups
	defer func() { groups = kept }()
	groups = append(groups[:0:0], groups[0])
	groups[0].name, groups[0].what = "absent", "a peer that is not there"
	groups[0].measure = func(*bench) error { return fmt.Errorf("starting it: %w", skipped{"no such peer"}) }
	var out, progress bytes.Buffer
	if status := run([]string{"-quick", "-dir", t.TempDir(), "-only", "absent"}, &out, &progress); status != 0 {
		t.Errorf("status %d\n%s", status, progress.String())
	}
	if !strings.Contains(out.String(), "SKIPPED: no such peer") || !strings.Contains(progress.String(), "SKIPPED, NOT COMPARED: no such peer") {
		t.Errorf("it is not told:\n%s\n%s", out.String(), progress.String())
	}
}

func TestFreePorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	for _, from := range []int{taken, taken - 1} {
		got, err := freePorts(from)
		if err != nil {
			t.Fatal(err)
		}
		if got == taken || got+1 == taken {
			t.Errorf("from %d on, port %d is free with the next; %d is taken", from, got, taken)
		}
	}
}

// TestPeerRecords: what is written for the peers is what they read, whose program is a module of its own.
func TestPeerRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records")
	recs := []streams.Record{
		{Key: []byte("user"), Value: []byte("v"), Headers: []streams.Header{{Key: "h", Value: []byte("1")}}},
		{Value: []byte("w")},
	}
	if err := writeRecords(path, recs, 3); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []peerRecord
	if err := gob.NewDecoder(f).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := []peerRecord{
		{Partition: streams.PartitionOf([]byte("user"), 3), Key: []byte("user"), Value: []byte("v"), Headers: []peerHeader{{[]byte("h"), []byte("1")}}},
		{Partition: streams.PartitionOf(nil, 3), Value: []byte("w")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPlainFacts(t *testing.T) {
	facts := plainFacts(20_000)
	seen := map[string]bool{}
	for i := range facts {
		if err := validFact(events.UserEventsTopic, &facts[i]); err != nil {
			t.Fatalf("%s: %v", facts[i].Value, err)
		}
		if len(facts[i].Value) != plainBytes {
			t.Fatalf("%d bytes; want %d: %s", len(facts[i].Value), plainBytes, facts[i].Value)
		}
		seen[string(facts[i].Value)] = true
	}
	if len(seen) != len(facts) {
		t.Errorf("%d of %d differ", len(seen), len(facts))
	}
}

// TestUserCounts: the view that is measured beside goka counts, whatever the chunks, and its counts are in
// the store.
func TestUserCounts(t *testing.T) {
	b := &bench{ctx: t.Context(), dir: t.TempDir()}
	l, _, err := b.openLog("counts")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const n = 20_000
	facts, err := worldFacts(n)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range facts {
		want[facts[i].UserID] = true
	}
	var w writer
	if err := w.publish(b.ctx, l, facts, 0); err != nil {
		t.Fatal(err)
	}
	cut, err := fold.HeadCut(b.ctx, l, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	users, _, err := b.countUsers(l, cut, n)
	if err != nil {
		t.Fatal(err)
	}
	if users != int64(len(want)) {
		t.Errorf("%d users; want %d", users, len(want))
	}
}
