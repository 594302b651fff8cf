#include "io/zones.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ZONES_MAX = 4096, FILE_BYTES_MAX = 64 << 10, DEPTH_MAX = 3, PATH_BYTES_MAX = 512 };

struct named {
    char name[CAIRN_ZONE_NAME_BYTES_MAX + 1];
    struct cairn_zone *zone;
};

struct cairn_zones {
    struct named *all;
    size_t count, room;
    int64_t from_s;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void read_file(struct cairn_zones *zones, const char *path, const char *name)
{
    static const size_t most = FILE_BYTES_MAX;
    uint8_t *bytes = cairn_alloc(most);
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(bytes, 1, most, file) : 0;
    struct cairn_zone *zone = size && size < most ? cairn_zone_read(cairn_bytes(bytes, size), zones->from_s) : NULL;

    if (file)
        fclose(file);
    free(bytes);
    if (!zone)
        return;
    if (zones->count == zones->room) {
        zones->room = zones->room ? zones->room * 2 : 64;
        zones->all = cairn_realloc(zones->all, zones->room * sizeof *zones->all);
    }
    snprintf(zones->all[zones->count].name, sizeof zones->all[0].name, "%s", name);
    zones->all[zones->count++].zone = zone;
}

static void read_folder(struct cairn_zones *zones, const char *path, const char *name, int depth)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && zones->count < ZONES_MAX && (entry = readdir(folder))) {
        char below[PATH_BYTES_MAX], below_name[CAIRN_ZONE_NAME_BYTES_MAX + 1];
        struct stat about;

        /* These two are the same zones a second time, one with leap seconds. */
        if (entry->d_name[0] == '.' ||
            (depth == 0 && (!strcmp(entry->d_name, "posix") || !strcmp(entry->d_name, "right"))))
            continue;
        if ((size_t)snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= sizeof below ||
            (size_t)snprintf(below_name, sizeof below_name, "%s%s%s", name, *name ? "/" : "", entry->d_name) >=
                sizeof below_name ||
            stat(below, &about) != 0)
            continue;
        if (S_ISDIR(about.st_mode) && depth < DEPTH_MAX)
            read_folder(zones, below, below_name, depth + 1);
        else if (S_ISREG(about.st_mode))
            read_file(zones, below, below_name);
    }
    if (folder)
        closedir(folder);
}

struct cairn_zones *cairn_zones_load(const char *folder, int64_t from_s)
{
    struct cairn_zones *zones = cairn_alloc_zeroed(1, sizeof *zones);

    zones->from_s = from_s;
    read_folder(zones, folder, "", 0);
    if (zones->count)
        qsort(zones->all, zones->count, sizeof *zones->all, by_name);
    return zones;
}

struct cairn_zones *cairn_zones_free(struct cairn_zones *zones)
{
    if (!zones)
        return NULL;
    for (size_t i = 0; i < zones->count; i++)
        cairn_zone_free(zones->all[i].zone);
    free(zones->all);
    free(zones);
    return NULL;
}

bool cairn_zones_find(const struct cairn_zones *zones, struct cairn_bytes name, const struct cairn_zone **ret_zone)
{
    struct named key;
    const struct named *found;

    *ret_zone = NULL;
    if (cairn_bytes_equal(name, cairn_str("UTC")))
        return true;
    if (!zones || !zones->count || name.size > CAIRN_ZONE_NAME_BYTES_MAX || !name.size)
        return false;
    memcpy(key.name, name.data, name.size);
    key.name[name.size] = 0;
    found = bsearch(&key, zones->all, zones->count, sizeof *zones->all, by_name);
    if (found)
        *ret_zone = found->zone;
    return found != NULL;
}
