#!/bin/bash
# KAFKA_… variables into server.properties, storage formatted once, then the broker.
set -euo pipefail

export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
config=/opt/kafka/config
java=(java -cp '/opt/kafka/libs/*')

prepare() {
    "${java[@]}" -Xmx128m -XX:TieredStopAtLevel=1 kafka.docker.KafkaDockerWrapper setup \
        --default-configs-dir /etc/kafka/docker \
        --mounted-configs-dir /mnt/shared/config \
        --final-configs-dir "$config"
}
if ! said=$(prepare 2>&1) && [[ $said != *"is already formatted"* ]]; then
    echo "$said" >&2
    exit 1
fi
# shellcheck disable=SC2086 # both hold several options, as Kafka's own scripts have it
exec "${java[@]}" ${KAFKA_HEAP_OPTS:-} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} ${KAFKA_OPTS:-} \
    "-Dlog4j2.configurationFile=$config/log4j2.yaml" kafka.Kafka "$config/server.properties"
