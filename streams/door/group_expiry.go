package door

import (
	"container/list"
	"sort"
	"time"
)

// How long a group is remembered, and with it the offsets that it has committed:
//
//   - while it has members;
//   - then for stateRetention from its last use, which is a commit, or a member's joining or leaving (KIP-211).
//     What was in use when the program ended is not known: after a start each group has startGrace to come
//     back in, however old its offsets are;
//   - but there are at most groupsMax. A new one takes the place of the one without members that was used the
//     longest ago: first of those that have committed nothing, and only then of the others, whose offsets are
//     deleted. More groups than groupsMax never have members, so that a new one always gets in.
//
// A group is in one of the queues of idlers while it has no members.
type idlers struct {
	bare, stored list.List // of *group, the least recently used first; stored have offsets in the log
}

// rest puts a group that has just been used to the end of its queue, or takes it out if it has members.
func (k *coordinator) rest(g *group) {
	if g.queue != nil {
		g.queue.Remove(g.place)
		g.queue, g.place = nil, nil
	}
	g.used = k.d.cfg.Now()
	k.line(g)
}

func (k *coordinator) line(g *group) {
	if len(g.members) > 0 || k.groups[g.name] != g {
		return
	}
	if g.queue = &k.idle.bare; g.stored {
		g.queue = &k.idle.stored
	}
	g.place = g.queue.PushBack(g)
}

// load takes in the groups that have offsets in the log.
func (k *coordinator) load() error {
	known, err := k.d.log.Groups()
	if err != nil {
		return err
	}
	grace := k.d.cfg.Now().Add(startGrace - stateRetention)
	var groups []*group
	for name, last := range known {
		g := newGroup(name)
		g.stored, g.used = true, last
		groups = append(groups, g)
	}
	sort.Slice(groups, func(i, j int) bool { return groups[i].used.Before(groups[j].used) })
	for _, g := range groups {
		k.groups[g.name] = g
		k.line(g)
		g.used = later(g.used, grace)
	}
	return nil
}

// add makes a group. The one that gives way to it, or nil, has to be buried when the lock is released.
func (k *coordinator) add(name string) (g, gone *group) {
	if len(k.groups) >= groupsMax {
		if gone = k.oldest(); gone != nil {
			k.dismiss(gone)
		}
	}
	g = newGroup(name)
	k.groups[name] = g
	k.rest(g)
	return g, gone
}

// oldest is the group that gives way to another one.
func (k *coordinator) oldest() *group {
	if e := k.idle.bare.Front(); e != nil {
		return e.Value.(*group)
	}
	for e := k.idle.stored.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*group); g.commits == 0 {
			return g
		}
	}
	return nil
}

// dismiss takes a group out of memory. If it has offsets, its name cannot be used until it is buried.
func (k *coordinator) dismiss(g *group) {
	delete(k.groups, g.name)
	if g.queue != nil {
		g.queue.Remove(g.place)
		g.queue, g.place = nil, nil
	}
	if g.stored {
		g.buried = make(chan struct{})
		k.leaving[g.name] = g.buried
	}
}

// bury deletes the offsets of a group that has left; one whose offsets cannot be deleted comes back.
func (k *coordinator) bury(g *group) error {
	if g == nil || !g.stored {
		return nil
	}
	err := k.d.log.DeleteOffsets(k.d.ctx, g.name)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.leaving, g.name)
	close(g.buried)
	if err != nil {
		k.groups[g.name] = g
		k.line(g)
		k.d.complain("a consumer group's offsets could not be deleted", "group", g.name, "error", err.Error())
	}
	return err
}

// giveWay buries a group that has made place for another one.
func (k *coordinator) giveWay(g *group) {
	if g != nil && k.bury(g) == nil && g.stored {
		k.d.complain("a consumer group and its offsets are forgotten: there are too many, and it is the one that was used the longest ago",
			"group", g.name, "used", g.used, "most", groupsMax)
	}
}

// lock locks the coordinator, and waits for a group of that name whose offsets are being deleted.
func (k *coordinator) lock(name string) {
	for {
		k.mu.Lock()
		buried := k.leaving[name]
		if buried == nil {
			return
		}
		k.mu.Unlock()
		<-buried
	}
}

// expire forgets groups without members that were last used before a time, and those that have committed
// nothing.
func (k *coordinator) expire(before time.Time) error {
	for {
		g := k.expired(before)
		if g == nil {
			return nil
		}
		if err := k.bury(g); err != nil {
			return err
		}
	}
}

func (k *coordinator) expired(before time.Time) *group {
	k.mu.Lock()
	defer k.mu.Unlock()
	for e := k.idle.bare.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*group); len(g.promised) == 0 {
			k.dismiss(g)
			return g
		}
	}
	for e := k.idle.stored.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*group); g.commits == 0 && g.used.Before(before) {
			k.dismiss(g)
			return g
		}
	}
	return nil
}

// committing counts a commit under way, during which the group is not forgotten.
func (k *coordinator) committing(g *group) {
	g.commits++
	g.stored = true
	k.rest(g)
}

func (k *coordinator) committed(g *group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g.commits--
	k.rest(g)
}

// groupsMax leaves place for a new group whatever members and commits there are.
const _ = uint(groupsMax - membersMax - connectionsMax - 1)
