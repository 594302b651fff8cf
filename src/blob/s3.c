/* s3.c - S3 services: not there yet. */
#include "blob/blob_internal.h"

enum cairn_code blob_s3_open(const char *url, struct cairn_blob **ret_blob, struct cairn_err *err)
{
    (void)ret_blob;
    return cairn_fail(err, CAIRN_EINVAL, "'%s': S3 is not there yet", url);
}
