package commands

import "github.com/projectionist/projectionist/events"

// DescribeUser says what a source says of a person. What the source has said already is no event.
type DescribeUser struct {
	events.User
	Dataset string `json:"dataset,omitempty"` // "" is whoever gives the command
	// Since is from when on it is so, ISO 8601; "" is from now on. Of a data set it is not known.
	Since string `json:"since,omitempty"`
}

func (*DescribeUser) CommandType() string { return "user.describe" }
func (c *DescribeUser) Stream() string    { return "user/" + events.CanonicalUser(c.UserID) }

const ageMax = 150 // years

func (c *DescribeUser) Validate() error {
	var f faults
	f.id("user_id", c.UserID)
	if c.Age < 0 || c.Age > ageMax {
		f.add("age", "is %d; want 1 to %d years, or 0 for unknown", c.Age, ageMax)
	}
	f.line("gender", c.Gender, NameBytesMax)
	f.line("occupation", c.Occupation, NameBytesMax)
	f.line("zip", c.Zip, IDBytesMax)
	if c.User == (events.User{UserID: c.UserID}) {
		f.add("age", "is not there, and neither is gender, occupation or zip: nothing is said of the person")
	}
	f.line("dataset", c.Dataset, NameBytesMax)
	f.timestamp("since", c.Since)
	if c.Dataset != "" && c.Since != "" {
		f.add("since", "is not for a data set, which says what is so at all times")
	}
	return f.err()
}
