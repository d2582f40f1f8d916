#!/usr/bin/env bash
# Makes Kafka's own command-line tools, from the jars that cluster.sh installs, and prints the folder they are in:
#
#   export PATH="$(deploy/kafka/tools.sh):$PATH"
#   kafka-topics --bootstrap-server localhost:9092 --list
#
# Exit status: 77 when they cannot be had here (see cluster.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${PROJECTIONIST_KAFKA_HOME:-${HOME:?}/.cache/projectionist/kafka}
"$here/cluster.sh" install
libs=$(ls -d "$home"/libs-*/ | head -1)
mkdir -p "$home/bin"
while read -r name class; do
	printf '#!/usr/bin/env bash\nexec java -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp %q %s "$@"\n' "$libs*" "$class" >"$home/bin/.$name"
	chmod +x "$home/bin/.$name"
	mv "$home/bin/.$name" "$home/bin/$name"
done <<-'TOOLS'
	kafka-topics org.apache.kafka.tools.TopicCommand
	kafka-console-producer org.apache.kafka.tools.ConsoleProducer
	kafka-console-consumer org.apache.kafka.tools.consumer.ConsoleConsumer
	kafka-consumer-groups org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
TOOLS
echo "$home/bin"
