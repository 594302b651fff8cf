/* blob.h - a blob store: named objects that are put and got as a whole, behind a vtable with two kinds: a folder, and a
 * bucket of an S3 service.
 *
 * Names are relative, '/' between parts, of letters, digits, '.', '-' and '_', at most CAIRN_BLOB_NAME_BYTES with the
 * NUL. An object is there whole or not at all, whatever is cut off when.  What put returned CAIRN_OK for is durable.
 * What may be tried again is, a few times with growing pauses; then CAIRN_EIO says what the last answer was.
 * CAIRN_EFULL: no room. CAIRN_EAUTH: the service refuses our credentials, or there are none.
 * Threads: any may call. All functions block. Layer: blob; uses base and io. */
#ifndef CAIRN_BLOB_BLOB_H
#define CAIRN_BLOB_BLOB_H

#include "base/bytes.h"
#include "base/err.h"
#include "io/disk.h"

enum { CAIRN_BLOB_NAME_BYTES = 256 };

struct cairn_blob;

/* Told now and then while a file is moved; may be NULL. */
struct cairn_blob_progress {
    void (*moved)(void *context, uint64_t bytes, uint64_t total);
    void *context;
};

struct cairn_blob_ops {
    /* Takes the place of what has the name. */
    enum cairn_code (*put)(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes, struct cairn_err *err);
    /* CAIRN_ECONFLICT, and nothing is changed, if something has the name: of several at once one succeeds. */
    enum cairn_code (*create)(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                              struct cairn_err *err);
    /* A whole file of a disk, which must not change meanwhile; an object of the same name has the same bytes. */
    enum cairn_code (*put_file)(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                                const struct cairn_blob_progress *progress, struct cairn_err *err);
    /* Behind what `to` holds.  CAIRN_ENOTFOUND; CAIRN_ELIMIT when it has more than max_bytes. */
    enum cairn_code (*get)(struct cairn_blob *blob, const char *name, size_t max_bytes, struct cairn_buf *to,
                           struct cairn_err *err);
    /* Into a file of a disk, which is made anew under path and synced, but not its name. CAIRN_ENOTFOUND. */
    enum cairn_code (*get_file)(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                                const struct cairn_blob_progress *progress, struct cairn_err *err);
    /* CAIRN_OK when it is not there. */
    enum cairn_code (*remove)(struct cairn_blob *blob, const char *name, struct cairn_err *err);
    /* Every object of a folder ("" or "runs"; not of those below it), in any order: its name without the folder, and
     * for how long it has been there by the store's clock. */
    enum cairn_code (*list)(struct cairn_blob *blob, const char *folder,
                            void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms),
                            void *context, struct cairn_err *err);
    struct cairn_blob *(*close)(struct cairn_blob *blob); /* returns NULL */
};

struct cairn_blob {
    const struct cairn_blob_ops *ops;
    char *url; /* for messages */
};

/* By its URL: a path is a folder, which is made if it is missing, and so is file:///path (or file://localhost/path, or
 * file:/path; with %20 for a blank);
 * s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=NAME is S3, with the credentials of the environment's
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN).  A store that cannot create conditionally is
 * refused (CAIRN_EINVAL).  CAIRN_EINVAL: not such a URL. */
enum cairn_code cairn_blob_open(const char *url, struct cairn_blob **ret_blob, struct cairn_err *err);
/* CAIRN_EINVAL if it is a folder and that, in that, or around that, which is there. */
enum cairn_code cairn_blob_check_apart(const struct cairn_blob *blob, const char *folder, struct cairn_err *err);
struct cairn_blob *cairn_blob_close(struct cairn_blob *blob); /* returns NULL; accepts NULL */

/* A folder, on any disk, which must outlive it. */
struct cairn_blob *cairn_blob_on_disk(struct cairn_disk *disk);
/* `below` as it is, and what is put goes to `above` (blob/over.c).  Both are borrowed and closed after it. */
struct cairn_blob *cairn_blob_over(struct cairn_blob *below, struct cairn_blob *above);

#endif
