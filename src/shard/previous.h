/* previous.h - the format before this one, to be read and nothing else, so that `cairn export` leads out of it.
 *
 * A data folder of it differs in FORMAT and in which shard an object is in, and is opened as it is, over a disk that
 * leaves it as it is (cairn_store_options.previous).  A blob store of it is translated: versions, chunks of the log and
 * the head are written anew above it, runs and modules are as they were.
 *
 * The format: docs/formats as of commit 265e829.  All that knows of it is in this file, previous.c, previous_blob.c
 * and their tests, but for the member of the options and the places that ask for it; it goes when the next format
 * comes. Layer: shard. */
#ifndef CAIRN_SHARD_PREVIOUS_H
#define CAIRN_SHARD_PREVIOUS_H

#include "blob/blob.h"

/* The FORMAT of a folder with that format.  False: it is not one. */
bool previous_format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine);
/* Whether a blob store has it. */
enum cairn_code previous_is_archive(struct cairn_blob *blob, bool *ret_previous, struct cairn_err *err);
/* A blob store that leaves the one below it as it is (cairn_blob_over): if that is of the previous format, it is made
 * what this program reads.  *ret_previous: it was. */
enum cairn_code cairn_previous_translate(struct cairn_blob *over, bool *ret_previous, struct cairn_err *err);

#endif
