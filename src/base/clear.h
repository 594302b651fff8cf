/* clear.h - zeroing some hundred bytes whose number is known when the program is compiled.
 *
 * gcc makes one instruction of such a memset, `rep stos`, whose start alone takes longer than all of the library's
 * memset: 35 ns instead of 8 for 632 bytes on an EPYC of 2021.  So the number is hidden from it here.
 * Threads: any.  Layer: base. */
#ifndef CAIRN_BASE_CLEAR_H
#define CAIRN_BASE_CLEAR_H

#include <stddef.h>
#include <string.h>

static inline void cairn_clear(void *at, size_t bytes)
{
    __asm__("" : "+r"(bytes));
    memset(at, 0, bytes);
}

#endif
