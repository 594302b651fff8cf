#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[CAIRN_CODE_COUNT] = {
    [CAIRN_OK] = "ok",
    [CAIRN_EINVAL] = "bad_request",
    [CAIRN_ENOTYPE] = "unknown_type",
    [CAIRN_ENOMETHOD] = "unknown_method",
    [CAIRN_ENOTPUBLIC] = "not_public",
    [CAIRN_ENOTREADONLY] = "not_read_only",
    [CAIRN_ENOTDETERM] = "not_deterministic",
    [CAIRN_ENOTFOUND] = "not_found",
    [CAIRN_ELIMIT] = "limit",
    [CAIRN_ECPU] = "cpu_limit",
    [CAIRN_EMEMORY] = "memory_limit",
    [CAIRN_ETRAP] = "trap",
    [CAIRN_EMODULE] = "bad_module",
    [CAIRN_ECONFLICT] = "conflict",
    [CAIRN_EKEYREUSED] = "key_reused",
    [CAIRN_EGONE] = "outcome_gone",
    [CAIRN_EINTERRUPTED] = "interrupted",
    [CAIRN_EDIVERGED] = "diverged",
    [CAIRN_ECANCELLED] = "cancelled",
    [CAIRN_EUNAVAILABLE] = "unavailable",
    [CAIRN_EFULL] = "disk_full",
    [CAIRN_EOVERLOAD] = "overloaded",
    [CAIRN_EQUOTA] = "quota",
    [CAIRN_ECORRUPT] = "corrupt",
    [CAIRN_EIO] = "io",
    [CAIRN_EACCES] = "permission",
    [CAIRN_ELOCKED] = "locked",
    [CAIRN_EVERSION] = "version",
    [CAIRN_EAUTH] = "auth",
    [CAIRN_ENOMEM] = "no_memory",
};

const char *cairn_code_name(enum cairn_code code)
{
    return (unsigned)code < CAIRN_CODE_COUNT ? names[code] : "unknown";
}

enum cairn_code cairn_code_by_name(const char *name, size_t bytes)
{
    for (unsigned i = 0; i < CAIRN_CODE_COUNT; i++)
        if (strlen(names[i]) == bytes && memcmp(names[i], name, bytes) == 0)
            return (enum cairn_code)i;
    return CAIRN_CODE_COUNT;
}

enum cairn_code cairn_fail(struct cairn_err *err, enum cairn_code code, const char *format, ...)
{
    va_list args;

    if (!err)
        return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

enum cairn_code cairn_while(struct cairn_err *err, const char *format, ...)
{
    static const char join[] = " while ";
    va_list args;
    size_t used;

    if (!err)
        return CAIRN_EIO;
    used = strlen(err->text);
    if (used + sizeof join < sizeof err->text) {
        memcpy(err->text + used, join, sizeof join);
        used += sizeof join - 1;
        va_start(args, format);
        vsnprintf(err->text + used, sizeof err->text - used, format, args);
        va_end(args);
    }
    return err->code;
}

static enum cairn_code code_of_errno(int errno_value)
{
    switch (errno_value) {
    case EACCES:
    case EPERM:
    case EROFS:
        return CAIRN_EACCES;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CAIRN_EFULL;
    case ENOMEM:
        return CAIRN_ENOMEM;
    case ENOENT:
        return CAIRN_ENOTFOUND;
    default:
        return CAIRN_EIO;
    }
}

enum cairn_code cairn_fail_errno(struct cairn_err *err, int errno_value, const char *format, ...)
{
    enum cairn_code code = code_of_errno(errno_value);
    va_list args;
    size_t used;

    if (!err)
        return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errno_value));
    return code;
}
