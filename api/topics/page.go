package topics

import (
	_ "embed"
	"errors"
	"fmt"
	"net/http"

	"github.com/projectionist/projectionist/api"
)

//go:embed page.html
var pageHTML string

var page = api.NewPage(pageHTML, nil)

func (s *Surface) pageRoutes(r *api.Routes) {
	r.Handle("GET /{$}", s.home)
	r.Handle("GET /topics/{topic}", s.topicPage)
}

// shown is what a page shows: of a topic, or of all.
type shown struct {
	Title   string
	Topics  []api.TopicInfo
	Groups  []api.Group
	Nowhere string // why there are no groups

	Topic        string
	Partitions   []api.PartitionInfo
	Partition    int32 // whose messages; -1: of all
	Messages     []message
	Older, Newer string // where those of the partition go on; "" nowhere
}

// home lists the topics and the groups.
func (s *Surface) home(w http.ResponseWriter, r *http.Request) error {
	v := shown{Title: "Topics"}
	var err error
	if v.Topics, err = s.Topics(r.Context()); err != nil {
		return err
	}
	if v.Groups, err = s.all(r.Context()); errors.Is(err, api.ErrGroupsElsewhere) {
		v.Nowhere = api.ErrGroupsElsewhere.Message + ": " + api.ErrGroupsElsewhere.Hint
	} else if err != nil {
		return err
	}
	return show(w, v)
}

// topicPage shows a topic's partitions, and its last messages, or those of a partition from an offset on.
func (s *Surface) topicPage(w http.ResponseWriter, r *http.Request) error {
	topic := r.PathValue("topic")
	partition, offset, err := whereIn(api.QueryOf(r, "partition", "offset"))
	if err != nil {
		return err
	}
	info, list, err := s.list(r.Context(), topic, partition, offset, messagesDefault)
	if err != nil {
		return err
	}
	for i := range list {
		if b, ok := list[i].Value.([]byte); ok {
			list[i].Value = http.DetectContentType(b) + ", not text"
		}
	}
	v := shown{Title: topic, Topic: topic, Partitions: info.Partitions, Partition: partition, Messages: list}
	if partition >= 0 && len(list) > 0 {
		p, oldest, newest := info.Partitions[partition], list[len(list)-1].Offset, list[0].Offset
		at := func(offset int64) string { return fmt.Sprintf("?partition=%d&offset=%d", partition, offset) }
		if oldest > p.First {
			v.Older = at(max(p.First, oldest-messagesDefault))
		}
		if newest+1 < p.Next {
			v.Newer = at(newest + 1)
		}
	}
	return show(w, v)
}

func show(w http.ResponseWriter, v shown) error {
	return api.WritePage(w, page, v)
}
