#include "base/hash.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t cairn_hash(struct cairn_bytes bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}

uint64_t cairn_hash_seeded(struct cairn_bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint32_t cairn_crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;

    crc = ~crc;
    while (size) { /* ISA-L takes an int */
        size_t n = size < (1u << 30) ? size : (1u << 30);
        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)n, crc);
        at += n;
        size -= n;
    }
    return ~crc;
}

void cairn_sha256(struct cairn_bytes bytes, uint8_t digest[CAIRN_SHA256_BYTES])
{
    unsigned size = 0;

    if (!EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) || size != CAIRN_SHA256_BYTES)
        abort(); /* only when memory is gone */
}

/* The struct is OpenSSL's context under our name. */
void cairn_sha1(struct cairn_bytes bytes, uint8_t digest[CAIRN_SHA1_BYTES])
{
    unsigned size = 0;

    if (!EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha1(), NULL) || size != CAIRN_SHA1_BYTES)
        abort(); /* a broken libcrypto */
}

static EVP_MD_CTX *context_of(struct cairn_sha256 *sha)
{
    return (EVP_MD_CTX *)sha;
}

struct cairn_sha256 *cairn_sha256_begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        abort();
    return (struct cairn_sha256 *)context;
}

void cairn_sha256_add(struct cairn_sha256 *sha, const void *data, size_t size)
{
    if (!EVP_DigestUpdate(context_of(sha), data, size))
        abort();
}

struct cairn_sha256 *cairn_sha256_end(struct cairn_sha256 *sha, uint8_t digest[CAIRN_SHA256_BYTES])
{
    if (sha && digest && !EVP_DigestFinal_ex(context_of(sha), digest, NULL))
        abort();
    EVP_MD_CTX_free(context_of(sha));
    return NULL;
}
