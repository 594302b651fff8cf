#include "log/wal_format.h"

#include <assert.h>

#include "base/hash.h"

static const uint8_t head_magic[8] = {'c', 'a', 'i', 'r', 'n', 's', 'e', 'g'};
static const uint8_t mark_magic[8] = {'c', 'a', 'i', 'r', 'n', 'm', 'r', 'k'};

/* Both pages of 512 bytes begin with magic and version and end with their checksum: that much is
 * promised to later versions, so that each can tell damage from a format that it does not know. */
static void seal_page(uint8_t page[512])
{
    cairn_put_u32(page + 508, cairn_crc32c(0, page, 508));
}

static enum cairn_code check_page(const uint8_t page[512], const uint8_t magic[8], const char *name, uint64_t offset,
                                  struct cairn_err *err)
{
    if (memcmp(page, magic, 8) != 0 || cairn_get_u32(page + 508) != cairn_crc32c(0, page, 508))
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged at byte %llu: its header fails its check", name,
                          (unsigned long long)offset);
    if (cairn_get_u32(page + 8) != WAL_VERSION)
        return cairn_fail(err, CAIRN_EVERSION,
                          "'%s' has format version %u and this program knows %u: use the program that wrote it", name,
                          cairn_get_u32(page + 8), (unsigned)WAL_VERSION);
    return CAIRN_OK;
}

void wal_head_encode(const struct wal_head *head, uint8_t to[WAL_HEAD_BYTES])
{
    memset(to, 0, WAL_HEAD_BYTES);
    memcpy(to, head_magic, sizeof head_magic);
    cairn_put_u32(to + 8, WAL_VERSION);
    cairn_put_u64(to + 16, head->epoch);
    cairn_put_u64(to + 24, head->random);
    cairn_put_u64(to + 32, head->first);
    cairn_put_u64(to + 40, head->bytes);
    cairn_put_u64(to + 48, head->previous_end);
    cairn_put_u64(to + 56, head->copied_end);
    seal_page(to);
}

enum cairn_code wal_head_decode(const uint8_t from[WAL_HEAD_BYTES], const char *name, struct wal_head *ret_head,
                                struct cairn_err *err)
{
    enum cairn_code code = check_page(from, head_magic, name, 0, err);
    struct wal_head head;

    if (code != CAIRN_OK)
        return code;
    head.epoch = cairn_get_u64(from + 16);
    head.random = cairn_get_u64(from + 24);
    head.first = cairn_get_u64(from + 32);
    head.bytes = cairn_get_u64(from + 40);
    head.previous_end = cairn_get_u64(from + 48);
    head.copied_end = cairn_get_u64(from + 56);
    if (head.epoch == 0 || head.first < WAL_POSITION_FIRST || head.first > WAL_POSITION_MAX || head.first % 8 != 0 ||
        head.bytes <= WAL_HEAD_BYTES || head.bytes > WAL_POSITION_MAX || head.bytes % 8 != 0 ||
        head.previous_end > head.first || head.previous_end < WAL_POSITION_FIRST || head.previous_end % 8 != 0 ||
        head.copied_end < head.first || head.copied_end > wal_head_end(&head) || head.copied_end % 8 != 0)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged at byte 0: its header makes no sense", name);
    *ret_head = head;
    return CAIRN_OK;
}

/* Seeded with what no client knows, so that no bytes of theirs pass for a record, and with the
 * position, so that no record passes for another. */
static uint32_t checksum(const uint8_t *record, uint64_t bytes, uint64_t random, uint64_t position)
{
    uint64_t seed[2] = {random, position};

    return cairn_crc32c(cairn_crc32c(0, seed, sizeof seed), record + 4, (size_t)bytes - 4);
}

void wal_record_finish(uint8_t *record, uint64_t epoch, uint64_t random, uint64_t durable)
{
    uint32_t length = wal_record_length(record);
    uint64_t bytes = wal_record_bytes(length & ~WAL_SEAL);

    assert(durable <= wal_record_position(record));
    cairn_put_u64(record + 8, epoch);
    cairn_put_u64(record + 24, durable);
    cairn_put_u32(record, checksum(record, bytes, random, wal_record_position(record)));
}

uint64_t wal_record_probe(const uint8_t *head, const struct wal_head *segment, uint64_t position, uint64_t room)
{
    uint32_t length = wal_record_length(head);
    uint64_t bytes = wal_record_bytes(length & ~WAL_SEAL);

    if (wal_record_position(head) != position || cairn_get_u64(head + 8) != segment->epoch || bytes > room ||
        length > WAL_SEAL || cairn_get_u64(head + 24) > position)
        return 0;
    return bytes;
}

void wal_record_decode(const uint8_t *record, const struct wal_head *segment, uint64_t position, uint64_t room,
                       struct wal_record *ret_record)
{
    uint64_t bytes = wal_record_probe(record, segment, position, room);
    uint32_t length = wal_record_length(record);

    *ret_record = (struct wal_record){.kind = WAL_BAD, .position = position};
    if (!bytes || cairn_get_u32(record) != checksum(record, bytes, segment->random, position))
        return;
    ret_record->kind = length == WAL_SEAL ? WAL_SEALED : WAL_DATA;
    ret_record->durable = cairn_get_u64(record + 24);
    ret_record->bytes = bytes;
    ret_record->body = cairn_bytes(record + WAL_RECORD_HEAD_BYTES, length & ~WAL_SEAL);
}

void wal_mark_encode(const struct wal_mark *mark, uint8_t to[WAL_MARK_SLOT_BYTES])
{
    memset(to, 0, WAL_MARK_SLOT_BYTES);
    memcpy(to, mark_magic, sizeof mark_magic);
    cairn_put_u32(to + 8, WAL_VERSION);
    cairn_put_u64(to + 16, mark->sequence);
    cairn_put_u64(to + 24, mark->epoch);
    cairn_put_u64(to + 32, mark->durable);
    cairn_put_u64(to + 40, mark->trim);
    cairn_put_u64(to + 48, mark->time_ms);
    seal_page(to);
}

enum cairn_code wal_mark_decode(const uint8_t from[WAL_MARK_SLOT_BYTES], const char *name, uint64_t offset,
                                struct wal_mark *ret_mark, struct cairn_err *err)
{
    enum cairn_code code = check_page(from, mark_magic, name, offset, err);

    if (code != CAIRN_OK)
        return code;
    ret_mark->sequence = cairn_get_u64(from + 16);
    ret_mark->epoch = cairn_get_u64(from + 24);
    ret_mark->durable = cairn_get_u64(from + 32);
    ret_mark->trim = cairn_get_u64(from + 40);
    ret_mark->time_ms = cairn_get_u64(from + 48);
    return CAIRN_OK;
}
