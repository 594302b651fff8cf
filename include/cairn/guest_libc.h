/* guest_libc.h - functions of the C library and of compiler-rt that clang calls by itself; guest.h includes it.
 * Loads and stores of WebAssembly need no alignment. */
#ifndef CAIRN_GUEST_LIBC_H
#define CAIRN_GUEST_LIBC_H

struct __attribute__((packed, may_alias)) cairn_word_ {
    uint64_t v;
};

#define CAIRN_NO_IDIOM_ __attribute__((weak, no_builtin)) /* a loop that copies must not become a call of itself */

CAIRN_NO_IDIOM_ void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = (uint8_t *)to;
    const uint8_t *f = (const uint8_t *)from;

    for (; size >= 32; size -= 32, t += 32, f += 32) {
        uint64_t a = ((const struct cairn_word_ *)f)[0].v, b = ((const struct cairn_word_ *)f)[1].v;
        uint64_t c = ((const struct cairn_word_ *)f)[2].v, d = ((const struct cairn_word_ *)f)[3].v;

        ((struct cairn_word_ *)t)[0].v = a;
        ((struct cairn_word_ *)t)[1].v = b;
        ((struct cairn_word_ *)t)[2].v = c;
        ((struct cairn_word_ *)t)[3].v = d;
    }
    for (; size >= 8; size -= 8, t += 8, f += 8)
        ((struct cairn_word_ *)t)->v = ((const struct cairn_word_ *)f)->v;
    for (; size > 0; size--)
        *t++ = *f++;
    return to;
}

CAIRN_NO_IDIOM_ void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *t = (uint8_t *)to;
    const uint8_t *f = (const uint8_t *)from;

    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size); /* forward is safe */
    for (; size >= 8; size -= 8)
        ((struct cairn_word_ *)(t + size - 8))->v = ((const struct cairn_word_ *)(f + size - 8))->v;
    for (; size > 0; size--)
        t[size - 1] = f[size - 1];
    return to;
}

CAIRN_NO_IDIOM_ void *memset(void *at, int byte, size_t size)
{
    uint8_t *t = (uint8_t *)at;
    uint64_t word = (uint8_t)byte * 0x0101010101010101u;

    for (; size >= 8; size -= 8, t += 8)
        ((struct cairn_word_ *)t)->v = word;
    for (; size > 0; size--)
        *t++ = (uint8_t)byte;
    return at;
}

CAIRN_NO_IDIOM_ int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

    for (; size >= 8 && ((const struct cairn_word_ *)x)->v == ((const struct cairn_word_ *)y)->v; size -= 8)
        x += 8, y += 8;
    for (; size > 0; size--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

CAIRN_NO_IDIOM_ size_t strlen(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

/* The low 128 bits of a product: __builtin_mul_overflow of 64-bit integers is a call of this. */
CAIRN_NO_IDIOM_ __int128 __multi3(__int128 a, __int128 b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    uint64_t low = (x & UINT32_MAX) * (y & UINT32_MAX), one = (x >> 32) * (y & UINT32_MAX) + (low >> 32);
    uint64_t two = (x & UINT32_MAX) * (y >> 32) + (one & UINT32_MAX);
    uint64_t high = (x >> 32) * (y >> 32) + (one >> 32) + (two >> 32);

    high += x * (uint64_t)((unsigned __int128)b >> 64) + y * (uint64_t)((unsigned __int128)a >> 64);
    return (__int128)((unsigned __int128)high << 64 | (two << 32 | (low & UINT32_MAX)));
}

#endif
