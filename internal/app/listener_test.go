package app_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
)

// TestListeners: one process answers on several addresses, each with what belongs there; where a port is taken, all
// are given back and the setting is named with the others.
func TestListeners(t *testing.T) {
	open := func(o app.Options) (*app.App, error) {
		t.Helper()
		o.Dir = t.TempDir()
		a, err := app.Open(t.Context(), o)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { a.Close() })
		return a, nil
	}
	status := func(url, user, password string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	// page fails unless there is a page that a browser shows as one, without a slip of its template.
	page := func(address string) {
		t.Helper()
		res, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if kind := res.Header.Get("Content-Type"); err != nil || kind != "text/html; charset=utf-8" || !bytes.Contains(body, []byte("<h1>")) || bytes.Contains(body, []byte("%!")) {
			t.Errorf("%s: %s, %v:\n%.3000s", address, kind, err, body)
		}
	}
	all := map[string]string{}
	for _, l := range app.Listeners() {
		all[l.Name] = "127.0.0.1:0"
	}
	for name, c := range map[string]struct {
		users        map[string]string
		nobody, some int // status for a request without credentials, and with admin and admin
	}{
		"on this machine": {nil, 200, 200},
		"with users":      {map[string]string{"anna": "a:b"}, 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := open(app.Options{Listen: "127.0.0.1:0", Also: all, Users: c.users})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			addresses, served := make(chan []app.Answered, 1), make(chan error, 1)
			go func() { served <- a.Serve(ctx, func(at []app.Answered) { addresses <- at }) }()
			at := <-addresses
			if len(at) != len(all)+1 || at[0].Name != app.MainListener {
				t.Fatalf("answering on %v", at)
			}
			for _, l := range at {
				base := "http://" + l.Address
				if got := status(base+"/health", "", ""); got != 200 {
					t.Errorf("%s: health is %d", l.Name, got)
				}
				if l.Name != app.MainListener && c.users == nil {
					page(base + "/")
				}
				if path := (app.Answered{Name: l.Name, Address: "localhost:6566"}).BrowserPath(); path != "" && c.users == nil {
					page("http://" + at[0].Address + path)
				}
				if got := status(base+"/", "", ""); l.Name != app.MainListener && got != c.nobody {
					t.Errorf("%s without credentials: %d; want %d", l.Name, got, c.nobody)
				}
				if got := status(base+"/", "admin", "admin"); l.Name != app.MainListener && got != c.some {
					t.Errorf("%s as admin: %d; want %d", l.Name, got, c.some)
				}
				if got := status(base+"/", "admin", "wrong"); got != 401 {
					t.Errorf("%s with a wrong password: %d", l.Name, got)
				}
				if got := status(base+"/", "anna", "a:b"); c.users != nil && got == 401 {
					t.Errorf("%s as its user: %d", l.Name, got)
				}
			}
			s, ok := app.ReadServing(a.Dir())
			if !ok || s.Address != at[0].Address || len(s.Also) != len(all) {
				t.Errorf("the folder says %+v", s)
			}
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	main := free.Addr().String()
	free.Close()
	a, err := open(app.Options{Listen: main, Also: map[string]string{"workflows": taken.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Serve(t.Context(), nil)
	for _, want := range []string{"listen-workflows", "off", main, taken.Addr().String()} {
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("a port that is taken: %v; want it to name %s", err, want)
		}
	}
	again, err := net.Listen("tcp", main)
	if err != nil {
		t.Errorf("the other addresses were not given back: %v", err)
	} else {
		again.Close()
	}
	if _, err := open(app.Options{Also: map[string]string{"nope": "127.0.0.1:0"}}); err == nil {
		t.Error("a listener that there is none of was taken")
	}
}

// TestCheckListen: beyond this machine there is no listening without credentials of one's own, on whatever address.
func TestCheckListen(t *testing.T) {
	also := func(at string) map[string]string { return map[string]string{"workflows": at} }
	for name, c := range map[string]struct {
		o    app.Options
		says string // "" is taken
	}{
		"nothing":                    {app.Options{}, ""},
		"this machine":               {app.Options{Listen: "[::1]:0", Also: also("localhost:1")}, ""},
		"no address":                 {app.Options{Listen: "8000"}, "listen"},
		"no address of another":      {app.Options{Also: also("8080")}, "listen-workflows"},
		"all machines":               {app.Options{Listen: "0.0.0.0:8000"}, "listen"},
		"all machines, of another":   {app.Options{Also: also(":8080")}, "listen-workflows"},
		"with a token":               {app.Options{Listen: "0.0.0.0:8000", Token: "s"}, ""},
		"with users":                 {app.Options{Listen: ":8000", Users: map[string]string{"anna": "x"}}, ""},
		"with the default":           {app.Options{Also: also("10.0.0.1:8080"), Users: map[string]string{"admin": "admin"}}, "everybody tries"},
		"with the default, here":     {app.Options{Users: map[string]string{"admin": "admin"}}, ""},
		"with an empty password":     {app.Options{Users: map[string]string{"anna": ""}}, "password"},
		"with a name without letter": {app.Options{Users: map[string]string{"": "x"}}, "users"},
		"with a token of a blank":    {app.Options{Listen: "0.0.0.0:8000", Token: " "}, "token"},
	} {
		err := app.CheckListen(c.o)
		if (err == nil) != (c.says == "") || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
}
