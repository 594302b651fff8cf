/* wordcount.c - a small stream job with exactly-once state: how often each word occurs in a file that may grow.
 *
 *     wordcount STATE FILE [SNAPSHOT_BYTES]
 *
 * It reads FILE from where it stopped, counts words in the state that lies in the folder STATE, and makes a snapshot
 * after every SNAPSHOT_BYTES of input (1 MiB) with the offset that it has read up to as metadata.  State and offset are
 * one version, so it can be killed at any moment and started again: no word is lost and none counted twice.
 * In the end it prints "WORD COUNT" for every word.
 *
 *     cc wordcount.c $(pkg-config --cflags --libs cairn-engine) -o wordcount */
#include <cairn/engine.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cairn_err err;

static void must(enum cairn_code code)
{
    if (code == CAIRN_OK)
        return;
    fprintf(stderr, "wordcount: %s\n", err.text);
    exit(1);
}

static bool take_offset(void *context, const struct cairn_state_version *version)
{
    if (version->current && version->metadata_bytes == sizeof(uint64_t))
        memcpy(context, version->metadata, sizeof(uint64_t));
    return true;
}

static void count_word(struct cairn_state *state, const char *word, size_t size)
{
    const void *value;
    size_t value_bytes;
    uint64_t count = 0;
    bool found;

    must(cairn_state_get(state, word, size, &found, &value, &value_bytes, &err));
    if (found)
        memcpy(&count, value, sizeof count);
    count++;
    must(cairn_state_put(state, word, size, &count, sizeof count, &err));
}

static void snapshot(struct cairn_state *state, uint64_t offset)
{
    uint64_t version;

    must(cairn_state_snapshot(state, &offset, sizeof offset, &version, &err));
    if (version > 2) { /* two are enough here; those that were forgotten in an earlier life are gone already */
        enum cairn_code code = cairn_state_forget(state, version - 2, &err);

        must(code == CAIRN_ENOTFOUND ? CAIRN_OK : code);
    }
}

static bool print_word(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    uint64_t count = 0;

    (void)context;
    memcpy(&count, value, value_bytes < sizeof count ? value_bytes : sizeof count);
    printf("%.*s %" PRIu64 "\n", (int)key_bytes, (const char *)key, count);
    return true;
}

int main(int argc, char **argv)
{
    struct cairn_state *state;
    uint64_t offset = 0, snapshot_bytes = 1 << 20, next, bytes;
    char word[256];
    size_t size = 0;
    FILE *file;
    int c;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: wordcount STATE FILE [SNAPSHOT_BYTES]\n");
        return 2;
    }
    if (argc == 4)
        snapshot_bytes = strtoull(argv[3], NULL, 10);
    file = fopen(argv[2], "r");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    must(cairn_state_open(argv[1], NULL, &state, &err));
    cairn_state_versions(state, take_offset, &offset);
    if (fseeko(file, (off_t)offset, SEEK_SET) != 0) {
        perror(argv[2]);
        return 1;
    }
    next = offset + snapshot_bytes;
    for (;;) {
        c = getc(file);
        if (c != EOF)
            offset++;
        if (c != EOF && !isspace(c)) {
            if (size < sizeof word)
                word[size++] = (char)c;
            continue;
        }
        if (size > 0)
            count_word(state, word, size);
        size = 0;
        if (c == EOF)
            break;
        if (offset >= next) { /* between two words */
            snapshot(state, offset);
            next = offset + snapshot_bytes;
        }
    }
    snapshot(state, offset);
    must(cairn_state_collect(state, &bytes, &err));
    must(cairn_state_visit(state, print_word, NULL, &err));
    cairn_state_close(state);
    fclose(file);
    return 0;
}
