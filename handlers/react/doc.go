// Package react is the only place with effects: it fetches, computes features, trains, evaluates,
// registers and deploys when the ledger says that it is time.
//
// A reactor is a role with a name. It reads the events it wants from the ledger, strictly in order and
// under watermill's router, and keeps a cursor of its own: at least once, the next event only after the
// last one was dealt with. Where several processes share a ledger on a cluster, its place is that of a
// consumer group instead, and one of them reacts. It says what it did with commands whose idempotency keys derive from
// (reactor, id of the causing event, step), so a repeat is harmless and a lost cursor costs reading.
//
// Work that takes long is a task of a workflow run ([Workflows]). Whoever works on a task holds a lease,
// which is an event like all else: taken by StartTask, renewed by a heartbeat, given up by the end of the
// try. Any number of processes may react to one ledger; each task has one end. A process that dies leaves
// a lease that runs out, and the next try goes on from the last checkpoint. What a task needs from the
// tasks before it is read from their outputs in the ledger.
package react
