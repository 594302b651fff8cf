/* A blob store over another one, which it leaves as it is: what is put goes elsewhere.  An object is looked for above
 * first, then below unless it was removed here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "blob/blob.h"

struct over {
    struct cairn_blob blob;
    struct cairn_blob *below, *above;
    pthread_mutex_t lock;  /* of the two */
    struct cairn_buf gone; /* names of below that were removed here, each with its NUL */
};

static struct over *over_of(struct cairn_blob *blob)
{
    return cairn_container(blob, struct over, blob);
}

static bool is_gone(struct over *over, const char *name)
{
    const char *names;
    bool gone = false;

    pthread_mutex_lock(&over->lock);
    names = (const char *)over->gone.data;
    for (size_t at = 0; !gone && at < over->gone.size; at += strlen(names + at) + 1)
        gone = strcmp(names + at, name) == 0;
    pthread_mutex_unlock(&over->lock);
    return gone;
}

static enum cairn_code over_get(struct cairn_blob *blob, const char *name, size_t max_bytes, struct cairn_buf *to,
                                struct cairn_err *err)
{
    struct over *over = over_of(blob);
    enum cairn_code code = over->above->ops->get(over->above, name, max_bytes, to, err);

    if (code != CAIRN_ENOTFOUND || is_gone(over, name))
        return code;
    return over->below->ops->get(over->below, name, max_bytes, to, err);
}

static enum cairn_code over_get_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk,
                                     const char *path, const struct cairn_blob_progress *progress,
                                     struct cairn_err *err)
{
    struct over *over = over_of(blob);
    enum cairn_code code = over->above->ops->get_file(over->above, name, disk, path, progress, err);

    if (code != CAIRN_ENOTFOUND || is_gone(over, name))
        return code;
    return over->below->ops->get_file(over->below, name, disk, path, progress, err);
}

static enum cairn_code over_put(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                                struct cairn_err *err)
{
    return over_of(blob)->above->ops->put(over_of(blob)->above, name, bytes, err);
}

static enum cairn_code over_create(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                                   struct cairn_err *err)
{
    struct over *over = over_of(blob);
    struct cairn_buf found = {0};
    enum cairn_code code =
        is_gone(over, name) ? CAIRN_ENOTFOUND : over->below->ops->get(over->below, name, 0, &found, err);

    cairn_buf_done(&found);
    if (code == CAIRN_OK || code == CAIRN_ELIMIT)
        return cairn_fail(err, CAIRN_ECONFLICT, "'%s' is there", name);
    return code == CAIRN_ENOTFOUND ? over->above->ops->create(over->above, name, bytes, err) : code;
}

static enum cairn_code over_put_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk,
                                     const char *path, const struct cairn_blob_progress *progress,
                                     struct cairn_err *err)
{
    return over_of(blob)->above->ops->put_file(over_of(blob)->above, name, disk, path, progress, err);
}

static enum cairn_code over_remove(struct cairn_blob *blob, const char *name, struct cairn_err *err)
{
    struct over *over = over_of(blob);

    pthread_mutex_lock(&over->lock);
    cairn_buf_add(&over->gone, name, strlen(name) + 1);
    pthread_mutex_unlock(&over->lock);
    return over->above->ops->remove(over->above, name, err);
}

/* --- listing --- */

struct listing {
    struct over *over;
    const char *folder;
    struct cairn_buf seen; /* names of above, each with its NUL */
    bool below;
    void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms);
    void *context;
};

static bool is_seen(const struct listing *listing, const char *name)
{
    const char *names = (const char *)listing->seen.data;

    for (size_t at = 0; at < listing->seen.size; at += strlen(names + at) + 1)
        if (strcmp(names + at, name) == 0)
            return true;
    return false;
}

static void list_one(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct listing *listing = context;
    char whole[CAIRN_BLOB_NAME_BYTES];

    snprintf(whole, sizeof whole, *listing->folder ? "%s/%s" : "%s%s", listing->folder, name);
    if (!listing->below)
        cairn_buf_add(&listing->seen, name, strlen(name) + 1);
    else if (is_seen(listing, name) || is_gone(listing->over, whole))
        return;
    listing->visit(listing->context, name, bytes, age_ms);
}

static enum cairn_code over_list(struct cairn_blob *blob, const char *folder,
                                 void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms),
                                 void *context, struct cairn_err *err)
{
    struct over *over = over_of(blob);
    struct listing listing = {.over = over, .folder = folder, .visit = visit, .context = context};
    enum cairn_code above = over->above->ops->list(over->above, folder, list_one, &listing, err), below = above;

    listing.below = true;
    if (above == CAIRN_OK || above == CAIRN_ENOTFOUND)
        below = over->below->ops->list(over->below, folder, list_one, &listing, err);
    cairn_buf_done(&listing.seen);
    return below == CAIRN_ENOTFOUND ? above : below;
}

static struct cairn_blob *over_close(struct cairn_blob *blob)
{
    struct over *over = over_of(blob);

    cairn_buf_done(&over->gone);
    pthread_mutex_destroy(&over->lock);
    free(blob->url);
    free(over);
    return NULL;
}

static const struct cairn_blob_ops ops = {
    .put = over_put,
    .create = over_create,
    .put_file = over_put_file,
    .get = over_get,
    .get_file = over_get_file,
    .remove = over_remove,
    .list = over_list,
    .close = over_close,
};

struct cairn_blob *cairn_blob_over(struct cairn_blob *below, struct cairn_blob *above)
{
    struct over *over = cairn_alloc_zeroed(1, sizeof *over);

    over->blob = (struct cairn_blob){.ops = &ops, .url = cairn_bytes_dup(cairn_str(below->url))};
    over->below = below;
    over->above = above;
    pthread_mutex_init(&over->lock, NULL);
    return &over->blob;
}
