// Package kafka is the log on a Kafka cluster: both halves of [streams.Log] on topics.
//
// # The ledger
//
// The ledger is one partition. An append produces one record and waits for its own verdict, which no
// broker gives: every node folds the partition in order and judges each record by the same rule
// (judge.go). A record is an accepted commit if its id was not accepted before and its expected revision
// is the head of its stream at that point; else it is void for every reader. Racing nodes therefore need
// no lock, lease, fence or leader, and a record that was written twice counts once. A record that this node
// wrote right behind what it has judged is judged from the acknowledgement: a fetch would bring the same.
//
// What was judged is kept in a local Pebble index together with the accepted commits, so that loading a
// stream asks no broker. The index is a cache of the fold: state and cursor go in one batch, it may be
// deleted while the program is down, and it grows back the same. Ledger reads, Head and Wait speak of
// what this node has folded; that is everything it has acknowledged itself, and what other nodes wrote
// up to some milliseconds ago. To see another node's commit, wait for its position.
//
// # The feeds
//
// Records are produced with acks=all by an idempotent producer of our own on sarama's protocol layer, one
// batch in flight per partition, and read with plain fetches. That way the end of a read is exact where
// a partition ends in control records or an aborted transaction, and a bulk load and a single record take
// the same short path.
//
// Recorded times are the brokers' (message.timestamp.type=LogAppendTime): a node's clock does not matter.
// Within a feed they are as monotonic as the clocks of the brokers that lead it; within the ledger a time
// that steps back is held at the last one.
//
// # Copies of other logs
//
// A log can be filled as another one was (restore.go). Its topics are CreateTime until it is whole, so that
// records keep their times; offsets that the other one passed over are filled with void records, which have
// the header "projectionist-void" (streams.VoidHeader) and nothing else. No reader of this package ever
// sees one, nor is it counted in the fold; other programs may leave such records out as well.
//
// "Durable" is what Kafka means by it: on min.insync.replicas brokers, not fsynced on one.
//
// The package must not know what any event means.
package kafka
