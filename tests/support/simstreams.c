#include "support/simstreams.h"

#include <assert.h>
#include <stdlib.h>

enum { RECORD_BYTES_MAX = 64 << 10, PENDING_BYTES_MAX = 256 << 10, HEAD_BYTES = 16 };

struct stream_log {
    struct cairn_log base; /* first */
    struct simstreams *server;
    struct simstream *stream;
    struct cairn_log_events events;
    struct simstream_record *sent; /* and not told of */
    size_t sent_count, sent_room;
    uint64_t end, lied_from;
    uint64_t time_given, records, bytes;
    bool started, failed, failure_told, refused;
};

struct stream_reader {
    struct cairn_log_reader base; /* first */
    uint64_t at;
};

static struct stream_log *log_of(struct cairn_log *log)
{
    return (struct stream_log *)(void *)log;
}

static void add(struct simstream_record **records, size_t *count, size_t *room, struct simstream_record record)
{
    if (*count == *room) {
        *room = *room ? *room * 2 : 64;
        *records = cairn_realloc(*records, *room * sizeof **records);
    }
    (*records)[(*count)++] = record;
}

/* --- writing --- */

static enum cairn_code unavailable(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_EUNAVAILABLE,
                      "the stream failed: nothing can be made durable until the node restarts");
}

static enum cairn_code stream_append(struct cairn_log *log, const struct cairn_bytes *parts, size_t count,
                                     uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err)
{
    struct stream_log *self = log_of(log);
    struct simstream_record record = {.position = self->end};

    assert(self->started);
    if (self->server->fail_in && --self->server->fail_in == 0)
        self->failed = true;
    if (self->failed)
        return unavailable(err);
    for (size_t i = 0; i < count; i++)
        cairn_buf_add(&record.body, parts[i].data, parts[i].size);
    record.end = self->end = record.position + HEAD_BYTES + record.body.size;
    add(&self->sent, &self->sent_count, &self->sent_room, record);
    self->records++;
    self->bytes += record.end - record.position;
    *ret_position = record.position;
    *ret_end = record.end;
    return CAIRN_OK;
}

static enum cairn_code stream_claim(struct cairn_log *log, uint64_t bytes, uint32_t records, struct cairn_err *err)
{
    struct stream_log *self = log_of(log);

    if (self->failed)
        return unavailable(err);
    if (records <= 1 && bytes > RECORD_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "a record of %llu bytes is too large for a stream",
                          (unsigned long long)bytes);
    if (self->end - self->stream->end > PENDING_BYTES_MAX || cairn_random_below(&self->server->random, 200) == 0) {
        self->refused = true;
        return cairn_fail(err, CAIRN_EOVERLOAD, "the server is behind");
    }
    return CAIRN_OK;
}

static void stream_release(struct cairn_log *log, uint64_t bytes, uint32_t records)
{
    (void)log;
    (void)bytes;
    (void)records;
}

/* The server has the oldest `count` of what was sent. */
static void arrive(struct stream_log *self, size_t count)
{
    struct simstream *stream = self->stream;

    for (size_t i = 0; i < count; i++) {
        add(&stream->records, &stream->count, &stream->room, self->sent[i]);
        stream->end = self->sent[i].end;
    }
    self->sent_count -= count;
    if (self->sent_count)
        memmove(self->sent, self->sent + count, self->sent_count * sizeof *self->sent);
}

static void forget(struct stream_log *self)
{
    for (size_t i = 0; i < self->sent_count; i++)
        cairn_buf_done(&self->sent[i].body);
    self->sent_count = 0;
}

static void drop_below(struct simstream *stream, uint64_t position)
{
    size_t gone = 0;

    while (gone < stream->count && stream->records[gone].end <= position) {
        stream->trimmed = stream->records[gone].end;
        cairn_buf_done(&stream->records[gone++].body);
    }
    stream->count -= gone;
    if (stream->count)
        memmove(stream->records, stream->records + gone, stream->count * sizeof *stream->records);
}

static bool stream_step(struct cairn_log *log)
{
    struct stream_log *self = log_of(log);
    bool failed = self->failed && !self->failure_told, any = self->sent_count || self->refused || failed;

    if (failed) {
        struct cairn_err why;

        self->failure_told = true;
        unavailable(&why);
        self->events.on_failed(self->events.context, &why);
    }
    if (self->failed)
        return failed;
    if (self->sent_count)
        arrive(self, 1 + (size_t)cairn_random_below(&self->server->random, self->sent_count));
    if (self->time_given > self->stream->time_ms) {
        self->stream->time_ms = self->time_given + 3000;
        any = true;
    }
    self->refused = false;
    if (any)
        self->events.on_progress(self->events.context, self->stream->end);
    return any;
}

/* --- asking --- */

static void stream_want(struct cairn_log *log, uint64_t end)
{
    (void)log; /* what is sent is on its way */
    (void)end;
}

static bool stream_help(struct cairn_log *log, uint64_t end)
{
    return log_of(log)->stream->end >= end;
}

static uint64_t stream_durable(struct cairn_log *log)
{
    return log_of(log)->stream->end;
}

static uint64_t stream_end(struct cairn_log *log)
{
    return log_of(log)->end;
}

static uint64_t stream_reserved_time_ms(struct cairn_log *log)
{
    return log_of(log)->stream->time_ms;
}

static void stream_reserve_time(struct cairn_log *log, uint64_t wall_ms)
{
    if (wall_ms > log_of(log)->time_given)
        log_of(log)->time_given = wall_ms;
}

static void stream_trim(struct cairn_log *log, uint64_t position)
{
    drop_below(log_of(log)->stream, position);
}

static void stream_stats(struct cairn_log *log, struct cairn_log_stats *ret_stats)
{
    struct stream_log *self = log_of(log);

    *ret_stats = (struct cairn_log_stats){.records = self->records,
                                          .bytes = self->bytes,
                                          .durable = self->stream->end,
                                          .end = self->end,
                                          .retained_bytes = self->end - self->stream->trimmed,
                                          .pending_bytes = self->end - self->stream->end,
                                          .room_bytes = PENDING_BYTES_MAX,
                                          .failed = self->failed};
}

/* --- reading --- */

static enum cairn_code trimmed(const struct simstream *stream, uint64_t needed, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "the stream begins at position %llu, above %llu, from which it is needed",
                      (unsigned long long)stream->trimmed, (unsigned long long)needed);
}

static enum cairn_code stream_open_reader(struct cairn_log *log, uint64_t from, struct cairn_log_reader **ret_reader,
                                          struct cairn_err *err)
{
    const struct simstream *stream = log_of(log)->stream;
    struct stream_reader *reader;

    if (from && from < stream->trimmed)
        return trimmed(stream, from, err);
    reader = cairn_alloc_zeroed(1, sizeof *reader);
    reader->base.log = log;
    reader->at = from > stream->trimmed ? from : stream->trimmed;
    *ret_reader = &reader->base;
    return CAIRN_OK;
}

static enum cairn_code stream_read(struct cairn_log_reader *base, struct cairn_log_record *ret_record, bool *ret_found,
                                   struct cairn_err *err)
{
    struct stream_reader *reader = (struct stream_reader *)(void *)base;
    const struct simstream *stream = log_of(base->log)->stream;
    size_t low = 0, high = stream->count;

    *ret_found = false;
    if (reader->at < stream->trimmed)
        return trimmed(stream, reader->at, err);
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (stream->records[middle].position < reader->at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == stream->count)
        return CAIRN_OK;
    *ret_record = (struct cairn_log_record){stream->records[low].position, stream->records[low].end,
                                            cairn_buf_bytes(&stream->records[low].body)};
    reader->at = stream->records[low].end;
    *ret_found = true;
    return CAIRN_OK;
}

static struct cairn_log_reader *stream_close_reader(struct cairn_log_reader *reader)
{
    free(reader);
    return NULL;
}

/* --- opening and closing --- */

static enum cairn_code stream_start(struct cairn_log *log, struct cairn_err *err)
{
    (void)err;
    log_of(log)->started = true;
    return CAIRN_OK;
}

static void destroy(struct stream_log *self)
{
    forget(self);
    free(self->sent);
    self->stream->log = NULL;
    free(self);
}

static enum cairn_code stream_close(struct cairn_log *log, struct cairn_err *err)
{
    struct stream_log *self = log ? log_of(log) : NULL;
    enum cairn_code code = CAIRN_OK;

    if (!self)
        return code;
    if (self->failed)
        code = unavailable(err);
    else
        arrive(self, self->sent_count);
    if (self->time_given > self->stream->time_ms)
        self->stream->time_ms = self->time_given;
    destroy(self);
    return code;
}

/* The node is gone: what it has sent came in, or some of it did. */
static void stream_abandon(struct cairn_log *log)
{
    struct stream_log *self = log ? log_of(log) : NULL;

    if (!self)
        return;
    arrive(self, (size_t)cairn_random_below(&self->server->random, self->sent_count + 1));
    if (self->server->lying)
        while (self->stream->count && self->stream->records[self->stream->count - 1].position >= self->lied_from) {
            struct simstream_record *last = &self->stream->records[--self->stream->count];

            self->stream->end = last->position;
            cairn_buf_done(&last->body);
        }
    destroy(self);
}

static const struct cairn_log_ops ops = {
    .append = stream_append,
    .claim = stream_claim,
    .release = stream_release,
    .want = stream_want,
    .help = stream_help,
    .want_durable = stream_want,
    .durable = stream_durable,
    .proven = stream_durable,
    .want_proven = stream_want,
    .acknowledged = stream_durable,
    .end = stream_end,
    .reserved_time_ms = stream_reserved_time_ms,
    .reserve_time = stream_reserve_time,
    .open_reader = stream_open_reader,
    .read = stream_read,
    .close_reader = stream_close_reader,
    .start = stream_start,
    .trim = stream_trim,
    .step = stream_step,
    .stats = stream_stats,
    .close = stream_close,
    .abandon = stream_abandon,
};

static enum cairn_code open_stream(const struct cairn_log_opener *opener, const struct cairn_log_place *place,
                                   struct cairn_log **ret_log, struct cairn_err *err)
{
    struct simstreams *server = (struct simstreams *)(uintptr_t)opener; /* its first member */
    struct simstream *stream = &server->streams[place->shard];
    struct stream_log *self;

    assert(place->shard < SIMSTREAMS_MAX && !stream->log);
    if (place->needed > stream->end)
        return cairn_fail(err, CAIRN_ECORRUPT, "stream %u ends at %llu, and was needed to %llu", place->shard,
                          (unsigned long long)stream->end, (unsigned long long)place->needed);
    self = cairn_alloc_zeroed(1, sizeof *self);
    self->base.ops = &ops;
    self->server = server;
    self->stream = stream;
    self->events = place->events;
    stream->epoch = stream->epoch + 1 > place->epoch_least ? stream->epoch + 1 : place->epoch_least;
    self->base.epoch = stream->epoch;
    self->base.found_end = self->end = self->lied_from = stream->end;
    stream->log = &self->base;
    *ret_log = &self->base;
    return CAIRN_OK;
}

void simstreams_init(struct simstreams *streams, uint64_t seed)
{
    *streams = (struct simstreams){.opener = {.open = open_stream, .per_shard = true, .stepped = true}};
    cairn_random_init(&streams->random, seed);
    for (int i = 0; i < SIMSTREAMS_MAX; i++)
        streams->streams[i].end = streams->streams[i].trimmed = 1;
}

void simstreams_done(struct simstreams *streams)
{
    for (int i = 0; i < SIMSTREAMS_MAX; i++) {
        struct simstream *stream = &streams->streams[i];

        assert(!stream->log);
        for (size_t k = 0; k < stream->count; k++)
            cairn_buf_done(&stream->records[k].body);
        free(stream->records);
    }
}
