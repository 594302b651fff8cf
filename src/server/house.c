#include "server/house.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "fn/builtin.h"
#include "io/process.h"
#include "io/zones.h"
#include "keeper/room.h"
#include "object/type.h"
#include "server/exports.h"
#include "server/house_cache.h"
#include "server/house_keeper.h"
#include "server/house_metered.h"

/* Merges of large runs take long: others must not wait for them. */
enum { NODE_THREADS = 4, STORE_THREADS = 8, SNAPSHOTS_KEPT = 24 };

#define SNAPSHOT_EVERY_NS  UINT64_C(3600000000000)
#define SNAPSHOT_LOG_BYTES (UINT64_C(1) << 30)

enum { YEAR_S = 366 * 86400 };

struct cairn_house {
    struct cairn_house_options options;
    struct cairn_timekeeper *keeper;
    struct cairn_zones *zones;
    struct cairn_clock *clock; /* the keeper's: its wall clock is the node's time */
    struct cairn_disk *disk;
    /* A node must find its own tasks done when it closes, the store still needs some then: two queues. */
    struct cairn_tasks *node_tasks, *store_tasks;
    struct cairn_fn *fn;
    struct cairn_blob *blob;
    struct cairn_house_keeper zookeeper;
    struct cairn_store *store;
    struct cairn_exports *exports;
    struct cairn_house_cache cache;
    struct cairn_house_metered metered;
    struct cairn_backend backend;
    struct cairn_watch watch; /* of the thread that looks */

    /* The log may report before the node is there, on its own thread.  `lock` guards the two. */
    pthread_mutex_t lock;
    struct cairn_node *node;
};

/* --- the store's events --- */

/* What the store finds, and goes on in spite of. */
static void on_warning(void *context, const char *text)
{
    struct cairn_house *house = context;

    cairn_tell(house->options.events,
               &(struct cairn_event){.level = CAIRN_LEVEL_WARNING, .from = "store", .kind = "warning", .text = text});
}

static void on_clock_warning(void *context, const char *text)
{
    struct cairn_house *house = context;

    cairn_tell(
        house->options.events,
        &(struct cairn_event){.level = CAIRN_LEVEL_WARNING, .from = "clock", .kind = "wall_clock", .text = text});
}

static void on_recovery(void *context, const char *stage, uint64_t done, uint64_t total)
{
    struct cairn_house *house = context;

    if (house->options.on_recovery)
        house->options.on_recovery(house->options.context, stage, done, total);
}

static void on_progress(void *context, uint32_t shard, uint64_t acknowledged)
{
    struct cairn_house *house = context;

    pthread_mutex_lock(&house->lock);
    if (house->node)
        cairn_node_log_progress(house->node, shard, acknowledged);
    pthread_mutex_unlock(&house->lock);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct cairn_house *house = context;

    cairn_tell(house->options.events,
               &(struct cairn_event){
                   .level = CAIRN_LEVEL_ERROR,
                   .from = "log",
                   .kind = "failed",
                   .text = "the log has failed: nothing more is acknowledged; restart the node once the disk is well",
                   .fields = {{.key = "error", .text = why->text}}});
    pthread_mutex_lock(&house->lock);
    if (house->node)
        cairn_node_log_failed(house->node, why);
    pthread_mutex_unlock(&house->lock);
}

/* Any thread.  Which worker owns a shard is object's business: all of them look. */
static void on_checkpoint_work(void *context, uint32_t shard)
{
    struct cairn_house *house = context;

    (void)shard;
    for (uint32_t i = 0; i < house->options.workers; i++)
        house->options.wake(house->options.wake_context, i);
}

/* --- the backend --- */

static struct cairn_worker *backend_worker(void *context, uint32_t index)
{
    struct cairn_house *house = context;

    return cairn_node_worker(house->node, index);
}

static struct space *backend_space(void *context, struct cairn_bytes name)
{
    struct cairn_house *house = context;

    return cairn_node_space(house->node, name);
}

static void backend_drain(void *context)
{
    struct cairn_house *house = context;

    cairn_node_drain(house->node);
}

static uint64_t backend_admitted(void *context)
{
    struct cairn_house *house = context;

    return cairn_node_admitted(house->node);
}

static void read_health(struct cairn_house *house, struct cairn_health *ret_health)
{
    *ret_health = (struct cairn_health){.sync_always = house->options.sync == CAIRN_SYNC_ALWAYS,
                                        .has_archive = house->blob != NULL,
                                        .evicted_keys = cairn_node_evicted_keys(house->node),
                                        .dropped_outcomes = cairn_node_dropped_outcomes(house->node)};
    cairn_store_stats(house->store, &ret_health->store);
    cairn_timekeeper_state(house->keeper, &ret_health->time);
}

static size_t backend_checks(void *context, struct cairn_check checks[CAIRN_CHECKS_MAX])
{
    struct cairn_health health;

    read_health(context, &health);
    return cairn_health_checks(&health, checks);
}

static bool backend_has_type(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name)
{
    return type_has_methods(type_find(worker, space, name));
}

static void backend_watch(void *context)
{
    struct cairn_house *house = context;
    struct cairn_health health;

    cairn_house_cache_look(&house->cache, house->node);

    read_health(house, &health);
    cairn_watch_look(&house->watch, &health, house->options.events);
    cairn_house_metered_look(&house->metered);
    cairn_exports_look(house->exports);
}

static void backend_export_page(void *context, uint64_t id, uint32_t page, uint64_t version, struct cairn_bytes space,
                                struct cairn_buf *to)
{
    struct cairn_house *house = context;

    cairn_exports_page(house->exports, id, page, version, space, to);
}

static bool backend_time(void *context, bool accept, struct cairn_time_state *ret_state)
{
    struct cairn_house *house = context;
    bool accepted = accept && cairn_timekeeper_accept(house->keeper);

    cairn_timekeeper_state(house->keeper, ret_state);
    return accepted || !accept;
}

static uint64_t backend_log_bytes(void *context)
{
    struct cairn_house *house = context;
    struct cairn_store_stats stats;

    cairn_store_stats(house->store, &stats);
    return stats.log.retained_bytes;
}

static void backend_info(void *context, struct cairn_buf *to)
{
    struct cairn_house *house = context;
    struct cairn_store_stats stats;

    cairn_store_stats(house->store, &stats);
    cairn_buf_printf(to,
                     "log_records:%" PRIu64 "\r\nlog_bytes:%" PRIu64 "\r\nlog_syncs:%" PRIu64 "\r\n"
                     "log_end:%" PRIu64 "\r\nlog_durable:%" PRIu64 "\r\ncheckpoints:%" PRIu64 "\r\n"
                     "rdb_bgsave_in_progress:%d\r\naof_enabled:1\r\n",
                     stats.log.records, stats.log.bytes, stats.log.syncs, stats.log.end, stats.log.durable,
                     stats.checkpoints, stats.checkpoint_running);
}

static void metric(struct cairn_buf *to, const char *name, const char *type, const char *help, uint64_t value)
{
    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static void metric_seconds(struct cairn_buf *to, const char *name, const char *type, const char *help, uint64_t ns)
{
    cairn_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s %.9f\n", name, help, name, type, name, (double)ns / 1e9);
}

static void backend_metrics(void *context, struct cairn_bytes cursor, struct cairn_buf *to, struct cairn_buf *next)
{
    struct cairn_house *house = context;
    struct cairn_metrics_place place = {0};
    struct cairn_store_stats stats;
    struct cairn_time_state time;

    if (cursor.size == sizeof place)
        memcpy(&place, cursor.data, sizeof place);
    if (cairn_admin_metrics(house->node, &place, CAIRN_PAGE_BYTES, to)) {
        cairn_buf_add(next, &place, sizeof place);
        return;
    }
    cairn_timekeeper_state(house->keeper, &time);
    cairn_buf_printf(
        to,
        "# HELP cairn_clock_jump_seconds How far the wall clock has jumped; the node's time does not follow "
        "unless it is accepted.\n"
        "# TYPE cairn_clock_jump_seconds gauge\ncairn_clock_jump_seconds %.3f\n"
        "# HELP cairn_clock_behind_seconds What the node's time has to gain or lose until it is the wall "
        "clock's.\n"
        "# TYPE cairn_clock_behind_seconds gauge\ncairn_clock_behind_seconds %.3f\n",
        (double)time.jump_ms / 1e3, (double)time.behind_ms / 1e3);
    metric(to, "cairn_clock_jumps_total", "counter", "Jumps of the wall clock since the start.", time.jumps);
    cairn_store_stats(house->store, &stats);
    metric(to, "cairn_log_records_total", "counter", "Records appended to the log.", stats.log.records);
    metric(to, "cairn_log_appended_bytes_total", "counter", "Bytes appended to the log.", stats.log.bytes);
    metric(to, "cairn_log_syncs_total", "counter", "Syncs of the log.", stats.log.syncs);
    metric_seconds(to, "cairn_log_sync_seconds_total", "counter", "Time spent in syncs of the log.",
                   stats.log.sync_ns_total);
    metric_seconds(to, "cairn_log_sync_seconds_max", "gauge", "The longest sync of the log.", stats.log.sync_ns_max);
    metric(to, "cairn_log_end_position", "gauge", "Where the next record goes.", stats.log.end);
    metric(to, "cairn_log_durable_position", "gauge", "Records below it are on stable storage.", stats.log.durable);
    metric(to, "cairn_log_retained_bytes", "gauge", "Log that is kept for recovery.", stats.log.retained_bytes);
    metric(to, "cairn_log_pending_bytes", "gauge", "Appended and not yet written.", stats.log.pending_bytes);
    metric(to, "cairn_log_room_bytes", "gauge", "Prepared segments' room.", stats.log.room_bytes);
    metric(to, "cairn_log_full", "gauge", "1 while writes are refused for lack of disk space.", stats.log.full);
    metric(to, "cairn_log_failed", "gauge", "1 after a failed write or sync, until the node restarts.",
           stats.log.failed);
    metric(to, "cairn_checkpoints_total", "counter", "Checkpoints written.", stats.checkpoints);
    metric(to, "cairn_checkpoint_written_bytes_total", "counter", "Bytes written to checkpoints.",
           stats.checkpoint_bytes);
    metric(to, "cairn_checkpoint_log_bytes", "gauge", "Log beyond the oldest checkpoint.",
           stats.checkpoint_age_log_bytes);
    metric(to, "cairn_checkpoint_running", "gauge", "1 while a checkpoint is written.", stats.checkpoint_running);
    metric(to, "cairn_checkpoint_failures_total", "counter", "Attempts of a checkpoint that failed.",
           stats.checkpoint_failures);
    metric(to, "cairn_versions", "gauge", "Versions of the node that there are.",
           cairn_store_versions(house->store, NULL, 0));
    metric(to, "cairn_archive_pending_bytes", "gauge", "Log that is not in the blob store yet.",
           stats.archive_pending_bytes);
    metric(to, "cairn_archive_pending_versions", "gauge", "Versions that are not in the blob store yet.",
           stats.archive_pending_versions);
    metric(to, "cairn_archive_failures_total", "counter", "Attempts to put something into the blob store that failed.",
           stats.archive_failures);
    metric(to, "cairn_archive_lost", "gauge", "1 once another node has taken the blob store over: writes are refused.",
           stats.archive_lost);
    metric(to, "cairn_checkpoint_failed", "gauge", "1 if the last attempt of a checkpoint failed.",
           stats.checkpoint_error[0] != 0);
    cairn_house_cache_metrics(&house->cache, to);
}

/* --- opening and closing --- */

static enum cairn_code fail_engine_memory(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EINVAL,
                      "--engine-memory is of engines on disk, and this data folder's is 'memory': leave it out, or "
                      "make a new folder with --engine hybridlog as well");
}

/* Before the folder has an engine for good. */
static enum cairn_code check_engine_memory(const struct cairn_house_options *o, struct cairn_disk *disk,
                                           struct cairn_err *err)
{
    struct cairn_buf ignored = {0};
    enum cairn_code code;

    if (!o->engine_memory_bytes || o->engine || o->recover)
        return CAIRN_OK;
    code = cairn_disk_read_file(disk, "FORMAT", CAIRN_PATH_BYTES, &ignored, err);
    cairn_buf_done(&ignored);
    return code == CAIRN_ENOTFOUND ? fail_engine_memory(err) : CAIRN_OK; /* the store tells what else is wrong */
}

static enum cairn_code open_cache(struct cairn_house *house, struct cairn_err *err)
{
    struct cairn_house_cache_options options = {.disk = house->disk,
                                                .clock = house->clock,
                                                .events = house->options.events,
                                                .bytes_max = house->options.cache_bytes,
                                                .large = house->options.cache_large,
                                                .threads = house->options.cache_threads,
                                                .redundancy = house->options.cache_redundancy,
                                                .workers = house->options.workers};

    return cairn_house_cache_open(&house->cache, &options, &house->backend, err);
}

static enum cairn_code open_parts(struct cairn_house *house, struct cairn_err *err)
{
    const struct cairn_house_options *o = &house->options;
    enum cairn_code code = cairn_disk_open(o->data, &house->disk, err);
    struct cairn_fn_options fn_options;
    struct cairn_wal_options log_options = {.sync = o->sync, .interval_ms = o->interval_ms, .threaded = true};
    struct cairn_wal_opener wal;
    struct cairn_store_options store_options;
    struct cairn_node_options node_options;
    struct cairn_admin_options admin_options;
    struct node_hooks keeper_room;
    const struct node_hooks *rooms[] = {&keeper_room};
    struct cairn_node *node;

    if (code == CAIRN_OK)
        code = cairn_house_metered_check(house->disk, err); /* before anything is changed */
    if (code != CAIRN_OK)
        return code;
    house->node_tasks = cairn_tasks_create(NODE_THREADS);
    house->store_tasks = cairn_tasks_create(STORE_THREADS);
    fn_options = (struct cairn_fn_options){
        .clock = house->clock,
        .cache_disk = house->disk,
        .cache_dir = "cache",
        .memory_bytes_max = o->memory_bytes_max,
        .share_bytes = o->limits.memory_bytes / 4,
        .module_bytes_max = o->module_bytes_max,
        .compiler = o->compiler,
        .compile_memory_bytes = o->compile_memory_bytes,
        .compile_cpu_seconds = o->compile_cpu_seconds,
        .workers = o->workers,
    };
    code = cairn_fn_create(&fn_options, &house->fn, err);
    if (code != CAIRN_OK)
        return code;
    if (o->blob)
        code = cairn_blob_open(o->blob, &house->blob, err);
    if (code == CAIRN_OK && house->blob)
        code = cairn_blob_check_apart(house->blob, o->data, err);
    if (code != CAIRN_OK)
        return code;
    cairn_wal_opener_init(&wal, &log_options);
    store_options = (struct cairn_store_options){
        .disk = house->disk,
        .clock = house->clock,
        .tasks = house->store_tasks,
        .shards = o->shards,
        .engine = o->engine,
        .engine_memory_bytes = o->engine_memory_bytes,
        .tap = cairn_history_tap,
        .archive = house->blob,
        .recover = o->recover,
        .accept_loss = o->accept_loss,
        .archive_every_ns = o->archive_every_ns,
        .log_bytes_max = o->log_bytes_max,
        .log = &wal.opener,
        .on_log_progress = on_progress,
        .on_log_failed = on_failed,
        .on_warning = on_warning,
        .on_recovery = on_recovery,
        .on_checkpoint_work = on_checkpoint_work,
        .context = house,
    };
    code = check_engine_memory(o, house->disk, err);
    if (code == CAIRN_OK)
        code = cairn_store_open(&store_options, &house->store, err);
    if (code == CAIRN_OK && o->engine_memory_bytes && strcmp(cairn_store_engine(house->store), "memory") == 0)
        code = fail_engine_memory(err);
    if (code != CAIRN_OK)
        return code;
    cairn_timekeeper_start(house->keeper, cairn_store_wall_ms(house->store));
    code = open_cache(house, err);
    if (code != CAIRN_OK)
        return code;
    house->exports = cairn_exports_create(house->store, house->clock);
    /* What is known of local time in the last year is for timers that a long stop has made late. */
    house->zones = cairn_zones_load(CAIRN_ZONES_FOLDER, (int64_t)(house->clock->wall_ms(house->clock) / 1000) - YEAR_S);
    node_options = (struct cairn_node_options){
        .store = house->store,
        .fn = house->fn,
        .clock = house->clock,
        .zones = house->zones,
        .tasks = house->node_tasks,
        .workers = o->workers,
        .limits = o->limits,
        .seed = house->clock->entropy(house->clock),
        .wake = o->wake,
        .context = o->wake_context,
        .events = o->events,
        .trace = o->trace,
    };
    admin_options = (struct cairn_admin_options){
        .snapshot_every_ns = o->snapshot_every_ns || !o->blob ? o->snapshot_every_ns : SNAPSHOT_EVERY_NS,
        .snapshot_log_bytes = o->snapshot_log_bytes || !o->blob ? o->snapshot_log_bytes : SNAPSHOT_LOG_BYTES,
        .snapshots_kept = o->snapshots_kept ? o->snapshots_kept : SNAPSHOTS_KEPT,
        .rooms = rooms,
        .room_count = 1,
    };
    code = cairn_house_keeper_open(&house->zookeeper, o, house->disk, house->blob, house->store, err);
    if (code != CAIRN_OK)
        return code;
    keeper_hooks(&house->zookeeper.options, &keeper_room);
    house->backend.keeper =
        house->zookeeper.options.module.size ? &keeper_ops : NULL; /* built without clang there is none */
    code = cairn_admin_open(&node_options, &admin_options, &node, err);
    if (code != CAIRN_OK)
        return code;
    cairn_house_metered_open(&house->metered, node, house->disk, house->clock, house->node_tasks, o->events);
    house->backend.memory = cairn_node_memory(node);
    pthread_mutex_lock(&house->lock);
    house->node = node;
    pthread_mutex_unlock(&house->lock);
    /* What the log acknowledged before the node could be told. */
    for (uint32_t i = 0; i == 0 || (i <= cairn_store_shards(house->store) && !cairn_store_has_one_log(house->store));
         i++) {
        struct cairn_log *log = cairn_shard_log(cairn_store_shard(house->store, i));

        cairn_node_log_progress(node, i, log->ops->acknowledged(log));
    }
    return CAIRN_OK;
}

/* What to do about it, where the operating system's word does not tell. */
static void advise(const char *data, struct cairn_err *err)
{
    if (err->code == CAIRN_EFULL)
        cairn_while(err, "opening '%s'; nothing is lost: make room on the disk and start again", data);
    else if (err->code == CAIRN_EACCES)
        cairn_while(err, "opening '%s': start the node as the user who owns the folder and all that is in it", data);
    else if (err->code == CAIRN_EAUTH)
        cairn_while(err,
                    "opening the blob store; nothing is wrong with '%s': give the node credentials that may list, "
                    "read, write and delete there (docs/blob.md)",
                    data);
}

enum cairn_code cairn_house_open(const struct cairn_house_options *options, struct cairn_house **ret_house,
                                 struct cairn_err *err)
{
    struct cairn_house *house;
    enum cairn_code code;

    assert(options->data && options->workers > 0 && options->wake);
    cairn_process_roomy_heaps();
    house = cairn_alloc_zeroed(1, sizeof *house);
    house->options = *options;
    house->keeper = cairn_timekeeper_create(cairn_clock_system(), on_clock_warning, house);
    house->clock = cairn_timekeeper_clock(house->keeper);
    pthread_mutex_init(&house->lock, NULL);
    house->backend = (struct cairn_backend){
        .context = house,
        .workers = options->workers,
        .clock = house->clock,
        .worker = backend_worker,
        .has_type = backend_has_type,
        .space = backend_space,
        .submit = cairn_worker_submit,
        .run = cairn_worker_run,
        .next_ns = cairn_worker_next_ns,
        .drain = backend_drain,
        .admitted = backend_admitted,
        .metrics = backend_metrics,
        .export_page = backend_export_page,
        .checks = backend_checks,
        .watch = backend_watch,
        .time = backend_time,
        .info = backend_info,
        .log_bytes = backend_log_bytes,
    };
    code = open_parts(house, err);
    if (code != CAIRN_OK) {
        advise(options->data, err);
        cairn_house_close(house, NULL);
        return code;
    }
    *ret_house = house;
    return CAIRN_OK;
}

/* A folder that no node is on, and its blob store. */
static enum cairn_code open_folder(const char *data, const char *blob, struct cairn_store_options *options,
                                   struct cairn_wal_opener *wal, struct cairn_err *err)
{
    enum cairn_code code = cairn_disk_open(data, &options->disk, err);

    if (code == CAIRN_OK && blob)
        code = cairn_blob_open(blob, &options->archive, err);
    if (code == CAIRN_OK && options->archive)
        code = cairn_blob_check_apart(options->archive, data, err);
    options->clock = cairn_clock_system();
    cairn_wal_opener_init(wal, &(struct cairn_wal_options){.threaded = true});
    options->log = &wal->opener;
    options->tap = cairn_history_tap;
    options->tasks = cairn_tasks_create(STORE_THREADS);
    return code;
}

static void close_folder(struct cairn_store_options *options)
{
    cairn_tasks_destroy(options->tasks);
    cairn_blob_close(options->archive);
    if (options->disk)
        cairn_disk_close(options->disk);
}

enum cairn_code cairn_house_restore(const char *data, const char *blob, uint64_t number, uint64_t wall_ms,
                                    void (*on_stage)(void *context, const char *stage, uint64_t done, uint64_t total),
                                    void *context, uint64_t *ret_undo, struct cairn_err *err)
{
    struct cairn_store_options options = {.on_recovery = on_stage, .context = context};
    struct cairn_wal_opener wal;
    enum cairn_code code = open_folder(data, blob, &options, &wal, err);

    if (code == CAIRN_OK)
        code = number ? cairn_store_restore(&options, number, ret_undo, err)
                      : cairn_store_restore_at(&options, wall_ms, ret_undo, err);
    close_folder(&options);
    return code;
}

enum cairn_code cairn_house_preview(const char *data, const char *blob, uint64_t number, uint64_t wall_ms,
                                    void (*each)(void *context, enum cairn_preview what, const char *type,
                                                 struct cairn_bytes id),
                                    void *context, struct cairn_err *err)
{
    struct cairn_store_options options = {0};
    struct cairn_wal_opener wal;
    enum cairn_code code = open_folder(data, blob, &options, &wal, err);

    if (code == CAIRN_OK)
        code = cairn_preview(&options, number, wall_ms, each, context, err);
    close_folder(&options);
    return code;
}

const struct cairn_backend *cairn_house_backend(struct cairn_house *house)
{
    return &house->backend;
}

void cairn_house_totals(struct cairn_house *house, uint64_t *ret_keys, uint64_t *ret_bytes)
{
    uint64_t keys = 0, bytes = 0;

    for (uint32_t i = 0; i <= cairn_store_shards(house->store); i++) {
        struct cairn_engine_stats stats;

        cairn_shard_engine_stats(cairn_store_shard(house->store, i), &stats);
        keys += stats.keys;
        bytes += stats.key_bytes + stats.value_bytes;
    }
    *ret_keys = keys;
    *ret_bytes = bytes;
}

/* That only the last checkpoint, or what goes to the blob store, was not written is told, and no failure. */
static enum cairn_code close_store(struct cairn_house *house, bool checkpoint, struct cairn_err *err)
{
    struct cairn_err why = {0};
    bool lost;
    enum cairn_code code = cairn_store_close_told(house->store, checkpoint, &lost, &why);

    if (code == CAIRN_OK)
        return code;
    if (lost) {
        if (err)
            *err = why;
        return code;
    }
    cairn_tell(house->options.events,
               &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                     .from = "store",
                                     .kind = "close",
                                     .text = "nothing is lost, but not all was written at the stop: the next start "
                                             "reads more of the log, or puts the rest into the blob store",
                                     .fields = {{.key = "reason", .text = why.text}}});
    return CAIRN_OK;
}

enum cairn_code cairn_house_close(struct cairn_house *house, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    struct cairn_node *node;

    if (!house)
        return CAIRN_OK;
    pthread_mutex_lock(&house->lock);
    node = house->node;
    house->node = NULL; /* the log has no node to tell any more */
    pthread_mutex_unlock(&house->lock);
    if (house->fn)
        cairn_fn_stop_compiling(house->fn); /* or the tasks would take as long as that does */
    cairn_tasks_destroy(house->node_tasks);
    cairn_house_keeper_stop(&house->zookeeper);
    cairn_house_metered_close(&house->metered);
    if (node)
        cairn_node_close(node);
    cairn_exports_destroy(house->exports);
    cairn_house_cache_close(&house->cache);
    if (house->store)
        code = close_store(house, node != NULL, err);
    cairn_tasks_destroy(house->store_tasks);
    cairn_house_keeper_close(&house->zookeeper);
    cairn_blob_close(house->blob);
    if (house->fn)
        cairn_fn_destroy(house->fn);
    if (house->disk)
        cairn_disk_close(house->disk);
    cairn_zones_free(house->zones);
    cairn_timekeeper_destroy(house->keeper);
    pthread_mutex_destroy(&house->lock);
    free(house);
    return code;
}
