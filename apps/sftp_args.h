/*
 * sftp_args.h - options of an SFTP server: the command line of nacre-sftp-server, and what stands
 * behind internal-sftp in sshd_config.
 */
#ifndef NACRE_APPS_SFTP_ARGS_H
#define NACRE_APPS_SFTP_ARGS_H

#include <nacre/sftp_server.h>

typedef struct sftp_args {
    bool read_only, to_stderr, help, version;
    const char *allow, *deny; /* -p, -P */
    const char *start;        /* -d, with tokens; NULL: none given */
    const char *query;        /* -Q */
    int umask;                /* -1: none given */
    int level, facility;      /* as nacre_sshd_settings counts; -1: none given */
} sftp_args;

/* argv[0] is skipped; strings are borrowed. False: *wrong says what (static, or one of argv). */
bool sftp_args_parse(sftp_args *a, int argc, char *const *argv, const char **wrong);
/* -d with %u, %d and %% made into a path. False: does not fit, or an unknown token. */
bool sftp_args_start(const char *pattern, const char *user, const char *home, char *out,
                     size_t size);
/* A LogLevel's or SyslogFacility's number; -1: no such name. */
int log_level_of(const char *name);
int log_facility_of(const char *name);

#endif
