package door

import (
	"container/list"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams/local"
)

// The coordinator of consumer groups, as in Kafka's classic protocol. Members and generations are in
// memory: after a restart clients join anew and find their offsets, which are in the log.
//
//	          first join            all joined, or time is up        the leader has synced
//	empty ───────────────► joining ─────────────────────────► syncing ────────────────► stable
//	  ▲                    ▲  │ nobody is left                   │  a member joins,        │
//	  │                    │  └──────────► empty                 │  leaves or dies         │
//	  └────────────────────┴─────────────────────────────────────┴─────────────────────────┘
type groupState int

const (
	empty   groupState = iota
	joining            // members are asked to join again
	syncing            // the leader is to assign
	stable
)

// String is Kafka's name of the state.
func (s groupState) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

const consumerProtocol = "consumer"

type coordinator struct {
	d *Door

	mu      sync.Mutex
	groups  map[string]*group
	members int
	idle    idlers
	leaving map[string]chan struct{} // groups whose offsets are being deleted; closed when they are
}

type group struct {
	name         string
	state        groupState
	protocolType string
	protocol     string
	generation   int32
	leader       string
	members      map[string]*member
	static       map[string]*member   // those with a group.instance.id, by it
	promised     map[string]time.Time // member ids given out and not used yet, and until when they may
	rebalanceEnd time.Time            // when a rebalance goes on without who has not joined
	notBefore    time.Time            // it does not go on before
	stored       bool                 // it has offsets in the log, or a commit of some is under way

	// See group_expiry.go.
	used    time.Time
	commits int // under way
	queue   *list.List
	place   *list.Element
	buried  chan struct{} // of one that is leaving
}

type member struct {
	id         string
	instance   *string // of a static member, see group_static.go
	client     string
	host       string
	session    time.Duration
	rebalance  time.Duration
	protocols  []kmsg.JoinGroupRequestProtocol
	assignment []byte
	deadline   time.Time // of its session; does not run while it waits
	joined     chan *kmsg.JoinGroupResponse
	synced     chan *kmsg.SyncGroupResponse
}

func newCoordinator(d *Door) (*coordinator, error) {
	k := &coordinator{d: d, groups: map[string]*group{}, leaving: map[string]chan struct{}{}}
	return k, k.load()
}

func newGroup(name string) *group {
	// A group that is known from its offsets has to be one of consumers for the admin clients to see it.
	return &group{name: name, protocolType: consumerProtocol, members: map[string]*member{}, static: map[string]*member{}, promised: map[string]time.Time{}}
}

// advance ends a rebalance when all have joined, or its time is up. Static members who have not joined by
// then stay until their sessions end.
func (k *coordinator) advance(g *group, now time.Time) {
	if g.state != joining {
		return
	}
	all := true
	for _, m := range g.members {
		all = all && m.joined != nil
	}
	if now.Before(g.notBefore) || !all && now.Before(g.rebalanceEnd) {
		return
	}
	for _, m := range g.members {
		if m.joined == nil && m.instance == nil {
			k.drop(g, m)
		}
	}
	if len(g.members) == 0 {
		g.state, g.leader, g.protocol = empty, "", ""
		return
	}
	if !g.elect() { // all who are left are static and away
		g.rebalanceEnd = now.Add(g.longestRebalance())
		return
	}
	g.generation++
	g.state = syncing
	g.protocol = g.vote()
	for _, m := range g.members {
		m.assignment = nil
		m.deadline = now.Add(m.session)
		if m.joined == nil {
			continue
		}
		m.joined <- g.joinAnswer(m)
		m.joined = nil
	}
}

// elect keeps the leader if it has joined, and else takes the first who has; false when nobody has.
func (g *group) elect() bool {
	if m := g.members[g.leader]; m != nil && m.joined != nil {
		return true
	}
	for _, id := range g.ids() {
		if g.members[id].joined != nil {
			g.leader = id
			return true
		}
	}
	return false
}

func (g *group) ids() []string {
	ids := make([]string, 0, len(g.members))
	for id := range g.members {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// restart asks all members to join again.
func (k *coordinator) restart(g *group, now time.Time) {
	if g.state == joining {
		return
	}
	if g.state == empty {
		g.notBefore = now.Add(rebalanceDelay)
	}
	g.state = joining
	for _, m := range g.members {
		if m.synced != nil {
			m.finishSync(codeRebalanceInProgress, nil)
		}
		m.deadline = now.Add(m.session)
	}
	g.rebalanceEnd = now.Add(g.longestRebalance())
}

func (g *group) longestRebalance() time.Duration {
	longest := time.Duration(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalance)
	}
	return longest
}

// drop takes a member out, and answers what it waits for.
func (k *coordinator) drop(g *group, m *member) {
	if g.members[m.id] != m {
		return
	}
	delete(g.members, m.id)
	if m.instance != nil {
		delete(g.static, *m.instance)
	}
	k.members--
	k.rest(g)
	if m.joined != nil {
		m.finishJoin(codeUnknownMember)
	}
	if m.synced != nil {
		m.finishSync(codeUnknownMember, nil)
	}
}

// remove takes a member out, and has the others share what it had.
func (k *coordinator) remove(g *group, m *member) {
	if g.members[m.id] != m {
		return
	}
	k.drop(g, m)
	now := time.Now()
	k.restart(g, now)
	if len(g.members) == 0 {
		g.notBefore = time.Time{}
	}
	k.advance(g, now)
}

func validGroup(name string) bool {
	if name == "" || len(name) > local.GroupBytesMax || !utf8.ValidString(name) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
