/*
 * longname.c - the ls -l text of READDIR replies. Calendar arithmetic is done here: the C library's
 * would read the environment (TZ).
 */
#include "sftp/sftp.h"

#include <stdio.h>
#include <string.h>

typedef struct civil {
    int64_t year;
    unsigned month, day; /* month 0..11, day 1..31 */
    unsigned hour, minute;
} civil;

/* Days since 1970 to a date, in eras of 400 years that begin on a first of March. */
static civil civil_from_seconds(int64_t seconds)
{
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153; /* months from March */
    civil c;
    c.day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    c.month = (unsigned)(mp < 10 ? mp + 2 : mp - 10);
    c.year = yoe + era * 400 + (c.month <= 1 ? 1 : 0);
    c.hour = (unsigned)(rest / 3600);
    c.minute = (unsigned)(rest % 3600 / 60);
    return c;
}

static char type_letter(uint32_t permissions)
{
    static const struct {
        uint32_t type;
        char letter;
    } rows[] = {
        {NACRE_SFTP_S_IFREG, '-'}, {NACRE_SFTP_S_IFDIR, 'd'},
        {NACRE_SFTP_S_IFLNK, 'l'}, {NACRE_SFTP_S_IFSOCK, 's'},
        {NACRE_SFTP_S_IFIFO, 'p'}, {NACRE_SFTP_S_IFCHR, 'c'},
        {NACRE_SFTP_S_IFBLK, 'b'}, {0, '-'},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((permissions & NACRE_SFTP_S_IFMT) == rows[i].type) {
            return rows[i].letter;
        }
    }
    return '?';
}

void nacre_sftp_mode_text(uint32_t permissions, char out[11])
{
    static const char letters[] = "rwxrwxrwx";
    out[0] = type_letter(permissions);
    for (unsigned i = 0; i < 9; i++) {
        out[1 + i] = permissions & (0400u >> i) ? letters[i] : '-';
    }
    if (permissions & 04000) {
        out[3] = out[3] == 'x' ? 's' : 'S';
    }
    if (permissions & 02000) {
        out[6] = out[6] == 'x' ? 's' : 'S';
    }
    if (permissions & 01000) {
        out[9] = out[9] == 'x' ? 't' : 'T';
    }
    out[10] = '\0';
}

static void time_text(char *out, size_t size, const nacre_sftp_attrs *a, uint64_t now,
                      int32_t utc_offset)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const uint64_t half_year = 365 * 24 * 60 * 60 / 2;
    uint64_t mtime = a->flags & NACRE_SFTP_ATTR_ACMODTIME ? a->mtime : 0;
    civil c = civil_from_seconds((int64_t)mtime + utc_offset);
    if (mtime > now || now - mtime > half_year) {
        snprintf(out, size, "%s %2u %5lld", months[c.month], c.day, (long long)c.year);
    } else {
        snprintf(out, size, "%s %2u %02u:%02u", months[c.month], c.day, c.hour, c.minute);
    }
}

/* A name of the caller's choice, else the number, else what ls shows when it knows neither. */
static const char *owner_text(char number[16], const char *name, const nacre_sftp_attrs *a,
                              uint32_t id)
{
    if (name && name[0]) {
        return name;
    }
    if (!(a->flags & NACRE_SFTP_ATTR_UIDGID)) {
        return "?";
    }
    snprintf(number, 16, "%u", id);
    return number;
}

size_t nacre_sftp_longname(char *out, size_t size, nacre_span name, const nacre_sftp_attrs *attrs,
                           uint64_t nlink, const char *user, const char *group, uint64_t now,
                           int32_t utc_offset)
{
    char mode[11] = "??????????";
    char links[24] = "?";
    char uid[16];
    char gid[16];
    char when[40];
    if (attrs->flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        nacre_sftp_mode_text(attrs->permissions, mode);
    }
    if (nlink) {
        snprintf(links, sizeof(links), "%llu", (unsigned long long)nlink);
    }
    time_text(when, sizeof(when), attrs, now, utc_offset);
    unsigned long long bytes = attrs->flags & NACRE_SFTP_ATTR_SIZE ? attrs->size : 0;
    int head = snprintf(out, size, "%s %3s %-8s %-8s %8llu %s ", mode, links,
                        owner_text(uid, user, attrs, attrs->uid),
                        owner_text(gid, group, attrs, attrs->gid), bytes, when);
    size_t len = head > 0 ? (size_t)head : 0;
    if (out && len < size) {
        size_t room = size - len - 1;
        size_t n = name.n < room ? name.n : room;
        if (n) {
            memcpy(out + len, name.p, n);
        }
        out[len + n] = '\0';
    }
    return len + name.n;
}
