package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/eval"
)

// ratingsFolder is a data set in the layout of MovieLens' csv files.
func ratingsFolder(t *testing.T, people, films int) string {
	t.Helper()
	dir := t.TempDir()
	var ratings, movies strings.Builder
	ratings.WriteString("userId,movieId,rating,timestamp\n")
	movies.WriteString("movieId,title,genres\n")
	for f := range films {
		fmt.Fprintf(&movies, "%d,Film %d (19%02d),Drama\n", f+1, f+1, f%100)
	}
	for u := range people {
		for k := range 12 {
			fmt.Fprintf(&ratings, "%d,%d,%.1f,%d\n", u+1, (u*u+k*k*(1+u%3)+5*k)%films+1, 2.5+float64((u+k)%6)/2, 1_000_000_000+3600*(people*k+u))
		}
	}
	for name, text := range map[string]string{"ratings.csv": ratings.String(), "movies.csv": movies.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEval(t *testing.T) {
	t.Chdir(t.TempDir())
	data := ratingsFolder(t, 80, 60)
	args := []string{"eval", data, "--algorithms", "als,popularity", "--param", "als:als.sweeps=2", "--param", "als:als.dim=8", "--cores", "2", "--people", "50", "--moments", "80"}
	out := ok(t, append(args, "--markdown", "out.md", "--json", "out.json")...)
	contains(t, "eval", out, "80 people, ", "parameters: declared defaults; seed 1; 2 cores; 22 trainings", "leave-one-out", "next-item", "time-split/known", "strong-generalisation",
		"rating", "prequential-top", "online:decayed_popularity", "als:als", "given", "biases")
	var r struct {
		Finished bool
		Data     struct{ People, Films, Ratings int }
		Rows     []eval.Row
	}
	raw, err := os.ReadFile("out.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &r); err != nil || !r.Finished || r.Data.People != 80 || len(r.Rows) < 40 {
		t.Fatalf("%+v: %v", r, err)
	}
	for _, row := range r.Rows {
		if row.Unjudged != "" || row.People == 0 || len(row.Metrics) == 0 || row.Seed != 1 {
			t.Errorf("%+v", row)
		}
		if row.Kind == eval.KindRecipe && (row.Trainings == 0 || row.PeakBytes == 0 || row.Algorithm == "als" && row.Params[0]["als.dim"] != "8") {
			t.Errorf("%+v", row)
		}
	}
	md, err := os.ReadFile("out.md")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "markdown", string(md), "## leave-one-out\n", "| als | 0.", "of equal scores the judged film comes last")
	if strings.Contains(string(md), "Not finished") {
		t.Error("the tables are not finished")
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 2 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
	// No log, no data folder; the same figures again.
	ok(t, append(args, "--cores", "1", "--json", "again.json")...)
	raw, err = os.ReadFile("again.json")
	if err != nil {
		t.Fatal(err)
	}
	was := r.Rows
	r.Rows = nil
	if err := json.Unmarshal(raw, &r); err != nil || len(r.Rows) != len(was) {
		t.Fatalf("%d rows, %d before: %v", len(r.Rows), len(was), err)
	}
	for i := range was {
		a, _ := json.Marshal(was[i].Metrics)    //nolint:errcheck // numbers
		b, _ := json.Marshal(r.Rows[i].Metrics) //nolint:errcheck // numbers
		if string(a) != string(b) {
			t.Errorf("%s %s: %s, on one core %s", was[i].Protocol, was[i].Algorithm, a, b)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 3 {
		t.Errorf("it leaves %v, %v", entries, err)
	}
	csv := filepath.Join(data, "ratings.csv")
	contains(t, "a csv of one's own", ok(t, "eval", csv, "--columns", "user=userId,item=movieId,rating=rating,time=timestamp", "--protocols", "time-split", "--algorithms", "popularity", "--trials", "3"),
		"80 people", "validation")
	if err := os.WriteFile(filepath.Join(data, "x.train.rating"), []byte("1\t2\t3\t978824330\n1\t3\t3\t978824331\n2\t4\t3\t978824331\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "x.test.rating"), []byte("1\t4\t3\t978824332\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	contains(t, "a split of its own", ok(t, "eval", data, "--protocols", "leave-one-out", "--algorithms", "popularity"), "splits that came with it: x", "leave-one-out x")
	for _, bad := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"eval"}, exitUsage, "arg"},
		{[]string{"eval", data, "--protocols", "loo"}, exitUsage, `no "loo"; want some of leave-one-out`},
		{[]string{"eval", data, "--algorithms", "nope"}, exitUsage, `no "nope"; want some of als`},
		{[]string{"eval", data, "--param", "als.dim=3"}, exitUsage, "ALGORITHM:NAME=VALUE"},
		{[]string{"eval", data, "--param", "als:als.cg_steps=0", "--param", "als:als.solver=cg"}, exitUsage, "als.cg_steps"},
		{[]string{"eval", data, "--param", "als:als.cg_steps=0", "--param", "als:als.solver=cholesky", "--top-stars", "9"}, exitUsage, "--top-stars"},
		{[]string{"eval", data, "--param", "als:als.dim=0"}, exitUsage, "als.dim"},
		{[]string{"eval", data, "--algorithms", "popularity", "--param", "als:als.dim=3"}, exitUsage, "none of the algorithms"},
		{[]string{"eval", data, "--trials", "1001"}, exitUsage, "--trials is 1001"},
		{[]string{"eval", data, "--cores", "0"}, exitUsage, "--cores"},
		{[]string{"eval", data, "--top-stars", "6"}, exitUsage, "--top-stars"},
		{[]string{"eval", data, "--people", "-1"}, exitUsage, "--people"},
		{[]string{"eval", t.TempDir()}, exitFailed, "cannot judge on"},
		{[]string{"eval", csv}, exitFailed, "--columns"},
		{[]string{"eval", data, "--json", "nowhere/x.json"}, exitFailed, "nowhere"},
	} {
		r := command(bad.args...)
		if r.code != bad.code || !strings.Contains(r.err, bad.says) {
			t.Errorf("%v: exit code %d, %s; want %d, %q", bad.args, r.code, r.err, bad.code, bad.says)
		}
	}
}
