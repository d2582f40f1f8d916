package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

var hash = regexp.MustCompile(`"([0-9a-f]{64})"`)

// names are the blobs that the ledger names, as far as it was read: the next sweep goes on from there, that of another
// process too.
type names struct {
	mu   sync.Mutex
	next int64                      // offset of the first commit not read
	last commitMark                 // the last that was
	ever map[string]int             // how often, by events that last
	held map[string]map[string]bool // by a lease, by its workflow run: until that ends

	released []string // held by runs that have ended since
	dropped  []string // by what was deleted or purged: released at the sweep after, for the same content may be on its way
}

// commitMark tells a commit from others that may stand at its offset.
type commitMark struct {
	Offset int64  `json:"offset"`
	Sum    string `json:"sum"`
}

func markOf(com *streams.Committed) commitMark {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64([]byte(com.ID), uint64(com.Recorded.UnixMilli())))
	for i := range com.Events {
		h.Write(com.Events[i].Raw)
	}
	return commitMark{com.Position.Offset, hex.EncodeToString(h.Sum(nil))}
}

// read takes in what the ledger has since.
func (n *names) read(ctx context.Context, ledger streams.Ledger) error {
	var last *streams.Committed
	defer func() {
		if last != nil {
			n.last = markOf(last)
		}
	}()
	files := map[string]*namedFiles{} // of streams that let go of some: each is read once
	for com, err := range ledger.Read(ctx, n.next) {
		if com == nil { // else what it names is kept, whether this program can read it or not
			return err
		}
		for i := range com.Events {
			if err := n.take(ctx, ledger, com, i, files); err != nil {
				return err
			}
		}
		n.next, last = com.Position.Offset+1, com
	}
	return nil
}

// take takes in an event of a commit.
func (n *names) take(ctx context.Context, ledger streams.Ledger, com *streams.Committed, i int, files map[string]*namedFiles) error {
	switch e := com.Events[i].Data.(type) {
	case *events.TaskLeaseRenewed:
		if n.held[e.RunID] == nil {
			n.held[e.RunID] = map[string]bool{}
		}
		for _, name := range hashesIn(&com.Events[i]) {
			n.held[e.RunID][name] = true
		}
		return nil
	case *events.WorkflowRunEnded:
		n.release(e.RunID)
	case *events.RunArtifactDeleted, *events.RunPurged, *events.LoggedModelArtifactDeleted, *events.LoggedModelPurged, *events.ArtifactDeleted:
		of := files[com.Stream]
		if of == nil {
			of = &namedFiles{}
			files[com.Stream] = of
		}
		let, err := of.upTo(ctx, ledger, com.Stream, com.Revision+streams.Revision(i))
		if err != nil {
			return err
		}
		for name := range let.names() {
			if n.ever[name]--; n.ever[name] <= 0 {
				delete(n.ever, name)
			}
			n.dropped = append(n.dropped, name)
		}
		return nil
	}
	for _, name := range hashesIn(&com.Events[i]) {
		n.ever[name]++
	}
	return nil
}

func hashesIn(e *events.Event) (all []string) {
	for _, m := range hash.FindAllSubmatch(e.Raw, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// release lets go of what the leases of a run have named.
func (n *names) release(run string) {
	n.released = slices.AppendSeq(n.released, maps.Keys(n.held[run]))
	delete(n.held, run)
}

// names says whether a blob has a name.
func (n *names) names(hash string) bool {
	if n.ever[hash] > 0 {
		return true
	}
	for _, held := range n.held {
		if held[hash] {
			return true
		}
	}
	return false
}

// keptNames is a file of names. Before it stands the SHA-256 of it, in a line.
type keptNames struct {
	Format int                 `json:"format"` // keptFormat: another one whenever names are found in another way
	Last   commitMark          `json:"last"`
	Ever   map[string]int      `json:"ever"` // how often
	Held   map[string][]string `json:"held"`

	Dropped []string `json:"dropped,omitempty"`
}

const keptFormat = 3

// save writes them to a file.
func (n *names) save(path string) error {
	k := keptNames{keptFormat, n.last, n.ever, map[string][]string{}, slices.Concat(n.released, n.dropped)}
	for run, held := range n.held {
		k.Held[run] = slices.Sorted(maps.Keys(held))
	}
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return writeFile(path, append([]byte(sumOf(b)+"\n"), b...))
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// load begins with what a file has, if it is whole and of this ledger; else with nothing.
func (n *names) load(ctx context.Context, path string, ledger streams.Ledger) error {
	n.ever, n.held = map[string]int{}, map[string]map[string]bool{}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil // nothing is kept, or it cannot be read: the ledger can
	}
	sum, rest, _ := bytes.Cut(b, []byte("\n"))
	var k keptNames
	if sumOf(rest) != string(sum) || json.Unmarshal(rest, &k) != nil || k.Format != keptFormat {
		return nil
	}
	same := false
	for com, err := range ledger.Read(ctx, k.Last.Offset) {
		if com == nil {
			return err
		}
		same = markOf(com) == k.Last
		break
	}
	if !same {
		return nil
	}
	n.next, n.last, n.dropped = k.Last.Offset+1, k.Last, k.Dropped
	if k.Ever != nil {
		n.ever = k.Ever
	}
	for run, held := range k.Held {
		n.held[run] = map[string]bool{}
		for _, name := range held {
			n.held[run][name] = true
		}
	}
	return nil
}
