/* Would catch: a RESP request that reads otherwise when it arrives in two portions, reads beyond what has arrived, and
 * words that do not come back when they are sent again.  The first two bytes choose where the input is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/resp.h"

static const struct cairn_resp_limits limits = {64, 4096, 16384, 512};

struct outcome {
    struct cairn_buf words; /* per request: count, then per word its size and bytes */
    bool bad;
};

static void check(bool good)
{
    if (!good)
        abort();
}

/* Parses what is in data[0..first), then data[0..size). */
static void parse(const uint8_t *data, size_t first, size_t size, struct outcome *outcome)
{
    struct cairn_resp_parser parser = {0};
    size_t at = 0;

    for (int portion = 0; portion < 2 && !outcome->bad; portion++) {
        size_t end = portion ? size : first;

        while (at < end && !outcome->bad) {
            size_t used = 0, room = end - at;
            uint8_t *copy = malloc(room); /* what has arrived and not a byte more */
            struct cairn_bytes input = {copy, room};
            enum cairn_resp_result result;

            memcpy(copy, data + at, room);
            result = cairn_resp_parse(&parser, &limits, input, &used, NULL);
            if (result == CAIRN_RESP_REQUEST) {
                check(used > 0 && used <= room && parser.count <= limits.args_max);
                cairn_buf_add(&outcome->words, &parser.count, sizeof parser.count);
                for (uint32_t i = 0; i < parser.count; i++) {
                    struct cairn_bytes word = cairn_resp_word(&parser, input, i);

                    cairn_buf_add(&outcome->words, &word.size, sizeof word.size);
                    cairn_buf_add(&outcome->words, word.data, word.size);
                }
            }
            outcome->bad = result == CAIRN_RESP_BAD;
            free(copy);
            at += used;
            if (result == CAIRN_RESP_MORE)
                break;
        }
    }
    cairn_resp_parser_done(&parser);
}

/* What was understood, as a client library would send it. */
static void encode(const struct cairn_buf *words, struct cairn_buf *to)
{
    for (size_t at = 0; at < words->size;) {
        uint32_t count;

        memcpy(&count, words->data + at, sizeof count);
        at += sizeof count;
        cairn_resp_array(to, count);
        while (count-- > 0) {
            size_t size;

            memcpy(&size, words->data + at, sizeof size);
            at += sizeof size;
            cairn_resp_bulk(to, cairn_bytes(words->data + at, size));
            at += size;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0}, cut = {0}, again = {0};
    struct cairn_buf sent = {0};
    size_t place;

    if (size < 3)
        return 0;
    place = (size_t)(data[0] << 8 | data[1]) % (size - 2);
    data += 2;
    size -= 2;
    parse(data, size, size, &whole);
    parse(data, place, size, &cut);
    check(whole.bad == cut.bad);
    check(whole.words.size == cut.words.size &&
          (whole.words.size == 0 || memcmp(whole.words.data, cut.words.data, whole.words.size) == 0));
    encode(&whole.words, &sent);
    if (sent.size) {
        parse(sent.data, sent.size / 2, sent.size, &again);
        check(!again.bad && again.words.size == whole.words.size &&
              memcmp(again.words.data, whole.words.data, again.words.size) == 0);
    }
    cairn_buf_done(&whole.words);
    cairn_buf_done(&cut.words);
    cairn_buf_done(&again.words);
    cairn_buf_done(&sent);
    return 0;
}
