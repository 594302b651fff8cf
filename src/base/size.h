/* size.h - sizes in bytes as people write them: 64MiB, 1gb, 4096.
 * Threads: none of its own.  Layer: base. */
#ifndef CAIRN_BASE_SIZE_H
#define CAIRN_BASE_SIZE_H

#include "base/bytes.h"

/* Digits and a unit, in any case: none or b; KiB, MiB, GiB, TiB, for which kb, mb, gb, tb stand as well; or k, m, g, t,
 * of 1,000, as Redis reads them.  False: it is not like that, or needs more than 63 bits. */
bool cairn_size_parse(struct cairn_bytes text, uint64_t *ret_bytes);

/* "64 MiB", "1.5 GiB" */
enum { CAIRN_SIZE_TEXT_BYTES = 32 };
const char *cairn_size_text(uint64_t bytes, char text[CAIRN_SIZE_TEXT_BYTES]);

#endif
