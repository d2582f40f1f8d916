package door

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/streams"
)

// Clients of other languages, for machines that have them; nothing is installed here. CI sets
//
//	DOOR_KCAT=kcat              kcat 1.7 (Debian's package)
//	DOOR_PYTHON=venv/bin/python with kafka-python and confluent-kafka (pip)
//	DOOR_JAVA_LIBS=libs         the jars of org.apache.kafka:kafka_2.13 and kafka-tools 4.1 (mvn dependency:copy-dependencies)
//
// and runs go test -run Client ./streams/door.

// client runs a program with some input and gives all it says.
func client(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s does not end: %s", cmd, out)
	}
	t.Logf("%s\n%s%v", strings.Join(append([]string{name}, args...), " "), out, err)
	return string(out)
}

func expect(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("it does not say %q:\n%s", w, out)
		}
	}
}

func clientDoor(t *testing.T, users map[string]string) string {
	t.Helper()
	return mustListen(t, Config{Users: users, Validate: func(_ string, r *streams.Record) error {
		if strings.HasPrefix(string(r.Value), "bad") {
			return errors.New("the value is bad")
		}
		return nil
	}}).Addr().String()
}

func need(t *testing.T, env string) string {
	t.Helper()
	v := os.Getenv(env)
	if v == "" {
		t.Skipf("%s is not set: this client was NOT tried", env)
	}
	return v
}

func TestClientKcat(t *testing.T) {
	kcat := need(t, "DOOR_KCAT")
	b := clientDoor(t, nil)
	expect(t, client(t, "", kcat, "-b", b, "-L"), `topic "user-events" with 3 partitions`, `topic "mlops-events" with 1 partitions`)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		client(t, "key:{\"codec\":\""+codec+"\"}\n", kcat, "-b", b, "-t", testTopic, "-P", "-K:", "-z", codec)
	}
	out := client(t, "", kcat, "-b", b, "-t", testTopic, "-C", "-e", "-f", "%o %k %s\n")
	expect(t, out, `0 key {"codec":"none"}`, `1 key {"codec":"gzip"}`, `2 key {"codec":"snappy"}`, `3 key {"codec":"lz4"}`, `4 key {"codec":"zstd"}`)
	expect(t, client(t, "", kcat, "-b", b, "-G", "kcat", testTopic, "-e", "-X", "auto.offset.reset=earliest"), `{"codec":"zstd"}`)
	expect(t, client(t, "x\n", kcat, "-b", b, "-t", ledgerTopic, "-P"), "Delivery failed for message: Broker: ")
	expect(t, client(t, "bad\n", kcat, "-b", b, "-t", testTopic, "-P"), "Broker failed to validate record")
	expect(t, client(t, "1\n2\n", kcat, "-b", b, "-t", "model-drift-alerts", "-P", "-X", "enable.idempotence=true")+
		client(t, "", kcat, "-b", b, "-t", "model-drift-alerts", "-C", "-e"), "1\n2\n")
	expect(t, client(t, "", kcat, "-b", b, "-Q", "-t", "model-drift-alerts:0:0"), "model-drift-alerts [0] offset 0")

	b = clientDoor(t, map[string]string{"ada": "s3cret"})
	login := []string{"-b", b, "-L", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanisms=PLAIN", "-X", "sasl.username=ada", "-X"}
	expect(t, client(t, "", kcat, append(login, "sasl.password=s3cret")...), `topic "user-events"`)
	expect(t, client(t, "", kcat, append(login, "sasl.password=secret", "-m", "2")...), "the name or the password is wrong")
}

func TestClientPython(t *testing.T) {
	python := need(t, "DOOR_PYTHON")
	out := client(t, "", python, "testdata/clients.py", clientDoor(t, nil))
	expect(t, out, "ok   confluent groups")
	if strings.Contains(out, "\nFAIL ") || strings.Contains(out, "Traceback") {
		t.Errorf("a check failed:\n%s", out)
	}
}

func TestClientJava(t *testing.T) {
	libs := need(t, "DOOR_JAVA_LIBS")
	b := clientDoor(t, nil)
	java := func(input, class string, args ...string) string {
		t.Helper()
		return client(t, input, "java", append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
			"-cp", libs + "/*", "org.apache.kafka.tools." + class, "--bootstrap-server", b}, args...)...)
	}
	const alerts, groups = "model-drift-alerts", "consumer.group.ConsumerGroupCommand"
	expect(t, java("", "TopicCommand", "--list"), "feature-values\nmlops-events\nmodel-drift-alerts\nmovie-recommendations\nsystem-health\nuser-events\n")
	expect(t, java("", "TopicCommand", "--describe", "--topic", testTopic), "PartitionCount: 3", "retention.ms=-1", "cleanup.policy=delete",
		"message.timestamp.type=LogAppendTime", "max.message.bytes="+strconv.Itoa(batchBytesMax))
	create := func(args ...string) string { return java("", "TopicCommand", append([]string{"--create"}, args...)...) }
	expect(t, create("--topic", "new"), "the topics of the embedded log are fixed")
	expect(t, create("--topic", testTopic, "--partitions", "3"), "The topic exists, with the partitions you ask for: nothing to do")
	expect(t, create("--topic", testTopic, "--partitions", "7"), "The topic exists with 3 partitions, and you ask for 7")
	if out := create("--topic", testTopic, "--partitions", "7", "--if-not-exists"); out != "" {
		t.Errorf("it says %q", out)
	}
	java("{\"n\":1}\n{\"n\":2}\n", "ConsoleProducer", "--topic", alerts)
	for _, codec := range []string{"gzip", "snappy", "lz4", "zstd"} {
		java("{\"codec\":\""+codec+"\"}\n", "ConsoleProducer", "--topic", alerts, "--compression-codec", codec)
	}
	expect(t, java("x\n", "ConsoleProducer", "--topic", ledgerTopic), "PolicyViolationException: topic mlops-events is the ledger")
	expect(t, java("bad\n", "ConsoleProducer", "--topic", testTopic), "InvalidRecordException: record 0: the value is bad")
	expect(t, java("", "consumer.ConsoleConsumer", "--topic", alerts, "--from-beginning", "--max-messages", "6", "--group", "java"),
		`{"n":1}`, `{"n":2}`, `{"codec":"gzip"}`, `{"codec":"snappy"}`, `{"codec":"lz4"}`, `{"codec":"zstd"}`)
	expect(t, java("", groups, "--list"), "java")
	expect(t, strings.Join(strings.Fields(java("", groups, "--describe", "--group", "java")), " "), "java model-drift-alerts 0 6 6 0")
	expect(t, strings.Join(strings.Fields(java("", groups, "--reset-offsets", "--to-earliest", "--group", "java", "--topic", alerts, "--execute")), " "), "java model-drift-alerts 0 0")
	expect(t, java("", groups, "--list", "--state"), "Empty")
	expect(t, java("", groups, "--list", "--state", "Empty"), "java")
	if out := java("", groups, "--list", "--state", "Stable"); strings.Contains(out, "java") {
		t.Errorf("a group without members is said to be stable:\n%s", out)
	}
	expect(t, java("", groups, "--delete-offsets", "--group", "java", "--topic", alerts), "Request succeeded for deleting offsets")
	if out := java("", groups, "--describe", "--group", "java", "--offsets"); strings.Contains(out, alerts) {
		t.Errorf("there is still an offset:\n%s", out)
	}
	expect(t, java("", groups, "--delete", "--group", "java"), "was successful")
	expect(t, java("", "LogDirsCommand", "--describe"), `"partition":"user-events-2"`, `"error":null`)
	if out := java("", "AclCommand", "--list"); out != "" {
		t.Errorf("it says %q", out)
	}
	expect(t, java("", "consumer.ConsoleConsumer", "--topic", alerts, "--from-beginning", "--max-messages", "1", "--property", "print.timestamp=true"), "LogAppendTime:")
	expect(t, java("", "consumer.ConsoleConsumer", "--topic", alerts, "--group", "new", "--consumer-property", "group.protocol=consumer"), "Set group.protocol=classic")
	expect(t, client(t, "", "java", "-Xmx256m", "-cp", libs+"/*", "org.apache.kafka.tools.ProducerPerformance", "--topic", alerts, "--num-records", "1", "--record-size", "1",
		"--throughput", "-1", "--transactional-id", "t", "--transaction-duration-ms", "1000", "--producer-props", "bootstrap.servers="+b), "TransactionalIdAuthorizationException")
	expect(t, java("", "GetOffsetShell", "--topic", alerts), alerts+":0:6")
}
