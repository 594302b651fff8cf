#include "proto/errors.h"

#define NONE    CAIRN_EFFECTS_NONE
#define SOME    CAIRN_EFFECTS_SOME
#define UNKNOWN CAIRN_EFFECTS_UNKNOWN

/* The last row is for codes that methods make up. */
static const struct cairn_error_meaning meanings[CAIRN_CODE_COUNT + 1] = {
    [CAIRN_OK] = {200, NONE, CAIRN_RETRY_NO},         [CAIRN_EINVAL] = {400, SOME, CAIRN_RETRY_NO},
    [CAIRN_ENOTYPE] = {404, NONE, CAIRN_RETRY_NO},    [CAIRN_ENOMETHOD] = {404, NONE, CAIRN_RETRY_NO},
    [CAIRN_ENOTPUBLIC] = {403, NONE, CAIRN_RETRY_NO}, [CAIRN_ENOTREADONLY] = {405, SOME, CAIRN_RETRY_NO},
    [CAIRN_ENOTDETERM] = {500, SOME, CAIRN_RETRY_NO}, [CAIRN_ENOTFOUND] = {404, NONE, CAIRN_RETRY_NO},
    [CAIRN_ELIMIT] = {422, SOME, CAIRN_RETRY_NO},     [CAIRN_ECPU] = {500, SOME, CAIRN_RETRY_NO},
    [CAIRN_EMEMORY] = {500, SOME, CAIRN_RETRY_NO},    [CAIRN_ETRAP] = {500, SOME, CAIRN_RETRY_NO},
    [CAIRN_EMODULE] = {422, NONE, CAIRN_RETRY_NO},    [CAIRN_ECONFLICT] = {409, NONE, CAIRN_RETRY_NO},
    [CAIRN_EKEYREUSED] = {422, NONE, CAIRN_RETRY_NO}, [CAIRN_EGONE] = {410, SOME, CAIRN_RETRY_NO},
    [CAIRN_EDIVERGED] = {500, SOME, CAIRN_RETRY_NO},  [CAIRN_EINTERRUPTED] = {500, SOME, CAIRN_RETRY_NO},
    [CAIRN_ECANCELLED] = {409, SOME, CAIRN_RETRY_NO}, [CAIRN_EUNAVAILABLE] = {503, UNKNOWN, CAIRN_RETRY_YES},
    [CAIRN_EFULL] = {507, SOME, CAIRN_RETRY_YES},     [CAIRN_EOVERLOAD] = {429, NONE, CAIRN_RETRY_YES},
    [CAIRN_EQUOTA] = {429, SOME, CAIRN_RETRY_YES},    [CAIRN_ECORRUPT] = {500, SOME, CAIRN_RETRY_NO},
    [CAIRN_EIO] = {500, UNKNOWN, CAIRN_RETRY_YES},    [CAIRN_EACCES] = {403, NONE, CAIRN_RETRY_NO},
    [CAIRN_ELOCKED] = {500, NONE, CAIRN_RETRY_NO},    [CAIRN_EVERSION] = {422, NONE, CAIRN_RETRY_NO},
    [CAIRN_EAUTH] = {401, NONE, CAIRN_RETRY_NO},      [CAIRN_ENOMEM] = {500, SOME, CAIRN_RETRY_YES},
    [CAIRN_CODE_COUNT] = {422, SOME, CAIRN_RETRY_NO},
};

const struct cairn_error_meaning *cairn_error_meaning_of(enum cairn_code code)
{
    return &meanings[(unsigned)code < CAIRN_CODE_COUNT ? code : CAIRN_CODE_COUNT];
}

const struct cairn_error_meaning *cairn_error_meaning(struct cairn_bytes code)
{
    enum cairn_code known = cairn_code_by_name((const char *)code.data, code.size);

    /* A method that calls its error "ok" still failed. */
    return cairn_error_meaning_of(known == CAIRN_OK ? CAIRN_CODE_COUNT : known);
}

enum cairn_retry cairn_error_retry(const struct cairn_error_meaning *meaning, enum cairn_effects effects)
{
    if (meaning->retry == CAIRN_RETRY_NO || effects == CAIRN_EFFECTS_SOME)
        return CAIRN_RETRY_NO;
    return effects == CAIRN_EFFECTS_NONE ? CAIRN_RETRY_YES : CAIRN_RETRY_KEYED;
}

const char *cairn_http_reason(unsigned status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "";
    }
}

const char *cairn_effects_name(enum cairn_effects effects)
{
    static const char *const names[] = {"none", "some", "unknown"};

    return names[effects];
}

const char *cairn_retry_name(enum cairn_retry retry)
{
    static const char *const names[] = {"no", "yes", "with a key"};

    return names[retry];
}
