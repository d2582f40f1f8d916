package commands

import (
	"errors"

	"github.com/projectionist/projectionist/events"
)

// RecordInteraction publishes an act of a person towards a film. Without a timestamp it happened now.
type RecordInteraction struct{ events.Interaction }

func (*RecordInteraction) FactType() string  { return "user.interaction" }
func (*RecordInteraction) Topic() string     { return events.UserEventsTopic }
func (c *RecordInteraction) Key() string     { return events.CanonicalUser(c.UserID) }
func (c *RecordInteraction) Subject() string { return "user/" + c.Key() }
func (c *RecordInteraction) Time() string    { return c.Timestamp }

func (c *RecordInteraction) Event(timestamp string) events.Data {
	i := c.Interaction
	i.UserID, i.MovieID, i.Timestamp = events.CanonicalUser(i.UserID), events.CanonicalMovie(i.MovieID), timestamp
	return &i
}

func (c *RecordInteraction) Validate() error {
	i := c.Interaction
	i.UserID, i.MovieID = events.CanonicalUser(i.UserID), events.CanonicalMovie(i.MovieID)
	if i.Timestamp == "" {
		i.Timestamp = "1970-01-01T00:00:00Z" // the publisher's clock fills it in; the rest is checked
	}
	var f faults
	f.reachable("user_id", i.UserID)
	f.reachable("movie_id", i.MovieID)
	if err := fieldFaults(i.Validate()); len(f.errs) == 0 { // as a rule, for which nothing is allocated
		return err
	} else {
		return errors.Join(f.err(), err)
	}
}

// fieldFaults turns the field errors of a payload into those of a request.
func fieldFaults(err error) error {
	if err == nil {
		return nil
	}
	var f faults
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		var at *events.FieldError
		if errors.As(err, &at) {
			f.add(at.Field, "%s", at.Message)
		} else {
			f.add("", "%v", err)
		}
	}
	return f.err()
}
