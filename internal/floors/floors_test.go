package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	module = "socsim"
	root   = "../.."
)

// A floor is a rank and the packages on it, as paths inside the module; a path that ends in "/..." stands for all packages below it, too. The first floor that names a package holds it.
type floor struct {
	rank     int
	packages []string
	// alone: packages of this floor do not import each other.
	alone bool
	// model: the host's time has no business here.
	model bool
}

var house = []floor{
	{rank: 8, packages: []string{"scenarios", "soc/presets"}, alone: true}, // data
	{rank: 1, packages: []string{"sim/..."}, model: true},
	{rank: 2, packages: []string{"cachemodel"}, model: true},
	{rank: 3, packages: []string{"iommu"}, model: true},
	{rank: 4, packages: []string{"isp", "gpu"}, alone: true, model: true},
	{rank: 5, packages: []string{"soc/cpu", "soc/dram", "soc/dramcheck", "soc/l3", "soc/memory", "soc/display", "soc/sdma", "soc/vrfb"}, model: true},
	{rank: 6, packages: []string{"soc"}, model: true},
	{rank: 7, packages: []string{"soc/..."}, model: true},
	{rank: 8, packages: []string{"internal/coherency"}, model: true},
	{rank: 8, packages: []string{"internal/..."}},
	{rank: 9, packages: []string{"cmd/..."}, alone: true},
}

// standardOnly are the packages that import nothing of ours.
var standardOnly = []string{"sim", "cachemodel", "soc/dramcheck", "scenarios", "soc/presets"}

// hostTime are the functions of package time that look at the host's clock.
var hostTime = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// floorOf returns the floor of a package.
func floorOf(pkg string) (floor, bool) {
	for _, f := range house {
		for _, p := range f.packages {
			tree, all := strings.CutSuffix(p, "/...")
			if pkg == tree || all && strings.HasPrefix(pkg, tree+"/") {
				return f, true
			}
		}
	}
	return floor{}, false
}

// inspect returns what breaks the rules in the module whose source is fsys, one line each, in the order of the files, and the number of files read.
func inspect(fsys fs.FS) (broken []string, files int, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := path.Base(name)
			if name != "." && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
				return fs.SkipDir // another module
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		files++
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parsing: %w", err)
		}
		for _, m := range inspectFile(name, f) {
			at := fset.Position(m.pos)
			broken = append(broken, fmt.Sprintf("%s:%d: %s", name, at.Line, m.text))
		}
		return nil
	})
	return broken, files, err
}

// mistake is a broken rule and its place.
type mistake struct {
	pos  token.Pos
	text string
}

func inspectFile(name string, f *ast.File) []mistake {
	pkg := path.Dir(name)
	test := strings.HasSuffix(name, "_test.go")
	here, ok := floorOf(pkg)
	if !ok {
		return []mistake{{f.Package, fmt.Sprintf("package %s is on no floor: give it one in internal/floors", pkg)}}
	}
	var out []mistake
	clock := "" // the name of package time in this file
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic("floors: the parser let a bad import path pass")
		}
		report := func(format string, args ...any) {
			out = append(out, mistake{spec.Pos(), fmt.Sprintf("%s imports %s: ", pkg, imported) + fmt.Sprintf(format, args...)})
		}
		switch imported {
		case "gopkg.in/yaml.v3":
			if pkg != "internal/conf" && pkg != "internal/schema" { // whose tests read as an editor does
				report("only internal/conf reads YAML")
			}
		case "math/rand":
			report("use math/rand/v2, through sim.Stream")
		case "time":
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
		ours, ok := strings.CutPrefix(imported, module+"/")
		if !ok || test {
			continue
		}
		there, ok := floorOf(ours)
		switch {
		case !ok:
			report("it is on no floor")
		case slices.Contains(standardOnly, pkg):
			report("%s imports nothing of ours", pkg)
		case there.rank > here.rank:
			report("imports run downwards only")
		case there.rank == here.rank && here.alone:
			report("packages of this floor do not know each other")
		}
	}
	if clock == "" || test || !here.model {
		return out
	}
	if clock == "." {
		return append(out, mistake{f.Package, pkg + " imports package time without a name: the model must not look at the host's clock"})
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == clock && slices.Contains(hostTime, sel.Sel.Name) {
				out = append(out, mistake{sel.Pos(), fmt.Sprintf("%s uses time.%s: the model has simulated time alone", pkg, sel.Sel.Name)})
			}
		}
		return true
	})
	return out
}

func TestTheHouseKeepsItsFloors(t *testing.T) {
	broken, files, err := inspect(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
	if files < 50 {
		t.Errorf("read %d files, want the whole module: is %s its root?", files, root)
	}
}

func TestEveryFloorIsInhabited(t *testing.T) {
	for _, f := range house {
		for _, p := range f.packages {
			dir := strings.TrimSuffix(p, "/...")
			if _, err := os.Stat(path.Join(root, dir)); err != nil {
				t.Errorf("a floor is for %s, but there is no such folder: %v", p, err)
			}
		}
	}
	mod, err := os.ReadFile(path.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(mod), "module "+module+"\n") {
		t.Errorf("go.mod does not name the module %s, whose imports are looked at", module)
	}
}

func TestABrokenRuleIsReported(t *testing.T) {
	for _, c := range []struct{ name, file, src, want string }{
		{"sim imports nothing of ours", "sim/a.go", `import "socsim/sim/units"`, "sim imports nothing of ours"},
		{"the ground floor looks up", "sim/bus/a.go", `import "socsim/iommu"`, "downwards only"},
		{"the DRAM checker knows the controller", "soc/dramcheck/a.go", `import "socsim/soc/dram"`, "soc/dramcheck imports nothing of ours"},
		{"cachemodel knows nobody", "cachemodel/a.go", `import "socsim/sim"`, "cachemodel imports nothing of ours"},
		{"the MMU knows a device", "iommu/a.go", `import "socsim/isp"`, "downwards only"},
		{"the GPU knows the camera", "gpu/a.go", `import "socsim/isp"`, "do not know each other"},
		{"a device knows its driver", "isp/a.go", `import "socsim/soc/v4l2"`, "downwards only"},
		{"hardware imports software", "soc/cpu/a.go", `import "socsim/soc/dmaapi"`, "downwards only"},
		{"hardware imports the chip", "soc/l3/a.go", `import "socsim/soc"`, "downwards only"},
		{"the chip imports software", "soc/a.go", `import "socsim/soc/graph"`, "downwards only"},
		{"software imports internal", "soc/flush/a.go", `import "socsim/internal/conf"`, "downwards only"},
		{"software imports the library of scenarios", "soc/graph/a.go", `import "socsim/scenarios"`, "downwards only"},
		{"hardware imports presets", "gpu/a.go", `import "socsim/soc/presets"`, "downwards only"},
		{"a command imports another", "cmd/other/a.go", `import "socsim/cmd/socsim"`, "do not know each other"},
		{"data imports code", "soc/presets/a.go", `import "socsim/sim"`, "soc/presets imports nothing of ours"},
		{"internal imports cmd", "internal/run/a.go", `import "socsim/cmd/socsim"`, "downwards only"},
		{"the import has a name", "soc/cpu/a.go", `import x "socsim/soc/flush"`, "downwards only"},
		{"behind a build tag", "isp/a_windows.go", `import _ "socsim/soc"`, "downwards only"},
		{"YAML elsewhere", "internal/scenario/a.go", `import "gopkg.in/yaml.v3"`, "only internal/conf reads YAML"},
		{"YAML in a test elsewhere", "internal/run/a_test.go", `import "gopkg.in/yaml.v3"`, "only internal/conf reads YAML"},
		{"the old math/rand", "sim/a.go", `import "math/rand"`, "use math/rand/v2"},
		{"the old math/rand in a test", "sim/a_test.go", `import "math/rand"`, "use math/rand/v2"},
		{"host time in the model", "soc/dram/a.go", "import \"time\"\nvar t = time.Now()", "soc/dram uses time.Now"},
		{"host time under another name", "soc/v4l2/a.go", "import clock \"time\"\nvar d = clock.Since(clock.Time{})", "soc/v4l2 uses time.Since"},
		{"host time without a name", "internal/coherency/a.go", "import . \"time\"\nvar t = Now()", "without a name"},
		{"a package on no floor", "attic/a.go", `import "fmt"`, "on no floor"},
		{"an import from no floor", "cmd/socsim/a.go", `import "socsim/attic"`, "on no floor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken, _, err := inspect(fstest.MapFS{c.file: {Data: []byte("package p\n\n" + c.src + "\n")}})
			if err != nil {
				t.Fatal(err)
			}
			if len(broken) != 1 || !strings.Contains(broken[0], c.want) || !strings.HasPrefix(broken[0], c.file+":") {
				t.Errorf("%s in %s: reported %q, want one report that says %q", c.src, c.file, broken, c.want)
			}
		})
	}
}

func TestWhatTheRulesAllowIsNotReported(t *testing.T) {
	broken, files, err := inspect(fstest.MapFS{
		"sim/units/a.go":           {Data: []byte("package units\n\nimport (\n\t\"math/rand/v2\"\n\t\"socsim/sim\"\n)\n")},
		"soc/graph/a.go":           {Data: []byte("package graph\n\nimport (\n\t\"socsim/isp\"\n\t\"socsim/soc\"\n\t\"socsim/soc/v4l2\"\n)\n")},
		"soc/l3/a.go":              {Data: []byte("package l3\n\nimport \"time\"\n\nconst d = time.Second\n")},
		"internal/conf/a.go":       {Data: []byte("package conf\n\nimport \"gopkg.in/yaml.v3\"\n")},
		"internal/run/a.go":        {Data: []byte("package run\n\nimport \"time\"\n\nvar start = time.Now()\n")},
		"isp/a_test.go":            {Data: []byte("package isp\n\nimport (\n\t\"time\"\n\t_ \"socsim/soc/graph\"\n)\n\nvar t = time.Now()\n")},
		"cmd/socsim/testdata/a.go": {Data: []byte("not Go")},
		"tools/go.mod":             {Data: []byte("module tools\n")},
		"tools/a.go":               {Data: []byte("package tools\n\nimport \"math/rand\"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != 0 {
		t.Errorf("reported %q", broken)
	}
	if files != 6 {
		t.Errorf("read %d files, want the 6 of this module", files)
	}
}
