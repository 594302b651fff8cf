/* fields.h - what bench_disagg asks of bench_store: operations on the fields of one object.
 *
 *   request   u32 bytes that follow | sized object name | one or more operations
 *     operation   u8 op | varint field | varint number | sized key | sized value   (what is not used: 0, empty)
 *   reply     u32 bytes that follow | per operation: varint number | varint count | that many sized strings
 *
 * Integers are little-endian.  A request's operations see each other's writes and are applied as one record; its
 * reply comes once that is on stable storage.  One request at a time on a connection. */
#ifndef CAIRN_BENCH_FIELDS_H
#define CAIRN_BENCH_FIELDS_H

enum field_op {
    /*                  number      key  value     reply: number, strings */
    FIELD_VALUE_GET = 1, /*                        found, value */
    FIELD_VALUE_SET,     /*              value     */
    FIELD_VALUE_CLEAR,   /*                        */
    FIELD_LIST_COUNT,    /*                        count */
    FIELD_LIST_PUSH,     /*              entry     */
    FIELD_LIST_SET,      /* index        entry     found */
    FIELD_LIST_RANGE,    /* index   how many *     entries, entries */
    FIELD_LIST_DROP,     /* count                  dropped; from the oldest on */
    FIELD_LIST_DROP_NEW, /* count                  dropped; from the newest on */
    FIELD_MAP_COUNT,     /*                        count */
    FIELD_MAP_GET,       /*         key            found, value */
    FIELD_MAP_SET,       /*         key  value     */
    FIELD_MAP_REMOVE,    /*         key            found */
    FIELD_MAP_RANGE,     /* place   how many *     entries; key, value, key, value, .. */
    FIELD_OP_END,
    /* (*) decimal digits; one for a request per entry, more for a range. */
};

enum { FIELD_REQUEST_BYTES_MAX = 16 << 20 };

#endif
