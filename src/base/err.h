/* err.h - the one set of error codes, and the text that goes with a failure.
 *
 * Every function that can fail returns enum cairn_code and takes a caller-owned
 * struct cairn_err last.  The cause is written first and context is appended, so
 * truncation never loses the cause.  Foreign codes (errno, runtime, TLS) are
 * translated where they enter.
 * Threads: a struct cairn_err belongs to its caller.  Layer: base, uses nothing. */
#ifndef CAIRN_BASE_ERR_H
#define CAIRN_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* The names in cairn_code_name() are what users see on the wire: stable for good. */
enum cairn_code {
    CAIRN_OK = 0,
    CAIRN_EINVAL,       /* "bad_request": malformed or out of range */
    CAIRN_ENOTYPE,      /* "unknown_type" */
    CAIRN_ENOMETHOD,    /* "unknown_method" */
    CAIRN_ENOTPUBLIC,   /* "not_public": an internal method was called from outside its module */
    CAIRN_ENOTREADONLY, /* "not_read_only": a mutating method where only reading is allowed */
    CAIRN_ENOTDETERM,   /* "not_deterministic": a deterministic method did what it must not */
    CAIRN_ENOTFOUND,    /* "not_found" */
    CAIRN_ELIMIT,       /* "limit": depth, calls, queue, size; the message names the limit */
    CAIRN_ECPU,         /* "cpu_limit": the invocation's CPU time ran out */
    CAIRN_EMEMORY,      /* "memory_limit": the instance may not grow further */
    CAIRN_ETRAP,        /* "trap": the function trapped */
    CAIRN_EMODULE,      /* "bad_module": deploy refused */
    CAIRN_ECONFLICT,    /* "conflict": a name or a field's kind is taken; module in use */
    CAIRN_EKEYREUSED,   /* "key_reused": idempotency key seen with other arguments */
    CAIRN_EINTERRUPTED, /* "interrupted": a crash or stop cut the keyed invocation off */
    CAIRN_EUNAVAILABLE, /* "unavailable": outcome unknown; node stopping, or its log failed */
    CAIRN_EFULL,        /* "disk_full": refused before running; heals when there is room */
    CAIRN_EOVERLOAD,    /* "overloaded": refused before running; try again */
    CAIRN_ECORRUPT,     /* "corrupt": stored bytes fail their check */
    CAIRN_EIO,          /* "io": the operating system failed a call */
    CAIRN_EACCES,       /* "permission" */
    CAIRN_ELOCKED,      /* "locked": another node holds the data folder */
    CAIRN_EVERSION,     /* "version": unknown format, protocol or ABI number */
    CAIRN_EAUTH,        /* "auth": credentials offered or required where there are none */
    CAIRN_ENOMEM,       /* "no_memory" */
    CAIRN_CODE_COUNT
};

enum { CAIRN_ERR_TEXT_BYTES = 512 };

struct cairn_err {
    enum cairn_code code;
    char text[CAIRN_ERR_TEXT_BYTES];
};

/* Stable lower-case name, e.g. "key_reused"; "ok" for CAIRN_OK. */
const char *cairn_code_name(enum cairn_code code);

/* The code with that name; CAIRN_CODE_COUNT when there is none. */
enum cairn_code cairn_code_by_name(const char *name, size_t bytes);

/* Sets code and text (err may be NULL) and returns the code. */
enum cairn_code cairn_fail(struct cairn_err *err, enum cairn_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends " while ..." to the text and returns err->code; err must hold a failure. */
enum cairn_code cairn_while(struct cairn_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Translates an errno value: EACCES/EPERM/EROFS, ENOSPC/EDQUOT, ENOMEM, ENOENT, else CAIRN_EIO. */
enum cairn_code cairn_fail_errno(struct cairn_err *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
