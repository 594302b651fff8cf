/* simnode.h - a whole node in one thread, over the simulated disk and clock.
 *
 * Everything that happens is drawn from one seed: which worker runs, when a log round or a
 * background task is done, how time goes on.  The same seed replays exactly. */
#ifndef CAIRN_TESTS_SUPPORT_SIMNODE_H
#define CAIRN_TESTS_SUPPORT_SIMNODE_H

#include "base/random.h"
#include "io/timekeeper.h"
#include "history/history.h"
#include "log/wal.h"
#include "object/object.h"
#include "support/simstreams.h"

struct simnode_options {
    uint32_t workers, shards;
    const char *engine;
    size_t engine_memory_bytes;
    uint64_t snapshot_every_ns; /* of which two are kept */
    bool archive;               /* in a blob store, which knows no crashes */
    bool streams;               /* each shard has a log of its own (simstreams.h); without snapshots and archive */
    struct cairn_limits limits;
    enum cairn_sync_mode sync;
    uint64_t log_segment_bytes, log_bytes_max;
    uint32_t fibers_per_worker;
    const struct cairn_zones *zones; /* NULL: UTC alone */
    struct cairn_trace_options trace;
    const struct node_hooks *const *rooms; /* beside the administration */
    uint32_t room_count;
};

struct simnode {
    struct simnode_options options;
    struct cairn_disk *disk; /* survives crashes */
    struct cairn_disk *archive_disk;
    struct cairn_blob *archive; /* NULL: none */
    struct simstreams streams;  /* survive all */
    struct cairn_sim_clock clock;
    struct cairn_timekeeper *keeper; /* one for each opening */
    struct cairn_random random;
    struct cairn_tasks *node_tasks, *store_tasks; /* two, as in house.c */
    struct cairn_fn *fn;
    struct cairn_store *store;
    struct cairn_node *node;
    bool log_failed, moved;
};

/* Zero members of options take small defaults.  The disk is created. */
void simnode_init(struct simnode *sim, uint64_t seed, const struct simnode_options *options);
/* Opens the node on the disk as it is. */
enum cairn_code simnode_open(struct simnode *sim, struct cairn_err *err);
/* One random step; false if nothing was left to do but let time go on. */
bool simnode_step(struct simnode *sim);
/* Steps until nothing is left to do (bounded). */
void simnode_settle(struct simnode *sim);
/* Power cut: what was not synced is lost as `how` says; the node is gone. */
void simnode_crash(struct simnode *sim, enum cairn_sim_crash how);
/* In order, to another machine, which begins with what the archive has; to be opened then. */
enum cairn_code simnode_move(struct simnode *sim, struct cairn_err *err);
/* In order, to a version; to be opened then.  From call number halt_at of the disk on (-1: none) power is off: then the
 * next opening goes on with it, or nothing has come of it. */
enum cairn_code simnode_restore(struct simnode *sim, uint64_t number, int64_t halt_at, struct cairn_err *err);
/* Drains, checkpoints, closes. */
enum cairn_code simnode_close(struct simnode *sim, struct cairn_err *err);
void simnode_done(struct simnode *sim);

/* A request with its own memory; the reply is kept. */
struct simcall {
    struct cairn_request request;
    struct cairn_buf args, reply;
    bool replied;
    char *strings[6];
    void (*on_reply)(struct simcall *call, void *context);
    void *context;
};

/* Fills a call; arguments are NUL-terminated strings, the last is NULL. */
void simcall_init(struct simcall *call, enum cairn_op op, const char *type, const char *id, const char *method, ...);
void simcall_arg(struct simcall *call, const char *arg);
void simcall_key(struct simcall *call, const char *key);
void simcall_submit(struct simnode *sim, struct simcall *call, uint32_t worker);
/* Submits to worker 0 and steps until it is replied to; fails the test if it never is. */
void simcall_run(struct simnode *sim, struct simcall *call);
void simcall_done(struct simcall *call);

/* Call and compare at once: `want` as written by simvalue_text. */
void simnode_expect(struct simnode *sim, const char *want, const char *type, const char *id, const char *method, ...);
/* "nil", "7", "\"text\"", "[1, nil]", "!code: message".  Valid until the next call. */
const char *simvalue_text(struct cairn_bytes encoded);
/* Deploys a module of the build (e.g. "retwis"); fails the test if it is refused. */
void simnode_deploy(struct simnode *sim, const char *module);
/* Reads <guests>/<module>.wasm. */
void simnode_wasm(const char *module, struct cairn_buf *to);

#endif
