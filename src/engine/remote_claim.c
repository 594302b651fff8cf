/* remote_claim.c - whose a blob store is: claims under epochs, of which the highest counts. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/remote_internal.h"

enum {
    CLAIM_TRIES = 100,
    CLAIM_BYTES_MAX = 4096,
};

void remote_epoch_name(const char *folder, uint64_t epoch, char name[CAIRN_BLOB_NAME_BYTES])
{
    snprintf(name, CAIRN_BLOB_NAME_BYTES, "%s/%016" PRIx64, folder, epoch);
}

static bool epoch_parse(const char *name, uint64_t *ret_epoch)
{
    char again[17];

    if (sscanf(name, "%16" SCNx64, ret_epoch) != 1)
        return false;
    snprintf(again, sizeof again, "%016" PRIx64, *ret_epoch);
    return strcmp(name, again) == 0;
}

static void take_highest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    uint64_t *highest = context, epoch;

    (void)bytes;
    (void)age_ms;
    if (epoch_parse(name, &epoch) && epoch > *highest)
        *highest = epoch;
}

/* 0: there is none. */
enum cairn_code remote_highest(struct remote *remote, const char *folder, uint64_t *ret_epoch, struct cairn_err *err)
{
    *ret_epoch = 0;
    return remote->blob->ops->list(remote->blob, folder, take_highest, ret_epoch, err);
}

/* Names that begin with an epoch, whatever follows. */
static void take_greatest(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    uint64_t *greatest = context, epoch;

    (void)bytes;
    (void)age_ms;
    if (strlen(name) >= 16 && strspn(name, "0123456789abcdef") >= 16 && sscanf(name, "%16" SCNx64, &epoch) == 1 &&
        epoch > *greatest)
        *greatest = epoch;
}

/* The greatest epoch that anything was put under; `log` is where an archive keeps it. */
enum cairn_code remote_greatest_used(struct remote *remote, uint64_t *ret_epoch, struct cairn_err *err)
{
    struct cairn_blob *blob = remote->blob;
    enum cairn_code code;

    *ret_epoch = 0;
    code = blob->ops->list(blob, "versions", take_greatest, ret_epoch, err);
    return code == CAIRN_OK ? blob->ops->list(blob, "log", take_greatest, ret_epoch, err) : code;
}

/* That the store is the owner's already, or has none. */
static enum cairn_code check_owner(const struct remote *remote, struct cairn_bytes text, struct cairn_err *err)
{
    struct cairn_bytes owner = cairn_buf_bytes(&remote->owner);
    struct cairn_bytes line = cairn_bytes(text.data, 0);

    while (line.size < text.size && text.data[line.size] != '\n')
        line.size++;
    if (!text.size || cairn_bytes_equal(text, owner))
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_ECONFLICT, "the blob store '%s' belongs to %.*s", remote->blob->url, (int)line.size,
                      (const char *)line.data);
}

/* The head says so, too, and has a checksum. */
static enum cairn_code check_last_owner(struct remote *remote, uint64_t claimed, const struct head *head,
                                        struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    struct cairn_buf text = {0};
    enum cairn_code code;

    if (head->epoch >= claimed && !head->is_damaged)
        return check_owner(remote, head->owner, err);
    if (!claimed)
        return CAIRN_OK;
    remote_epoch_name(REMOTE_CLAIM_DIR, claimed, name);
    code = remote->blob->ops->get(remote->blob, name, CLAIM_BYTES_MAX, &text, err);
    if (code == CAIRN_OK)
        code = check_owner(remote, cairn_buf_bytes(&text), err);
    cairn_buf_done(&text);
    return code;
}

enum cairn_code remote_claim(struct remote *remote, bool check, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    enum cairn_code code = CAIRN_ECONFLICT;

    for (int i = 0; code == CAIRN_ECONFLICT && i < CLAIM_TRIES; i++) {
        struct head head = {0};
        uint64_t claimed, used;

        code = remote_highest(remote, REMOTE_CLAIM_DIR, &claimed, err);
        if (code == CAIRN_OK)
            code = remote_read_head(remote, &head, err);
        if (code == CAIRN_OK && check)
            code = check_last_owner(remote, claimed, &head, err);
        if (code == CAIRN_OK)
            code = remote_greatest_used(remote, &used, err);
        remote->epoch = head.epoch;
        remote_head_done(&head);
        if (code != CAIRN_OK)
            return code;
        if (claimed > remote->epoch)
            remote->epoch = claimed;
        if (used > remote->epoch) /* claims and head are lost: nothing may be put under an epoch again */
            remote->epoch = used;
        remote_epoch_name(REMOTE_CLAIM_DIR, ++remote->epoch, name);
        code = remote->blob->ops->create(remote->blob, name, cairn_buf_bytes(&remote->owner), err);
    }
    return code;
}

static enum cairn_code fenced(struct remote *remote, uint64_t epoch, struct cairn_err *err)
{
    atomic_store(&remote->fenced_by, epoch);
    return cairn_fail(err, CAIRN_EUNAVAILABLE,
                      "another process has claimed the blob store '%s' (epoch %" PRIu64 ", ours was %" PRIu64
                      "): what is put there from here would not count",
                      remote->blob->url, epoch, remote->epoch);
}

/* Our claim is gone.  Heads of later owners tell as well that the store is theirs. */
static enum cairn_code claim_again(struct remote *remote, struct cairn_err *err)
{
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t epoch;
    enum cairn_code code = remote_highest(remote, REMOTE_HEAD_DIR, &epoch, err);

    if (code == CAIRN_OK && epoch > remote->epoch)
        return fenced(remote, epoch, err);
    remote_epoch_name(REMOTE_CLAIM_DIR, remote->epoch, name);
    if (code == CAIRN_OK)
        code = remote->blob->ops->create(remote->blob, name, cairn_buf_bytes(&remote->owner), err);
    if (code == CAIRN_ECONFLICT)
        code = cairn_fail(err, CAIRN_EIO, "'%s' has '%s' and does not list it: its listing is out of date",
                          remote->blob->url, name);
    return code;
}

/* Of several owners the one with the highest claim is it. */
enum cairn_code remote_check(struct remote *remote, struct cairn_err *err)
{
    uint64_t epoch;
    enum cairn_code code = remote_highest(remote, REMOTE_CLAIM_DIR, &epoch, err);

    if (code == CAIRN_OK && epoch < remote->epoch) {
        code = claim_again(remote, err);
        if (code == CAIRN_OK)
            code = remote_highest(remote, REMOTE_CLAIM_DIR, &epoch, err);
    }
    return code == CAIRN_OK && epoch > remote->epoch ? fenced(remote, epoch, err) : code;
}

uint64_t remote_fenced_by(const struct remote *remote)
{
    return atomic_load(&remote->fenced_by);
}

uint64_t remote_epoch(const struct remote *remote)
{
    return remote->epoch;
}

struct olds {
    uint64_t epoch;
    struct cairn_buf names; /* each with its NUL */
    const char *folder;
};

static void take_old(void *context, const char *name, uint64_t bytes, uint64_t age_ms)
{
    struct olds *olds = context;
    uint64_t epoch;

    (void)bytes;
    (void)age_ms;
    if (!epoch_parse(name, &epoch) || epoch >= olds->epoch)
        return;
    cairn_buf_printf(&olds->names, "%s/%s", olds->folder, name);
    cairn_buf_u8(&olds->names, 0);
}

/* Only the highest claim and the highest epoch matter.  What stays goes next time. */
void remote_remove_old(struct remote *remote, const char *folder)
{
    struct olds olds = {.epoch = remote->epoch, .folder = folder};
    struct cairn_err ignored;

    remote->blob->ops->list(remote->blob, folder, take_old, &olds, &ignored);
    for (size_t at = 0; at < olds.names.size; at += strlen((const char *)olds.names.data + at) + 1)
        remote->blob->ops->remove(remote->blob, (const char *)olds.names.data + at, &ignored);
    cairn_buf_done(&olds.names);
}
