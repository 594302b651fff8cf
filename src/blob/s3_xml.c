/* s3_xml.c - as much of XML as S3 writes: elements, text, the five named entities and those by number.  Attributes,
 * comments and processing instructions are skipped.
 *
 * It is strict where a mistake could be believed: each end is matched, the document must end with its root's end, and
 * what it does not know is an error. */
#include <stdio.h>

#include "blob/s3_internal.h"

enum { PATH_BYTES = 256, DEPTH_MAX = 16 };

struct walk {
    const uint8_t *at, *end;
    char path[PATH_BYTES];
    size_t path_bytes;
    size_t starts[DEPTH_MAX]; /* where the path's last part begins, by depth */
    unsigned depth;
    bool leaf; /* nothing has ended since the innermost element began */
    char text[S3_XML_TEXT_BYTES];
    size_t text_bytes;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == ':' || c >= 0x80;
}

static bool starts_with(const struct walk *w, const char *text)
{
    size_t size = strlen(text);

    return (size_t)(w->end - w->at) >= size && memcmp(w->at, text, size) == 0;
}

/* Behind the next `text`. */
static bool skip_past(struct walk *w, const char *text)
{
    for (; w->at < w->end; w->at++)
        if (starts_with(w, text)) {
            w->at += strlen(text);
            return true;
        }
    return false;
}

static bool add_byte(struct walk *w, uint8_t c)
{
    if (!c || w->text_bytes + 1 >= sizeof w->text)
        return false;
    w->text[w->text_bytes++] = (char)c;
    return true;
}

static bool add_utf8(struct walk *w, uint32_t c)
{
    if (c < 0x80)
        return add_byte(w, (uint8_t)c);
    if (c < 0x800)
        return add_byte(w, (uint8_t)(0xc0 | c >> 6)) && add_byte(w, (uint8_t)(0x80 | (c & 0x3f)));
    if (c < 0x10000)
        return (c < 0xd800 || c > 0xdfff) && add_byte(w, (uint8_t)(0xe0 | c >> 12)) &&
               add_byte(w, (uint8_t)(0x80 | (c >> 6 & 0x3f))) && add_byte(w, (uint8_t)(0x80 | (c & 0x3f)));
    return c < 0x110000 && add_byte(w, (uint8_t)(0xf0 | c >> 18)) && add_byte(w, (uint8_t)(0x80 | (c >> 12 & 0x3f))) &&
           add_byte(w, (uint8_t)(0x80 | (c >> 6 & 0x3f))) && add_byte(w, (uint8_t)(0x80 | (c & 0x3f)));
}

/* &#38; or &#x26; from behind the '#' */
static bool numbered(struct walk *w)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    bool hex = w->at < w->end && *w->at == 'x';
    uint32_t number = 0;
    unsigned count = 0;

    for (w->at += hex; w->at < w->end && *w->at != ';'; w->at++, count++) {
        const char *digit = *w->at ? strchr(digits, *w->at) : NULL;
        uint32_t value = digit ? (uint32_t)(digit - digits) : 22;

        if (value >= (hex ? 22 : 10) || count == 7)
            return false;
        number = number * (hex ? 16 : 10) + (value < 16 ? value : value - 6);
    }
    if (w->at == w->end || !count)
        return false;
    w->at++;
    return add_utf8(w, number);
}

static bool entity(struct walk *w)
{
    static const struct {
        const char *name;
        char c;
    } named[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

    if (starts_with(w, "&#")) {
        w->at += 2;
        return numbered(w);
    }
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (starts_with(w, named[i].name)) {
            w->at += strlen(named[i].name);
            return add_byte(w, (uint8_t)named[i].c);
        }
    return false;
}

static bool enter(struct walk *w, const uint8_t *name, size_t size)
{
    if (w->depth == DEPTH_MAX || !size || w->path_bytes + 1 + size >= sizeof w->path)
        return false;
    w->starts[w->depth++] = w->path_bytes;
    w->path_bytes += (size_t)snprintf(w->path + w->path_bytes, size + 2, "%s%.*s", w->depth > 1 ? "/" : "", (int)size,
                                      (const char *)name);
    w->text_bytes = 0;
    w->leaf = true;
    return true;
}

static void leave(struct walk *w, void (*visit)(void *context, const char *path, const char *text), void *context)
{
    w->text[w->text_bytes] = 0;
    visit(context, w->path, w->leaf ? w->text : NULL);
    w->path_bytes = w->starts[--w->depth];
    w->path[w->path_bytes] = 0;
    w->text_bytes = 0;
    w->leaf = false;
}

/* A start tag from behind its '<'. */
static bool start_tag(struct walk *w, bool *ret_empty)
{
    const uint8_t *name = w->at;

    while (w->at < w->end && is_name_byte(*w->at))
        w->at++;
    if (memchr(name, 0, (size_t)(w->at - name)) || !enter(w, name, (size_t)(w->at - name)))
        return false;
    while (w->at < w->end && *w->at != '>' && *w->at != '/') { /* attributes: a value may hold anything */
        uint8_t quote = *w->at++;

        if (quote == '<')
            return false;
        if (quote != '"' && quote != '\'')
            continue;
        while (w->at < w->end && *w->at != quote)
            w->at++;
        if (w->at++ == w->end)
            return false;
    }
    *ret_empty = w->at < w->end && *w->at == '/';
    w->at += *ret_empty;
    return w->at < w->end && *w->at++ == '>';
}

/* An end tag from behind its "</": is it the innermost element's? */
static bool end_tag(struct walk *w)
{
    const char *name;
    size_t size;

    if (!w->depth)
        return false;
    name = w->path + w->starts[w->depth - 1] + (w->depth > 1);
    size = strlen(name);
    if ((size_t)(w->end - w->at) < size || memcmp(w->at, name, size) != 0)
        return false;
    for (w->at += size; w->at < w->end && is_space(*w->at);)
        w->at++;
    return w->at < w->end && *w->at++ == '>';
}

bool s3_xml_walk(struct cairn_bytes xml, void (*visit)(void *context, const char *path, const char *text),
                 void *context)
{
    struct walk w = {.at = xml.data, .end = xml.size ? xml.data + xml.size : xml.data};
    bool ended = false, good = true;

    if (starts_with(&w, "\xef\xbb\xbf"))
        w.at += 3;
    while (good && w.at < w.end) {
        bool empty = false;

        if (*w.at != '<') {
            if (!w.depth)
                good = is_space(*w.at++);
            else if (*w.at == '&')
                good = entity(&w);
            else
                good = add_byte(&w, *w.at++);
        } else if (starts_with(&w, "<?")) {
            good = skip_past(&w, "?>");
        } else if (starts_with(&w, "<!--")) {
            good = skip_past(&w, "-->");
        } else if (starts_with(&w, "</")) {
            w.at += 2;
            good = end_tag(&w);
            if (good)
                leave(&w, visit, context);
            ended = good && !w.depth;
        } else {
            w.at++;
            good = !ended && start_tag(&w, &empty); /* "<!" is no name: no DTD, no CDATA */
            if (good && empty)
                leave(&w, visit, context);
            ended = good && !w.depth;
        }
    }
    return good && ended;
}

void s3_xml_escape(struct cairn_buf *to, const char *text)
{
    for (; *text; text++) {
        const char *entity_text = *text == '&'   ? "&amp;"
                                  : *text == '<' ? "&lt;"
                                  : *text == '>' ? "&gt;"
                                  : *text == '"' ? "&quot;"
                                                 : NULL;

        if (entity_text)
            cairn_buf_str(to, entity_text);
        else
            cairn_buf_u8(to, (uint8_t)*text);
    }
}
