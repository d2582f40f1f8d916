package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// Users yields what the set tells of its people, each once: where several lines are about one, the last counts. Most
// sets tell nothing. Lines that cannot be read are as of [Set.Movies], and all are read before the first is given.
//
// An age is in years: exact in ml-100k, the lower end of an age group in ml-1m, where 1 is everybody under 18. Occupations
// are as the set writes them, those of ml-1m by its own list.
func (s *Set) Users(ctx context.Context) iter.Seq2[events.User, error] {
	return func(yield func(events.User, error) bool) {
		if s.users == "" {
			return
		}
		var people []events.User
		index, more := map[string]int{}, true
		err := s.eachText(ctx, s.users, func(line int64, raw []byte, text string, bad *LineError) bool {
			var u events.User
			if bad == nil {
				u, bad = s.user(line, text)
			}
			if bad != nil {
				more = yield(events.User{}, bad.of(raw))
				return more
			}
			if i, again := index[u.UserID]; again {
				people[i] = u
				return true
			}
			index[u.UserID] = len(people)
			people = append(people, u)
			return true
		})
		if !more {
			return
		}
		if err != nil {
			yield(events.User{}, err)
			return
		}
		for _, u := range people {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// occupations are those of ml-1m, by the number that stands for each.
var occupations = []string{"other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service", "doctor/health care",
	"executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist", "self-employed",
	"technician/engineer", "tradesman/craftsman", "unemployed", "writer"}

// ageGroups are the lower ends of ml-1m's.
var ageGroups = []string{"1", "18", "25", "35", "45", "50", "56"}

// user reads UserID::Gender::Age::Occupation::Zip-code, or user|age|gender|occupation|zip.
func (s *Set) user(line int64, text string) (events.User, *LineError) {
	sep, shape := "|", "user|age|gender|occupation|zip"
	if s.Layout == LayoutDat {
		sep, shape = "::", "user::gender::age::occupation::zip"
	}
	fields := strings.Split(text, sep)
	if len(fields) != 5 {
		return events.User{}, s.fault(s.users, line, "line", text, shape)
	}
	id, age, gender, occupation, zip := fields[0], fields[1], fields[2], fields[3], fields[4]
	if s.Layout == LayoutDat {
		age, gender = gender, age
		if !slices.Contains(ageGroups, age) {
			return events.User{}, s.fault(s.users, line, "age", age, "one of "+strings.Join(ageGroups, ", "))
		}
		n, err := strconv.ParseUint(occupation, 10, 8)
		if err != nil || int(n) >= len(occupations) {
			return events.User{}, s.fault(s.users, line, "occupation", occupation, fmt.Sprintf("0 to %d", len(occupations)-1))
		}
		occupation = occupations[n]
	}
	if !isNumber([]byte(id)) {
		return events.User{}, s.fault(s.users, line, "user id", id, "1 to 18 digits")
	}
	years, err := strconv.Atoi(age)
	if err != nil {
		return events.User{}, s.fault(s.users, line, "age", age, "a number of years")
	}
	u := events.User{UserID: events.CanonicalUser(id), Age: years, Gender: gender, Occupation: occupation, Zip: zip}
	if err := (&commands.DescribeUser{User: u, Dataset: s.Name}).Validate(); err != nil {
		bad := s.fault(s.users, line, "person", "", "")
		bad.Err = errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
		return events.User{}, bad
	}
	return u, nil
}
