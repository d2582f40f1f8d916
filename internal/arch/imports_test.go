// Package arch holds what must be true of the code as a whole.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/projectionist/projectionist"

// rules are the table of docs/ARCHITECTURE.md. The longest prefix that fits a package decides: which of
// our packages it may import (prefixes), and which modules of others.
var rules = map[string]struct{ ours, others []string }{
	"events":                  {nil, nil},
	"commands":                {[]string{"events", "internal/fault"}, nil},
	"handlers":                {[]string{"commands", "events", "streams", "internal/fault"}, nil},
	"handlers/react":          {[]string{"commands", "events", "handlers", "streams", "projections", "ml", "internal"}, []string{"github.com/ThreeDotsLabs/watermill"}},
	"streams":                 {[]string{"events", "internal/fault"}, nil},
	"streams/local":           {[]string{"streams", "events", "internal/fault"}, []string{"github.com/cockroachdb/pebble/v2", "golang.org/x/sys"}},
	"streams/door":            {[]string{"streams", "events", "internal/fault"}, []string{"github.com/twmb/franz-go/pkg/kmsg", "github.com/klauspost/compress", "github.com/pierrec/lz4/v4"}},
	"streams/kafka":           {[]string{"streams", "events", "internal/fault"}, []string{"github.com/IBM/sarama", "github.com/xdg-go/scram", "github.com/cockroachdb/pebble/v2", "github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-kafka/v3"}},
	"streams/eventstore":      {[]string{"streams", "events", "internal/fault"}, []string{"github.com/EventStore/EventStore-Client-Go/v4", "github.com/google/uuid", "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto"}},
	"streams/eventstore/fake": {[]string{"streams", "events", "internal/fault"}, []string{"github.com/EventStore/EventStore-Client-Go/v4", "github.com/google/uuid", "google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto"}},
	"streams/conformance":     {[]string{"streams", "events", "internal/fault"}, nil},
	"projections":             {[]string{"events", "streams", "ml", "internal/fault"}, []string{"github.com/cockroachdb/pebble/v2", "github.com/prometheus/client_golang"}},
	"ml":                      {[]string{"ml", "internal/fault"}, []string{"gonum.org/v1/gonum", "golang.org/x/sys/cpu", "github.com/goccy/go-yaml"}},
	"api":                     {[]string{"commands", "events", "handlers", "projections", "streams", "ml", "internal"}, []string{"github.com/prometheus", "golang.org/x/sys"}},
	"internal":                {[]string{"api", "commands", "events", "handlers", "projections", "streams", "ml", "internal"}, nil},
	"internal/fault":          {nil, nil},
	"internal/blob":           {[]string{"internal/fault"}, nil},
	"internal/dataset":        {[]string{"events", "internal/fault"}, nil},
	"internal/tmdb":           {[]string{"events", "internal/fault", "internal/dataset"}, nil},
	"internal/world":          {[]string{"events", "internal/fault", "internal/dataset"}, nil},
	"internal/transfer":       {[]string{"events", "streams", "projections", "internal/fault"}, nil},
	"internal/importer":       {[]string{"commands", "events", "handlers", "streams", "internal"}, []string{"golang.org/x/sync"}},
	"internal/cli":            {[]string{"api", "commands", "events", "handlers", "projections", "streams", "ml", "internal"}, []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/goccy/go-yaml", "golang.org/x/sys"}},
	"internal/app":            {[]string{"api", "commands", "events", "handlers", "projections", "streams", "ml", "internal"}, []string{"github.com/ThreeDotsLabs/watermill"}},
	"internal/bench":          {[]string{"api", "commands", "events", "handlers", "projections", "streams", "ml", "internal"}, []string{"github.com/cockroachdb/pebble/v2", "gonum.org/v1/gonum"}},
	"":                        {[]string{"internal/cli"}, nil},
}

// TestImports checks every package's imports, tests left out, against the table.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	seen := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		rule, ok := rules[name]
		for prefix := name; !ok && prefix != ""; {
			prefix = prefix[:max(strings.LastIndexByte(prefix, '/'), 0)]
			if prefix != "" {
				rule, ok = rules[prefix]
			}
		}
		if !ok {
			t.Errorf("no rule for package %q: add it to the table here and in docs/ARCHITECTURE.md", name)
			continue
		}
		for _, imp := range p.Imports {
			if ours, isOurs := strings.CutPrefix(imp, module+"/"); isOurs {
				if !under(ours, rule.ours) {
					t.Errorf("%s imports %s", name, ours)
				}
			} else if strings.Contains(strings.Split(imp, "/")[0], ".") && !under(imp, rule.others) {
				t.Errorf("%s imports %s", name, imp)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("only %d packages were listed", seen)
	}
}

func under(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// The pure packages have no clock, no randomness but what is seeded, no files and no network.
func TestPurity(t *testing.T) {
	for _, pkg := range []string{"events", "ml", "ml/online", "ml/features", "ml/hybrid"} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}`, module+"/"+pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range strings.Fields(string(out)) {
			switch imp {
			case "os", "net", "net/http", "log", "log/slog", "crypto/rand", "math/rand", "math/rand/v2":
				t.Errorf("%s imports %s", pkg, imp)
			}
		}
	}
}
