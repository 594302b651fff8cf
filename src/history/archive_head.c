/* archive_head.c - what an archive's head says of the log and of modules, and how losses are told; see archive.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "history/history_internal.h"

enum { VERSION = 2, LOSSES_TOLD_MAX = 32 };

static void add_u64(struct cairn_buf *to, uint64_t value)
{
    cairn_put_u64(cairn_buf_reserve(to, 8), value);
    to->size += 8;
}

void archive_head_encode(const struct archive_head *head, const struct cairn_buf *names, struct cairn_buf *to)
{
    cairn_buf_u8(to, VERSION);
    add_u64(to, head->epoch);
    add_u64(to, head->first);
    add_u64(to, head->end);
    cairn_buf_add(to, head->sha256, sizeof head->sha256);
    add_u64(to, head->low);
    add_u64(to, head->wall_ms);
    add_u64(to, head->log_epoch);
    cairn_buf_varint(to, names->size);
    cairn_buf_add(to, names->data, names->size);
}

enum cairn_code archive_head_check(struct cairn_bytes note, struct cairn_err *err)
{
    return note.size && note.data[0] != VERSION ? format_fail_version("the archive", note.data[0], VERSION, err)
                                                : CAIRN_OK;
}

bool archive_head_decode(struct cairn_bytes note, struct archive_head *ret_head, struct cairn_bytes *ret_names)
{
    struct cairn_reader r = cairn_reader(note);
    struct archive_head head = {0};
    struct cairn_bytes hash, names;

    if (cairn_read_u8(&r) != VERSION)
        return false;
    head.epoch = cairn_read_u64(&r);
    head.first = cairn_read_u64(&r);
    head.end = cairn_read_u64(&r);
    hash = cairn_read_bytes(&r, sizeof head.sha256);
    head.low = cairn_read_u64(&r);
    head.wall_ms = cairn_read_u64(&r);
    head.log_epoch = cairn_read_u64(&r);
    names = cairn_read_sized(&r);
    if (r.bad || cairn_reader_left(&r) || (names.size && names.data[names.size - 1]))
        return false;
    memcpy(head.sha256, hash.data, sizeof head.sha256);
    *ret_head = head;
    *ret_names = names;
    return true;
}

enum cairn_code archive_head_put(struct archive *archive, const struct archive_head *head, struct cairn_err *err)
{
    struct cairn_buf note = {0};
    enum cairn_code code;

    archive_head_encode(head, &archive->names, &note);
    code = remote_put_note(archive->remote, cairn_buf_bytes(&note), err);
    if (code == CAIRN_OK)
        archive->head = *head;
    cairn_buf_done(&note);
    return code;
}

/* --- losses --- */

void archive_losses_add(struct archive_losses *losses, const char *format, ...)
{
    char text[CAIRN_ERR_TEXT_BYTES];
    va_list arguments;

    if (losses->count++ >= LOSSES_TOLD_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cairn_buf_add(&losses->text, text, strlen(text) + 1);
}

void archive_losses_tell(struct archive_losses *losses, void (*tell)(struct cairn_store *store, const char *text),
                         struct cairn_store *store)
{
    for (size_t at = 0; at < losses->text.size; at += strlen((const char *)losses->text.data + at) + 1) {
        char line[CAIRN_ERR_TEXT_BYTES + 32];

        snprintf(line, sizeof line, "lost: %s", (const char *)losses->text.data + at);
        tell(store, line);
    }
    if (losses->count > LOSSES_TOLD_MAX) {
        char line[64];

        snprintf(line, sizeof line, "lost: %zu more", losses->count - LOSSES_TOLD_MAX);
        tell(store, line);
    }
    archive_losses_done(losses);
}

void archive_losses_done(struct archive_losses *losses)
{
    cairn_buf_done(&losses->text);
    *losses = (struct archive_losses){0};
}

const char *archive_time(uint64_t wall_ms, char text[ARCHIVE_TIME_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t size = 0;

    if (wall_ms && gmtime_r(&seconds, &tm))
        size = strftime(text, ARCHIVE_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    if (size)
        snprintf(text + size, ARCHIVE_TIME_BYTES - size, ".%03uZ", (unsigned)(wall_ms % 1000));
    else
        snprintf(text, ARCHIVE_TIME_BYTES, "an unknown time");
    return text;
}
