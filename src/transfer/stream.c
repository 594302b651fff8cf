#include "transfer/stream.h"

#include <inttypes.h>

#include "base/hash.h"

enum {
    HEAD_BYTES = 16,      /* magic, format, checksum */
    PART_HEAD_BYTES = 12, /* number, size, checksum */
};

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'E', 'X', 'P'};

static uint32_t part_checksum(uint32_t number, uint32_t size, const void *data)
{
    uint8_t head[8];

    cairn_put_u32(head, number);
    cairn_put_u32(head + 4, size);
    return cairn_crc32c(cairn_crc32c(0, head, sizeof head), data, size);
}

/* The items that the end counts. */
static bool is_counted(uint32_t format, int kind)
{
    return kind != STREAM_END && (kind < STREAM_SPACE || format >= 2) && (kind < STREAM_MESSAGE || format >= 3);
}

/* --- writing --- */

void stream_begin(struct cairn_buf *to)
{
    uint8_t *at = cairn_buf_reserve(to, HEAD_BYTES);

    memcpy(at, magic, sizeof magic);
    cairn_put_u32(at + 8, STREAM_FORMAT);
    cairn_put_u32(at + 12, cairn_crc32c(0, at, 12));
    to->size += HEAD_BYTES;
}

enum cairn_code stream_add(struct stream_writer *writer, enum stream_kind kind, const struct cairn_bytes *pieces,
                           size_t count, struct cairn_err *err)
{
    uint64_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += pieces[i].size;
    if (size + 1 + CAIRN_VARINT_BYTES_MAX + STREAM_PART_BYTES > STREAM_PART_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "something of %" PRIu64 " bytes is too large to be exported", size);
    cairn_buf_u8(&writer->part, (uint8_t)kind);
    cairn_buf_varint(&writer->part, size);
    for (size_t i = 0; i < count; i++)
        cairn_buf_add(&writer->part, pieces[i].data, pieces[i].size);
    writer->counts.of[kind]++;
    return CAIRN_OK;
}

void stream_flush(struct stream_writer *writer, struct cairn_buf *to)
{
    uint8_t head[PART_HEAD_BYTES];
    uint32_t size = (uint32_t)writer->part.size;

    if (!size)
        return;
    cairn_put_u32(head, writer->number);
    cairn_put_u32(head + 4, size);
    cairn_put_u32(head + 8, part_checksum(writer->number, size, writer->part.data));
    cairn_buf_add(to, head, sizeof head);
    cairn_buf_add(to, writer->part.data, size);
    writer->part.size = 0;
    writer->number++;
}

void stream_add_end(struct stream_writer *writer)
{
    struct cairn_buf counts = {0};
    struct cairn_bytes body;

    for (int kind = STREAM_ABOUT; kind < STREAM_KINDS; kind++)
        if (is_counted(STREAM_FORMAT, kind))
            cairn_buf_varint(&counts, writer->counts.of[kind]);
    body = cairn_buf_bytes(&counts);
    stream_add(writer, STREAM_END, &body, 1, NULL);
    cairn_buf_done(&counts);
}

void stream_writer_done(struct stream_writer *writer)
{
    cairn_buf_done(&writer->part);
}

/* --- reading --- */

void stream_reader_add(struct stream_reader *reader, struct cairn_bytes bytes)
{
    /* What was read goes now: items pointed into it. */
    size_t read = reader->part_end ? 0 : reader->at;

    if (read) {
        cairn_buf_consume(&reader->bytes, read);
        reader->position += read;
        reader->at = 0;
    }
    cairn_buf_add(&reader->bytes, bytes.data, bytes.size);
}

static enum cairn_code damaged(const struct stream_reader *reader, const char *what, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECORRUPT, "the stream is damaged at byte %" PRIu64 ": %s; export it again",
                      reader->position + reader->at, what);
}

/* False: more bytes are needed. */
static bool read_head(struct stream_reader *reader, enum cairn_code *ret_code, struct cairn_err *err)
{
    const uint8_t *at = reader->bytes.data;
    size_t most = reader->bytes.size < sizeof magic ? reader->bytes.size : sizeof magic;

    *ret_code = CAIRN_OK;
    if (most && memcmp(at, magic, most) != 0) {
        *ret_code = cairn_fail(err, CAIRN_ECORRUPT, "this is no stream of `cairn export`");
        return true;
    }
    if (reader->bytes.size < HEAD_BYTES)
        return false;
    if (cairn_get_u32(at + 12) != cairn_crc32c(0, at, 12))
        *ret_code = damaged(reader, "its head's checksum does not match", err);
    reader->format = cairn_get_u32(at + 8);
    if (*ret_code == CAIRN_OK && (reader->format < 1 || reader->format > STREAM_FORMAT))
        *ret_code = cairn_fail(err, CAIRN_EVERSION,
                               "the stream has format %" PRIu32 " and this program knows 1 to %d: import it with the "
                               "program that exported it, or a newer one than that",
                               reader->format, STREAM_FORMAT);
    reader->begun = true;
    reader->at = HEAD_BYTES;
    return true;
}

static bool read_part(struct stream_reader *reader, enum cairn_code *ret_code, struct cairn_err *err)
{
    const uint8_t *at = reader->bytes.data + reader->at;
    size_t left = reader->bytes.size - reader->at;
    uint32_t number, size;

    *ret_code = CAIRN_OK;
    if (left < PART_HEAD_BYTES)
        return false;
    number = cairn_get_u32(at);
    size = cairn_get_u32(at + 4);
    if (number != reader->number || size == 0 || size > STREAM_PART_BYTES_MAX) {
        *ret_code = damaged(reader, "a part does not follow here", err);
        return true;
    }
    if (left - PART_HEAD_BYTES < size)
        return false;
    if (cairn_get_u32(at + 8) != part_checksum(number, size, at + PART_HEAD_BYTES)) {
        *ret_code = damaged(reader, "a part's checksum does not match", err);
        return true;
    }
    reader->number++;
    reader->at += PART_HEAD_BYTES;
    reader->part_end = reader->at + size;
    return true;
}

static enum cairn_code read_end(struct stream_reader *reader, struct cairn_bytes body, struct cairn_err *err)
{
    struct cairn_reader r = cairn_reader(body);

    for (int kind = STREAM_ABOUT; kind < STREAM_KINDS; kind++)
        if (is_counted(reader->format, kind) && cairn_read_varint(&r) != reader->counts.of[kind])
            r.bad = true;
    if (r.bad || cairn_reader_left(&r) || reader->at != reader->part_end)
        return damaged(reader, "it has not what its end tells of", err);
    reader->over = true;
    reader->part_end = 0;
    return CAIRN_OK;
}

enum cairn_code stream_next(struct stream_reader *reader, enum stream_state *ret_state, struct stream_item *ret_item,
                            struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;
    struct cairn_reader r;
    uint8_t kind;

    *ret_state = STREAM_WANTS;
    if (reader->over) {
        if (reader->bytes.size > reader->at)
            return damaged(reader, "something follows its end", err);
        *ret_state = STREAM_OVER;
        return CAIRN_OK;
    }
    if (!reader->begun && (!read_head(reader, &code, err) || code != CAIRN_OK))
        return code;
    if (!reader->part_end && (!read_part(reader, &code, err) || code != CAIRN_OK))
        return code;
    r = cairn_reader(cairn_bytes(reader->bytes.data + reader->at, reader->part_end - reader->at));
    kind = cairn_read_u8(&r);
    ret_item->body = cairn_read_sized(&r);
    if (r.bad || kind < STREAM_ABOUT || kind >= STREAM_KINDS ||
        (kind != STREAM_END && !is_counted(reader->format, kind)))
        return damaged(reader, "an item makes no sense", err);
    if ((kind == STREAM_ABOUT) != (reader->counts.of[STREAM_ABOUT] == 0))
        return damaged(reader, "it does not begin with what it is", err);
    ret_item->kind = (enum stream_kind)kind;
    reader->at = (size_t)(r.at - reader->bytes.data);
    reader->counts.of[kind]++;
    *ret_state = STREAM_HAS;
    if (kind == STREAM_END)
        return read_end(reader, ret_item->body, err);
    if (reader->at == reader->part_end)
        reader->part_end = 0;
    return CAIRN_OK;
}

enum cairn_code stream_check_end(const struct stream_reader *reader, struct cairn_err *err)
{
    if (reader->over)
        return CAIRN_OK;
    if (!reader->begun && !reader->bytes.size)
        return cairn_fail(err, CAIRN_ECORRUPT, "the stream is empty");
    return cairn_fail(err, CAIRN_ECORRUPT, "the stream is cut off at byte %" PRIu64 ": export it again",
                      reader->position + reader->bytes.size);
}

void stream_reader_done(struct stream_reader *reader)
{
    cairn_buf_done(&reader->bytes);
}
