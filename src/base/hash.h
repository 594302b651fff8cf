/* hash.h - the hashes: XXH3 for tables and placement, CRC32C for stored bytes, SHA-256 for names of content.
 * Layer: base. */
#ifndef CAIRN_BASE_HASH_H
#define CAIRN_BASE_HASH_H

#include "base/bytes.h"

uint64_t cairn_hash(struct cairn_bytes bytes);
uint64_t cairn_hash_seeded(struct cairn_bytes bytes, uint64_t seed);

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) over bytes, continued from `crc` (0 to start). */
uint32_t cairn_crc32c(uint32_t crc, const void *data, size_t size);

/* FIPS 180-4. */
enum { CAIRN_SHA256_BYTES = 32 };
void cairn_sha256(struct cairn_bytes bytes, uint8_t digest[CAIRN_SHA256_BYTES]);
/* For protocols that are defined with it; nothing of ours is. */
enum { CAIRN_SHA1_BYTES = 20 };
void cairn_sha1(struct cairn_bytes bytes, uint8_t digest[CAIRN_SHA1_BYTES]);

/* The same in parts. */
struct cairn_sha256;
struct cairn_sha256 *cairn_sha256_begin(void);
void cairn_sha256_add(struct cairn_sha256 *sha, const void *data, size_t size);
/* Ends it: writes the digest unless that is NULL, and returns NULL.  Accepts NULL. */
struct cairn_sha256 *cairn_sha256_end(struct cairn_sha256 *sha, uint8_t digest[CAIRN_SHA256_BYTES]);

#endif
