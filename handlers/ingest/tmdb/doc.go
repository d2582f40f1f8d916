// Package tmdb reads films from The Movie Database over its v3 HTTP API: popular and top rated films,
// page by page, and one film's details. It keeps to a rate, retries what may mend itself, and hands the
// raw answers to its caller. It writes no file, and the key appears in no error.
//
// The API: https://developer.themoviedb.org/reference
package tmdb
