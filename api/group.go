package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// GroupOffset is what a consumer group has committed of a partition.
type GroupOffset struct {
	TP        streams.TP
	Offset    int64
	Committed time.Time
}

// Group is a consumer group and how far it is.
type Group struct {
	Name       string           `json:"group"`
	Lag        int64            `json:"lag"` // messages it has not committed, over all its partitions
	Committed  string           `json:"committed"`
	Partitions []GroupPartition `json:"partitions"`
}

// GroupPartition is how far a group is in one of its partitions.
type GroupPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
}

// ErrGroupsElsewhere says why no groups are known to this program.
var ErrGroupsElsewhere = fault.New(fault.NotFound, "the log is on a Kafka cluster, which has its groups").
	WithHint("its own tools list them: kafka-consumer-groups --describe --all-groups")

// GroupsOf are the groups by name, of what they have committed.
func (c *Core) GroupsOf(ctx context.Context, known map[string][]GroupOffset) ([]Group, error) {
	topics, err := c.Topics(ctx)
	if err != nil {
		return nil, err
	}
	ends := map[streams.TP]int64{}
	for _, t := range topics {
		for _, p := range t.Partitions {
			ends[streams.TP{Topic: t.Topic, Partition: p.Partition}] = p.Next
		}
	}
	list := []Group{}
	for name, offsets := range known {
		g := Group{Name: name, Partitions: []GroupPartition{}}
		var last time.Time
		for _, o := range offsets {
			p := GroupPartition{o.TP.Topic, o.TP.Partition, o.Offset, ends[o.TP], max(0, ends[o.TP]-o.Offset)}
			g.Lag += p.Lag
			g.Partitions = append(g.Partitions, p)
			if o.Committed.After(last) {
				last = o.Committed
			}
		}
		g.Committed = events.FormatTime(last)
		slices.SortFunc(g.Partitions, func(a, b GroupPartition) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
