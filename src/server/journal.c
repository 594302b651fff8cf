#include "server/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/sink.h"
#include "proto/json.h"

enum {
    QUEUE_BYTES = 1 << 20,
    TEXT_BYTES_MAX = 1024, /* of one text in a line */
    KINDS_MAX = 128,
    LINES_PER_WINDOW = 10,
    WRITE_WAIT_MS = 200,
};

#define WINDOW_NS UINT64_C(10000000000)
#define CLOSE_NS  UINT64_C(1000000000)

/* How many lines of a kind there were in its window. */
struct kind {
    const char *from, *kind;
    enum cairn_level level;
    uint64_t since_ns;
    uint64_t lines, suppressed;
};

struct cairn_journal {
    struct cairn_journal_options options;
    struct cairn_events events;
    struct cairn_sink *sink; /* the thread's */
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows; nothing under it blocks */
    pthread_cond_t wake;
    struct cairn_buf queue;
    struct kind kinds[KINDS_MAX];
    uint32_t kind_count;
    struct cairn_journal_counts counts;
    uint64_t dropped_untold;
    bool reopen, closing;
};

/* --- a line ------------------------------------------------------------------------------------- */

static void add_time(struct cairn_buf *to, uint64_t wall_ms)
{
    time_t at = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (!gmtime_r(&at, &tm))
        memset(&tm, 0, sizeof tm);
    cairn_buf_printf(to, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(wall_ms % 1000));
}

static struct cairn_bytes bounded(const char *text)
{
    struct cairn_bytes bytes = cairn_str(text);

    if (bytes.size > TEXT_BYTES_MAX)
        bytes.size = TEXT_BYTES_MAX;
    return bytes;
}

/* Quoted when it is not one plain word; one line in any case. */
static void add_word(struct cairn_buf *to, const char *text)
{
    struct cairn_bytes bytes = bounded(text);
    bool plain = bytes.size > 0;

    for (size_t i = 0; i < bytes.size; i++)
        plain &= bytes.data[i] > ' ' && bytes.data[i] != '"' && bytes.data[i] != '=' && bytes.data[i] != '\\' &&
                 bytes.data[i] != 0x7f;
    if (plain) {
        cairn_buf_add(to, bytes.data, bytes.size);
        return;
    }
    cairn_buf_u8(to, '"');
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        if (c == '"' || c == '\\')
            cairn_buf_printf(to, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            cairn_buf_printf(to, "\\x%02x", c);
        else
            cairn_buf_u8(to, c);
    }
    cairn_buf_u8(to, '"');
}

static const char *const levels[] = {"debug", "info", "warning", "error"};

static void add_text_line(struct cairn_buf *to, uint64_t wall_ms, const struct cairn_event *event)
{
    add_time(to, wall_ms);
    cairn_buf_printf(to, " %s %s event=%s msg=", levels[event->level], event->from, event->kind);
    add_word(to, event->text);
    for (int i = 0; i < CAIRN_EVENT_FIELDS && event->fields[i].key; i++) {
        cairn_buf_printf(to, " %s=", event->fields[i].key);
        if (event->fields[i].text)
            add_word(to, event->fields[i].text);
        else
            cairn_buf_printf(to, "%" PRIu64, event->fields[i].number);
    }
    cairn_buf_u8(to, '\n');
}

static void add_json_line(struct cairn_buf *to, uint64_t wall_ms, const struct cairn_event *event)
{
    cairn_buf_str(to, "{\"time\":\"");
    add_time(to, wall_ms);
    cairn_buf_printf(to, "\",\"level\":\"%s\",\"from\":\"%s\",\"event\":\"%s\",\"msg\":", levels[event->level],
                     event->from, event->kind);
    cairn_json_text(to, bounded(event->text));
    for (int i = 0; i < CAIRN_EVENT_FIELDS && event->fields[i].key; i++) {
        cairn_buf_printf(to, ",\"%s\":", event->fields[i].key);
        if (event->fields[i].text)
            cairn_json_text(to, bounded(event->fields[i].text));
        else
            cairn_buf_printf(to, "%" PRIu64, event->fields[i].number);
    }
    cairn_buf_str(to, "}\n");
}

/* --- telling, under the lock ------------------------------------------------------------------------ */

static void enqueue(struct cairn_journal *journal, const struct cairn_event *event)
{
    struct cairn_clock *clock = journal->options.clock;
    size_t before = journal->queue.size;

    if (before < QUEUE_BYTES) {
        (journal->options.json ? add_json_line : add_text_line)(&journal->queue, clock->wall_ms(clock), event);
        if (journal->queue.size <= QUEUE_BYTES) {
            pthread_cond_signal(&journal->wake);
            return;
        }
        journal->queue.size = before;
    }
    journal->counts.dropped++;
    journal->dropped_untold++;
}

static void tell_suppressed(struct cairn_journal *journal, struct kind *kind)
{
    const struct cairn_event event = {
        .level = kind->level,
        .from = kind->from,
        .kind = kind->kind,
        .text = "more of this kind were not written",
        .fields = {{.key = "suppressed", .number = kind->suppressed}},
    };

    kind->suppressed = 0;
    enqueue(journal, &event);
}

static struct kind *kind_of(struct cairn_journal *journal, const struct cairn_event *event)
{
    struct kind *kind;

    for (uint32_t i = 0; i < journal->kind_count; i++)
        if (strcmp(journal->kinds[i].kind, event->kind) == 0 && strcmp(journal->kinds[i].from, event->from) == 0)
            return &journal->kinds[i];
    if (journal->kind_count == KINDS_MAX)
        return &journal->kinds[KINDS_MAX - 1]; /* shared by what came too late */
    kind = &journal->kinds[journal->kind_count++];
    *kind = (struct kind){.from = event->from, .kind = event->kind};
    return kind;
}

static bool may_write(struct cairn_journal *journal, const struct cairn_event *event)
{
    uint64_t now = journal->options.clock->monotonic_ns(journal->options.clock);
    struct kind *kind = kind_of(journal, event);

    if (!kind->since_ns || now - kind->since_ns >= WINDOW_NS) {
        if (kind->suppressed)
            tell_suppressed(journal, kind);
        kind->since_ns = now ? now : 1;
        kind->lines = 0;
    }
    if (kind->lines++ < LINES_PER_WINDOW)
        return true;
    kind->level = event->level;
    kind->suppressed++;
    journal->counts.suppressed++;
    return false;
}

void cairn_journal_tell(struct cairn_journal *journal, const struct cairn_event *event)
{
    if (event->level < journal->options.least)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->counts.lines[event->level]++;
    if (may_write(journal, event))
        enqueue(journal, event);
    pthread_mutex_unlock(&journal->lock);
}

static void on_event(void *context, const struct cairn_event *event)
{
    cairn_journal_tell(context, event);
}

const struct cairn_events *cairn_journal_events(struct cairn_journal *journal)
{
    return &journal->events;
}

void cairn_journal_reopen(struct cairn_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->reopen = true;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
}

void cairn_journal_counts(struct cairn_journal *journal, struct cairn_journal_counts *ret_counts)
{
    pthread_mutex_lock(&journal->lock);
    *ret_counts = journal->counts;
    pthread_mutex_unlock(&journal->lock);
}

/* --- the thread ----------------------------------------------------------------------------------------- */

/* Kinds whose window is over, and lines that found no room. */
static void tell_missing(struct cairn_journal *journal)
{
    uint64_t now = journal->options.clock->monotonic_ns(journal->options.clock);

    for (uint32_t i = 0; i < journal->kind_count; i++)
        if (journal->kinds[i].suppressed && (journal->closing || now - journal->kinds[i].since_ns >= WINDOW_NS))
            tell_suppressed(journal, &journal->kinds[i]);
    if (journal->dropped_untold && journal->queue.size < QUEUE_BYTES / 2) {
        const struct cairn_event event = {
            .level = CAIRN_LEVEL_WARNING,
            .from = "journal",
            .kind = "dropped",
            .text = "lines of this log are lost: its file or pipe was too slow, or could not be written",
            .fields = {{.key = "lines", .number = journal->dropped_untold}},
        };
        journal->dropped_untold = 0;
        enqueue(journal, &event);
    }
}

static uint64_t count_lines(struct cairn_bytes text)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    return lines;
}

/* Without the lock.  What cannot be written is dropped; a reader that is away is waited for, until it is too late. */
static uint64_t write_out(struct cairn_journal *journal, struct cairn_bytes text, uint64_t *give_up_ns)
{
    struct cairn_clock *clock = journal->options.clock;

    while (text.size) {
        int error;
        size_t done = cairn_sink_write(journal->sink, text, WRITE_WAIT_MS, &error);

        text.data += done;
        text.size -= done;
        if (error)
            break;
        pthread_mutex_lock(&journal->lock);
        if (journal->closing && !*give_up_ns)
            *give_up_ns = clock->monotonic_ns(clock) + CLOSE_NS;
        pthread_mutex_unlock(&journal->lock);
        if (*give_up_ns && clock->monotonic_ns(clock) > *give_up_ns)
            break;
    }
    return count_lines(text);
}

static void reopen(struct cairn_journal *journal)
{
    struct cairn_event event = {.level = CAIRN_LEVEL_INFO,
                                .from = "journal",
                                .kind = "reopened",
                                .text = "the log file was opened again",
                                .fields = {{.key = NULL}}};
    struct cairn_err err;

    if (cairn_sink_reopen(journal->sink, &err) != CAIRN_OK) {
        event.level = CAIRN_LEVEL_ERROR;
        event.text = "the log file could not be opened again; the one that was open is written on";
        event.fields[0] = (struct cairn_event_field){.key = "error", .text = err.text};
    }
    cairn_journal_tell(journal, &event);
}

static void wait_a_second(struct cairn_journal *journal)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_cond_timedwait(&journal->wake, &journal->lock, &until);
}

static void *work(void *context)
{
    struct cairn_journal *journal = context;
    struct cairn_buf text = {0};
    uint64_t give_up_ns = 0;
    bool last = false;

    pthread_mutex_lock(&journal->lock);
    for (;;) {
        if (journal->reopen) {
            journal->reopen = false;
            pthread_mutex_unlock(&journal->lock);
            reopen(journal);
            pthread_mutex_lock(&journal->lock);
        } else if (journal->queue.size) {
            struct cairn_buf empty = text;
            uint64_t lost;

            text = journal->queue;
            journal->queue = empty;
            pthread_mutex_unlock(&journal->lock);
            lost = write_out(journal, cairn_buf_bytes(&text), &give_up_ns);
            text.size = 0;
            pthread_mutex_lock(&journal->lock);
            journal->counts.dropped += lost;
            journal->dropped_untold += lost;
            if (lost && journal->closing)
                break;
        } else if (journal->closing && last) {
            break;
        } else if (journal->closing) {
            last = true;
            tell_missing(journal);
        } else {
            wait_a_second(journal);
            tell_missing(journal); /* here only: a file that cannot be written is not tried without a pause */
        }
    }
    pthread_mutex_unlock(&journal->lock);
    cairn_buf_done(&text);
    return NULL;
}

enum cairn_code cairn_journal_open(const struct cairn_journal_options *options, struct cairn_journal **ret_journal,
                                   struct cairn_err *err)
{
    struct cairn_journal *journal = cairn_alloc_zeroed(1, sizeof *journal);
    enum cairn_code code = cairn_sink_open(options->path, &journal->sink, err);

    if (code != CAIRN_OK) {
        free(journal);
        return cairn_while(err, "opening the log file (--log-file)");
    }
    journal->options = *options;
    journal->events = (struct cairn_events){on_event, journal};
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->wake, NULL);
    if (pthread_create(&journal->thread, NULL, work, journal) != 0)
        abort(); /* a node that cannot start its few threads cannot work */
    *ret_journal = journal;
    return CAIRN_OK;
}

struct cairn_journal *cairn_journal_close(struct cairn_journal *journal)
{
    if (!journal)
        return NULL;
    pthread_mutex_lock(&journal->lock);
    journal->closing = true;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    cairn_sink_close(journal->sink);
    cairn_buf_done(&journal->queue);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
    return NULL;
}
