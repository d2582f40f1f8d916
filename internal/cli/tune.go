package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/ml/recipe"
)

func (p *program) tuneCommand() *cobra.Command {
	trials, parallel, seed := recipe.TrialsDefault, 1, uint64(1)
	var params []string
	given := map[string]string{}
	cmd := &cobra.Command{Use: "tune ALGORITHM", Short: "Search good parameters of an algorithm, and register a version of the best", Args: cobra.ExactArgs(1),
		Long: "Try configurations of an algorithm (" + recipeNames() + ") on the last part of what the log holds, trained on what is before it,\n" +
			"and register a version of the best, trained on everything and not deployed. The first trial is the parameters as they are; the\n" +
			"others are drawn by the seed from where the recipe says that they are searched. Many trials are halved: all are tried on\n" +
			"some of the people, the best third on more, and so on (successive halving). Rankings are judged by ndcg@10, predictions of\n" +
			"ratings by rmse.\n\n" +
			"Each trial is a run below the search's own. The same search that was cut off, by Ctrl-C, a crash or kill -9, goes on where it\n" +
			"was, on the data that it began with. --param NAME=VALUE keeps a parameter as it is.",
		Example: "  projectionist tune " + exampleModel + " --trials 9\n  projectionist tune neural_cf --trials 12 --seed 7 --param neural_cf.epochs=5",
		PreRunE: func(*cobra.Command, []string) error {
			return readParams(given, params)
		},
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			return p.tune(ctx, c, args[0], map[string]any{"algorithm": args[0], "params": given, "trials": trials, "seed": seed, "parallel": parallel})
		})}
	f := cmd.Flags()
	f.IntVar(&trials, "trials", trials, fmt.Sprintf("configurations to try, 2 to %d", recipe.TrialsMax))
	f.Uint64Var(&seed, "seed", seed, "of the configurations, and of the people they are tried on")
	f.IntVar(&parallel, "parallel", parallel, "trials at once, at most, as far as memory goes; each trains on all processors already")
	f.StringArrayVar(&params, "param", nil, "a parameter that is not searched, NAME=VALUE; may be repeated")
	return cmd
}

// tune asks for a search and writes its trials as they end.
func (p *program) tune(ctx context.Context, c *client, algorithm string, body map[string]any) error {
	bar := p.bar("tuning " + algorithm)
	defer bar.end()
	out := p.out
	if p.json {
		out = io.Discard
	}
	rung := 0
	raw, err := p.follow(ctx, c, "/api/v1/ops/tune", nil, body, func(s step) {
		if s.Tried == nil {
			bar.show(s.Stage, s.Done, s.Total)
			return
		}
		bar.end()
		t := s.Tried
		if t.Rung != rung {
			rung = t.Rung
			fmt.Fprintf(out, "rung %d of %d, on %.0f %% of the people\n", t.Rung, t.Rungs, 100*t.Share)
		}
		fmt.Fprintln(out, tried(t))
	})
	if err != nil {
		return err
	}
	bar.end()
	if !p.json {
		var done struct {
			Best   int               `json:"best_trial"`
			Trials int               `json:"trials"`
			Score  *float64          `json:"score"`
			Metric string            `json:"metric"`
			Params map[string]string `json:"params"`
			Search string            `json:"search_run_id"`
		}
		if err := json.Unmarshal(raw, &done); err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
		fmt.Fprintf(out, "the best of %d is trial %d", done.Trials, done.Best)
		if done.Score != nil {
			fmt.Fprintf(out, ", %s %.4f", strings.TrimPrefix(done.Metric, "-"), max(*done.Score, -*done.Score))
		}
		fmt.Fprintf(out, ": %s; run %s\n", assignments(done.Params), done.Search)
	}
	return p.registered(raw)
}

// tried is a trial on one line.
func tried(t *roles.Trial) string {
	line := fmt.Sprintf("  trial %3d  ", t.Trial)
	switch {
	case t.Score == nil:
		line += "not judged: " + oneLine(t.Failed)
	case *t.Score < 0: // the error of predictions
		line += fmt.Sprintf("rmse %.4f", -*t.Score)
	default:
		line += fmt.Sprintf("ndcg@10 %.4f", *t.Score)
	}
	line += "  " + assignments(t.Params)
	if t.Before {
		line += "  (before)"
	}
	return line
}

// assignments are parameters by name.
func assignments(params map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		list = append(list, name+"="+params[name])
	}
	return strings.Join(list, " ")
}
