package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

var named = Columns{User: "who", Item: "what", Rating: "stars", Time: "when"}

func openTable(t *testing.T, text string, c Columns) (*Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reviews.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenCSV(path, c)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func TestColumns(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		columns Columns
		want    []Rating
	}{
		"by name": {"\xef\xbb\xbfid,stars,who,what, when ,text\r\n1,4.5,anna,m/1,1378036800,\"good, \"\"very\"\"\n\nindeed\"\r\n\r\n2,3,7,0042,2013-09-01,\n", named,
			[]Rating{{"7", "42", 3, 1377993600000, 6}}},
		"by number": {"anna,m1,4.5,1378036800\n7,0042,3,1378036801000\n", Columns{"1", "2", "3", "4"},
			[]Rating{{"anna", "m1", 4.5, 1378036800000, 1}, {"7", "42", 3, 1378036801000, 2}}},
		"by number, with a header": {"who,what,stars,when\nanna,m1,4.5,1378036800\n", Columns{"1", "2", "3", "4"}, []Rating{{"anna", "m1", 4.5, 1378036800000, 2}}},
		"both":                     {"who;what;stars;when\nanna;m1;4.5;1378036800\n", Columns{"who", "2", "stars", "4"}, []Rating{{"anna", "m1", 4.5, 1378036800000, 2}}},
		"tabs":                     {"who\twhat\tstars\twhen\nanna\tm 1\t4.5\t1378036800", named, []Rating{{"anna", "m 1", 4.5, 1378036800000, 2}}},
		"of pandas": {",who,what,stars,when\n0,5.0,17.0,4.0,1378036800.0\n1,5.0,17.0,3.3333333,2013-09-01 12:00:00.250+00:00\n", named,
			[]Rating{{"5", "17", 4, 1378036800000, 2}, {"5", "17", 3.3333, 1378036800250, 3}}},
		"in the order of time": {"who,what,stars,when\n1,1,4,1378036800.5\n1,1,5,1378036800250\n1,1,3,2013-09-01T14:00:00+02:00\n1,1,2,2013-09-01 11:59\n", named,
			[]Rating{{"1", "1", 2, 1378036740000, 5}, {"1", "1", 3, 1378036800000, 4}, {"1", "1", 5, 1378036800250, 3}, {"1", "1", 4, 1378036800500, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openTable(t, c.text, c.columns)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != "reviews" || s.Source() != "/import/csv" {
				t.Errorf("%s from %s", s.Name, s.Source())
			}
			var got []Rating
			for r, err := range s.SortedRatings(t.Context(), nil) {
				if err == nil {
					got = append(got, r)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			films := map[string]bool{}
			for _, m := range movies(t, s) {
				films[m.ID] = m.Title == m.ID
			}
			for _, r := range c.want {
				if !films[r.MovieID] {
					t.Errorf("film %s is not listed by its id: %v", r.MovieID, films)
				}
			}
		})
	}
}

func TestColumnErrors(t *testing.T) {
	const text = "who,what,stars,when,who\nanna,m1,4.5,1378036800,x\n"
	for name, c := range map[string]struct {
		text    string
		columns Columns
		says    []string
	}{
		"none":            {text, Columns{}, []string{"columns.user: is needed", "columns.item: is needed", "columns.rating: is needed", "columns.time: is needed"}},
		"another name":    {text, Columns{"3", "what", "Stars", "when"}, []string{`columns.rating: "Stars" is no column`, "who, what, stars, when"}},
		"twice":           {text, named, []string{"columns.user", "twice"}},
		"too high":        {text, Columns{"1", "2", "3", "6"}, []string{"columns.time", "1 to 5"}},
		"zero":            {text, Columns{"0", "2", "3", "4"}, []string{"columns.user"}},
		"one of two":      {text, Columns{"1", "1", "3", "4"}, []string{"columns.item", "something else"}},
		"another comma":   {"who|what|stars|when\n1|2|3|4\n", named, []string{"columns.user"}},
		"an open quote":   {"who,what,stars,\"when\nanna,m1,4.5,1378036800\n", named, []string{"line 1", "quoted"}},
		"empty":           {"", named, []string{"reviews.csv is empty"}},
		"only a header":   {"who,what,stars,when\n\n", named, []string{"reviews.csv is empty"}},
		"an endless line": {strings.Repeat("x", 2<<20), named, []string{"line 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openTable(t, c.text, c.columns)
			for _, says := range c.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("error %v, want %q", err, says)
				}
			}
			if strings.HasPrefix(c.says[0], "columns") && !fault.Is(errorOf(err), fault.Invalid) {
				t.Errorf("%T %v", err, err)
			}
		})
	}
	if _, err := OpenCSV(t.TempDir(), named); err == nil || !strings.Contains(err.Error(), "a folder, not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe.csv")
	makePipe(t, pipe)
	if _, err := OpenCSV(pipe, named); err == nil || !strings.Contains(err.Error(), "a named pipe, not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
}

// errorOf is the first of joined errors.
func errorOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// A cell that cannot be read is said with its column, and the rest is read.
func TestBadCells(t *testing.T) {
	head := "who,what,stars,when\n"
	for name, c := range map[string]struct{ line, says string }{
		"no user":          {",m1,4,1378036800", `column who`},
		"NaN":              {"NaN,m1,4,1378036800", `column who is "NaN": expected an id`},
		"half a user":      {"1.5,m1,4,1378036800", "column who: is 1.5"},
		"a control sign":   {"a\x01,m1,4,1378036800", "U+0001"},
		"Latin-1":          {"\xe9,m1,4,1378036800", "UTF-8"},
		"a long id":        {strings.Repeat("x", 129) + ",m1,4,1378036800", "129 bytes"},
		"a slash":          {"1,a/b,4,1378036800", "column what: movie_id: must not hold a slash"},
		"no film":          {"1,null,4,1378036800", "column what"},
		"a word of rating": {"1,m1,good,1378036800", `column stars is "good"`},
		"no rating":        {"1,m1,,1378036800", "column stars"},
		"six stars":        {"1,m1,6,1378036800", "at most 5"},
		"no stars":         {"1,m1,0,1378036800", "above 0"},
		"NaN stars":        {"1,m1,NaN,1378036800", "column stars"},
		"yesterday":        {"1,m1,4,yesterday", `column when: "yesterday" is not a time`},
		"NaT":              {"1,m1,4,NaT", "column when"},
		"nanoseconds":      {"1,m1,4,1378036800000000000", "column when"},
		"before 1970":      {"1,m1,4,-5", "column when"},
		"after 2100":       {"1,m1,4,2100-01-01", "column when"},
		"three fields":     {"1,m1,4", "4 fields"},
		"five fields":      {"1,m1,4,1378036800,", "4 fields"},
		"an open quote":    {"1,\"m1,4,1378036800", "quoted"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openTable(t, head+"1,m1,4,1378036800\n"+c.line+"\n1,m1,5,1378036801\n", named)
			if err != nil {
				t.Fatal(err)
			}
			good, bad := 0, []*LineError{}
			for _, err := range s.SortedRatings(t.Context(), nil) {
				var line *LineError
				if errors.As(err, &line) {
					bad = append(bad, line)
				} else if good++; err != nil {
					t.Fatal(err)
				}
			}
			if good != 2 || len(bad) != 1 || bad[0].Line != 3 || !strings.Contains(bad[0].Error(), c.says) || string(bad[0].Text) != c.line {
				t.Errorf("%d good, %v; want line 3 to say %s", good, bad, c.says)
			}
			if films := movies(t, s); len(films) != 1 {
				t.Errorf("films %v", films)
			}
		})
	}
}

// The same file read otherwise is another data set.
func TestDigestOfColumns(t *testing.T) {
	text := "who,what,stars,when,score\n1,m1,4,1378036800,3\n"
	digest := func(c Columns) string {
		s, err := openTable(t, text, c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Digest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	other := named
	other.Rating = "score"
	if one, again := digest(named), digest(named); one != again || one == digest(other) {
		t.Error("the digest does not follow from file and columns")
	}
}
