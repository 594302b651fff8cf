/* Would catch: a result value that one writer takes and another does not, JSON that a JSON parser (cJSON) does not
 * read, a RESP reply that does not hold as many values as it says, JSON arguments that are no JSON, and a cursor that
 * does not come back as it went.  The input is taken for an encoded value, for JSON, and for base64. */
#include <stdint.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "proto/json.h"
#include "proto/resp.h"

static void check(bool good)
{
    if (!good)
        abort();
}

/* Skips one reply; false if it is none. */
static bool skip_reply(struct cairn_reader *r, int version)
{
    uint64_t left = 1;

    while (left-- > 0) {
        uint8_t kind = cairn_read_u8(r), c;
        bool negative = false;
        uint64_t n = 0;

        if (kind == '-') {
            while ((c = cairn_read_u8(r)) != '\r' && !r->bad)
                if (c == '\n')
                    return false;
        } else {
            while ((c = cairn_read_u8(r)) != '\r' && !r->bad) {
                if (c == '-' && n == 0 && !negative)
                    negative = true;
                else if (c >= '0' && c <= '9')
                    n = n * 10 + (c - '0');
                else
                    return false;
            }
        }
        if (cairn_read_u8(r) != '\n' || r->bad)
            return false;
        switch (kind) {
        case '-':
        case ':':
            break;
        case '_':
            if (version != 3)
                return false;
            break;
        case '*':
            left += n;
            break;
        case '$':
            if (negative) {
                if (version != 2)
                    return false;
                break;
            }
            cairn_read_bytes(r, n);
            if (cairn_read_u8(r) != '\r' || cairn_read_u8(r) != '\n')
                return false;
            break;
        default:
            return false;
        }
    }
    return !r->bad;
}

static void write_value(struct cairn_bytes input)
{
    bool valid = cairn_value_valid(input);
    struct cairn_buf text = {0}, packed = {0};
    struct cairn_reader r;
    cJSON *tree;

    for (int version = 2; version <= 3; version++) {
        text.size = 0;
        check(cairn_resp_value(&text, version, input) == valid);
        check(valid || text.size == 0);
        r = cairn_reader(cairn_buf_bytes(&text));
        check(!valid || (skip_reply(&r, version) && cairn_reader_left(&r) == 0));
    }
    text.size = 0;
    cairn_buf_u8(&text, '[');
    check(cairn_json_value(&text, input) == valid);
    check(valid || text.size == 1);
    cairn_buf_u8(&text, ']');
    tree = cJSON_ParseWithLength((const char *)text.data, text.size);
    check(tree != NULL);
    cJSON_Delete(tree);
    check(cairn_json_args(cairn_buf_bytes(&text), 2, &packed, NULL) == CAIRN_OK);
    text.size = 0;
    cairn_json_field(&text, input);
    cairn_json_text(&text, input);
    cairn_buf_done(&text);
    cairn_buf_done(&packed);
}

static void read_json(struct cairn_bytes input)
{
    struct cairn_buf packed = {0};
    struct cairn_reader r;

    if (cairn_json_args(input, 100, &packed, NULL) == CAIRN_OK) {
        r = cairn_reader(cairn_buf_bytes(&packed));
        while (cairn_reader_left(&r))
            cairn_read_bytes(&r, cairn_read_u32(&r));
        check(!r.bad);
        if (packed.size) { /* what passes here is JSON for others too */
            cJSON *tree = cJSON_ParseWithLength((const char *)input.data, input.size);

            check(tree != NULL);
            cJSON_Delete(tree);
        }
    } else {
        check(packed.size == 0);
    }
    cairn_buf_done(&packed);
}

static void read_base64(struct cairn_bytes input)
{
    struct cairn_buf bytes = {0}, text = {0};

    if (cairn_base64_url_read(input, &bytes)) {
        cairn_base64_add(&text, cairn_buf_bytes(&bytes), true);
        check(cairn_bytes_equal(cairn_buf_bytes(&text), input));
    }
    cairn_buf_done(&bytes);
    cairn_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_bytes input = {data, size};

    write_value(input);
    read_json(input);
    read_base64(input);
    return 0;
}
