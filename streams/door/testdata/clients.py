"""Kafka's Python clients against the door: clients.py HOST:PORT. Prints one line per check, ends with 1 on a failure."""
import sys
import threading
import time

import confluent_kafka
import kafka
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

server = sys.argv[1]
failed = False


def check(name, got, want):
    global failed
    ok = got == want
    failed = failed or not ok
    print("ok  " if ok else "FAIL", name, got if ok else f"{got!r}; want {want!r}")


print("kafka-python", kafka.__version__)
topic = "movie-recommendations"
producer = KafkaProducer(bootstrap_servers=server, acks="all")
sent = [producer.send(topic, key=b"u%d" % i, value=b'{"n":%d}' % i).get(10) for i in range(20)]
check("kafka-python produce", len({(m.partition, m.offset) for m in sent}), 20)
for refused_topic, value in (("mlops-events", b"{}"), ("user-events", b"bad")):
    try:
        # A producer of its own: after an error this client fails whatever it sends next.
        KafkaProducer(bootstrap_servers=server).send(refused_topic, value).get(10)
        check("kafka-python refused by " + refused_topic, "taken", "refused")
    except kafka.errors.KafkaError as e:
        print("ok   kafka-python refused by", refused_topic, type(e).__name__)
packed = KafkaProducer(bootstrap_servers=server, compression_type="gzip")
packed.send(topic, key=b"u1", value=b"{}" * 100).get(10)
consumer = KafkaConsumer(topic, bootstrap_servers=server, group_id="python", auto_offset_reset="earliest", consumer_timeout_ms=3000)
check("kafka-python consume", sum(1 for _ in consumer), 21)
consumer.commit()
consumer.close()
consumer = KafkaConsumer(bootstrap_servers=server, group_id="python")
parts = [TopicPartition(topic, p) for p in range(3)]
check("kafka-python committed", sum(consumer.committed(p) or 0 for p in parts), 21)
first = min(m.timestamp for m in sent)
found = consumer.offsets_for_times({p: first for p in parts})
check("kafka-python offsets by time", {o.offset for o in found.values() if o}, {0})
consumer.close()
admin = KafkaAdminClient(bootstrap_servers=server)
check("kafka-python topics", "user-events" in admin.list_topics(), True)
admin.close()

print("confluent-kafka", confluent_kafka.version(), "librdkafka", confluent_kafka.libversion()[0])
topic, reports = "system-health", []
for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    producer = confluent_kafka.Producer({"bootstrap.servers": server, "enable.idempotence": True, "compression.type": codec})
    for i in range(200):
        producer.produce(topic, key=str(i), value='{"n":%d}' % i, callback=lambda err, _: reports.append(err))
    producer.flush(20)
check("confluent produce, idempotent, five codecs", (len(reports), sum(e is None for e in reports)), (1000, 1000))

seen, assigned, stop = [], [], threading.Event()


def member(name):
    c = confluent_kafka.Consumer({"bootstrap.servers": server, "group.id": "confluent", "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 200})
    c.subscribe([topic], on_assign=lambda _, ps: assigned.append((name, len(ps))))
    while not stop.is_set():
        m = c.poll(0.1)
        if m is not None and not m.error():
            seen.append((m.partition(), m.offset()))
    c.close()


threads = []
for name in "ab":
    threads.append(threading.Thread(target=member, args=(name,)))
    threads[-1].start()
    deadline = time.time() + 20
    while time.time() < deadline and (name, 1 if name == "b" else 2) not in assigned:
        time.sleep(0.05)
deadline = time.time() + 20
while time.time() < deadline and len(seen) < 1000:
    time.sleep(0.05)
stop.set()
for t in threads:
    t.join()
check("confluent consume, two members", (len(seen), len(set(seen))), (1000, 1000))
check("confluent rebalance", ("a", 2) in assigned and ("b", 1) in assigned, True)


def consumer(name, instance, tell):
    c = confluent_kafka.Consumer({"bootstrap.servers": server, "group.id": "static", "group.instance.id": instance, "auto.offset.reset": "earliest",
                                  "session.timeout.ms": 20000, "heartbeat.interval.ms": 200})
    c.subscribe([topic], on_assign=lambda _, ps: tell.append((name, sorted(p.partition for p in ps))))
    return c


def poll(consumers, until, seconds=20):
    """Polls until something is so, and gives the errors that came meanwhile."""
    errors, deadline = [], time.time() + seconds
    while time.time() < deadline and not until(errors):
        for c in consumers:
            m = c.poll(0.05)
            if m is not None and m.error():
                errors.append(m.error().code())
    return errors


told = []
a, b = consumer("a", "one", told), consumer("b", "two", told)
poll([a, b], lambda _: {n for n, p in told if len(p) == 1} == {"a", "b"})
before = {n: p for n, p in told}
rounds = len(told)
b.close()  # a static member does not leave
b = consumer("b again", "two", told)
poll([a, b], lambda _: len(told) > rounds)
check("confluent static member returns", told[rounds:], [("b again", before.get("b"))])
twin = consumer("twin", "two", told)
errors = poll([b, twin], lambda errors: len(errors) > 0)
check("confluent static member fenced", errors[:1], [confluent_kafka.KafkaError._FATAL])
twin.close()
a.close()

started = time.time()
try:
    confluent_kafka.Producer({"bootstrap.servers": server, "transactional.id": "t"}).init_transactions(15)
    check("confluent transactions", "taken", "refused")
except confluent_kafka.KafkaException as e:
    check("confluent transactions", (e.args[0].name(), e.args[0].fatal(), time.time() - started < 5), ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", True, True))
new = confluent_kafka.Consumer({"bootstrap.servers": server, "group.id": "new", "group.protocol": "consumer"})
new.subscribe([topic])
errors = []
while not errors and time.time() < started + 30:
    m = new.poll(0.1)
    if m is not None and m.error():
        errors.append(m.error().str())
check("confluent new group protocol", "API version not supported" in "".join(errors), True)
new.close()

single = confluent_kafka.Consumer({"bootstrap.servers": server, "group.id": "single", "auto.offset.reset": "earliest"})
single.subscribe([topic])
m = None
while m is None and time.time() < started + 60:
    m = single.poll(0.1)
check("confluent time of the log", m.timestamp()[0], confluent_kafka.TIMESTAMP_LOG_APPEND_TIME)
admin = AdminClient({"bootstrap.servers": server})
state = confluent_kafka.ConsumerGroupState
check("confluent groups", sorted(g.group_id for g in admin.list_consumer_groups().result().valid), ["confluent", "python", "single", "static"])
check("confluent groups by state", [g.group_id for g in admin.list_consumer_groups(states={state.STABLE}).result().valid if g.group_id != "static"], ["single"])
single.close()
sys.exit(failed)
