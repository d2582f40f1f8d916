// Package api is what the program's HTTP surfaces share. A surface is a folder beside this one: the routes that
// one kind of client knows, thinly translated to the commands and queries that all have. v1 is the
// program's own.
//
// What a surface takes from here: problems (problem.go), bodies (body.go), parameters (query.go), the two
// times of a question (moment.go), what a request says beside its command (meta.go), waiting for views
// (settle.go), long work (operation.go), credentials (auth.go), metrics (metrics.go). A [Server] is one
// listener with the surfaces mounted on it.
//
// Nothing here may fold, decide or score anything itself, or know a surface.
package api
