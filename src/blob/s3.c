/* s3.c - a blob store that is a bucket of an S3 service: its URL, and the operations that one request does.  Files are
 * moved by s3_file.c, lists are read by s3_list.c.
 *
 * What was answered may have happened, and so may what was not: every operation can be repeated.  Two cannot by
 * themselves, and carry a random token as metadata of the object, by which they know it again: create, whose own first
 * try may be what its second one finds there, and an upload in parts, which can end only once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blob/s3_internal.h"
#include "io/clock.h"

const struct blob_s3_options blob_s3_defaults = {
    .tries = 6,
    .pause_ms = 200,
    .pause_ms_max = 5000,
    .total_ms = 90000,
    .connect_ms = 5000,
    .stall_ms = 20000,
    .single_bytes = 64 << 20,
    .part_bytes = 16 << 20,
    .range_bytes = 64 << 20,
};

/* --- names, tokens, queries -------------------------------------------------------------------- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
}

/* Parts of plain characters between '/', none of them empty, "." or "..". */
bool s3_is_name(const char *name)
{
    if (strlen(name) >= CAIRN_BLOB_NAME_BYTES)
        return false;
    for (;;) {
        size_t size = 0;

        while (is_plain(name[size]))
            size++;
        if (!size || (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        name += size;
        if (!*name)
            return true;
        if (*name++ != '/')
            return false;
    }
}

enum cairn_code s3_check_name(const char *name, struct cairn_err *err)
{
    return s3_is_name(name) ? CAIRN_OK : cairn_fail(err, CAIRN_EINVAL, "'%.80s' cannot be the name of a blob", name);
}

void s3_draw_token(char token[S3_TOKEN_BYTES])
{
    struct cairn_clock *clock = cairn_clock_system();

    snprintf(token, S3_TOKEN_BYTES, "%016" PRIx64 "%016" PRIx64, clock->entropy(clock), clock->entropy(clock));
}

/* As signatures want it: all but the unreserved, in upper-case hexadecimal. */
void s3_add_escaped(struct cairn_buf *to, const char *text)
{
    for (; *text; text++) {
        if (is_plain(*text) || *text == '~')
            cairn_buf_u8(to, (uint8_t)*text);
        else
            cairn_buf_printf(to, "%%%02X", (unsigned)(uint8_t)*text);
    }
}

/* --- requests without much of an answer ------------------------------------------------------ */

/* What an object is: its size and token, or that it is not there (status 404). */
enum cairn_code s3_head(struct s3 *s3, const char *name, struct s3_response *response, struct cairn_err *err)
{
    struct s3_request request = {.method = "HEAD", .name = name, .accept = S3_MISSING};

    return s3_ask(s3, &request, response, err);
}

enum cairn_code s3_give_bytes(void *context, uint64_t at, void *to, size_t size, struct cairn_err *err)
{
    const struct cairn_bytes *bytes = context;

    (void)err;
    memcpy(to, bytes->data + at, size);
    return CAIRN_OK;
}

static enum cairn_code s3_put(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                              struct cairn_err *err)
{
    struct s3_request request = {
        .method = "PUT", .name = name, .body_bytes = bytes.size, .give = s3_give_bytes, .context = &bytes};
    struct s3_response response;
    enum cairn_code code = s3_check_name(name, err);

    if (code != CAIRN_OK)
        return code;
    code = s3_ask(s3_of(blob), &request, &response, err);
    s3_response_done(&response);
    return code;
}

static enum cairn_code s3_create(struct cairn_blob *blob, const char *name, struct cairn_bytes bytes,
                                 struct cairn_err *err)
{
    struct s3 *s3 = s3_of(blob);
    char token[S3_TOKEN_BYTES], header[sizeof S3_TOKEN_HEADER + S3_TOKEN_BYTES];
    struct s3_request request = {.method = "PUT",
                                 .name = name,
                                 .headers = {"if-none-match:*", header},
                                 .accept = S3_EXISTS,
                                 .body_bytes = bytes.size,
                                 .give = s3_give_bytes,
                                 .context = &bytes};
    enum cairn_code code = s3_check_name(name, err);

    s3_draw_token(token);
    snprintf(header, sizeof header, "%s:%s", S3_TOKEN_HEADER, token);
    for (unsigned tries = 0; code == CAIRN_OK && tries < s3->options.tries; tries++) {
        struct s3_response response;
        long status;

        code = s3_ask(s3, &request, &response, err);
        status = response.status;
        s3_response_done(&response);
        if (code != CAIRN_OK || status != 412)
            return code;
        /* Something is there: what an earlier try of ours made, whose answer was lost, or another's? */
        code = s3_head(s3, name, &response, err);
        status = response.status;
        s3_response_done(&response);
        if (code == CAIRN_OK && status != 404)
            return strcmp(response.token, token) == 0
                       ? CAIRN_OK
                       : cairn_fail(err, CAIRN_ECONFLICT, "'%s%s' exists already in bucket '%s'", s3->prefix, name,
                                    s3->bucket);
        /* It has been removed meanwhile: once more. */
    }
    if (code == CAIRN_OK)
        code = cairn_fail(err, CAIRN_EIO, "'%s%s' in bucket '%s' comes and goes too quickly to be created", s3->prefix,
                          name, s3->bucket);
    return code;
}

static enum cairn_code s3_remove(struct cairn_blob *blob, const char *name, struct cairn_err *err)
{
    struct s3_request request = {.method = "DELETE", .name = name, .accept = S3_MISSING};
    struct s3_response response;
    enum cairn_code code = s3_check_name(name, err);

    if (code != CAIRN_OK)
        return code;
    code = s3_ask(s3_of(blob), &request, &response, err);
    s3_response_done(&response);
    return code;
}

struct getter {
    struct cairn_buf *to;
    size_t begin, max_bytes;
    const char *name;
};

static enum cairn_code take_bytes(void *context, uint64_t at, uint64_t total, const void *data, size_t size,
                                  struct cairn_err *err)
{
    struct getter *getter = context;

    if ((total != UINT64_MAX && total > getter->max_bytes) || at + size > getter->max_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "'%s' has more than %zu bytes", getter->name, getter->max_bytes);
    getter->to->size = getter->begin + (size_t)at; /* what an earlier try brought is forgotten */
    cairn_buf_add(getter->to, data, size);
    return CAIRN_OK;
}

enum cairn_code s3_no_such(const struct s3 *s3, const char *name, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ENOTFOUND, "there is no '%s%s' in bucket '%s'", s3->prefix, name, s3->bucket);
}

static enum cairn_code s3_get(struct cairn_blob *blob, const char *name, size_t max_bytes, struct cairn_buf *to,
                              struct cairn_err *err)
{
    struct s3 *s3 = s3_of(blob);
    struct getter getter = {.to = to, .begin = to->size, .max_bytes = max_bytes, .name = name};
    struct s3_request request = {
        .method = "GET", .name = name, .accept = S3_MISSING, .take = take_bytes, .context = &getter};
    struct s3_response response;
    enum cairn_code code = s3_check_name(name, err);

    if (code != CAIRN_OK)
        return code;
    code = s3_ask(s3, &request, &response, err);
    s3_response_done(&response);
    if (code == CAIRN_OK && response.status == 404)
        code = s3_no_such(s3, name, err);
    if (code != CAIRN_OK)
        to->size = getter.begin;
    else
        to->size = getter.begin + response.length; /* take was not called in the last try if it has none */
    return code;
}

/* --- opening ---------------------------------------------------------------------------------------- */

static struct cairn_blob *s3_close(struct cairn_blob *blob)
{
    struct s3 *s3 = s3_of(blob);

    s3_request_done(s3);
    pthread_mutex_destroy(&s3->lock);
    if (s3->secret)
        explicit_bzero(s3->secret, strlen(s3->secret));
    free(s3->base.url);
    free(s3->endpoint);
    free(s3->bucket);
    free(s3->prefix);
    free(s3->signing);
    free(s3->key_id);
    free(s3->secret);
    free(s3->session_token);
    free(s3->authorities);
    free(s3);
    return NULL;
}

static const struct cairn_blob_ops s3_ops = {
    .put = s3_put,
    .create = s3_create,
    .put_file = s3_put_file,
    .get = s3_get,
    .get_file = s3_get_file,
    .remove = s3_remove,
    .list = s3_list,
    .close = s3_close,
};

/* Of `size` bytes from a set, with nothing else among them. */
static bool is_of(const char *text, size_t size, const char *set)
{
    return strspn(text, set) >= size;
}

static char *copy(const char *text, size_t size)
{
    return cairn_bytes_dup(cairn_bytes(text, size));
}

static enum cairn_code set_endpoint(struct s3 *s3, const char *text, size_t size, struct cairn_err *err)
{
    static const char *const schemes[] = {"http://", "https://"};
    static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";

    if (size && text[size - 1] == '/')
        size--;
    for (size_t i = 0; i < 2; i++) {
        size_t scheme = strlen(schemes[i]);

        if (size > scheme && size < 256 && memcmp(text, schemes[i], scheme) == 0 &&
            is_of(text + scheme, size - scheme, host)) {
            free(s3->endpoint);
            s3->endpoint = copy(text, size);
            return CAIRN_OK;
        }
    }
    return cairn_fail(err, CAIRN_EINVAL, "an S3 store's endpoint is http://HOST:PORT or https://HOST, not '%.*s'",
                      (int)(size < 80 ? size : 80), text);
}

/* What is behind the '?'. */
static enum cairn_code read_parameters(struct s3 *s3, const char *at, struct cairn_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-",
                      endpoint[] = "endpoint=", region[] = "region=";
    char where[65] = "us-east-1";
    enum cairn_code code = CAIRN_OK;

    while (code == CAIRN_OK && *at) {
        size_t size = strcspn(at, "&");

        if (strncmp(at, endpoint, strlen(endpoint)) == 0) {
            code = set_endpoint(s3, at + strlen(endpoint), size - strlen(endpoint), err);
        } else if (strncmp(at, region, strlen(region)) == 0 && size > strlen(region) &&
                   size - strlen(region) < sizeof where && is_of(at + strlen(region), size - strlen(region), letters)) {
            snprintf(where, sizeof where, "%.*s", (int)(size - strlen(region)), at + strlen(region));
        } else {
            code =
                cairn_fail(err, CAIRN_EINVAL, "an S3 URL may say endpoint=http://HOST:PORT and region=NAME, not '%.*s'",
                           (int)(size < 80 ? size : 80), at);
        }
        at += size + (at[size] == '&');
    }
    if (code == CAIRN_OK) {
        struct cairn_buf text = {0};

        cairn_buf_printf(&text, "aws:amz:%s:s3", where);
        s3->signing = copy((const char *)text.data, text.size);
        if (!s3->endpoint) {
            text.size = 0;
            cairn_buf_printf(&text, "https://s3.%s.amazonaws.com", where);
            s3->endpoint = copy((const char *)text.data, text.size);
        }
        cairn_buf_done(&text);
    }
    return code;
}

static enum cairn_code read_url(struct s3 *s3, const char *url, struct cairn_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *at = url + strlen("s3://");
    size_t size = strcspn(at, "/?");

    if (size < 3 || size > 63 || !is_of(at, size, letters)) /* not shown: it may have been meant as a credential */
        return cairn_fail(err, CAIRN_EINVAL,
                          "an S3 URL is s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=NAME, with a "
                          "bucket of 3 to 63 letters, digits, '.' and '-'");
    s3->bucket = copy(at, size);
    at += size;
    at += *at == '/';
    size = strcspn(at, "?");
    s3->prefix = copy(at, size);
    while (size && s3->prefix[size - 1] == '/')
        s3->prefix[--size] = 0;
    if (size && !s3_is_name(s3->prefix))
        return cairn_fail(err, CAIRN_EINVAL,
                          "the prefix of an S3 URL is of letters, digits, '.', '-', '_' and '/', not '%.80s'",
                          s3->prefix);
    if (size) {
        s3->prefix = cairn_realloc(s3->prefix, size + 2);
        memcpy(s3->prefix + size, "/", 2);
    }
    at += strcspn(at, "?");
    return read_parameters(s3, at + (*at == '?'), err);
}

/* The environment, by the names that other clients of S3 know too. */
static enum cairn_code read_environment(struct s3 *s3, struct cairn_err *err)
{
    const char *key_id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY"),
               *token = getenv("AWS_SESSION_TOKEN"), *authorities = getenv("AWS_CA_BUNDLE");

    if (!key_id || !key_id[0] || !secret || !secret[0])
        return cairn_fail(
            err, CAIRN_EAUTH,
            "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN "
            "if they are temporary) in the environment");
    /* They become header lines. */
    if (strpbrk(key_id, "\r\n") || strpbrk(secret, "\r\n") || (token && strpbrk(token, "\r\n")))
        return cairn_fail(err, CAIRN_EAUTH, "the credentials for S3 in the environment have a line break in them");
    s3->key_id = copy(key_id, strlen(key_id));
    s3->secret = copy(secret, strlen(secret));
    if (token && token[0])
        s3->session_token = copy(token, strlen(token));
    if (authorities && authorities[0])
        s3->authorities = copy(authorities, strlen(authorities));
    return CAIRN_OK;
}

/* Does the store keep the promise that create needs?  One that does not know the condition stores the second object
 * over the first, and says so. */
static enum cairn_code probe(struct s3 *s3, struct cairn_err *err)
{
    char token[S3_TOKEN_BYTES], name[sizeof "cairn-probe/" + S3_TOKEN_BYTES];
    struct cairn_bytes text = cairn_str("May be removed: a program looked whether objects can be created once.\n");
    enum cairn_code first, second, removed;

    s3_draw_token(token);
    snprintf(name, sizeof name, "cairn-probe/%s", token);
    first = s3_create(&s3->base, name, text, err);
    if (first != CAIRN_OK)
        return first;
    second = s3_create(&s3->base, name, text, err);
    removed = s3_remove(&s3->base, name, second == CAIRN_ECONFLICT ? err : NULL);
    if (second == CAIRN_OK)
        return cairn_fail(err, CAIRN_EINVAL,
                          "the store at %s creates what exists already: it does not know the condition "
                          "If-None-Match, without which two writers cannot keep apart",
                          s3->endpoint);
    return second == CAIRN_ECONFLICT ? removed : second;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static void set_options(struct blob_s3_options *to, const struct blob_s3_options *from)
{
    const struct blob_s3_options *defaults = &blob_s3_defaults;

    *to = *defaults;
    if (!from)
        return;
    to->tries = or_default(from->tries, defaults->tries);
    to->pause_ms = or_default(from->pause_ms, defaults->pause_ms);
    to->pause_ms_max = or_default(from->pause_ms_max, defaults->pause_ms_max);
    to->total_ms = or_default(from->total_ms, defaults->total_ms);
    to->connect_ms = or_default(from->connect_ms, defaults->connect_ms);
    to->stall_ms = or_default(from->stall_ms, defaults->stall_ms);
    to->single_bytes = from->single_bytes ? from->single_bytes : defaults->single_bytes;
    to->part_bytes = from->part_bytes ? from->part_bytes : defaults->part_bytes;
    to->range_bytes = from->range_bytes ? from->range_bytes : defaults->range_bytes;
}

enum cairn_code blob_s3_open_with(const char *url, const struct blob_s3_options *options, struct cairn_blob **ret_blob,
                                  struct cairn_err *err)
{
    struct s3 *s3 = cairn_alloc_zeroed(1, sizeof *s3);
    enum cairn_code code;

    s3->base.ops = &s3_ops;
    s3->base.url = cairn_bytes_dup(cairn_str(url));
    pthread_mutex_init(&s3->lock, NULL);
    set_options(&s3->options, options);
    code = read_url(s3, url, err);
    if (code == CAIRN_OK)
        code = read_environment(s3, err);
    if (code == CAIRN_OK)
        code = s3_request_init(err);
    if (code == CAIRN_OK)
        code = probe(s3, err);
    if (code != CAIRN_OK) {
        s3_close(&s3->base);
        return code;
    }
    *ret_blob = &s3->base;
    return CAIRN_OK;
}

enum cairn_code blob_s3_open(const char *url, struct cairn_blob **ret_blob, struct cairn_err *err)
{
    return blob_s3_open_with(url, NULL, ret_blob, err);
}
