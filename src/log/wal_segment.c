/* wal_segment.c - segment files: names, making, reading. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/wal_internal.h"

static const char temporary_name[] = "segment.tmp";

void wal_path(const struct wal *wal, const char *name, char path[CAIRN_PATH_BYTES])
{
    int size = snprintf(path, CAIRN_PATH_BYTES, "%s/%s", wal->dir, name);

    assert(size > 0 && size < CAIRN_PATH_BYTES);
}

void wal_segment_path(const struct wal *wal, uint64_t first, char path[CAIRN_PATH_BYTES])
{
    int size = snprintf(path, CAIRN_PATH_BYTES, "%s/%016llx.log", wal->dir, (unsigned long long)first);

    assert(size > 0 && size < CAIRN_PATH_BYTES);
}

bool wal_segment_name(const char *name, uint64_t *ret_first)
{
    uint64_t first = 0;

    if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0)
        return false;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            first = first << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            first = first << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_first = first;
    return true;
}

bool wal_is_temporary(const char *name)
{
    size_t size = strlen(name);

    return size > 4 && strcmp(name + size - 4, ".tmp") == 0;
}

uint64_t wal_offset(const struct wal_segment *segment, uint64_t position)
{
    return position - segment->head.first + WAL_HEAD_BYTES;
}

/* --- making ---------------------------------------------------------------------------------- */

enum cairn_code wal_segment_begin(struct wal *wal, struct cairn_file **ret_file, struct cairn_err *err)
{
    char path[CAIRN_PATH_BYTES];
    enum cairn_code code;

    wal_path(wal, temporary_name, path);
    code = wal->disk->ops->remove(wal->disk, path, err); /* one may be left from a crash */
    if (code != CAIRN_OK && code != CAIRN_ENOTFOUND)
        return code;
    return wal->disk->ops->open(wal->disk, path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, ret_file, err);
}

void wal_segment_discard(struct wal *wal, struct cairn_file *file)
{
    char path[CAIRN_PATH_BYTES];

    wal->disk->ops->close(file);
    wal_path(wal, temporary_name, path);
    wal->disk->ops->remove(wal->disk, path, NULL); /* else the next begin does */
}

/* Once records are appended, zeros are synced piece by piece: one large burst would make the log's
 * own syncs wait behind it. */
static enum cairn_code fill(struct wal *wal, struct cairn_file *file, uint64_t from, uint64_t to, struct cairn_err *err)
{
    size_t size = to - from < WAL_CHUNK_BYTES ? (size_t)(to - from) : WAL_CHUNK_BYTES;
    uint8_t *zeros = cairn_alloc_zeroed(1, size + 1);
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && from < to) {
        if (to - from < size)
            size = (size_t)(to - from);
        code = wal->disk->ops->write_at(file, from, zeros, size, err);
        if (code == CAIRN_OK && wal->started && to - from > size)
            code = wal->disk->ops->sync(file, err);
        from += size;
    }
    free(zeros);
    return code;
}

enum cairn_code wal_segment_finish(struct wal *wal, struct cairn_file *file, const struct wal_head *head,
                                   struct wal_segment **ret_segment, struct cairn_err *err)
{
    char temporary[CAIRN_PATH_BYTES], path[CAIRN_PATH_BYTES];
    struct cairn_disk *disk = wal->disk;
    uint8_t page[WAL_HEAD_BYTES];
    struct wal_segment *segment;
    enum cairn_code code;

    code = fill(wal, file, WAL_HEAD_BYTES + head->copied_end - head->first, head->bytes, err);
    wal_head_encode(head, page);
    if (code == CAIRN_OK)
        code = disk->ops->write_at(file, 0, page, sizeof page, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync(file, err);
    wal_path(wal, temporary_name, temporary);
    wal_segment_path(wal, head->first, path);
    if (code == CAIRN_OK)
        code = disk->ops->rename(disk, temporary, path, err);
    if (code != CAIRN_OK) {
        wal_segment_discard(wal, file);
        return code;
    }
    code = disk->ops->sync_dir(disk, wal->dir, err);
    if (code != CAIRN_OK) {
        disk->ops->close(file);
        disk->ops->remove(disk, path, NULL);
        return code;
    }
    segment = cairn_alloc_zeroed(1, sizeof *segment);
    segment->head = *head;
    segment->end = wal_head_end(head);
    segment->limit = UINT64_MAX;
    segment->file = file;
    if (wal->mapped && !disk->ops->map(file, (size_t)head->bytes, wal->sync == CAIRN_SYNC_NONE, &segment->map)) {
        wal_segment_free(wal, segment);
        return cairn_fail(err, CAIRN_ENOMEM, "cannot map '%s' into memory", path);
    }
    *ret_segment = segment;
    return CAIRN_OK;
}

void wal_segment_free(struct wal *wal, struct wal_segment *segment)
{
    wal->disk->ops->close(segment->file);
    free(segment);
}

/* --- reading --------------------------------------------------------------------------------- */

void wal_reader_init(struct wal_reader *reader, struct wal *wal)
{
    *reader = (struct wal_reader){.wal = wal, .known = UINT64_MAX};
}

void wal_reader_done(struct wal_reader *reader)
{
    reader->wal->disk->ops->close(reader->file);
    cairn_buf_done(&reader->window);
}

enum cairn_code wal_reader_open(struct wal_reader *reader, struct wal_segment *segment, struct cairn_err *err)
{
    struct cairn_disk *disk = reader->wal->disk;

    disk->ops->close(reader->file);
    reader->file = NULL;
    reader->segment = segment;
    reader->window.size = 0;
    reader->window_first = segment->head.first;
    wal_segment_path(reader->wal, segment->head.first, reader->path);
    return disk->ops->open(disk, reader->path, CAIRN_OPEN_READ, &reader->file, err);
}

/* Makes `size` bytes at a position available; the caller knows that the segment has them. */
static enum cairn_code load(struct wal_reader *reader, uint64_t position, uint64_t size, const uint8_t **ret_at,
                            struct cairn_err *err)
{
    struct wal_segment *segment = reader->segment;
    uint64_t window_end = reader->window_first + reader->window.size;
    enum cairn_code code;
    size_t want;

    if (position < reader->window_first || position + size > window_end) {
        want = WAL_CHUNK_BYTES;
        if (position < reader->known && want > reader->known - position)
            want = (size_t)(reader->known - position);
        if (want < size)
            want = (size_t)size;
        if (want > segment->end - position)
            want = (size_t)(segment->end - position);
        reader->window.size = 0;
        code = reader->wal->disk->ops->read_at(reader->file, wal_offset(segment, position),
                                               cairn_buf_reserve(&reader->window, want), want, err);
        if (code != CAIRN_OK)
            return code;
        reader->window.size = want;
        reader->window_first = position;
    }
    *ret_at = reader->window.data + (position - reader->window_first);
    return CAIRN_OK;
}

enum cairn_code wal_reader_record(struct wal_reader *reader, uint64_t position, struct wal_record *ret_record,
                                  struct cairn_err *err)
{
    struct wal_segment *segment = reader->segment;
    uint64_t room = segment->end - position, bytes;
    enum cairn_code code;
    const uint8_t *at;

    assert(position >= segment->head.first && position < segment->end && room >= WAL_RECORD_HEAD_BYTES);
    code = load(reader, position, WAL_RECORD_HEAD_BYTES, &at, err);
    if (code != CAIRN_OK)
        return code;
    bytes = wal_record_probe(at, &segment->head, position, room);
    if (!bytes) {
        *ret_record = (struct wal_record){.kind = WAL_BAD, .position = position};
        return CAIRN_OK;
    }
    code = load(reader, position, bytes, &at, err);
    if (code == CAIRN_OK)
        wal_record_decode(at, &segment->head, position, room, ret_record);
    return code;
}
