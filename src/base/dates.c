/*
 * dates.c - dates as text. Pure: the local zone is the caller's hook (src/io/zone.c has the system's).
 */
#include "nacre/dates.h"
#include "base/mem.h"
#include "base/words.h"

#include <stdio.h>
#include <string.h>

static const int64_t DAY = 86400;
/* 9999-12-31T23:59:59: four digits hold no later year. */
static const int64_t LAST = 253402300799;

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of a year from 1 on. */
static int64_t days_before_year(int64_t year)
{
    int64_t before = year - 1;
    return before * 365 + before / 4 - before / 100 + before / 400 - 719162;
}

/* n digits at *s, which moves behind them; -1: they are not all digits. */
static int take(nacre_span *s, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (i >= s->n || s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }
        value = value * 10 + (s->p[i] - '0');
    }
    s->p += n;
    s->n -= n;
    return value;
}

static bool cut_suffix(nacre_span *s, const char *suffix)
{
    size_t n = strlen(suffix);
    if (s->n <= n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t c = s->p[s->n - n + i];
        c = c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
        if (c != (uint8_t)suffix[i]) {
            return false;
        }
    }
    s->n -= n;
    return true;
}

int nacre_date_parse(nacre_span text, nacre_zone_fn zone, void *user, uint64_t *seconds)
{
    bool utc = cut_suffix(&text, "Z") || cut_suffix(&text, "UTC");
    if (text.n != 8 && text.n != 12 && text.n != 14) {
        return NACRE_SYNTAX;
    }
    int year = take(&text, 4);
    int month = take(&text, 2);
    int day = take(&text, 2);
    int hour = text.n ? take(&text, 2) : 0;
    int minute = text.n ? take(&text, 2) : 0;
    int second = text.n ? take(&text, 2) : 0;
    /* A leap second is the first of the next minute. */
    bool good = year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
                day <= days_in_month(year, month) && hour >= 0 && hour <= 23 && minute >= 0 &&
                minute <= 59 && second >= 0 && second <= 60 && text.n == 0;
    if (!good) {
        return NACRE_SYNTAX;
    }
    int64_t days = days_before_year(year) + day - 1;
    for (int m = 1; m < month; m++) {
        days += days_in_month(year, m);
    }
    int64_t at = days * DAY + hour * 3600 + minute * 60 + second;
    at -= utc || !zone ? 0 : zone(user, at, true);
    if (at < 0) {
        return NACRE_SYNTAX;
    }
    *seconds = (uint64_t)at;
    return NACRE_OK;
}

int nacre_date_write(uint64_t seconds, nacre_zone_fn zone, void *user, char *out, size_t size)
{
    int64_t at = seconds < (uint64_t)LAST ? (int64_t)seconds : LAST;
    at += zone ? zone(user, at, false) : 0;
    at = at < 0 ? 0 : at > LAST ? LAST : at;
    int64_t day = at / DAY;
    int64_t rest = at % DAY;
    int64_t year = 1970 + day / 366; /* never too late; at most 22 years early */
    while (days_before_year(year + 1) <= day) {
        year++;
    }
    day -= days_before_year(year);
    int month = 1;
    while (day >= days_in_month(year, month)) {
        day -= days_in_month(year, month);
        month++;
    }
    int n = snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, month, (int)day + 1,
                     (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    return n > 0 && (size_t)n < size ? n : NACRE_TOO_LARGE;
}

int nacre_duration_parse(const char *text, uint32_t *seconds)
{
    return nc_parse_time(text, seconds) ? NACRE_OK : NACRE_SYNTAX;
}
