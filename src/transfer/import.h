/* import.h - a stream (stream.h) into a new data folder, of any engine and number of shards.
 *
 *   open -> add ... -> finish
 *
 * While it is under way the folder holds a file IMPORT and every opening of it is refused; finish removes that last,
 * when all is durable.  So a folder that was imported in part never passes for a whole one.
 * All of the stream is checked as it comes: any program may have written it.
 * Threads: the caller's; it blocks.  Layer: transfer; uses base, io, engine, shard, fn and object. */
#ifndef CAIRN_TRANSFER_IMPORT_H
#define CAIRN_TRANSFER_IMPORT_H

#include "shard/fill.h"
#include "transfer/stream.h"

struct cairn_import;

/* `store` with disk, clock, tasks, engine, shards and the log's `threaded`; 0 and NULL mean what they mean there.
 * CAIRN_ECONFLICT: it is no new folder. */
enum cairn_code cairn_import_open(const struct cairn_store_options *store, struct cairn_import **ret_import,
                                  struct cairn_err *err);
/* The stream's next bytes. */
enum cairn_code cairn_import_add(struct cairn_import *import, struct cairn_bytes bytes, struct cairn_err *err);
/* All of the stream was added.  Frees in any case.  *ret_counts is set on success; may be NULL. */
enum cairn_code cairn_import_finish(struct cairn_import *import, struct stream_counts *ret_counts,
                                    struct cairn_err *err);
/* After a failure: the folder stays refused.  Accepts NULL. */
void cairn_import_abandon(struct cairn_import *import);
const struct stream_counts *cairn_import_counts(const struct cairn_import *import);

#endif
