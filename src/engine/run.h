/* run.h - a run: an immutable file of records in ascending order, as the log-structured engines keep state on disk
 * (docs/formats/run.md).
 *
 * The order is that of the keys' bytes, or that of their hashes (and of the bytes where those are equal), which finds a
 * record by one guess instead of a search.
 *
 * A record is a key and a value, or a key and the fact that it was removed (a tombstone).  Records lie in blocks, one
 * checksum over each; in memory an open run keeps a fence (the first key) for every block and a Bloom filter over all
 * keys, so that a get reads at most one block, and none for nearly every key that is not there.
 * Every byte of a file is covered by a checksum that also says which file it belongs to and where it lies: what get and
 * the cursor return is what was written, or CAIRN_ECORRUPT with the file, the offset and what to do.
 * Threads: a writer and a cursor have one owner; a run may be read by any thread, each with a buffer of its own.
 * Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_RUN_H
#define CAIRN_ENGINE_RUN_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "io/disk.h"

enum run_order {
    RUN_BY_KEY,
    RUN_BY_HASH,
};

/* Of blocks, each for itself; one that does not get smaller is kept as it is. */
enum run_compression {
    RUN_PLAIN,
    RUN_LZ4,
    RUN_ZSTD,
};

enum {
    RUN_BLOCK_BYTES = 4096, /* a block is closed when it reaches this, or holds density_factor records */
};

struct run_record {
    uint64_t hash; /* cairn_hash(key) */
    struct cairn_bytes key;
    struct cairn_bytes value; /* or run_tombstone(): the key was removed */
};

/* Whether a record comes before, at or after another: below, at or above 0. */
static inline int run_compare(enum run_order order, const struct run_record *a, const struct run_record *b)
{
    if (order == RUN_BY_HASH && a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return cairn_bytes_compare(a->key, b->key);
}

/* What a version says of a file; written once, when the run is finished. */
struct run_about {
    uint64_t id;                        /* never used twice in one folder; the file is runs/<id>.run */
    uint64_t bytes;                     /* of the file */
    uint64_t records;                   /* tombstones included */
    uint64_t tombstones;                /* of them */
    uint32_t level;                     /* 0: written from memory; n: merged from runs of level n - 1 */
    uint8_t sha256[CAIRN_SHA256_BYTES]; /* of the whole file */
};

struct run_options {
    enum run_order order;
    uint64_t records_max;    /* that will be added, at most: the filter is made for them and folded to what came */
    unsigned filter_bits;    /* per key; 0: no filter */
    unsigned density_factor; /* records between two fences; 0: as many as fit block_bytes */
    size_t block_bytes;      /* 0: RUN_BLOCK_BYTES */
    enum run_compression compression;
};

enum { RUN_LEVELS = 8 }; /* that are told apart */

#define RUN_DIR "runs"

void run_path(uint64_t id, char path[CAIRN_PATH_BYTES]);
/* The id in a file's name, or false. */
bool run_name_parse(const char *name, uint64_t *ret_id);

/* --- writing: create, add in ascending order, finish --- */

struct run_writer;

/* Creates the file (its folder must be there). */
enum cairn_code run_writer_create(struct cairn_disk *disk, uint64_t id, uint32_t level,
                                  const struct run_options *options, struct run_writer **ret_writer,
                                  struct cairn_err *err);
/* Records must ascend; after a failure only destroy may follow. */
enum cairn_code run_writer_add(struct run_writer *writer, const struct run_record *record, struct cairn_err *err);
/* Writes what is left, syncs the file and its name; the run may be named by a version now. */
enum cairn_code run_writer_finish(struct run_writer *writer, struct run_about *ret_about, struct cairn_err *err);
/* Also removes the file unless it was finished.  Returns NULL; accepts NULL. */
struct run_writer *run_writer_destroy(struct run_writer *writer);

static inline struct cairn_bytes run_tombstone(void)
{
    return (struct cairn_bytes){NULL, SIZE_MAX};
}

static inline bool run_is_tombstone(struct cairn_bytes value)
{
    return !value.data && value.size == SIZE_MAX;
}

/* --- reading --- */

struct run;

/* Reads and checks all but the blocks.  CAIRN_ECORRUPT when the file is not the one that `about` tells of. */
enum cairn_code run_open(struct cairn_disk *disk, const struct run_about *about, struct run **ret_run,
                         struct cairn_err *err);
struct run *run_close(struct run *run); /* returns NULL; accepts NULL */
const struct run_about *run_about(const struct run *run);
enum run_order run_order(const struct run *run);
/* Closes the file, which the next that reads opens again; false if a thread is reading just now. */
bool run_rest(struct run *run);
bool run_is_open(struct run *run);
/* What an open run keeps in memory. */
size_t run_memory_bytes(const struct run *run);
/* Of that its filter, which can be done without: then a get reads a block for each key that is not there, too. */
size_t run_filter_bytes(const struct run *run);
void run_drop_filter(struct run *run);

/* CAIRN_OK and *ret_found; then *ret_value (perhaps a tombstone) points into `scratch`, valid until it is
 * changed.  `hash` is cairn_hash(key). */
enum cairn_code run_get(struct run *run, struct cairn_bytes key, uint64_t hash, struct cairn_buf *scratch,
                        bool *ret_found, struct cairn_bytes *ret_value, struct cairn_err *err);

/* Reads the whole file again and compares it with its SHA-256. */
enum cairn_code run_verify(struct run *run, struct cairn_err *err);

/* A walk over all records in order. */
struct run_cursor {
    struct run *run;
    size_t block;           /* the next to read */
    struct cairn_buf bytes; /* the block that is walked */
    struct cairn_reader left;
    struct run_record record; /* valid until the next step */
};

void run_cursor_init(struct run_cursor *cursor, struct run *run);
/* *ret_more is false behind the last record. */
enum cairn_code run_cursor_next(struct run_cursor *cursor, bool *ret_more, struct cairn_err *err);
void run_cursor_done(struct run_cursor *cursor);

#endif
