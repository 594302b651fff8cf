/* sink.h - a file that text is appended to, or standard error: a log for people.
 *
 * A pipe or terminal whose other side does not read never holds a write for longer than it says.
 * Threads: one at a time.  Layer: io; uses base. */
#ifndef CAIRN_IO_SINK_H
#define CAIRN_IO_SINK_H

#include "base/bytes.h"
#include "base/err.h"

struct cairn_sink;

/* path NULL: standard error, which is not closed. */
enum cairn_code cairn_sink_open(const char *path, struct cairn_sink **ret_sink, struct cairn_err *err);
/* Opens the path again, after the file was moved away.  If that fails, goes on with the one it has. */
enum cairn_code cairn_sink_reopen(struct cairn_sink *sink, struct cairn_err *err);
/* How many bytes were taken: fewer on an error (*ret_errno), or if nothing more could be written for wait_ms (0). */
size_t cairn_sink_write(struct cairn_sink *sink, struct cairn_bytes bytes, int wait_ms, int *ret_errno);
/* All of it, or what a file had before; a pipe or terminal may have got a part. */
enum cairn_code cairn_sink_write_whole(struct cairn_sink *sink, struct cairn_bytes bytes, int wait_ms,
                                       struct cairn_err *err);
struct cairn_sink *cairn_sink_close(struct cairn_sink *sink); /* accepts NULL; returns NULL */

#endif
