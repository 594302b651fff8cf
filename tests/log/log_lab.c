#include "log_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BODY_BYTES_MAX = 4096 };

static void on_progress(void *context, uint64_t acknowledged)
{
    struct lab *lab = context;

    assert_true(acknowledged >= lab->progress);
    lab->progress = acknowledged;
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct lab *lab = context;

    assert_true(why->code != CAIRN_OK && why->text[0]);
    lab->failed_count++;
}

static void on_warning(void *context, const char *text)
{
    struct lab *lab = context;

    assert_true(strlen(text) > 10);
    lab->warning_count++;
}

void lab_init(struct lab *lab, uint64_t seed, enum cairn_sync_mode sync)
{
    *lab = (struct lab){.next_number = 1, .acknowledged = 1, .durable = 1, .trimmed = 1};
    lab->disk = cairn_sim_disk_create(seed);
    cairn_sim_clock_init(&lab->clock, seed);
    cairn_random_init(&lab->random, seed);
    lab->place = (struct cairn_log_place){.dir = "log", .events = {on_progress, on_failed, on_warning, NULL}};
    lab->options = (struct cairn_wal_options){
        .sync = sync,
        .interval_ms = 20,
        .segment_bytes = 2048,
    };
}

void lab_done(struct lab *lab)
{
    if (lab->log)
        lab->log->ops->abandon(lab->log);
    cairn_disk_close(lab->disk);
    free(lab->records);
}

void lab_clone(const struct lab *lab, struct lab *to)
{
    assert_null(lab->log);
    *to = *lab;
    to->disk = cairn_sim_disk_clone(lab->disk);
    to->records = malloc(lab->capacity * sizeof *to->records + 1);
    assert_non_null(to->records);
    if (lab->count)
        memcpy(to->records, lab->records, lab->count * sizeof *to->records);
}

void lab_body(uint64_t number, uint32_t size, uint8_t *to)
{
    /* The number, then bytes that depend on it; short bodies have only a part of that. */
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(i < 8 ? number >> (8 * i) : (number * 31 + i) ^ (size >> 3));
}

static void remember(struct lab *lab, struct lab_record record)
{
    if (lab->count == lab->capacity) {
        lab->capacity = lab->capacity ? lab->capacity * 2 : 64;
        lab->records = realloc(lab->records, lab->capacity * sizeof *lab->records);
        assert_non_null(lab->records);
    }
    lab->records[lab->count++] = record;
}

/* --- opening ---------------------------------------------------------------------------------- */

struct reading {
    struct lab *lab;
    struct lab_record *found;
    size_t count, capacity;
    uint64_t from;
};

static enum cairn_code visit(void *context, uint64_t position, uint64_t end, struct cairn_bytes body,
                             struct cairn_err *err)
{
    struct reading *reading = context;
    struct lab_record record = {0, position, end, (uint32_t)body.size};

    (void)err;
    assert_true(position >= reading->from && position < end && position % 8 == 0);
    if (reading->count)
        assert_true(position >= reading->found[reading->count - 1].end);
    assert_true(body.size >= 8 && body.size <= BODY_BYTES_MAX);
    record.number = cairn_get_u64(body.data);
    if (reading->count == reading->capacity) {
        reading->capacity = reading->capacity ? reading->capacity * 2 : 64;
        reading->found = realloc(reading->found, reading->capacity * sizeof *reading->found);
        assert_non_null(reading->found);
    }
    reading->found[reading->count++] = record;
    {
        uint8_t want[BODY_BYTES_MAX];
        lab_body(record.number, record.size, want);
        assert_memory_equal(body.data, want, body.size);
    }
    return CAIRN_OK;
}

/* What was read must be what was promised, and no more than was appended: a run of the known records
 * whose missing front was trimmed and whose missing end was not durable.  Numbers are never used
 * twice, so that nothing void can come back unnoticed. */
static void check_read(struct lab *lab, const struct reading *reading)
{
    uint64_t promised = lab->kept > lab->durable ? lab->kept : lab->durable;
    size_t at = 0;

    while (at < lab->count && (!reading->count || lab->records[at].number != reading->found[0].number)) {
        assert_true(lab->records[at].number < lab->trimmed || lab->records[at].number >= promised);
        at++;
    }
    for (size_t i = 0; i < reading->count; i++, at++) {
        assert_true(at < lab->count);
        assert_int_equal(reading->found[i].number, lab->records[at].number);
        assert_int_equal(reading->found[i].size, lab->records[at].size);
    }
    for (; at < lab->count; at++)
        assert_true(lab->records[at].number >= promised);
}

/* Reads from the middle too: the same records, less the front. */
static enum cairn_code check_read_from(struct lab *lab, const struct reading *all)
{
    size_t start = all->count ? (size_t)cairn_random_below(&lab->random, all->count) : 0;
    struct reading part = {.lab = lab};
    enum cairn_code code;

    if (!all->count)
        return CAIRN_OK;
    part.from = all->found[start].position;
    code = cairn_log_visit(lab->log, part.from, visit, &part, &lab->err);
    if (code == CAIRN_OK)
        assert_int_equal(part.count, all->count - start);
    for (size_t i = 0; i < part.count; i++)
        assert_int_equal(part.found[i].number, all->found[start + i].number);
    free(part.found);
    return code;
}

enum cairn_code lab_open(struct lab *lab)
{
    struct reading reading = {.lab = lab};
    enum cairn_code code;

    assert_null(lab->log);
    lab->place.disk = lab->disk;
    lab->place.clock = &lab->clock.clock;
    lab->place.events.context = lab;
    lab->progress = 0;
    lab->failed_count = 0;
    code = cairn_wal_open(&lab->options, &lab->place, &lab->log, &lab->err);
    if (code != CAIRN_OK) {
        assert_null(lab->log);
        return code;
    }
    code = cairn_log_visit(lab->log, 0, visit, &reading, &lab->err);
    if (code == CAIRN_OK) {
        check_read(lab, &reading);
        code = check_read_from(lab, &reading);
    }
    if (code != CAIRN_OK) {
        free(reading.found);
        lab->log->ops->abandon(lab->log); /* the known records stay as they were */
        lab->log = NULL;
        return code;
    }
    assert_true(lab->log->epoch > lab->epoch_max);
    lab->epoch_max = lab->log->epoch;
    assert_true(lab->log->ops->end(lab->log) >= lab->position_max);
    assert_int_equal(lab->log->ops->durable(lab->log), lab->log->ops->end(lab->log));
    assert_true(lab->log->ops->reserved_time_ms(lab->log) >=
                (lab->time_reserved < lab->time_given ? lab->time_reserved : lab->time_given));
    lab->count = 0;
    for (size_t i = 0; i < reading.count; i++)
        remember(lab, reading.found[i]);
    /* What was not read is void for good; what was read is durable now. */
    lab->acknowledged = lab->durable = lab->next_number;
    lab->kept = 0;
    free(reading.found);
    return CAIRN_OK;
}

enum cairn_code lab_start(struct lab *lab)
{
    enum cairn_code code = lab_open(lab);

    if (code != CAIRN_OK)
        return code;
    code = lab->log->ops->start(lab->log, &lab->err);
    if (code != CAIRN_OK)
        lab_kill(lab);
    return code;
}

static void note(struct lab *lab)
{
    uint64_t acknowledged = lab->log->ops->acknowledged(lab->log), durable = lab->log->ops->durable(lab->log);

    for (size_t i = lab->count; i-- > 0 && lab->records[i].number >= lab->durable;) {
        if (lab->records[i].end <= acknowledged && lab->records[i].number >= lab->acknowledged)
            lab->acknowledged = lab->records[i].number + 1;
        if (lab->records[i].end <= durable)
            lab->durable = lab->records[i].number + 1;
    }
    lab->time_reserved = lab->log->ops->reserved_time_ms(lab->log);
    assert_true(durable <= acknowledged);
    assert_true(acknowledged <= lab->log->ops->end(lab->log));
}

enum cairn_code lab_close(struct lab *lab)
{
    enum cairn_code code;

    note(lab);
    code = lab->log->ops->close(lab->log, &lab->err);
    lab->log = NULL;
    if (code == CAIRN_OK)
        lab->acknowledged = lab->durable = lab->next_number;
    return code;
}

void lab_kill(struct lab *lab)
{
    if (!lab->log)
        return;
    note(lab);
    lab->log->ops->abandon(lab->log);
    lab->log = NULL;
    lab->kept = lab->acknowledged;
}

void lab_crash(struct lab *lab, enum cairn_sim_crash how)
{
    lab_kill(lab);
    lab->kept = 0;
    cairn_sim_disk_crash(lab->disk, how);
}

/* --- acting ----------------------------------------------------------------------------------- */

enum cairn_code lab_append(struct lab *lab, uint32_t size)
{
    struct lab_record record = {.number = lab->next_number, .size = size};
    uint8_t body[BODY_BYTES_MAX];
    struct cairn_bytes parts[3];
    uint32_t middle = size / 3;
    enum cairn_code code;

    assert_true(size >= 8 && size <= BODY_BYTES_MAX);
    code = lab->log->ops->claim(lab->log, size, 1, &lab->err);
    if (code != CAIRN_OK)
        return code;
    lab_body(record.number, size, body);
    parts[0] = cairn_bytes(body, middle);
    parts[1] = cairn_bytes(NULL, 0);
    parts[2] = cairn_bytes(body + middle, size - middle);
    code = lab->log->ops->append(lab->log, parts, 3, &record.position, &record.end, &lab->err);
    if (code != CAIRN_OK) {
        lab->log->ops->release(lab->log, size, 1);
        return code;
    }
    assert_true(record.position >= lab->position_max);
    assert_true(record.end > record.position);
    lab->position_max = record.end;
    lab->next_number++;
    remember(lab, record);
    return CAIRN_OK;
}

void lab_want(struct lab *lab)
{
    lab->log->ops->want(lab->log, lab->log->ops->end(lab->log));
}

void lab_step(struct lab *lab)
{
    lab->log->ops->step(lab->log);
    note(lab);
}

void lab_settle(struct lab *lab)
{
    int steps = 0;

    while (lab->log->ops->step(lab->log))
        assert_true(++steps < 1000); /* it comes to rest */
    note(lab);
}

void lab_advance_ms(struct lab *lab, uint64_t ms)
{
    cairn_sim_clock_advance(&lab->clock, ms * 1000000);
}

void lab_trim(struct lab *lab, uint64_t number)
{
    for (size_t i = 0; i < lab->count; i++) {
        if (lab->records[i].number != number)
            continue;
        assert_true(number < lab->durable);
        lab->log->ops->trim(lab->log, lab->records[i].end);
        if (lab->trimmed < number + 1)
            lab->trimmed = number + 1;
    }
}

bool lab_act(struct lab *lab)
{
    uint64_t dice = cairn_random_below(&lab->random, 100), wall;
    struct cairn_log_stats stats;

    if (dice < 55) {
        uint32_t size = 8 + (uint32_t)cairn_random_below(&lab->random, dice < 5 ? 1400 : 200);
        enum cairn_code code = lab_append(lab, size);
        if (code == CAIRN_EOVERLOAD)
            lab_settle(lab);
    } else if (dice < 70) {
        lab_want(lab);
        lab_settle(lab);
    } else if (dice < 80) {
        lab_want(lab);
        lab_step(lab);
    } else if (dice < 88) {
        lab_step(lab);
    } else if (dice < 92) {
        lab_advance_ms(lab, 1 + cairn_random_below(&lab->random, 60));
        lab_settle(lab);
    } else if (dice < 94) {
        wall = lab->clock.clock.wall_ms(&lab->clock.clock);
        if (wall > lab->time_given) {
            lab->log->ops->reserve_time(lab->log, wall);
            lab->time_given = wall;
        }
    } else if (dice < 96) {
        lab->log->ops->want_durable(lab->log, lab->log->ops->end(lab->log));
    } else if (lab->durable > lab->trimmed) {
        uint64_t span = lab->durable - lab->trimmed;
        lab_trim(lab, lab->trimmed + cairn_random_below(&lab->random, span > 1 ? span / 2 : 1));
    }
    lab->log->ops->stats(lab->log, &stats);
    return !stats.failed;
}
