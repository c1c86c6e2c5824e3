/*
 * zone.c - the local zone of this process.
 */
#include "nacre/dates.h"

#include <time.h>

int32_t nacre_zone_local(void *user, int64_t seconds, bool wall)
{
    (void)user;
    time_t at = (time_t)seconds;
    struct tm tm;
    if (!wall) {
        return localtime_r(&at, &tm) ? (int32_t)tm.tm_gmtoff : 0;
    }
    if (!gmtime_r(&at, &tm)) {
        return 0;
    }
    tm.tm_isdst = -1; /* whatever holds at that time */
    time_t utc = mktime(&tm);
    /* -1 is also a second before 1970, which no caller asks for. */
    return utc == (time_t)-1 ? 0 : (int32_t)(at - utc);
}
