/* wal_mark.c - the mark: how far the log was durable, what was trimmed, how much time was given out.
 *
 * Both slots are written at every change, one after the other and each synced.  So a crash
 * damages at most one, and after a change is complete the loss of either slot loses nothing:
 * in particular no trim that was acted upon, which would look like missing files. */
#include <stdio.h>

#include "log/wal_internal.h"

static const char mark_name[] = "mark";

static void warn(struct wal *wal, const struct cairn_err *what)
{
    char text[CAIRN_ERR_TEXT_BYTES + 100];

    if (!wal->events.on_warning)
        return;
    snprintf(text, sizeof text, "%s; its other copy is whole and was used, nothing is lost", what->text);
    wal->events.on_warning(wal->events.context, text);
}

enum cairn_code wal_mark_load(struct wal *wal, bool *ret_found, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    struct cairn_err why[2];
    struct wal_mark marks[2];
    enum cairn_code codes[2], code;
    uint64_t size = 0;
    int newest;

    wal_path(wal, mark_name, path);
    code = wal->disk->ops->open(wal->disk, path, CAIRN_OPEN_WRITE, &wal->mark_file, err);
    if (code == CAIRN_ENOTFOUND) {
        *ret_found = false;
        return CAIRN_OK;
    }
    if (code == CAIRN_OK)
        code = wal->disk->ops->size(wal->mark_file, &size, err);
    if (code != CAIRN_OK)
        return code;
    for (uint64_t i = 0; i < 2; i++) {
        uint8_t slot[WAL_MARK_SLOT_BYTES];
        uint64_t offset = i * WAL_MARK_SLOT_STEP;

        if (size < offset + sizeof slot) {
            codes[i] = cairn_fail(&why[i], CAIRN_ECORRUPT, "'%s' is damaged: it ends at byte %llu", path,
                                  (unsigned long long)size);
            continue;
        }
        code = wal->disk->ops->read_at(wal->mark_file, offset, slot, sizeof slot, err);
        if (code != CAIRN_OK)
            return code;
        codes[i] = wal_mark_decode(slot, path, offset, &marks[i], &why[i]);
    }
    for (int i = 0; i < 2; i++)
        if (codes[i] == CAIRN_EVERSION)
            return cairn_fail(err, CAIRN_EVERSION, "%s", why[i].text);
    if (codes[0] != CAIRN_OK && codes[1] != CAIRN_OK)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "%s, and so is its other copy; without it damage in the log cannot be "
                          "told from its end: restore the data folder from a copy",
                          why[0].text);
    for (int i = 0; i < 2; i++)
        if (codes[i] != CAIRN_OK)
            warn(wal, &why[i]);
    newest = codes[0] != CAIRN_OK || (codes[1] == CAIRN_OK && marks[1].sequence > marks[0].sequence);
    wal->mark = marks[newest];
    *ret_found = true;
    return CAIRN_OK;
}

enum cairn_code wal_mark_create(struct wal *wal, uint64_t first, struct cairn_err *err)
{
    struct wal_mark mark = {.sequence = 1, .durable = first, .trim = first};
    uint8_t bytes[WAL_MARK_BYTES] = {0};
    char path[CAIRN_PATH_BYTES];
    enum cairn_code code;

    wal_mark_encode(&mark, bytes);
    mark.sequence++;
    wal_mark_encode(&mark, bytes + WAL_MARK_SLOT_STEP);
    wal_path(wal, mark_name, path);
    code = cairn_disk_replace_file(wal->disk, path, cairn_bytes(bytes, sizeof bytes), err);
    if (code == CAIRN_OK)
        code = wal->disk->ops->open(wal->disk, path, CAIRN_OPEN_WRITE, &wal->mark_file, err);
    if (code == CAIRN_OK)
        wal->mark = mark;
    return code;
}

enum cairn_code wal_mark_store(struct wal *wal, const struct wal_mark *mark, struct cairn_err *err)
{
    struct wal_mark next = *mark;
    enum cairn_code code = CAIRN_OK;

    next.sequence = wal->mark.sequence;
    for (int i = 0; i < 2 && code == CAIRN_OK; i++) {
        uint8_t slot[WAL_MARK_SLOT_BYTES];

        next.sequence++;
        wal_mark_encode(&next, slot);
        code = wal->disk->ops->write_at(wal->mark_file, (next.sequence + 1) % 2 * WAL_MARK_SLOT_STEP, slot, sizeof slot,
                                        err);
        if (code == CAIRN_OK && wal->disk->ops->sync(wal->mark_file, err) != CAIRN_OK)
            code = CAIRN_EIO; /* final, whatever its reason: never to be tried again */
    }
    if (code == CAIRN_OK)
        wal->mark = next;
    return code;
}
