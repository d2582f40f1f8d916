package api

import (
	"bytes"
	"html/template"
	"net/http"
)

// WritePage answers with a page for people, made whole before any of it is sent. It loads nothing and runs nothing.
func WritePage(w http.ResponseWriter, page *template.Template, v any) error {
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	return WriteText(w, "text/html", b.Bytes())
}

// WriteText answers with text of a type such as text/plain.
func WriteText(w http.ResponseWriter, mediaType string, text []byte) error {
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	w.Write(text) //nolint:errcheck // the client is gone
	return nil
}
