package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Where a cluster is that the tests may fill, and the folder that cluster.sh keeps it in.
const (
	clusterVariable    = "PROJECTIONIST_TEST_KAFKA"
	clusterDirVariable = "PROJECTIONIST_TEST_KAFKA_DIR"
)

// clusterLog is the address of a log of its own on the cluster.
func clusterLog(t testing.TB) (address string, brokers int) {
	t.Helper()
	s := os.Getenv(clusterVariable)
	if s == "" {
		t.Skipf("SKIPPED: no Kafka: set %s=host:port,… (deploy/kafka/cluster.sh up starts one)", clusterVariable)
	}
	return "kafka://" + s + "?prefix=n" + strings.ToLower(rand.Text())[:10] + ".", len(strings.Split(s, ","))
}

func clusterScript(t testing.TB, args ...string) {
	t.Helper()
	dir := os.Getenv(clusterDirVariable)
	if dir == "" {
		t.Skipf("SKIPPED: no cluster whose brokers may be killed: set %s to cluster.sh's --dir", clusterDirVariable)
	}
	cmd := exec.Command("../../deploy/kafka/cluster.sh", append(args, "--dir", dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cluster.sh %v: %v\n%s", args, err, out)
	}
}

// nodes are the program in several processes on one log, some of which may be dead.
type nodes struct {
	mu   sync.Mutex
	dirs []string
	env  []string
	run  []*child // nil while dead
}

func (n *nodes) start(t testing.TB, i int, args ...string) {
	t.Helper()
	c := startWith(t, n.dirs[i], n.env, args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run[i] = c
}

func (n *nodes) kill(i int) {
	n.mu.Lock()
	c := n.run[i]
	n.run[i] = nil
	n.mu.Unlock()
	c.kill()
}

// address of node i, or of one that lives.
func (n *nodes) address(i int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.run {
		if c := n.run[(i+k)%len(n.run)]; c != nil {
			return c.address
		}
	}
	return ""
}

// promises are what the nodes have acknowledged.
type promises struct {
	mu      sync.Mutex
	facts   map[string]string // event id -> position
	models  map[string]int    // name -> how often its registration was accepted
	last    time.Time         // of an acknowledged write
	longest time.Duration     // without one
	refused int
}

// kept notes an acknowledged write.
func (p *promises) kept(note func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.last.IsZero() {
		p.longest = max(p.longest, now.Sub(p.last))
	}
	p.last = now
	note()
}

// gap is the longest time without an acknowledged write since it was asked last.
func (p *promises) gap() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := max(p.longest, time.Since(p.last))
	p.longest, p.last = 0, time.Now()
	return d.Round(10 * time.Millisecond)
}

var nodeClient = &http.Client{Timeout: 45 * time.Second}

func post(ctx context.Context, url string, body any) (status int, answer map[string]any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	req, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(b))
	if err != nil {
		return 0, nil
	}
	resp, err := nodeClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&answer) != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// TestKafkaNodes runs three nodes on a cluster, kills nodes and brokers in turn with SIGKILL while people click
// and operators command at all of them, and looks in the end for everything that was acknowledged. Of
// commands that exclude each other at most one is accepted; every training run ends once; all nodes, and
// one that starts from the log alone, have the same views to the byte. PROJECTIONIST_NODES_ROUNDS is the
// number of rounds, default 3, in each of which one node and one broker are killed.
func TestKafkaNodes(t *testing.T) {
	address, brokers := clusterLog(t)
	if brokers != 3 {
		t.Skip("this is for a cluster of three brokers")
	}
	rounds := 3
	if v := os.Getenv("PROJECTIONIST_NODES_ROUNDS"); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	clusterScript(t, "status")
	base := t.TempDir()
	n := &nodes{env: []string{"PROJECTIONIST_LOG=" + address}, run: make([]*child, 3)}
	world := []string{"--simulate", "users=80,movies=120,events=8000"}
	for i := range n.run {
		n.dirs = append(n.dirs, filepath.Join(base, fmt.Sprint("node", i+1)))
		n.start(t, i, world...)
	}
	defer func() {
		for _, c := range n.run {
			if c != nil {
				if t.Failed() {
					t.Logf("%s\n%s", c.address, c.out.String())
				}
				c.kill()
			}
		}
	}()
	for _, c := range n.run {
		c.ready(t)
	}

	p := &promises{facts: map[string]string{}, models: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var load sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				status, answer := post(ctx, n.address(w+k)+"/api/v1/feedback", map[string]any{
					"user_id": fmt.Sprintf("w%d-%d", w, k%9), "movie_id": k%120 + 1, "rating": 4.5})
				if id, _ := answer["event_id"].(string); status == 200 && id != "" {
					position, _ := answer["position"].(string)
					p.kept(func() { p.facts[id] = position })
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	load.Go(func() { // three operators register the same name at three nodes at once
		for k := 0; ctx.Err() == nil; k++ {
			name := fmt.Sprint("race-", k)
			var three sync.WaitGroup
			for i := range 3 {
				three.Go(func() {
					switch status, _ := post(ctx, n.address(i)+"/api/v1/models", map[string]any{"name": name}); status {
					case 201:
						p.kept(func() { p.models[name]++ })
					case 409:
						p.mu.Lock()
						p.refused++
						p.mu.Unlock()
					}
				})
			}
			three.Wait()
			time.Sleep(50 * time.Millisecond)
		}
	})

	trainings := 0
	train := func() {
		for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			if status, _ := post(ctx, n.address(trainings)+"/api/v1/workflows/movie_training_pipeline/runs", map[string]any{}); status/100 == 2 {
				trainings++
				return
			}
		}
		t.Error("no training run could be requested")
	}
	p.gap()
	for round := range rounds {
		i, broker := round%3, strconv.Itoa((round+1)%3+1)
		train()
		time.Sleep(time.Duration(200+300*round) * time.Millisecond) // into another part of the run each time
		n.kill(i)
		time.Sleep(3 * time.Second)
		t.Logf("round %d: node %d killed; longest time without a write %v", round+1, i+1, p.gap())
		clusterScript(t, "kill", broker)
		time.Sleep(5 * time.Second)
		t.Logf("round %d: broker %s killed as well; longest time without a write %v", round+1, broker, p.gap())
		n.start(t, i, world...)
		clusterScript(t, "start", broker)
		time.Sleep(4 * time.Second)
		t.Logf("round %d: both are back; longest time without a write %v", round+1, p.gap())
	}
	cancel()
	load.Wait()
	for _, c := range n.run {
		c.ready(t)
	}
	endedRuns := waitTrained(t, n.address(0), trainings+1) // and the one after the import
	for _, c := range n.run {
		c.stop(t)
	}
	clear(n.run)
	t.Logf("%d facts and %d registrations acknowledged, %d refused; %d training runs", len(p.facts), len(p.models), p.refused, endedRuns)
	if len(p.facts) == 0 || len(p.models) == 0 || p.refused == 0 {
		t.Fatal("nothing was ever acknowledged, or refused: the test shows nothing")
	}
	checkNodes(t, address, append(n.dirs, filepath.Join(base, "fresh")), p)
}

// waitTrained waits until all training runs have ended, and gives their number.
func waitTrained(t testing.TB, address string, least int) int {
	t.Helper()
	var state string
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		resp, err := http.Get(address + "/api/v1/workflows/runs?limit=100")
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var page struct {
			Items []struct {
				State string `json:"state"`
			} `json:"items"`
		}
		if json.Unmarshal(b, &page) != nil {
			state = string(b)
			continue
		}
		ended := 0
		for _, run := range page.Items {
			if run.State == "success" {
				ended++
			}
		}
		state = string(b)
		if ended == len(page.Items) && ended >= least {
			return ended
		}
	}
	t.Fatalf("not all of %d training runs have ended well: %s", least, state)
	return 0
}

// checkNodes opens every folder on the log, compares their views, and looks for what was promised.
func checkNodes(t *testing.T, address string, dirs []string, p *promises) {
	t.Helper()
	var first []fold.ViewReport
	for i, dir := range dirs {
		a := openNode(t, app.Options{Dir: dir, LogURL: address})
		defer a.Close()
		hashes := hashesOf(t, a)
		if i == 0 {
			first = hashes
			checkPromises(t, a, p)
			continue
		}
		compareHashes(t, filepath.Base(dir), hashes, first)
	}
	t.Logf("%d views are equal on %d nodes, one of which has read the log alone", len(first), len(dirs))
}

func openNode(t testing.TB, o app.Options) *app.App {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	a, err := app.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// foldedAll waits until all views have all that the log has.
func foldedAll(t testing.TB, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	head, err := fold.HeadCut(ctx, a.Log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for tp, next := range head {
		if next > 0 {
			if err := a.Views.Wait(ctx, streams.Position{TP: tp, Offset: next - 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// hashesOf are those of a node's views when it has folded all that the log has.
func hashesOf(t testing.TB, a *app.App) []fold.ViewReport {
	t.Helper()
	foldedAll(t, a)
	hashes, err := a.Views.Hashes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return hashes
}

func compareHashes(t testing.TB, name string, hashes, first []fold.ViewReport) {
	t.Helper()
	if len(hashes) != len(first) {
		t.Fatalf("%s has %d views, the first node %d", name, len(hashes), len(first))
	}
	for v := range hashes {
		if hashes[v].SHA256 != first[v].SHA256 || hashes[v].Cut != first[v].Cut {
			t.Errorf("%s: view %s is %s at %s; on the first node %s at %s", name, hashes[v].View,
				hashes[v].SHA256, hashes[v].Cut, first[v].SHA256, first[v].Cut)
		}
	}
}

// TestKafkaClocks has nodes whose clocks are an hour before and behind take commands and facts: each is
// answered, seen by the other at once, and recorded when the brokers say; both have the same views.
func TestKafkaClocks(t *testing.T) {
	address, _ := clusterLog(t)
	offs := []time.Duration{0, time.Hour, -time.Hour}
	var all []*app.App
	for _, off := range offs {
		a := openNode(t, app.Options{Dir: t.TempDir(), LogURL: address, Now: func() time.Time { return time.Now().Add(off) }})
		defer a.Close()
		all = append(all, a)
	}
	ctx := t.Context()
	var last time.Time
	began := time.Now().Add(-time.Minute) // the brokers' clock is this machine's
	for i := range 12 {
		a := all[i%3]
		res, err := a.Dispatcher.Dispatch(ctx, &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: strconv.Itoa(i + 1), Title: "A"}}, handlers.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		var recorded time.Time
		for c, err := range a.Log.Ledger().Read(ctx, res.Position.Offset) {
			if err != nil {
				t.Fatal(err)
			}
			recorded = c.Recorded
			break
		}
		if recorded.Before(last) || recorded.Before(began) || recorded.After(time.Now().Add(time.Minute)) {
			t.Errorf("commit %d of a clock off by %v was recorded at %v, the one before at %v", i, offs[i%3], recorded, last)
		}
		last = recorded
		fact, err := a.Dispatcher.Publish(ctx, []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: "7", MovieID: strconv.Itoa(i + 1), Kind: "like"}}}, handlers.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		other := all[(i+1)%3]
		if err := other.Views.Wait(ctx, fact.Positions[0]); err != nil {
			t.Fatal(err)
		}
		if err := other.Views.Wait(ctx, res.Position); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := fold.Of[*projections.Catalogue](other.Views).Movie(strconv.Itoa(i + 1)); err != nil || !ok {
			t.Errorf("film %d is not there on the next node: %v", i+1, err)
		}
	}
	first := hashesOf(t, all[0])
	for i, a := range all[1:] {
		compareHashes(t, fmt.Sprint("node ", i+2), hashesOf(t, a), first)
	}
}

// TestKafkaLag lets a node be away while a million facts are published. Back again it says how far it is
// behind, folds them, and has what the others have.
func TestKafkaLag(t *testing.T) {
	address, _ := clusterLog(t)
	a, dir := openNode(t, app.Options{Dir: t.TempDir(), LogURL: address}), t.TempDir()
	defer a.Close()
	b := openNode(t, app.Options{Dir: dir, LogURL: address})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const facts, batch = 1_000_000, 50_000
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := 0; n < facts; n += batch {
		list := make([]handlers.Identified, batch)
		for i := range list {
			k := n + i
			list[i] = handlers.Identified{ID: fmt.Sprint("lag-", k), Fact: &commands.RecordInteraction{Interaction: events.Interaction{
				UserID: strconv.Itoa(k % 20_000), MovieID: strconv.Itoa(k % 3001), Kind: "view", Timestamp: events.FormatTime(at.Add(time.Duration(k) * time.Second))}}}
		}
		if _, err := a.Dispatcher.PublishMany(ctx, events.UserEventsTopic, list, handlers.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	first := hashesOf(t, a)
	b = openNode(t, app.Options{Dir: dir, LogURL: address})
	defer b.Close()
	status, err := b.Views.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	for _, s := range status {
		most = max(most, s.Lag)
	}
	if most < facts/10 {
		t.Errorf("a node that is a million facts behind says %d", most)
	}
	compareHashes(t, "the node that was away", hashesOf(t, b), first)
}

func checkPromises(t *testing.T, a *app.App, p *promises) {
	t.Helper()
	checkFacts(t, a, p.facts)
	registered := map[string]int{}
	for com, err := range a.Log.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range com.Events {
			if e, ok := ev.Data.(*events.ModelRegistered); ok {
				registered[e.Name]++
			}
		}
	}
	for name, n := range p.models {
		if n != 1 || registered[name] != 1 {
			t.Errorf("model %s: %d registrations were acknowledged and %d are in the log; want 1", name, n, registered[name])
		}
	}
	checkEnds(t, a)
}

// checkFacts looks for every acknowledged fact at its position, and that none is there twice.
func checkFacts(t *testing.T, a *app.App, acknowledged map[string]string) {
	t.Helper()
	found := map[string]string{}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		for rec, err := range a.Log.Feed().Read(context.Background(), tp, 0) {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := streams.ReadFact(rec)
			if err != nil {
				t.Fatal(err)
			}
			if was, twice := found[ev.ID]; twice {
				t.Errorf("event %s stands at %s and at %s", ev.ID, was, rec.Position)
			}
			found[ev.ID] = rec.Position.String()
		}
	}
	for id, position := range acknowledged {
		if found[id] != position {
			t.Errorf("event %s was acknowledged at %q and stands at %q", id, position, found[id])
		}
	}
}

// checkEnds looks that runs have ended, and every task and run once.
func checkEnds(t *testing.T, a *app.App) {
	t.Helper()
	ended, runs := map[string]int{}, map[string]int{}
	for com, err := range a.Log.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range com.Events {
			switch e := ev.Data.(type) {
			case *events.TaskSucceeded:
				ended[e.RunID+" "+e.Task]++
			case *events.WorkflowRunEnded:
				runs[e.RunID]++
			}
		}
	}
	if len(runs) == 0 {
		t.Error("no training run has ended")
	}
	for task, n := range ended {
		if n != 1 {
			t.Errorf("task %s succeeded %d times", task, n)
		}
	}
	for run, n := range runs {
		if n != 1 {
			t.Errorf("run %s ended %d times", run, n)
		}
	}
}
