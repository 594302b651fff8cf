/* stream.h - the bytes that an export writes and an import reads (docs/formats/stream.md).
 *
 * A stream is a head and parts.  A part is whole or refused: its checksum covers its number, its size and its bytes.
 * It holds items; an item does not span parts.  The last item of the last part says how many there were, so that a
 * stream that was cut off is never taken for a whole one.
 *
 * Threads: none of these is shared.  Layer: transfer; uses base. */
#ifndef CAIRN_TRANSFER_STREAM_H
#define CAIRN_TRANSFER_STREAM_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    STREAM_FORMAT = 3,                  /* 1 had no namespaces and no ordered maps, 2 no messages and no timers */
    STREAM_PART_BYTES = 256 << 10,      /* a part is ended when it has as many */
    STREAM_PART_BYTES_MAX = (66 << 20), /* one item of the greatest value, and what came before it */
    STREAM_FILE_BYTES_MAX = (64 << 20) + 65536, /* a module's file */
};

enum stream_kind {
    STREAM_ABOUT = 1, /* first, and only there */
    STREAM_MODULE = 2,
    STREAM_FILE = 3, /* a module's .wasm */
    STREAM_TYPE = 4,
    STREAM_OBJECT = 5, /* what follows until the next object or key is of it: */
    STREAM_VALUE = 6,
    STREAM_ENTRY = 7,    /* of a list, in order */
    STREAM_PAIR = 8,     /* of a map, ordered or not, in order */
    STREAM_KEY = 9,      /* an idempotency key */
    STREAM_END = 10,     /* last, and only there */
    STREAM_SPACE = 11,   /* a namespace */
    STREAM_MESSAGE = 12, /* that waits, or is dead */
    STREAM_TIMER = 13,
    STREAM_KINDS,
};

/* How many items of each kind there were. */
struct stream_counts {
    uint64_t of[STREAM_KINDS];
};

/* --- writing --- */

/* Zero-initialized begins a stream. */
struct stream_writer {
    struct cairn_buf part;
    uint32_t number;
    struct stream_counts counts;
};

void stream_begin(struct cairn_buf *to);
/* One whole item of some pieces.  CAIRN_ELIMIT: larger than a part may be. */
enum cairn_code stream_add(struct stream_writer *writer, enum stream_kind kind, const struct cairn_bytes *pieces,
                           size_t count, struct cairn_err *err);
/* The part as it stands, behind what `to` holds; nothing if it is empty. */
void stream_flush(struct stream_writer *writer, struct cairn_buf *to);
/* The last item. */
void stream_add_end(struct stream_writer *writer);
void stream_writer_done(struct stream_writer *writer);

/* --- reading --- */

struct stream_item {
    enum stream_kind kind;
    struct cairn_bytes body; /* valid until more bytes are added */
};

enum stream_state { STREAM_WANTS, STREAM_HAS, STREAM_OVER };

/* Zero-initialized reads from the beginning. */
struct stream_reader {
    struct cairn_buf bytes; /* not read yet */
    bool begun, over;
    uint32_t format;
    uint32_t number;   /* of the next part */
    size_t part_end;   /* in bytes; 0: no part is being read */
    size_t at;         /* in the part */
    uint64_t position; /* in the stream, of bytes.data[0] */
    struct stream_counts counts;
};

void stream_reader_add(struct stream_reader *reader, struct cairn_bytes bytes);
/* STREAM_HAS and an item; STREAM_WANTS: more bytes are needed; STREAM_OVER: the end was read and counts are right.
 * Failures: CAIRN_ECORRUPT with the place, CAIRN_EVERSION for another format. */
enum cairn_code stream_next(struct stream_reader *reader, enum stream_state *ret_state, struct stream_item *ret_item,
                            struct cairn_err *err);
/* CAIRN_OK if the stream ended where it must; what it says else: that it was cut off. */
enum cairn_code stream_check_end(const struct stream_reader *reader, struct cairn_err *err);
void stream_reader_done(struct stream_reader *reader);

#endif
