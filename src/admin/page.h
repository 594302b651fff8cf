/* page.h - when a page of a long answer ends.
 *
 * At the latest when it has CAIRN_PAGE_ENTRIES or CAIRN_PAGE_BYTES; and once it has PAGE_ENTRIES_MIN, which is looked
 * at as often, when PAGE_NS are over: what is not in memory yet takes long to read.
 * Threads: the worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_PAGE_H
#define CAIRN_ADMIN_PAGE_H

#include "object/object.h"

enum { PAGE_ENTRIES_MIN = 16, PAGE_NS = 100000, PAGE_LIMIT_DEFAULT = 100 };

struct page {
    struct cairn_worker *worker;
    uint64_t until_ns;
    bool late;
};

void page_begin(struct page *page, struct cairn_worker *worker);
bool page_full(struct page *page, uint64_t entries, size_t bytes);

#endif
