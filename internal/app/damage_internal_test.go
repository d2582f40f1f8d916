package app

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestReadyz_Damage: damage that is met while the program runs is among what /readyz says is wrong, with the file and
// the remedy, for as long as it runs; what lies elsewhere is answered.
func TestReadyz_Damage(t *testing.T) {
	ask := func(a *App, path string) (int, string) {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct{ field, files, meets, remedy string }{
		{"log", "log/pebble/*.sst", "/api/v1/log/topics/user-events/records", "restore the log from a backup"},
		{"views", "views/*.sst", "/api/v1/users/%d/history", "start the program again"},
	} {
		t.Run(c.field, func(t *testing.T) {
			a, _ := largeFolder(t, 20_000)
			if code, body := ask(a, "/readyz"); strings.Contains(body, ".sst") {
				t.Fatalf("before: %d %s", code, body)
			}
			var code int
			var body string
			var tables []string
			for round := range 8 { // a table may be written anew in the background while it is damaged
				tables = append(tables, filepath.Base(flipLargest(t, filepath.Join(a.Dir(), filepath.FromSlash(c.files)), 1<<round)))
				for user := range 50 { // it lies where some of many people's acts are
					ask(a, strings.Replace(c.meets, "%d", strconv.Itoa(user), 1))
				}
				if code, body = ask(a, "/readyz"); strings.Contains(body, ".sst") {
					break
				}
			}
			if code != 503 || !strings.Contains(body, `"field":"`+c.field+`"`) || !slices.ContainsFunc(tables, func(name string) bool { return strings.Contains(body, name) }) || !strings.Contains(body, c.remedy) {
				t.Errorf("after: %d %s; want the %s, one of %s and %q", code, body, c.field, tables, c.remedy)
			}
			if code, _ := ask(a, "/healthz"); code != 200 {
				t.Errorf("it is not alive: %d", code)
			}
		})
	}
}

// flipLargest flips bits, as of a byte, all over the largest of some files, and gives its name.
func flipLargest(t *testing.T, pattern string, bits byte) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	size := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil { // it was written anew meanwhile
			return 0
		}
		return info.Size()
	}
	largest := slices.MaxFunc(files, func(x, y string) int { return int(size(x) - size(y)) })
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	for at := int64(1000); at < size(largest)-2000; at += 4000 {
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= bits
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	return largest
}
