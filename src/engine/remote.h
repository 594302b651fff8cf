/* remote.h - a folder's versions in a blob store (docs/formats/remote.md): manifests as they are, and runs under the
 * hash of their content, so that nothing is there twice and putting again what is there does no harm.
 *
 * The head, an object that is put again after each manifest, names all manifests that count, so that one which is lost
 * is missed; a note of the caller's lies in it, too.
 *
 * The store has one owner at a time.  Opening claims it under a new epoch; what an older owner puts from then on counts
 * for nothing, and it is told so before its commit returns.
 * Threads: open, look, close, head, version, missing, note: one owner, before others use it; the rest: any, one at a
 * time each.
 * Layer: engine; uses base, io and blob. */
#ifndef CAIRN_ENGINE_REMOTE_H
#define CAIRN_ENGINE_REMOTE_H

#include "blob/blob.h"
#include "engine/run.h"

struct remote;

/* The blob must outlive it.  `owner`, a line of text, names the claimer, and if the last claim has another name it
 * is refused (CAIRN_ECONFLICT) unless `take`; NULL: any name is accepted. */
enum cairn_code remote_open(struct cairn_blob *blob, const char *owner, bool take, struct remote **ret_remote,
                            struct cairn_err *err);
/* What counts at present, to read, without claiming it. */
enum cairn_code remote_look(struct cairn_blob *blob, struct remote **ret_remote, struct cairn_err *err);
struct remote *remote_close(struct remote *remote); /* returns NULL; accepts NULL */
uint64_t remote_epoch(const struct remote *remote);
/* That the file is what the version says: before it is put where it cannot be mended. */
enum cairn_code remote_check_run(struct cairn_disk *disk, const struct run_about *about, struct cairn_err *err);
/* The epoch of the other owner that a check has found; 0: there is none.  Any thread. */
uint64_t remote_fenced_by(const struct remote *remote);
/* CAIRN_EUNAVAILABLE: another owner has claimed it. */
enum cairn_code remote_check(struct remote *remote, struct cairn_err *err);

enum remote_head {
    REMOTE_HEAD_NONE, /* nothing was ever put */
    REMOTE_HEAD_WHOLE,
    REMOTE_HEAD_LOST, /* it is not there, or damaged: what else is missing cannot be told */
};

/* What the head was like that was found at opening. */
enum remote_head remote_head(const struct remote *remote);
/* The versions that count, in ascending order; false beyond the last. */
bool remote_version(const struct remote *remote, size_t index, uint64_t *ret_number);
/* Those that the head named and that were not there. */
bool remote_missing(const struct remote *remote, size_t index, uint64_t *ret_number,
                    char ret_name[CAIRN_BLOB_NAME_BYTES]);
/* The caller's part of the head, as it was found or put last; valid until it is put. */
struct cairn_bytes remote_note(const struct remote *remote);
/* Durable once it returns CAIRN_OK.  Whether the store is still ours is for the caller to check. */
enum cairn_code remote_put_note(struct remote *remote, struct cairn_bytes note, struct cairn_err *err);
/* The hashes of all runs that are there, CAIRN_SHA256_BYTES each, appended to an empty list, ascending. */
enum cairn_code remote_list_runs(struct remote *remote, struct cairn_buf *hashes, struct cairn_err *err);
/* A version's manifest, appended. */
enum cairn_code remote_get_manifest(struct remote *remote, uint64_t number, struct cairn_buf *to,
                                    struct cairn_err *err);

enum cairn_code remote_put_run(struct remote *remote, struct cairn_disk *disk, const struct run_about *about,
                               struct cairn_err *err);
/* Under its own name, checked, durable.  CAIRN_ECORRUPT: the store does not have it, or has something else. */
enum cairn_code remote_get_run(struct remote *remote, struct cairn_disk *disk, const struct run_about *about,
                               const struct cairn_blob_progress *progress, struct cairn_err *err);
/* Commits a version whose runs are all there.  CAIRN_EUNAVAILABLE: another owner has claimed the store; nothing can be
 * put there any more. */
enum cairn_code remote_put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err);
enum cairn_code remote_remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err);
/* Removes runs that are not among `hashes` (CAIRN_SHA256_BYTES each, in order) and have been there for grace_ms. */
enum cairn_code remote_collect(struct remote *remote, const struct cairn_buf *hashes, uint64_t grace_ms,
                               uint64_t *ret_bytes, struct cairn_err *err);

#endif
