package door

import (
	"time"
)

// add makes a group, or gives nil when there are too many.
func (k *coordinator) add(name string) *group {
	if len(k.groups) >= groupsMax {
		for old, g := range k.groups {
			if g.idle() && !g.stored {
				delete(k.groups, old)
			}
		}
	}
	if len(k.groups) >= groupsMax {
		k.d.complain("a consumer group is refused: there are too many", "group", name, "most", groupsMax)
		return nil
	}
	g := newGroup(name)
	k.groups[name] = g
	return g
}

func (g *group) idle() bool { return len(g.members) == 0 && len(g.promised) == 0 }

// forget drops an empty group from memory.
func (k *coordinator) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.groups[name]; g != nil && g.idle() {
		delete(k.groups, name)
	}
}

// expire forgets the offsets of idle groups that were committed before a time, and groups without any.
func (k *coordinator) expire(before time.Time) error {
	known, err := k.d.log.Groups()
	if err != nil {
		return err
	}
	for name, stored := range k.idle() {
		last, ok := known[name]
		if ok && !last.Before(before) || !ok && stored { // the latter's first offsets are on their way
			continue
		}
		if ok {
			if err := k.d.log.DeleteOffsets(k.d.ctx, name, before); err != nil {
				return err
			}
		}
		k.forget(name)
	}
	return nil
}

// idle are the groups without members, and whether offsets of theirs were ever taken.
func (k *coordinator) idle() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := map[string]bool{}
	for name, g := range k.groups {
		if g.idle() {
			names[name] = g.stored
		}
	}
	return names
}
