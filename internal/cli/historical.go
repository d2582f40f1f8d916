package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/internal/fault"
)

// historical is a join of rows with features as they were: from file to file, neither of which is held.
type historical struct {
	entities, out, knownAt string
	knownAtRow, exclusive  bool
	which                  choosing
}

// moments are the flags that say which rows, and when.
func (h *historical) moments(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&h.entities, "entities", "", "CSV file of rows; - is standard input")
	f.StringVar(&h.knownAt, "known-at", "", "only what the log had by then: a time, a position or a cut")
	f.BoolVar(&h.knownAtRow, "known-at-row", false, "only what the log had by each row's own time")
	f.BoolVar(&h.exclusive, "exclusive", false, "look back to just before each row's time")
}

func (h *historical) query() url.Values {
	q := with(h.which.query(nil), "known_at", h.knownAt)
	for name, on := range map[string]bool{"known_at_row": h.knownAtRow, "exclusive": h.exclusive} {
		if on {
			q.Set(name, "true")
		}
	}
	return q
}

func (p *program) historical(ctx context.Context, c *client, h historical) error {
	rows, done, err := fileOf(h.entities, "text/csv")
	if err != nil {
		return err
	}
	defer done()
	query := h.query()
	if strings.EqualFold(filepath.Ext(h.entities), ".parquet") {
		rows.mediaType = "application/vnd.apache.parquet"
	}
	if strings.EqualFold(filepath.Ext(h.entities), ".json") {
		// What to join stands beside the rows in the body; flags would go unheard.
		if len(query) > 0 {
			return usage("a .json file says itself which features and when: put %s into it", strings.Join(slices.Sorted(maps.Keys(query)), ", "))
		}
		rows.mediaType, query = "application/json", nil
	}
	bar := p.bar("")
	if (h.out == "" || h.out == "-") && isTerminal(p.out) {
		bar = p.quietBar() // it would stand among the rows
	}
	defer bar.end()
	res, err := p.sendRows(ctx, c, "/api/v1/features/historical", rows, query, bar)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	in := &counted{in: res.Body, each: func(n int64) { bar.show("receiving bytes", n, 0) }}
	if h.out == "" || h.out == "-" {
		_, err = io.Copy(p.out, in)
		return err
	}
	n, err := writeWhole(h.out, in)
	if err != nil {
		return err
	}
	bar.end()
	fmt.Fprintf(p.err, "wrote %s bytes to %s\n", thousands(n), h.out)
	return nil
}

// writeWhole writes a file whole or not at all: half a training set looks like one.
func writeWhole(name string, in io.Reader) (int64, error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	n, err := io.Copy(tmp, in)
	if err = cmp.Or(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return n, fault.Wrap(fault.CodeOf(err), err, "%s was not written", name)
	}
	return n, os.Rename(tmp.Name(), name)
}

// joiningEvery is how often it is shown that the rows are sent and being joined.
const joiningEvery = time.Second

// sendRows returns when the first of the answer is there.
func (p *program) sendRows(ctx context.Context, c *client, path string, rows content, query url.Values, bar *bar) (*http.Response, error) {
	total, sent := rows.size, make(chan struct{})
	rows.Reader = &counted{in: rows.Reader, each: func(n int64) { bar.show("sending bytes", n, total) }, end: func() { close(sent) }}
	joined, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		select {
		case <-sent:
		case <-joined:
			return
		}
		for {
			bar.show("joining", 0, 0)
			select {
			case <-time.After(joiningEvery):
			case <-joined:
				return
			}
		}
	}()
	// What is refused before it is read need not be sent.
	headers := map[string]string{"Expect": "100-continue"}
	res, err := c.do(ctx, call{method: http.MethodPost, path: path, query: query, body: rows, headers: headers})
	close(joined)
	<-shown
	return res, err
}

// counted tells how much was read, and once that the end was reached.
type counted struct {
	in   io.Reader
	n    int64
	each func(n int64)
	end  func() // may be nil
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n += int64(n)
	c.each(c.n)
	if err == io.EOF && c.end != nil {
		c.end()
		c.end = nil
	}
	return n, err
}
