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
// # When a fact happened, and which is a repetition
//
// A plain value happened when its "timestamp" says, else when its ce_time header does, else at the time that the
// client gave the record (which then gets that header, so that every reader and every copy of the log has it), else
// when the log took it. A record's own time of before 1971 or of more than a day ahead counts for nothing; a fact
// that itself says such a time ahead, or one before 1970, is refused.
//
// Two facts are one, counted once by every view, if person, event time, source, id and what they say are the same
// (events.FactHash). The id of a plain value is its ce_id header, its source ce_source, else "/kafka". So who may
// send a fact again gives it a ce_id, and a timestamp: without one, the same record sent again is a repetition,
// but a record made anew has a new time. Without a ce_id the id is the position in the log: the same value twice is
// two facts. An idempotent producer's retries never get so far.
//
// The server must not know what any event means: Config.Validate does, such as ValidFact.
package door
