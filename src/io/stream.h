/* stream.h - the bytes of one connection: what a socket reads and writes through.
 *
 * Below it lies a descriptor; between the two may lie what turns bytes into others.  Today there is TCP alone, where
 * nothing does.  So a stream says what it waits for: one that encrypts may have to write before it can read.
 * A stream never blocks.
 * Threads: its loop's.  Layer: io; uses base. */
#ifndef CAIRN_IO_STREAM_H
#define CAIRN_IO_STREAM_H

#include <sys/uio.h>

#include "base/bytes.h"

enum cairn_stream_result {
    CAIRN_STREAM_MOVED,   /* bytes, or what was asked is done */
    CAIRN_STREAM_BLOCKED, /* not now: again when the descriptor is as `wants` says */
    CAIRN_STREAM_ENDED,   /* reading: the other side sends nothing more */
    CAIRN_STREAM_BROKEN,  /* close it */
};

/* What is waited for at the descriptor. */
enum { CAIRN_STREAM_READABLE = 1, CAIRN_STREAM_WRITABLE = 2 };

struct cairn_stream;

struct cairn_stream_ops {
    /* MOVED: at least one byte, up to `room`. */
    enum cairn_stream_result (*read)(struct cairn_stream *stream, uint8_t *to, size_t room, size_t *ret_size);
    /* MOVED: at least one byte was taken. */
    enum cairn_stream_result (*write)(struct cairn_stream *stream, struct cairn_bytes bytes, size_t *ret_size);
    /* The same, into and out of several pieces, at most 1,024. */
    enum cairn_stream_result (*readv)(struct cairn_stream *stream, const struct iovec *to, size_t count,
                                      size_t *ret_size);
    enum cairn_stream_result (*writev)(struct cairn_stream *stream, const struct iovec *from, size_t count,
                                       size_t *ret_size);
    /* Tells the other side that nothing follows what was written; it may still send. */
    enum cairn_stream_result (*shutdown)(struct cairn_stream *stream);
    /* What to wait for at the descriptor before reading, or writing, or either, can go on. */
    unsigned (*wants)(const struct cairn_stream *stream, bool to_read, bool to_write);
    /* Closes the descriptor and frees the stream. */
    void (*close)(struct cairn_stream *stream);
};

/* Begins every kind of stream. */
struct cairn_stream {
    const struct cairn_stream_ops *ops;
    int fd;
};

/* The descriptor's bytes as they are.  Takes the descriptor, which does not block. */
struct cairn_stream *cairn_stream_tcp(int fd);

#endif
