/* previous.h - a blob store of the format before this one, to be read and nothing else; see shard/previous.h, with
 * which this goes when the next format comes.
 *
 * It is translated: versions, chunks of the log and the head are written anew above it, runs and modules are as they
 * were.
 * Layer: history. */
#ifndef CAIRN_HISTORY_PREVIOUS_H
#define CAIRN_HISTORY_PREVIOUS_H

#include "blob/blob.h"

/* Whether a blob store has that format. */
enum cairn_code previous_is_archive(struct cairn_blob *blob, bool *ret_previous, struct cairn_err *err);
/* A blob store that leaves the one below it as it is (cairn_blob_over): if that is of the previous format, it is made
 * what this program reads.  *ret_previous: it was. */
enum cairn_code cairn_previous_translate(struct cairn_blob *over, bool *ret_previous, struct cairn_err *err);

#endif
