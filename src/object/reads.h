/* reads.h - what else a result was made of: the objects that calls have read, each as it was then (cache.h).
 *
 * A read is the object's struct in memory, numbered for good, and the record that changed it last.  It is the newest
 * while the worker has that struct, and that record is its last.
 * Threads: the worker's, to which all of the objects belong.  Layer: object (private). */
#ifndef CAIRN_OBJECT_READS_H
#define CAIRN_OBJECT_READS_H

#include <stdbool.h>

#include "base/bytes.h"
#include "object/dependency.h"

struct cairn_worker;
struct object;

enum { READS_BYTES_MAX = 16 << 10 };

/* In `to`; false: they have too many bytes. */
bool reads_add(struct cairn_buf *to, const struct object *object);
bool reads_add_all(struct cairn_buf *to, struct cairn_bytes reads);
bool reads_are_newest(const struct cairn_worker *worker, struct cairn_bytes reads);
/* The result depends on what each of them depends on. */
void reads_join(struct cairn_bytes reads, struct dependency *depends);

#endif
