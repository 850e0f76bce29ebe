/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_config_table.c -- see kafka_config_table.h.
 *
 * Invariant: rows ascend by name, and none of them stands in another table.
 *
 * Locality: plain data.
 */
#include "broker/kafka_config_table.h"

#include <string.h>

#define ROW(name, type, value, reason)                                                             \
    {                                                                                              \
        name, KAFKA_CONFIG_##type, value, KAFKA_CONFIG_##reason, ""                                \
    }
#define ALIAS(name, type, key)                                                                     \
    {                                                                                              \
        name, KAFKA_CONFIG_##type, NULL, KAFKA_CONFIG_ALIAS, key                                   \
    }

static const struct kafka_config_row rows[] = {
    ROW("alter.config.policy.class.name", CLASS, NULL, PLUGINS),
    ROW("alter.log.dirs.replication.quota.window.num", INT, "11", QUOTAS),
    ROW("alter.log.dirs.replication.quota.window.size.seconds", INT, "1", QUOTAS),
    ROW("authorizer.class.name", STRING, "", SECURITY),
    ROW("background.threads", INT, "10", THREADS),
    ROW("broker.heartbeat.interval.ms", INT, "2000", CONTROLLER),
    ROW("broker.id.generation.enable", BOOLEAN, "true", CONTROLLER),
    ROW("broker.session.timeout.ms", INT, "9000", CONTROLLER),
    ROW("client.quota.callback.class", CLASS, NULL, QUOTAS),
    ROW("connection.failed.authentication.delay.ms", INT, "100", SOCKETS),
    ROW("connections.max.reauth.ms", LONG, "0", SECURITY),
    ROW("controlled.shutdown.enable", BOOLEAN, "true", CONTROLLER),
    ROW("controller.listener.names", STRING, "", CONTROLLER),
    ROW("controller.performance.always.log.threshold.ms", LONG, "2000", CONTROLLER),
    ROW("controller.performance.sample.period.ms", LONG, "60000", CONTROLLER),
    ROW("controller.quorum.append.linger.ms", INT, "25", CONTROLLER),
    ROW("controller.quorum.auto.join.enable", BOOLEAN, "false", CONTROLLER),
    ROW("controller.quorum.bootstrap.servers", LIST, "", CONTROLLER),
    ROW("controller.quorum.election.backoff.max.ms", INT, "1000", CONTROLLER),
    ROW("controller.quorum.election.timeout.ms", INT, "1000", CONTROLLER),
    ROW("controller.quorum.fetch.timeout.ms", INT, "2000", CONTROLLER),
    ROW("controller.quorum.request.timeout.ms", INT, "2000", CONTROLLER),
    ROW("controller.quorum.retry.backoff.ms", INT, "20", CONTROLLER),
    ROW("controller.quota.window.num", INT, "11", QUOTAS),
    ROW("controller.quota.window.size.seconds", INT, "1", QUOTAS),
    ROW("controller.socket.timeout.ms", INT, "30000", CONTROLLER),
    ROW("create.topic.policy.class.name", CLASS, NULL, PLUGINS),
    ROW("delegation.token.expiry.check.interval.ms", LONG, "3600000", SECURITY),
    ROW("delegation.token.expiry.time.ms", LONG, "86400000", SECURITY),
    ROW("delegation.token.max.lifetime.ms", LONG, "604800000", SECURITY),
    ROW("delegation.token.secret.key", PASSWORD, NULL, SECURITY),
    ROW("delete.records.purgatory.purge.interval.requests", INT, "1", SOCKETS),
    ROW("delete.topic.enable", BOOLEAN, "true", FIXED),
    ROW("early.start.listeners", STRING, NULL, SECURITY),
    ROW("fetch.max.bytes", INT, "57671680", FIXED),
    ROW("fetch.purgatory.purge.interval.requests", INT, "1000", SOCKETS),
    ROW("follower.replication.throttled.rate", LONG, "9223372036854775807", REPLICATION),
    ROW("group.consumer.assignors", LIST, "uniform,range", GROUPS),
    ROW("group.consumer.heartbeat.interval.ms", INT, "5000", GROUPS),
    ROW("group.consumer.max.heartbeat.interval.ms", INT, "15000", GROUPS),
    ROW("group.consumer.max.session.timeout.ms", INT, "60000", GROUPS),
    ROW("group.consumer.max.size", INT, "2147483647", GROUPS),
    ROW("group.consumer.migration.policy", STRING, "disabled", GROUPS),
    ROW("group.consumer.min.heartbeat.interval.ms", INT, "5000", GROUPS),
    ROW("group.consumer.min.session.timeout.ms", INT, "45000", GROUPS),
    ROW("group.consumer.regex.refresh.interval.ms", INT, "600000", GROUPS),
    ROW("group.consumer.session.timeout.ms", INT, "45000", GROUPS),
    ROW("group.coordinator.append.linger.ms", INT, "5", GROUPS),
    ROW("group.coordinator.rebalance.protocols", LIST, "classic", GROUPS),
    ROW("group.coordinator.threads", INT, "4", THREADS),
    ROW("group.share.delivery.count.limit", INT, "5", GROUPS),
    ROW("group.share.heartbeat.interval.ms", INT, "5000", GROUPS),
    ROW("group.share.max.heartbeat.interval.ms", INT, "15000", GROUPS),
    ROW("group.share.max.record.lock.duration.ms", INT, "60000", GROUPS),
    ROW("group.share.max.session.timeout.ms", INT, "60000", GROUPS),
    ROW("group.share.max.size", INT, "200", GROUPS),
    ROW("group.share.min.heartbeat.interval.ms", INT, "5000", GROUPS),
    ROW("group.share.min.record.lock.duration.ms", INT, "15000", GROUPS),
    ROW("group.share.min.session.timeout.ms", INT, "45000", GROUPS),
    ROW("group.share.partition.max.record.locks", INT, "2000", GROUPS),
    ROW("group.share.record.lock.duration.ms", INT, "30000", GROUPS),
    ROW("group.share.session.timeout.ms", INT, "45000", GROUPS),
    ROW("initial.broker.registration.timeout.ms", INT, "60000", CONTROLLER),
    ROW("inter.broker.listener.name", STRING, NULL, SECURITY),
    ROW("kafka.metrics.polling.interval.secs", INT, "10", METRICS),
    ROW("kafka.metrics.reporters", LIST, "", METRICS),
    ROW("leader.imbalance.check.interval.seconds", LONG, "300", REPLICATION),
    ROW("leader.imbalance.per.broker.percentage", INT, "10", REPLICATION),
    ROW("listener.security.protocol.map", STRING, "PLAINTEXT:PLAINTEXT", SECURITY),
    ROW("log.cleaner.enable", BOOLEAN, "true", CLEANER),
    ROW("log.cleaner.io.buffer.load.factor", DOUBLE, "0.9", CLEANER),
    ROW("log.cleaner.io.buffer.size", INT, "524288", CLEANER),
    ROW("log.cleaner.threads", INT, "1", CLEANER),
    ALIAS("log.dir", STRING, "data_directory"),
    ROW("log.dir.failure.timeout.ms", LONG, "30000", FLUSH),
    ROW("log.flush.offset.checkpoint.interval.ms", INT, "60000", FLUSH),
    ROW("log.flush.scheduler.interval.ms", LONG, "9223372036854775807", FLUSH),
    ROW("log.flush.start.offset.checkpoint.interval.ms", INT, "60000", FLUSH),
    ROW("log.initial.task.delay.ms", LONG, "30000", FLUSH),
    ROW("log.retention.hours", INT, "168", UNITS),
    ROW("log.retention.minutes", INT, NULL, UNITS),
    ROW("log.roll.hours", INT, "168", UNITS),
    ROW("log.roll.jitter.hours", INT, "0", UNITS),
    ROW("max.connection.creation.rate", INT, "2147483647", SOCKETS),
    ROW("max.connections.per.ip.overrides", STRING, "", SOCKETS),
    ROW("max.request.partition.size.limit", INT, "2000", SOCKETS),
    ROW("metadata.log.dir", STRING, NULL, CONTROLLER),
    ROW("metadata.log.max.record.bytes.between.snapshots", LONG, "20971520", CONTROLLER),
    ROW("metadata.log.max.snapshot.interval.ms", LONG, "3600000", CONTROLLER),
    ROW("metadata.log.segment.bytes", INT, "1073741824", CONTROLLER),
    ROW("metadata.log.segment.ms", LONG, "604800000", CONTROLLER),
    ROW("metadata.max.idle.interval.ms", INT, "500", CONTROLLER),
    ROW("metadata.max.retention.bytes", LONG, "104857600", CONTROLLER),
    ROW("metadata.max.retention.ms", LONG, "604800000", CONTROLLER),
    ROW("metric.reporters", LIST, "", METRICS),
    ROW("metrics.num.samples", INT, "2", METRICS),
    ROW("metrics.recording.level", STRING, "INFO", METRICS),
    ROW("metrics.sample.window.ms", LONG, "30000", METRICS),
    ALIAS("node.id", INT, "broker_id"),
    ROW("num.io.threads", INT, "8", THREADS),
    ROW("num.network.threads", INT, "3", THREADS),
    ROW("num.recovery.threads.per.data.dir", INT, "2", THREADS),
    ROW("num.replica.alter.log.dirs.threads", INT, NULL, THREADS),
    ROW("num.replica.fetchers", INT, "1", THREADS),
    ROW("offsets.commit.timeout.ms", INT, "5000", GROUPS),
    ROW("offsets.load.buffer.size", INT, "5242880", GROUPS),
    ROW("offsets.retention.check.interval.ms", LONG, "600000", GROUPS),
    ROW("offsets.topic.compression.codec", INT, "0", GROUPS),
    ROW("offsets.topic.segment.bytes", INT, "104857600", FIXED),
    ROW("principal.builder.class", CLASS, NULL, SECURITY),
    ROW("process.roles", LIST, "broker,controller", CONTROLLER),
    ROW("producer.id.expiration.check.interval.ms", INT, "600000", TRANSACTIONS),
    ROW("producer.purgatory.purge.interval.requests", INT, "1000", SOCKETS),
    ROW("queued.max.request.bytes", LONG, "-1", THREADS),
    ROW("queued.max.requests", INT, "500", THREADS),
    ROW("quota.window.num", INT, "11", QUOTAS),
    ROW("quota.window.size.seconds", INT, "1", QUOTAS),
    ROW("remote.fetch.max.wait.ms", INT, "500", TIERED),
    ROW("remote.list.offsets.request.timeout.ms", LONG, "30000", TIERED),
    ROW("remote.log.index.file.cache.total.size.bytes", LONG, "1073741824", TIERED),
    ROW("remote.log.manager.copier.thread.pool.size", INT, "10", TIERED),
    ROW("remote.log.manager.copy.max.bytes.per.second", LONG, "9223372036854775807", TIERED),
    ROW("remote.log.manager.copy.quota.window.num", INT, "11", TIERED),
    ROW("remote.log.manager.copy.quota.window.size.seconds", INT, "1", TIERED),
    ROW("remote.log.manager.expiration.thread.pool.size", INT, "10", TIERED),
    ROW("remote.log.manager.fetch.max.bytes.per.second", LONG, "9223372036854775807", TIERED),
    ROW("remote.log.manager.fetch.quota.window.num", INT, "11", TIERED),
    ROW("remote.log.manager.fetch.quota.window.size.seconds", INT, "1", TIERED),
    ROW("remote.log.manager.task.interval.ms", LONG, "30000", TIERED),
    ROW("remote.log.manager.thread.pool.size", INT, "2", TIERED),
    ROW("remote.log.metadata.custom.metadata.max.bytes", INT, "128", TIERED),
    ROW("remote.log.metadata.manager.class.name", STRING, NULL, TIERED),
    ROW("remote.log.metadata.manager.class.path", STRING, NULL, TIERED),
    ROW("remote.log.metadata.manager.impl.prefix", STRING, "rlmm.config.", TIERED),
    ROW("remote.log.metadata.manager.listener.name", STRING, NULL, TIERED),
    ROW("remote.log.reader.max.pending.tasks", INT, "100", TIERED),
    ROW("remote.log.reader.threads", INT, "10", TIERED),
    ROW("remote.log.storage.manager.class.name", STRING, NULL, TIERED),
    ROW("remote.log.storage.manager.class.path", STRING, NULL, TIERED),
    ROW("remote.log.storage.manager.impl.prefix", STRING, "rsm.config.", TIERED),
    ROW("remote.log.storage.system.enable", BOOLEAN, "false", TIERED),
    ROW("replica.alter.log.dirs.io.max.bytes.per.second", LONG, "9223372036854775807", REPLICATION),
    ROW("replica.fetch.backoff.ms", INT, "1000", REPLICATION),
    ROW("replica.fetch.max.bytes", INT, "1048576", REPLICATION),
    ROW("replica.fetch.min.bytes", INT, "1", REPLICATION),
    ROW("replica.fetch.response.max.bytes", INT, "10485760", REPLICATION),
    ROW("replica.fetch.wait.max.ms", INT, "500", REPLICATION),
    ROW("replica.high.watermark.checkpoint.interval.ms", LONG, "5000", REPLICATION),
    ROW("replica.lag.time.max.ms", LONG, "30000", REPLICATION),
    ROW("replica.selector.class", STRING, NULL, PLUGINS),
    ROW("replica.socket.receive.buffer.bytes", INT, "65536", REPLICATION),
    ROW("replica.socket.timeout.ms", INT, "30000", REPLICATION),
    ROW("replication.quota.window.num", INT, "11", QUOTAS),
    ROW("replication.quota.window.size.seconds", INT, "1", QUOTAS),
    ROW("request.timeout.ms", INT, "30000", CONTROLLER),
    ROW("sasl.client.callback.handler.class", CLASS, NULL, SECURITY),
    ROW("sasl.enabled.mechanisms", LIST, "", SECURITY),
    ROW("sasl.jaas.config", PASSWORD, NULL, SECURITY),
    ROW("sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", SECURITY),
    ROW("sasl.kerberos.min.time.before.relogin", LONG, "60000", SECURITY),
    ROW("sasl.kerberos.principal.to.local.rules", LIST, "DEFAULT", SECURITY),
    ROW("sasl.kerberos.service.name", STRING, NULL, SECURITY),
    ROW("sasl.kerberos.ticket.renew.jitter", DOUBLE, "0.05", SECURITY),
    ROW("sasl.kerberos.ticket.renew.window.factor", DOUBLE, "0.8", SECURITY),
    ROW("sasl.login.callback.handler.class", CLASS, NULL, SECURITY),
    ROW("sasl.login.class", CLASS, NULL, SECURITY),
    ROW("sasl.login.connect.timeout.ms", INT, NULL, SECURITY),
    ROW("sasl.login.read.timeout.ms", INT, NULL, SECURITY),
    ROW("sasl.login.refresh.buffer.seconds", SHORT, "300", SECURITY),
    ROW("sasl.login.refresh.min.period.seconds", SHORT, "60", SECURITY),
    ROW("sasl.login.refresh.window.factor", DOUBLE, "0.8", SECURITY),
    ROW("sasl.login.refresh.window.jitter", DOUBLE, "0.05", SECURITY),
    ROW("sasl.login.retry.backoff.max.ms", LONG, "10000", SECURITY),
    ROW("sasl.login.retry.backoff.ms", LONG, "100", SECURITY),
    ROW("sasl.mechanism.controller.protocol", STRING, "GSSAPI", SECURITY),
    ROW("sasl.mechanism.inter.broker.protocol", STRING, "GSSAPI", SECURITY),
    ROW("sasl.oauthbearer.clock.skew.seconds", INT, "30", SECURITY),
    ROW("sasl.oauthbearer.expected.audience", LIST, NULL, SECURITY),
    ROW("sasl.oauthbearer.expected.issuer", STRING, NULL, SECURITY),
    ROW("sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, "3600000", SECURITY),
    ROW("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG, "10000", SECURITY),
    ROW("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG, "100", SECURITY),
    ROW("sasl.oauthbearer.jwks.endpoint.url", STRING, NULL, SECURITY),
    ROW("sasl.oauthbearer.scope.claim.name", STRING, "scope", SECURITY),
    ROW("sasl.oauthbearer.sub.claim.name", STRING, "sub", SECURITY),
    ROW("sasl.oauthbearer.token.endpoint.url", STRING, NULL, SECURITY),
    ROW("sasl.server.callback.handler.class", CLASS, NULL, SECURITY),
    ROW("sasl.server.max.receive.size", INT, "524288", SECURITY),
    ROW("security.inter.broker.protocol", STRING, "PLAINTEXT", SECURITY),
    ROW("security.providers", STRING, NULL, SECURITY),
    ROW("server.max.startup.time.ms", LONG, "9223372036854775807", CONTROLLER),
    ROW("share.coordinator.append.linger.ms", INT, "5", GROUPS),
    ROW("share.coordinator.load.buffer.size", INT, "5242880", GROUPS),
    ROW("share.coordinator.snapshot.update.records.per.snapshot", INT, "500", GROUPS),
    ROW("share.coordinator.state.topic.compression.codec", INT, "0", GROUPS),
    ROW("share.coordinator.state.topic.min.isr", SHORT, "2", GROUPS),
    ROW("share.coordinator.state.topic.num.partitions", INT, "50", GROUPS),
    ROW("share.coordinator.state.topic.prune.interval.ms", INT, "300000", GROUPS),
    ROW("share.coordinator.state.topic.replication.factor", SHORT, "3", GROUPS),
    ROW("share.coordinator.state.topic.segment.bytes", INT, "104857600", GROUPS),
    ROW("share.coordinator.threads", INT, "1", THREADS),
    ROW("share.coordinator.write.timeout.ms", INT, "5000", GROUPS),
    ROW("socket.connection.setup.timeout.max.ms", LONG, "30000", SOCKETS),
    ROW("socket.connection.setup.timeout.ms", LONG, "10000", SOCKETS),
    ROW("socket.listen.backlog.size", INT, "50", SOCKETS),
    ROW("socket.receive.buffer.bytes", INT, "102400", SOCKETS),
    ROW("socket.send.buffer.bytes", INT, "102400", SOCKETS),
    ROW("ssl.allow.dn.changes", BOOLEAN, "false", SECURITY),
    ROW("ssl.allow.san.changes", BOOLEAN, "false", SECURITY),
    ROW("ssl.cipher.suites", LIST, "", SECURITY),
    ROW("ssl.client.auth", STRING, "none", SECURITY),
    ROW("ssl.enabled.protocols", LIST, "TLSv1.2,TLSv1.3", SECURITY),
    ROW("ssl.endpoint.identification.algorithm", STRING, "https", SECURITY),
    ROW("ssl.engine.factory.class", CLASS, NULL, SECURITY),
    ROW("ssl.key.password", PASSWORD, NULL, SECURITY),
    ROW("ssl.keymanager.algorithm", STRING, "SunX509", SECURITY),
    ROW("ssl.keystore.certificate.chain", PASSWORD, NULL, SECURITY),
    ROW("ssl.keystore.key", PASSWORD, NULL, SECURITY),
    ROW("ssl.keystore.location", STRING, NULL, SECURITY),
    ROW("ssl.keystore.password", PASSWORD, NULL, SECURITY),
    ROW("ssl.keystore.type", STRING, "JKS", SECURITY),
    ROW("ssl.principal.mapping.rules", STRING, "DEFAULT", SECURITY),
    ROW("ssl.protocol", STRING, "TLSv1.3", SECURITY),
    ROW("ssl.provider", STRING, NULL, SECURITY),
    ROW("ssl.secure.random.implementation", STRING, NULL, SECURITY),
    ROW("ssl.trustmanager.algorithm", STRING, "PKIX", SECURITY),
    ROW("ssl.truststore.certificates", PASSWORD, NULL, SECURITY),
    ROW("ssl.truststore.location", STRING, NULL, SECURITY),
    ROW("ssl.truststore.password", PASSWORD, NULL, SECURITY),
    ROW("ssl.truststore.type", STRING, "JKS", SECURITY),
    ROW("super.users", STRING, "", SECURITY),
    ROW("telemetry.max.bytes", INT, "1048576", METRICS),
    ROW("transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, "10000", TRANSACTIONS),
    ROW("transaction.max.timeout.ms", INT, "900000", TRANSACTIONS),
    ROW("transaction.partition.verification.enable", BOOLEAN, "true", TRANSACTIONS),
    ROW("transaction.remove.expired.transaction.cleanup.interval.ms", INT, "3600000", TRANSACTIONS),
    ROW("transaction.state.log.load.buffer.size", INT, "5242880", TRANSACTIONS),
    ROW("transaction.state.log.min.isr", INT, "2", TRANSACTIONS),
    ROW("transaction.state.log.num.partitions", INT, "50", TRANSACTIONS),
    ROW("transaction.state.log.replication.factor", SHORT, "3", TRANSACTIONS),
    ROW("transaction.state.log.segment.bytes", INT, "104857600", TRANSACTIONS),
    ROW("transaction.two.phase.commit.enable", BOOLEAN, "false", TRANSACTIONS),
    ROW("transactional.id.expiration.ms", INT, "604800000", TRANSACTIONS),
    ROW("unclean.leader.election.interval.ms", LONG, "300000", REPLICATION),
};

static const char *const texts[] = {
    [KAFKA_CONFIG_THREADS] = "Sizes a pool or queue of Kafka's; here each core has one thread (the "
                             "key shards) that never waits.",
    [KAFKA_CONFIG_REPLICATION] =
        "Tunes followers that fetch from leaders, or Kafka's balancing of leaders; here leaders "
        "push (Raft), and leader_balance_delay_ms says when they are handed back.",
    [KAFKA_CONFIG_CONTROLLER] = "Tunes Kafka's controller quorum and its brokers' sessions; the "
                                "controller here is one more "
                                "Raft group (heartbeat_ms, election_ms).",
    [KAFKA_CONFIG_FLUSH] = "Tunes when logs are flushed and checkpointed, or what follows a failed "
                           "disk; here every write is flushed before it is acknowledged, and a "
                           "failed disk ends the broker.",
    [KAFKA_CONFIG_SOCKETS] = "Tunes Kafka's sockets and waiting requests, which the event loop has "
                             "no use for.",
    [KAFKA_CONFIG_CLEANER] =
        "Tunes the threads of Kafka's log cleaner; compaction here is paced by "
        "the broker itself.",
    [KAFKA_CONFIG_GROUPS] = "Belongs to the newer group protocols, which are not offered, or to "
                            "how Kafka's coordinator loads and writes.",
    [KAFKA_CONFIG_TRANSACTIONS] = "Belongs to transactions, which are not built yet.",
    [KAFKA_CONFIG_QUOTAS] = "Belongs to quotas, which are not built yet.",
    [KAFKA_CONFIG_METRICS] = "Tunes Kafka's metrics; those here are served over HTTP "
                             "(admin_listener).",
    [KAFKA_CONFIG_SECURITY] =
        "Belongs to TLS, SASL and authorization of clients, which are not built yet.",
    [KAFKA_CONFIG_PLUGINS] = "Names a Java class to load.",
    [KAFKA_CONFIG_TIERED] = "Belongs to tiered storage, which there is none of.",
    [KAFKA_CONFIG_UNITS] = "Says in another unit what the config that ends in ms says; that one "
                           "holds.",
    [KAFKA_CONFIG_FIXED] = "Always has this value.",
    [KAFKA_CONFIG_ALIAS] = "Another name.",
};

size_t kafka_config_row_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct kafka_config_row *kafka_config_row(size_t position)
{
    return position < kafka_config_row_count() ? &rows[position] : NULL;
}

const struct kafka_config_row *kafka_config_find(const char *name, size_t length)
{
    for (size_t i = 0; i < kafka_config_row_count(); i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *kafka_config_text(const struct kafka_config_row *row)
{
    return texts[row->reason];
}
