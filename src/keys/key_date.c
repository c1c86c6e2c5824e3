/*
 * key_date.c - dates as expiry-time= has them. Own arithmetic: this floor knows no clock and no time zone.
 */
#include "keys/key_options.h"

static bool two_digits(nacre_span s, size_t at, int max, int *out)
{
    if (at + 2 > s.n || s.p[at] < '0' || s.p[at] > '9' || s.p[at + 1] < '0' || s.p[at + 1] > '9') {
        return false;
    }
    *out = (s.p[at] - '0') * 10 + (s.p[at + 1] - '0');
    return *out <= max;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (int m = 1; m < month; m++) {
        days += days_in_month(year, m);
    }
    return days + day - 1;
}

/* YYYYMMDD[Z], YYYYMMDDHHMM[Z], YYYYMMDDHHMMSS[Z]; Z: UTC, else the local zone. */
bool nc_key_date(nacre_span s, int32_t utc_offset, int64_t *out)
{
    int century, year, month, day, hour = 0, minute = 0, second = 0;
    int64_t offset = utc_offset;
    if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z')) {
        offset = 0;
        s.n--;
    }
    bool good = (s.n == 8 || s.n == 12 || s.n == 14) && two_digits(s, 0, 99, &century) &&
                two_digits(s, 2, 99, &year) && two_digits(s, 4, 12, &month) &&
                two_digits(s, 6, 31, &day) && (s.n < 12 || two_digits(s, 8, 23, &hour)) &&
                (s.n < 12 || two_digits(s, 10, 59, &minute)) &&
                (s.n < 14 || two_digits(s, 12, 59, &second));
    if (!good) {
        return false;
    }
    year += century * 100;
    if (year < 1970 || month < 1 || day < 1 || day > days_in_month(year, month)) {
        return false;
    }
    int64_t days = days_since_1970(year, month, day);
    *out = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    return true;
}
