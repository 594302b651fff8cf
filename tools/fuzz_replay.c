/* Runs a fuzz target over its corpus without libFuzzer, as an ordinary test: every input as it is, cut at every length,
 * and with every byte changed in three ways.  A finding that was once added to the corpus cannot come back unseen.
 * Usage: fuzz_NAME FILE... */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_BYTES_MAX = 1 << 20, MANGLED_BYTES_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that size, so that a read beyond the end is seen by the sanitizers. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(size ? size : 1, 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mangle(uint8_t *data, size_t size)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};

    for (size_t cut = 0; cut < size; cut++)
        run(data, cut);
    for (size_t i = 0; i < size; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            data[i] ^= masks[m];
            run(data, size);
            data[i] ^= masks[m];
        }
    }
}

static bool replay(const char *path)
{
    static uint8_t data[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        return false;
    }
    size = fread(data, 1, sizeof data, file);
    if (ferror(file)) {
        perror(path);
        fclose(file);
        return false;
    }
    fclose(file);
    run(data, size);
    if (size <= MANGLED_BYTES_MAX)
        mangle(data, size);
    return true;
}

int main(int argc, char **argv)
{
    bool whole = true;

    run((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        whole = replay(argv[i]) && whole;
    printf("%d inputs\n", argc - 1);
    return whole ? 0 : 1;
}
