package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// workflowDefinitions are the commands about what workflows are.
func (p *program) workflowDefinitions() []*cobra.Command {
	validate := &cobra.Command{Use: "validate FILE...", Short: "Say what is wrong with definitions of workflows, with place and remedy; changes nothing", Args: cobra.MinimumNArgs(1),
		Example: "  projectionist workflows validate nightly.yaml",
		RunE: p.running(func(_ context.Context, args []string) error {
			for _, path := range args {
				d, err := readWorkflow(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.out, "%s: workflow %s, %s: good\n", path, d.Name, count(int64(len(d.Tasks)), "task"))
			}
			return nil
		})}
	apply := &cobra.Command{Use: "apply FILE...", Short: "Put definitions of workflows in force, for the runs that are asked for from now on", Args: cobra.MinimumNArgs(1),
		Long: "Put definitions of workflows in force, for the runs that are asked for from now on: a run goes by the\n" +
			"definition of when it was asked for. Files in workflows/ of the data folder are applied at every start,\neach content once.",
		Example: "  projectionist workflows definition movie_training_pipeline > mine.yaml\n  projectionist workflows apply mine.yaml",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			for _, path := range args {
				d, err := readWorkflow(path)
				if err != nil {
					return err
				}
				raw, err := c.whole(ctx, call{method: http.MethodPut, path: "/api/v1/workflows/definitions/" + escape(d.Name),
					body: content{mediaType: "application/yaml", Reader: bytes.NewReader([]byte(d.Source()))}})
				if err != nil {
					return err
				}
				if err := p.commanded(raw, nil); err != nil {
					return err
				}
			}
			return nil
		})}
	var run string
	definition := &cobra.Command{Use: "definition NAME", Short: "Print a workflow's definition as it was written: the one in force, or that of a run", Args: cobra.ExactArgs(1),
		Example: "  projectionist workflows definition movie_training_pipeline\n  projectionist workflows definition nightly --run 4f2c…",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows/definitions/"+escape(args[0]), with(url.Values{}, "run", run))
			return p.answer(raw, err)
		})}
	definition.Flags().StringVar(&run, "run", "", "the one that a run goes by")
	operators := &cobra.Command{Use: "operators", Short: "List what tasks can be made of", Args: cobra.NoArgs, Example: "  projectionist workflows operators",
		RunE: p.running(func(context.Context, []string) error {
			all := roles.Operators()
			items := []map[string]any{}
			for _, name := range all.Names() {
				o := all[name]
				var args []string
				for i := range o.Args {
					args = append(args, o.Args[i].Name)
				}
				items = append(items, map[string]any{"name": name, "args": strings.Join(args, ", "), "inputs": strings.Join(o.Inputs, ", "), "outputs": strings.Join(o.Outputs, ", "), "description": o.Description})
			}
			return p.rows(items, "", "OPERATOR name, ARGUMENTS args, READS inputs, PUTS_OUT outputs, DESCRIPTION description", "there is none")
		})}
	return []*cobra.Command{validate, apply, definition, operators}
}

// readWorkflow reads and checks a definition; faults name the file.
func readWorkflow(path string) (*workflow.Definition, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := workflow.Parse(source, roles.Operators())
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return d, nil
}
