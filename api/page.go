package api

import (
	"bytes"
	_ "embed"
	"html/template"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHead string

// NewPage parses a page for people. Its text begins with {{template "head" TITLE}}, which is everything up to the body, with the style of all pages: in
// a narrow window a table's rows become blocks, in which each cell says by its title what it is.
func NewPage(text string, funcs template.FuncMap) *template.Template {
	return template.Must(template.Must(template.New("page").Funcs(funcs).Parse(pageHead)).Parse(text))
}

// WritePage answers with a page for people, made whole before any of it is sent. It loads nothing and runs nothing.
func WritePage(w http.ResponseWriter, page *template.Template, v any) error {
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	return WriteText(w, "text/html", b.Bytes())
}

// WantsPage says whether a request comes from whoever would rather see a page than JSON, as a browser's address bar does.
func WantsPage(r *http.Request) bool {
	for _, one := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		mediaType, params, err := mime.ParseMediaType(one)
		if err == nil && mediaType == "text/html" {
			q, err := strconv.ParseFloat(params["q"], 64)
			return params["q"] == "" || err == nil && q > 0
		}
	}
	return false
}

// WriteText answers with text of a type such as text/plain.
func WriteText(w http.ResponseWriter, mediaType string, text []byte) error {
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	w.Write(text) //nolint:errcheck // the client is gone
	return nil
}
