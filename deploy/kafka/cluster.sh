#!/usr/bin/env bash
# Installs and runs real Apache Kafka (KRaft) on loopback ports, for tests and for trying things out.
#
#   cluster.sh up [--brokers 1|3] [--dir D] [--base-port P] [--secure]
#                                                             install if needed, format, start, wait
#   cluster.sh down [--purge]                                 stop all brokers; --purge deletes their data
#   cluster.sh status                                         one line per broker; 0 when all accept
#   cluster.sh kill N | start N                               SIGKILL broker N, or start it again (1, 2, 3)
#   cluster.sh pause N | resume N                             SIGSTOP broker N, so that it hangs, and SIGCONT
#   cluster.sh bootstrap                                      print host:port,... for clients
#   cluster.sh secure MECHANISM                               print the kafka:// URL of the --secure listeners
#   cluster.sh install                                        only install
#
# Broker N listens on base-port + 2(N-1), its controller on the port after it; with --secure it has one more
# listener, 10 ports further, with TLS and SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512). `up` may be repeated: what
# runs is left alone. Data and options live in --dir (default: PROJECTIONIST_KAFKA_HOME/data), the jars in
# PROJECTIONIST_KAFKA_HOME (default ~/.cache/projectionist/kafka). KAFKA_HEAP is the Java heap of one broker.
#
# Exit status: 0 done, 1 failed, 2 wrong use, 77 cannot be had here (no java, no mvn, no registry).
set -euo pipefail

KAFKA=4.1.0 SCALA=2.13 SLF4J=1.7.36
HOME_DIR=${PROJECTIONIST_KAFKA_HOME:-${HOME:?}/.cache/projectionist/kafka}
LIBS=$HOME_DIR/libs-$SCALA-$KAFKA
HEAP=${KAFKA_HEAP:-512m}
WAIT_SECONDS=${KAFKA_WAIT_SECONDS:-300}

say() { echo "kafka: $*" >&2; }
die() { say "$*"; exit 1; }
cannot() { say "cannot be had: $*"; exit 77; }
usage() { sed -n '2,21s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -ge 1 ] || usage
verb=$1; shift
node='' brokers='' dir=$HOME_DIR/data port='' purge=no secure=no mechanism=SCRAM-SHA-512
while [ $# -gt 0 ]; do
	case $1 in
	--brokers) brokers=${2:?}; shift 2 ;;
	--dir) dir=${2:?}; shift 2 ;;
	--base-port) port=${2:?}; shift 2 ;;
	--purge) purge=yes; shift ;;
	--secure) secure=yes; shift ;;
	PLAIN | SCRAM-SHA-256 | SCRAM-SHA-512) mechanism=$1; shift ;;
	[1-3]) node=$1; shift ;;
	*) usage ;;
	esac
done
case ${brokers:-1} in 1 | 3) ;; *) say "--brokers is ${brokers}; want 1 or 3"; exit 2 ;; esac
case ${port:-1} in *[!0-9]*) say "--base-port is ${port}; want a number"; exit 2 ;; esac

need_java() {
	command -v java >/dev/null || cannot "no java on the PATH; Kafka $KAFKA needs a JDK 17 or newer"
	local major
	major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
	[ "${major:-0}" -ge 17 ] || cannot "java is version ${major:-unknown}; Kafka $KAFKA needs 17 or newer"
}

install() {
	need_java
	[ -f "$LIBS/.complete" ] && return
	command -v mvn >/dev/null || cannot "no mvn on the PATH; Kafka's jars are fetched with Maven"
	mkdir -p "$HOME_DIR"
	local tmp; tmp=$(mktemp -d "$HOME_DIR/install.XXXXXX")
	cat >"$tmp/pom.xml" <<-EOF
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>projectionist</groupId><artifactId>kafka</artifactId><version>1</version>
		  <dependencies>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_$SCALA</artifactId><version>$KAFKA</version></dependency>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA</version></dependency>
		    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>$SLF4J</version></dependency>
		  </dependencies>
		</project>
	EOF
	say "fetching Kafka $KAFKA's jars into $LIBS"
	if ! (cd "$tmp" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs) >"$tmp/mvn.log" 2>&1; then
		tail -n 5 "$tmp/mvn.log" >&2
		rm -rf "$tmp"
		cannot "Maven could not fetch org.apache.kafka:kafka_$SCALA:$KAFKA; is a Maven registry reachable?"
	fi
	touch "$tmp/libs/.complete"
	# Two installs at once: one rename wins, and both are the same.
	mv -T "$tmp/libs" "$LIBS" 2>/dev/null || [ -f "$LIBS/.complete" ] || { rm -rf "$LIBS"; mv -T "$tmp/libs" "$LIBS"; }
	rm -rf "$tmp"
}

load() { # the options of the cluster in --dir
	[ -d "$dir" ] || die "no cluster in $dir; run: $0 up --dir $dir"
	dir=$(cd "$dir" && pwd)
	[ -f "$dir/cluster" ] || die "no cluster in $dir; run: $0 up --dir $dir"
	read -r brokers port uuid secure <"$dir/cluster"
}

broker_port() { echo $((port + 2 * ($1 - 1))); }
bootstrap() { local n s=; for n in $(seq "$brokers"); do s+=${s:+,}127.0.0.1:$(broker_port "$n"); done; echo "$s"; }

pid_of() { # the running broker's process id, if it is still ours
	local pid; pid=$(cat "$dir/$1/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && grep -qz "^$dir/$1/server.properties$" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$(broker_port "$1")") 2>/dev/null; }

prepare() { # write N's configuration, and format its folder once
	local n=$1 voters='' i replicas=1 isr=1
	for i in $(seq "$brokers"); do voters+=${voters:+,}$i@127.0.0.1:$(($(broker_port "$i") + 1)); done
	if [ "$brokers" = 3 ]; then replicas=3 isr=2; fi
	mkdir -p "$dir/$n"
	cat >"$dir/$n/server.properties" <<-EOF
		process.roles=broker,controller
		node.id=$n
		controller.quorum.voters=$voters
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$(broker_port "$n"),CONTROLLER://127.0.0.1:$(($(broker_port "$n") + 1))
		advertised.listeners=PLAINTEXT://127.0.0.1:$(broker_port "$n")
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		log.dirs=$dir/$n/data
		default.replication.factor=$replicas
		min.insync.replicas=$isr
		offsets.topic.replication.factor=$replicas
		offsets.topic.num.partitions=3
		transaction.state.log.replication.factor=$replicas
		transaction.state.log.min.isr=$isr
		transaction.state.log.num.partitions=3
		group.initial.rebalance.delay.ms=0
		auto.create.topics.enable=false
		# A broker that was killed is replaced as leader after this; the default is 9 s.
		broker.session.timeout.ms=3000
		broker.heartbeat.interval.ms=500
		num.network.threads=2
		num.io.threads=4
		log.cleaner.dedupe.buffer.size=16777216
	EOF
	local scram=()
	if [ "$secure" = yes ]; then
		local password; password=$(cat "$dir/password")
		sed -i -e "s|^listeners=.*|&,SECURE://127.0.0.1:$(($(broker_port "$n") + 10))|" \
			-e "s|^advertised.listeners=.*|&,SECURE://127.0.0.1:$(($(broker_port "$n") + 10))|" \
			-e "s|^listener.security.protocol.map=.*|&,SECURE:SASL_SSL|" "$dir/$n/server.properties"
		cat >>"$dir/$n/server.properties" <<-EOF
			sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
			listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_projectionist="$password";
			listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
			listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
			ssl.keystore.type=PKCS12
			ssl.keystore.location=$dir/keystore.p12
			ssl.keystore.password=$password
		EOF
		chmod 600 "$dir/$n/server.properties"
		scram=(--add-scram "SCRAM-SHA-256=[name=projectionist,password=$password]" --add-scram "SCRAM-SHA-512=[name=projectionist,password=$password]")
	fi
	[ -f "$dir/$n/data/meta.properties" ] ||
		java -cp "$LIBS/*" kafka.tools.StorageTool format -t "$uuid" -c "$dir/$n/server.properties" "${scram[@]}" >"$dir/$n/format.log" 2>&1 ||
		{ cat "$dir/$n/format.log" >&2; die "broker $n's folder could not be formatted"; }
}

credentials() { # a password for the user projectionist, and a certificate for 127.0.0.1
	(umask 077; head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$dir/password")
	keytool -genkeypair -alias kafka -keyalg EC -validity 3650 -dname CN=localhost -ext san=ip:127.0.0.1,dns:localhost \
		-storetype PKCS12 -keystore "$dir/keystore.p12" -storepass:file "$dir/password" >"$dir/keytool.log" 2>&1 &&
		keytool -exportcert -rfc -alias kafka -keystore "$dir/keystore.p12" -storepass:file "$dir/password" >"$dir/ca.pem" 2>>"$dir/keytool.log" ||
		{ cat "$dir/keytool.log" >&2; die "no certificate could be made with keytool"; }
}

launch() {
	local n=$1
	if pid_of "$n" >/dev/null; then return; fi
	if accepts "$n"; then die "port $(broker_port "$n") is taken by another program; choose another --base-port"; fi
	prepare "$n"
	nohup nice -n "${KAFKA_NICE:-10}" java "-Xms128m" "-Xmx$HEAP" -XX:+UseSerialGC -XX:TieredStopAtLevel="${KAFKA_TIER:-4}" \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
		-cp "$LIBS/*" kafka.Kafka "$dir/$n/server.properties" >>"$dir/$n/kafka.log" 2>&1 </dev/null &
	echo $! >"$dir/$n/pid"
}

await() {
	local n=$1 end=$((SECONDS + WAIT_SECONDS))
	until accepts "$n"; do
		# Not pid_of: for a moment the new process still has this script's command line.
		kill -0 "$(cat "$dir/$n/pid")" 2>/dev/null || { tail -n 20 "$dir/$n/kafka.log" >&2; die "broker $n ended while starting"; }
		[ $SECONDS -lt $end ] || { tail -n 20 "$dir/$n/kafka.log" >&2; die "broker $n does not accept connections after $WAIT_SECONDS s"; }
		sleep .2
	done
}

# An accepted connection is not yet a cluster: its metadata must name every broker.
await_cluster() {
	local end=$((SECONDS + WAIT_SECONDS)) seen
	while :; do
		seen=$(timeout 120 java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp "$LIBS/*" \
			org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$(bootstrap)" 2>/dev/null | grep -c ' (id: ' || true)
		[ "$seen" -ge "$brokers" ] && return
		[ $SECONDS -lt $end ] || die "the cluster has $seen of $brokers brokers after $WAIT_SECONDS s"
		sleep .5
	done
}

stop() {
	local n=$1 signal=$2 pid i
	pid=$(pid_of "$n") || return 0
	kill "-$signal" "$pid" 2>/dev/null || true
	for i in $(seq 150); do
		kill -0 "$pid" 2>/dev/null || break
		[ "$i" != 100 ] || kill -KILL "$pid" 2>/dev/null || true
		sleep .1
	done
	rm -f "$dir/$n/pid"
}

case $verb in
install) install ;;
up)
	install
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	if [ -f "$dir/cluster" ]; then
		want_brokers=$brokers want_port=$port want_secure=$secure
		load
		[ "${want_brokers:-$brokers}" = "$brokers" ] && [ "${want_port:-$port}" = "$port" ] && { [ "$want_secure" = no ] || [ "$secure" = yes ]; } ||
			die "the cluster in $dir has $brokers broker(s) from port $port, secure: $secure; use another --dir, or down --purge first"
	else
		brokers=${brokers:-1} port=${port:-19092}
		uuid=$(java -cp "$LIBS/*" kafka.tools.StorageTool random-uuid 2>/dev/null) || die "no cluster id: StorageTool random-uuid failed"
		if [ "$secure" = yes ]; then credentials; fi
		echo "$brokers $port $uuid $secure" >"$dir/cluster"
	fi
	started=no
	for n in $(seq "$brokers"); do pid_of "$n" >/dev/null || { launch "$n"; started=yes; }; done
	for n in $(seq "$brokers"); do await "$n"; done
	if [ $started = yes ]; then await_cluster; fi
	bootstrap
	;;
down)
	[ -f "$dir/cluster" ] || exit 0
	load
	# All at once: a broker that leaves alone waits for a quorum to hand over to.
	for n in $(seq "$brokers"); do stop "$n" TERM & done
	wait
	if [ $purge = yes ]; then rm -rf "${dir:?}"/{1,2,3,cluster,password,keystore.p12,ca.pem,keytool.log}; fi
	;;
status)
	load
	bad=0
	for n in $(seq "$brokers"); do
		if ! pid=$(pid_of "$n"); then echo "broker $n: stopped"; bad=1
		elif accepts "$n"; then echo "broker $n: accepts on 127.0.0.1:$(broker_port "$n"), process $pid"
		else echo "broker $n: starting, process $pid"; bad=1; fi
	done
	exit $bad
	;;
kill | start)
	[ -n "$node" ] || usage
	load
	[ "$node" -le "$brokers" ] || die "the cluster has $brokers broker(s)"
	if [ "$verb" = kill ]; then
		stop "$node" KILL
	else
		install
		launch "$node"
		await "$node"
	fi
	;;
pause | resume)
	[ -n "$node" ] || usage
	load
	pid=$(pid_of "$node") || die "broker $node does not run"
	if [ "$verb" = pause ]; then kill -STOP "$pid"; else kill -CONT "$pid"; fi
	;;
secure)
	load
	[ "$secure" = yes ] || die "the cluster in $dir was made without --secure"
	hosts=; for n in $(seq "$brokers"); do hosts+=${hosts:+,}127.0.0.1:$(($(broker_port "$n") + 10)); done
	echo "kafka://$hosts?tls_ca=$dir/ca.pem&sasl=$mechanism&user=projectionist&password_file=$dir/password"
	;;
bootstrap)
	load
	bootstrap
	;;
*) usage ;;
esac
