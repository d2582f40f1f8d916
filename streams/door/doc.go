// Package door lets Kafka's tools in: a server of Kafka's protocol over the embedded log, so that kcat,
// the Java console tools, sarama, kafka-python and others list, produce, consume and keep group offsets
// on the very topics the program uses. A record is acknowledged only when it is durable. The ledger's
// topic can be read, never produced to.
//
// Only the protocol's non-flexible versions are spoken, but for what flexible.go names: no topic ids, fetch
// sessions, leader epochs, transactions or the newer group protocol. Who asks for one of the latter two is
// refused at once, with the code on which clients give up. Record times are those at which the log took a
// record, Kafka's LogAppendTime; the event's own time is in the event.
//
// Groups are Kafka's classic ones, with static members (group_static.go). Members are in memory: after a
// start they join anew. Offsets are in the log, for as long as group_expiry.go says. What a client may cost
// is in limits.go; connections that are idle make way for new clients (idle.go).
//
// The package must not know what any event means: Config.Validate does.
package door
