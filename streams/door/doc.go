// Package door lets Kafka's tools in: a server of Kafka's protocol over the embedded log, so that kcat,
// the Java console tools, sarama, kafka-python and others list, produce, consume and keep group offsets
// on the very topics the program uses. A record is acknowledged only when it is durable. The ledger's
// topic can be read, never produced to.
//
// Only the protocol's non-flexible versions are spoken (see api.go): no topic ids, fetch sessions,
// leader epochs, transactions or the newer group protocol. Record times are those at which the log took
// a record; the event's own time is in the event.
//
// The package must not know what any event means: Config.Validate does.
package door
