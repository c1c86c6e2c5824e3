/*
 * sshd.h - what the files of nacre-sshd share: the server's settings, a login, the log.
 */
#ifndef NACRE_APPS_SSHD_H
#define NACRE_APPS_SSHD_H

#include <nacre/account.h>
#include <nacre/auth_policy.h>
#include <nacre/authorized_keys.h>
#include <nacre/server.h>
#include <nacre/sshd_config.h>

#include <sys/types.h>

enum { SSHD_MAX_KEYS = 32, SSHD_USER_MAX = 256, SSHD_KEY_LINE = 64 * 1024 };

/* ---- log (sshd_log.c): levels as LogLevel counts them ---- */

enum { LOG_LEVEL_FATAL = 1, LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_VERBOSE, LOG_LEVEL_DEBUG };
void log_open(int level, int facility, bool to_stderr);
void log_set_level(int level);
void log_keep(void);  /* connects now: later its socket is out of reach */
void log_close(void); /* for a child that closes descriptors; the next line opens it again */
int log_level(void);
void say(int level, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* The engine's lines. */
void log_engine(void *user, nacre_log_level level, const char *line);
nacre_log_level log_engine_level(void);
/* Text from outside, made fit for a log line. Valid until the eighth call from now. */
const char *plain(nacre_span text);
const char *plain_text(const char *text);

/* ---- the server ---- */

typedef struct sshd {
    nacre_sshd_config *config;
    const nacre_sshd_settings *s;
    nacre_key *keys[SSHD_MAX_KEYS];
    size_t key_count;
    char *moduli; /* contents of ModuliFile; NULL: built in */
    size_t moduli_size;
    bool root;    /* started as root: a process per connection, any user */
    uid_t uid;    /* else: the only user that is served */
    mode_t umask; /* what sessions get */
    char **argv;  /* as we were started */
    const char *config_path;
    uint16_t cmd_ports[16];
    size_t cmd_port_count;
    int cmd_family; /* -1: as configured */
    bool debug, quiet, inetd, foreground;
    bool log_on_stderr;
} sshd;

/* One connection's way in, and what it may do afterwards. */
typedef struct login {
    sshd *d;
    /* what holds for this login: the server's, or own_config when a Match fits */
    const nacre_sshd_config *config;
    const nacre_sshd_settings *s;
    nacre_sshd_config *own_config;
    nacre_server_conn *c;
    int startup_fd; /* written to at login: the parent counts who has not; -1: none */
    /* the user, looked up at the first request */
    bool looked_up;
    bool allowed;
    char user[SSHD_USER_MAX];
    nacre_account *account; /* NULL: no such user */
    /* AuthenticationMethods, once it is known which settings hold; NULL: nothing lets in */
    nacre_auth_policy *policy;
    bool policy_made;
    unsigned steps; /* methods that were good */
    /* of the method that let in */
    char method[32];
    nacre_key *key; /* that signed last, or NULL */
    nacre_key_grant grant;
    uint32_t may;          /* NACRE_MAY_*: what the key was granted and the configuration allows */
    char auth_info[64];    /* ExposeAuthInfo's file; "" none */
    nacre_last_login last; /* when 0: not known, or not to be told */
    bool in;
    /* a refusal that waits */
    uint64_t asked_at;
    uint64_t timer;
    uint32_t ticket;
} login;

/* sshd_auth.c */
login *login_new(sshd *d, nacre_server_conn *c, int startup_fd);
void login_free(login *l);
void auth_callbacks(nacre_server_callbacks *cb);

/* sshd_policy.c */
/* The userauth methods that may be offered at any time, whatever a Match says; "": nobody gets in. */
const char *auth_methods_of_all(const sshd *d);
/* Those that can continue for this user (NULL: it is not known yet); is one of them this? */
const char *policy_methods(login *l);
bool policy_allows(login *l, const char *method);
/*
 * The method was good; of publickey with its key and what that was granted. NACRE_ACCEPT: in;
 * NACRE_LATER: more is wanted, and the client knows; NACRE_REFUSE.
 */
nacre_verdict policy_passed(login *l, const nacre_event *ev, const char *method,
                            const nacre_key *key, const nacre_key_grant *grant);

/* sshd_hosts.c: is the client's host believed (hostbased)? */
bool hosts_allow(login *l, const nacre_event *ev);

/* sshd_user.c: account, allowed, and what holds for him; only the first call does something. */
void user_look_up(login *l, nacre_span user);
void user_banner(const login *l);
/* ChannelTimeout, UnusedConnectionTimeout; false: they cannot be kept. */
bool user_limit_silence(const login *l);
/* Names of a user's groups, borrowed until the next call; 0: none, or no such user. */
size_t user_groups(const char *name, const char *const **names);

/* sshd_keys.c: the user's rights for a while; return whatever borrow said. */
typedef struct rights_before {
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int count;
    bool changed;
} rights_before;
bool rights_borrow(const nacre_account *a, rights_before *b);
void rights_return(rights_before *b);

/* Does a file of the user's, or an authority, grant entry to the key? */
bool keys_allow(login *l, const nacre_key *key, nacre_key_grant *grant);
/* A file of the user's, read with his rights and believed if StrictModes says so; NULL: none. To be freed. */
char *keys_user_file(const login *l, const char *pattern, const char *what, size_t *n);
char *keys_read_all(int fd, size_t size, size_t *got);
/* What is known of the login, for the checks of nacre/authorized_keys.h. */
typedef struct key_facts {
    nacre_login_facts f;
    char ca_algorithms[4096];
} key_facts;
void keys_facts(key_facts *facts, const login *l);

/* sshd_certs.c: is the key, or for a certificate anything of it, revoked, or can that not be told? */
bool certs_revoked(const login *l, const nacre_key *key);
/* A certificate of an authority in TrustedUserCAKeys that names this user. */
bool certs_allow(login *l, const nacre_key *key, nacre_key_grant *grant);
/* " ID ... (serial ...) CA ...", for the log; "" for a plain key. */
void certs_describe(const nacre_key *key, char *out, size_t size);

/* sshd_program.c */
typedef struct program_words {
    nacre_sshd_tokens t;
    char uid[16], connection[160], print[160], line[SSHD_KEY_LINE];
} program_words;
/* What the tokens stand for, for this key or certificate. */
void program_tokens(program_words *w, const login *l, const nacre_key *key);
/*
 * What the program of a keyword (AuthorizedKeysCommand ...) says, *n bytes to free; NULL: nothing that counts,
 * and the log says why.
 */
char *program_output(const login *l, const char *keyword, const char *line, const char *user,
                     const nacre_sshd_tokens *tokens, size_t *n);

/* sshd_place.c: ChrootDirectory, while we are root; false: not there, so nowhere. */
bool place_enter(const login *l);
/* The file of ExposeAuthInfo, as the user, and its end. */
void place_tell(login *l);
void place_forget(login *l);

/* sshd_agentx11.c */
void agentx11_callbacks(nacre_server_callbacks *cb);
/* What SSH_AUTH_SOCK and DISPLAY are for the programs of this session; NULL: they are not set. */
void agentx11_env(const login *l, nacre_channel *ch, const char **agent, const char **display);

/* sshd_greet.c: notes the login, while we are root; PrintLastLog and PrintMotd, ahead of a shell. */
void greet_note_login(login *l);
void greet(const login *l, nacre_channel *ch);

/* sshd_login_files.c: "NAME=value" of the system's files; of ~/.ssh/environment, as PermitUserEnvironment allows. */
typedef void (*login_pair_fn)(void *user, const char *pair);
void login_system_pairs(login_pair_fn fn, void *user);
void login_user_pairs(const login *l, login_pair_fn fn, void *user);
/* ~/.ssh/rc, else /etc/ssh/sshrc: for nacre_spawn_options.before. False: there is none, or it may not run. */
typedef struct login_script_words {
    char *argv[4];
} login_script_words;
bool login_script(const login *l, bool subsystem, login_script_words *w);

/* sshd_session.c */
void session_callbacks(nacre_server_callbacks *cb);

/* sshd_forward.c */
void forward_callbacks(nacre_server_callbacks *cb);

/* sshd_rehearse.c: does once what every child would do at first use. */
void rehearse(const sshd *d);

/* sshd_children.c: the processes of connections, as their parent counts them. */
typedef struct children children;
children *children_new(nacre_server *server); /* NULL: no memory */
void children_free(children *all);
/* NULL: a connection may come; else what the client is told, and the log says why. */
const char *children_refuse(children *all, const nacre_endpoint *peer);
/* Takes pipe_fd, whose other end the child holds until its login. false: it cannot be counted, and must end. */
bool children_add(children *all, pid_t pid, int pipe_fd, const nacre_endpoint *peer);
/* In the child: tells the parent of the login; and the exit status, which says what kind of end it was. */
void children_tell_login(int *startup_fd);
int children_status(nacre_server *server, int status);

/* sshd_serve.c: from settings to a server; each returns an exit status. */
int serve_forking(sshd *d);
int serve_here(sshd *d);
int serve_inetd(sshd *d);
/* Would the configuration make a server? */
bool serve_check(sshd *d);

#endif
