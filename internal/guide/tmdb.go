package main

import (
	_ "embed"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// tmdbFilms are invented films in the form of TMDB's details.
//
//go:embed tmdb.json
var tmdbFilms []byte

// tmdbStandIn answers as TMDB's API does, for whoever has no key of it: the lists of popular and top rated films, their
// details and the genres (https://developer.themoviedb.org/reference). A request without a key is refused.
func tmdbStandIn() (http.Handler, error) {
	var all struct {
		Genres []struct {
			ID   int    `json:"id"`
			Name string `json:"name"`
		} `json:"genres"`
		Movies []map[string]any `json:"movies"`
	}
	if err := json.Unmarshal(tmdbFilms, &all); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	answer := func(status int, v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked has gone
		}
	}
	list := func(films []map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			page, err := strconv.Atoi(r.URL.Query().Get("page"))
			if err != nil {
				page = 1
			}
			shown := films
			if page > 1 {
				shown = nil
			}
			answer(http.StatusOK, map[string]any{"page": page, "results": shown, "total_pages": 1, "total_results": len(films)})(w, r)
		}
	}
	mux.HandleFunc("GET /genre/movie/list", answer(http.StatusOK, map[string]any{"genres": all.Genres}))
	mux.HandleFunc("GET /movie/popular", list(all.Movies))
	backwards := slices.Clone(all.Movies)
	slices.Reverse(backwards)
	mux.HandleFunc("GET /movie/top_rated", list(backwards))
	names := map[int]any{}
	for _, g := range all.Genres {
		names[g.ID] = g
	}
	for _, m := range all.Movies {
		var genres []any
		for _, id := range m["genre_ids"].([]any) {
			genres = append(genres, names[int(id.(float64))])
		}
		details := map[string]any{"genres": genres}
		for k, v := range m {
			if k != "genre_ids" {
				details[k] = v
			}
		}
		mux.HandleFunc("GET /movie/"+strconv.Itoa(int(m["id"].(float64))), answer(http.StatusOK, details))
	}
	mux.HandleFunc("/", answer(http.StatusNotFound, map[string]any{"success": false, "status_code": 34, "status_message": "The resource you requested could not be found."}))
	refused := answer(http.StatusUnauthorized, map[string]any{"success": false, "status_code": 7, "status_message": "Invalid API key: You must be granted a valid key."})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("api_key") == "" && r.Header.Get("Authorization") == "" {
			refused(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// serveTMDB starts the stand-in on a free port, and gives its address.
func serveTMDB() (address string, stop func() error, err error) {
	h, err := tmdbStandIn()
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) //nolint:errcheck // it ends with Close
	return "http://" + l.Addr().String(), server.Close, nil
}
