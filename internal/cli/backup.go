package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) backupCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{Use: "backup --to DIR", Short: "Copy the running log and the blobs into a new folder, which can be served", Args: cobra.NoArgs,
		Long: `Copy the running log and the blobs into a new folder, which can be served, and read the copy again: every
record is compared with the log's, every blob with its hash. It says up to where in the log the copy goes.

The folder is on the server's machine, outside its data folder. One whose backup failed or was cut off is
marked, and is not served: delete it.`,
		Example: "  projectionist backup --to /backups/2024-01-15", PreRunE: need(&to, "to", "/backups/2024-01-15"),
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			path, err := absolute(to)
			if err != nil {
				return err
			}
			raw, err := p.operate(ctx, c, "/api/v1/ops/backup", nil, map[string]any{"to": path}, "backing up")
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			return p.backedUp(raw)
		})}
	cmd.Flags().StringVar(&to, "to", "", "an empty or new folder on the server's machine")
	return cmd
}

// backedUp shows what a backup holds.
func (p *program) backedUp(raw []byte) error {
	var res struct {
		To, Cut, Note string
		Records       int64
		Events        int64
		Streams       int64
		Blobs         int64
		BlobBytes     int64 `json:"blob_bytes"`
		Partitions    []struct {
			Topic     string
			Partition int32
			Records   int64
			Next      int64
			SHA256    string
		}
	}
	if err := json.Unmarshal(raw, &res); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	var rows []map[string]any
	for _, part := range res.Partitions {
		rows = append(rows, map[string]any{"t": part.Topic, "p": part.Partition, "n": thousands(part.Records), "next": part.Next, "s": part.SHA256})
	}
	if err := table(p.out, columns("TOPIC t, PARTITION p, RECORDS n, NEXT next, SHA-256 s"), rows); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "\n%s records, with %s events in %s streams of the ledger, and %s blobs (%s bytes): all were read again and are equal\n",
		thousands(res.Records), thousands(res.Events), thousands(res.Streams), thousands(res.Blobs), thousands(res.BlobBytes))
	fmt.Fprintln(p.out, "backed up to", res.To, "up to the cut", res.Cut)
	if res.Note != "" {
		fmt.Fprintln(p.out, "it holds", res.Note)
	}
	return nil
}
