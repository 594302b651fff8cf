/* resp_internal.h - a Redis client's session and its commands; seen inside server/ only. */
#ifndef CAIRN_SERVER_RESP_INTERNAL_H
#define CAIRN_SERVER_RESP_INTERNAL_H

#include "server/session_internal.h"

struct cairn_resp_session {
    struct cairn_session session; /* first */
    struct cairn_resp_parser parser;
    int version;                            /* 2 or 3 */
    char *name, *library, *library_version; /* as the client says; NULL: not said */
    struct cairn_resp_multi *multi;         /* from MULTI to the end of EXEC; otherwise NULL */
    struct cairn_traceparent parent;        /* of the next FCALL or EXEC (resp_job.c); no job: none was asked for */
    size_t multi_bytes;                     /* of its calls */
    struct cairn_resp_watches {
        struct cairn_resp_watch *first;
        uint32_t count;
        size_t bytes;
        enum cairn_resp_watches_state {
            CAIRN_RESP_WATCHES_NONE,
            CAIRN_RESP_WATCHES_TO_ASK,
            CAIRN_RESP_WATCHES_ASKED,
        } state;      /* of a WATCH that is under way */
        bool refused; /* the next EXEC must not run anything */
    } watches;
    uint32_t database; /* SELECT's number */
    struct {
        struct space *space; /* the namespace that `first` is of, if it is known */
        uint32_t first;      /* its first database in the cache */
        bool known;
    } cache;
    struct {
        struct cairn_resp_key_watch *first;
        uint32_t count;
        size_t bytes;
    } key_watches; /* keys of the cache */
    struct {
        struct cairn_resp_large_word *words; /* of the command that is being received, or runs */
        struct cairn_resp_part *parts;       /* of the reply that is being written */
        uint32_t count, part_count;
        struct cairn_move *in, *out; /* that waits or is under way */
        struct cairn_buf text;       /* the command as far as it had come */
        struct cairn_buf key;        /* whose value is composed */
        uint32_t database;
        struct cairn_cache_state state; /* that it had */
        bool waits;                     /* for earlier replies, before `in` may begin */
        bool refused;                   /* a value of the command could not be kept, and err says why */
        struct cairn_err err;
    } large; /* resp_large.h */
};

/* What a request's value is turned into. */
enum cairn_resp_form {
    CAIRN_RESP_FORM_VALUE,
    CAIRN_RESP_FORM_OK,        /* anything but an error is OK */
    CAIRN_RESP_FORM_DEPLOYED,  /* a deploy's list: the module's name */
    CAIRN_RESP_FORM_CLIENTS,   /* no request: parts of CLIENT LIST */
    CAIRN_RESP_FORM_WATCHED,   /* OK, and what is watched is kept */
    CAIRN_RESP_FORM_EXEC,      /* a list, or EXEC's other replies */
    CAIRN_RESP_FORM_PARTS,     /* no request: text with large values */
    CAIRN_RESP_FORM_FUNCTIONS, /* pages of types: what FUNCTION LIST tells; slot->data is the pattern */
};

/* One command's words. */
struct cairn_resp_words {
    const struct cairn_resp_span *spans;
    const uint8_t *base;
    uint32_t count;
    const struct cairn_resp_large_word *large; /* those that are large values, and have no bytes here */
    uint32_t large_count;
};

static inline struct cairn_bytes cairn_resp_words_at(const struct cairn_resp_words *words, uint32_t index)
{
    return cairn_bytes(words->base + words->spans[index].offset, words->spans[index].size);
}

struct cairn_resp_command {
    const char *name;
    int arity; /* words; negative: at least */
    const char *summary;
    void (*run)(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
    /* False: refused and answered before anything runs; NULL: nothing to check besides the arity. */
    bool (*check)(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
    enum {
        CAIRN_RESP_REFUSED,
        CAIRN_RESP_AT_ONCE,
        CAIRN_RESP_QUEUED,
        CAIRN_RESP_QUEUED_READ,         /* FCALL_RO */
        CAIRN_RESP_QUEUED_KEYS,         /* with commands of the cache */
    } in_multi;                         /* between MULTI and EXEC */
    const struct cairn_resp_keys *keys; /* of the cache (resp_keys.h), and has no `run`; otherwise NULL */
};

/* True if the word is `text`, in any case. */
bool cairn_resp_word_is(struct cairn_bytes word, const char *text);
/* Shell-like pattern (* ? [...]), in any case if fold. */
bool cairn_resp_matches(const char *pattern, const char *text, bool fold);

/* A reply that needs nothing but text. */
void cairn_resp_reply_error(struct cairn_resp_session *resp, const char *prefix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cairn_resp_reply_ok(struct cairn_resp_session *resp);

bool cairn_resp_check_fcall(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_fcall(struct cairn_resp_session *resp, const struct cairn_resp_words *words, bool read_only);
/* Of words that have been checked: what they ask for, packed into `to`, which has cairn_resp_fcall_bytes. */
size_t cairn_resp_fcall_bytes(const struct cairn_resp_words *words);
void cairn_resp_pack_fcall(const struct cairn_resp_words *words, uint8_t *to, struct cairn_multi_call *ret_call,
                           struct cairn_bytes *ret_key);
/* CAIRN.SEND, with the words of FCALL, and DELAY MS before them */
bool cairn_resp_check_send(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_send(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_cancel(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_resolve(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_reject(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
/* Everything else. */
void cairn_resp_dispatch(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
/* NULL if there is no such command or it cannot be run with these words, which has been answered. */
const struct cairn_resp_command *cairn_resp_find(struct cairn_resp_session *resp, const struct cairn_resp_words *words);

/* Submits a request of `op`; name and body are copied. */
void cairn_resp_submit(struct cairn_resp_session *resp, enum cairn_op op, enum cairn_resp_form form,
                       struct cairn_bytes name, struct cairn_bytes body);
/* A page of types; the last writes the reply. */
void cairn_resp_write_functions(struct cairn_slot *slot, struct cairn_bytes page, struct cairn_buf *to);

/* resp_multi.c */
void cairn_resp_multi_take(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_multi_step(struct cairn_resp_session *resp);
void cairn_resp_multi_refuse(struct cairn_resp_session *resp); /* a command could not be queued */
void cairn_resp_multi_drop(struct cairn_resp_session *resp);
uint32_t cairn_resp_multi_count(const struct cairn_resp_session *resp);
/* False: it is written as any value. */
bool cairn_resp_write_exec(const struct cairn_slot *slot, const struct cairn_value *head, struct cairn_buf *to);
void cairn_resp_multi(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_exec(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_discard(struct cairn_resp_session *resp, const struct cairn_resp_words *words);

/* resp_watch.c */
void cairn_resp_watch(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_unwatch(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_watch_step(struct cairn_resp_session *resp);
void cairn_resp_watched(struct cairn_resp_session *resp, struct cairn_bytes value); /* the node's answer */
void cairn_resp_watches_drop(struct cairn_resp_session *resp);
void cairn_resp_key_watches_drop(struct cairn_resp_session *resp); /* resp_exec.c */
/* As a request has them: their memory, and the request with them. */
size_t cairn_resp_watches_bytes(const struct cairn_resp_session *resp);
void cairn_resp_watches_add(const struct cairn_resp_session *resp, struct cairn_multi_watch *to,
                            struct cairn_request *request);
/* What is queued and watched counts as input. */
void cairn_resp_count_aside(struct cairn_resp_session *resp);

/* resp_spaces.c */
void cairn_resp_namespace(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_default_space(struct cairn_resp_session *resp);

/* resp_job.c */
static inline void cairn_resp_take_job(struct cairn_resp_session *resp, struct cairn_request *request)
{
    if (cairn_job_id_is(resp->parent.job)) {
        request->parent = resp->parent;
        resp->parent = (struct cairn_traceparent){0};
    }
}
void cairn_resp_job(struct cairn_resp_session *resp, const struct cairn_resp_words *words);

/* resp_info.c */
void cairn_resp_info(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
void cairn_resp_config(struct cairn_resp_session *resp, const struct cairn_resp_words *words);
/* A part of CLIENT LIST. */
void cairn_resp_write_clients(struct cairn_slot *slot, struct cairn_buf *to);
void cairn_resp_client(struct cairn_resp_session *resp, const struct cairn_resp_words *words);

#endif
