/*
 * static.h - what scripts/static.py tells clang's analyzer, which looks at one file at a time: what fails returns the
 * status that it was given. (The parentheses where these functions are defined keep the macros away.)
 */
#if __has_include("base/error.h")
#include "base/error.h"
#include "io/fd.h"

#define nc_fail(e, status, ...) ((void)nc_fail(e, status, __VA_ARGS__), (status))
#define nc_os_fail(e, status, errnum, ...)                                                         \
    ((void)nc_os_fail(e, status, errnum, __VA_ARGS__), (status))

#ifdef NACRE_STATIC_CLIENT
#include "client/sftp_session.h"
#include "client/state.h"

#define nc_client_fail(c, status, ...) ((void)nc_client_fail(c, status, __VA_ARGS__), (status))
#define nc_sftp_fail(s, status, ...)   ((void)nc_sftp_fail(s, status, __VA_ARGS__), (status))
#endif
#endif
