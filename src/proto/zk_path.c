#include "proto/zk_path.h"

/* The character at *at, which moves behind it; -1 if there is none in UTF-8. */
static int32_t next_character(const uint8_t **at, const uint8_t *end)
{
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t lead = *(*at)++;
    int more = lead < 0x80 ? 0 : lead < 0xc0 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf8 ? 3 : -1;
    int32_t c;

    if (more < 0 || end - *at < more)
        return -1;
    c = more == 0 ? lead : lead & (0x3f >> more);
    for (int i = 0; i < more; i++) {
        uint8_t next = *(*at)++;

        if ((next & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (next & 0x3f);
    }
    return c < least[more] ? -1 : c;
}

static const char *character_fault(int32_t c)
{
    if (c < 0)
        return "it is not UTF-8";
    if (c == 0)
        return "it has a null character";
    if (c <= 0x1f || (c >= 0x7f && c <= 0x9f))
        return "it has a control character";
    if ((c >= 0xd800 && c <= 0xf8ff) || c >= 0xfff0)
        return "it has a character that ZooKeeper has no name for: U+D800 to F8FF, or U+FFF0 and above";
    return NULL;
}

/* `last`: nothing will follow this name. */
static const char *name_fault(struct cairn_bytes name, bool last, bool sequential)
{
    if (last && sequential) /* digits follow, so it is neither empty nor made of dots */
        return NULL;
    if (name.size == 0)
        return last ? "it ends with '/'" : "it has an empty name";
    if (cairn_bytes_equal(name, cairn_str(".")) || cairn_bytes_equal(name, cairn_str("..")))
        return "it has a name '.' or '..'";
    return NULL;
}

const char *cairn_zk_path_fault(struct cairn_bytes path, bool sequential)
{
    const uint8_t *end, *at, *name;
    const char *fault;

    if (path.size == 0)
        return "it is empty";
    if (path.data[0] != '/')
        return "it does not begin with '/'";
    if (path.size == 1)
        return NULL;
    end = path.data + path.size;
    for (at = name = path.data + 1; at < end;) {
        const uint8_t *from = at;

        fault = character_fault(next_character(&at, end));
        if (!fault && *from == '/') {
            fault = name_fault(cairn_bytes(name, (size_t)(from - name)), false, sequential);
            name = at;
        }
        if (fault)
            return fault;
    }
    return name_fault(cairn_bytes(name, (size_t)(end - name)), true, sequential);
}

static size_t last_slash(struct cairn_bytes path)
{
    const uint8_t *slash = path.size ? memrchr(path.data, '/', path.size) : NULL;

    return slash ? (size_t)(slash - path.data) : 0;
}

struct cairn_bytes cairn_zk_path_parent(struct cairn_bytes path)
{
    size_t slash = last_slash(path);

    return cairn_bytes(path.data, slash ? slash : path.size ? 1 : 0);
}

struct cairn_bytes cairn_zk_path_name(struct cairn_bytes path)
{
    size_t from = path.size ? last_slash(path) + 1 : 0;

    return cairn_bytes(path.data + from, path.size - from);
}

bool cairn_zk_path_within(struct cairn_bytes path, struct cairn_bytes top)
{
    if (top.size == 1)
        return true;
    return path.size >= top.size && memcmp(path.data, top.data, top.size) == 0 &&
           (path.size == top.size || path.data[top.size] == '/');
}

void cairn_zk_sequence_add(struct cairn_buf *to, int32_t creates)
{
    cairn_buf_printf(to, "%010d", creates);
}
