// Package cli is the command line. Every command but serve is a request to the HTTP surface: to the server
// of the data folder where one runs, and otherwise to the same handlers opened in this process. It may
// not read or write the log by another way.
package cli
