package recommend

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Many people get, in one request, the lists that each gets alone, in the order in which they are named.
func TestEachOfMany(t *testing.T) {
	w := newWorld(t)
	w.fill(40, 30, 600)
	w.deploy("als", w.train("als", map[string]string{"als.sweeps": "2", "als.dim": "8"}))
	var users []string
	for i := range 70 { // some of them twice, some strangers
		users = append(users, fmt.Sprint(1+i*7%35))
	}
	for _, req := range []Request{{K: 5}, {K: 7, Explain: true}, {K: 40, Again: true}, {K: 3, Rules: events.ListRules{Exclude: []string{"3"}, Offset: 4, Diversity: .5}}} {
		req.NowMillis = now.UnixMilli()
		lists, err := w.service.RecommendEach(Version{}, users, req)
		w.must(err)
		if len(lists) != len(users) {
			t.Fatalf("%d lists for %d people", len(lists), len(users))
		}
		for i, user := range users {
			req.UserID = user
			alone, err := w.service.Recommend(req)
			w.must(err)
			if !reflect.DeepEqual(lists[i], alone) {
				t.Fatalf("list %d, of user %s, is %+v; alone %+v", i, user, lists[i], alone)
			}
		}
	}
	none, err := w.service.RecommendEach(Version{}, nil, Request{K: 5})
	if err != nil || len(none) != 0 {
		t.Error("nobody:", none, err)
	}
}

// Of several errors that of the first person is told, and no list.
func TestEachFails(t *testing.T) {
	for range 20 {
		lists, err := each([]string{"a", "b", "c", "d"}, func(user string) (*Result, error) {
			if user == "b" || user == "d" {
				return nil, errors.New(user)
			}
			return &Result{UserID: user}, nil
		})
		if lists != nil || err == nil || err.Error() != "b" {
			t.Fatal(lists, err)
		}
		lists, err = each([]string{"a", "b", "c"}, func(user string) (*Result, error) {
			if user == "c" {
				panic("a defect")
			}
			return &Result{}, nil
		})
		if lists != nil || !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "a defect") {
			t.Fatal(lists, err)
		}
	}
}
