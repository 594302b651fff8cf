/* s3_internal.h - what the parts of the S3 store share: s3.c, s3_file.c and s3_list.c say what is asked for,
 * s3_request.c asks until there is an answer to believe, s3_xml.c reads answers. */
#ifndef CAIRN_BLOB_S3_INTERNAL_H
#define CAIRN_BLOB_S3_INTERNAL_H

#include <pthread.h>

#include "blob/blob_internal.h"

enum {
    S3_IDLE_MAX = 8, /* connections kept */
    S3_ETAG_BYTES = 128,
    S3_TOKEN_BYTES = 33, /* 128 random bits in hexadecimal */
    S3_HEADERS_MAX = 4,
    S3_XML_TEXT_BYTES = 4096, /* the longest text of one element that is read */
};

struct s3 {
    struct cairn_blob base;
    char *endpoint; /* http://host:port */
    char *bucket;
    char *prefix;                          /* "" or ending with '/' */
    char *signing;                         /* what libcurl signs for: "aws:amz:REGION:s3" */
    char *key_id, *secret, *session_token; /* the last may be NULL */
    char *authorities;                     /* a file of certificates instead of the system's; may be NULL */
    struct blob_s3_options options;

    pthread_mutex_t lock;    /* of what follows */
    void *idle[S3_IDLE_MAX]; /* CURL *: each has a connection that is open still */
    unsigned idle_count;
};

static inline struct s3 *s3_of(struct cairn_blob *blob)
{
    return (struct s3 *)(void *)blob; /* its first member */
}

/* Answers that are no success and that a request knows what to do with. */
enum s3_accept {
    S3_MISSING = 1, /* 404: no such object, no such upload */
    S3_EXISTS = 2,  /* 412: the condition does not hold */
    S3_RANGE = 4,   /* 416: the object has no such bytes */
};

struct s3_request {
    const char *method;
    const char *name;                    /* of an object, below the prefix; NULL: the bucket */
    const char *query;                   /* NULL, or escaped and in the order of names, as it is signed */
    const char *headers[S3_HEADERS_MAX]; /* "name:value", the name in lower case */
    unsigned accept;                     /* enum s3_accept */
    unsigned tries, stall_ms;            /* 0: the options' */
    bool ranged;                         /* GET of the bytes from `from` on, at most range_bytes of them */
    uint64_t from, range_bytes;

    /* The body that is sent: body_bytes of it, read in any order, more than once. */
    uint64_t body_bytes;
    enum cairn_code (*give)(void *context, uint64_t at, void *to, size_t size, struct cairn_err *err);
    /* The body of a success, in order from 0; again from 0 when there is another try.  `total` is the object's size,
     * UINT64_MAX if it is not known.  NULL: it is gathered in the response. */
    enum cairn_code (*take)(void *context, uint64_t at, uint64_t total, const void *data, size_t size,
                            struct cairn_err *err);
    /* Bytes of either that have moved in this try.  May be NULL. */
    void (*moved)(void *context, uint64_t bytes);
    void *context;
    /* Reads the gathered body of a success; false if it is not what it should be.  May be NULL. */
    bool (*read)(void *answer, struct cairn_bytes body);
    void *answer;
};

struct s3_response {
    long status;
    uint64_t length;            /* of the body that was announced: of a HEAD, of the object */
    uint64_t range_from, total; /* of 206 */
    char etag[S3_ETAG_BYTES];   /* "" if there was none */
    char token[S3_TOKEN_BYTES]; /* of an object that we made */
    char region[64];            /* where the bucket is, if it is elsewhere */
    int64_t date_ms;            /* the store's clock, Unix time; -1: not told */
    struct cairn_buf body;      /* unless it was taken */
};

/* Asks until there is an answer or no hope.  CAIRN_OK: the status is of success (the body is there as a whole), or one
 * that the request accepts.  The response is to be done with in any case. */
enum cairn_code s3_ask(struct s3 *s3, const struct s3_request *request, struct s3_response *response,
                       struct cairn_err *err);
void s3_response_done(struct s3_response *response); /* frees the body and leaves the rest */
/* Before the first request of a process. */
enum cairn_code s3_request_init(struct cairn_err *err);
/* The connections that are kept. */
void s3_request_done(struct s3 *s3);

/* Parts of letters, digits, '.', '-' and '_' between '/', none of them empty, "." or "..". */
bool s3_is_name(const char *name);
enum cairn_code s3_check_name(const char *name, struct cairn_err *err); /* CAIRN_EINVAL */
/* A token that no other object has: metadata by which its maker knows an object again. */
void s3_draw_token(char token[S3_TOKEN_BYTES]);
#define S3_TOKEN_HEADER "x-amz-meta-cairn"
/* Appends text as a part of a query, as signatures want it. */
void s3_add_escaped(struct cairn_buf *to, const char *text);

/* What an object is: its length and token, or that it is not there (status 404).  The response has no body. */
enum cairn_code s3_head(struct s3 *s3, const char *name, struct s3_response *response, struct cairn_err *err);
/* A request's give, whose context is a struct cairn_bytes. */
enum cairn_code s3_give_bytes(void *context, uint64_t at, void *to, size_t size, struct cairn_err *err);
enum cairn_code s3_no_such(const struct s3 *s3, const char *name, struct cairn_err *err); /* CAIRN_ENOTFOUND */

/* Operations of the vtable. */
enum cairn_code s3_put_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                            const struct cairn_blob_progress *progress, struct cairn_err *err);
enum cairn_code s3_get_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                            const struct cairn_blob_progress *progress, struct cairn_err *err);
enum cairn_code s3_list(struct cairn_blob *blob, const char *folder,
                        void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms), void *context,
                        struct cairn_err *err);

/* Walks through a document.  When an element ends, visit is told its path ("ListBucketResult/Contents/Key") and its
 * text, decoded, which is NULL when it has elements inside.  False: not well-formed, cut off, or not what S3 would
 * write (a DTD, CDATA, much nesting, long texts); visit may have been called before that was seen. */
bool s3_xml_walk(struct cairn_bytes xml, void (*visit)(void *context, const char *path, const char *text),
                 void *context);
/* Appends text as the content of an element. */
void s3_xml_escape(struct cairn_buf *to, const char *text);

#endif
