// Command peers runs other people's software for the bench, so that none of it is among what the project
// itself depends on: it is a module of its own. It reads one request a line from its standard input and
// writes one answer a line, both JSON, until the input ends.
//
//	peers sarama BROKERS    a bare sarama client
//	peers kgo BROKERS CODEC franz-go's client; CODEC is none or default
//	peers goka BROKERS      goka
package main

import (
	"bufio"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// record is one of those that the bench has written to a file, with the partition that its key hashes to.
type record struct {
	Partition  int32
	Key, Value []byte
	Headers    []header
}

type header struct{ Key, Value []byte }

// request is what the bench asks for; each call uses some of it.
type request struct {
	Do    string
	Path  string // load: the file of records
	Topic string
	First int     // append: the first record
	Count int     // append: how many, one after the other; produce: how many, from the first on again and again
	Ends  []int64 // consume, fold: where each partition ends
	Group string  // fold: the processor group
	Dir   string  // fold: where its state goes
}

// answer is what came of it. Times are in seconds.
type answer struct {
	Version string    `json:"version,omitempty"`
	Took    []float64 `json:"took,omitempty"` // append: each; else one
	Records int64     `json:"records,omitempty"`
	Keys    int64     `json:"keys,omitempty"` // fold: with a count
	Sum     int64     `json:"sum,omitempty"`  // fold: of the counts
	Error   string    `json:"error,omitempty"`
}

// peer is what a piece of software can be asked for.
type peer struct {
	module string
	calls  map[string]func(*request) (answer, error)
}

func main() {
	if len(os.Args) < 3 {
		fail("want a peer and brokers")
	}
	brokers := strings.Split(os.Args[2], ",")
	var p peer
	var err error
	switch os.Args[1] {
	case "sarama":
		p, err = newSarama(brokers)
	case "kgo":
		p, err = newKgo(brokers, os.Args[3:])
	case "goka":
		p = newGoka(brokers)
	default:
		fail("no peer is named %q", os.Args[1])
	}
	if err != nil {
		fail("%v", err)
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var a answer
		var r request
		err := json.Unmarshal(in.Bytes(), &r)
		if err == nil {
			a, err = p.do(&r)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
			fail("%v", err)
		}
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func (p *peer) do(r *request) (answer, error) {
	if r.Do == "version" {
		return answer{Version: version(p.module)}, nil
	}
	call, ok := p.calls[r.Do]
	if !ok {
		return answer{}, fmt.Errorf("it cannot %q", r.Do)
	}
	runtime.GC() // what the last call has left is not this one's to collect
	return call(r)
}

// version is that of a module this was built with.
func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == module {
				return d.Version
			}
		}
	}
	return "of unknown version"
}

func load(path string) ([]record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var recs []record
	return recs, gob.NewDecoder(bufio.NewReaderSize(f, 1<<20)).Decode(&recs)
}
