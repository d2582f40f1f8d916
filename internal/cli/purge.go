package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) gcCommand() *cobra.Command {
	var older, runs, experiments, models string
	var yes bool
	cmd := &cobra.Command{Use: "gc", Short: "Let deleted experiments, runs and logged models go for good, with their files", Args: cobra.NoArgs,
		Long: `Let experiments, runs and logged models go for good that are deleted: all of them, or those that are named
and nothing else. Without --yes it only says what would go, and what that frees.

They are not shown any more, and files that nothing else names are removed, those of the last day within the next. What
happened stays in the log: a moment before shows them still, without their files. An experiment goes with all that is in it.`,
		Example: "  projectionist gc --older-than 30d\n  projectionist gc --older-than 30d --yes\n  projectionist gc --run-ids 8c3feee60d0845f4a3e9ecb202b863c8 --yes",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			body := map[string]any{"older_than": older, "run_ids": listed(runs), "experiment_ids": listed(experiments), "logged_model_ids": listed(models), "dry_run": !yes}
			raw, err := p.operate(ctx, c, "/api/v1/ops/gc", nil, body, "purging")
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			return p.purged(raw)
		})}
	cmd.Flags().StringVar(&older, "older-than", "", "what was deleted so long ago, such as 30d or 2d8h5m20s (default: whenever)")
	cmd.Flags().StringVar(&runs, "run-ids", "", "these runs, with commas between, and nothing that is not named")
	cmd.Flags().StringVar(&experiments, "experiment-ids", "", "these experiments, with commas between")
	cmd.Flags().StringVar(&models, "logged-model-ids", "", "these logged models, with commas between")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// purged tells what goes, or has gone.
func (p *program) purged(raw []byte) error {
	var v struct {
		DryRun       bool     `json:"dry_run"`
		Experiments  int64    `json:"experiments"`
		Runs         int64    `json:"runs"`
		LoggedModels int64    `json:"logged_models"`
		Versions     []string `json:"registered_versions"`
		Blobs        int64    `json:"blobs"`
		Bytes        int64    `json:"bytes"`
		SweptBlobs   int64    `json:"swept_blobs"`
		SweptBytes   int64    `json:"swept_bytes"`
	}
	if err := decode(raw, &v); err != nil {
		return err
	}
	verb := "purged"
	if v.DryRun {
		verb = "would purge"
	}
	fmt.Fprintf(p.out, "%s %s, %s and %s\n", verb, count(v.Experiments, "experiment"), count(v.Runs, "run"), count(v.LoggedModels, "logged model"))
	if len(v.Versions) > 0 {
		fmt.Fprintf(p.out, "registered versions that have their files from these: %s\n", strings.Join(v.Versions, ", "))
	}
	if v.DryRun {
		fmt.Fprintf(p.out, "%s of %s bytes would be named by nothing any more\nto do it, add --yes\n", count(v.Blobs, "file"), thousands(v.Bytes))
		return nil
	}
	fmt.Fprintf(p.out, "%s of %s bytes are named by nothing any more; removed now: %s of %s bytes\n", count(v.Blobs, "file"), thousands(v.Bytes), count(v.SweptBlobs, "file"), thousands(v.SweptBytes))
	return nil
}
