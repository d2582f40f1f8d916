package dataset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
)

// usersOf are the people of a set with the given files besides the fixture's, and the lines that are wrong.
func usersOf(t *testing.T, fixture string, files map[string]string) (people []events.User, bad []string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, fixtures[fixture].files)
	write(t, dir, files)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for u, err := range s.Users(context.Background()) {
		if err != nil {
			var line *LineError
			if !asLine(err, &line) || line.Text == nil {
				t.Fatal(err)
			}
			bad = append(bad, fmt.Sprintf("%d %s", line.Line, line.Reason()))
			continue
		}
		people = append(people, u)
	}
	return people, bad
}

func asLine(err error, to **LineError) (ok bool) {
	*to, ok = err.(*LineError)
	return ok
}

// What the sets tell of people: exact ages, or the lower end of a group; the last of several lines about one; lines that
// cannot be read are given with what is wrong with them, and those after them too.
func TestUsers(t *testing.T) {
	for _, c := range []struct {
		fixture, file, text string
		want                []events.User
		bad                 []string
	}{
		{"ml-1m", "users.dat", "1::F::1::10::48067\n0002::M::56::16::70072-2117\n1::F::18::0::\n",
			[]events.User{{UserID: "1", Age: 18, Gender: "F", Occupation: "other"}, {UserID: "2", Age: 56, Gender: "M", Occupation: "self-employed", Zip: "70072-2117"}}, nil},
		{"ml-100k", "u.user", "1|24|M|technician|85711\n30|7|M|student|55436\r\n", []events.User{{UserID: "1", Age: 24, Gender: "M", Occupation: "technician", Zip: "85711"},
			{UserID: "30", Age: 7, Gender: "M", Occupation: "student", Zip: "55436"}}, nil},
		{"ml-1m", "users.dat", "1::F::24::10::48067\n2::M::25::21::1\n3::M::25::-1::1\nx::M::25::1::1\n4::M::25::1\n5::M::25::1::1\n6::M::25::1::" + strings.Repeat("9", 999) + "\n",
			[]events.User{{UserID: "5", Age: 25, Gender: "M", Occupation: "academic/educator", Zip: "1"}},
			[]string{`1 age is "24": expected one of 1, 18, 25, 35, 45, 50, 56`, `2 occupation is "21": expected 0 to 20`, `3 occupation is "-1": expected 0 to 20`,
				`4 user id is "x": expected 1 to 18 digits`, `5 line is "4::M::25::1": expected user::gender::age::occupation::zip`, `7 zip: has 999 bytes; the most is 128`}},
		{"ml-100k", "u.user", "1|old|M|writer|1\n2|200|M|writer|1\n", nil, []string{`1 age is "old": expected a number of years`, `2 age: is 200; want 1 to 150 years, or 0 for unknown`}},
		{"movietweetings", "users.dat", "1::139564917\n", nil, nil}, // names of accounts
		{"ml-10m", "other.dat", "", nil, nil},
	} {
		people, bad := usersOf(t, c.fixture, map[string]string{c.file: c.text})
		if !slices.Equal(people, c.want) || !slices.Equal(bad, c.bad) {
			t.Errorf("%s:\n%+v\n%q\nwant\n%+v\n%q", c.fixture, people, bad, c.want, c.bad)
		}
	}
}

// What is told of people is part of what the set is: imported before it was read, it is imported again.
func TestDigestOfUsers(t *testing.T) {
	digests := map[string]bool{}
	for _, users := range []string{"", "1::F::1::10::48067\n", "1::F::18::10::48067\n"} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"ratings.dat": fixtures["ml-1m"].files["ratings.dat"], "movies.dat": fixtures["ml-1m"].files["movies.dat"]})
		if users != "" {
			write(t, dir, map[string]string{"users.dat": users})
		}
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := s.Digest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
	}
	if len(digests) != 3 {
		t.Errorf("%d digests of 3 sets", len(digests))
	}
}
