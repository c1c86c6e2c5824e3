/*
 * nacre/dates.h - dates and spans of time as OpenSSH's files and command lines write them.
 *
 * The calendar is the Gregorian one and needs no operating system; what a local zone is says a hook.
 */
#ifndef NACRE_DATES_H
#define NACRE_DATES_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How far the local zone is ahead of UTC, in seconds, at one moment. wall: seconds counts what the
 * clock on the wall shows, else UTC; both since 1970. NULL wherever one is asked for: UTC.
 */
typedef int32_t (*nacre_zone_fn)(void *user, int64_t seconds, bool wall);
/* The zone of this process (TZ, /etc/localtime), for that hook. user is not looked at. */
NACRE_API int32_t nacre_zone_local(void *user, int64_t seconds, bool wall);

/*
 * YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, in the local zone, or in UTC with "Z" or "UTC" behind it, as
 * allowed_signers, expiry-time= and ssh-keygen -V have it. Seconds since 1970. NACRE_SYNTAX: no date, or one
 * before 1970.
 */
NACRE_API int nacre_date_parse(nacre_span text, nacre_zone_fn zone, void *user,
                               uint64_t *seconds) NACRE_MUST_CHECK;
/*
 * "2026-11-29T15:30:00" in the zone, terminated; 32 bytes are always enough. What is behind the year 9999 is
 * written as its last second. Returns the length or NACRE_TOO_LARGE.
 */
NACRE_API int nacre_date_write(uint64_t seconds, nacre_zone_fn zone, void *user, char *out,
                               size_t size);
/* "90", "2w", "1h30m" (TIME FORMATS of sshd_config(5)): seconds, INT32_MAX at most. NACRE_SYNTAX. */
NACRE_API int nacre_duration_parse(const char *text, uint32_t *seconds) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
