package online_test

import (
	"fmt"

	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

func Example() {
	m := online.New()
	like := signal.Default().Of("like", 0)
	m.Add("ada", "solaris", 1000, 1, like)
	m.Add("ada", "stalker", 2000, 2, like)
	m.Add("bob", "solaris", 3000, 3, like)

	var s online.Scratch
	scores := m.Score(nil, "bob", 3000, online.CoCounts, &s)
	at, _ := m.Lookup("stalker")
	fmt.Println("unseen:", scores[at] > 0)
	at, _ = m.Lookup("solaris")
	fmt.Println("seen:", scores[at] == online.Excluded)
	for _, r := range m.Explain("bob", 3000, &s, "stalker")[0] {
		fmt.Printf("because of %v %q\n", r.Source, r.ItemID)
	}
	// Output:
	// unseen: true
	// seen: true
	// because of decayed_popularity ""
	// because of co_counts "solaris"
}
