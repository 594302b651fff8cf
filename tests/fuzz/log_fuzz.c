/* A log folder with one segment file and a mark made from the input.  Catches: reads beyond the bytes
 * at hand, endless loops and failed assertions on any bytes; an opening that says anything but "valid",
 * "damaged" or "another version"; and records that change, vanish or multiply from one opening to the
 * next.
 *
 * Input: flags; with bit 0 the rest is the file as it is.  Else 40 bytes of header fields, brought into
 * range, and what lies behind them is the space for records: walked record by record, each getting the
 * position, epoch and checksum that it needs to be looked at further (unless its own bit says no), as
 * no fuzzer guesses checksums. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "log/wal.h"
#include "log/wal_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAW = 1, SLOT_DAMAGED = 2, FIELDS_BYTES = 40, INPUT_BYTES_MAX = 64 << 10 };

static void must(bool condition)
{
    if (!condition)
        abort();
}

struct digest {
    uint64_t hash, count, end;
};

static enum cairn_code add_record(void *context, uint64_t position, uint64_t end, struct cairn_bytes body,
                                  struct cairn_err *err)
{
    struct digest *digest = context;

    (void)err;
    must(position >= digest->end && end >= position + WAL_RECORD_HEAD_BYTES + body.size && position % 8 == 0);
    digest->hash = cairn_hash_seeded(body, digest->hash);
    digest->end = end;
    digest->count++;
    return CAIRN_OK;
}

static void put_file(struct cairn_disk *disk, const char *path, const uint8_t *bytes, size_t size)
{
    must(cairn_disk_replace_file(disk, path, cairn_bytes(bytes, size), NULL) == CAIRN_OK);
}

/* Completes each record in the space, as far as they fit. */
static void mend_records(uint8_t *space, size_t size, const struct wal_head *head)
{
    size_t at = 0;

    while (size - at >= WAL_RECORD_HEAD_BYTES) {
        uint8_t *record = space + at, how = record[0];
        uint32_t length = wal_record_length(record) % 512;
        uint64_t position = head->first + at, durable = cairn_get_u64(record + 24) % (position + 8);

        if (how & 1)
            length = WAL_SEAL;
        if (wal_record_bytes(length & ~WAL_SEAL) > size - at)
            break;
        wal_record_begin(record, length, position);
        wal_record_finish(record, head->epoch, head->random, durable < position ? durable : position);
        if (how & 2)
            record[how >> 3] ^= 4;
        at += wal_record_bytes(length & ~WAL_SEAL);
    }
}

static size_t make_segment(const uint8_t *data, size_t size, struct wal_head *head, uint8_t *file)
{
    size_t space;

    data++;
    size--;
    head->epoch = 1 + cairn_get_u64(data) % 3;
    head->random = cairn_get_u64(data + 8);
    head->first = WAL_POSITION_FIRST + cairn_get_u64(data + 16) % 4096 * 8;
    head->previous_end = head->first - cairn_get_u64(data + 24) % (head->first - WAL_POSITION_FIRST + 1) / 8 * 8;
    space = (size - FIELDS_BYTES + 7) / 8 * 8 + 8;
    head->copied_end = head->first + cairn_get_u64(data + 32) % (space + 1) / 8 * 8;
    head->bytes = WAL_HEAD_BYTES + space;
    wal_head_encode(head, file);
    memset(file + WAL_HEAD_BYTES, 0, space);
    memcpy(file + WAL_HEAD_BYTES, data + FIELDS_BYTES, size - FIELDS_BYTES);
    mend_records(file + WAL_HEAD_BYTES, space, head);
    return WAL_HEAD_BYTES + space;
}

static void make_mark(struct cairn_disk *disk, const struct wal_head *head, uint8_t flags)
{
    struct wal_mark mark = {.sequence = 1, .epoch = flags >> 6, .trim = head->previous_end};
    uint8_t bytes[WAL_MARK_BYTES] = {0};

    mark.durable = head->previous_end + (uint64_t)(flags >> 2 & 15) * 24;
    wal_mark_encode(&mark, bytes);
    mark.sequence++;
    wal_mark_encode(&mark, bytes + WAL_MARK_SLOT_STEP);
    if (flags & SLOT_DAMAGED)
        bytes[WAL_MARK_SLOT_STEP + 77] ^= 1;
    put_file(disk, "log/mark", bytes, sizeof bytes);
}

static enum cairn_code open_log(struct cairn_disk *disk, struct cairn_sim_clock *clock, struct cairn_log **ret_log,
                                struct digest *digest)
{
    struct cairn_wal_options options = {.segment_bytes = 2048};
    struct cairn_log_place place = {.disk = disk, .clock = &clock->clock, .dir = "log"};
    struct cairn_err err = {0};
    enum cairn_code code = cairn_wal_open(&options, &place, ret_log, &err);

    *digest = (struct digest){0};
    must(code == CAIRN_OK || code == CAIRN_ECORRUPT || code == CAIRN_EVERSION);
    must(code == CAIRN_OK || (err.code == code && strstr(err.text, "log")));
    if (code == CAIRN_OK)
        must(cairn_log_visit(*ret_log, 0, add_record, digest, &err) == CAIRN_OK);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_disk *disk;
    struct cairn_sim_clock clock;
    struct cairn_log *log = NULL;
    struct digest first, second, third;
    struct wal_head head = {.first = WAL_POSITION_FIRST, .previous_end = WAL_POSITION_FIRST};
    struct cairn_bytes part = cairn_str("one more");
    uint64_t position, end;
    uint8_t *file;

    if (size < 1 + FIELDS_BYTES || size > INPUT_BYTES_MAX)
        return 0;
    disk = cairn_sim_disk_create(1);
    cairn_sim_clock_init(&clock, 1);
    must(disk->ops->make_dir(disk, "log", NULL) == CAIRN_OK);
    file = malloc(size + 2 * WAL_HEAD_BYTES);
    must(file != NULL);
    if (data[0] & RAW) {
        put_file(disk, "log/0000000000001000.log", data + 1, size - 1);
    } else {
        char path[64];
        size_t bytes = make_segment(data, size, &head, file);
        snprintf(path, sizeof path, "log/%016llx.log", (unsigned long long)head.first);
        put_file(disk, path, file, bytes);
    }
    free(file);
    make_mark(disk, &head, data[0]);

    if (open_log(disk, &clock, &log, &first) == CAIRN_OK) {
        log->ops->abandon(log);
        cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
        must(open_log(disk, &clock, &log, &second) == CAIRN_OK);
        must(second.count == first.count && second.hash == first.hash);
        must(log->ops->start(log, NULL) == CAIRN_OK);
        must(log->ops->claim(log, part.size, 1, NULL) == CAIRN_OK);
        must(log->ops->append(log, &part, 1, &position, &end, NULL) == CAIRN_OK);
        must(log->ops->close(log, NULL) == CAIRN_OK);
        must(open_log(disk, &clock, &log, &third) == CAIRN_OK);
        must(third.count == first.count + 1);
        log->ops->abandon(log);
    }
    cairn_disk_close(disk);
    return 0;
}
