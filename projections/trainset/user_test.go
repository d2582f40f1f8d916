package trainset_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// What training sees of a person is what was said by the cut, in the order in which the view of people has it.
func TestTrainingSeesThePeopleOfTheView(t *testing.T) {
	log, err := local.OpenMem(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	said := func(since string, age int, dataset string) *events.UserDescribed {
		return &events.UserDescribed{User: events.User{UserID: "7", Age: age}, Since: since, Dataset: dataset}
	}
	const early, late = "2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"
	for i, d := range []*events.UserDescribed{said(late, 31, ""), said("", 25, "ml"), said(early, 30, ""), said(early, 29, ""), said("", 26, "other"), said(late, 32, "")} {
		id := string(rune('a' + i))
		if _, err := log.Ledger().Append(t.Context(), streams.Commit{ID: id, Stream: "user/7", Expected: streams.AnyRevision, Events: []events.Event{
			{ID: id, Source: "/test", Subject: "user/7", Time: time.UnixMilli(1).UTC(), Data: d}}}); err != nil {
			t.Fatal(err)
		}
	}
	fact := events.Event{ID: "f", Source: "/test", Time: time.UnixMilli(1).UTC(), Data: &events.Interaction{UserID: "7", MovieID: "1", Kind: "like", Timestamp: "1970-01-01T00:00:00.001Z"}}
	rec, err := streams.FactRecord("7", &fact)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Feed().Publish(t.Context(), events.UserEventsTopic, []streams.Record{rec}); err != nil {
		t.Fatal(err)
	}
	var in []fold.Input
	for x, err := range fold.Inputs(log.Ledger().ReadStream(t.Context(), "user/7", 0), fold.At{}) {
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, *x)
	}
	view := foldtest.Opened(t, projections.NewUsers(), in)
	head, err := fold.HeadCut(t.Context(), log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(len(in) + 1) {
		cut := head.Clone()
		cut[streams.TP{Topic: events.LedgerTopic}] = n
		set, err := new(trainset.Cache).LoadActs(t.Context(), log, cut, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := view.Known("7", fold.At{Cut: cut})
		if err != nil {
			t.Fatal(err)
		}
		var got []features.Said
		for i, d := range set.People["7"] {
			since, err := d.SinceMillis()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, features.Said{SinceMillis: since, RecordedMillis: want[i].RecordedMillis, User: d.User})
		}
		if len(got) != int(n) || !reflect.DeepEqual(got, want) {
			t.Errorf("up to %d: training sees\n%+v, the view\n%+v", n, got, want)
		}
	}
	set, err := trainset.Load(t.Context(), log, head, nil)
	if err != nil || set.People != nil {
		t.Errorf("where it is not asked for: %v, %v", set.People, err)
	}
}
