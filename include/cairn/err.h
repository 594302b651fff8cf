/* err.h - the error codes of cairn's C interfaces, and the text that goes with a failure.
 *
 * A function that can fail returns enum cairn_code and takes a struct cairn_err of the caller last.
 * The text says what happened, first, then while what, and what to do. */
#ifndef CAIRN_ERR_H
#define CAIRN_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

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
    CAIRN_EGONE,        /* "outcome_gone": what the keyed request returned the first time is not kept any more */
    CAIRN_EINTERRUPTED, /* "interrupted": a crash or stop cut the keyed invocation off */
    CAIRN_EDIVERGED,    /* "diverged": a durable method, run again, did something else than its journal has */
    CAIRN_ECANCELLED,   /* "cancelled": the durable invocation was cancelled */
    CAIRN_EUNAVAILABLE, /* "unavailable": outcome unknown; node stopping, or its log failed */
    CAIRN_EFULL,        /* "disk_full": refused before running; heals when there is room */
    CAIRN_EOVERLOAD,    /* "overloaded": refused before running; try again */
    CAIRN_EQUOTA,       /* "quota": a limit of the namespace is reached; refused before running; try again */
    CAIRN_ECORRUPT,     /* "corrupt": stored bytes fail their check */
    CAIRN_EIO,          /* "io": the operating system failed a call */
    CAIRN_EACCES,       /* "permission" */
    CAIRN_ELOCKED,      /* "locked": another node holds the data folder */
    CAIRN_EVERSION,     /* "version": unknown format, protocol or ABI number */
    CAIRN_EAUTH,        /* "auth": credentials missing, refused, or offered where there are none */
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

#ifdef __cplusplus
}
#endif

#endif
