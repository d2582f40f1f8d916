package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/ml/recipe/all"
)

// readParams adds the values of --param, each NAME=VALUE, to those that are given.
func readParams(given map[string]string, params []string) error {
	for _, kv := range params {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return fmt.Errorf("--param: %q: want NAME=VALUE", kv)
		}
		if was, twice := given[k]; twice {
			return fmt.Errorf("--param: %s is given twice, as %s and %s", k, was, v)
		}
		given[k] = v
	}
	return nil
}

func (p *program) trainCommand() *cobra.Command {
	var algorithm string
	var params []string
	short := map[string]*string{} // by the end of the parameter's name
	given := map[string]string{}
	cmd := &cobra.Command{Use: "train ALGORITHM", Short: "Train a model at once, show how it goes, and register it", Args: cobra.MaximumNArgs(1),
		Long: "Train a model on all that the log holds, at once and without deploying it: " + recipeNames() + ", or movie_predictor,\n" +
			"the neural baseline. It prints what is trained on what, and the loss of each epoch, and registers a version.\n" +
			"--param NAME=VALUE sets any parameter of the recipe; what is wrong with one is said before anything is done.",
		Example: "  projectionist train neural_cf --num-users 100 --num-movies 1000 --epochs 10\n  projectionist train movie_predictor\n" +
			"  projectionist train --algorithm " + exampleModel + " --param holdout_share=0.2",
		PreRunE: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && algorithm != "" && algorithm != args[0]:
				return fmt.Errorf("--algorithm says %s, the argument %s", algorithm, args[0])
			case len(args) == 1:
				algorithm = args[0]
			case algorithm == "":
				return errors.New("say what to train, such as " + all.Default().Name)
			}
			for name, value := range short {
				if *value != "" {
					given[algorithm+"."+name] = *value
				}
			}
			return readParams(given, params)
		},
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			return p.train(ctx, c, algorithm, given)
		})}
	f := cmd.Flags()
	f.StringVar(&algorithm, "algorithm", "", "instead of the argument")
	f.StringArrayVar(&params, "param", nil, "a parameter, NAME=VALUE; may be repeated")
	for flag, v := range map[string][2]string{
		"num-users": {"users", "people with an embedding, the most active ones"}, "num-movies": {"movies", "films with an embedding, the most rated ones"},
		"epochs": {"epochs", "passes over the ratings at most"}, "batch-size": {"batch", "ratings per step"}, "lr": {"learning_rate", "learning rate of Adam"},
		"dropout": {"dropout", "share of hidden units that a step leaves out"}, "embedding-dim": {"embedding", "length of an embedding"}, "seed": {"seed", "of all randomness"},
	} {
		short[v[0]] = f.String(flag, "", v[1]+" (parameter ALGORITHM."+v[0]+")")
	}
	return cmd
}

// train asks for a training and writes its sizes and losses as they come.
func (p *program) train(ctx context.Context, c *client, algorithm string, params map[string]string) error {
	bar := p.bar("training " + algorithm)
	defer bar.end()
	out := p.out
	if p.json {
		out = io.Discard
	}
	var last step // that tells of an epoch
	raw, err := p.follow(ctx, c, "/api/v1/ops/train", nil, map[string]any{"algorithm": algorithm, "params": params}, func(s step) {
		switch {
		case s.Sizes != nil:
			bar.end()
			for _, z := range s.Sizes {
				fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-18s %9s  %s", z.Name, thousands(z.N), z.Note), " "))
			}
		case s.Loss != nil:
			bar.end()
			line := fmt.Sprintf("epoch %*d/%d  loss %.4f", len(fmt.Sprint(s.Total)), s.Done, s.Total, *s.Loss)
			if s.Validation != nil {
				line += fmt.Sprintf("  validation loss %.4f", *s.Validation)
			}
			if s.Stage != "fit" {
				line = s.Stage + ": " + line
			}
			fmt.Fprintln(out, line)
			last = s
		default:
			bar.show(s.Stage, s.Done, s.Total)
		}
	})
	if err != nil {
		return err
	}
	bar.end()
	if last.Validation != nil && last.Done < last.Total {
		fmt.Fprintf(out, "ended after epoch %d of %d: the validation loss had stopped falling\n", last.Done, last.Total)
	}
	return p.registered(raw)
}

// registered tells of a version that was made.
func (p *program) registered(raw []byte) error {
	if p.json {
		return p.printRaw(raw)
	}
	var res struct {
		Model    string
		Version  int
		RunID    string `json:"run_id"`
		Bytes    int64
		Figures  map[string]float64
		Position string
		File     string
		NoFile   string `json:"no_file"`
	}
	if err := decode(raw, &res); err != nil {
		return err
	}
	var figures []string
	for _, name := range slices.Sorted(maps.Keys(res.Figures)) {
		if v := res.Figures[name]; v == float64(int64(v)) {
			figures = append(figures, name+" "+thousands(int64(v)))
		} else {
			figures = append(figures, fmt.Sprintf("%s %.4f", name, v))
		}
	}
	if len(figures) > 0 {
		fmt.Fprintln(p.out, strings.Join(figures, "  "))
	}
	fmt.Fprintf(p.out, "registered %s version %d (%s bytes), run %s, at %s\n", res.Model, res.Version, thousands(res.Bytes), res.RunID, res.Position)
	switch {
	case res.File != "":
		fmt.Fprintln(p.out, "its weights are in", res.File)
	case res.NoFile != "":
		fmt.Fprintln(p.err, "its weights are not there as a file:", oneLine(res.NoFile))
	}
	return nil
}

func (p *program) modelExportCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "export NAME VERSION [FILE]", Short: "Write a version's weights as a safetensors or ONNX file", Args: cobra.RangeArgs(2, 3),
		Long: "Write a version's weights as a file that others read. One that is there is not overwritten; without FILE it is\n" +
			"NAME-VERSION.FORMAT.\n" +
			"safetensors, for PyTorch and others: the tensors of any model, named as in its state_dict; lists such as user_ids\n" +
			"and movie_ids are JSON arrays in __metadata__.\n" +
			"onnx, for onnxruntime and others (operators of set 13), also where FILE ends in .onnx: a graph of " + strings.Join(all.Graphs(), ", ") + ".\n" +
			"Its inputs user and item are rows, int64[n]; its output is rating, float32[n], cut to the scale as by /predict, or\n" +
			"score where the model predicts no ratings. user_ids and item_ids in the metadata are JSON arrays with the id of\n" +
			"each row; the row -1 is whoever, or whatever, has none. movie_predictor's input is features, float32[n, features].",
		Example: "  projectionist models export neural_cf 1 neural_cf.safetensors\n  projectionist models export neural_cf 1 --format onnx",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			as := format
			if as == "" && len(args) > 2 {
				as = all.FormatOf(args[2])
			}
			as = cmp.Or(as, all.Safetensors)
			file := strings.NewReplacer("/", "_", `\`, "_").Replace(args[0]+"-"+args[1]) + "." + as
			if len(args) > 2 {
				file = args[2]
			}
			res, err := c.do(ctx, call{method: http.MethodGet, path: version(args) + "/weights", query: url.Values{"format": {as}}})
			if err != nil {
				return err
			}
			defer res.Body.Close()
			n, err := writeNew(file, res.Body)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "wrote %s, %s bytes\n", file, thousands(n))
			return nil
		})}
	cmd.Flags().StringVar(&format, "format", "", "safetensors or onnx (default: what FILE ends in, else safetensors)")
	return cmd
}

// writeNew writes a file that is not there, whole or not at all.
func writeNew(path string, content io.Reader) (n int64, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return n, err
}

func (p *program) modelImportCommand() *cobra.Command {
	return &cobra.Command{Use: "import NAME FILE", Short: "Register a version from a safetensors file, such as PyTorch writes", Args: cobra.ExactArgs(2),
		Long: "Register a version from a safetensors file whose tensors have the names of neural_cf's state_dict:\n" +
			"user_embedding.weight, movie_embedding.weight, mlp.0.weight, mlp.0.bias, mlp.3.…, mlp.6.…, output.weight and\n" +
			"output.bias, with user_ids and movie_ids as JSON arrays in its __metadata__. With kind neural-cf there, and params\n" +
			"an object with rating_min and rating_max, predictions are cut to that scale. A file that does not fit is refused,\n" +
			"and why is said.",
		Example: "  projectionist models import neural_cf neural_cf.safetensors",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			body, done, err := fileOf(args[1], "application/octet-stream")
			if err != nil {
				return err
			}
			defer done()
			raw, err := c.whole(ctx, call{method: "POST", path: "/api/v1/ops/models/" + escape(args[0]) + "/import", body: body})
			if err != nil {
				return err
			}
			return p.registered(raw)
		})}
}
