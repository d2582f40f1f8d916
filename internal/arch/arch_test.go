// Package arch holds what must be true of the code as a whole: who may import whom, what is pure, and how
// long a file may be.
package arch_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/projectionist/projectionist"
	root   = "../.."
)

// imports is the list of what each package may import, by exact path: ours without the module's name, then
// those of others. Its order is that of the floors, from the ground up: a package may only be given ones
// that stand above it in the file.
//
//go:embed imports.txt
var imports string

type allowed struct {
	line  int
	names []string
}

func table(t *testing.T) (rules map[string]allowed, order []string) {
	t.Helper()
	rules = map[string]allowed{}
	last := ""
	for i, line := range strings.Split(imports, "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] == "#":
			continue
		case strings.HasPrefix(line, " "):
			r := rules[last]
			r.names = append(r.names, fields...)
			rules[last] = r
			continue
		}
		name, ok := strings.CutSuffix(fields[0], ":")
		if _, twice := rules[name]; !ok || twice {
			t.Fatalf("imports.txt:%d: want a line such as \"commands: events internal/fault\", each package once", i+1)
		}
		rules[name] = allowed{i + 1, fields[1:]}
		order, last = append(order, name), name
	}
	return rules, order
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("only %d packages were listed", len(all))
	}
	return all
}

// short is a package's name in imports.txt; "main" for the program itself.
func short(path string) string {
	if path == module {
		return "main"
	}
	return strings.TrimPrefix(path, module+"/")
}

// TestImports checks every package's imports, tests left out, against imports.txt: nothing that is not
// there, and nothing there that is not so.
func TestImports(t *testing.T) {
	rules, order := table(t)
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		seen[name] = true
		rule, ok := rules[name]
		if !ok {
			t.Errorf("imports.txt has no line for package %s: say on which floor it stands, and what it may import", name)
			continue
		}
		var has []string
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"/") || strings.Contains(strings.Split(imp, "/")[0], ".") {
				has = append(has, short(imp))
			}
		}
		for _, imp := range has {
			if !slices.Contains(rule.names, imp) {
				t.Errorf("%s imports %s, which imports.txt:%d does not allow", name, imp, rule.line)
			}
		}
		for _, imp := range rule.names {
			if !slices.Contains(has, imp) {
				t.Errorf("imports.txt:%d allows %s to import %s, which it does not", rule.line, name, imp)
			}
			if at := slices.Index(order, imp); at > slices.Index(order, name) {
				t.Errorf("imports.txt:%d: %s imports %s, which stands above it", rule.line, name, imp)
			}
		}
	}
	for name, rule := range rules {
		if !seen[name] {
			t.Errorf("imports.txt:%d: there is no package %s", rule.line, name)
		}
	}
}

// TestProgramBundlesNothing: what makes the console's files of their sources is no part of the program.
func TestProgramBundlesNothing(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/api/console") {
		t.Fatal("the program does not link the console")
	}
	for _, dep := range deps {
		if strings.HasPrefix(dep, "github.com/evanw/esbuild") {
			t.Errorf("the program links %s", dep)
		}
	}
}

// sources calls f for every Go file of the project that is not a test's.
func sources(t *testing.T, f func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		n++
		f(filepath.ToSlash(rel), file, set)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 100 {
		t.Fatalf("only %d files were read", n)
	}
}

// TestAlgorithmsAreNamedOnce: a recipe is known to the list of recipes alone, and the default's name is written
// nowhere else. What measures and tests of logs call their streams does not count.
func TestAlgorithmsAreNamedOnce(t *testing.T) {
	const recipes = "ml/recipe/"
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if name := short(p.ImportPath); strings.HasPrefix(short(imp), recipes) && short(imp) != recipes+"all" && name != recipes+"all" {
				t.Errorf("%s imports %s: ask the list of recipes for it", name, short(imp))
			}
		}
	}
	named := regexp.MustCompile(`\b(als|ials)\b`)
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		for _, free := range []string{"ml/", "internal/bench/", "streams/"} {
			if strings.HasPrefix(path, free) {
				return
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && named.MatchString(l.Value) {
				t.Errorf("%s names an algorithm: %s", set.Position(l.Pos()), l.Value)
			}
			return true
		})
	})
}

// pure are the folders without a clock, randomness but what is seeded, files, network or logger; "…/..." has
// all below it.
var pure = []string{"events", "commands", "handlers", "ml/..."}

// pureBy is the entry of pure that has the folder, "" for none.
func pureBy(dir string) string {
	for _, entry := range pure {
		if below, all := strings.CutSuffix(entry, "/..."); dir == below || all && strings.HasPrefix(dir, below+"/") {
			return entry
		}
	}
	return ""
}

// impure are what they may not use: whole packages (an empty list) or functions of them.
var impure = map[string][]string{
	"os": nil, "net": nil, "net/http": nil, "log": nil, "log/slog": nil, "crypto/rand": nil, "math/rand": nil, "math/rand/v2": nil, "path/filepath": nil,
	"syscall": nil, "os/exec": nil, "io/ioutil": nil,
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "NewTimer", "NewTicker", "Tick", "LoadLocation"},
}

func TestPurity(t *testing.T) {
	checked := map[string]bool{}
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		dir := path[:max(strings.LastIndexByte(path, '/'), 0)]
		entry := pureBy(dir)
		if entry == "" {
			return
		}
		checked[entry] = true
		names := map[string]string{} // local name of an import -> its path
		for _, imp := range file.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			functions, found := impure[p]
			switch {
			case !found:
			case functions == nil:
				t.Errorf("%s imports %s", path, p)
			case imp.Name != nil:
				names[imp.Name.Name] = p
			default:
				names[p[strings.LastIndexByte(p, '/')+1:]] = p
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(impure[names[x.Name]], s.Sel.Name) {
					t.Errorf("%s uses %s.%s", set.Position(s.Pos()), x.Name, s.Sel.Name)
				}
			}
			return true
		})
	})
	for _, dir := range pure {
		if !checked[dir] {
			t.Errorf("there is no package %s", dir)
		}
	}
}

// fileLinesMax is from where on a file holds more than one thing, most often.
const fileLinesMax = 600

// longer are the files that may be longer, each with its reason.
var longer = map[string]string{}

func TestFilesAreShort(t *testing.T) {
	over := map[string]bool{}
	sources(t, func(path string, _ *ast.File, _ *token.FileSet) {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte{'\n'}); n > fileLinesMax {
			over[path] = true
			if longer[path] == "" {
				t.Errorf("%s has %d lines; from %d on a file is split, or stands here with its reason", path, n, fileLinesMax)
			}
		}
	})
	for path := range longer {
		if !over[path] {
			t.Errorf("%s is short by now: take it off the list", path)
		}
	}
}
