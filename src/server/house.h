/* house.h - a whole node on one data folder: disk, background threads, sandbox, store, objects;
 * and its face towards the fronts (struct cairn_backend).
 *
 *   cairn_house_open -> (the server runs) -> cairn_house_close
 *
 * Threads: open and close belong to the main thread; between them the backend's rules hold.
 * Layer: server. */
#ifndef CAIRN_SERVER_HOUSE_H
#define CAIRN_SERVER_HOUSE_H

#include "cache/erasure.h"
#include "admin/preview.h"
#include "log/wal.h"
#include "server/backend.h"

/* 0 or NULL in any member means its default. */
struct cairn_house_options {
    const char *data; /* the folder; must be set */
    uint32_t workers; /* must be set */
    uint32_t shards;
    const char *engine; /* as cairn_store_options.engine */
    size_t engine_memory_bytes;
    const char *blob;          /* URL of a blob store for versions and the log's records; NULL: none */
    bool recover, accept_loss; /* cairn_store_options' */
    uint64_t archive_every_ns;
    uint64_t snapshot_every_ns,
        snapshot_log_bytes;  /* cairn_admin_options'; with a blob store: hourly, or after 1 GiB */
    uint32_t snapshots_kept; /* 0: 24 */
    enum cairn_sync_mode sync;
    uint32_t interval_ms;
    struct cairn_limits limits;
    /* Data of the keeper's nodes of so many bytes or more is in the blob store, or without one in the data folder's
     * blobs/; 0: none. */
    uint32_t keeper_blob_bytes;
    uint64_t keeper_cache_bytes;              /* of it, in memory; 0: nothing is kept */
    uint64_t keeper_collect_ns;               /* how often it is looked through for what nothing refers to; 0: never */
    uint64_t cache_bytes;                     /* of the cache; 0: there is none */
    uint32_t cache_large;                     /* values of so many bytes are coded into chunks; 0: 1 MiB */
    uint32_t cache_threads;                   /* that move these; 0: one */
    struct cairn_redundancy cache_redundancy; /* of these; no chunks: 10+2 */
    uint64_t memory_bytes_max;                /* of one instance */
    uint64_t module_bytes_max;                /* of a .wasm */
    const char *compiler;                     /* cairn_fn_options', as the next two */
    uint64_t compile_memory_bytes;
    uint32_t compile_cpu_seconds;
    uint64_t log_bytes_max; /* beyond the checkpoint */
    /* cairn_node_options.wake */
    void (*wake)(void *context, uint32_t index);
    void *wake_context;
    const struct cairn_events *events; /* for the operator; NULL: nothing is told */
    struct cairn_trace_options trace;
    /* For people, while it opens; may be NULL. */
    void (*on_recovery)(void *context, const char *stage, uint64_t done, uint64_t total);
    void *context;
};

struct cairn_house;

enum cairn_code cairn_house_open(const struct cairn_house_options *options, struct cairn_house **ret_house,
                                 struct cairn_err *err);
const struct cairn_backend *cairn_house_backend(struct cairn_house *house);
/* Keys and bytes of all shards, as recovered: before there are worker threads. */
void cairn_house_totals(struct cairn_house *house, uint64_t *ret_keys, uint64_t *ret_bytes);
/* Takes a data folder that no node is on to a version, or with number 0 to a moment; see cairn_store_restore.
 * `blob` as above. */
enum cairn_code cairn_house_restore(const char *data, const char *blob, uint64_t number, uint64_t wall_ms,
                                    void (*on_stage)(void *context, const char *stage, uint64_t done, uint64_t total),
                                    void *context, uint64_t *ret_undo, struct cairn_err *err);
/* What that would change (admin/preview.h). */
enum cairn_code cairn_house_preview(const char *data, const char *blob, uint64_t number, uint64_t wall_ms,
                                    void (*each)(void *context, enum cairn_preview what, const char *type,
                                                 struct cairn_bytes id),
                                    void *context, struct cairn_err *err);
/* Worker threads have stopped.  Syncs and checkpoints.  Fails only if something acknowledged may be lost; that the last
 * checkpoint was not written is told as an event.  Frees in any case; accepts NULL. */
enum cairn_code cairn_house_close(struct cairn_house *house, struct cairn_err *err);

#endif
