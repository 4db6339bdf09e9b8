#!/bin/sh
# Topics and access rules of epassport. Generated: python -m epassport_contracts.generate
#
#   BOOTSTRAP=host:port sh apply-to-kafka.sh
#
# KAFKA_BIN       folder of kafka-topics.sh and kafka-acls.sh; otherwise they are on the PATH
# COMMAND_CONFIG  properties of an administrator's client
# PRINCIPAL       how a service's name becomes a principal: User:%s (a login), User:CN=%s (TLS)
# REPLICATION     copies of each partition, 3; all but one must have a record before it counts
#
# Can be run again: what exists is left as it is. Rules that are no longer here are not removed;
# compare with kafka-acls.sh --list.
set -eu
: "${BOOTSTRAP:?host:port of a broker}"
REPLICATION=${REPLICATION:-3}
PRINCIPAL=${PRINCIPAL:-User:%s}
BIN=${KAFKA_BIN:+$KAFKA_BIN/}
IN_SYNC=$((REPLICATION > 1 ? REPLICATION - 1 : 1))

topic() { # name partitions config...
    name=$1 partitions=$2
    shift 2
    "${BIN}kafka-topics.sh" --bootstrap-server "$BOOTSTRAP" \
        ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
        --create --if-not-exists --topic "$name" --partitions "$partitions" \
        --replication-factor "$REPLICATION" --config "min.insync.replicas=$IN_SYNC" "$@"
}

may() { # service operation resource pattern name
    # shellcheck disable=SC2059
    who=$(printf "$PRINCIPAL" "$1")
    "${BIN}kafka-acls.sh" --bootstrap-server "$BOOTSTRAP" \
        ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
        --add --force --allow-principal "$who" --operation "$2" \
        --resource-pattern-type "$4" "--$3" "$5"
}

topic internal.enrollment.rollout.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.enrollment.application.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.enrollment.holder.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.biometrics.biometric-record.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.biometrics.chip-data.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
topic internal.card-personalization.card.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.cloud-profile.profile.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.verification.document-status.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.verification.presentation.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.enrollment.keyring.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.biometrics.keyring.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.card-personalization.keyring.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.cloud-profile.keyring.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.verification.keyring.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.enrollment.history.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.biometrics.history.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.card-personalization.history.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.cloud-profile.history.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.verification.history.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic internal.subject-keys.v1 4 --config cleanup.policy=compact --config segment.ms=3600000 --config max.compaction.lag.ms=86400000 --config max.message.bytes=1000000
topic public.passport-status.v1 4 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1000000
topic public.passport-status-current.v1 4 --config cleanup.policy=compact --config segment.ms=3600000 --config max.compaction.lag.ms=86400000 --config max.message.bytes=1000000
topic dead-letter.enrollment.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
topic dead-letter.biometrics.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
topic dead-letter.card-personalization.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
topic dead-letter.cloud-profile.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
topic dead-letter.verification.v1 4 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1000000
may enrollment write topic literal internal.enrollment.rollout.v1
may enrollment read topic literal internal.enrollment.rollout.v1
may enrollment write topic literal internal.enrollment.application.v1
may enrollment write topic literal internal.enrollment.holder.v1
may enrollment read topic literal internal.enrollment.holder.v1
may enrollment read topic literal internal.biometrics.biometric-record.v1
may enrollment read topic literal internal.card-personalization.card.v1
may enrollment read topic literal internal.verification.document-status.v1
may enrollment write topic literal internal.enrollment.keyring.v1
may enrollment read topic literal internal.enrollment.keyring.v1
may enrollment read topic literal internal.biometrics.keyring.v1
may enrollment read topic literal internal.card-personalization.keyring.v1
may enrollment read topic literal internal.cloud-profile.keyring.v1
may enrollment read topic literal internal.verification.keyring.v1
may enrollment write topic literal internal.enrollment.history.v1
may enrollment write topic literal internal.subject-keys.v1
may enrollment read topic literal internal.subject-keys.v1
may enrollment write topic literal dead-letter.enrollment.v1
may enrollment read group prefixed enrollment.
may enrollment write transactional-id prefixed enrollment-relay-
may biometrics read topic literal internal.enrollment.rollout.v1
may biometrics read topic literal internal.enrollment.application.v1
may biometrics read topic literal internal.enrollment.holder.v1
may biometrics write topic literal internal.biometrics.biometric-record.v1
may biometrics write topic literal internal.biometrics.chip-data.v1
may biometrics write topic literal internal.biometrics.keyring.v1
may biometrics write topic literal internal.biometrics.history.v1
may biometrics write topic literal internal.subject-keys.v1
may biometrics read topic literal internal.subject-keys.v1
may biometrics write topic literal dead-letter.biometrics.v1
may biometrics read group prefixed biometrics.
may biometrics write transactional-id prefixed biometrics-relay-
may card-personalization read topic literal internal.enrollment.rollout.v1
may card-personalization read topic literal internal.enrollment.application.v1
may card-personalization read topic literal internal.enrollment.holder.v1
may card-personalization read topic literal internal.biometrics.chip-data.v1
may card-personalization write topic literal internal.card-personalization.card.v1
may card-personalization read topic literal internal.verification.document-status.v1
may card-personalization write topic literal internal.card-personalization.keyring.v1
may card-personalization write topic literal internal.card-personalization.history.v1
may card-personalization read topic literal internal.subject-keys.v1
may card-personalization write topic literal dead-letter.card-personalization.v1
may card-personalization read group prefixed card-personalization.
may cloud-profile read topic literal internal.enrollment.rollout.v1
may cloud-profile read topic literal internal.enrollment.application.v1
may cloud-profile read topic literal internal.enrollment.holder.v1
may cloud-profile read topic literal internal.biometrics.chip-data.v1
may cloud-profile write topic literal internal.cloud-profile.profile.v1
may cloud-profile read topic literal internal.verification.document-status.v1
may cloud-profile read topic literal internal.verification.presentation.v1
may cloud-profile write topic literal internal.cloud-profile.keyring.v1
may cloud-profile write topic literal internal.cloud-profile.history.v1
may cloud-profile write topic literal internal.subject-keys.v1
may cloud-profile read topic literal internal.subject-keys.v1
may cloud-profile write topic literal dead-letter.cloud-profile.v1
may cloud-profile read group prefixed cloud-profile.
may cloud-profile write transactional-id prefixed cloud-profile-relay-
may verification read topic literal internal.enrollment.rollout.v1
may verification read topic literal internal.enrollment.application.v1
may verification read topic literal internal.enrollment.holder.v1
may verification read topic literal internal.biometrics.biometric-record.v1
may verification read topic literal internal.card-personalization.card.v1
may verification read topic literal internal.cloud-profile.profile.v1
may verification write topic literal internal.verification.document-status.v1
may verification write topic literal internal.verification.presentation.v1
may verification write topic literal internal.verification.keyring.v1
may verification write topic literal internal.verification.history.v1
may verification read topic literal internal.subject-keys.v1
may verification write topic literal public.passport-status.v1
may verification write topic literal public.passport-status-current.v1
may verification write topic literal dead-letter.verification.v1
may verification read group prefixed verification.
may verification write transactional-id prefixed verification-relay-
may auditor read topic literal internal.enrollment.history.v1
may auditor read topic literal internal.biometrics.history.v1
may auditor read topic literal internal.card-personalization.history.v1
may auditor read topic literal internal.cloud-profile.history.v1
may auditor read topic literal internal.verification.history.v1
