package feast

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/ml/features"
)

//go:embed home.html
var homeHTML string

var homePage = template.Must(template.New("home").Funcs(template.FuncMap{"join": strings.Join, "days": days}).Parse(homeHTML))

func (s *Surface) pageRoutes(r *api.Routes) { r.Handle("GET /{$}", s.home, "definitions") }

// days are milliseconds as a ttl is thought of.
func days(millis int64) float64 { return float64(millis) / 86_400_000 }

// home is the page for people: what is defined.
func (s *Surface) home(w http.ResponseWriter, _ *http.Request) error {
	defs, err := s.definitions()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := homePage.Execute(&b, struct {
		*features.Definitions
		Hash string
	}{defs, defs.Hash()}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(http.StatusOK)
	w.Write(b.Bytes()) //nolint:errcheck // the client is gone
	return nil
}
