package door

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams/local"
)

// killDirEnv makes the test binary a server on the log in that folder, until it is killed.
const killDirEnv = "DOOR_TEST_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		serveUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dir string) {
	l, err := local.Open(dir, local.Options{ReserveBytes: -1})
	if err == nil {
		var d *Door
		if d, err = Listen(Config{Log: l, Address: "127.0.0.1:0"}); err == nil {
			fmt.Println(d.Addr())
			select {}
		}
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

// killed is one writer's view: an idempotent producer that sends what was not answered again.
type killed struct {
	id       int64
	sequence int32 // of the batch to send next
	acked    int64 // records
	offset   int64 // the group's last acknowledged
}

// TestKill kills the process at random moments while idempotent producers write and groups commit.
// Nothing acknowledged is lost, nothing is doubled or out of order, and offsets do not fall back.
func TestKill(t *testing.T) {
	const writers, lives = 3, 6
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	states := make([]killed, writers)
	for i := range states {
		states[i].id = -1
	}
	for range lives {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killDirEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		addr := strings.TrimSpace(line)
		if err != nil || strings.HasPrefix(addr, "failed") {
			t.Fatal(line, err)
		}
		var work sync.WaitGroup
		for w := range states {
			work.Go(func() { states[w].run(t, addr, w) })
		}
		time.Sleep(time.Duration(50+rng.IntN(150)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		work.Wait()
	}
	l, err := local.Open(dir, local.Options{ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := mustListen(t, Config{Log: l})
	check(t, d.Addr().String(), states)
	for w, s := range states {
		t.Logf("writer %d: %d records and offset %d acknowledged", w, s.acked, s.offset)
	}
}

// run produces and commits until the connection breaks. Record n of a writer has the value n; a batch
// that was not answered is sent again in the next life with the same sequence.
func (s *killed) run(t *testing.T, addr string, w int) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer nc.Close()
	p := &peer{t: t, nc: nc, br: bufio.NewReader(nc)}
	ask := func(req kmsg.Request) kmsg.Response {
		b := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
		if _, err := nc.Write(b); err != nil {
			return nil
		}
		_, body, err := p.frame()
		if err != nil {
			return nil
		}
		resp := req.ResponseKind()
		resp.SetVersion(req.GetVersion())
		if err := resp.ReadFrom(body); err != nil {
			t.Error(err)
			return nil
		}
		return resp
	}
	if s.id < 0 {
		resp, ok := ask(kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse)
		if !ok {
			return
		}
		s.id = resp.ProducerID
	}
	for {
		const n = 3
		b := newBatch(rec("k", fmt.Sprint(s.sequence)), rec("k", fmt.Sprint(s.sequence+1)), rec("k", fmt.Sprint(s.sequence+2)))
		resp, ok := ask(produceRequest(testTopic, int32(w), b.producer(s.id, 0, s.sequence).bytes())).(*kmsg.ProduceResponse)
		if !ok {
			return
		}
		if part := resp.Topics[0].Partitions[0]; part.ErrorCode != 0 || part.BaseOffset != int64(s.sequence) {
			t.Errorf("writer %d sequence %d: code %d offset %d", w, s.sequence, part.ErrorCode, part.BaseOffset)
			return
		}
		s.sequence += n
		s.acked += n
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Version, commit.Group, commit.Generation = 7, fmt.Sprint("g", w), -1
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = testTopic
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = int32(w), s.acked
		rt.Partitions = append(rt.Partitions, rp)
		commit.Topics = append(commit.Topics, rt)
		if _, ok := ask(commit).(*kmsg.OffsetCommitResponse); !ok {
			return
		}
		s.offset = s.acked
	}
}

// check reads everything.
func check(t *testing.T, addr string, states []killed) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(5 * time.Minute))
	p := &peer{t: t, nc: nc, br: bufio.NewReader(nc)}
	for w := range states {
		next := int64(0)
		for {
			resp := p.fetch(fetchRequest(testTopic, int32(w), next))
			recs := records(t, resp.RecordBatches)
			if len(recs) == 0 {
				break
			}
			for _, r := range recs {
				if r.Offset != next || string(r.Value) != fmt.Sprint(next) {
					t.Fatalf("partition %d offset %d holds record %s; want %d", w, r.Offset, r.Value, next)
				}
				next++
			}
			if next >= resp.HighWatermark {
				break
			}
		}
		if next < states[w].acked {
			t.Errorf("writer %d: %d records are left of %d acknowledged", w, next, states[w].acked)
		}
		if got := p.committed(fmt.Sprint("g", w), testTopic, int32(w)); got < states[w].offset {
			t.Errorf("group g%d is at %d; %d was acknowledged", w, got, states[w].offset)
		}
	}
}
