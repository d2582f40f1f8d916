package topics

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"

	"github.com/projectionist/projectionist/api"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

func (s *Surface) pageRoutes(r *api.Routes) {
	r.Handle("GET /{$}", s.home)
	r.Handle("GET /topics/{topic}", s.topicPage)
}

type shown struct {
	Title    string
	Topics   []api.TopicInfo
	Groups   []group
	Nowhere  string // why there are no groups
	Topic    string
	Messages []message
}

// home lists the topics and the groups.
func (s *Surface) home(w http.ResponseWriter, r *http.Request) error {
	v := shown{Title: "Topics"}
	var err error
	if v.Topics, err = s.Topics(r.Context()); err != nil {
		return err
	}
	if v.Groups, err = s.all(r.Context()); errors.Is(err, errElsewhere) {
		v.Nowhere = errElsewhere.Error()
	} else if err != nil {
		return err
	}
	return show(w, v)
}

// topicPage shows the last messages of a topic.
func (s *Surface) topicPage(w http.ResponseWriter, r *http.Request) error {
	topic := r.PathValue("topic")
	list, err := s.list(r.Context(), topic, -1, -1, messagesDefault)
	if err != nil {
		return err
	}
	for i := range list {
		if b, ok := list[i].Value.([]byte); ok {
			list[i].Value = http.DetectContentType(b) + ", not text"
		}
	}
	return show(w, shown{Title: topic, Topic: topic, Messages: list})
}

func show(w http.ResponseWriter, v shown) error {
	return api.WritePage(w, page, v)
}
