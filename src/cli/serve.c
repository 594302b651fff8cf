/* cairn serve: a node, from its flags to its end. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "io/loop.h"
#include "io/process.h"
#include "server/house.h"
#include "server/journal.h"
#include "server/server.h"
#include "server/version.h"

struct options {
    const char *data, *http, *resp, *zk, *zk_words, *zk_super, *zk_space, *sync, *engine, *blob, *log_file, *log_format,
        *log_level, *trace, *trace_sample;
    bool insecure, recover, accept_loss;
    uint64_t workers, shards, engine_mib, snapshot_seconds, snapshot_log_mib, keep, archive_seconds, connections,
        stop_seconds, zk_reply_bytes, log_mib;
    uint64_t node_memory_mib, session_mib, job_mib, outcomes_mib, messages_mib, journal_mib, results_mib;
    uint64_t space_messages, space_message_bytes;
    const char *keeper_storage;
    uint64_t keeper_cache, keeper_collect;
    uint64_t cache_bytes, cache_large, cache_threads;
    const char *cache_redundancy;
    struct cairn_redundancy redundancy; /* as parsed */
    uint64_t cpu_ms, memory_mib, depth, calls, value_kib, write_set_kib, module_mib, compile_cpu, compile_mib;
    uint64_t transaction_kib, transaction_objects, transaction_ms, transaction_attempts;
};

#define SWITCH(flag, member, text)                                                                        \
    {                                                                                                     \
        .name = flag, .kind = CAIRN_FLAG_SWITCH, .help = text, .offset = offsetof(struct options, member) \
    }
#define TEXT(flag, member, called, text)                                      \
    {                                                                         \
        .name = flag, .kind = CAIRN_FLAG_TEXT, .value = called, .help = text, \
        .offset = offsetof(struct options, member)                            \
    }
#define NUMBER(flag, member, called, low, high, text)                                                    \
    {                                                                                                    \
        .name = flag, .kind = CAIRN_FLAG_NUMBER, .value = called, .help = text, .min = low, .max = high, \
        .offset = offsetof(struct options, member)                                                       \
    }

#define SIZE(flag, member, called, low, high, text)                                                    \
    {                                                                                                  \
        .name = flag, .kind = CAIRN_FLAG_SIZE, .value = called, .help = text, .min = low, .max = high, \
        .offset = offsetof(struct options, member)                                                     \
    }

static const struct cairn_flag flags[] = {
    TEXT("data", data, "DIR", "the data folder, made if it is missing (./data)"),
    TEXT("http", http, "ADDR",
         "where HTTP listens: HOST:PORT, PORT or 'off' (localhost:7070);\nport 0 takes a free one"),
    TEXT("resp", resp, "ADDR", "where Redis clients connect (localhost:6379)"),
    TEXT("zk", zk, "ADDR", "where ZooKeeper clients connect (localhost:2181)"),
    TEXT("zk-words", zk_words, "LIST",
         "its four-letter words that are answered, with commas between, or '*'\n(srvr,ruok,mntr)"),
    TEXT("zk-namespace", zk_space, "NAME", "the namespace that this port serves (default)"),
    TEXT("zk-super", zk_super, "USER:DIGEST", "the user that may do all there, as ZooKeeper's superDigest (none)"),
    NUMBER("zk-max-reply", zk_reply_bytes, "BYTES", 1024, INT32_MAX,
           "longer answers are error -5 instead, as clients with that\njute.maxbuffer refuse them (no bound)"),
    TEXT("keeper-storage", keeper_storage, "WHERE",
         "where data of its nodes is: 'engine' (default), 'blob', or\n"
         "'hybrid:BYTES': in the blob store from so many bytes on (--blob,\n"
         "or the data folder's blobs/)"),
    SIZE("keeper-cache", keeper_cache, "SIZE", 0, UINT64_C(1) << 50,
         "of what is in the blob store, kept in memory (64MiB); 0 for nothing"),
    NUMBER("keeper-collect", keeper_collect, "SECONDS", 1, 86400 * 365,
           "how often what nothing refers to any more is looked for there (3600)"),
    SWITCH("insecure", insecure, "allow addresses other than this machine's own"),
    TEXT("sync", sync, "MODE",
         "when a write counts as done: 'always' on stable storage (default),\n"
         "'interval:MS' synced that often, 'none' when the system likes"),
    NUMBER("workers", workers, "N", 1, 256, "worker threads (the number of cores)"),
    NUMBER("shards", shards, "N", 1, 4096, "partitions, fixed when the data folder is made (16)"),
    TEXT("engine", engine, "NAME",
         "what holds the state: 'memory' (default, keeps no versions), or on\n"
         "disk 'hybridlog', 'lsm', 'appendlog'; fixed when the folder is made"),
    NUMBER("engine-memory", engine_mib, "MIB", 8, 1 << 20, "for an engine on disk (256)"),
    NUMBER("snapshot-every", snapshot_seconds, "SECONDS", 1, 86400 * 365,
           "take a version so often (never; with --blob hourly)"),
    NUMBER("snapshot-log", snapshot_log_mib, "MIB", 1, 1 << 20, "and after so much log (never; with --blob 1024)"),
    NUMBER("keep", keep, "N", 1, 100000, "versions that these two take (24)"),
    TEXT("blob", blob, "URL",
         "a folder, or s3://..., for a copy of versions and log: from it\n"
         "another machine can go on, and 'cairn restore --at' to any moment"),
    SWITCH("recover", recover, "begin a new data folder with what is in --blob, and take that over"),
    SWITCH("accept-loss", accept_loss, "with --recover: also if some of that is missing there"),
    NUMBER("archive-every", archive_seconds, "SECONDS", 1, 3600, "what the loss of the machine can cost (10)"),
    NUMBER("max-connections", connections, "N", 1, 1000000, "open at once (20,000)"),
    NUMBER("stop-timeout", stop_seconds, "SECONDS", 1, 3600, "for work under way at a stop (10)"),
    NUMBER("log-max", log_mib, "MIB", 64, 1 << 20, "log beyond the last checkpoint (256)"),
    TEXT("log-file", log_file, "PATH",
         "where the node's own log goes (standard error); SIGHUP opens it\nagain, for programs that rotate logs"),
    TEXT("log-format", log_format, "FORMAT", "of a line: 'text' (default) or 'json'"),
    TEXT("trace", trace, "WHERE",
         "trace jobs, keep the last ones for 'cairn trace', and send them\n"
         "to 'otlp://HOST:PORT', 'file:PATH', or, with 'memory', nowhere (off)"),
    TEXT("trace-sample", trace_sample, "RATIO", "of the jobs whose clients do not say so, 0 to 1 (1)"),
    TEXT("log-level", log_level, "LEVEL", "the least that is told: 'debug', 'info' (default), 'warning', 'error'"),
    NUMBER("memory", node_memory_mib, "MIB", 64, 1 << 20,
           "for requests, replies and calls under way (1024); see also --engine-memory"),
    NUMBER("limit-session", session_mib, "MIB", 1, 1 << 20, "of it, of one connection (64)"),
    NUMBER("limit-job", job_mib, "MIB", 1, 1 << 20, "of it, calls and results of one request (64)"),
    SIZE("cache", cache_bytes, "SIZE", 1 << 20, UINT64_C(1) << 50,
         "for the keys of Redis clients (SET, GET, ..), as 256MiB or 4GiB\n(without it there are no such keys)"),
    SIZE("cache-large", cache_large, "SIZE", 4096, 1 << 20,
         "values of so many bytes are coded into chunks, in the memory of\ninstances (1MiB)"),
    TEXT("cache-redundancy", cache_redundancy, "D+P",
         "chunks of a large value, and those of them that may be lost, as\n10+2 (default), raid1:2 or raid5:5"),
    NUMBER("cache-threads", cache_threads, "N", 1, 256, "threads that move large values (one per two processors)"),
    NUMBER("results", results_mib, "MIB", 0, 1 << 20,
           "for results of deterministic read-only methods (0: none are kept)"),
    NUMBER("limit-outcomes", outcomes_mib, "MIB", 1, 1 << 20,
           "outcomes above 256 bytes that are kept for idempotency keys (256)"),
    NUMBER("limit-messages", messages_mib, "MIB", 1, 1 << 20, "messages of each shard that wait (256)"),
    NUMBER("namespace-messages", space_messages, "N", 1, 1 << 30,
           "messages of a namespace that wait, unless it has its own limit"),
    NUMBER("namespace-message-bytes", space_message_bytes, "BYTES", 1, 1ull << 40, "and their bytes"),
    NUMBER("limit-journal", journal_mib, "MIB", 1, 4095, "the journal of a durable invocation (16)"),
    NUMBER("limit-cpu", cpu_ms, "MS", 1, 3600000, "CPU time of an invocation (100)"),
    NUMBER("limit-memory", memory_mib, "MIB", 1, 4096, "memory of an invocation (16)"),
    NUMBER("limit-depth", depth, "N", 1, 10000, "nested calls (64)"),
    NUMBER("limit-calls", calls, "N", 1, UINT32_MAX, "calls that one request may cause (100,000)"),
    NUMBER("limit-value", value_kib, "KIB", 1, 32 << 10, "arguments, and result, of a call (1024)"),
    NUMBER("limit-write-set", write_set_kib, "KIB", 1, 15 << 10, "writes between two calls (8192)"),
    NUMBER("limit-transaction", transaction_kib, "KIB", 1, 15 << 10, "writes of a transaction (8192)"),
    NUMBER("limit-transaction-objects", transaction_objects, "N", 1, 1000000, "objects of a transaction (10,000)"),
    NUMBER("limit-transaction-time", transaction_ms, "MS", 1, 3600000, "from its first lock to its end (5000)"),
    NUMBER("limit-transaction-attempts", transaction_attempts, "N", 1, 1000000,
           "while others are in its way, within a second (16)"),
    NUMBER("limit-module", module_mib, "MIB", 1, 512, "size of a .wasm file (32)"),
    NUMBER("compile-cpu", compile_cpu, "SECONDS", 1, 3600, "CPU time for compiling a module (60)"),
    NUMBER("compile-memory", compile_mib, "MIB", 256, 1 << 20, "memory for compiling a module (2048)"),
    {0},
};

/* A flag that would do nothing without another is refused.  False: *ret_status is the exit status. */
static bool check_needs(const struct options *o, int *ret_status)
{
    const struct {
        const char *flag, *needs;
        bool given, met;
    } table[] = {
        {"accept-loss", "--recover", o->accept_loss, o->recover},
        {"cache-large", "--cache", o->cache_large, o->cache_bytes},
        {"cache-redundancy", "--cache", o->cache_redundancy, o->cache_bytes},
        {"cache-threads", "--cache", o->cache_threads, o->cache_bytes},
        {"archive-every", "--blob", o->archive_seconds, o->blob},
        {"trace-sample", "--trace", o->trace_sample, o->trace},
        {"keep", "--snapshot-every, --snapshot-log or --blob", o->keep,
         o->snapshot_seconds || o->snapshot_log_mib || o->blob},
        {"engine-memory", "an engine on disk", o->engine_mib, !o->engine || strcmp(o->engine, "memory") != 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].given && !table[i].met) {
            *ret_status = cairn_complain(CAIRN_EXIT_USAGE, "--%s does nothing without %s: give both, or neither",
                                         table[i].flag, table[i].needs);
            return false;
        }
    }
    return true;
}

/* "always", "interval:MS" or "none" */
static bool parse_sync(const char *text, enum cairn_sync_mode *ret_mode, uint32_t *ret_ms)
{
    *ret_ms = 0;
    if (strcmp(text, "always") == 0) {
        *ret_mode = CAIRN_SYNC_ALWAYS;
    } else if (strcmp(text, "none") == 0) {
        *ret_mode = CAIRN_SYNC_NONE;
    } else if (strncmp(text, "interval:", 9) == 0 && text[9] >= '0' && text[9] <= '9') {
        char *end;
        unsigned long ms = strtoul(text + 9, &end, 10);

        if (*end || ms < 1 || ms > 60000)
            return false;
        *ret_mode = CAIRN_SYNC_INTERVAL;
        *ret_ms = (uint32_t)ms;
    } else {
        return false;
    }
    return true;
}

/* "engine", "blob" or "hybrid:BYTES"; from how many bytes on data is in the blob store, 0: never. */
static bool parse_storage(const char *text, uint32_t *ret_bytes)
{
    char *end;
    unsigned long bytes;

    *ret_bytes = strcmp(text, "blob") == 0;
    if (*ret_bytes || strcmp(text, "engine") == 0)
        return true;
    if (strncmp(text, "hybrid:", 7) != 0 || text[7] < '0' || text[7] > '9')
        return false;
    bytes = strtoul(text + 7, &end, 10);
    *ret_bytes = (uint32_t)bytes;
    return !*end && bytes >= 1 && bytes <= 1 << 30;
}

/* False: *ret_status is the exit status. */
static bool parse_log(const struct options *o, struct cairn_journal_options *ret_options, int *ret_status)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    size_t level = 0;

    ret_options->path = o->log_file;
    ret_options->json = strcmp(o->log_format, "json") == 0;
    if (!ret_options->json && strcmp(o->log_format, "text") != 0) {
        *ret_status = cairn_complain(CAIRN_EXIT_USAGE, "--log-format takes 'text' or 'json', not '%s'", o->log_format);
        return false;
    }
    while (level < sizeof levels / sizeof levels[0] && strcmp(o->log_level, levels[level]) != 0)
        level++;
    if (level == sizeof levels / sizeof levels[0]) {
        *ret_status = cairn_complain(CAIRN_EXIT_USAGE,
                                     "--log-level takes 'debug', 'info', 'warning' or 'error', not '%s'", o->log_level);
        return false;
    }
    ret_options->least = (enum cairn_level)level;
    return true;
}

/* False: *ret_status is the exit status. */
static bool parse_trace(const struct options *o, struct cairn_trace_options *ret_options, int *ret_status)
{
    char *end;

    ret_options->on = o->trace != NULL;
    ret_options->ratio = 1;
    if (o->trace_sample) {
        ret_options->ratio = strtod(o->trace_sample, &end);
        if (!*o->trace_sample || *end || !(ret_options->ratio >= 0 && ret_options->ratio <= 1)) {
            *ret_status = cairn_complain(CAIRN_EXIT_USAGE, "--trace-sample takes a number from 0 to 1, not '%s'",
                                         o->trace_sample);
            return false;
        }
    }
    return true;
}

/* --- what is told on the way --- */

struct progress {
    struct cairn_journal *journal;
    uint64_t started_ns, told_ns;
};

static uint64_t now_ns(void)
{
    return cairn_clock_system()->monotonic_ns(cairn_clock_system());
}

/* The first second is silent; after that once a second: on a terminal there, else in the log. */
static void on_recovery(void *context, const char *stage, uint64_t done, uint64_t total)
{
    struct progress *progress = context;
    uint64_t now = now_ns();

    if (now - progress->told_ns < 1000000000)
        return;
    progress->told_ns = now;
    if (!isatty(STDOUT_FILENO)) {
        cairn_tell(cairn_journal_events(progress->journal),
                   &(struct cairn_event){.level = CAIRN_LEVEL_INFO,
                                         .from = "node",
                                         .kind = "recovering",
                                         .text = stage,
                                         .fields = {{.key = "done", .number = done}, {.key = "of", .number = total}}});
        return;
    }
    if (strstr(stage, "shards") || strstr(stage, "versions"))
        printf("%s: %" PRIu64 " of %" PRIu64 "\n", stage, done, total);
    else if (total)
        printf("recovering: %s, %" PRIu64 " of %" PRIu64 " MiB\n", stage, done >> 20, total >> 20);
    else
        printf("recovering: %s\n", stage);
}

static void on_stopping(void *context, const char *why)
{
    (void)context;
    printf("%s: finishing what was begun\n", why);
}

static void print_ready(struct cairn_server *server, uint64_t keys, uint64_t bytes, const struct options *o,
                        const struct progress *progress)
{
    char text[CAIRN_ADDRESS_TEXT_BYTES];

    printf("cairn %s: data in %s, %" PRIu64 " workers, --sync %s\n", CAIRN_VERSION, o->data, o->workers, o->sync);
    if (keys)
        printf("recovered %" PRIu64 " keys, %.1f MiB\n", keys, (double)bytes / (1 << 20));
    if (o->blob)
        printf("copy in %s; the loss of this machine can cost %" PRIu64 " s\n", o->blob,
               o->archive_seconds ? o->archive_seconds : 10);
    if (cairn_server_http(server))
        printf("HTTP   http://%s\n", cairn_address_format(cairn_server_http(server), text));
    if (cairn_server_resp(server))
        printf("Redis  %s\n", cairn_address_format(cairn_server_resp(server), text));
    if (cairn_server_zk(server))
        printf("ZooKeeper  %s\n", cairn_address_format(cairn_server_zk(server), text));
    else if (cairn_server_zk_fault(server))
        printf("ZooKeeper  off: %s\n", cairn_server_zk_fault(server));
    printf("ready after %" PRIu64 " ms\n", (now_ns() - progress->started_ns) / 1000000);
}

/* --- the node's life --- */

/* Why it does not serve, or has ended: to standard error, and to the log's file. */
static int fail(const struct options *o, struct cairn_journal *journal, const struct cairn_err *err)
{
    if (o->log_file)
        cairn_tell(
            cairn_journal_events(journal),
            &(struct cairn_event){.level = CAIRN_LEVEL_ERROR, .from = "node", .kind = "failed", .text = err->text});
    return cairn_complain(CAIRN_EXIT_FAILED, "%s", err->text);
}

static void tell_started(struct cairn_journal *journal, const struct options *o, struct cairn_server *server,
                         const struct progress *progress)
{
    char http[CAIRN_ADDRESS_TEXT_BYTES], resp[CAIRN_ADDRESS_TEXT_BYTES], zk[CAIRN_ADDRESS_TEXT_BYTES];

    if (cairn_server_zk_fault(server))
        cairn_tell(cairn_journal_events(journal), &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                                                        .from = "clients",
                                                                        .kind = "zk_off",
                                                                        .text = cairn_server_zk_fault(server)});
    cairn_tell(
        cairn_journal_events(journal),
        &(struct cairn_event){
            .level = CAIRN_LEVEL_INFO,
            .from = "node",
            .kind = "ready",
            .text = "the node serves",
            .fields = {
                {.key = "version", .text = CAIRN_VERSION},
                {.key = "data", .text = o->data},
                {.key = "workers", .number = o->workers},
                {.key = "sync", .text = o->sync},
                {.key = "blob", .text = o->blob ? o->blob : "none"},
                {.key = "http",
                 .text = cairn_server_http(server) ? cairn_address_format(cairn_server_http(server), http) : "off"},
                {.key = "redis",
                 .text = cairn_server_resp(server) ? cairn_address_format(cairn_server_resp(server), resp) : "off"},
                {.key = "zookeeper",
                 .text = cairn_server_zk(server) ? cairn_address_format(cairn_server_zk(server), zk) : "off"},
                {.key = "ms", .number = (now_ns() - progress->started_ns) / 1000000}}});
}

/* The namespace of the ZooKeeper port may be made later. */
static void warn_of_space(struct cairn_journal *journal, const struct options *o, const struct cairn_backend *backend)
{
    if (!o->zk_space || backend->space(backend->context, cairn_str(o->zk_space)))
        return;
    cairn_tell(cairn_journal_events(journal),
               &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                     .from = "clients",
                                     .kind = "zk_namespace",
                                     .text = "there is no namespace that --zk-namespace names: ZooKeeper clients are "
                                             "closed until 'cairn namespaces create' has made it",
                                     .fields = {{.key = "namespace", .text = o->zk_space}}});
}

static int serve(const struct options *o, enum cairn_sync_mode sync, uint32_t interval_ms, uint32_t keeper_blob_bytes,
                 const struct cairn_trace_options *trace, struct cairn_exporter *exporter,
                 struct cairn_journal *journal)
{
    struct progress progress = {.journal = journal, .started_ns = now_ns(), .told_ns = now_ns()};
    struct cairn_server *server = NULL;
    struct cairn_house *house = NULL;
    uint64_t keys, bytes;
    struct cairn_err err;
    bool finished;
    int status = CAIRN_EXIT_OK;
    struct cairn_server_options server_options = {
        .http = o->http,
        .resp = o->resp,
        .zk = o->zk,
        .zk_settings = {.words = o->zk_words,
                        .space = o->zk_space,
                        .super = o->zk_super,
                        .reply_bytes_max = o->zk_reply_bytes},
        .insecure = o->insecure,
        .workers = (uint32_t)o->workers,
        .connections_max = (uint32_t)o->connections,
        .stop_ms = (uint32_t)o->stop_seconds * 1000,
        /* A request must be able to carry a whole module. */
        .limits = {.bulk_bytes = (uint32_t)(o->module_mib + 1) << 20, .session_bytes = o->session_mib << 20},
        .clock = cairn_clock_system(),
        .sync = o->sync,
        .data = o->data,
        .journal = journal,
        .exporter = exporter,
        .signals = true,
        .on_stopping = on_stopping,
    };
    struct cairn_house_options house_options = {
        .data = o->data,
        .workers = (uint32_t)o->workers,
        .shards = (uint32_t)o->shards,
        .engine = o->engine,
        .engine_memory_bytes = (size_t)o->engine_mib << 20,
        .blob = o->blob,
        .recover = o->recover,
        .accept_loss = o->accept_loss,
        .archive_every_ns = o->archive_seconds * 1000000000,
        .snapshot_every_ns = o->snapshot_seconds * 1000000000,
        .snapshot_log_bytes = o->snapshot_log_mib << 20,
        .snapshots_kept = (uint32_t)o->keep,
        .sync = sync,
        .interval_ms = interval_ms,
        .limits = {.cpu_ns = o->cpu_ms * 1000000,
                   .cache_bytes = o->results_mib << 20,
                   .outcome_bytes = o->outcomes_mib << 20,
                   .memory_bytes = o->node_memory_mib << 20,
                   .job_bytes = o->job_mib << 20,
                   .message_bytes = o->messages_mib << 20,
                   .space_messages = o->space_messages,
                   .space_message_bytes = o->space_message_bytes,
                   .journal_bytes = (uint32_t)(o->journal_mib << 20),
                   .depth = (uint32_t)o->depth,
                   .job_calls = (uint32_t)o->calls,
                   .value_bytes = (uint32_t)o->value_kib << 10,
                   .write_set_bytes = (uint32_t)o->write_set_kib << 10,
                   .transaction_bytes = (uint32_t)o->transaction_kib << 10,
                   .transaction_objects = (uint32_t)o->transaction_objects,
                   .transaction_attempts = (uint32_t)o->transaction_attempts,
                   .transaction_ns = o->transaction_ms * 1000000},
        .keeper_blob_bytes = keeper_blob_bytes,
        .keeper_cache_bytes = o->keeper_cache,
        .keeper_collect_ns = o->keeper_collect * 1000000000,
        .cache_bytes = o->cache_bytes,
        .cache_large = (uint32_t)o->cache_large,
        .cache_threads = (uint32_t)(o->cache_threads ? o->cache_threads : (o->workers + 1) / 2),
        .cache_redundancy = o->redundancy,
        .memory_bytes_max = o->memory_mib << 20,
        .module_bytes_max = o->module_mib << 20,
        .compiler = "/proc/self/exe",
        .compile_memory_bytes = o->compile_mib << 20,
        .compile_cpu_seconds = (uint32_t)o->compile_cpu,
        .log_bytes_max = o->log_mib << 20,
        .wake = cairn_server_wake,
        .events = cairn_journal_events(journal),
        .trace = *trace,
        .on_recovery = on_recovery,
        .context = &progress,
    };

    /* Ports first: what is wrong with them is told before anything long begins. */
    if (cairn_server_create(&server_options, &server, &err) != CAIRN_OK)
        return fail(o, journal, &err);
    house_options.wake_context = server;
    if (cairn_house_open(&house_options, &house, &err) != CAIRN_OK) {
        cairn_server_destroy(server);
        return fail(o, journal, &err);
    }
    cairn_house_totals(house, &keys, &bytes);
    if (cairn_server_start(server, cairn_house_backend(house), &err) != CAIRN_OK) {
        cairn_house_close(house, NULL);
        cairn_server_destroy(server);
        return fail(o, journal, &err);
    }
    warn_of_space(journal, o, cairn_house_backend(house));
    tell_started(journal, o, server, &progress);
    print_ready(server, keys, bytes, o, &progress);
    cairn_process_shed_program();
    finished = cairn_server_run(server);
    if (!finished) {
        cairn_fail(&err, CAIRN_EUNAVAILABLE,
                   "some requests were not done in %" PRIu64 " s and were cut off: their clients do not know what came "
                   "of them; give them longer with --stop-timeout",
                   o->stop_seconds);
        status = fail(o, journal, &err);
    }
    if (cairn_house_close(house, &err) != CAIRN_OK)
        status = fail(o, journal, &err);
    cairn_server_destroy(server);
    cairn_tell(cairn_journal_events(journal),
               &(struct cairn_event){.level = CAIRN_LEVEL_INFO,
                                     .from = "node",
                                     .kind = "stopped",
                                     .text = "the node has stopped",
                                     .fields = {{.key = "status", .number = (uint64_t)status}}});
    if (status == CAIRN_EXIT_OK)
        printf("stopped\n");
    return status;
}

static int run(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options options = {
        .data = "./data",
        .sync = "always",
        .workers = cores > 0 ? (uint64_t)cores : 1,
        .log_format = "text",
        .log_level = "info",
        .stop_seconds = 10,
        .module_mib = 32,
        .keeper_storage = "engine",
        .keeper_cache = 64 << 20,
        .keeper_collect = 3600,
    };
    enum cairn_sync_mode sync;
    struct cairn_journal_options journal_options = {.clock = cairn_clock_system()};
    struct cairn_trace_options trace = {0};
    struct cairn_exporter *exporter = NULL;
    struct cairn_journal *journal;
    struct cairn_err err;
    uint32_t interval_ms, keeper_blob_bytes;
    int status, left;

    if (!cairn_flags_parse(&cairn_command_serve, argc, argv, &options, &left, &status))
        return status;
    if (options.cache_redundancy &&
        cairn_redundancy_parse(options.cache_redundancy, &options.redundancy, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_USAGE, "--cache-redundancy: %s", err.text);
    if (!check_needs(&options, &status))
        return status;
    if (!parse_sync(options.sync, &sync, &interval_ms))
        return cairn_complain(CAIRN_EXIT_USAGE, "--sync takes 'always', 'none' or 'interval:MS' (1 to 60000), not '%s'",
                              options.sync);
    if (!parse_storage(options.keeper_storage, &keeper_blob_bytes))
        return cairn_complain(CAIRN_EXIT_USAGE,
                              "--keeper-storage takes 'engine', 'blob' or 'hybrid:BYTES' (1 to 1073741824), not '%s'",
                              options.keeper_storage);
    if (!parse_log(&options, &journal_options, &status) || !parse_trace(&options, &trace, &status))
        return status;
    cairn_ignore_signals();
    setvbuf(stdout, NULL, _IOLBF, 0);
    cairn_raise_file_limit();
    if (cairn_journal_open(&journal_options, &journal, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s", err.text);
    if (options.trace && strcmp(options.trace, "memory") != 0) {
        if (cairn_exporter_open(options.trace, cairn_clock_system(), cairn_journal_events(journal), &exporter, &err) !=
            CAIRN_OK) {
            cairn_journal_close(journal);
            return cairn_complain(err.code == CAIRN_EINVAL ? CAIRN_EXIT_USAGE : CAIRN_EXIT_FAILED, "--trace: %s",
                                  err.text);
        }
        trace.take = cairn_exporter_give;
        trace.context = exporter;
    }
    status = serve(&options, sync, interval_ms, keeper_blob_bytes, &trace, exporter, journal);
    cairn_exporter_close(exporter);
    cairn_journal_close(journal);
    return status;
}

const struct cairn_command cairn_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "Runs a node until it is interrupted or asked to end (SIGTERM)",
    .more =
        "SIGTERM, SIGINT and SIGQUIT end it properly: no new connections, requests under way are finished, the log\n"
        "is synced, a checkpoint is written; the exit status is 0 if nothing was lost.  A second signal ends it at\n"
        "once; nothing acknowledged is lost then, nor by SIGKILL.  SIGHUP opens the --log-file again.",
    .flags = flags,
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
