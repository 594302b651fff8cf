/* glob.h - the patterns of KEYS and SCAN, as Redis 7.0 reads them: * ? [abc] [^abc] [a-z] and a backslash before what
 * stands for itself.  It takes time in proportion to the product of both lengths at most.
 * Threads: none of its own.  Layer: cache; uses base. */
#ifndef CAIRN_CACHE_GLOB_H
#define CAIRN_CACHE_GLOB_H

#include "base/bytes.h"

/* Every byte counts; there is no folding. */
bool cairn_glob_matches(struct cairn_bytes pattern, struct cairn_bytes text);

#endif
