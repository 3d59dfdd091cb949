/*
 * Every command, once: from this table come dispatch, the checks of the command line, help and the
 * manual page. A command stands here when it works.
 */
#include "cli/command.h"

#define END                                                                                        \
    { NULL, NULL, NULL }

const struct ms_option ms_target_options[] = {
    {"server", "URL",
     "the server to work with; default MAINSTEM_SERVER, then http://127.0.0.1:8080"},
    {"data", "DIR", "work on a data directory, without a server"},
    END,
};
const struct ms_option ms_json_options[] = {
    {"json", NULL, "JSON lines also on a terminal"},
    END,
};
const struct ms_option ms_help_options[] = {
    {"help", NULL, "show help"},
    END,
};

#define SELECTION                                                                                  \
    {"topic", "TOPIC", "only events of this topic"},                                               \
        {"stream-prefix", "PREFIX", "only events of streams whose name begins so"},                \
        {"type", "TYPE", "only events of this type; given again: of any of them"},                 \
        {"tag", "TAG", "only events with this tag; given again: with all of them"}, {              \
        "correlation-id", "ID", "only the events that belong together by this id"                  \
    }

static const struct ms_option append_options[] = {
    {"expect", "none|exists|any|N",
     "append only if there is no such stream, it exists, always (the default), or its last version "
     "is N"},
    {"id", "ID", "the event's id; sending the same one again adds nothing"},
    {"correlation-id", "ID", "what the event belongs to; default its own id"},
    {"causation-id", "ID", "the event that caused it"},
    {"metadata", "JSON", "an object of your own"},
    {"tag", "TAG", "a tag, for filters and query conditions; may be given again"},
    {"time", "TIME", "when it happened, RFC 3339; default now"},
    {"source", "TEXT", "where it comes from"},
    {"content-type", "TYPE", "of the data; default application/json"},
    {"file", "FILE", "take the data from a file; - is standard input"},
    END,
};
static const struct ms_option read_options[] = {
    {"from", "N", "first version of a stream, or first position of all events; inclusive"},
    {"limit", "N", "at most this many events"},
    {"backward", NULL, "newest first"},
    {"as-of", "TIME|POSITION",
     "events whose timestamp is not after TIME, or that stand at or before POSITION"},
    {"known-at", "TIME", "what had been recorded by TIME"},
    SELECTION,
    END,
};
static const struct ms_option state_options[] = {
    {"at", "TIME|POSITION",
     "from events whose timestamp is not after TIME, or that stand at or before POSITION"},
    {"known-at", "TIME", "from what had been recorded by TIME"},
    {"app", "DIR", "the app whose aggregate folds the events"},
    END,
};
static const struct ms_option tail_options[] = {
    {"from", "start|end|N", "where to begin; default end: only what comes from now on"},
    {"limit", "N", "stop after this many events"},
    SELECTION,
    END,
};
static const struct ms_option stream_delete_options[] = {
    {"tombstone", NULL, "delete for ever: the name can never be used again"},
    {"expect", "exists|any|N", "only if it is so; default exists"},
    END,
};
static const struct ms_option stream_metadata_options[] = {
    {"expect", "none|exists|any|N", "a condition on the metadata's own version"},
    END,
};
static const struct ms_option topic_create_options[] = {
    {"partitions", "N", "partitions; they can only become more"},
    {"streams", NULL, "make streams of a Kafka topic's records, by their keys, and stay so"},
    {"retention", "DURATION|forever", "how long events are kept"},
    {"retention-bytes", "SIZE|unlimited", "how much each partition keeps"},
    {"retention-count", "N|unlimited", "how many events each partition keeps"},
    {"compact", NULL, "keep the newest record of each key"},
    {"ignore-retention", NULL, "of a compacted topic: nothing but compaction removes"},
    {"compaction-lag", "DURATION", "younger records are not compacted away"},
    {"compaction-lag-max", "DURATION", "what is older is compacted by the next scheduled scavenge"},
    {"delete-retention", "DURATION", "how long compaction keeps records without a value"},
    {"compression", "none|gzip|snappy|lz4|zstd", "of stored batches"},
    {"recompress", NULL, "store producers' batches in that compression, not as they came"},
    {"message-bytes-max", "SIZE", "of a producer's batch"},
    {"log-append-time", NULL, "producers' records get the time at which they are appended"},
    {"force", NULL, "compact a topic with streams: only the newest event of each is kept"},
    {"require-source", NULL, "refuse events without source"},
    {"require-correlation-id", NULL, "refuse events without correlation_id"},
    END,
};
static const struct ms_option group_reset_options[] = {
    {"to", "earliest|latest|TIME|position:N|offset:N",
     "the first events that are kept, the end, the first events not before TIME (RFC 3339), the "
     "first ones at or behind position N of the log, or offset N of every partition"},
    {"topic", "TOPIC",
     "all partitions of this topic; may be given again; default all partitions that the group has "
     "committed"},
    {"dry-run", NULL, "tell what would be set, and change nothing"},
    END,
};
#define NO_WAIT                                                                                    \
    { "no-wait", NULL, "leave the server to it" }

#define ALLOW_INCOMPLETE                                                                           \
    { "allow-incomplete", NULL, "also when events that are needed were scavenged" }
static const struct ms_option projection_deploy_options[] = {
    NO_WAIT,
    ALLOW_INCOMPLETE,
    END,
};
static const struct ms_option projection_resume_options[] = {
    ALLOW_INCOMPLETE,
    END,
};
static const struct ms_option projection_switch_options[] = {
    {"version", "N", "the version that is to answer; default the one that did before"},
    {"force", NULL, "also to one that has not caught up"},
    END,
};
static const struct ms_option projection_drop_options[] = {
    {"yes", NULL, "yes, drop it"},
    END,
};
static const struct ms_option projection_retry_options[] = {
    {"stream", "STREAM",
     "the events of this stream that are parked; default the event that stopped it"},
    END,
};
static const struct ms_option projection_skip_options[] = {
    {"position", "N", "of the event to go on without"},
    END,
};
static const struct ms_option query_options[] = {
    {"min-position", "N", "wait until the event at this position is applied"},
    {"min-version", "STREAM:N", "wait until this event of a stream is applied"},
    {"as-of", "TIME|POSITION",
     "the answer from events whose timestamp is not after TIME, or that stand at or before "
     "POSITION"},
    {"known-at", "TIME", "the answer from what had been recorded by TIME"},
    {"timeout", "DURATION", "how long to wait, up to 5m; default 5s"},
    ALLOW_INCOMPLETE,
    {"format", "table|json|ndjson", "default a table on a terminal, else JSON lines"},
    END,
};
static const struct ms_option import_options[] = {
    {"batch", "N", "events in one atomic append, 1 to 10000; default 500"},
    {"in-flight", "N", "appends under way at a time, 1 to 16; default 4"},
    END,
};
static const struct ms_option export_options[] = {
    {"output", "FILE", "write to a file instead of standard output"},
    {"from", "N", "first position; inclusive"},
    {"limit", "N", "at most this many events"},
    SELECTION,
    END,
};
static const struct ms_option scavenge_options[] = {
    {"all", NULL, "write every sealed segment anew, however little it gains"},
    {"bytes-per-second", "SIZE", "read no faster than this; default no limit"},
    {"no-wait", NULL, "leave the server to it"},
    END,
};
static const struct ms_option restore_options[] = {
    {"data", "DIR", "where the store is to be: a directory that is not there yet, or empty"},
    {"to", "POSITION|TIME",
     "only what stood at or before POSITION, or had been recorded by TIME; appends stay whole"},
    END,
};
static const struct ms_option repair_options[] = {
    {"dry-run", NULL, "tell what would be lost, and change nothing"},
    END,
};
static const struct ms_option inspect_options[] = {
    {"entries", NULL, "the appends inside the blocks"},
    {"from", "POSITION", "begin at this position"},
    {"limit", "N", "at most this many lines"},
    END,
};
static const struct ms_option bench_options[] = {
    {"streams", "N", "append to so many streams by chance; default 1000"},
    {"in-flight", "N", "appends under way at a time, 1 to 16; default 16"},
    {"event-bytes", "N", "size of an event's JSON, 64 to 1048576; default 300"},
    {"batch", "N", "events in one append, 1 to 1000; default 1"},
    {"seconds", "N", "how long; default 5"},
    END,
};
static const struct ms_option help_options[] = {
    {"man", NULL, "print the manual page, as troff source"},
    {"settings", NULL, "print the reference of all settings, as Markdown"},
    END,
};

#define TARGET (MS_COMMAND_TARGET | MS_COMMAND_JSON)

const struct ms_command ms_commands[] = {
    {"serve", "", "run the server",
     "Opens the data directory, recovers what a crash left behind, and serves. One line per face "
     "goes to standard output once it listens (`http listening on 127.0.0.1:8080`); the log goes "
     "to "
     "standard error. SIGTERM and SIGINT stop it gracefully, a second one at once; SIGHUP reloads "
     "the settings that can change. Beyond loopback it listens only with --insecure, since there "
     "is no authentication yet.",
     NULL, "mainstem serve --data /var/lib/mainstem --http 127.0.0.1:8080 --kafka 127.0.0.1:9092",
     0, 0, MS_COMMAND_SETTINGS, ms_cmd_serve},
    {"append", "STREAM TYPE [DATA]", "append one event to a stream",
     "DATA is JSON. Streams are named topic-key; the stream and its topic are made when they do "
     "not "
     "exist. A stale --expect ends with status 3 and names the version that the stream has.",
     append_options, "mainstem append order-123 order.created '{\"total\":1}' --expect none", 2, 3,
     TARGET, ms_cmd_append},
    {"read", "[STREAM]", "read a stream, or all events in order",
     "Without STREAM all events are read, in the order of their positions. One event a line. With "
     "--as-of or --known-at the events that there were then: of a stream, its state at that time "
     "or "
     "position. Read models are asked so with `query`.",
     read_options, "mainstem read order-123 --as-of 2026-11-23T10:00:00Z", 0, 1, TARGET,
     ms_cmd_read},
    {"tail", "[STREAM]", "follow a stream, or all events, live",
     "Shows events as they are appended, without gap or repeat, until it is interrupted. A broken "
     "connection is taken up again where it ended.",
     tail_options, "mainstem tail --topic order --from start", 0, 1, TARGET, ms_cmd_tail},
    {"state", "STREAM", "show what the events of a stream add up to, now or in the past",
     "With --app by the aggregate of the stream's topic (`order` for order-1), through its apply. "
     "Without, the fields of the events' data are laid over each other: the newest value of each "
     "counts.",
     state_options, "mainstem state order-1 --at 2026-11-23T10:00:00Z --app examples/shop", 1, 1,
     MS_COMMAND_TARGET, ms_cmd_state},
    {"stream show", "STREAM", "show what a stream is: versions, times, metadata", NULL, NULL, NULL,
     1, 1, TARGET, ms_cmd_stream_show},
    {"stream delete", "STREAM", "delete a stream",
     "Readers see no stream any more. An append reopens it, its versions go on; with --tombstone "
     "it never comes back.",
     stream_delete_options, NULL, 1, 1, TARGET, ms_cmd_stream_delete},
    {"stream metadata", "STREAM [JSON]", "show or replace a stream's metadata",
     "$maxAge (seconds), $maxCount and $tb (first version kept) limit what readers see, at once; "
     "other keys are yours.",
     stream_metadata_options, "mainstem stream metadata order-123 '{\"$maxCount\":10}'", 1, 2,
     TARGET, ms_cmd_stream_metadata},
    {"topic list", "", "list the topics", NULL, NULL, NULL, 0, 0, TARGET, ms_cmd_topic_list},
    {"topic show", "TOPIC", "show a topic, its settings and how far its partitions reach", NULL,
     NULL, NULL, 1, 1, TARGET, ms_cmd_topic_show},
    {"topic create", "TOPIC", "create a topic, or change the settings of one", NULL,
     topic_create_options, "mainstem topic create order --partitions 8", 1, 1, TARGET,
     ms_cmd_topic_create},
    {"topic delete", "TOPIC", "delete a topic with all its streams", NULL, NULL, NULL, 1, 1, TARGET,
     ms_cmd_topic_delete},
    {"group list", "", "list the consumer groups of a server, and how far they are behind", NULL,
     NULL, NULL, 0, 0, TARGET, ms_cmd_group_list},
    {"group show", "GROUP", "show a consumer group: its members, its offsets, its lag",
     "LAG is the number of events that the group has not read yet, SECONDS how long ago the oldest "
     "of them was appended.",
     NULL, "mainstem group show billing", 1, 1, TARGET, ms_cmd_group_show},
    {"group reset", "GROUP", "set where a consumer group goes on reading",
     "The group must have no members: stop them first. With --topic a group that does not exist is "
     "made. An offset that is outside a partition is moved to its start or end.",
     group_reset_options, "mainstem group reset billing --to 2026-11-23T10:00:00Z --dry-run", 1, 1,
     TARGET, ms_cmd_group_reset},
    {"group delete", "GROUP", "delete a consumer group with its offsets",
     "The group must have no members.", NULL, NULL, 1, 1, TARGET, ms_cmd_group_delete},
    {"projection list", "", "list the read models of a server, and how far behind they are",
     "One line for each version that is kept. LAG is the number of positions of the log that are "
     "not "
     "applied yet, SECONDS how long ago the oldest event among them was appended.",
     NULL, NULL, 0, 0, TARGET, ms_cmd_projection_list},
    {"projection show", "NAME", "show a read model: its versions and how far they are", NULL, NULL,
     "mainstem projection show order_summary", 1, 1, TARGET, ms_cmd_projection_show},
    {"projection deploy", "FILE...", "deploy projection files, and wait until they answer",
     "A new or changed file becomes a new version, which is filled beside the one that answers and "
     "takes its place when it has caught up; a file that has not changed changes nothing. The "
     "command ends when the version has taken over, or with status 1 when an event stops it. All "
     "files are checked before the first one is sent; - is standard input.",
     projection_deploy_options, "mainstem projection deploy examples/shop/order_summary.sql", 1,
     MS_ARGS_MAX, TARGET, ms_cmd_projection_deploy},
    {"projection rebuild", "NAME", "fill a read model anew, from the beginning of the log",
     "The old version answers until the new one takes over.", projection_deploy_options, NULL, 1, 1,
     TARGET, ms_cmd_projection_rebuild},
    {"projection pause", "NAME", "apply no more events to a read model", "Queries are answered.",
     NULL, NULL, 1, 1, TARGET, ms_cmd_projection_pause},
    {"projection resume", "NAME", "go on after a pause",
     "With --allow-incomplete also a read model that stopped because events that it had not "
     "applied "
     "were scavenged.",
     projection_resume_options, NULL, 1, 1, TARGET, ms_cmd_projection_resume},
    {"projection switch", "NAME", "let another version of a read model answer",
     "The version that was replaced is kept up to date for a while (setting projections.keep), and "
     "can answer again.",
     projection_switch_options, "mainstem projection switch order_summary --version 2", 1, 1,
     TARGET, ms_cmd_projection_switch},
    {"projection drop", "NAME", "drop a read model with its tables",
     "The events stay, so it can be deployed again.", projection_drop_options, NULL, 1, 1, TARGET,
     ms_cmd_projection_drop},
    {"projection lag", "[NAME]", "show how far read models are behind",
     "IDLE tells for how many seconds there was something to do and no progress.", NULL, NULL, 0, 1,
     TARGET, ms_cmd_projection_lag},
    {"projection errors", "NAME", "show the event that stopped a read model, and parked events",
     "Parked are events that a file with `-- on-error: park` could not apply, and those of the "
     "same "
     "stream behind them.",
     NULL, NULL, 1, 1, TARGET, ms_cmd_projection_errors},
    {"projection retry", "NAME", "try again what could not be applied", NULL,
     projection_retry_options, "mainstem projection retry order_summary --stream order-123", 1, 1,
     TARGET, ms_cmd_projection_retry},
    {"projection skip", "NAME", "go on without an event that can't be applied",
     "It is the one that stopped the projection, or the first parked one of its stream.",
     projection_skip_options, "mainstem projection skip order_summary --position 4711", 1, 1,
     TARGET, ms_cmd_projection_skip},
    {"query", "NAME QUERY [PARAM=VALUE]...", "ask a read model",
     "Prints all rows of the answer, page after page.", query_options,
     "mainstem query order_summary customer_orders customer_id=7 --as-of 2026-11-23T10:00:00Z", 2,
     MS_ARGS_MAX, TARGET, ms_cmd_query},
    {"test", "DIR...", "run the tests of apps, without a server",
     "An app is a folder of modules (.lua) that declare aggregates and tests of them: given "
     "events, "
     "a command, the events or the rejection that come of it. Each test is run twice, behind the "
     "others and in a fresh sandbox; a difference fails it. The output is TAP; the status is 1 "
     "when "
     "a test fails or an app is refused.",
     NULL, "mainstem test examples/shop", 1, MS_ARGS_MAX, 0, ms_cmd_test},
    {"import", "FILE", "append events from a file of JSON lines",
     "Each line is an object with the field stream and the fields of an event; - reads standard "
     "input. Event ids are kept, and lines without one get an id made from the line, so that an "
     "import that was interrupted can be run again (the store remembers its newest million "
     "events). "
     "The order within a stream is kept. An error names the line.",
     import_options, "mainstem import events.ndjson", 1, 1, TARGET, ms_cmd_import},
    {"export", "", "write events as JSON lines that import reads back",
     "Data comes back byte for byte: where it spans lines it is written as data_base64.",
     export_options, "mainstem export --output events.ndjson", 0, 0, TARGET, ms_cmd_export},
    {"scavenge", "", "remove what deletes, truncation, rules and retention have marked",
     "Goes over the sealed segments, drops what nobody can read any more, and compresses the rest; "
     "positions, versions and offsets stay. Everything else goes on meanwhile. Segments that would "
     "gain less than a fifth are left alone. The setting log.scavenge_interval runs it regularly.",
     scavenge_options, "mainstem scavenge --bytes-per-second 32MiB", 0, 0, TARGET, ms_cmd_scavenge},
    {"backup", "DIR", "make a consistent copy of a store while it runs",
     "DIR must not exist or be empty. A server makes the backup on its own host, so the path is "
     "absolute and means that host. Sealed segments are linked where the file system can; copy DIR "
     "elsewhere afterwards. A backup without MANIFEST.json was not finished.",
     NULL, "mainstem backup /var/backups/mainstem/monday", 1, 1, TARGET, ms_cmd_backup},
    {"restore", "BACKUP", "make a new store from a backup",
     "Works without a server. Every file is checked against the backup's manifest. The new store "
     "has a uuid of its own; its events keep their positions, versions and ids.",
     restore_options,
     "mainstem restore /var/backups/mainstem/monday --data restored --to 2026-11-23T10:00:00Z", 1,
     1, MS_COMMAND_JSON, ms_cmd_restore},
    {"verify", "DIR", "check every byte of a data directory or backup that counts",
     "Reads all segments and compares every checksum, chain link and count. Changes nothing, and "
     "may run while a server has the directory open. Ends with status 1 when there is damage.",
     NULL, "mainstem verify /var/lib/mainstem", 1, 1, MS_COMMAND_JSON, ms_cmd_verify},
    {"repair", "DIR", "make a damaged data directory one that opens",
     "Saves every append that is still whole and names the positions that are lost, range by "
     "range. "
     "What is lost was acknowledged once: restore a backup instead when there is one. Damaged "
     "files "
     "are kept beside the new ones as *.damaged-<n>. The directory must not be in use.",
     repair_options, "mainstem repair --dry-run /var/lib/mainstem", 1, 1, MS_COMMAND_JSON,
     ms_cmd_repair},
    {"inspect", "DIR|SEGMENT", "show what the files of a log hold",
     "A directory's segments, or a segment's blocks as they lie there, damaged or not; with "
     "--entries the appends in them. Changes nothing.",
     inspect_options, "mainstem inspect /var/lib/mainstem --entries --from 4711 --limit 3", 1, 1,
     MS_COMMAND_JSON, ms_cmd_inspect},
    {"bench", "", "append for some seconds and show how fast that is",
     "Writes events of type bench.happened to streams named bench-<n>, and leaves them there. With "
     "--data it is the embedded store that is measured, otherwise a server.",
     bench_options, "mainstem bench --data /tmp/bench --seconds 10", 0, 0, TARGET, ms_cmd_bench},
    {"stats", "", "show the state of a store", NULL, NULL, NULL, 0, 0, TARGET, ms_cmd_stats},
    {"config print", "", "show the settings in force, and where each came from",
     "Takes the same options as serve. The output is a configuration file that says the same.",
     NULL, "mainstem config print --config mainstem.yaml", 0, 0,
     MS_COMMAND_SETTINGS | MS_COMMAND_JSON, ms_cmd_config_print},
    {"config check", "FILE", "check a configuration file", NULL, NULL, NULL, 1, 1, 0,
     ms_cmd_config_check},
    {"version", "", "show the version", NULL, NULL, NULL, 0, 0, MS_COMMAND_JSON, ms_cmd_version},
    {"help", "[COMMAND]", "show help", NULL, help_options, NULL, 0, 2, 0, ms_cmd_help},
};
const size_t ms_command_count = sizeof ms_commands / sizeof ms_commands[0];
