package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func (p *program) qualityCommand() *cobra.Command {
	var from, to, window, model string
	var version, last int
	var m moment
	cmd := &cobra.Command{Use: "quality", Short: "Show how well what serves foresees what people choose, as a curve", Args: cobra.NoArgs,
		Long: `Show how well what serves foresees what people choose: each act is ranked for before the online model learns of it, among all films that the person
has not met, by what serves and, beside it, by its parts and by popularity. HR@10 is the share of the acts whose film was among the first ten, POPULAR and LATELY that of popularity, and of popularity that forgets. AHEAD is how far what
served was ahead of the latter, with its 95 % interval: where that is above 0, it is better beyond chance.`,
		Example: "  projectionist quality\n  projectionist quality --window hour --from 2026-11-28\n  projectionist quality --window 1000 --last 10\n  projectionist quality --model films --version 3 --known-at 2026-11-28",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			q := url.Values{}
			for name, v := range map[string]string{"from": from, "to": to, "window": window, "model": model} {
				with(q, name, v)
			}
			if version != 0 {
				q.Set("version", fmt.Sprint(version))
			}
			if last != 0 {
				q.Set("last", fmt.Sprint(last))
			}
			raw, err := c.get(ctx, "/api/v1/quality", m.query(q))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			return p.curve(raw)
		})}
	cmd.Flags().StringVar(&from, "from", "", "from this time on (event time); 30 days without it")
	cmd.Flags().StringVar(&to, "to", "", "until this time")
	cmd.Flags().StringVar(&window, "window", "day", "length of a window: day, hour, or a number of acts such as 1000")
	cmd.Flags().IntVar(&last, "last", 0, "how many windows of acts are told")
	cmd.Flags().StringVar(&model, "model", "", "of this model alone")
	cmd.Flags().IntVar(&version, "version", 0, "of this version of it alone")
	m.knownFlag(cmd)
	return cmd
}

// curve writes windows and, between them, what was deployed.
func (p *program) curve(raw []byte) error {
	var res struct {
		Windows []struct {
			From, To     string
			ModelName    string `json:"model_name"`
			ModelVersion int    `json:"model_version"`
			Acts, Judged int64
			Sources      map[string]struct {
				HitRate float64                         `json:"hr@10"`
				NDCG    float64                         `json:"ndcg@10"`
				Ahead   struct{ By, Low, High float64 } `json:"served_ahead"`
			}
		}
		Deployments []struct {
			Time         string
			ModelName    string `json:"model_name"`
			ModelVersion int    `json:"model_version"`
		}
	}
	if err := decode(raw, &res); err != nil {
		return err
	}
	var items []map[string]any
	mark := func(until string) {
		for len(res.Deployments) > 0 && (until == "" || res.Deployments[0].Time < until) {
			d := res.Deployments[0]
			items = append(items, map[string]any{"from": d.Time, "by": fmt.Sprintf("deployed: %s %d", d.ModelName, d.ModelVersion)})
			res.Deployments = res.Deployments[1:]
		}
	}
	for _, w := range res.Windows {
		mark(w.From)
		by := "counting"
		if w.ModelName != "" {
			by = fmt.Sprintf("%s %d", w.ModelName, w.ModelVersion)
		}
		served, lately := w.Sources["served"], w.Sources["decayed_popularity"]
		items = append(items, map[string]any{"from": w.From, "by": by, "acts": w.Acts, "judged": w.Judged, "hr": figure(served.HitRate), "ndcg": figure(served.NDCG),
			"popular": figure(w.Sources["popularity"].HitRate), "lately": figure(lately.HitRate),
			"ahead": fmt.Sprintf("%+.4f (%+.4f to %+.4f)", lately.Ahead.By, lately.Ahead.Low, lately.Ahead.High)})
	}
	if len(res.Windows) == 0 {
		fmt.Fprintln(p.err, "no act was judged: acts are, as they come, once a model or counting serves")
		return nil
	}
	mark("")
	return table(p.out, columns("FROM from, SERVED by, ACTS acts, JUDGED judged, HR@10 hr, NDCG@10 ndcg, POPULAR popular, LATELY lately, AHEAD ahead"), items)
}

func figure(v float64) string { return fmt.Sprintf("%.4f", v) }
