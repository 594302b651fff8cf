/* s3_list.c - what a folder of a bucket holds: pages of XML, each believed as a whole or not at all. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blob/s3_internal.h"

enum {
    PAGE_KEYS = 1000,       /* of a page, at most, says S3 */
    EMPTY_PAGES_MAX = 1000, /* in a row, of a list that goes on: a store that does so has lost its way */
};

struct entry {
    char name[CAIRN_BLOB_NAME_BYTES];
    uint64_t bytes;
    int64_t modified_ms;
};

struct page {
    const char *prefix; /* of every key */
    struct cairn_buf entries;
    unsigned key_count, folder_count;
    bool root, truncated, told_truncated, bad;
    char next[S3_XML_TEXT_BYTES];

    struct entry entry; /* the one that is being read */
    bool has_key, ours, has_bytes, has_modified;
};

/* 2006-02-03T16:45:09.000Z, as S3 writes times. */
static bool read_time(const char *text, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second, used = 0, days, of_year;
    int64_t ms = 0, unit = 100;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &used) != 6 ||
        year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return false;
    text += used;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
            ms += (*text - '0') * unit;
    if (strcmp(text, "Z") != 0)
        return false;
    /* Days since 1970, of a year that begins in March: the leap day is its last. */
    year -= month <= 2;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719468;
    *ret_ms = (((int64_t)days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
    return true;
}

static bool read_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *ret_number = number;
    return true;
}

static void begin_entry(struct page *page)
{
    page->has_key = page->ours = page->has_bytes = page->has_modified = false;
}

static void end_entry(struct page *page)
{
    page->key_count++;
    if (!page->has_key || !page->has_bytes || !page->has_modified)
        page->bad = true;
    else if (page->ours)
        cairn_buf_add(&page->entries, &page->entry, sizeof page->entry);
    begin_entry(page);
}

/* A key that no blob can have was put by another program, and so was a "folder" that a browser made. */
static void read_key(struct page *page, const char *key)
{
    size_t prefix_bytes = strlen(page->prefix);

    page->has_key = true;
    if (strncmp(key, page->prefix, prefix_bytes) != 0) {
        page->bad = true;
        return;
    }
    key += prefix_bytes;
    page->ours = s3_is_name(key) && !strchr(key, '/');
    if (page->ours)
        snprintf(page->entry.name, sizeof page->entry.name, "%s", key);
}

static void read_element(void *context, const char *path, const char *text)
{
    static const char root[] = "ListBucketResult";
    struct page *page = context;

    if (strncmp(path, root, sizeof root - 1) != 0)
        return;
    path += sizeof root - 1;
    if (!*path)
        page->root = true;
    else if (strcmp(path, "/Contents") == 0)
        end_entry(page);
    else if (strcmp(path, "/CommonPrefixes") == 0)
        page->folder_count++;
    else if (!text)
        return;
    else if (strcmp(path, "/Contents/Key") == 0)
        read_key(page, text);
    else if (strcmp(path, "/Contents/Size") == 0)
        page->has_bytes = read_number(text, &page->entry.bytes);
    else if (strcmp(path, "/Contents/LastModified") == 0)
        page->has_modified = read_time(text, &page->entry.modified_ms);
    else if (strcmp(path, "/IsTruncated") == 0) {
        page->truncated = strcmp(text, "true") == 0;
        page->told_truncated = page->truncated || strcmp(text, "false") == 0;
    } else if (strcmp(path, "/NextContinuationToken") == 0)
        snprintf(page->next, sizeof page->next, "%s", text);
}

/* Only a page that is whole and makes sense counts. */
static bool read_page(void *answer, struct cairn_bytes body)
{
    struct page *page = answer;

    page->entries.size = 0;
    page->key_count = page->folder_count = 0;
    page->root = page->truncated = page->told_truncated = page->bad = false;
    page->next[0] = 0;
    begin_entry(page);
    return s3_xml_walk(body, read_element, page) && page->root && page->told_truncated && !page->bad &&
           (!page->truncated || page->next[0]);
}

static void visit_page(const struct page *page, int64_t now_ms,
                       void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms), void *context)
{
    for (size_t at = 0; at < page->entries.size; at += sizeof page->entry) {
        struct entry entry;

        memcpy(&entry, page->entries.data + at, sizeof entry);
        visit(context, entry.name, entry.bytes,
              now_ms > entry.modified_ms ? (uint64_t)(now_ms - entry.modified_ms) : 0);
    }
}

static enum cairn_code list_page(struct s3 *s3, struct page *page, const char *token, int64_t *ret_now_ms,
                                 struct cairn_err *err)
{
    struct cairn_buf query = {0};
    struct s3_request request = {.method = "GET", .read = read_page, .answer = page};
    struct s3_response response;
    enum cairn_code code;

    if (token[0]) {
        cairn_buf_str(&query, "continuation-token=");
        s3_add_escaped(&query, token);
        cairn_buf_str(&query, "&");
    }
    cairn_buf_printf(&query, "delimiter=%%2F&list-type=2&max-keys=%d&prefix=", PAGE_KEYS);
    s3_add_escaped(&query, page->prefix);
    cairn_buf_u8(&query, 0);
    request.query = (const char *)query.data;
    code = s3_ask(s3, &request, &response, err);
    s3_response_done(&response);
    cairn_buf_done(&query);
    if (code == CAIRN_OK && response.date_ms < 0)
        return cairn_fail(err, CAIRN_EIO, "the store does not tell what time it is (no Date in its answers)");
    *ret_now_ms = response.date_ms;
    return code;
}

enum cairn_code s3_list(struct cairn_blob *blob, const char *folder,
                        void (*visit)(void *context, const char *name, uint64_t bytes, uint64_t age_ms), void *context,
                        struct cairn_err *err)
{
    struct s3 *s3 = s3_of(blob);
    struct page *page = cairn_alloc_zeroed(1, sizeof *page);
    struct cairn_buf prefix = {0};
    char token[S3_XML_TEXT_BYTES] = "";
    unsigned empty = 0;
    int64_t now_ms = 0;
    enum cairn_code code = folder[0] ? s3_check_name(folder, err) : CAIRN_OK;

    cairn_buf_printf(&prefix, "%s%s%s", s3->prefix, folder, folder[0] ? "/" : "");
    cairn_buf_u8(&prefix, 0);
    page->prefix = (const char *)prefix.data;
    while (code == CAIRN_OK) {
        code = list_page(s3, page, token, &now_ms, err);
        if (code != CAIRN_OK)
            break;
        visit_page(page, now_ms, visit, context);
        if (!page->truncated)
            break;
        empty = page->key_count || page->folder_count ? 0 : empty + 1;
        if (strcmp(token, page->next) == 0 || empty > EMPTY_PAGES_MAX)
            code = cairn_fail(err, CAIRN_EIO, "the store's list of '%s' in bucket '%s' does not come to an end",
                              page->prefix, s3->bucket);
        snprintf(token, sizeof token, "%s", page->next);
    }
    cairn_buf_done(&page->entries);
    cairn_buf_done(&prefix);
    free(page);
    return code;
}
