/* bytes.h - borrowed byte strings, growable buffers, and little-endian and varint codecs.
 *
 * Threads: none of these is shared between threads.  Allocation failure ends the
 * process (cairn_alloc): a node that cannot get a few bytes cannot keep promises,
 * and every large request is bounded before it gets here.
 * Layer: base, uses nothing. */
#ifndef CAIRN_BASE_BYTES_H
#define CAIRN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Never NULL: prints what could not be allocated and aborts. */
void *cairn_alloc(size_t bytes);
void *cairn_alloc_zeroed(size_t count, size_t bytes);
void *cairn_realloc(void *memory, size_t bytes);
/* Zeroed, of the operating system's pages: for large memory that comes and goes, as all of it is given back at once.
 * Of what malloc frees a thread's arena may keep any amount. */
void *cairn_alloc_pages(size_t bytes);
void cairn_free_pages(void *memory, size_t bytes); /* accepts NULL */
/* The same for memory that is read here and there all the time: it begins at a multiple of CAIRN_HUGE_BYTES and is a
 * multiple of it long, and the operating system is asked for huge pages, so that finding an address costs less. */
enum { CAIRN_HUGE_BYTES = 2 << 20 };
void *cairn_alloc_huge(size_t bytes);
/* Of the processor's caches: what one thread writes often does not share one with what others read. */
enum { CAIRN_LINE_BYTES = 64 };

/* Borrowed bytes; data may be NULL only when size is 0. */
struct cairn_bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct cairn_bytes cairn_bytes(const void *data, size_t size)
{
    return (struct cairn_bytes){data, size};
}

static inline struct cairn_bytes cairn_str(const char *text)
{
    return (struct cairn_bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool cairn_bytes_equal(struct cairn_bytes a, struct cairn_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Lexicographic, shorter first on a tie. */
int cairn_bytes_compare(struct cairn_bytes a, struct cairn_bytes b);

/* A malloc'd copy with a NUL behind it. */
char *cairn_bytes_dup(struct cairn_bytes bytes);

/* Growable buffer; zero-initialized is empty. */
struct cairn_buf {
    uint8_t *data;
    size_t size, capacity;
};

void cairn_buf_done(struct cairn_buf *buf);
/* Makes room for `more` bytes behind size and returns where they start. */
uint8_t *cairn_buf_reserve(struct cairn_buf *buf, size_t more);
void cairn_buf_add(struct cairn_buf *buf, const void *data, size_t size);
void cairn_buf_printf(struct cairn_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Empties it, and gives its memory back if that is more than `keep` bytes. */
void cairn_buf_trim(struct cairn_buf *buf, size_t keep);
/* Drops the first `size` bytes. */
void cairn_buf_consume(struct cairn_buf *buf, size_t size);

static inline void cairn_buf_str(struct cairn_buf *buf, const char *text)
{
    cairn_buf_add(buf, text, strlen(text));
}

static inline void cairn_buf_u8(struct cairn_buf *buf, uint8_t v)
{
    cairn_buf_add(buf, &v, 1);
}

static inline struct cairn_bytes cairn_buf_bytes(const struct cairn_buf *buf)
{
    return (struct cairn_bytes){buf->data, buf->size};
}

/* Fixed-width little-endian; the machine is little-endian (checked by the build). */
/* clang-format off */
static inline void cairn_put_u16(void *to, uint16_t v) { memcpy(to, &v, sizeof v); }
static inline void cairn_put_u32(void *to, uint32_t v) { memcpy(to, &v, sizeof v); }
static inline void cairn_put_u64(void *to, uint64_t v) { memcpy(to, &v, sizeof v); }
static inline uint16_t cairn_get_u16(const void *from) { uint16_t v; memcpy(&v, from, sizeof v); return v; }
static inline uint32_t cairn_get_u32(const void *from) { uint32_t v; memcpy(&v, from, sizeof v); return v; }
static inline uint64_t cairn_get_u64(const void *from) { uint64_t v; memcpy(&v, from, sizeof v); return v; }
/* Big-endian, for keys whose byte order is their number's order. */
static inline void cairn_put_be64(void *to, uint64_t v) { v = __builtin_bswap64(v); memcpy(to, &v, sizeof v); }
static inline uint64_t cairn_get_be64(const void *from) { return __builtin_bswap64(cairn_get_u64(from)); }
/* clang-format on */

enum { CAIRN_VARINT_BYTES_MAX = 10 };

/* LEB128, 1 to 10 bytes; returns the bytes written. */
static inline size_t cairn_put_varint(uint8_t *to, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        to[n++] = (uint8_t)v | 0x80;
        v >>= 7;
    }
    to[n++] = (uint8_t)v;
    return n;
}

void cairn_buf_varint(struct cairn_buf *buf, uint64_t v);

/* A reader over borrowed bytes.  Reading past the end, or a varint longer than 10 bytes,
 * sets bad and yields zeros from then on: check bad once at the end. */
struct cairn_reader {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct cairn_reader cairn_reader(struct cairn_bytes bytes)
{
    /* Nothing may be added to NULL, not even 0. */
    return (struct cairn_reader){bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data, false};
}

static inline size_t cairn_reader_left(const struct cairn_reader *r)
{
    return (size_t)(r->end - r->at);
}

uint64_t cairn_read_varint(struct cairn_reader *r);
uint8_t cairn_read_u8(struct cairn_reader *r);
uint16_t cairn_read_u16(struct cairn_reader *r);
uint32_t cairn_read_u32(struct cairn_reader *r);
uint64_t cairn_read_u64(struct cairn_reader *r);
struct cairn_bytes cairn_read_bytes(struct cairn_reader *r, size_t size);
/* A varint length and that many bytes. */
struct cairn_bytes cairn_read_sized(struct cairn_reader *r);

#endif
