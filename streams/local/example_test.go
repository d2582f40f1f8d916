package local_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// A commit is accepted once for the revision it expects; every reader then sees it.
func Example() {
	l, err := local.OpenMem(local.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ctx := context.Background()
	commit := func(id string, expected streams.Revision) (streams.Receipt, error) {
		return l.Ledger().Append(ctx, streams.Commit{ID: id, Stream: "model/als", Expected: expected, Events: []events.Event{{
			ID: id + "/0", Source: "/example", Subject: "model/als", Time: time.Now(), Data: &events.ModelRegistered{Name: "als"},
		}}})
	}
	r, err := commit("first", streams.NoStream)
	fmt.Println(r.Position, r.Revision, err)
	r, err = commit("first", streams.NoStream) // a retry
	fmt.Println(r.Position, r.Duplicate, err)
	_, err = commit("second", streams.NoStream)
	fmt.Println(fault.CodeOf(err), err)
	for c, err := range l.Ledger().ReadStream(ctx, "model/als", 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.Position, c.ID, c.Events[0].Type())
	}
	// Output:
	// mlops-events/0@0 0 <nil>
	// mlops-events/0@0 true <nil>
	// conflict stream model/als: expected no stream, it has revision 0
	// mlops-events/0@0 first model.registered
}
