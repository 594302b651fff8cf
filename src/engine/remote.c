/* remote.c - a blob store is opened; manifests that count are found, put and removed. */
#include "engine/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/remote_internal.h"

enum {
    LOOK_TRIES = 5,
    MANIFEST_BYTES_MAX = 512 << 20,
};

static const char unnamed[] = "somebody\n";

static void manifest_name(struct place place, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, "versions/%016" PRIx64 "-%" PRIu64, place.epoch, place.number);
}

/* --- which manifests count --- */

struct taking {
    struct remote *remote;
    const struct head *head;
    struct cairn_buf all; /* of the places that there are */
};

static void take_manifest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct taking *taking = context;
    char again[CAIRN_BLOB_NAME_BYTES];
    struct place place = {0};

    (void)bytes;
    (void)age_ms;
    if (sscanf(name, "%16" SCNx64 "-%" SCNu64, &place.epoch, &place.number) != 2)
        return;
    manifest_name(place, again);
    if (strcmp(name, again + strlen("versions/")) == 0)
        remote_add_place(&taking->all, place);
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static bool has_place(const struct cairn_buf *places, struct place place)
{
    for (size_t i = 0; i < remote_place_count(places); i++)
        if (remote_place_at(places, i).epoch == place.epoch && remote_place_at(places, i).number == place.number)
            return true;
    return false;
}

/* Without a head: no newer epoch has the number or a lower one, as its owner went on from what counted. */
static bool is_newest(const struct cairn_buf *all, struct place place)
{
    for (size_t i = 0; i < remote_place_count(all); i++)
        if (remote_place_at(all, i).epoch > place.epoch && remote_place_at(all, i).number <= place.number)
            return false;
    return true;
}

static void choose_places(struct remote *remote, const struct head *head, const struct cairn_buf *all)
{
    remote->places.size = remote->missing.size = 0;
    for (size_t i = 0; i < remote_place_count(all); i++) {
        struct place place = remote_place_at(all, i);

        if (remote->head == REMOTE_HEAD_LOST ? is_newest(all, place)
                                             : place.epoch == head->epoch || has_place(&head->places, place))
            remote_add_place(&remote->places, place);
    }
    for (size_t i = 0; remote->head != REMOTE_HEAD_LOST && i < remote_place_count(&head->places); i++)
        if (!has_place(all, remote_place_at(&head->places, i)))
            remote_add_place(&remote->missing, remote_place_at(&head->places, i));
    if (remote->places.size)
        qsort(remote->places.data, remote_place_count(&remote->places), sizeof(struct place), compare_places);
}

static enum cairn_code find_places(struct remote *remote, struct cairn_err *err)
{
    struct head head = {0};
    struct taking taking = {.remote = remote};
    uint64_t used;
    enum cairn_code code = remote_read_head(remote, &head, err);

    if (code == CAIRN_OK)
        code = remote->blob->ops->list(remote->blob, "versions", take_manifest, &taking, err);
    if (code == CAIRN_OK)
        code = remote_greatest_used(remote, &used, err);
    if (code == CAIRN_OK) {
        remote->head = head.is_damaged || used > head.epoch ? REMOTE_HEAD_LOST
                       : head.epoch                         ? REMOTE_HEAD_WHOLE
                                                            : REMOTE_HEAD_NONE;
        choose_places(remote, &head, &taking.all);
        remote->note.size = 0;
        cairn_buf_add(&remote->note, head.note.data, head.note.size);
    }
    cairn_buf_done(&taking.all);
    remote_head_done(&head);
    return code;
}

static struct remote *create(struct cairn_blob *blob)
{
    struct remote *remote = cairn_alloc_zeroed(1, sizeof *remote);

    remote->blob = blob;
    pthread_mutex_init(&remote->lock, NULL);
    return remote;
}

enum cairn_code remote_open(struct cairn_blob *blob, const char *owner, bool take, struct remote **ret_remote,
                            struct cairn_err *err)
{
    struct remote *remote = create(blob);
    enum cairn_code code;

    cairn_buf_str(&remote->owner, owner ? owner : unnamed);
    code = remote_claim(remote, owner && !take, err);
    if (code == CAIRN_OK)
        code = find_places(remote, err);
    if (code == CAIRN_OK)
        code = remote_put_head(remote, cairn_buf_bytes(&remote->note), err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* what follows is for the owner */
    if (code != CAIRN_OK) {
        remote_close(remote);
        return code == CAIRN_ECONFLICT ? code : cairn_while(err, "claiming the blob store '%s'", blob->url);
    }
    remote_remove_old(remote, REMOTE_HEAD_DIR);
    remote_remove_old(remote, REMOTE_CLAIM_DIR);
    *ret_remote = remote;
    return CAIRN_OK;
}

/* An owner that is at work may have removed what the head named when it was read. */
enum cairn_code remote_look(struct cairn_blob *blob, struct remote **ret_remote, struct cairn_err *err)
{
    struct remote *remote = create(blob);
    enum cairn_code code = find_places(remote, err);

    for (int i = 0; code == CAIRN_OK && i < LOOK_TRIES && (remote->missing.size || remote->head == REMOTE_HEAD_LOST);
         i++)
        code = find_places(remote, err);
    if (code != CAIRN_OK) {
        remote_close(remote);
        return cairn_while(err, "reading the blob store '%s'", blob->url);
    }
    *ret_remote = remote;
    return CAIRN_OK;
}

struct remote *remote_close(struct remote *remote)
{
    if (!remote)
        return NULL;
    pthread_mutex_destroy(&remote->lock);
    cairn_buf_done(&remote->owner);
    cairn_buf_done(&remote->places);
    cairn_buf_done(&remote->missing);
    cairn_buf_done(&remote->note);
    free(remote);
    return NULL;
}

enum remote_head remote_head(const struct remote *remote)
{
    return remote->head;
}

static bool number_at(const struct cairn_buf *places, size_t index, uint64_t *ret_number)
{
    if (index >= remote_place_count(places))
        return false;
    *ret_number = remote_place_at(places, index).number;
    return true;
}

bool remote_version(const struct remote *remote, size_t index, uint64_t *ret_number)
{
    return number_at(&remote->places, index, ret_number);
}

bool remote_missing(const struct remote *remote, size_t index, uint64_t *ret_number,
                    char ret_name[CAIRN_BLOB_NAME_BYTES])
{
    if (!number_at(&remote->missing, index, ret_number))
        return false;
    manifest_name(remote_place_at(&remote->missing, index), ret_name);
    return true;
}

struct cairn_bytes remote_note(const struct remote *remote)
{
    return cairn_buf_bytes(&remote->note);
}

enum cairn_code remote_put_note(struct remote *remote, struct cairn_bytes note, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = remote_put_head(remote, note, err);
    if (code == CAIRN_OK) {
        remote->note.size = 0;
        cairn_buf_add(&remote->note, note.data, note.size);
    }
    pthread_mutex_unlock(&remote->lock);
    return code;
}

/* --- manifests: the head names what is there, and never what is not --- */

/* Where a version's manifest is: among those that are there, or our own.  The lock is held. */
static struct place place_of(const struct remote *remote, uint64_t number, size_t *ret_index)
{
    size_t count = remote_place_count(&remote->places);

    for (*ret_index = 0; *ret_index < count; ++*ret_index)
        if (remote_place_at(&remote->places, *ret_index).number == number)
            return remote_place_at(&remote->places, *ret_index);
    return (struct place){.epoch = remote->epoch, .number = number};
}

enum cairn_code remote_get_manifest(struct remote *remote, uint64_t number, struct cairn_buf *to, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    size_t index;

    pthread_mutex_lock(&remote->lock);
    manifest_name(place_of(remote, number, &index), name);
    pthread_mutex_unlock(&remote->lock);
    return remote->blob->ops->get(remote->blob, name, MANIFEST_BYTES_MAX, to, err);
}

static void set_place(struct remote *remote, size_t index, struct place place)
{
    if (index == remote_place_count(&remote->places))
        remote_add_place(&remote->places, place);
    else
        memcpy(remote->places.data + index * sizeof place, &place, sizeof place);
    qsort(remote->places.data, remote_place_count(&remote->places), sizeof place, compare_places);
}

static enum cairn_code put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct place place = {.epoch = remote->epoch, .number = number};
    size_t index;
    enum cairn_code code;

    manifest_name(place, name);
    code = remote->blob->ops->put(remote->blob, name, bytes, err);
    if (code != CAIRN_OK)
        return code;
    place_of(remote, number, &index);
    set_place(remote, index, place);
    return remote_put_head(remote, cairn_buf_bytes(&remote->note), err);
}

enum cairn_code remote_put_manifest(struct remote *remote, uint64_t number, struct cairn_bytes bytes,
                                    struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = remote_check(remote, err);
    if (code == CAIRN_OK)
        code = put_manifest(remote, number, bytes, err);
    /* Only if no other had claimed the store after it was put is it sure that the next owner sees it. */
    if (code == CAIRN_OK)
        code = remote_check(remote, err);
    pthread_mutex_unlock(&remote->lock);
    return code;
}

static enum cairn_code remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    size_t index, count = remote_place_count(&remote->places);
    struct place place = place_of(remote, number, &index);
    enum cairn_code code;

    manifest_name(place, name);
    if (index == count) /* the head does not name it */
        return remote->blob->ops->remove(remote->blob, name, err);
    place.going = true;
    set_place(remote, index, place);
    code = remote_put_head(remote, cairn_buf_bytes(&remote->note), err);
    if (code == CAIRN_OK)
        code = remote_check(remote, err); /* every later claim reads that */
    if (code == CAIRN_OK)
        code = remote->blob->ops->remove(remote->blob, name, err);
    if (code == CAIRN_OK) {
        place_of(remote, number, &index);
        memmove(remote->places.data + index * sizeof place, remote->places.data + (index + 1) * sizeof place,
                (count - index - 1) * sizeof place);
        remote->places.size -= sizeof place;
    }
    return code;
}

enum cairn_code remote_remove_manifest(struct remote *remote, uint64_t number, struct cairn_err *err)
{
    enum cairn_code code;

    pthread_mutex_lock(&remote->lock);
    code = remote_check(remote, err);
    if (code == CAIRN_OK)
        code = remove_manifest(remote, number, err);
    pthread_mutex_unlock(&remote->lock);
    return code;
}
