/* previous.h - the data folder of the format before this one, to be read and nothing else, so that `cairn export` leads
 * out of it.
 *
 * It differs in FORMAT and in which shard an object is in, and is opened as it is, over a disk that leaves it as it is
 * (cairn_store_options.previous).
 *
 * The format: docs/formats as of commit 265e829.  All that knows of it is in this file, previous.c, history's
 * previous.h and previous_blob.c, and their tests, but for the member of the options and the places that ask for it: it
 * goes in one piece when the next format comes.
 * Layer: shard (private). */
#ifndef CAIRN_SHARD_PREVIOUS_H
#define CAIRN_SHARD_PREVIOUS_H

#include "base/bytes.h"

/* The FORMAT of a folder with that format.  False: it is not one. */
bool previous_format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine);

#endif
