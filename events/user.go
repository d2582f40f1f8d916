package events

import "math"

// User is what a source says of a person, and nothing but that.
type User struct {
	UserID     string `json:"user_id"`
	Age        int    `json:"age,omitempty"`    // years; 0 unknown. Where a source has age groups, the lower end of the group
	Gender     string `json:"gender,omitempty"` // in the source's own words, as is what follows
	Occupation string `json:"occupation,omitempty"`
	Zip        string `json:"zip,omitempty"` // postal code
}

// Overlay writes what is said onto u; what it leaves empty stays as it was.
func (u *User) Overlay(said *User) {
	u.UserID = CanonicalUser(said.UserID)
	say(&u.Age, said.Age)
	say(&u.Gender, said.Gender)
	say(&u.Occupation, said.Occupation)
	say(&u.Zip, said.Zip)
}

// UserDescribed says what a source says of a person. Stream "user/ID".
//
// What is known of the person at a time is what was said, each over the one before: first the data sets in the order
// of the log, which say of no time that it is so from then on, then the rest in the order of Since.
type UserDescribed struct {
	User
	Dataset string `json:"dataset,omitempty"` // that says so; "" is somebody who asked this program to keep it
	Since   string `json:"since,omitempty"`   // from when on it is so, as [TimeFormat]; "" is at all times
}

func (*UserDescribed) EventType() string { return "user.described" }

// Always is the time from which on something is so that is so at all times, in Unix milliseconds.
const Always = math.MinInt64

// SinceMillis is from when on it is so, in Unix milliseconds.
func (d *UserDescribed) SinceMillis() (int64, error) {
	if d.Since == "" {
		return Always, nil
	}
	return TimeMillis(d.Since)
}
