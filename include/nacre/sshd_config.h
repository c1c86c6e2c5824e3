/*
 * nacre/sshd_config.h - reading OpenSSH's sshd_config(5).
 *
 * Keywords in any case; the first value wins, while Port, ListenAddress, HostKey, AcceptEnv, Subsystem and
 * the Allow and Deny lists add up; "=" may stand behind a keyword; quotes; "#" comments; Include with
 * globs. An unknown keyword is an error with file and line. So is a keyword of OpenSSH's whose wish cannot
 * be granted here: a restriction that nobody enforces must not look as if it were. Keywords that only
 * tune what this server does not offer are read and have no effect.
 *
 * Lines behind a Match are checked when they are read and wait there; nacre_sshd_config_match makes the
 * configuration that holds for one connection.
 */
#ifndef NACRE_SSHD_CONFIG_H
#define NACRE_SSHD_CONFIG_H

#include "nacre/base.h"
#include "nacre/sources.h"

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

/* Which way a forwarding may be asked for (AllowTcpForwarding, AllowStreamLocalForwarding). */
enum {
    NACRE_ALLOW_LOCAL = 1, /* the server connects (ssh -L) */
    NACRE_ALLOW_REMOTE = 2 /* the server listens (ssh -R) */
};

/* PubkeyAuthOptions. */
enum { NACRE_PUBKEY_TOUCH_REQUIRED = 1, NACRE_PUBKEY_VERIFY_REQUIRED = 2 };

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
    /* trust */
    nacre_sshd_list host_certificates;
    char *ca_algorithms;        /* CASignatureAlgorithms, OpenSSH's +-^ syntax; NULL: the default */
    char *trusted_user_ca_keys; /* file of CA keys */
    nacre_sshd_list
        revoked_keys; /* each a KRL or a file of keys: unreadable ones refuse every key */
    char *authorized_principals_file;                             /* with tokens */
    char *authorized_keys_command, *authorized_keys_command_user; /* command: with tokens */
    char *authorized_principals_command, *authorized_principals_command_user;
    uint32_t pubkey_auth_options; /* NACRE_PUBKEY_*_REQUIRED */
    int expose_auth_info;         /* SSH_USER_AUTH */
    char *
        permit_user_environment_pattern; /* list of variables; permit_user_environment is set, too */
    int fingerprint_md5;                 /* FingerprintHash */
    /* what sessions may; forwardings as NACRE_ALLOW_* */
    int allow_tcp_forwarding, allow_streamlocal_forwarding;
    int allow_agent_forwarding, disable_forwarding, x11_forwarding, permit_user_rc;
    int gateway_ports; /* 0 no, 1 yes, 2 as the client says */
    int permit_tunnel; /* 0 no, 1 point-to-point, 2 ethernet, 3 both */
    int x11_use_localhost, streamlocal_bind_unlink;
    uint32_t x11_display_offset, streamlocal_bind_mask;
    char *xauth_location;
    nacre_sshd_list permit_open, permit_listen; /* empty: any; the one entry "none": nothing */
    char *chroot_directory;                     /* with tokens */
    int refuse_connection;
    int use_dns;
    nacre_sshd_list authentication_methods; /* see nacre/auth_policy.h; none: any */
    int hostbased_authentication, hostbased_name_from_packet, ignore_user_known_hosts;
    int ignore_rhosts;          /* 0: no, 1: yes, 2: but for .shosts */
    char *hostbased_algorithms; /* OpenSSH's +-^ syntax */
    /* PerSource...; startups_* of it and exempt are not filled in: they stand above and below */
    nacre_source_rules sources;
    char *penalty_exempt;             /* PerSourcePenaltyExemptList */
    nacre_sshd_list channel_timeouts; /* "type=interval" each, first match; see _channel_timeout */
    uint32_t unused_timeout_seconds;  /* 0: none */
} nacre_sshd_settings;

/* One connection, as Match sees it. Borrowed during the call. */
typedef struct nacre_sshd_facts {
    size_t size;               /* set by nacre_sshd_facts_init */
    const char *user;          /* NULL: not known; Match User and Group are no match then */
    bool user_invalid;         /* there is no such account (Match Invalid-User) */
    const char *const *groups; /* names of the user's groups */
    size_t group_count;
    const char *host;    /* the client's name; NULL: its address stands for it */
    const char *address; /* the client's, numeric; NULL: not known */
    const char *local_address;
    uint32_t local_port; /* 0: not known */
    const char *rdomain;
} nacre_sshd_facts;
NACRE_API void nacre_sshd_facts_init(nacre_sshd_facts *f);

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

/*
 * What holds for one connection: the Match blocks that fit, in order, then what the global section says of
 * the other keywords (lists are not mixed; subsystems are, by name). Both are finished and may be freed in any
 * order; *out is owned. NACRE_NO_MEMORY, NACRE_WRONG_STATE before c is finished.
 */
NACRE_API int nacre_sshd_config_match(nacre_sshd_config **out, const nacre_sshd_config *c,
                                      const nacre_sshd_facts *facts,
                                      nacre_error *err) NACRE_MUST_CHECK;
/* Is there a Match block at all? Without one, nacre_sshd_config_match only copies. */
NACRE_API bool nacre_sshd_config_has_match(const nacre_sshd_config *c);

/* Borrowed until the config is freed. Complete after finish. */
NACRE_API const nacre_sshd_settings *nacre_sshd_config_settings(const nacre_sshd_config *c);
/* The n-th thing that is odd but no error, as a sentence with file and line; NULL behind the last. */
NACRE_API const char *nacre_sshd_config_warning(const nacre_sshd_config *c, size_t n);
/* The effective configuration as sshd -T prints it, line by line without newline. */
NACRE_API void nacre_sshd_config_dump(const nacre_sshd_config *c,
                                      void (*line)(void *user, const char *text), void *user);

/*
 * The n-th entry of ChannelTimeout: a pattern over types of channels, and after how many seconds of silence one is
 * closed (0: never). False: there are no more.
 */
NACRE_API bool nacre_sshd_config_channel_timeout(const nacre_sshd_config *c, size_t n,
                                                 char *pattern, size_t size, uint32_t *seconds);
/* May a client set this variable (AcceptEnv)? */
NACRE_API bool nacre_sshd_config_accepts_env(const nacre_sshd_config *c, nacre_span name);
/* May a key's environment= option set this NAME=value (PermitUserEnvironment)? */
NACRE_API bool nacre_sshd_config_user_env(const nacre_sshd_config *c, const char *pair);

/* The files of variables that a session starts with. */
typedef enum nacre_env_syntax {
    NACRE_ENV_USER, /* ~/.ssh/environment, sshd(8): all that stands behind the first "=" is the value */
    NACRE_ENV_SYSTEM /* /etc/environment, pam_env(7): "export" in front, blanks behind the value and one
                      * pair of quotes around it do not count; names of letters, digits and "_" only */
} nacre_env_syntax;
/* As OpenSSH: who has more variables than that wants something else. */
enum { NACRE_ENV_LINES = 1000 };
/*
 * The next variable of such a file, as "NAME=value" in pair (size bytes; a pair is never longer than its line, so
 * text->n + 1 bytes are enough for all). Blanks in front of a line do not count; empty lines and those that
 * begin with '#' are passed over. text goes forward; *line_number (0 before the first) is that of the line. 1, or 0
 * behind the last, or, where what was called for next goes on behind that line: NACRE_SYNTAX (no "=", no name, a zero
 * byte), NACRE_TOO_LARGE; or NACRE_LIMIT behind NACRE_ENV_LINES lines, where all ends. err (NULL ok) says which line.
 */
NACRE_API int nacre_env_next(nacre_span *text, size_t *line_number, nacre_env_syntax syntax,
                             char *pair, size_t size, nacre_error *err) NACRE_MUST_CHECK;
/*
 * AllowUsers, DenyUsers, AllowGroups, DenyGroups. groups: names of the user's groups. NACRE_OK, or
 * NACRE_AUTH_FAILED with the keyword that forbids it in *why (NULL ok).
 */
NACRE_API int nacre_sshd_config_user_allowed(const nacre_sshd_config *c, const char *user,
                                             const char *const *groups, size_t group_count,
                                             const char *address,
                                             nacre_error *why) NACRE_MUST_CHECK;
/*
 * NACRE_MAY_* (nacre/authorized_keys.h) as far as the configuration grants them: what a login may do is this
 * AND what its key was granted. DisableForwarding takes every forwarding away, tunnels as well.
 */
NACRE_API uint32_t nacre_sshd_config_may(const nacre_sshd_config *c);
/*
 * AllowTcpForwarding, PermitOpen and (listens) PermitListen: may a connection to host:port be made, or host:port
 * be listened on? host as the client named it, without brackets; hosts to connect to are compared byte for
 * byte, those to listen on as patterns.
 */
NACRE_API bool nacre_sshd_config_permits(const nacre_sshd_config *c, bool listens, const char *host,
                                         uint32_t port);
/*
 * AllowStreamLocalForwarding: may a Unix-domain socket be connected to, or (listens) be listened on? PermitOpen and
 * PermitListen name hosts and ports: where they limit anything (no entry "*:*"), sockets are not permitted.
 */
NACRE_API bool nacre_sshd_config_permits_path(const nacre_sshd_config *c, bool listens);
/*
 * The path that an AuthorizedKeysFile entry means for a user: %h home, %u name, %U number, %% percent;
 * relative ones lie in home. A name with "/" in it is refused: it would lead elsewhere.
 * NACRE_TOO_LARGE, NACRE_SYNTAX, NACRE_INVALID_ARGUMENT.
 */
NACRE_API int nacre_sshd_expand_path(const char *pattern, const char *user, const char *home,
                                     uint32_t uid, char *out, size_t size) NACRE_MUST_CHECK;

/* What the tokens of AuthorizedKeysCommand and AuthorizedPrincipalsCommand stand for. NULL: not to be had. */
typedef struct nacre_sshd_tokens {
    size_t size;                            /* set by nacre_sshd_tokens_init */
    const char *user, *home, *uid;          /* %u %h %U */
    const char *connection, *rdomain;       /* %C "address port address port", %D */
    const char *key_type, *key, *key_print; /* %t %k (base64) %f */
    const char *ca_type, *ca, *ca_print;    /* %T %K %F */
    const char *key_id, *serial;            /* %i %s */
} nacre_sshd_tokens;
NACRE_API void nacre_sshd_tokens_init(nacre_sshd_tokens *t);

/* A program and its arguments, for nacre_spawn: no shell sees them. */
typedef struct nacre_sshd_command {
    size_t argc;
    char **argv; /* NULL-ended; argv[0] is the program's absolute path */
} nacre_sshd_command;
/*
 * Cuts text into words (quotes as in the file), and expands the tokens in each word but the first: what a token
 * stands for stays within its word. A program alone gets the user's name as its argument, as with sshd.
 * NACRE_SYNTAX: an unknown token, one that is not to be had, an open quote; NACRE_LIMIT, NACRE_NO_MEMORY.
 */
NACRE_API int nacre_sshd_command_new(nacre_sshd_command **out, const nacre_allocator *alloc,
                                     const char *text, const nacre_sshd_tokens *tokens,
                                     nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_sshd_command_free(nacre_sshd_command *command);

#ifdef __cplusplus
}
#endif
#endif
