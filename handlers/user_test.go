package handlers

import (
	"strconv"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// TestDescriptionsMax: what one person is described by has a bound, since it is read as a whole.
func TestDescriptionsMax(t *testing.T) {
	s, now := newDecider("user/7"), time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC)
	describe := func(zip string) ([]events.Data, error) {
		return s.decide(&commands.DescribeUser{User: events.User{UserID: "7", Zip: zip}, Dataset: "ml-1m"}, now)
	}
	for i := range descriptionsMax {
		all, err := describe(strconv.Itoa(i))
		if err != nil || len(all) != 1 {
			t.Fatalf("description %d: %v, %v", i, all, err)
		}
		s.evolve(all[0])
	}
	if all, err := describe("more"); !fault.Is(err, fault.TooLarge) {
		t.Errorf("one more: %v, %v", all, err)
	}
	if all, err := describe(strconv.Itoa(descriptionsMax - 1)); err != nil || len(all) != 0 {
		t.Errorf("the last one again: %v, %v", all, err)
	}
}
