/* version.h - the versions of a folder: what a snapshot leaves behind, and what restore goes back to
 * (docs/formats/version.md).
 *
 * A version is a manifest: an immutable, numbered list of runs with its parent and the caller's metadata.  It is
 * written last and is the commit point of a snapshot.  Numbers ascend and are never used again.  The head says which
 * version the folder is at; a snapshot moves it by being newer than what the head knows, a restore by replacing the
 * head.
 * Runs that no version names, left by a crash or by merging, are garbage: versions_open removes them, versions_collect
 * does while the folder is used.
 * Threads: one owner, but for version_draft_write.  Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_VERSION_H
#define CAIRN_ENGINE_VERSION_H

#include "engine/ids.h"
#include "engine/run.h"

#define VERSION_DIR "versions"

enum {
    VERSION_METADATA_BYTES_MAX = 64 << 10,
    VERSION_RUNS_MAX = 1 << 16,
    VERSION_ENGINE_BYTES_MAX = 16, /* with the NUL */
};

struct version {
    uint64_t number;   /* from 1 */
    uint64_t parent;   /* the version that the folder was at before; 0: none */
    uint64_t time_ms;  /* wall clock, when the snapshot was called for */
    uint64_t sequence; /* of the engine: how many changes it has seen */
    char engine[VERSION_ENGINE_BYTES_MAX];
    struct cairn_bytes metadata;
    const struct run_about *runs; /* newest first; where a key is in several, the first counts */
    size_t run_count;
    bool automatic; /* not asked for: it bounds the caller's log, and goes when it is not the current one */
    bool pinned;    /* kept until it is unpinned, whatever retention says; not part of the manifest */
};

struct versions;

/* Where runs that are not in the folder may be had from: under their own name, whole and durable. */
struct version_source {
    enum cairn_code (*fetch)(void *context, const struct run_about *about, struct cairn_err *err);
    void *context;
};

/* Opens what lies on the disk, or makes a new folder (then there is no version); the caller holds the disk's lock.
 * `number`: goes to that version at once, as versions_restore does, whatever the current one is like; 0: the current
 * one.  `source` may be NULL; else it must outlive the versions.  Removes garbage.  CAIRN_ECORRUPT when the head or
 * the version that it names is damaged: the text says which, and which newest version is whole.  CAIRN_EVERSION for a
 * folder of another format. */
enum cairn_code versions_open(struct cairn_disk *disk, uint64_t number, const struct version_source *source,
                              struct versions **ret_versions, struct cairn_err *err);
struct versions *versions_close(struct versions *versions); /* returns NULL; accepts NULL */

/* NULL: the folder is empty.  Valid until the version is forgotten. */
const struct version *versions_current(const struct versions *versions);
/* In ascending order; NULL beyond the last. */
const struct version *versions_at(const struct versions *versions, size_t index);
/* NULL when there is none. */
const struct version *versions_find(const struct versions *versions, uint64_t number);
/* For a new run; never given out again if a run was finished under it. */
uint64_t versions_take_run_id(struct versions *versions);
/* How often the folder was restored: what a log tells of another branch than this one is void. */
uint64_t versions_branch(const struct versions *versions);
/* CAIRN_EUNAVAILABLE after a failure that left it open at which version, of which branch, a crash leaves the folder. */
enum cairn_code versions_check_certain(const struct versions *versions, struct cairn_err *err);

/* Commits a version with the current one as its parent (`number`, `parent` and `pinned` are not looked at; an
 * automatic one is passed over as parent); everything is copied, and the version is the current one and durable.
 * After a failure the current one is what it was.  If it cannot be told whether the manifest lies in the folder after
 * all (its name could not be synced), everything that would change the folder is refused with CAIRN_EUNAVAILABLE from
 * then on; opened anew the folder is at either. */
enum cairn_code versions_add(struct versions *versions, const struct version *version, uint64_t *ret_number,
                             struct cairn_err *err);

/* The same in three steps, of which the second blocks and may be on another thread.  Between them nothing else may be
 * called that commits: add, restore, pin, forget. */
struct version_draft {
    struct cairn_disk *disk;
    uint64_t number;
    struct cairn_buf bytes; /* of the manifest */
    enum cairn_code code;   /* of writing it */
    bool uncertain;
    struct cairn_err err;
};

/* *draft is set if CAIRN_OK is returned; then version_enter has to follow. */
enum cairn_code versions_draft(struct versions *versions, const struct version *version, struct version_draft *draft,
                               struct cairn_err *err);
void version_draft_write(struct version_draft *draft);
enum cairn_code versions_enter(struct versions *versions, struct version_draft *draft, struct cairn_err *err);
/* Takes over a version that is not there, from its manifest.  Opened anew the folder is at the greatest one. */
enum cairn_code versions_import(struct versions *versions, uint64_t number, struct cairn_bytes manifest,
                                struct cairn_err *err);
/* The manifest as it lies in the folder, appended. */
enum cairn_code versions_get_manifest(struct versions *versions, uint64_t number, struct cairn_buf *to,
                                      struct cairn_err *err);

/* A manifest, read apart from the versions of its folder, on any thread. */
struct version_manifest {
    struct cairn_buf bytes;
    struct version version;
    void *memory; /* what the version points to */
};

/* CAIRN_ENOTFOUND; CAIRN_ECORRUPT. */
enum cairn_code version_manifest_read(struct cairn_disk *disk, uint64_t number, struct version_manifest *ret_manifest,
                                      struct cairn_err *err);
/* The same from its bytes, which are not kept.  CAIRN_ECORRUPT. */
enum cairn_code version_manifest_parse(struct cairn_bytes bytes, struct version_manifest *ret_manifest,
                                       struct cairn_err *err);
void version_manifest_done(struct version_manifest *manifest);

/* Fetches what is missing of a version's runs, if there is a source. */
enum cairn_code versions_fetch(struct versions *versions, const struct version *version, struct cairn_err *err);
/* Makes a version the current one.  CAIRN_ENOTFOUND when there is none; CAIRN_ECORRUPT, and nothing is changed,
 * unless all its runs are there and whole, or could be fetched.  As with versions_add a failure may leave it open
 * what has come of it. */
enum cairn_code versions_restore(struct versions *versions, uint64_t number, struct cairn_err *err);
/* Its two halves: whether it can be, and that it is. */
enum cairn_code versions_verify(struct versions *versions, uint64_t number, struct cairn_err *err);
enum cairn_code versions_switch(struct versions *versions, uint64_t number, struct cairn_err *err);
enum cairn_code versions_pin(struct versions *versions, uint64_t number, bool pinned, struct cairn_err *err);
/* Its runs become garbage unless other versions name them.  CAIRN_ECONFLICT for the current and for a pinned one. */
enum cairn_code versions_forget(struct versions *versions, uint64_t number, struct cairn_err *err);
/* Another thread than the owner may remove files where a crash loses nothing: a file that no version needs is gone at
 * the next opening at the latest. */

/* Takes a version, which is not the current one and older than that, from the list, and appends the path of its
 * manifest, with its NUL, to `paths`. */
void versions_drop(struct versions *versions, uint64_t number, struct cairn_buf *paths);
/* The same of all automatic ones that are not the current one; the ids of the runs that they named go to `ids`, in
 * order. */
void versions_drop_automatic(struct versions *versions, struct cairn_buf *paths, struct cairn_buf *ids);
/* The current one counts as automatic until the folder is opened again: it goes once there is another. */
void versions_make_automatic(struct versions *versions);
/* Takes from a short list of ids those that a version names; all while what they name is not known (see collect). */
void versions_strike_named(const struct versions *versions, struct cairn_buf *ids);

/* Removes runs that no version names and that `in_use` (may be NULL) does not claim.  Removes nothing, with
 * CAIRN_ECORRUPT, while a version is unreadable: its runs are not known.  A crash loses nothing. */
enum cairn_code versions_collect(struct versions *versions, bool (*in_use)(void *context, uint64_t run_id),
                                 void *context, uint64_t *ret_bytes, struct cairn_err *err);

#endif
