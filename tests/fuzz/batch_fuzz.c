/* batch_fuzz.c - a record in the log of a state, whatever it says: applied, or refused.
 *
 * Input: the body of one record, then of the next, each with its size as one byte in front. */
#include <stdlib.h>

#include "base/hash.h"
#include "state/state_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum cairn_code apply(void *context, const struct run_record *record, struct cairn_err *err)
{
    (void)context;
    (void)err;
    if (record->key.size == 0 || record->hash != cairn_hash(record->key))
        abort();
    return CAIRN_OK;
}

static void append(struct cairn_disk *disk, struct cairn_clock *clock, struct cairn_bytes bodies)
{
    struct cairn_wal_options options = {.segment_bytes = 64 << 10};
    struct cairn_log_place place = {.disk = disk, .clock = clock, .dir = "log"};
    struct cairn_reader reader = cairn_reader(bodies);
    struct cairn_log *log;
    struct cairn_err err;
    uint64_t position, end;

    if (cairn_wal_open(&options, &place, &log, &err) != CAIRN_OK || log->ops->start(log, &err) != CAIRN_OK)
        abort();
    while (cairn_reader_left(&reader) > 0) {
        size_t size = cairn_read_u8(&reader);
        struct cairn_bytes body;

        if (size > cairn_reader_left(&reader))
            size = cairn_reader_left(&reader);
        body = cairn_read_bytes(&reader, size);
        while (log->ops->claim(log, body.size, 1, &err) == CAIRN_EOVERLOAD && log->ops->step(log))
            continue;
        if (log->ops->append(log, &body, 1, &position, &end, &err) != CAIRN_OK)
            abort();
    }
    log->ops->close(log, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_sim_clock clock;
    struct state_log_options options = {.disk = disk, .clock = &clock.clock, .segment_bytes = 64 << 10};
    struct state_log *log;
    struct cairn_err err;

    if (size > 4000)
        size = 4000; /* what is claimed above fits two segments */
    cairn_sim_clock_init(&clock, 1);
    append(disk, &clock.clock, cairn_bytes(data, size));
    if (state_log_open(&options, &log, &err) != CAIRN_OK)
        abort();
    state_log_start(log, 0, 0, apply, NULL, &err);
    state_log_close(log, &err);
    cairn_disk_close(disk);
    return 0;
}
