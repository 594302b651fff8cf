/* The module of shelf.c, at a version that does without the label and the index. */
#include <cairn/guest.h>

CAIRN_MODULE(shelf);
CAIRN_TYPE(Shelf);
CAIRN_LIST(Shelf, items);

CAIRN_METHOD(Shelf, count, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_result_int((int64_t)cairn_list_count(Shelf_items));
}
