#include "support/simnode.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"

#define must(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* --- the node ------------------------------------------------------------------------------- */

void simnode_init(struct simnode *sim, uint64_t seed, const struct simnode_options *options)
{
    *sim = (struct simnode){0};
    if (options)
        sim->options = *options;
    if (!sim->options.workers)
        sim->options.workers = 2;
    if (!sim->options.shards)
        sim->options.shards = 4;
    if (!sim->options.fibers_per_worker)
        sim->options.fibers_per_worker = 32;
    cairn_random_init(&sim->random, seed);
    cairn_sim_clock_init(&sim->clock, cairn_random_u64(&sim->random));
    sim->disk = cairn_sim_disk_create(cairn_random_u64(&sim->random));
    if (sim->options.streams)
        simstreams_init(&sim->streams, cairn_random_u64(&sim->random));
    if (sim->options.archive) {
        sim->archive_disk = cairn_sim_disk_create(cairn_random_u64(&sim->random));
        sim->archive = cairn_blob_on_disk(sim->archive_disk);
    }
}

static void on_progress(void *context, uint32_t shard, uint64_t acknowledged)
{
    struct simnode *sim = context;

    if (sim->node)
        cairn_node_log_progress(sim->node, shard, acknowledged);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct simnode *sim = context;

    sim->log_failed = true;
    if (sim->node)
        cairn_node_log_failed(sim->node, why);
}

/* cmocka takes the signals of traps for itself at the start of every test; the sandbox needs its
 * handlers, which it installs once a process, to tell a guest's trap from our own fault. */
static void keep_trap_handlers(void)
{
    static const int signals[] = {SIGILL, SIGSEGV, SIGFPE, SIGBUS};
    static struct sigaction sandbox[4];
    static bool known;

    for (int i = 0; i < 4; i++)
        sigaction(signals[i], known ? &sandbox[i] : NULL, known ? NULL : &sandbox[i]);
    known = true;
}

static void stop(struct simnode *sim)
{
    sim->node_tasks = cairn_tasks_destroy(sim->node_tasks);
    sim->node = cairn_node_close(sim->node);
    if (sim->store)
        cairn_store_abandon(sim->store);
    sim->store = NULL;
    sim->store_tasks = cairn_tasks_destroy(sim->store_tasks);
    sim->keeper = cairn_timekeeper_destroy(sim->keeper);
}

/* One sandbox serves all nodes of the process, one after the other: it keeps nothing of theirs (its
 * modules are compiled anew), and making one for every restart of a long simulation costs time and
 * address space that Wasmtime does not give back. */
static enum cairn_code shared_sandbox(const struct simnode_options *options, struct cairn_fn **ret_fn,
                                      struct cairn_err *err)
{
    static struct cairn_fn *shared;
    static struct cairn_sim_clock still;
    static uint32_t workers, fibers;
    struct cairn_fn_options fn = {.clock = &still.clock,
                                  .workers = options->workers,
                                  .fibers_per_worker = options->fibers_per_worker,
                                  .deterministic = true};

    if (!shared || workers != options->workers || fibers != options->fibers_per_worker) {
        shared = cairn_fn_destroy(shared);
        cairn_sim_clock_init(&still, 1);
        if (cairn_fn_create(&fn, &shared, err) != CAIRN_OK)
            return err->code;
        workers = options->workers;
        fibers = options->fibers_per_worker;
    }
    *ret_fn = shared;
    return CAIRN_OK;
}

/* With tasks of their own; `wal` has to stay as long. */
static struct cairn_store_options store_options(struct simnode *sim, struct cairn_clock *clock,
                                                struct cairn_wal_opener *wal)
{
    struct cairn_wal_options log_options = {
        .sync = sim->options.sync, .interval_ms = 50, .segment_bytes = sim->options.log_segment_bytes};

    cairn_wal_opener_init(wal, &log_options);
    return (struct cairn_store_options){
        .disk = sim->disk,
        .clock = clock,
        .shards = sim->options.shards,
        .engine = sim->options.engine,
        .engine_memory_bytes = sim->options.engine_memory_bytes,
        .log_bytes_max = sim->options.log_bytes_max,
        .tap = cairn_history_tap,
        .archive = sim->archive,
        .archive_every_ns = 20000000,
        .recover = sim->moved,
        .log = sim->options.streams ? &sim->streams.opener : &wal->opener,
        .on_log_progress = on_progress,
        .on_log_failed = on_failed,
        .tasks = cairn_tasks_create(0),
        .context = sim,
    };
}

enum cairn_code simnode_open(struct simnode *sim, struct cairn_err *err)
{
    struct cairn_timekeeper *keeper = cairn_timekeeper_create(&sim->clock.clock, NULL, NULL);
    struct cairn_clock *clock = cairn_timekeeper_clock(keeper);
    struct cairn_wal_opener wal;
    struct cairn_store_options store = store_options(sim, clock, &wal);
    struct cairn_node_options node = {.clock = clock,
                                      .zones = sim->options.zones,
                                      .workers = sim->options.workers,
                                      .limits = sim->options.limits,
                                      .trace = sim->options.trace,
                                      .seed = cairn_random_u64(&sim->random)};
    struct cairn_admin_options admin = {.snapshot_every_ns = sim->options.snapshot_every_ns,
                                        .snapshot_log_bytes = sim->archive ? 64 << 10 : 0,
                                        .snapshots_kept = 2,
                                        .rooms = sim->options.rooms,
                                        .room_count = sim->options.room_count};
    enum cairn_code code;

    sim->log_failed = false;
    sim->keeper = keeper;
    sim->node_tasks = node.tasks = cairn_tasks_create(0);
    sim->store_tasks = store.tasks;
    code = shared_sandbox(&sim->options, &sim->fn, err);
    keep_trap_handlers();
    if (code == CAIRN_OK)
        code = cairn_store_open(&store, &sim->store, err);
    node.fn = sim->fn;
    node.store = sim->store;
    if (code == CAIRN_OK)
        cairn_timekeeper_start(keeper, cairn_store_wall_ms(sim->store));
    if (code == CAIRN_OK)
        code = cairn_admin_open(&node, &admin, &sim->node, err);
    if (code != CAIRN_OK)
        stop(sim);
    return code;
}

/* Each stream gets on by itself. */
static uint32_t step_which(struct simnode *sim)
{
    return sim->options.streams ? (uint32_t)cairn_random_below(&sim->random, sim->options.shards + 1) : 0;
}

bool simnode_step(struct simnode *sim)
{
    struct cairn_log *log;
    bool did = false;

    switch (cairn_random_below(&sim->random, 8)) {
    case 0:
        log = cairn_shard_log(cairn_store_shard(sim->store, step_which(sim)));
        did = log->ops->step(log);
        break;
    case 1:
        did = cairn_tasks_step(cairn_random_below(&sim->random, 2) ? sim->node_tasks : sim->store_tasks);
        break;
    case 2:
        cairn_sim_clock_advance(&sim->clock, 1 + cairn_random_below(&sim->random, 2000000));
        if (cairn_random_below(&sim->random, 256) == 0) /* somebody sets the wall clock, either way: some are jumps */
            sim->clock.wall_offset_ms += cairn_random_below(&sim->random, 20001) - 10000;
        break;
    default:
        did = cairn_worker_run(
            cairn_node_worker(sim->node, (uint32_t)cairn_random_below(&sim->random, sim->options.workers)), 0);
    }
    return did;
}

void simnode_settle(struct simnode *sim)
{
    for (int idle = 0, steps = 0; idle < 200; steps++) {
        must(steps < 10000000);
        idle = simnode_step(sim) ? 0 : idle + 1;
    }
}

void simnode_crash(struct simnode *sim, enum cairn_sim_crash how)
{
    if (sim->store_tasks) {
        cairn_sim_disk_halt_at(sim->disk, 0); /* what is done while it stops comes too late */
        stop(sim);
        cairn_sim_disk_crash(sim->disk, how);
    }
}

enum cairn_code simnode_close(struct simnode *sim, struct cairn_err *err)
{
    enum cairn_code code;

    cairn_node_drain(sim->node);
    simnode_settle(sim);
    must(cairn_node_admitted(sim->node) == 0);
    sim->node_tasks = cairn_tasks_destroy(sim->node_tasks);
    sim->node = cairn_node_close(sim->node);
    code = cairn_store_close(sim->store, true, err);
    sim->store = NULL;
    sim->store_tasks = cairn_tasks_destroy(sim->store_tasks);
    sim->keeper = cairn_timekeeper_destroy(sim->keeper);
    cairn_sim_disk_crash(sim->disk, CAIRN_SIM_DROP); /* whatever was promised is synced; the lock is free */
    return code;
}

enum cairn_code simnode_move(struct simnode *sim, struct cairn_err *err)
{
    enum cairn_code code = simnode_close(sim, err);

    if (code != CAIRN_OK)
        return code;
    cairn_disk_close(sim->disk);
    sim->disk = cairn_sim_disk_create(cairn_random_u64(&sim->random));
    sim->moved = true;
    return CAIRN_OK;
}

enum cairn_code simnode_restore(struct simnode *sim, uint64_t number, int64_t halt_at, struct cairn_err *err)
{
    struct cairn_timekeeper *keeper;
    struct cairn_store_options store;
    struct cairn_wal_opener wal;
    uint64_t undo;
    enum cairn_code code = simnode_close(sim, err);

    if (code != CAIRN_OK)
        return code;
    keeper = cairn_timekeeper_create(&sim->clock.clock, NULL, NULL);
    store = store_options(sim, cairn_timekeeper_clock(keeper), &wal);
    cairn_sim_disk_halt_at(sim->disk, halt_at);
    code = cairn_store_restore(&store, number, &undo, err);
    cairn_tasks_destroy(store.tasks);
    cairn_timekeeper_destroy(keeper);
    cairn_sim_disk_halt_at(sim->disk, -1);
    cairn_sim_disk_crash(sim->disk, CAIRN_SIM_TEAR);
    return code;
}

void simnode_done(struct simnode *sim)
{
    if (sim->store_tasks)
        simnode_crash(sim, CAIRN_SIM_KEEP);
    sim->disk = cairn_disk_close(sim->disk);
    if (sim->options.streams)
        simstreams_done(&sim->streams);
    cairn_blob_close(sim->archive);
    if (sim->archive_disk)
        cairn_disk_close(sim->archive_disk);
}

/* --- calls ---------------------------------------------------------------------------------- */

static void on_reply(struct cairn_request *request, struct cairn_bytes value)
{
    struct simcall *call = request->owner;

    must(!call->replied);
    call->replied = true;
    call->reply.size = 0;
    cairn_buf_add(&call->reply, value.data, value.size);
    if (call->on_reply)
        call->on_reply(call, call->context);
}

static struct cairn_bytes keep(struct simcall *call, int slot, const char *text)
{
    if (!text)
        return cairn_bytes(NULL, 0);
    free(call->strings[slot]);
    call->strings[slot] = cairn_bytes_dup(cairn_str(text));
    return cairn_str(call->strings[slot]);
}

static void init(struct simcall *call, enum cairn_op op, const char *type, const char *id, const char *method,
                 va_list args)
{
    *call = (struct simcall){.request = {.op = op, .reply = on_reply}};
    call->request.type = keep(call, 0, type);
    call->request.id = keep(call, 1, id);
    call->request.method = keep(call, 2, method);
    for (const char *arg; (arg = va_arg(args, const char *));)
        cairn_args_add(&call->args, cairn_str(arg));
}

void simcall_init(struct simcall *call, enum cairn_op op, const char *type, const char *id, const char *method, ...)
{
    va_list args;

    va_start(args, method);
    init(call, op, type, id, method, args);
    va_end(args);
}

void simcall_arg(struct simcall *call, const char *arg)
{
    cairn_args_add(&call->args, cairn_str(arg));
}

void simcall_key(struct simcall *call, const char *key)
{
    call->request.key = keep(call, 3, key);
}

void simcall_submit(struct simnode *sim, struct simcall *call, uint32_t worker)
{
    call->request.args = cairn_buf_bytes(&call->args);
    call->request.owner = call;
    call->replied = false;
    cairn_worker_submit(cairn_node_worker(sim->node, worker), &call->request);
}

void simcall_run(struct simnode *sim, struct simcall *call)
{
    simcall_submit(sim, call, 0);
    for (int steps = 0; !call->replied; steps++) {
        must(steps < 20000000);
        simnode_step(sim);
    }
}

void simcall_done(struct simcall *call)
{
    for (int i = 0; i < 6; i++)
        free(call->strings[i]);
    cairn_buf_done(&call->args);
    cairn_buf_done(&call->reply);
    *call = (struct simcall){0};
}

/* --- values --------------------------------------------------------------------------------- */

static void text_of(struct cairn_reader *r, struct cairn_buf *to)
{
    struct cairn_value v = cairn_value_read(r);

    switch (v.kind) {
    case CAIRN_VALUE_NIL:
        cairn_buf_str(to, "nil");
        break;
    case CAIRN_VALUE_INT:
        cairn_buf_printf(to, "%lld", (long long)v.integer);
        break;
    case CAIRN_VALUE_BYTES:
        cairn_buf_printf(to, "\"%.*s\"", (int)v.bytes.size, (const char *)v.bytes.data);
        break;
    case CAIRN_VALUE_ERROR:
        cairn_buf_printf(to, "!%.*s: %.*s", (int)v.error.size, (const char *)v.error.data, (int)v.bytes.size,
                         (const char *)v.bytes.data);
        break;
    case CAIRN_VALUE_LIST:
        cairn_buf_str(to, "[");
        for (uint64_t i = 0; i < v.count && !r->bad; i++) {
            if (i)
                cairn_buf_str(to, ", ");
            text_of(r, to);
        }
        cairn_buf_str(to, "]");
        break;
    }
}

const char *simvalue_text(struct cairn_bytes encoded)
{
    static struct cairn_buf text;
    struct cairn_reader r = cairn_reader(encoded);

    text.size = 0;
    if (cairn_value_valid(encoded))
        text_of(&r, &text);
    else
        cairn_buf_str(&text, "(not a value)");
    cairn_buf_u8(&text, 0);
    return (const char *)text.data;
}

void simnode_expect(struct simnode *sim, const char *want, const char *type, const char *id, const char *method, ...)
{
    struct simcall call;
    const char *got;
    va_list args;
    size_t length = strlen(want);

    va_start(args, method);
    init(&call, CAIRN_OP_INVOKE, type, id, method, args);
    va_end(args);
    simcall_run(sim, &call);
    got = simvalue_text(cairn_buf_bytes(&call.reply));
    /* "!code..." compares the code only. */
    if (length > 3 && strcmp(want + length - 3, "...") == 0 ? strncmp(got, want, length - 3) != 0
                                                            : strcmp(got, want) != 0) {
        fprintf(stderr, "%s/%s.%s gave %s, wanted %s\n", type, id, method, got, want);
        abort();
    }
    simcall_done(&call);
}

void simnode_wasm(const char *module, struct cairn_buf *to)
{
    const char *dir = getenv("CAIRN_GUESTS");
    char path[1024];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/%s.wasm", dir ? dir : "build", module);
    file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s is missing; CAIRN_GUESTS names the folder of the test modules\n", path);
        abort();
    }
    do {
        n = fread(cairn_buf_reserve(to, 65536), 1, 65536, file);
        to->size += n;
    } while (n);
    fclose(file);
}

/* As a client does, it deploys again when the node has had no room in its log: then nothing was done. */
void simnode_deploy(struct simnode *sim, const char *module)
{
    struct cairn_buf wasm = {0};
    struct cairn_value reply;

    simnode_wasm(module, &wasm);
    for (int attempt = 0;; attempt++) {
        struct simcall call;
        struct cairn_reader r;

        simcall_init(&call, CAIRN_OP_DEPLOY, NULL, NULL, NULL, NULL);
        call.request.body = cairn_buf_bytes(&wasm);
        simcall_run(sim, &call);
        r = cairn_reader(cairn_buf_bytes(&call.reply));
        reply = cairn_value_read(&r);
        if (reply.kind == CAIRN_VALUE_LIST) {
            simcall_done(&call);
            break;
        }
        if (attempt == 20 || reply.kind != CAIRN_VALUE_ERROR ||
            !cairn_bytes_equal(reply.error, cairn_str("overloaded"))) {
            fprintf(stderr, "deploying %s gave %s\n", module, simvalue_text(cairn_buf_bytes(&call.reply)));
            abort();
        }
        simcall_done(&call);
    }
    cairn_buf_done(&wasm);
}
