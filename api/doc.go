// Package api is the program's HTTP surface: every question is answered from a view or from the log,
// every change is a command or a fact handed to the dispatcher.
//
// A file is a noun, with its routes at the top. What all of them share stands in http.go (dispatching,
// problems, bodies), query.go (parameters), moment.go (the two times), command.go (commands and their
// answers) and operation.go (work that streams its progress).
//
// The package may not fold, decide or score anything itself, and keeps no state but counters.
package api
