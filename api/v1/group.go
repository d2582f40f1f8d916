package v1

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/fold"
)

// groups are the consumer groups of Kafka's clients by name, and how far each is. What they commit is not of the log: there is only now.
func (s *Surface) groups(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
	if err != nil {
		q.Fault("cursor", "is not one that this list gave out")
	}
	if err := q.Err(); err != nil {
		return err
	}
	if s.Groups == nil {
		return api.ErrGroupsElsewhere
	}
	known, err := s.Groups()
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(name string) bool { return name <= string(after) })
	out := fold.Page[api.Group]{}
	if len(names) > page.Limit {
		names = names[:page.Limit]
		out.Next = fold.PageCursor([]byte(names[page.Limit-1]))
	}
	maps.DeleteFunc(known, func(name string, _ []api.GroupOffset) bool {
		_, found := slices.BinarySearch(names, name)
		return !found
	})
	out.Items, err = s.GroupsOf(r.Context(), known)
	return api.Paged(w, out, err)
}
