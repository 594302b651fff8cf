/* s3_file.c - files to and from a bucket, in parts when they are large: what fails is moved again part by part, and
 * memory holds no more than what is on its way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blob/s3_internal.h"

enum {
    PARTS_MAX = 10000, /* of one upload, says S3 */
    UPLOAD_ID_BYTES = 1024,
    TOLD_BYTES = 1 << 20,     /* between two reports of progress */
    FINISH_STALL_MS = 120000, /* S3 may take its time to put the parts together */
};

/* A part of a file that moves in either direction. */
struct mover {
    struct cairn_file *file;
    uint64_t base; /* where the part begins */
    uint64_t total, told;
    const struct cairn_blob_progress *progress;
};

static enum cairn_code give_file(void *context, uint64_t at, void *to, size_t size, struct cairn_err *err)
{
    struct mover *mover = context;

    return mover->file->disk->ops->read_at(mover->file, mover->base + at, to, size, err);
}

static enum cairn_code take_file(void *context, uint64_t at, uint64_t total, const void *data, size_t size,
                                 struct cairn_err *err)
{
    struct mover *mover = context;

    mover->total = total;
    return mover->file->disk->ops->write_at(mover->file, mover->base + at, data, size, err);
}

/* What another try moves again is not told again. */
static void moved(void *context, uint64_t bytes)
{
    struct mover *mover = context;
    uint64_t now = mover->base + bytes;

    if (!mover->progress || !mover->progress->moved || now <= mover->told)
        return;
    if (now - mover->told >= TOLD_BYTES || now == mover->total) {
        mover->told = now;
        mover->progress->moved(mover->progress->context, now, mover->total);
    }
}

static enum cairn_code put_whole(struct s3 *s3, const char *name, struct mover *mover, struct cairn_err *err)
{
    struct s3_request request = {
        .method = "PUT", .name = name, .body_bytes = mover->total, .give = give_file, .moved = moved, .context = mover};
    struct s3_response response;
    enum cairn_code code = s3_ask(s3, &request, &response, err);

    s3_response_done(&response);
    return code;
}

struct upload {
    char id[UPLOAD_ID_BYTES];
    bool finished;
};

static void read_upload(void *context, const char *path, const char *text)
{
    struct upload *upload = context;

    if (text && strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0)
        snprintf(upload->id, sizeof upload->id, "%s", strlen(text) < sizeof upload->id ? text : "");
    else if (strcmp(path, "CompleteMultipartUploadResult") == 0)
        upload->finished = true;
}

static bool read_begun(void *answer, struct cairn_bytes body)
{
    struct upload *upload = answer;

    upload->id[0] = 0;
    return s3_xml_walk(body, read_upload, upload) && upload->id[0];
}

static bool read_finished(void *answer, struct cairn_bytes body)
{
    struct upload *upload = answer;

    upload->finished = false;
    return s3_xml_walk(body, read_upload, upload) && upload->finished;
}

static enum cairn_code begin_upload(struct s3 *s3, const char *name, const char *token, struct upload *upload,
                                    struct cairn_err *err)
{
    char header[sizeof S3_TOKEN_HEADER + S3_TOKEN_BYTES];
    struct s3_request request = {
        .method = "POST", .name = name, .query = "uploads=", .headers = {header}, .read = read_begun, .answer = upload};
    struct s3_response response;
    enum cairn_code code;

    snprintf(header, sizeof header, "%s:%s", S3_TOKEN_HEADER, token);
    code = s3_ask(s3, &request, &response, err);
    s3_response_done(&response);
    return code;
}

/* The parts, and into `list` what the end of the upload must say of them. */
static enum cairn_code put_parts(struct s3 *s3, const char *name, const char *id, struct mover *mover,
                                 struct cairn_buf *list, struct cairn_err *err)
{
    uint64_t part_bytes = s3->options.part_bytes;
    enum cairn_code code = CAIRN_OK;
    unsigned number = 1;

    if (part_bytes < mover->total / PARTS_MAX + 1)
        part_bytes = mover->total / PARTS_MAX + 1;
    cairn_buf_str(list, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (mover->base = 0; code == CAIRN_OK && mover->base < mover->total; mover->base += part_bytes, number++) {
        uint64_t left = mover->total - mover->base;
        struct cairn_buf query = {0};
        struct s3_request request = {.method = "PUT",
                                     .name = name,
                                     .body_bytes = left < part_bytes ? left : part_bytes,
                                     .give = give_file,
                                     .moved = moved,
                                     .context = mover};
        struct s3_response response;

        cairn_buf_printf(&query, "partNumber=%u&uploadId=", number);
        s3_add_escaped(&query, id);
        cairn_buf_u8(&query, 0);
        request.query = (const char *)query.data;
        code = s3_ask(s3, &request, &response, err);
        if (code == CAIRN_OK && !response.etag[0])
            code = cairn_fail(err, CAIRN_EIO, "the store did not give part %u of '%s' an ETag", number, name);
        if (code == CAIRN_OK) {
            cairn_buf_printf(list, "<Part><PartNumber>%u</PartNumber><ETag>", number);
            s3_xml_escape(list, response.etag);
            cairn_buf_str(list, "</ETag></Part>");
        }
        s3_response_done(&response);
        cairn_buf_done(&query);
    }
    cairn_buf_str(list, "</CompleteMultipartUpload>");
    return code;
}

static enum cairn_code finish_upload(struct s3 *s3, const char *name, const char *query, const char *token,
                                     const struct cairn_buf *list, struct cairn_err *err)
{
    struct upload upload;
    struct cairn_bytes body = cairn_buf_bytes(list);
    struct s3_request request = {.method = "POST",
                                 .name = name,
                                 .query = query,
                                 .accept = S3_MISSING,
                                 .stall_ms = FINISH_STALL_MS,
                                 .body_bytes = body.size,
                                 .give = s3_give_bytes,
                                 .context = &body,
                                 .read = read_finished,
                                 .answer = &upload};
    struct s3_response response;
    enum cairn_code code = s3_ask(s3, &request, &response, err);
    long status = response.status;

    s3_response_done(&response);
    if (code != CAIRN_OK || status != 404)
        return code;
    /* No such upload: has an earlier try ended it, and only the answer was lost? */
    code = s3_head(s3, name, &response, err);
    s3_response_done(&response);
    if (code == CAIRN_OK && (response.status == 404 || strcmp(response.token, token) != 0))
        return cairn_fail(err, CAIRN_EIO, "the store has lost the upload of '%s%s' in bucket '%s'", s3->prefix, name,
                          s3->bucket);
    return code;
}

static enum cairn_code put_in_parts(struct s3 *s3, const char *name, struct mover *mover, struct cairn_err *err)
{
    char token[S3_TOKEN_BYTES];
    struct cairn_buf query = {0}, list = {0};
    struct upload upload;
    enum cairn_code code;

    s3_draw_token(token);
    code = begin_upload(s3, name, token, &upload, err);
    if (code != CAIRN_OK)
        return code;
    cairn_buf_str(&query, "uploadId=");
    s3_add_escaped(&query, upload.id);
    cairn_buf_u8(&query, 0);
    code = put_parts(s3, name, upload.id, mover, &list, err);
    if (code == CAIRN_OK)
        code = finish_upload(s3, name, (const char *)query.data, token, &list, err);
    if (code != CAIRN_OK) {
        /* Else the store keeps the parts, and counts them.  If it cannot be told either, its own rules must do it. */
        struct s3_request request = {
            .method = "DELETE", .name = name, .query = (const char *)query.data, .accept = S3_MISSING, .tries = 2};
        struct s3_response response;

        (void)s3_ask(s3, &request, &response, NULL);
        s3_response_done(&response);
    }
    cairn_buf_done(&query);
    cairn_buf_done(&list);
    return code;
}

enum cairn_code s3_put_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                            const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    struct s3 *s3 = s3_of(blob);
    struct mover mover = {.progress = progress};
    struct s3_response response;
    enum cairn_code code = s3_check_name(name, err);

    if (code == CAIRN_OK)
        code = disk->ops->open(disk, path, CAIRN_OPEN_READ, &mover.file, err);
    if (code != CAIRN_OK)
        return code;
    code = disk->ops->size(mover.file, &mover.total, err);
    if (code == CAIRN_OK) {
        if (mover.total <= s3->options.single_bytes)
            code = put_whole(s3, name, &mover, err);
        else
            code = put_in_parts(s3, name, &mover, err);
    }
    disk->ops->close(mover.file);
    if (code != CAIRN_OK)
        return code;
    /* Each request's bytes were checked by their hash; that they are all there is what remains. */
    code = s3_head(s3, name, &response, err);
    s3_response_done(&response);
    if (code == CAIRN_OK && (response.status == 404 || response.length != mover.total))
        code = cairn_fail(err, CAIRN_EIO, "the store has %" PRIu64 " bytes as '%s%s' in bucket '%s', of %" PRIu64,
                          response.status == 404 ? 0 : response.length, s3->prefix, name, s3->bucket, mover.total);
    return code;
}

/* Range by range, all of the same object: a later one is asked for only if the ETag is still the first one's. */
static enum cairn_code get_ranges(struct s3 *s3, const char *name, struct mover *mover, struct cairn_err *err)
{
    char condition[sizeof "if-match:" + S3_ETAG_BYTES] = "";
    uint64_t total = UINT64_MAX;

    for (mover->base = 0; mover->base < total; mover->base += s3->options.range_bytes) {
        bool first = mover->base == 0;
        struct s3_request request = {.method = "GET",
                                     .name = name,
                                     .headers = {first ? NULL : condition},
                                     .accept = first ? S3_MISSING | S3_RANGE : S3_EXISTS,
                                     .ranged = true,
                                     .from = mover->base,
                                     .range_bytes = s3->options.range_bytes,
                                     .take = take_file,
                                     .moved = moved,
                                     .context = mover};
        struct s3_response response;
        enum cairn_code code = s3_ask(s3, &request, &response, err);

        s3_response_done(&response);
        if (code == CAIRN_OK && response.status == 416) { /* an empty object has no range at all */
            request.ranged = false;
            request.accept = S3_MISSING;
            code = s3_ask(s3, &request, &response, err);
            s3_response_done(&response);
        }
        if (code != CAIRN_OK)
            return code;
        if (response.status == 404)
            return s3_no_such(s3, name, err);
        if (response.status == 412 || (!first && response.total != total))
            return cairn_fail(err, CAIRN_EIO, "'%s%s' in bucket '%s' has changed while it was read", s3->prefix, name,
                              s3->bucket);
        total = mover->total = response.total;
        if (response.status == 200) /* all of it at once */
            return CAIRN_OK;
        if (total > s3->options.range_bytes && !response.etag[0])
            return cairn_fail(err, CAIRN_EIO, "the store gave '%s%s' in bucket '%s' no ETag", s3->prefix, name,
                              s3->bucket);
        snprintf(condition, sizeof condition, "if-match:%s", response.etag);
    }
    return CAIRN_OK;
}

enum cairn_code s3_get_file(struct cairn_blob *blob, const char *name, struct cairn_disk *disk, const char *path,
                            const struct cairn_blob_progress *progress, struct cairn_err *err)
{
    struct mover mover = {.progress = progress};
    uint64_t bytes;
    enum cairn_code code = s3_check_name(name, err);

    if (code == CAIRN_OK) {
        code = disk->ops->remove(disk, path, err); /* what a crash left of it */
        if (code == CAIRN_ENOTFOUND)
            code = CAIRN_OK;
    }
    if (code == CAIRN_OK)
        code = disk->ops->open(disk, path, CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &mover.file, err);
    if (code != CAIRN_OK)
        return code;
    code = get_ranges(s3_of(blob), name, &mover, err);
    if (code == CAIRN_OK)
        code = disk->ops->size(mover.file, &bytes, err);
    if (code == CAIRN_OK && bytes != mover.total) /* a try that failed had begun with another, longer object */
        code = cairn_fail(err, CAIRN_EIO, "'%s' has changed while it was read", name);
    if (code == CAIRN_OK)
        code = disk->ops->sync(mover.file, err);
    disk->ops->close(mover.file);
    if (code != CAIRN_OK)
        disk->ops->remove(disk, path, NULL);
    return code;
}
