package cli

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/spf13/cobra"
)

// feastRepository is the repository of deploy/feast.
//
//go:embed all:feastrepo
var feastRepository embed.FS

// feastInitCommand writes a repository for Feast's own command line and SDK.
func (p *program) feastInitCommand() *cobra.Command {
	return &cobra.Command{Use: "init DIR", Short: "Write a repository for Feast's own command line and SDK, whose registry, online and offline store this program is", Args: cobra.ExactArgs(1),
		Long: `Write a repository for Feast's own command line and SDK into a new or empty folder: feature_store.yaml
with the addresses of the server that serves the data folder, or else the default ones; computed.py, which
names what the server computes; and reviews.py, an example of features that are pushed.`,
		Example: "  projectionist feast init films && cd films && feast apply && python guide.py",
		RunE:    p.running(func(ctx context.Context, args []string) error { return p.feastInit(ctx, args[0]) })}
}

func (p *program) feastInit(ctx context.Context, dir string) error {
	there, err := os.ReadDir(dir)
	switch {
	case err == nil && len(there) > 0:
		return fault.New(fault.Conflict, "%s is not empty: it has %s", dir, there[0].Name()).WithHint("choose a folder that is new or empty")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const root = "feastrepo"
	all, err := feastRepository.ReadDir(root)
	if err != nil {
		return err
	}
	addresses := feastAddresses(cmp.Or(p.dir, folder(ctx)))
	for _, f := range all {
		text, err := feastRepository.ReadFile(path.Join(root, f.Name()))
		if err != nil {
			return err
		}
		if f.Name() == "feature_store.yaml" {
			text = []byte(addresses.Replace(string(text)))
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(p.out, filepath.Join(dir, f.Name()))
	}
	fmt.Fprintf(p.out, "\nwith Feast and its extra for gRPC (pip install 'feast[grpcio]'):\n  cd %s\n  feast apply\n  python guide.py\n", dir)
	return nil
}

// feastAddresses puts the addresses of the server that serves the data folder in the place of the default ones.
func feastAddresses(data string) *strings.Replacer {
	here, ok := app.ReadServing(data)
	if !ok {
		return strings.NewReplacer()
	}
	var pairs []string
	for _, a := range here.Also {
		host, port, err := net.SplitHostPort(dialable(a.Address))
		if err != nil {
			continue
		}
		if host == "127.0.0.1" {
			host = "localhost"
		}
		at := net.JoinHostPort(host, port)
		switch a.Name {
		case app.RegistryListener:
			pairs = append(pairs, "path: localhost:6570", "path: "+at)
		case "features":
			pairs = append(pairs, "http://localhost:6566", "http://"+at)
		case app.OfflineListener:
			pairs = append(pairs, "host: localhost\n  port: 8815", "host: "+host+"\n  port: "+port)
		}
	}
	return strings.NewReplacer(pairs...)
}
