// Package roles holds what the program's reactors do, and the workflows that their tasks form: it asks for a
// training when an import is complete, fetches films, builds training sets, trains, evaluates, registers and
// deploys. The engine that runs them is handlers/react. A role is a file of its name, and a line in [New].
package roles
