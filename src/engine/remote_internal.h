/* remote_internal.h - what the files of a remote (remote.h) share.
 *
 *   remote.c        opening, and which manifests count
 *   remote_head.c   the head: what an epoch's owner says that there is
 *   remote_claim.c  claims: whose the store is
 *   remote_runs.c   runs: there under the hash of their content, and collected
 */
#ifndef CAIRN_ENGINE_REMOTE_INTERNAL_H
#define CAIRN_ENGINE_REMOTE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/remote.h"

#define REMOTE_CLAIM_DIR "claims"
#define REMOTE_HEAD_DIR  "epochs"

/* A manifest's name: versions/EPOCH-NUMBER, the epoch in 16 hexadecimal digits, the number in decimal. */
struct place {
    uint64_t epoch, number;
    bool going; /* it is being removed: the head does not name it any more */
};

struct remote {
    struct cairn_blob *blob;
    uint64_t epoch;
    _Atomic uint64_t fenced_by; /* the epoch of another owner, once a check has found it */
    struct cairn_buf owner;     /* the text of the claim */
    enum remote_head head;
    struct cairn_buf missing; /* struct place each: the head names them, and they are not there */
    pthread_mutex_t lock;     /* guards what follows, also while the head is put */
    struct cairn_buf places;  /* struct place each, by number; what counts */
    struct cairn_buf note;    /* the caller's part of the head */
};

/* --- remote_head.c --- */

struct head {
    uint64_t epoch; /* 0: there is none */
    bool is_damaged;
    struct cairn_buf bytes; /* owner and note lie in it */
    struct cairn_buf places;
    struct cairn_bytes owner, note;
};

void remote_head_done(struct head *head);
/* The newest.  One that is damaged, or has just been removed by a newer owner, is no failure. */
enum cairn_code remote_read_head(struct remote *remote, struct head *head, struct cairn_err *err);
/* The lock is held, or no other thread uses the store. */
enum cairn_code remote_put_head(struct remote *remote, struct cairn_bytes note, struct cairn_err *err);

/* Lists of struct place. */
void remote_add_place(struct cairn_buf *to, struct place place);
struct place remote_place_at(const struct cairn_buf *places, size_t index);
size_t remote_place_count(const struct cairn_buf *places);

/* --- remote_claim.c --- */

void remote_epoch_name(const char *folder, uint64_t epoch, char name[CAIRN_BLOB_NAME_BYTES]);
/* Of what lies in the folder under an epoch's name; 0: there is none. */
enum cairn_code remote_highest(struct remote *remote, const char *folder, uint64_t *ret_epoch, struct cairn_err *err);
/* The greatest epoch that anything was put under. */
enum cairn_code remote_greatest_used(struct remote *remote, uint64_t *ret_epoch, struct cairn_err *err);
/* Under a new epoch; with `check` only if the store is the owner's already, or has none (CAIRN_ECONFLICT). */
enum cairn_code remote_claim(struct remote *remote, bool check, struct cairn_err *err);
/* Only the highest claim and the highest head matter.  What stays of the others goes next time. */
void remote_remove_old(struct remote *remote, const char *folder);

#endif
