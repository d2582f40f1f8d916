// Package react is the engine of reactors: it has roles react to the ledger's events, and sees to it that
// the tasks of workflow runs come to their ends. It knows no role and no workflow: both are given to [New].
//
// A reactor is a [Role] at work. It reads the events it wants from the ledger, strictly in order and
// under watermill's router, and keeps a cursor of its own: at least once, the next event only after the
// last one was dealt with. Where several processes share a ledger on a cluster, its place is that of a
// consumer group instead, and one of them reacts. It says what it did with commands whose idempotency keys derive from
// (role, id of the causing event, step), so a repeat is harmless and a lost cursor costs reading.
//
// Work that takes long is a task of a workflow run (handlers/workflow). The engine of runs follows those that have not ended
// and starts what is due; it has no cursor, since what is due follows from a run's stream. Whoever works on a task holds a lease,
// which is an event like all else: taken by StartTask, renewed by a heartbeat, given up by the end of the
// try. Any number of processes may react to one ledger; each task has one end. A process that dies leaves
// a lease that runs out, and the next try goes on from the last checkpoint. What a task needs from the
// tasks before it is read from their outputs in the ledger.
//
// Reacting to an event is in role.go, router.go, subscriber.go, tail.go, group.go and deadletter.go; a run of
// tasks in engine.go, workflow.go, run.go, task.go, work.go and lease.go. How often what fails is tried again is in
// retry.go, all other numbers in lease.go and limits.go, what a program may set in config.go.
package react
