package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
)

// skipped is why a group cannot be measured here.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

// cluster is Apache Kafka on this machine, and the software that is measured on it.
type cluster struct {
	address string
	script  string // deploy/kafka/cluster.sh
	dir     string
	peers   string // the built program of the folder peers
}

const (
	// clusterPort is the first port that is tried for the cluster, which takes two.
	clusterPort = 27300
	// clusterHeap is twice what the script gives for tests.
	clusterHeap = "1g"
	// exitUnavailable is the script's status where Kafka cannot be had.
	exitUnavailable = 77
)

// kafka starts Apache Kafka, one broker in KRaft mode, where it does not run yet.
func (b *bench) kafka() (*cluster, error) {
	if b.cluster.address != "" {
		return &b.cluster, nil
	}
	root, err := b.output("", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/projectionist/projectionist")
	if err != nil {
		return nil, skipped{"the module's folder is not known: " + err.Error()}
	}
	c := &b.cluster
	c.script = filepath.Join(root, "deploy", "kafka", "cluster.sh")
	if c.peers, err = b.buildPeers(filepath.Join(root, "internal", "bench", "peers")); err != nil {
		return nil, err
	}
	if c.dir, err = b.folder("kafka"); err != nil {
		return nil, err
	}
	b.say("starting Apache Kafka, which is installed where it is missing")
	port, err := freePorts(clusterPort)
	if err != nil {
		return nil, err
	}
	address, err := b.output("", c.script, "up", "--brokers", "1", "--dir", c.dir, "--base-port", strconv.Itoa(port))
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == exitUnavailable {
			return nil, skipped{"Apache Kafka cannot be had: " + err.Error()}
		}
		return nil, errors.Join(err, c.down())
	}
	c.address = address
	return c, nil
}

// freePorts is the first port from one on that is free together with the next.
func freePorts(from int) (int, error) {
	free := func(port int) bool {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return err == nil && l.Close() == nil
	}
	const tries = 50
	for port := from; port < from+2*tries; port += 2 {
		if free(port) && free(port+1) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no two ports are free from %d on", from)
}

// down ends the cluster, also where the bench was interrupted.
func (c *cluster) down() error {
	if c.dir == "" {
		return nil
	}
	out, err := exec.CommandContext(context.Background(), c.script, "down", "--purge", "--dir", c.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the Kafka cluster was not ended: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// buildPeers builds the program of the folder peers, which is a module of its own.
func (b *bench) buildPeers(dir string) (string, error) {
	b.say("building the peers")
	if _, err := b.output(dir, "go", "mod", "download"); err != nil {
		return "", skipped{"the peers' modules cannot be had: " + err.Error()}
	}
	to := filepath.Join(b.dir, "peers")
	_, err := b.output(dir, "go", "build", "-o", to, ".")
	return to, err
}

// output runs a program and gives what it prints. The error has what it complains of.
func (b *bench) output(dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Dir = dir
	// As much of the machine as what it is compared with.
	cmd.Env = append(os.Environ(), "KAFKA_NICE=0", "KAFKA_HEAP="+clusterHeap)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(program), args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// openLog opens the log on Kafka whose topics begin with a prefix.
func (c *cluster) openLog(ctx context.Context, prefix string) (*kafka.Log, error) {
	return kafka.Open(ctx, kafka.Options{Brokers: []string{c.address}, TopicPrefix: prefix, Logf: func(string, ...any) {}})
}

// makeTopics makes a log's topics, with its settings, for others to write to.
func (c *cluster) makeTopics(ctx context.Context, prefix string) error {
	l, err := c.openLog(ctx, prefix)
	if err != nil {
		return err
	}
	return l.Close()
}

// start starts one of the peers on some brokers.
func (c *cluster) start(ctx context.Context, name string, args ...string) (*peer, error) {
	return startPeer(exec.CommandContext(ctx, c.peers, append([]string{name}, args...)...), name)
}

// peerRecord is a record as the peers read it.
type peerRecord struct {
	Partition  int32
	Key, Value []byte
	Headers    []peerHeader
}

type peerHeader struct{ Key, Value []byte }

// writeRecords writes records, of a topic with so many partitions, for the peers to load.
func writeRecords(path string, recs []streams.Record, partitions int32) error {
	out := make([]peerRecord, len(recs))
	for i := range recs {
		r := &recs[i]
		out[i] = peerRecord{Partition: streams.PartitionOf(r.Key, partitions), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, peerHeader{[]byte(h.Key), h.Value})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(gob.NewEncoder(w).Encode(out), w.Flush(), f.Close())
}

// peerAnswer is what the peers on Kafka answer; times are in seconds.
type peerAnswer struct {
	Took    []float64 `json:"took"`
	Records int64     `json:"records"`
	Keys    int64     `json:"keys"`
	Sum     int64     `json:"sum"`
}

// rate asks a peer for something that takes one time, and gives the records per second.
func (p *peer) rate(request map[string]any, records int64) (float64, error) {
	var a peerAnswer
	if err := p.call(request, &a); err != nil {
		return 0, err
	}
	if a.Records != records || len(a.Took) != 1 {
		return 0, fmt.Errorf("%s had %d records in %d times; want %d in one", p.name, a.Records, len(a.Took), records)
	}
	return float64(records) / a.Took[0], nil
}
