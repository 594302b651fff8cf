/* blob_internal.h - what the kinds of blob stores share. */
#ifndef CAIRN_BLOB_BLOB_INTERNAL_H
#define CAIRN_BLOB_BLOB_INTERNAL_H

#include "blob/blob.h"

/* How S3 is spoken to.  A field that is 0 has its default: blob_s3_defaults.  Tests have others. */
struct blob_s3_options {
    unsigned tries;        /* of one request, the first included */
    unsigned pause_ms;     /* before the second try; doubled before each further one, then shortened by chance */
    unsigned pause_ms_max; /* what doubling ends at */
    unsigned total_ms;     /* after which no further try of a request begins */
    unsigned connect_ms;   /* for a connection to come about */
    unsigned stall_ms;     /* that nothing moves, whole seconds, until a try is given up */
    uint64_t single_bytes; /* a file up to this is put by one request, a larger one in parts */
    uint64_t part_bytes;   /* of such an upload; more if there would be too many.  S3 wants 5 MiB at least */
    uint64_t range_bytes;  /* that one request of get_file asks for */
};

extern const struct blob_s3_options blob_s3_defaults;

/* The path of the folder that a URL, which is not of S3, names; appended with its NUL. */
enum cairn_code blob_folder_of(const char *url, struct cairn_buf *path, struct cairn_err *err);
enum cairn_code blob_s3_open(const char *url, struct cairn_blob **ret_blob, struct cairn_err *err);
/* options: NULL for the defaults. */
enum cairn_code blob_s3_open_with(const char *url, const struct blob_s3_options *options, struct cairn_blob **ret_blob,
                                  struct cairn_err *err);

#endif
