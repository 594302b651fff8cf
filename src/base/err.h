/* err.h - the one set of error codes, and the text that goes with a failure.
 *
 * Every function that can fail returns enum cairn_code and takes a caller-owned
 * struct cairn_err last.  The cause is written first and context is appended, so
 * truncation never loses the cause.  Foreign codes (errno, runtime, TLS) are
 * translated where they enter.
 * The codes themselves are in the header for embedders.
 * Threads: a struct cairn_err belongs to its caller.  Layer: base, uses nothing. */
#ifndef CAIRN_BASE_ERR_H
#define CAIRN_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "cairn/err.h"

/* What may have happened when a request's error is seen; each includes those before it. */
enum cairn_effects {
    CAIRN_EFFECTS_NONE,    /* nothing has changed */
    CAIRN_EFFECTS_SOME,    /* what was committed before the failure stays; the segment that failed left nothing */
    CAIRN_EFFECTS_UNKNOWN, /* what was committed may or may not be there after a restart */
};

/* The code with that name; CAIRN_CODE_COUNT when there is none. */
enum cairn_code cairn_code_by_name(const char *name, size_t bytes);

/* Sets code and text (err may be NULL) and returns the code. */
enum cairn_code cairn_fail(struct cairn_err *err, enum cairn_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* No failure yet.  Cheaper than zeroing all of the text, where it is done for each request. */
static inline void cairn_err_clear(struct cairn_err *err)
{
    err->code = CAIRN_OK;
    err->text[0] = 0;
}

/* Appends " while ..." to the text and returns err->code; err must hold a failure. */
enum cairn_code cairn_while(struct cairn_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Translates an errno value: EACCES/EPERM/EROFS, ENOSPC/EDQUOT/EFBIG, ENOMEM, ENOENT, else CAIRN_EIO. */
enum cairn_code cairn_fail_errno(struct cairn_err *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
