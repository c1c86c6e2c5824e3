/*
 * nacre/ssh_config.h - the client's configuration as ssh_config(5) and "-o" write it.
 *
 * The object is made for one destination. Options and files are added in the order of their priority:
 * for every keyword the first value wins, and Host and Match decide which lines count. An unknown
 * keyword or a value that makes no sense is an error with file and line. What a program does with the
 * values is its own business; numbers, times and yes/no are checked here.
 *
 * Known are all keywords of OpenSSH 10, Host (with negation), Match with all its criteria, and Include. Names are
 * compared as ssh does it: Host by the letters as they were typed. "Match version" sees "nacre_<version>".
 *
 *     nacre_ssh_config_new(&c, NULL, "host", NULL);
 *     nacre_ssh_config_read(c, NULL, 0, &err);             // ~/.ssh/config and /etc/ssh/ssh_config
 *     connect to nacre_ssh_config_host(c), nacre_ssh_config_port(c) as nacre_ssh_config_user(c)
 */
#ifndef NACRE_SSH_CONFIG_H
#define NACRE_SSH_CONFIG_H

#include "nacre/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_ssh_config nacre_ssh_config;

/* host: the destination as the user typed it. user: the login name given beside it, or NULL. */
NACRE_API int nacre_ssh_config_new(nacre_ssh_config **out, const nacre_allocator *a,
                                   const char *host, const char *user) NACRE_MUST_CHECK;
NACRE_API void nacre_ssh_config_free(nacre_ssh_config *c);
/* Another destination, for the lines that follow: options are often read before it is known. */
NACRE_API int nacre_ssh_config_target(nacre_ssh_config *c, const char *host,
                                      const char *user) NACRE_MUST_CHECK;

/* The command that is to be run there, for Match command and sessiontype; NULL: a shell. Copied. */
NACRE_API int nacre_ssh_config_command(nacre_ssh_config *c, const char *command) NACRE_MUST_CHECK;

/* What the reading of a configuration may do outside of itself. All may be NULL. */
typedef struct nacre_ssh_hooks {
    size_t size; /* set by nacre_ssh_hooks_init */
    /*
     * Match exec: runs the command by the user's shell (nacre_shell_run), *matches: it exited with 0. The names
     * in it that tokens brought are free of characters that a shell knows. NULL: Match exec is an error.
     */
    int (*exec)(void *user, const char *command, bool *matches, nacre_error *err);
    /*
     * Canonical names: asks for the addresses of name (family 0, 4, 6). NACRE_OK: there is one, and canonical
     * is the name that they belong to ("": not known); any other status: there is none. numeric: name is an
     * address or nothing; canonical is how it is usually written. NULL: the system's resolver.
     */
    int (*resolve)(void *user, const char *name, int family, bool numeric, char *canonical,
                   size_t size);
    /* "file:line: ...": a value that is passed over. */
    void (*warning)(void *user, const char *text);
    void *user;
} nacre_ssh_hooks;
NACRE_API void nacre_ssh_hooks_init(nacre_ssh_hooks *hooks);
NACRE_API void nacre_ssh_config_hooks(nacre_ssh_config *c, const nacre_ssh_hooks *hooks);

/* "Keyword=value", "Keyword value" (as -o takes it). NACRE_UNKNOWN_NAME, NACRE_SYNTAX. */
NACRE_API int nacre_ssh_config_option(nacre_ssh_config *c, const char *text,
                                      nacre_error *err) NACRE_MUST_CHECK;
/* A keyword with its value, unquoted: what a command line option stands for. */
NACRE_API int nacre_ssh_config_set(nacre_ssh_config *c, const char *keyword, const char *value,
                                   nacre_error *err) NACRE_MUST_CHECK;
/* The lines of a buffer; source names it in messages. Include is refused here. */
NACRE_API int nacre_ssh_config_add_text(nacre_ssh_config *c, nacre_span text, const char *source,
                                        nacre_error *err) NACRE_MUST_CHECK;
/*
 * The lines of a file. user_file: it must belong to us or root and be writable by nobody else
 * (NACRE_KEY_PERMISSIONS), and relative Include paths begin in ~/.ssh, otherwise in /etc/ssh.
 * NACRE_NOT_FOUND when it does not exist.
 */
NACRE_API int nacre_ssh_config_add_file(nacre_ssh_config *c, const char *path, bool user_file,
                                        nacre_error *err) NACRE_MUST_CHECK;

/* One place that a configuration is read from. */
typedef struct nacre_ssh_source {
    const char *path; /* a file, or NULL: text */
    nacre_span text;
    const char *name; /* of text, for messages */
    bool in_home;     /* relative names of Include begin in ~/.ssh and not in /etc/ssh */
    bool secure;      /* others may not write it, as nacre_ssh_config_add_file */
    bool optional;    /* it need not exist */
} nacre_ssh_source;
/*
 * Reads all of it as ssh does: the sources in their order (count 0: ~/.ssh/config, /etc/ssh/ssh_config), HostName,
 * the canonical name if CanonicalizeHostname and its friends want one or the host is an address, and once more
 * when that or Match final asks for it. Options are set before. Fails as the calls above, and with NACRE_RESOLVE.
 */
NACRE_API int nacre_ssh_config_read(nacre_ssh_config *c, const nacre_ssh_source *sources,
                                    size_t count, nacre_error *err) NACRE_MUST_CHECK;
/* new and read in one: what the user's and the system's files say about a host. *out is owned. */
NACRE_API int nacre_ssh_config_lookup(nacre_ssh_config **out, const nacre_allocator *a,
                                      const char *host, const nacre_ssh_hooks *hooks,
                                      nacre_error *err) NACRE_MUST_CHECK;

/* Where it goes: the real name (before nacre_ssh_config_read the one that was typed), User or the local user's
 * name, Port or 22. Borrowed until the next change. */
NACRE_API const char *nacre_ssh_config_host(const nacre_ssh_config *c);
NACRE_API const char *nacre_ssh_config_user(nacre_ssh_config *c);
NACRE_API uint16_t nacre_ssh_config_port(const nacre_ssh_config *c);

/* The value of a keyword (any case), or NULL when it has none. The first of several. Borrowed. */
NACRE_API const char *nacre_ssh_config_get(const nacre_ssh_config *c, const char *keyword);
/* Keywords with several values (IdentityFile, UserKnownHostsFile, SendEnv, SetEnv ...). */
NACRE_API size_t nacre_ssh_config_count(const nacre_ssh_config *c, const char *keyword);
NACRE_API const char *nacre_ssh_config_value(const nacre_ssh_config *c, const char *keyword,
                                             size_t index);
/* Checked readings of a value; fallback when it has none. A time is in seconds ("1h30m"). */
NACRE_API bool nacre_ssh_config_yes(const nacre_ssh_config *c, const char *keyword, bool fallback);
NACRE_API uint64_t nacre_ssh_config_number(const nacre_ssh_config *c, const char *keyword,
                                           uint64_t fallback);
/*
 * A value that is known but that this version cannot do ("ForwardAgent yes"): NACRE_UNSUPPORTED, and
 * the sentence names keyword, value and where it stands. NACRE_OK when there is none.
 */
NACRE_API int nacre_ssh_config_supported(const nacre_ssh_config *c,
                                         nacre_error *err) NACRE_MUST_CHECK;
/* All keywords that have a value: index from 0; false: no more. */
NACRE_API bool nacre_ssh_config_at(const nacre_ssh_config *c, size_t index, const char **keyword,
                                   const char **value);

/*
 * The configuration that counts in the end, defaults and all: one call of line for each line that ssh -G prints, in
 * its order and spelling. keyword is in lower case; several calls for one that has several values. Fails when a
 * token cannot be replaced.
 */
NACRE_API int nacre_ssh_config_show(nacre_ssh_config *c,
                                    void (*line)(void *user, const char *keyword,
                                                 const char *value),
                                    void *user, nacre_error *err) NACRE_MUST_CHECK;

/* ---- helpers ---- */

/* One pattern of "*" and "?" (SendEnv); case counts. */
NACRE_API bool nacre_ssh_pattern(const char *text, const char *pattern);

/* "1h30m", "90", "2w" to seconds; "1G", "512K", "1" to bytes. */
NACRE_API int nacre_parse_time(const char *text, uint32_t *seconds) NACRE_MUST_CHECK;
NACRE_API int nacre_parse_bytes(const char *text, uint64_t *bytes) NACRE_MUST_CHECK;
/* RekeyLimit's two values: "1G 1h", "default none", "4M". Zero: the default. */
NACRE_API int nacre_parse_rekey_limit(const char *text, uint64_t *bytes,
                                      uint32_t *seconds) NACRE_MUST_CHECK;

/* A word of IPQoS ("af21", "ef", "none", "0x10"): the DSCP, -1: none. */
NACRE_API int nacre_parse_ipqos(const char *text, int *dscp) NACRE_MUST_CHECK;

/* What the tokens of a value stand for; NULL: such a token is an error. */
typedef struct nacre_ssh_tokens {
    const char *home;          /* %d, and ~ at the beginning */
    const char *host;          /* %h, the real host name     */
    const char *original_host; /* %n                         */
    const char *alias;         /* %k                         */
    const char *port;          /* %p                         */
    const char *remote_user;   /* %r                         */
    const char *local_user;    /* %u                         */
    const char *local_host;    /* %l, and %L up to its dot   */
    const char *uid;           /* %i                         */
    const char *hash;          /* %C, of %l%h%p%r%j          */
    const char *jump;          /* %j                         */
    const char *fingerprint;   /* %f, of the host key        */
    const char *known_host;    /* %H, that is looked up      */
    const char *reason;        /* %I: ADDRESS, HOSTNAME, ORDER */
    const char *key;           /* %K, the host key in base64 */
    const char *key_type;      /* %t                         */
    const char *tunnel;        /* %T, a network interface    */
} nacre_ssh_tokens;
/*
 * Replaces tokens (%% is a percent sign), with tilde also ~ and ~user at the beginning, and ${NAME} by
 * environment variables. Terminates; NACRE_TOO_LARGE, NACRE_SYNTAX (err names the token).
 */
NACRE_API int nacre_ssh_expand(const char *text, const nacre_ssh_tokens *tokens, bool tilde,
                               char *out, size_t size, nacre_error *err) NACRE_MUST_CHECK;

/*
 * The text of a command for a shell: tokens only, and only those that stand for harmless characters. The rest of
 * the text is the user's own.
 */
NACRE_API int nacre_ssh_expand_command(const char *text, const nacre_ssh_tokens *tokens, char *out,
                                       size_t size, nacre_error *err) NACRE_MUST_CHECK;
/* Tokens only, of any characters: for a word that no shell will see. */
NACRE_API int nacre_ssh_expand_words(const char *text, const nacre_ssh_tokens *tokens, char *out,
                                     size_t size, nacre_error *err) NACRE_MUST_CHECK;
/*
 * A value of keyword with the tokens replaced that ssh_config(5) lists for it, and ~ and ${NAME} where they are
 * allowed; their values are those of the configuration. more (NULL ok): what is known later (fingerprint to
 * tunnel). Values that become a command are checked as nacre_ssh_expand_command does it. Errors as
 * nacre_ssh_expand.
 */
NACRE_API int nacre_ssh_config_expand(nacre_ssh_config *c, const char *keyword, const char *text,
                                      const nacre_ssh_tokens *more, char *out, size_t size,
                                      nacre_error *err) NACRE_MUST_CHECK;

/*
 * "user@host", "host", "user@[::1]", "ssh://user@host:port": the parts, each terminated, "" when it is
 * missing; port 0 likewise. Names that begin with "-" or hold what a shell or a terminal could take
 * for something else are refused.
 */
typedef struct nacre_destination {
    char user[256];
    char host[256];
    uint16_t port;
    char path[1024]; /* of sftp:// and scp:// */
} nacre_destination;
NACRE_API int nacre_parse_destination(const char *text, nacre_destination *out,
                                      nacre_error *err) NACRE_MUST_CHECK;
/* Whether a name has no characters that could make it more than a name, as OpenSSH 10 sees it. */
NACRE_API bool nacre_ssh_is_host_name(const char *name);
NACRE_API bool nacre_ssh_is_user_name(const char *name);
/* One of ProxyJump's list: "[user@]host[:port]", "[user@][::1]:22", "ssh://user@host:port". */
NACRE_API int nacre_parse_jump(const char *text, nacre_destination *out,
                               nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
