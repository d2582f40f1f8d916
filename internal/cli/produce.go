package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

const (
	producedMax      = 500     // lines of one request, where they come from a file
	producedBytesMax = 1 << 19 // of one request; the server takes twice that
	producedLineMax  = 1 << 18
)

func (p *program) produceCommand() *cobra.Command {
	return &cobra.Command{Use: "produce TOPIC", Short: "Publish what standard input says to a topic, a JSON value a line", Args: cobra.ExactArgs(1),
		Long: `Publish what standard input says to a topic, a JSON value a line, as kafka-console-producer does: each in the
flat form documented for the topic. A line that cannot be taken is named, and what came before it is in the log.`,
		Example: `  echo '{"user_id":"user_001","movie_id":"movie_011","interaction_type":"like"}' | projectionist produce user-events`,
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			in := os.Stdin
			info, err := in.Stat()
			if err != nil {
				return err
			}
			n, err := produce(ctx, c, args[0], in, info.Mode()&os.ModeCharDevice != 0)
			if n > 0 || err == nil {
				fmt.Fprintf(p.err, "%s published\n", count(int64(n), "record"))
			}
			return err
		})}
}

// produce publishes lines, each at once where somebody types them, else many in a request. It gives how many were taken.
func produce(ctx context.Context, c *client, topic string, in io.Reader, typed bool) (taken int, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, producedLineMax)
	var batch bytes.Buffer
	number, first, n := 0, 0, 0 // of the line, of the batch's first, of the batch's values
	send := func() error {
		if n == 0 {
			return nil
		}
		_, err := c.whole(ctx, call{method: http.MethodPost, path: recordsPath(topic), body: content{mediaType: "application/x-ndjson", Reader: bytes.NewReader(batch.Bytes())}})
		if err != nil {
			return fmt.Errorf("lines %d to %d were not taken: %w", first, number, err)
		}
		taken += n
		n = 0
		batch.Reset()
		return nil
	}
	for lines.Scan() {
		number++
		if n == 0 {
			first = number
		}
		batch.Write(lines.Bytes())
		batch.WriteByte('\n')
		if len(bytes.TrimSpace(lines.Bytes())) > 0 {
			n++
		}
		if typed || n == producedMax || batch.Len() > producedBytesMax {
			if err := send(); err != nil {
				return taken, err
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return taken, fmt.Errorf("line %d has more than %d bytes", number+1, producedLineMax)
	} else if err != nil {
		return taken, err
	}
	return taken, send()
}

func (p *program) consumeCommand() *cobra.Command {
	var beginning bool
	var n int
	cmd := &cobra.Command{Use: "consume TOPIC", Short: "Print a topic's values, a line each, as they come", Args: cobra.ExactArgs(1),
		Long:    "Print a topic's values, a line each, as kafka-console-consumer does: new ones as they come, until it is\nstopped; with --from-beginning those that are there before.",
		Example: "  projectionist consume user-events --from-beginning --max-messages 10"}
	cmd.RunE = p.asking(func(ctx context.Context, c *client, args []string) error {
		q := url.Values{"from": {"end"}, "follow": {"true"}}
		if beginning {
			q.Set("from", "beginning")
		}
		if n > 0 {
			q.Set("limit", fmt.Sprint(n))
		}
		err := c.lines(ctx, call{method: http.MethodGet, path: recordsPath(args[0]), query: q}, func(line []byte) error {
			r, err := parseRecord(line)
			if err != nil {
				return err
			}
			fmt.Fprintln(p.out, visible(valueOf(&r)))
			return nil
		})
		if ctx.Err() != nil { // it is how one ends
			return nil
		}
		return err
	})
	cmd.Flags().BoolVar(&beginning, "from-beginning", false, "begin with the first value there is")
	cmd.Flags().IntVar(&n, "max-messages", 0, "end after so many")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if n < 0 || n > recordsMax {
			return fmt.Errorf("--max-messages: %d: want 1 to %d", n, recordsMax)
		}
		return nil
	}
	return cmd
}

// valueOf is a record's value; one that could not be read as it came.
func valueOf(r *record) string {
	if len(r.Data) > 0 {
		return string(r.Data)
	}
	var text string
	if json.Unmarshal(r.Value, &text) == nil {
		return text
	}
	return string(r.Value)
}
