#include "server/exporter.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "io/dial.h"
#include "io/sink.h"
#include "proto/http.h"
#include "server/otlp.h"

enum {
    QUEUE_BYTES = 4 << 20,
    REQUEST_BYTES = 512 << 10, /* of JSON; a span more may be in it */
    REPLY_BYTES_MAX = 64 << 10,
    DIAL_MS = 2000,  /* for connecting, and for each piece that is sent or received */
    REPLY_MS = 5000, /* for the whole reply */
    WRITE_MS = 1000,
    PAUSE_MS_MAX = 30000,
    TELL_MS = 10000, /* dropped spans are told so often */
};

struct cairn_exporter {
    struct cairn_clock *clock;
    const struct cairn_events *events;
    pthread_t thread;
    char *host, *path; /* of a collector; NULL: a file */
    struct cairn_sink *sink;

    pthread_mutex_t lock; /* of what follows; nothing under it blocks */
    pthread_cond_t wake;
    struct cairn_buf queue; /* u32 size, encoded span each */
    struct cairn_exporter_counts counts;
    bool reopen, closing;

    /* The thread's. */
    struct cairn_buf json;
    bool failing;
    uint64_t pause_ms, told_dropped, told_at_ms;
};

static uint64_t count_spans(struct cairn_bytes spans)
{
    struct cairn_reader r = cairn_reader(spans);
    uint64_t count = 0;

    for (; cairn_reader_left(&r); count++)
        cairn_read_bytes(&r, cairn_read_u32(&r));
    return count;
}

void cairn_exporter_give(void *context, struct cairn_bytes spans)
{
    struct cairn_exporter *exporter = context;

    pthread_mutex_lock(&exporter->lock);
    if (exporter->queue.size + spans.size <= QUEUE_BYTES)
        cairn_buf_add(&exporter->queue, spans.data, spans.size);
    else
        exporter->counts.dropped += count_spans(spans);
    if (exporter->queue.size > QUEUE_BYTES / 4)
        pthread_cond_signal(&exporter->wake);
    pthread_mutex_unlock(&exporter->lock);
}

void cairn_exporter_reopen(struct cairn_exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    exporter->reopen = true;
    pthread_cond_signal(&exporter->wake);
    pthread_mutex_unlock(&exporter->lock);
}

void cairn_exporter_counts(struct cairn_exporter *exporter, struct cairn_exporter_counts *ret_counts)
{
    pthread_mutex_lock(&exporter->lock);
    *ret_counts = exporter->counts;
    pthread_mutex_unlock(&exporter->lock);
}

/* --- one request -------------------------------------------------------------------------------------- */

static uint64_t now_ms(const struct cairn_exporter *exporter)
{
    return exporter->clock->monotonic_ns(exporter->clock) / 1000000;
}

static enum cairn_code receive(struct cairn_exporter *exporter, int fd, struct cairn_err *err)
{
    struct cairn_http_reader *reader = cairn_http_reader_create(REPLY_BYTES_MAX, false);
    const struct cairn_http_reply *reply = cairn_http_reader_reply(reader);
    uint64_t until_ms = now_ms(exporter) + REPLY_MS;
    enum cairn_code code;
    uint8_t input[4096];
    size_t size;

    do {
        code = cairn_dial_receive(fd, input, sizeof input, &size, err);
        if (code == CAIRN_OK)
            code = cairn_http_reader_take(reader, cairn_bytes(input, size), err);
        if (code == CAIRN_OK && !reply->complete && now_ms(exporter) > until_ms)
            code = cairn_fail(err, CAIRN_EUNAVAILABLE, "its reply has not come in %d s", REPLY_MS / 1000);
    } while (code == CAIRN_OK && !reply->complete);
    if (code == CAIRN_OK && (reply->status < 200 || reply->status > 299))
        code = cairn_fail(err, CAIRN_EUNAVAILABLE, "it answered with status %u: %.*s", reply->status,
                          (int)(reply->body.size < 200 ? reply->body.size : 200), (const char *)reply->body.data);
    cairn_http_reader_destroy(reader);
    return code;
}

static enum cairn_code post(struct cairn_exporter *exporter, struct cairn_bytes json, struct cairn_err *err)
{
    struct cairn_buf head = {0};
    struct cairn_address address;
    enum cairn_code code;
    int fd;

    code = cairn_address_parse(exporter->host, 4318, &address, err); /* each time: a collector may move */
    if (code == CAIRN_OK)
        code = cairn_dial(&address, DIAL_MS, &fd, err);
    if (code != CAIRN_OK)
        return code;
    cairn_buf_printf(&head,
                     "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n",
                     exporter->path, exporter->host, json.size);
    code = cairn_dial_send(fd, cairn_buf_bytes(&head), err);
    if (code == CAIRN_OK)
        code = cairn_dial_send(fd, json, err);
    if (code == CAIRN_OK)
        code = receive(exporter, fd, err);
    cairn_buf_done(&head);
    cairn_dial_close(fd);
    return code;
}

static enum cairn_code export_json(struct cairn_exporter *exporter, struct cairn_err *err)
{
    if (exporter->host)
        return post(exporter, cairn_buf_bytes(&exporter->json), err);
    cairn_buf_u8(&exporter->json, '\n');
    return cairn_sink_write_whole(exporter->sink, cairn_buf_bytes(&exporter->json), WRITE_MS, err);
}

/* --- the thread --------------------------------------------------------------------------------------- */

static void tell_failed(struct cairn_exporter *exporter, const struct cairn_err *err)
{
    if (!exporter->failing)
        cairn_tell(
            exporter->events,
            &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                  .from = "trace",
                                  .kind = "export_failed",
                                  .text = "spans cannot be exported and are lost; it is tried again with what comes",
                                  .fields = {{.key = "to", .text = exporter->host ? exporter->host : "file"},
                                             {.key = "error", .text = err->text}}});
    exporter->failing = true;
    exporter->pause_ms = exporter->pause_ms ? exporter->pause_ms * 2 : 1000;
    if (exporter->pause_ms > PAUSE_MS_MAX)
        exporter->pause_ms = PAUSE_MS_MAX;
}

static void tell_exported(struct cairn_exporter *exporter)
{
    if (exporter->failing)
        cairn_tell(exporter->events, &(struct cairn_event){.level = CAIRN_LEVEL_INFO,
                                                           .from = "trace",
                                                           .kind = "export_again",
                                                           .text = "spans are exported again",
                                                           .fields = {{.key = NULL}}});
    exporter->failing = false;
    exporter->pause_ms = 0;
}

static void tell_dropped(struct cairn_exporter *exporter, uint64_t dropped)
{
    uint64_t now = now_ms(exporter);

    if (dropped == exporter->told_dropped || (exporter->told_at_ms && now - exporter->told_at_ms < TELL_MS))
        return;
    cairn_tell(exporter->events,
               &(struct cairn_event){.level = CAIRN_LEVEL_WARNING,
                                     .from = "trace",
                                     .kind = "spans_dropped",
                                     .text = "more spans were recorded than could be exported; trace fewer jobs "
                                             "(--trace-sample)",
                                     .fields = {{.key = "spans", .number = dropped - exporter->told_dropped}}});
    exporter->told_dropped = dropped;
    exporter->told_at_ms = now;
}

/* Without the lock.  Behind a failure nothing more is tried. */
static void export_all(struct cairn_exporter *exporter, struct cairn_bytes spans, struct cairn_exporter_counts *done)
{
    struct cairn_reader r = cairn_reader(spans);
    struct cairn_err err;
    uint64_t count;

    for (;;) {
        exporter->json.size = 0;
        count = cairn_otlp_add(&exporter->json, &r, REQUEST_BYTES);
        if (!count)
            return;
        if (export_json(exporter, &err) != CAIRN_OK) {
            done->failed += count + count_spans(cairn_bytes(r.at, cairn_reader_left(&r)));
            tell_failed(exporter, &err);
            return;
        }
        done->exported += count;
        tell_exported(exporter);
    }
}

static void wait_for(struct cairn_exporter *exporter, uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    pthread_cond_timedwait(&exporter->wake, &exporter->lock, &until);
}

/* A pause behind a failure ends early only when the exporter is closed. */
static void pause_behind_failure(struct cairn_exporter *exporter)
{
    uint64_t until = now_ms(exporter) + exporter->pause_ms;

    while (exporter->failing && !exporter->closing && now_ms(exporter) < until)
        wait_for(exporter, until - now_ms(exporter));
}

static void reopen(struct cairn_exporter *exporter)
{
    struct cairn_err err;

    exporter->reopen = false;
    if (!exporter->sink)
        return;
    pthread_mutex_unlock(&exporter->lock);
    if (cairn_sink_reopen(exporter->sink, &err) != CAIRN_OK)
        tell_failed(exporter, &err);
    pthread_mutex_lock(&exporter->lock);
}

static void *work(void *context)
{
    struct cairn_exporter *exporter = context;
    struct cairn_buf spans = {0};

    pthread_mutex_lock(&exporter->lock);
    while (!exporter->closing || (exporter->queue.size && !exporter->failing)) {
        struct cairn_exporter_counts done = {0};
        struct cairn_buf empty = spans;
        uint64_t dropped;

        if (exporter->reopen)
            reopen(exporter);
        if (!exporter->closing && exporter->queue.size <= QUEUE_BYTES / 4)
            wait_for(exporter, 1000);
        spans = exporter->queue;
        exporter->queue = empty;
        dropped = exporter->counts.dropped;
        pthread_mutex_unlock(&exporter->lock);
        export_all(exporter, cairn_buf_bytes(&spans), &done);
        spans.size = 0;
        tell_dropped(exporter, dropped);
        pthread_mutex_lock(&exporter->lock);
        exporter->counts.exported += done.exported;
        exporter->counts.failed += done.failed;
        pause_behind_failure(exporter);
    }
    pthread_mutex_unlock(&exporter->lock);
    cairn_buf_done(&spans);
    return NULL;
}

/* --- opening and closing -------------------------------------------------------------------------------- */

/* HOST:PORT[/PATH] */
static enum cairn_code take_collector(struct cairn_exporter *exporter, const char *text, struct cairn_err *err)
{
    size_t host = strcspn(text, "/");

    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            host = 0;
    if (host == 0)
        return cairn_fail(err, CAIRN_EINVAL, "'otlp://%s' names no collector: write otlp://HOST:PORT", text);
    exporter->host = cairn_bytes_dup(cairn_bytes(text, host));
    exporter->path = cairn_bytes_dup(cairn_str(text[host] && text[host + 1] ? text + host : "/v1/traces"));
    return CAIRN_OK;
}

enum cairn_code cairn_exporter_open(const char *target, struct cairn_clock *clock, const struct cairn_events *events,
                                    struct cairn_exporter **ret_exporter, struct cairn_err *err)
{
    struct cairn_exporter *exporter = cairn_alloc_zeroed(1, sizeof *exporter);
    enum cairn_code code;

    exporter->clock = clock;
    exporter->events = events;
    if (strncmp(target, "otlp://", 7) == 0)
        code = take_collector(exporter, target + 7, err);
    else if (strncmp(target, "file:", 5) == 0 && target[5])
        code = cairn_sink_open(target + 5, &exporter->sink, err) == CAIRN_OK
                   ? CAIRN_OK
                   : cairn_while(err, "opening the file for traces (--trace)");
    else
        code = cairn_fail(err, CAIRN_EINVAL, "traces go to 'memory', 'file:PATH' or 'otlp://HOST:PORT', not to '%s'",
                          target);
    if (code != CAIRN_OK) {
        free(exporter);
        return code;
    }
    pthread_mutex_init(&exporter->lock, NULL);
    pthread_cond_init(&exporter->wake, NULL);
    if (pthread_create(&exporter->thread, NULL, work, exporter) != 0)
        abort(); /* a node that cannot start its few threads cannot work */
    *ret_exporter = exporter;
    return CAIRN_OK;
}

struct cairn_exporter *cairn_exporter_close(struct cairn_exporter *exporter)
{
    if (!exporter)
        return NULL;
    pthread_mutex_lock(&exporter->lock);
    exporter->closing = true;
    pthread_cond_signal(&exporter->wake);
    pthread_mutex_unlock(&exporter->lock);
    pthread_join(exporter->thread, NULL);
    if (exporter->queue.size || exporter->counts.failed || exporter->counts.dropped)
        cairn_tell(exporter->events,
                   &(struct cairn_event){
                       .level = CAIRN_LEVEL_WARNING,
                       .from = "trace",
                       .kind = "spans_lost",
                       .text = "spans were recorded and not exported",
                       .fields = {{.key = "failed", .number = exporter->counts.failed},
                                  {.key = "dropped", .number = exporter->counts.dropped},
                                  {.key = "unsent", .number = count_spans(cairn_buf_bytes(&exporter->queue))}}});
    cairn_sink_close(exporter->sink);
    cairn_buf_done(&exporter->queue);
    cairn_buf_done(&exporter->json);
    pthread_cond_destroy(&exporter->wake);
    pthread_mutex_destroy(&exporter->lock);
    free(exporter->host);
    free(exporter->path);
    free(exporter);
    return NULL;
}
