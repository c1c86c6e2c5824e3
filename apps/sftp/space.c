/*
 * space.c - df, and sizes for people.
 */
#include "app.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *scaled(uint64_t n)
{
    static const char units[] = "BKMGTPE";
    size_t i = 0;
    uint64_t rest = 0;
    while (n >= 1024 && units[i + 1]) {
        rest = n % 1024;
        n /= 1024;
        i++;
    }
    uint64_t tenths = (rest * 10 + 512) / 1024;
    n += tenths / 10;
    tenths %= 10;
    if (i > 0 && n < 100) {
        return text_of("%" PRIu64 ".%" PRIu64 "%c", n, tenths, units[i]);
    }
    return text_of("%" PRIu64 "%c", n + (tenths >= 5), units[i]);
}

/* Of all there is, what root alone may use included; rounded down. */
static char *capacity(uint64_t free_ones, uint64_t all)
{
    uint64_t used = all - (free_ones < all ? free_ones : all);
    return all == 0 ? text_of("ERR")
                    : text_of("%3u%%", (unsigned)((double)used * 100.0 / (double)all));
}

static void print_space(const nacre_sftp_statvfs *v, bool for_people)
{
    uint64_t unit = v->frsize ? v->frsize : v->bsize;
    uint64_t used = v->blocks - (v->bfree < v->blocks ? v->bfree : v->blocks);
    uint64_t figures[4] = {v->blocks, used, v->bavail, v->bfree};
    int width = for_people ? 7 : 12;
    int head = for_people ? 8 : 12;
    char *percent = capacity(v->bfree, v->blocks);
    printf("%*s %*s %*s %*s    %%Capacity\n", head, "Size", head, "Used", head, "Avail", head,
           "(root)");
    for (size_t i = 0; i < 4; i++) {
        char *text = for_people ? scaled(figures[i] * unit)
                                : text_of("%" PRIu64,
                                          (uint64_t)((double)figures[i] * ((double)unit / 1024.0)));
        printf("%*s%s ", width, text, for_people ? "B" : "");
        free(text);
    }
    printf("        %s\n", percent);
    free(percent);
}

static void print_inodes(const nacre_sftp_statvfs *v)
{
    uint64_t used = v->files - (v->ffree < v->files ? v->ffree : v->files);
    char *percent = capacity(v->ffree, v->files);
    printf("%11s %11s %11s %11s    %%Capacity\n", "Inodes", "Used", "Avail", "(root)");
    printf("%11" PRIu64 " %11" PRIu64 " %11" PRIu64 " %11" PRIu64 "         %s\n", v->files, used,
           v->favail, v->ffree, percent);
    free(percent);
}

int df_command(app *a, const call *c)
{
    nacre_sftp_statvfs v;
    if (!nacre_sftp_has(a->s, NACRE_SFTP_EXT_STATVFS)) {
        return complain("Server does not support statvfs@openssh.com extension");
    }
    char *path = c->count > 0 ? absolute(a, c->at[0].text) : keep(strdup(a->pwd));
    int rc = nacre_sftp_statvfs_path(a->s, path, &v) == NACRE_OK
                 ? 0
                 : complain_about(a, "remote statvfs \"%s\"", shown(path));
    free(path);
    if (rc == 0 && has_flag(c, 'i')) {
        print_inodes(&v);
    } else if (rc == 0) {
        print_space(&v, has_flag(c, 'h'));
    }
    return rc;
}
