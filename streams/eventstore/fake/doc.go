// Package fake is a server of EventStoreDB's gRPC protocol for tests, in process and in memory: SIMULATED,
// not EventStoreDB. It is built on the client's own generated protocol code and holds to what the
// documented protocol and the server's published source say:
//
//   - appends with expected revisions, judged together with the idempotency rules: an exact one looks the
//     event ids up in the stream, "any" only in a cache of recent ids that can be forgotten
//   - reads of a stream and of $all, both ways; filters by prefix or regular expression
//   - subscriptions that catch up, send checkpoints, say that they have caught up, and go live
//   - soft deletion, tombstones, limits, followers that know their leader, gossip, server features
//
// A request outside the protocol is an error, never a guess: a position that no event has, a combination
// of options the server does not take. [Server.OnAppend] and [Server.Stop] make the faults of a network.
//
// What it does not have: persistent subscriptions, projections, links, users and access control.
package fake
