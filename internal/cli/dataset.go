package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const datasetColumns = "NAME name, VERSION version, ROWS rows, FEATURES features, CREATED created_millis, DEFINITIONS features_hash, ENTITIES entities_hash, BLOB blob"

// datasetsCommand is about named training sets.
func (p *program) datasetsCommand() *cobra.Command {
	var h historical
	create := &cobra.Command{Use: "create NAME --entities rows.csv", Short: "Join rows with features as they were, keep what comes of it, and make it the set's next version", Args: cobra.ExactArgs(1),
		Long: `Join rows with features as they were at each row's own time, as features historical does, and keep what comes of it as the next
version of a training set. What a version is follows from the definitions, the rows and the cut of the log: with --known-at the cut
that another version shows, the same rows give the same table, to the byte, whenever that is; the same under the same name is no
new version. A feature of a version of a view is view@v2:feature.`,
		Example: "  projectionist datasets create ranking --entities rows.csv --service ranking\n  projectionist datasets create again --entities rows.csv --service ranking --known-at mlops-events/0:120,user-events/0:45",
		PreRunE: need(&h.entities, "entities", "rows.csv"),
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			rows, done, err := fileOf(h.entities, "text/csv")
			if err != nil {
				return err
			}
			defer done()
			bar := p.bar("")
			defer bar.end()
			res, err := p.sendRows(ctx, c, "/api/v1/training-sets/"+escape(args[0]), rows, h.query(), bar)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			raw, err := io.ReadAll(res.Body)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			bar.end()
			set := map[string]any{}
			if err := decode(raw, &set); err != nil {
				return err
			}
			if set["unchanged"] == true {
				fmt.Fprintln(p.err, "there is this version already")
			}
			return p.datasetRows(set)
		})}
	h.which.flags(create)
	h.moments(create)

	list := &cobra.Command{Use: "list [NAME]", Short: "List training sets, or the versions of one", Args: cobra.MaximumNArgs(1), Example: "  projectionist datasets list ranking"}
	list.RunE = p.asking(func(ctx context.Context, c *client, args []string) error {
		path := "/api/v1/training-sets"
		if len(args) > 0 {
			path += "/" + escape(args[0])
		}
		raw, err := c.get(ctx, path, nil)
		if err != nil || p.json {
			return p.answer(raw, err)
		}
		items, more, err := itemsOf(raw, "items")
		if err != nil {
			return err
		}
		for _, it := range items {
			countFeatures(it)
		}
		return p.rows(items, more, datasetColumns, "there is none yet")
	})

	var out string
	show := &cobra.Command{Use: "show NAME [VERSION]", Short: "Show a version of a training set, the latest by default: its definitions, rows and cut; -o writes its rows", Args: cobra.RangeArgs(1, 2),
		Example: "  projectionist datasets show ranking 2\n  projectionist datasets show ranking -o training.csv",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			path := "/api/v1/training-sets/" + escape(args[0]) + "/" + escape(append(args, "latest")[1])
			if out != "" {
				return p.saveRows(ctx, c, path+"/rows", out)
			}
			raw, err := c.get(ctx, path, nil)
			if err != nil {
				return err
			}
			return p.document(raw)
		})}
	show.Flags().StringVarP(&out, "out", "o", "", "file to write the rows to, as CSV; - is standard output")

	diff := &cobra.Command{Use: "diff NAME VERSION VERSION", Short: "Show what tells two versions of a training set apart: definitions, rows, cut, and the values that changed", Args: cobra.ExactArgs(3),
		Example: "  projectionist datasets diff ranking 1 2",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/training-sets/"+escape(args[0])+"/"+escape(args[1])+"/diff/"+escape(args[2]), nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			return p.datasetDiff(raw)
		})}
	return group("datasets", "Training sets: named, versioned, and the same whenever they are made", create, list, show, diff)
}

func countFeatures(set map[string]any) {
	columns, _ := set["columns"].([]any)
	set["features"] = len(columns)
	for _, name := range []string{"features_hash", "entities_hash", "blob"} {
		if text, ok := set[name].(string); ok && len(text) > 12 {
			set[name] = text[:12]
		}
	}
}

func (p *program) datasetRows(set map[string]any) error {
	cut := set["cut"]
	countFeatures(set)
	if err := p.rows([]map[string]any{set}, "", datasetColumns, ""); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "cut %v\n", cut)
	return err
}

// saveRows writes the rows of a version.
func (p *program) saveRows(ctx context.Context, c *client, path, out string) error {
	res, err := c.do(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == "-" {
		_, err = io.Copy(p.out, res.Body)
		return err
	}
	bar := p.bar("")
	defer bar.end()
	n, err := writeWhole(out, &counted{in: res.Body, each: func(n int64) { bar.show("receiving bytes", n, max(res.ContentLength, 0)) }})
	if err != nil {
		return err
	}
	bar.end()
	fmt.Fprintf(p.err, "wrote %s bytes to %s\n", thousands(n), out)
	return nil
}

func (p *program) datasetDiff(raw []byte) error {
	var d struct {
		From, To struct {
			Version int
			Rows    int64
		}
		SameDefinitions bool             `json:"same_definitions"`
		SameEntities    bool             `json:"same_entities"`
		SameCut         bool             `json:"same_cut"`
		SameRows        bool             `json:"same_rows"`
		ColumnsAdded    []string         `json:"columns_added"`
		ColumnsRemoved  []string         `json:"columns_removed"`
		RecordsBetween  map[string]int64 `json:"records_between"`
		RowsCompared    int64            `json:"rows_compared"`
		RowsChanged     int64            `json:"rows_changed"`
		ValuesChanged   map[string]int64 `json:"values_changed"`
	}
	if err := decode(raw, &d); err != nil {
		return err
	}
	same := func(is bool) string {
		if is {
			return "the same"
		}
		return "others"
	}
	fmt.Fprintf(p.out, "versions     %d and %d, of %s and %s rows\n", d.From.Version, d.To.Version, thousands(d.From.Rows), thousands(d.To.Rows))
	fmt.Fprintf(p.out, "definitions  %s\n", same(d.SameDefinitions))
	fmt.Fprintf(p.out, "entity rows  %s\n", same(d.SameEntities))
	cut := "the same"
	if !d.SameCut {
		var parts []string
		for _, tp := range slices.Sorted(maps.Keys(d.RecordsBetween)) {
			parts = append(parts, fmt.Sprintf("%s %+d", tp, d.RecordsBetween[tp]))
		}
		cut = "another: " + strings.Join(parts, ", ")
	}
	fmt.Fprintf(p.out, "cut          %s\n", cut)
	for _, c := range []struct {
		what  string
		names []string
	}{{"added", d.ColumnsAdded}, {"removed", d.ColumnsRemoved}} {
		if len(c.names) > 0 {
			fmt.Fprintf(p.out, "%-12s %s\n", c.what, strings.Join(c.names, ", "))
		}
	}
	switch {
	case d.SameRows:
		fmt.Fprintln(p.out, "values       the same, to the byte")
	case !d.SameEntities:
		fmt.Fprintln(p.out, "values       not compared: the rows are others")
	default:
		fmt.Fprintf(p.out, "values       changed in %s of %s rows\n", thousands(d.RowsChanged), thousands(d.RowsCompared))
		for _, name := range slices.Sorted(maps.Keys(d.ValuesChanged)) {
			fmt.Fprintf(p.out, "  %s  %s\n", name, thousands(d.ValuesChanged[name]))
		}
	}
	return nil
}
