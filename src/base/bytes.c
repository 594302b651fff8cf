#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are stored as they lie in memory");

static void *must(void *memory, size_t bytes)
{
    if (!memory && bytes) {
        fprintf(stderr, "cairn: out of memory allocating %zu bytes\n", bytes);
        abort();
    }
    return memory;
}

void *cairn_alloc(size_t bytes)
{
    return must(malloc(bytes), bytes);
}

void *cairn_alloc_zeroed(size_t count, size_t bytes)
{
    return must(calloc(count, bytes), bytes);
}

void *cairn_realloc(void *memory, size_t bytes)
{
    return must(realloc(memory, bytes), bytes);
}

void *cairn_alloc_pages(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return must(memory == MAP_FAILED ? NULL : memory, bytes);
}

void *cairn_alloc_huge(size_t bytes)
{
    uintptr_t at = (uintptr_t)cairn_alloc_pages(bytes), rest = at % CAIRN_HUGE_BYTES;

    if (rest) { /* most often it is not: what was taken before ends at such a place, and this lies beside it */
        cairn_free_pages((void *)at, bytes);
        at = (uintptr_t)cairn_alloc_pages(bytes + CAIRN_HUGE_BYTES);
        rest = at % CAIRN_HUGE_BYTES;
        if (rest) {
            cairn_free_pages((void *)at, CAIRN_HUGE_BYTES - rest);
            at += CAIRN_HUGE_BYTES - rest;
            cairn_free_pages((void *)(at + bytes), rest);
        } else {
            cairn_free_pages((void *)(at + bytes), CAIRN_HUGE_BYTES);
        }
    }
    madvise((void *)at, bytes, MADV_HUGEPAGE); /* a hint: without it all works as well */
    return (void *)at;
}

void cairn_free_pages(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes);
}

int cairn_bytes_compare(struct cairn_bytes a, struct cairn_bytes b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;

    if (order)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

char *cairn_bytes_dup(struct cairn_bytes bytes)
{
    char *copy = cairn_alloc(bytes.size + 1);

    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = 0;
    return copy;
}

void cairn_buf_done(struct cairn_buf *buf)
{
    free(buf->data);
    *buf = (struct cairn_buf){0};
}

uint8_t *cairn_buf_reserve(struct cairn_buf *buf, size_t more)
{
    size_t need = buf->size + more;

    if (need > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : 256;
        if (capacity < need)
            capacity = need;
        buf->data = cairn_realloc(buf->data, capacity);
        buf->capacity = capacity;
    }
    return buf->data ? buf->data + buf->size : NULL; /* nothing was asked of an empty one */
}

void cairn_buf_add(struct cairn_buf *buf, const void *data, size_t size)
{
    if (!size)
        return;
    memcpy(cairn_buf_reserve(buf, size), data, size);
    buf->size += size;
}

void cairn_buf_printf(struct cairn_buf *buf, const char *format, ...)
{
    va_list args, again;
    int size;

    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0) {
        vsnprintf((char *)cairn_buf_reserve(buf, (size_t)size + 1), (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}

void cairn_buf_trim(struct cairn_buf *buf, size_t keep)
{
    buf->size = 0;
    if (buf->capacity > keep)
        cairn_buf_done(buf);
}

void cairn_buf_consume(struct cairn_buf *buf, size_t size)
{
    if (size >= buf->size) {
        buf->size = 0;
        return;
    }
    if (size) {
        memmove(buf->data, buf->data + size, buf->size - size);
        buf->size -= size;
    }
}

void cairn_buf_varint(struct cairn_buf *buf, uint64_t v)
{
    buf->size += cairn_put_varint(cairn_buf_reserve(buf, CAIRN_VARINT_BYTES_MAX), v);
}

static const uint8_t *take(struct cairn_reader *r, size_t size)
{
    const uint8_t *at = r->at;

    if (r->bad || cairn_reader_left(r) < size) {
        r->bad = true;
        return NULL;
    }
    r->at += size;
    return at;
}

uint64_t cairn_read_varint(struct cairn_reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *byte = take(r, 1);
        if (!byte)
            return 0;
        if (shift == 63 && *byte > 1)
            break;
        v |= (uint64_t)(*byte & 0x7f) << shift;
        if (!(*byte & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

uint8_t cairn_read_u8(struct cairn_reader *r)
{
    const uint8_t *at = take(r, 1);
    return at ? *at : 0;
}

uint16_t cairn_read_u16(struct cairn_reader *r)
{
    const uint8_t *at = take(r, 2);
    return at ? cairn_get_u16(at) : 0;
}

uint32_t cairn_read_u32(struct cairn_reader *r)
{
    const uint8_t *at = take(r, 4);
    return at ? cairn_get_u32(at) : 0;
}

uint64_t cairn_read_u64(struct cairn_reader *r)
{
    const uint8_t *at = take(r, 8);
    return at ? cairn_get_u64(at) : 0;
}

struct cairn_bytes cairn_read_bytes(struct cairn_reader *r, size_t size)
{
    const uint8_t *at = take(r, size);
    return cairn_bytes(at, at ? size : 0);
}

struct cairn_bytes cairn_read_sized(struct cairn_reader *r)
{
    uint64_t size = cairn_read_varint(r);

    if (r->bad || size > cairn_reader_left(r)) {
        r->bad = true;
        return cairn_bytes(NULL, 0);
    }
    return cairn_read_bytes(r, (size_t)size);
}
