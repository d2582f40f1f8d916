package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/projectionist/projectionist/ml/features"
	"github.com/spf13/cobra"
)

// feastCommand has the commands of Feast's command line, under its names.
func (p *program) feastCommand() *cobra.Command {
	apply := &cobra.Command{Use: "apply [FILE]", Short: "Put a definitions file in force, the built-in one by default, and say what changed", Args: cobra.MaximumNArgs(1),
		Example: "  projectionist feast apply\n  projectionist feast apply definitions.yaml",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			text := []byte(features.DefaultYAML())
			if len(args) > 0 {
				var err error
				if text, err = os.ReadFile(args[0]); err != nil {
					return err
				}
			}
			return p.apply(ctx, c, text)
		})}
	return group("feast", "Features, by the commands of Feast's command line", p.feastInitCommand(), apply, p.featureViewsCommand(), p.entitiesCommand(), p.featureServicesCommand())
}

// apply puts a definitions file in force.
func (p *program) apply(ctx context.Context, c *client, text []byte) error {
	before, err := c.whole(ctx, call{method: http.MethodGet, path: "/api/v1/features/definitions", headers: map[string]string{"Accept": "application/yaml"}})
	var none *problem
	if err != nil && !(errors.As(err, &none) && none.Status == http.StatusNotFound) {
		return err
	}
	raw, err := c.whole(ctx, call{method: http.MethodPost, path: "/api/v1/features/definitions", body: content{mediaType: "application/yaml", Reader: bytes.NewReader(text)}})
	if err != nil || p.json {
		return p.answer(raw, err)
	}
	was := &features.Definitions{}
	if len(before) > 0 {
		if was, err = features.Parse(before); err != nil { // of another release
			return p.commanded(raw, nil)
		}
	}
	is, err := features.Parse(text)
	if err != nil {
		return err
	}
	lines := is.Changes(was)
	for _, line := range lines {
		fmt.Fprintln(p.out, line)
	}
	if len(lines) == 0 {
		fmt.Fprintln(p.out, "no changes: these definitions are in force already")
	}
	return nil
}
