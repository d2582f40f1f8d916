package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/ml/recipe/all"
)

// exampleModel is the model of examples in the help: the one that there is without asking.
var exampleModel = all.Default().Name

func (p *program) modelsCommand() *cobra.Command {
	var m moment
	var g page
	list := &cobra.Command{Use: "list", Short: "List registered models", Args: cobra.NoArgs, Example: "  projectionist models list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/models", m.query(g.query(nil)))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				versions, _ := it["versions"].([]any)
				it["n"] = len(versions)
				for _, v := range versions {
					if v, ok := v.(map[string]any); ok {
						if stage := cell(v["stage"]); stage != "None" {
							it[stage] = v["version"]
						}
					}
				}
			}
			return p.rows(items, more, "NAME name, VERSIONS n, PRODUCTION Production, STAGING Staging, ALIASES aliases, UPDATED updated_millis, DESCRIPTION description", "no model is registered yet")
		})}
	m.flags(list)
	g.flags(list)

	var sm moment
	show := &cobra.Command{Use: "show NAME [VERSION]", Short: "Show a model's versions, or all of one version", Args: cobra.RangeArgs(1, 2),
		Example: "  projectionist models show " + exampleModel + "\n  projectionist models show " + exampleModel + " 2 --known-at 2024-01-15",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			path := "/api/v1/models/" + escape(args[0])
			if len(args) == 2 {
				raw, err := c.get(ctx, path+"/versions/"+escape(args[1]), sm.query(nil))
				if err != nil {
					return err
				}
				return p.document(raw)
			}
			raw, err := c.get(ctx, path, sm.query(nil))
			if err != nil {
				return err
			}
			return p.list(raw, "versions", "VERSION version, STAGE stage, REGISTERED event_millis, ALGORITHM algorithm, BYTES bytes, BLOB blob, RUN run_id, DATASET dataset_id", "it has no version yet")
		})}
	sm.flags(show)

	var archive bool
	var stageReason string
	stage := &cobra.Command{Use: "stage NAME VERSION STAGE", Short: "Move a version to Staging, Production, Archived or None", Args: cobra.ExactArgs(3),
		Example: "  projectionist models stage " + exampleModel + " 2 Production --archive --reason 'better on new people'",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.post(ctx, version(args)+"/stage", map[string]any{"stage": args[2], "archive_existing": archive, "reason": stageReason})
			return p.commanded(raw, err)
		})}
	stage.Flags().BoolVar(&archive, "archive", false, "archive the versions that are in that stage now")
	stage.Flags().StringVar(&stageReason, "reason", "", "why, for the audit")

	rename := &cobra.Command{Use: "rename NAME NEW", Short: "Give a model another name; what serves goes on serving", Args: cobra.ExactArgs(2),
		Example: "  projectionist models rename " + exampleModel + " films",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.post(ctx, "/api/v1/models/"+escape(args[0])+"/rename", map[string]any{"name": args[1]})
			return p.commanded(raw, err)
		})}

	var slot, deployReason string
	deploy := &cobra.Command{Use: "deploy NAME VERSION", Short: "Serve a version", Args: cobra.ExactArgs(2), Example: "  projectionist models deploy " + exampleModel + " 2",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			body := map[string]any{"reason": deployReason}
			if slot != "" {
				body["slot"] = slot
			}
			raw, err := c.post(ctx, version(args)+"/deploy", body)
			return p.commanded(raw, err)
		})}
	deploy.Flags().StringVar(&slot, "slot", "", "where (default: production)")
	deploy.Flags().StringVar(&deployReason, "reason", "", "why, for the audit")

	rebuild := &cobra.Command{Use: "rebuild NAME VERSION", Short: "Train a version again from the log alone and compare the bytes", Args: cobra.ExactArgs(2),
		Long: "Train a version again from the log alone and compare its SHA-256 with the registered one.\n" +
			"Weights that are missing or damaged in the data folder are put back if they are the same.\nExit code 1 if they differ.",
		Example: "  projectionist models rebuild " + exampleModel + " 1",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := p.operate(ctx, c, "/api/v1/ops/models/"+escape(args[0])+"/"+escape(args[1])+"/rebuild", nil, nil, "training again")
			if err != nil {
				return err
			}
			if err := p.document(raw); err != nil {
				return err
			}
			return differs(raw)
		})}
	return group("models", "Registered models: list, rename, stage, deploy, train again, exchange", list, show, rename, stage, deploy, rebuild,
		p.modelExportCommand(), p.modelImportCommand())
}

// differs is exit code 1 for a result that says that something is not equal.
func differs(raw []byte) error {
	var res map[string]any
	if err := decode(raw, &res); err != nil {
		return err
	}
	if res["equal"] == false {
		return errors.New("what came out is not what was registered")
	}
	return nil
}

func version(args []string) string {
	return "/api/v1/models/" + escape(args[0]) + "/versions/" + escape(args[1])
}

// commanded tells what a command came to.
func (p *program) commanded(raw []byte, err error) error {
	if err != nil || p.json {
		return p.answer(raw, err)
	}
	var res struct {
		Stream    string
		Revision  int64
		Position  string
		Unchanged bool
		Events    []struct{ Type string }
	}
	if err := decode(raw, &res); err != nil {
		return err
	}
	if res.Unchanged {
		fmt.Fprintf(p.out, "unchanged: %s is so already\n", res.Stream)
		return nil
	}
	for _, e := range res.Events {
		fmt.Fprintf(p.out, "%s in %s, revision %d, at %s\n", e.Type, res.Stream, res.Revision, res.Position)
	}
	return nil
}

func (p *program) deploymentsCommand() *cobra.Command {
	var m moment
	var history string
	cmd := &cobra.Command{Use: "deployments", Short: "Show which model version serves, or served at a moment", Args: cobra.NoArgs,
		Example: "  projectionist deployments\n  projectionist deployments --known-at 2024-01-15\n  projectionist deployments --history production",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			path := "/api/v1/deployments"
			if history != "" {
				path += "/" + escape(history) + "/history"
			}
			raw, err := c.get(ctx, path, m.query(nil))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "SLOT slot, MODEL model, VERSION version, SINCE event_millis, RECORDED recorded_millis, BEFORE previous_version, ACTOR actor, REASON reason, POSITION position", "nothing was deployed")
		})}
	cmd.Flags().StringVar(&history, "history", "", "everything a slot ever served, newest first")
	m.flags(cmd)
	return cmd
}
