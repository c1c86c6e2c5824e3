/*
 * nacre/sshd_config.h - reading OpenSSH's sshd_config(5).
 *
 * Keywords in any case; the first value wins, while Port, ListenAddress, HostKey, AcceptEnv, Subsystem and
 * the Allow and Deny lists add up; "=" may stand behind a keyword; quotes; "#" comments; Include with
 * globs. An unknown keyword is an error with file and line. So is a keyword of OpenSSH's whose wish cannot
 * be granted here: a restriction that nobody enforces must not look as if it were. Keywords that only
 * allow what this server does not offer (forwardings, for one) are read and have no effect.
 */
#ifndef NACRE_SSHD_CONFIG_H
#define NACRE_SSHD_CONFIG_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sshd_config nacre_sshd_config;

typedef struct nacre_sshd_list {
    char **items; /* count of them */
    size_t count;
} nacre_sshd_list;

typedef struct nacre_sshd_listen {
    char *address; /* numeric, or a name */
    uint16_t port; /* 0: every Port */
} nacre_sshd_listen;

typedef struct nacre_sshd_subsystem {
    char *name;
    char *command; /* "internal-sftp ..." or what the user's shell shall run */
} nacre_sshd_subsystem;

typedef enum nacre_sshd_root {
    NACRE_ROOT_NO = 0,
    NACRE_ROOT_YES,
    NACRE_ROOT_PROHIBIT_PASSWORD, /* keys only; the default */
    NACRE_ROOT_FORCED_COMMANDS    /* keys that force a command only */
} nacre_sshd_root;

/* What the configuration comes to. Strings are NULL where nothing (or "none") is configured. */
typedef struct nacre_sshd_settings {
    size_t size;
    uint16_t ports[16];
    size_t port_count;
    nacre_sshd_listen listen[64];
    size_t listen_count; /* 0: all addresses of the family */
    int family;          /* 0: any, 4, 6 */
    nacre_sshd_list host_keys;
    bool default_host_keys; /* none was named: those of the list that exist */
    char *host_key_algorithms, *kex, *ciphers, *macs, *pubkey_algorithms; /* OpenSSH's +-^ syntax */
    int compression;                                                      /* 0: no */
    uint64_t rekey_bytes; /* 0: the library's default */
    uint32_t rekey_seconds;
    uint32_t login_grace_seconds; /* 0: none */
    uint32_t max_auth_tries, max_sessions;
    uint32_t startups_begin, startups_rate, startups_full;
    int permit_root; /* nacre_sshd_root */
    int password_authentication, interactive_authentication, pubkey_authentication;
    nacre_sshd_list authorized_keys_files; /* with tokens */
    int strict_modes, permit_tty, permit_user_environment;
    nacre_sshd_list accept_env, set_env;
    nacre_sshd_subsystem subsystems[16];
    size_t subsystem_count;
    char *force_command, *banner, *pid_file, *moduli_file;
    int log_level;    /* 0 QUIET, 1 FATAL, 2 ERROR, 3 INFO, 4 VERBOSE, 5 to 7 DEBUG1 to DEBUG3 */
    int log_facility; /* as syslog(3) numbers them */
    int use_pam;      /* asked for; there is no PAM here */
    int print_motd, print_last_log, tcp_keepalive;
    uint32_t alive_interval_seconds, alive_count_max;
    uint32_t required_rsa_bits;
    nacre_sshd_list allow_users, deny_users, allow_groups, deny_groups;
} nacre_sshd_settings;

/* Returns owned in *out. alloc (NULL ok) is kept. */
NACRE_API int nacre_sshd_config_new(nacre_sshd_config **out,
                                    const nacre_allocator *alloc) NACRE_MUST_CHECK;
NACRE_API void nacre_sshd_config_free(nacre_sshd_config *c);

/* One line, as after -o: "Keyword=value". Call before the file is read, for the first value wins. */
NACRE_API int nacre_sshd_config_line(nacre_sshd_config *c, const char *line,
                                     nacre_error *err) NACRE_MUST_CHECK;
/* A whole text; name is what errors call it. */
NACRE_API int nacre_sshd_config_text(nacre_sshd_config *c, nacre_span text, const char *name,
                                     nacre_error *err) NACRE_MUST_CHECK;
/* Blocks on the file. NACRE_IO, NACRE_SYNTAX, NACRE_UNSUPPORTED, NACRE_LIMIT. */
NACRE_API int nacre_sshd_config_file(nacre_sshd_config *c, const char *path,
                                     nacre_error *err) NACRE_MUST_CHECK;
/* Puts defaults where nothing was said. Afterwards only reading. */
NACRE_API int nacre_sshd_config_finish(nacre_sshd_config *c, nacre_error *err) NACRE_MUST_CHECK;

/* Borrowed until the config is freed. Complete after finish. */
NACRE_API const nacre_sshd_settings *nacre_sshd_config_settings(const nacre_sshd_config *c);
/* The n-th thing that is odd but no error, as a sentence with file and line; NULL behind the last. */
NACRE_API const char *nacre_sshd_config_warning(const nacre_sshd_config *c, size_t n);
/* The effective configuration as sshd -T prints it, line by line without newline. */
NACRE_API void nacre_sshd_config_dump(const nacre_sshd_config *c,
                                      void (*line)(void *user, const char *text), void *user);

/* May a client set this variable (AcceptEnv)? */
NACRE_API bool nacre_sshd_config_accepts_env(const nacre_sshd_config *c, nacre_span name);
/*
 * AllowUsers, DenyUsers, AllowGroups, DenyGroups. groups: names of the user's groups. NACRE_OK, or
 * NACRE_AUTH_FAILED with the keyword that forbids it in *why (NULL ok).
 */
NACRE_API int nacre_sshd_config_user_allowed(const nacre_sshd_config *c, const char *user,
                                             const char *const *groups, size_t group_count,
                                             const char *address,
                                             nacre_error *why) NACRE_MUST_CHECK;
/*
 * The path that an AuthorizedKeysFile entry means for a user: %h home, %u name, %U number, %% percent;
 * relative ones lie in home. A name with "/" in it is refused: it would lead elsewhere.
 * NACRE_TOO_LARGE, NACRE_SYNTAX, NACRE_INVALID_ARGUMENT.
 */
NACRE_API int nacre_sshd_expand_path(const char *pattern, const char *user, const char *home,
                                     uint32_t uid, char *out, size_t size) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
