/* s3_request.c - one request to S3, tried until there is an answer to believe.
 *
 * libcurl signs (AWS Signature Version 4).  What it signs of ours must be as the store will see it: header names are in
 * lower case, queries escaped and in order, and x-amz-content-sha256 is the body's real hash, so that the store checks
 * what it received.  A try that may have had an effect is repeated all the same: every request here may be made twice,
 * or its maker finds out (create, the end of an upload). */
#include <curl/curl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/hash.h"
#include "blob/s3_internal.h"
#include "io/clock.h"

enum {
    HASH_BYTES = 256 << 10,  /* read at once */
    BODY_BYTES = 8 << 20,    /* of an answer that is gathered: a page of a list has 1000 keys of 1024 bytes at most */
    ERROR_BYTES = 16 << 10,  /* of an answer that says why not */
    ASKED_BYTES = 1 << 20,   /* a body from which on the store is asked before it is sent */
    SLOW_BYTES_PER_S = 1000, /* below which nothing counts as moving */
    CODE_BYTES = 64,
    MESSAGE_BYTES = 200,
};

enum verdict { BELIEVED, AGAIN, HOPELESS };

/* One try. */
struct
try {
    struct s3 *s3;
    const struct s3_request *request;
    struct s3_response *response;
    CURL *curl;
    uint64_t given, taken;
    enum cairn_code code; /* of give or take, in err */
    struct cairn_err err;
    struct cairn_err why; /* it is not believed */
    char error[CURL_ERROR_SIZE];
    char s3_code[CODE_BYTES], s3_message[MESSAGE_BYTES];
};

/* --- the process's part of libcurl, and handles ------------------------------------------------ */

static CURLcode global;

static void init_global(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum cairn_code s3_request_init(struct cairn_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, init_global);
    if (global != CURLE_OK)
        return cairn_fail(err, CAIRN_EIO, "libcurl cannot be used: %s", curl_easy_strerror(global));
    return CAIRN_OK;
}

/* Writing to a connection that the other side has ended must not end the process: OpenSSL does not ask for that, and
 * libcurl sees to it only with signal handlers that all threads share. */
struct quiet {
    sigset_t before;
    bool pending;
};

static void quiet_begin(struct quiet *quiet)
{
    sigset_t pipe, pending;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    quiet->pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &quiet->before);
}

static void quiet_end(const struct quiet *quiet)
{
    const struct timespec at_once = {0};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!quiet->pending)
        while (sigtimedwait(&pipe, NULL, &at_once) == SIGPIPE)
            ;
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

static CURL *acquire(struct s3 *s3)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&s3->lock);
    if (s3->idle_count)
        curl = s3->idle[--s3->idle_count];
    pthread_mutex_unlock(&s3->lock);
    return curl ? curl : curl_easy_init();
}

static void release(struct s3 *s3, CURL *curl)
{
    curl_easy_reset(curl); /* its connection stays, and nothing of the request */
    pthread_mutex_lock(&s3->lock);
    if (s3->idle_count < S3_IDLE_MAX) {
        s3->idle[s3->idle_count++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&s3->lock);
    curl_easy_cleanup(curl);
}

void s3_request_done(struct s3 *s3)
{
    struct quiet quiet;

    quiet_begin(&quiet);
    while (s3->idle_count)
        curl_easy_cleanup(s3->idle[--s3->idle_count]);
    quiet_end(&quiet);
}

void s3_response_done(struct s3_response *response)
{
    cairn_buf_done(&response->body);
}

/* --- what libcurl calls -------------------------------------------------------------------------- */

static size_t on_give(char *to, size_t size, size_t count, void *context)
{
    struct try *try = context;
    uint64_t left = try->request->body_bytes - try->given;
    size_t bytes = size * count;

    if (bytes > left)
        bytes = (size_t)left;
    if (!bytes)
        return 0;
    try->code = try->request->give(try->request->context, try->given, to, bytes, &try->err);
    if (try->code != CAIRN_OK)
        return CURL_READFUNC_ABORT;
    try->given += bytes;
    if (try->request->moved)
        try->request->moved(try->request->context, try->given);
    return bytes;
}

/* libcurl starts a body over when a connection that it kept turns out to be dead. */
static int on_seek(void *context, curl_off_t to, int origin)
{
    struct try *try = context;

    if (origin != SEEK_SET || to < 0 || (uint64_t)to > try->request->body_bytes)
        return CURL_SEEKFUNC_FAIL;
    try->given = (uint64_t)to;
    return CURL_SEEKFUNC_OK;
}

static bool is_success(long status)
{
    return status >= 200 && status < 300;
}

/* Status and length, as far as they are known. */
static void note(struct try *try)
{
    curl_off_t length = -1;

    curl_easy_getinfo(try->curl, CURLINFO_RESPONSE_CODE, &try->response->status);
    curl_easy_getinfo(try->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    try->response->length = length < 0 ? UINT64_MAX : (uint64_t)length;
}

/* Is the body of a success the part of the object that was asked for?  200 is the whole of it, whatever was asked. */
static bool is_right_part(const struct s3_request *request, struct s3_response *response)
{
    uint64_t left;

    if (response->status != 206) {
        response->range_from = 0;
        response->total = response->length;
        return response->status == 200 && (!request->ranged || request->from == 0);
    }
    if (!request->ranged || response->range_from != request->from || response->total == UINT64_MAX ||
        response->total <= request->from)
        return false;
    left = response->total - request->from;
    return response->length == (left < request->range_bytes ? left : request->range_bytes);
}

static size_t on_take(char *data, size_t size, size_t count, void *context)
{
    struct try *try = context;
    struct s3_response *response = try->response;
    size_t bytes = size * count;

    note(try);
    if (is_success(response->status) && try->request->take) {
        if (!is_right_part(try->request, response))
            return 0;
        try->code = try->request->take(try->request->context, try->taken, response->total, data, bytes, &try->err);
        if (try->code != CAIRN_OK)
            return 0;
        try->taken += bytes;
        if (try->request->moved)
            try->request->moved(try->request->context, try->taken);
        return bytes;
    }
    if (response->body.size + bytes <= (is_success(response->status) ? (size_t)BODY_BYTES : (size_t)ERROR_BYTES))
        cairn_buf_add(&response->body, data, bytes);
    else if (is_success(response->status))
        return 0;
    try->taken += bytes;
    return bytes;
}

/* The value of a header line, if it is of that name: a pointer into the line, blanks cut off at both ends. */
static bool header_value(const char *line, size_t bytes, const char *name, const char **ret_value, size_t *ret_bytes)
{
    size_t name_bytes = strlen(name);

    if (bytes <= name_bytes || strncasecmp(line, name, name_bytes) != 0 || line[name_bytes] != ':')
        return false;
    for (line += name_bytes + 1, bytes -= name_bytes + 1; bytes && (*line == ' ' || *line == '\t'); line++)
        bytes--;
    while (bytes && (line[bytes - 1] == '\r' || line[bytes - 1] == '\n' || line[bytes - 1] == ' '))
        bytes--;
    *ret_value = line;
    *ret_bytes = bytes;
    return true;
}

/* What does not fit is no value of ours. */
static void keep_text(char *to, size_t room, const char *value, size_t bytes)
{
    to[0] = 0;
    if (bytes < room && !memchr(value, 0, bytes)) {
        memcpy(to, value, bytes);
        to[bytes] = 0;
    }
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct try *try = context;
    struct s3_response *response = try->response;
    size_t bytes = size * count, length;
    const char *value;
    char text[80];

    if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* another answer: what came before was "100 Continue" */
        response->etag[0] = response->token[0] = response->region[0] = 0;
        response->date_ms = -1;
        response->range_from = response->total = UINT64_MAX;
    } else if (header_value(line, bytes, "etag", &value, &length)) {
        keep_text(response->etag, sizeof response->etag, value, length);
    } else if (header_value(line, bytes, "x-amz-meta-cairn", &value, &length)) {
        keep_text(response->token, sizeof response->token, value, length);
    } else if (header_value(line, bytes, "x-amz-bucket-region", &value, &length)) {
        keep_text(response->region, sizeof response->region, value, length);
    } else if (header_value(line, bytes, "date", &value, &length)) {
        time_t seconds;

        keep_text(text, sizeof text, value, length);
        seconds = curl_getdate(text, NULL);
        response->date_ms = seconds < 0 ? -1 : (int64_t)seconds * 1000;
    } else if (header_value(line, bytes, "content-range", &value, &length)) {
        keep_text(text, sizeof text, value, length);
        if (sscanf(text, "bytes %" SCNu64 "-%*u/%" SCNu64, &response->range_from, &response->total) != 2)
            response->range_from = response->total = UINT64_MAX;
    }
    return bytes;
}

/* --- a try ------------------------------------------------------------------------------------------ */

static struct curl_slist *with_header(struct curl_slist *list, const char *name, const char *value)
{
    struct cairn_buf line = {0};
    struct curl_slist *longer;

    cairn_buf_printf(&line, "%s%s%s", name, value ? ":" : "", value ? value : "");
    longer = curl_slist_append(list, (const char *)line.data);
    if (!longer)
        abort(); /* as cairn_alloc does */
    cairn_buf_done(&line);
    return longer;
}

static struct curl_slist *headers_of(const struct s3 *s3, const struct s3_request *request, const char *hash)
{
    struct curl_slist *list = with_header(NULL, "x-amz-content-sha256", hash);

    if (s3->session_token)
        list = with_header(list, "x-amz-security-token", s3->session_token);
    if (request->method[0] == 'P') /* or libcurl adds another to a POST, unsigned */
        list = with_header(list, "content-type", "application/octet-stream");
    for (size_t i = 0; i < S3_HEADERS_MAX && request->headers[i]; i++)
        list = with_header(list, request->headers[i], NULL);
    return list;
}

static char *address_of(const struct s3 *s3, const struct s3_request *request)
{
    struct cairn_buf url = {0};

    cairn_buf_printf(&url, "%s/%s", s3->endpoint, s3->bucket);
    if (request->name)
        cairn_buf_printf(&url, "/%s%s", s3->prefix, request->name);
    if (request->query)
        cairn_buf_printf(&url, "?%s", request->query);
    cairn_buf_u8(&url, 0);
    return (char *)url.data;
}

static void prepare(struct try *try, const char *url, struct curl_slist *headers)
{
    const struct s3_request *request = try->request;
    const struct s3 *s3 = try->s3;
    unsigned stall_ms = request->stall_ms ? request->stall_ms : s3->options.stall_ms;
    CURL *curl = try->curl;
    char range[64];

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* many threads */
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, try->error);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, s3->signing);
    curl_easy_setopt(curl, CURLOPT_USERNAME, s3->key_id);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, s3->secret);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (s3->authorities)
        curl_easy_setopt(curl, CURLOPT_CAINFO, s3->authorities);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)s3->options.connect_ms);
    /* libcurl asks before each body ("Expect: 100-continue").  For a small one it is not worth to wait for the answer,
     * and the question cannot be left out: 7.88 would sign the header that is not sent. */
    if (request->body_bytes < ASKED_BYTES)
        curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((stall_ms + 999) / 1000));
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)HASH_BYTES);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)HASH_BYTES);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, try);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, try);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_give);
    curl_easy_setopt(curl, CURLOPT_READDATA, try);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, try);
    if (strcmp(request->method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    } else if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
    if (request->ranged) {
        snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, request->from, request->from + request->range_bytes - 1);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
}

/* --- what an answer means ------------------------------------------------------------------------- */

/* What a stranger sent, as a part of our message. */
static void keep_printable(char *to, size_t room, const char *text)
{
    size_t i = 0;

    for (; text[i] && i + 1 < room; i++)
        to[i] = (unsigned char)text[i] >= 0x20 && (unsigned char)text[i] < 0x7f ? text[i] : '?';
    to[i] = 0;
}

static void read_error(void *context, const char *path, const char *text)
{
    struct try *try = context;
    size_t size;

    if (text && strcmp(path, "Error/Code") == 0) {
        keep_printable(try->s3_code, sizeof try->s3_code, text);
    } else if (text && strcmp(path, "Error/Message") == 0) {
        keep_printable(try->s3_message, sizeof try->s3_message, text);
        size = strlen(try->s3_message);
        if (size && try->s3_message[size - 1] == '.') /* our sentence goes on */
            try->s3_message[size - 1] = 0;
    }
}

static bool is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(code, *list) == 0)
            return true;
    return false;
}

static enum verdict judge_error(struct try *try, enum cairn_code *ret_code)
{
    /* Answers that another try may not meet, whatever their status: the body was damaged on its way, the store is busy,
     * others write the same name at the same time. */
    static const char *const passing[] = {"SlowDown",       "InternalError",       "ServiceUnavailable",
                                          "RequestTimeout", "OperationAborted",    "ConditionalRequestConflict",
                                          "BadDigest",      "IncompleteBody",      "XAmzContentSHA256Mismatch",
                                          "Throttling",     "ThrottlingException", NULL};
    static const char *const full[] = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded",
                                       "InsufficientStorage", NULL};
    static const char *const refused[] = {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "AccessDenied", NULL};
    static const char *const missing[] = {"NoSuchKey", "NoSuchUpload", NULL};
    unsigned accept = try->request->accept;
    long status = try->response->status;
    const char *method = try->request->method;

    *ret_code = CAIRN_EIO;
    if (is_one_of(try->s3_code, passing))
        return AGAIN;
    if (strcmp(try->s3_code, "NoSuchBucket") == 0) {
        *ret_code = CAIRN_ENOTFOUND;
        return HOPELESS;
    }
    if (is_one_of(try->s3_code, full) || status == 507) {
        *ret_code = CAIRN_EFULL;
        return HOPELESS;
    }
    if (is_one_of(try->s3_code, refused) || status == 401 || status == 403) {
        *ret_code = CAIRN_EAUTH;
        return HOPELESS;
    }
    switch (status) {
    case 404:
        /* Only S3 itself knows what it has not: a 404 that does not say so may come from a proxy between.  The
         * answer to a HEAD cannot say anything, and that to a DELETE does not matter. */
        if ((accept & S3_MISSING) &&
            (is_one_of(try->s3_code, missing) || strcmp(method, "HEAD") == 0 || strcmp(method, "DELETE") == 0))
            return BELIEVED;
        return AGAIN;
    case 412:
        return accept & S3_EXISTS ? BELIEVED : HOPELESS;
    case 416:
        return accept & S3_RANGE ? BELIEVED : HOPELESS;
    case 408:
    case 409:
    case 429:
        return AGAIN;
    case 413:
        *ret_code = CAIRN_ELIMIT;
        return HOPELESS;
    case 501: /* NotImplemented */
        *ret_code = CAIRN_EINVAL;
        return HOPELESS;
    default:
        if (status >= 500 || is_success(status))
            return AGAIN;
        if (status < 400 || strcmp(try->s3_code, "AuthorizationHeaderMalformed") == 0) /* moved; of another region */
            *ret_code = CAIRN_EINVAL;
        return HOPELESS;
    }
}

static enum verdict judge_status(struct try *try)
{
    struct s3_response *response = try->response;
    enum cairn_code code;
    enum verdict verdict;

    if (!s3_xml_walk(cairn_buf_bytes(&response->body), read_error, try))
        try->s3_code[0] = try->s3_message[0] = 0;
    verdict = judge_error(try, &code);
    if (code == CAIRN_ENOTFOUND)
        cairn_fail(&try->why, code, "there is no bucket '%s' (the store answered %ld %s)", try->s3->bucket,
                   response->status, try->s3_code);
    else
        cairn_fail(&try->why, code, "the store answered %ld%s%s%s%s%s%s", response->status, try->s3_code[0] ? " " : "",
                   try->s3_code, try->s3_message[0] ? ": " : "", try->s3_message,
                   response->region[0] ? "; the bucket's region is " : "", response->region);
    return verdict;
}

/* A success whose body is what was asked for? */
static enum verdict judge_success(struct try *try)
{
    const struct s3_request *request = try->request;
    struct s3_response *response = try->response;

    if (request->take && (response->length == UINT64_MAX || try->taken != response->length)) {
        /* Without a length a whole body looks like one that was cut. */
        cairn_fail(&try->why, CAIRN_EIO, "the store sent %" PRIu64 " bytes and %s", try->taken,
                   response->length == UINT64_MAX ? "did not tell how many to expect" : "had told another number");
        return AGAIN;
    }
    if (response->length == UINT64_MAX && strcmp(request->method, "HEAD") == 0) {
        cairn_fail(&try->why, CAIRN_EIO, "the store did not tell how large the object is");
        return AGAIN;
    }
    if (request->take && !is_right_part(request, response)) {
        cairn_fail(&try->why, CAIRN_EIO, "the store sent another part of the object than was asked for");
        return AGAIN;
    }
    if (request->read && !request->read(request->answer, cairn_buf_bytes(&response->body))) {
        /* S3 may find that it cannot do something after it has said "200": the error is in the body then. */
        if (s3_xml_walk(cairn_buf_bytes(&response->body), read_error, try) && try->s3_code[0])
            return judge_status(try);
        cairn_fail(&try->why, CAIRN_EIO, "the store answered %ld with something else than was asked for",
                   response->status);
        return AGAIN;
    }
    return BELIEVED;
}

/* No answer, or not the whole of it. */
static enum verdict judge_failure(struct try *try, CURLcode result)
{
    if (try->code != CAIRN_OK) { /* ours: the file's disk, or a limit */
        try->why = try->err;
        return HOPELESS;
    }
    if (result == CURLE_WRITE_ERROR)
        cairn_fail(&try->why, CAIRN_EIO, "the store sent more than, or another part of the object than, was asked for");
    else
        cairn_fail(&try->why, CAIRN_EIO, "%s", try->error[0] ? try->error : curl_easy_strerror(result));
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        try->why.code = CAIRN_ENOMEM;
        return HOPELESS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
        try->why.code = CAIRN_EINVAL;
        return HOPELESS;
    case CURLE_PEER_FAILED_VERIFICATION: /* it is another server than the URL names */
    case CURLE_SSL_CACERT_BADFILE:
        try->why.code = CAIRN_EAUTH;
        return HOPELESS;
    default:
        return AGAIN;
    }
}

static enum verdict try_once(struct try *try, const char *url, struct curl_slist *headers)
{
    struct quiet quiet;
    CURLcode result;
    enum verdict verdict;

    try->given = try->taken = 0;
    try->code = CAIRN_OK;
    try->error[0] = try->s3_code[0] = try->s3_message[0] = 0;
    try->response->body.size = 0;
    try->response->status = 0;
    try->curl = acquire(try->s3);
    if (!try->curl) {
        cairn_fail(&try->why, CAIRN_ENOMEM, "libcurl has no memory");
        return HOPELESS;
    }
    quiet_begin(&quiet);
    prepare(try, url, headers);
    result = curl_easy_perform(try->curl);
    note(try);
    /* A server that refuses a body may end the connection while it is sent: the answer counts, not how it ended. */
    if (result != CURLE_OK && (try->code != CAIRN_OK || try->response->status < 300))
        verdict = judge_failure(try, result);
    else if (is_success(try->response->status))
        verdict = judge_success(try);
    else
        verdict = judge_status(try);
    if (result == CURLE_OK)
        release(try->s3, try->curl);
    else
        curl_easy_cleanup(try->curl); /* the next try begins with a new connection and a new look-up */
    quiet_end(&quiet);
    try->curl = NULL;
    return verdict;
}

/* --- tries -------------------------------------------------------------------------------------------- */

/* Twice as long each time; half of it by chance, so that requests that failed together do not come back together. */
static void pause_before(const struct blob_s3_options *options, unsigned again)
{
    struct cairn_clock *clock = cairn_clock_system();
    uint64_t ms = options->pause_ms;
    struct timespec time;

    while (again-- > 1 && ms < options->pause_ms_max)
        ms *= 2;
    if (ms > options->pause_ms_max)
        ms = options->pause_ms_max;
    ms = ms / 2 + clock->entropy(clock) % (ms / 2 + 1);
    time = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&time, &time) != 0)
        ;
}

static enum cairn_code hash_body(const struct s3_request *request, char hex[2 * CAIRN_SHA256_BYTES + 1],
                                 struct cairn_err *err)
{
    struct cairn_sha256 *sha = cairn_sha256_begin();
    uint8_t digest[CAIRN_SHA256_BYTES];
    uint8_t *part = cairn_alloc(HASH_BYTES);
    enum cairn_code code = CAIRN_OK;

    for (uint64_t at = 0; code == CAIRN_OK && at < request->body_bytes;) {
        uint64_t left = request->body_bytes - at;
        size_t size = left < HASH_BYTES ? (size_t)left : HASH_BYTES;

        code = request->give(request->context, at, part, size, err);
        if (code == CAIRN_OK)
            cairn_sha256_add(sha, part, size);
        at += size;
    }
    free(part);
    cairn_sha256_end(sha, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return code;
}

enum cairn_code s3_ask(struct s3 *s3, const struct s3_request *request, struct s3_response *response,
                       struct cairn_err *err)
{
    struct try *try = cairn_alloc_zeroed(1, sizeof *try);
    struct cairn_clock *clock = cairn_clock_system();
    uint64_t begin = clock->monotonic_ns(clock), elapsed_ms = 0;
    char hash[2 * CAIRN_SHA256_BYTES + 1];
    char *url = NULL;
    struct curl_slist *headers = NULL;
    enum verdict verdict = AGAIN;
    enum cairn_code code;
    unsigned tries = 0, tries_max = request->tries ? request->tries : s3->options.tries;

    *response = (struct s3_response){0};
    code = hash_body(request, hash, err);
    if (code != CAIRN_OK)
        goto done;
    *try = (struct try){.s3 = s3, .request = request, .response = response};
    url = address_of(s3, request);
    headers = headers_of(s3, request, hash);
    while (verdict == AGAIN && tries < tries_max && elapsed_ms < s3->options.total_ms) {
        if (tries++)
            pause_before(&s3->options, tries - 1);
        verdict = try_once(try, url, headers);
        elapsed_ms = (clock->monotonic_ns(clock) - begin) / 1000000;
    }
    if (verdict == BELIEVED)
        goto done;
    code = try->why.code;
    if (tries > 1)
        cairn_fail(err, code, "%s (the last of %u tries in %.1f s)", try->why.text, tries, (double)elapsed_ms / 1000);
    else
        cairn_fail(err, code, "%s", try->why.text);
    if (request->name)
        cairn_while(err, "asking %s to %s '%s%s' in bucket '%s'", s3->endpoint, request->method, s3->prefix,
                    request->name, s3->bucket);
    else
        cairn_while(err, "asking %s to %s bucket '%s'", s3->endpoint, request->method, s3->bucket);
done:
    curl_slist_free_all(headers);
    free(url);
    free(try);
    return code;
}
