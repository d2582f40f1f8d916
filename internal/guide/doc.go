// Guide runs docs/guide.md: every block of commands in it is a row, run as typed and in order, in a copy of the
// repository with a program of its own, and what must hold of it is checked.
//
// A row is a comment, which readers do not see, and the block after it, in sh or python:
//
//	<!-- row 1.2 a run of movie_data_collection is asked for
//	jq: .state == "queued"
//	-->
//	```sh
//	curl -X POST "http://localhost:8080/api/v1/dags/movie_data_collection/dagRuns" …
//	```
//
// Its first line has the id and a title, each further one a key and its value to the end of the line:
//
//	needs:   what the row cannot run without, separated by blanks; see needs in need.go
//	instead: what is run elsewhere for a row whose needs may never be met; it then counts as no failure
//	within:  for how long the block is run again until all checks hold, such as 60s; without it it is run once
//	exit:    the exit status of the block's last command, 0 where it is not said
//	jq:      an expression that is true of what is printed, which is JSON (the last value, where there are several)
//	says:    a regular expression that what is printed matches, errors included; ^ and $ are a line's
//	never:   one that it does not match
//	file:    a file that is there and not empty, from the repository's root
//	or:      stop: where the row fails nothing after it can be right, and nothing is run
//
// jq, says, never and file may be there several times, and one of them has to be. The terminal is one: what a row exports, and the folder
// that it goes to, are there for the next one. Blocks of other languages, such as text, are for reading.
package main
