/* archive.h - what a node keeps in a blob store: the log's records, so that it can go back to any moment, and its
 * versions; from both a new machine can go on (docs/formats/archive.md).
 *
 * Records: what is committed is copied into a chunk; a chunk is closed when it is large or old enough, and put once the
 * log is durable to its end.  What is not there yet is in the log: trimming waits for it, and a start archives again
 * what the last process had not.  So what the loss of the machine can cost is what was committed since the last chunk
 * was put.  Chunks are without gaps: each begins where the one before ended, but where the node has run without the
 * archive.  Where it was restored a chunk says so, and is put only once the version that it was restored to is there.
 *
 * Versions: one is put when it has been taken, by a task, from its files, which do not change; nothing waits for that
 * but the request for the version.  Until it has succeeded it is tried again.
 *
 * The store has one owner, the data folder that has claimed it (engine/remote.h) by a number drawn once.  Another
 * folder is refused unless it takes over what is there (archive_take_over); then the first may write nothing more.
 *
 * Threads: the lock guards what says so; two tasks put, one the log, the other the versions.  Layer: history (private).
 *
 * What is put is told in the head, and each chunk names the one before it: so what the store has lost is missed, and
 * a recovery does not take what is left for all that there was.  archive.c opens, claims and closes; archive_work.c
 * is what tasks have in common; archive_head.c has the head; archive_log.c puts chunks; archive_way.c reads them;
 * archive_versions.c puts, removes and fetches versions; archive_take.c begins a new folder. */
#ifndef CAIRN_HISTORY_ARCHIVE_H
#define CAIRN_HISTORY_ARCHIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "blob/blob.h"
#include "engine/remote.h"
#include "history/node_version.h"

struct archive_chunk {
    struct archive_chunk *next;
    struct cairn_buf records; /* each: u64 position, varint bytes, the record's body */
    uint64_t first, end;      /* all that was committed between these positions */
    uint64_t restored;    /* a position: what comes from there on is of another state, that the node was restored to; */
    uint64_t restored_ms; /* when that was; 0 and 0: it was not */
    uint32_t log_epoch;   /* of the log when it was put: objects are numbered by that, so a new log goes on above it */
    uint64_t before_end;  /* of the chunk before it, */
    uint8_t before_sha256[CAIRN_SHA256_BYTES]; /* and the hash of that; 0 and zeros: it is the first */
    bool named;                                /* the head has named it; not stored */
};

/* What the head (engine/remote.h) says of the log; docs/formats/archive.md. */
struct archive_head {
    uint64_t epoch, first, end; /* of the newest chunk, as in its name; epoch 0: there is none */
    uint8_t sha256[CAIRN_SHA256_BYTES];
    uint64_t low;       /* from here on nothing was removed */
    uint64_t wall_ms;   /* no record in chunks has a later time */
    uint64_t log_epoch; /* the greatest of all chunks */
};

/* What is missing in a blob store: lines of text. */
struct archive_losses {
    struct cairn_buf text; /* each with its NUL */
    size_t count;
};

/* Something that a task does, again after a while if it fails; under the lock. */
struct archive_work {
    bool busy;
    uint64_t retry_ns, pause_ns; /* 0: the last attempt went well */
    uint64_t failing_ns;         /* since when all attempts have failed; 0: the last one went well */
    struct cairn_err err;        /* of the last failure */
    struct cairn_task task;
};

struct archive {
    struct cairn_blob *blob; /* NULL: there is no archive */
    struct remote *remote;
    uint64_t id; /* the data folder's, drawn once */
    struct cairn_store *store;
    pthread_mutex_t lock; /* guards all that follows but the atomics; nothing is called under it */
    bool same;            /* trimming has waited for it ever since it was begun */
    struct archive_chunk current;
    uint64_t opened_ns; /* when its first record came; 0: it has none */
    struct archive_chunk *closed, **last;
    struct archive_work log, versions, looking;
    uint64_t look_ns; /* when it is to be looked again whether it is still ours */
    uint64_t failures;
    struct cairn_buf removed;       /* numbers of versions that are there and are to go, u64 each */
    bool sweeps;                    /* garbage is to be looked for */
    bool retry;                     /* the versions\' task is to try what has failed just now, too */
    pthread_mutex_t files;          /* guards what follows, also while it is put */
    struct cairn_buf names;         /* of module files that are there, each with its NUL */
    struct archive_head head;       /* as it was put last */
    struct cairn_buf hashes;        /* of runs that are there, ascending; the versions' task's */
    _Atomic bool lost;              /* another folder has claimed it: node_versions_archived sets it, once */
    _Atomic bool closing;           /* what takes long is given up */
    _Atomic uint64_t archived;      /* positions below are there, or of no use */
    _Atomic uint64_t pending_bytes; /* in chunks that are not */
    _Atomic bool versions_left;     /* there may be something to do for the versions' task */
};

/* --- archive.c --- */

/* Claims it; the node's versions are known.  CAIRN_ECONFLICT: it belongs to another data folder. */
enum cairn_code archive_claim(struct cairn_store *store, struct cairn_err *err);
/* The same, also if another folder owned it; the next owner is this folder. */
enum cairn_code archive_take(struct cairn_store *store, struct cairn_err *err);
/* That the shards' engine keeps versions. */
enum cairn_code archive_check_engine(const struct cairn_store *store, struct cairn_err *err);
/* That the folder's archive is the one that is given, or that it has none and none is given. */
enum cairn_code archive_check_same(const struct cairn_store_options *options, struct cairn_err *err);
/* Then, before the log is replayed, finds out how far it goes; `end`: of the log. */
enum cairn_code archive_open(struct cairn_store *store, uint64_t end, struct cairn_err *err);
/* Puts what may be put.  The system shard's owner. */
void archive_step(struct cairn_store *store);
/* Looks, from time to time, whether it is still ours; to be called now and then. */
void archive_look(struct cairn_store *store);
/* All of the log is put, or not: then it is put after the next start.  All other threads have stopped. */
enum cairn_code archive_finish(struct cairn_store *store, struct cairn_err *err);
/* Waits for what is being put: before the log is closed, as it is told to trim. */
void archive_stop(struct cairn_store *store);
void archive_free(struct cairn_store *store);
/* CAIRN_EOVERLOAD, or why nothing can be put, while too much waits; CAIRN_EUNAVAILABLE once it is another's. */
enum cairn_code archive_check_writers(struct cairn_store *store, struct cairn_err *err);

/* --- archive_work.c --- */

/* A task has done some of the work, and has told node_versions_archived if the claim is lost; takes the lock. */
void archive_work_done(struct archive *archive, struct archive_work *work, enum cairn_code code,
                       const struct cairn_err *err);
/* Which module files are there. */
enum cairn_code archive_list_modules(struct archive *archive, struct cairn_err *err);
/* Module files that are not there yet.  On a task. */
enum cairn_code archive_put_modules(struct archive *archive, struct cairn_err *err);
uint64_t archive_every_ns(const struct cairn_store *store);

/* --- archive_head.c --- */

/* The caller's note in the head: what is said of the log, and the names of modules. */
void archive_head_encode(const struct archive_head *head, const struct cairn_buf *names, struct cairn_buf *to);
/* CAIRN_EVERSION for one of another format, so that the archive is not taken for a damaged one. */
enum cairn_code archive_head_check(struct cairn_bytes note, struct cairn_err *err);
/* Parses it.  *ret_names lies in `note`. */
bool archive_head_decode(struct cairn_bytes note, struct archive_head *ret_head, struct cairn_bytes *ret_names);
/* Puts it, with the modules that are there, and takes it over; `files` is held, or no other thread uses the store. */
enum cairn_code archive_head_put(struct archive *archive, const struct archive_head *head, struct cairn_err *err);

void archive_losses_add(struct archive_losses *losses, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells all of them, and forgets them. */
void archive_losses_tell(struct archive_losses *losses, void (*tell)(struct cairn_store *store, const char *text),
                         struct cairn_store *store);
void archive_losses_done(struct archive_losses *losses);
enum { ARCHIVE_TIME_BYTES = 40 };
/* "2026-07-01T12:00:00.000Z" */
const char *archive_time(uint64_t wall_ms, char text[ARCHIVE_TIME_BYTES]);

/* --- archive_log.c --- */

/* The node was restored: all until `end` is of another state, and is in the archive. */
void archive_note_restore(struct cairn_store *store, uint64_t end);
/* A record, in the order of positions; what is there already is passed over. */
void archive_add(struct cairn_store *store, uint64_t position, uint64_t end, const struct cairn_bytes *parts,
                 size_t count);
/* What is not there yet: records, as in a chunk, from *ret_first on. */
void archive_copy_tail(struct cairn_store *store, struct cairn_buf *to, uint64_t *ret_first);
/* False: what the oldest chunk waits for will not come. */
bool archive_may_be_based(struct cairn_store *store);
/* Closes a chunk if it is time, or in any case with `all`; puts the oldest if it may be put. */
void archive_step_log(struct cairn_store *store, bool all);
/* Without records: the next chunk begins there, and nothing of an older epoch counts that reaches further. */
enum cairn_code archive_put_end(struct archive *archive, uint64_t end, struct cairn_err *err);
void archive_chunk_free(struct archive_chunk *chunk);

/* --- archive_way.c: the blob store is given; any thread --- */

/* The head as it was found, and a chunk that was put behind it before it could say so.  Not whole: it is lost, or knows
 * of no chunk although there are some. */
enum cairn_code archive_head_find(struct cairn_blob *blob, const struct remote *remote, struct archive_head *ret_head,
                                  struct cairn_bytes *ret_names, bool *ret_whole, struct cairn_err *err);
/* Chunks that the head and the other chunks show to be missing, by their names. */
enum cairn_code archive_find_lost(struct cairn_blob *blob, const struct archive_head *head,
                                  struct archive_losses *losses, struct cairn_err *err);
/* The greatest time of a chunk's records; 0: there are none. */
uint64_t archive_records_ms(struct cairn_bytes records);
/* How far chunks that count reach; 0: there are none. */
enum cairn_code archive_find_end(struct cairn_blob *blob, uint64_t *ret_end, struct cairn_err *err);
/* The way over records from `cut`: to behind the last whose time is not after wall_ms. CAIRN_ENOTFOUND: the chunks do
 * not show that nothing is missing up to that moment; `end`: of the log, all of which was archived. */
enum cairn_code archive_find_moment(struct cairn_blob *blob, uint64_t cut, uint64_t wall_ms, uint64_t end,
                                    uint64_t *ret_until, struct cairn_err *err);
/* The same as far as it leads; raised to the greatest on it are the time and the epoch of the log.  A chunk that is
 * damaged, or is not the one that the next or the head names, is a loss, and the end. */
enum cairn_code archive_find_last(struct cairn_blob *blob, const struct archive_head *head, uint64_t cut,
                                  uint64_t *ret_until, uint64_t *wall_ms, uint64_t *log_epoch,
                                  struct archive_losses *losses, struct cairn_err *err);
/* Every record on that way that is below `until`. */
enum cairn_code archive_replay(struct cairn_blob *blob, uint64_t cut, uint64_t until,
                               enum cairn_code (*each)(void *context, struct cairn_bytes body, struct cairn_err *err),
                               void *context, struct cairn_err *err);
/* Whether chunks lead from `cut` to `end` without a gap, by their names. */
enum cairn_code archive_leads(struct cairn_blob *blob, uint64_t cut, uint64_t end, bool *ret_leads,
                              struct cairn_err *err);
/* Removes those that end at or below a position and have been there for grace_ms, after the head has said so. */
enum cairn_code archive_trim(struct archive *archive, uint64_t below, uint64_t grace_ms, struct cairn_err *err);
/* `log/EPOCH-END-FIRST`, and its bytes. */
void archive_chunk_name(uint64_t epoch, uint64_t first, uint64_t end, char name[CAIRN_BLOB_NAME_BYTES]);
void archive_chunk_encode(const struct archive_chunk *chunk, struct cairn_buf *to);
/* Parses a chunk.  Exposed for the fuzz target.  *ret_records lies in `bytes`. */
bool archive_chunk_decode(struct cairn_bytes bytes, struct archive_chunk *ret_chunk, struct cairn_bytes *ret_records);

/* --- archive_versions.c --- */

/* Marks those of the node's versions that are there; what is there and no longer here is to go, and a record that is
 * damaged here comes from there. */
enum cairn_code archive_match_versions(struct cairn_store *store, struct cairn_err *err);
/* Puts the oldest version that is not there, removes those that were forgotten, and garbage: one of these. */
void archive_step_versions(struct cairn_store *store, bool retry);
/* It was forgotten here. */
void archive_forget_version(struct cairn_store *store, uint64_t number);
/* A run of a shard's, which is the context: a version_source. */
enum cairn_code archive_fetch_run(void *context, const struct run_about *about, struct cairn_err *err);

/* --- archive_take.c --- */

/* Takes it over and fills a new data folder from it: with the newest version's files, and an order to go there, and
 * from there as far as the records lead.  The store is not open; another one opens the folder then. */
enum cairn_code archive_take_over(struct cairn_store *store, struct cairn_err *err);

/* A version as it is there (docs/formats/archive.md). */
struct archived_version {
    struct cairn_buf bytes; /* all of what follows points into it */
    uint64_t log_epoch;     /* as a chunk's */
    struct cairn_bytes record;
    struct cairn_bytes manifests[]; /* of the shards' versions */
};

/* NULL and why not.  To be freed with archived_version_free. */
struct archived_version *archived_version_get(struct remote *remote, uint64_t number, struct node_version *ret_version,
                                              struct cairn_err *err);
/* Parses it, and takes its bytes.  Exposed for the fuzz target. */
enum cairn_code archived_version_parse(struct cairn_buf *bytes, struct archived_version **ret_version,
                                       struct cairn_err *err);
struct archived_version *archived_version_free(struct archived_version *version); /* returns NULL; accepts NULL */

#endif
