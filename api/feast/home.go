package feast

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/ml/features"
)

//go:embed home.html
var homeHTML string

var homePage = api.NewPage(homeHTML, template.FuncMap{"join": strings.Join, "days": days})

func (s *Surface) pageRoutes(r *api.Routes) {
	r.Handle("GET /{$}", s.home, "definitions", "feature-registry")
}

// Page is the page at the program's own address, /features: browsers refuse the port of Feast's server. Its errors are
// those of that address.
type Page struct{ *Surface }

var _ api.Dated = Page{}

// Page makes the surface.
func (s *Surface) Page() Page { return Page{s} }

// At is the page at a moment.
func (p Page) At(core *api.Core) api.Surface { return New(core, p.Config).Page() }

func (Page) Name() string { return "feast-page" }

func (Page) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (p Page) Routes(r *api.Routes) {
	r.Handle("GET /features", p.home, "definitions", "feature-registry")
}

// days are milliseconds as a ttl is thought of.
func days(millis int64) float64 { return float64(millis) / 86_400_000 }

// home is the page for people: what is defined. Browsers are led to the console, where there is one.
func (s *Surface) home(w http.ResponseWriter, r *http.Request) error {
	at, _ := s.Then()
	if s.Lead != nil && at.IsZero() && s.Lead(w, r) {
		return nil
	}
	reg, err := s.Features.RegistryAt(at)
	if err != nil {
		return err
	}
	return api.WritePage(w, homePage, struct {
		*features.Definitions
		Pushed []*features.External
		Hash   string
	}{reg.Definitions, reg.External, reg.Hash()})
}
