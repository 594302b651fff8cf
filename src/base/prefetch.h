/* prefetch.h - asking for memory before it is needed.
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_PREFETCH_H
#define CAIRN_BASE_PREFETCH_H

/* The line at an address comes while other things are done, and no other core has it any more: it is about to be
 * written to.  Any address will do, also one where nothing is. */
static inline void cairn_prefetch_to_write(const void *at)
{
#ifdef __x86_64__
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at)); /* __builtin_prefetch asks to read only */
#else
    __builtin_prefetch(at, 1);
#endif
}

#endif
