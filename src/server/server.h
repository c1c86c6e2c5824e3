/*
 * server.h - what the files of this floor share: the server, its connections, their channels.
 */
#ifndef NC_SERVER_SERVER_H
#define NC_SERVER_SERVER_H

#include "nacre/server.h"

#include "base/buf.h"
#include "base/error.h"
#include "crypto/crypto.h"

enum {
    NC_ACCEPT_BURST = 64, /* connections taken per turn: those that are there want to live too */
    NC_ACCEPT_PAUSE_MS = 200, /* out of descriptors or memory: wait for some to come back */
    NC_MAX_ENV = 128,         /* variables of one session; logins set a handful */
    NC_MAX_ENV_BYTES = 65536, /* in all, per session */
    NC_MAX_PTY_BYTES = 4096,  /* terminal name and modes: RFC 4254 8 knows 5 bytes a mode */
};

typedef struct nc_listener {
    struct nc_listener *next;
    nacre_server *server;
    int fd;
} nc_listener;

/* subsystem.c */
typedef struct nc_subsystem nc_subsystem;

struct nacre_server {
    const nacre_allocator *alloc;
    nacre_server_config cfg; /* its strings are ours */
    nacre_loop *loop;
    bool own_loop;
    bool until_idle; /* running until no connection is left */
    nacre_key **keys;
    size_t key_count;
    nc_listener *listeners;
    nc_subsystem *subsystems;
    uint64_t pause_timer;
    nacre_accept_fn on_accept;
    void *on_accept_user;
    nacre_server_conn *conns;
    size_t conn_count;
    nacre_sources *sources; /* knows how many are not authenticated */
    nacre_server_counts counts;
    nc_random random;
    nc_log log;
};

typedef enum nc_work {
    NC_WORK_NONE = 0, /* no program yet */
    NC_WORK_PROGRAM,
    NC_WORK_SFTP,
    NC_WORK_SCP,
    NC_WORK_OTHER,     /* the application deals with it */
    NC_WORK_RELAY,     /* descriptors, for as long as the channel lives */
    NC_WORK_OPENING,   /* ours: the client has not answered, a socket waits */
    NC_WORK_CONNECTING /* the client's: what it asks for is being connected to */
} nc_work;

/* forward_listen.c */
typedef struct nc_forward nc_forward;
enum {
    NC_MAX_SUBSYSTEMS = 64, /* of one server: applications have a handful */
    NC_MAX_TIMEOUTS = 32,   /* limits of one connection: there are a dozen types of channel */
    NC_KIND = 96            /* "session:subsystem:" and a name */
};

/* timeouts.c: what ends channels and connections over which nothing goes. */
typedef struct nc_timeouts {
    struct {
        char *pattern;
        uint32_t ms;
    } rows[NC_MAX_TIMEOUTS];
    size_t count;
    uint32_t global_ms, unused_ms;
    uint64_t timer;       /* 0: none */
    uint64_t look_at;     /* when it rings */
    uint64_t unused_from; /* there has been no channel since */
} nc_timeouts;

/* scp_session.c */
typedef struct nc_scp_session nc_scp_session;

/* agent_forward.c, x11.c */
struct nc_agent_server;
struct nc_x11_server;

/* One channel of the peer's, or one that the application put something on. */
typedef struct nc_chan {
    struct nc_chan *next;
    nacre_server_conn *conn;
    nacre_channel *ch;
    uint32_t open_ticket; /* not yet answered */
    bool session;
    bool eof;    /* the peer's EOF came */
    bool closed; /* CLOSED or PEER_CLOSED came: nothing new may start */
    nc_work work;
    /* session */
    bool has_pty;
    nacre_pty pty;
    nc_buf pty_bytes; /* what pty.term and pty.modes point to */
    char **env;       /* NULL-ended; NULL: none */
    size_t env_count, env_bytes;
    /* NC_WORK_PROGRAM, NC_WORK_RELAY */
    nacre_relay *relay;
    pid_t pid; /* 0: none, or it is known to be over */
    int pty_fd;
    /* NC_WORK_SFTP */
    nacre_sftp_server *sftp;
    uint64_t sftp_timer; /* goes on with a long request in the next turn; 0: none */
    void *backend;
    void (*done)(void *backend);
    bool exit_sent;
    /* NC_WORK_SCP */
    nc_scp_session *scp;
    struct nc_x11_server *x11; /* of a session; NULL: none was granted */
    /* NC_WORK_RELAY: whom to tell; NC_WORK_OPENING: the socket, else -1 */
    void (*on_relay)(void *user, nacre_relay *r, const nacre_relay_result *result);
    void *on_relay_user;
    int waiting_fd;
    nacre_connecting *connecting; /* NC_WORK_CONNECTING */
    /* NC_WORK_OTHER: the subsystem that was started; NULL: none */
    const nc_subsystem *subsystem;
    void *subsystem_session;
    /* timeouts.c */
    char kind[NC_KIND]; /* as ChannelTimeout names it */
    uint64_t moved;     /* bytes in both directions when last looked */
    uint64_t moved_ms;  /* when that was news */
    bool timed_out;
} nc_chan;

struct nacre_server_conn {
    nacre_server_conn *next, *prev;
    nacre_server *server;
    nacre_transport *t;
    nacre_driver *driver;
    nacre_endpoint peer, local;
    void *user;
    nc_chan *chans;       /* the one used last stands first */
    nc_forward *forwards; /* what it has listened on */
    uint32_t forward_count;
    uint32_t sessions, max_sessions;
    bool authenticated;
    uint32_t attempts; /* to log in */
    bool blamed;
    nacre_offence offence; /* blamed: for */
    nc_timeouts timeouts;
    struct nc_agent_server *agent; /* NULL: none was granted */
};

/* conn.c */
int nc_conn_new(nacre_server_conn **out, nacre_server *s, int in_fd, int out_fd, nacre_error *err);
/* Tells nobody. */
void nc_conn_free(nacre_server_conn *c);

/* dispatch.c */
void nc_conn_event(nacre_server_conn *c, const nacre_event *ev);

/* chan.c */
nc_chan *nc_chan_new(nacre_server_conn *c, nacre_channel *ch);
nc_chan *nc_chan_find(nacre_server_conn *c, const nacre_channel *ch);
/* The channel's end: tells the application, frees the handle. */
void nc_chan_over(nc_chan *k);
/* Frees ours; the handle stays. */
void nc_chan_free(nc_chan *k);
int nc_chan_keep_pty(nc_chan *k, const nacre_pty *pty);
int nc_chan_keep_env(nc_chan *k, nacre_span name, nacre_span value);

/* session.c */
bool nc_program_event(nc_chan *k, const nacre_event *ev);
/* The connection is gone: hangs the program up. */
void nc_program_drop(nc_chan *k);

/* attach.c */
bool nc_attach_event(nc_chan *k, const nacre_event *ev);
void nc_attach_drop(nc_chan *k);

/* agent_forward.c, x11.c */
void nc_agent_server_free(struct nc_agent_server *s); /* NULL ok */
void nc_x11_server_drop(nc_chan *k);

/* sftp_session.c */
bool nc_sftp_event(nc_chan *k, const nacre_event *ev);
void nc_sftp_drop(nc_chan *k);

/* scp_session.c */
bool nc_scp_event(nc_chan *k, const nacre_event *ev);
void nc_scp_drop(nc_chan *k);

/* subsystem.c */
nc_subsystem *nc_subsystem_find(const nacre_server *s, nacre_span name);
nacre_verdict nc_subsystem_start(nc_chan *k, const nc_subsystem *sub, const nacre_event *ev);
bool nc_subsystem_event(nc_chan *k, const nacre_event *ev);
void nc_subsystem_drop(nc_chan *k);
void nc_subsystems_clear(nacre_server *s);

/* timeouts.c */
void nc_timeouts_new_channel(nc_chan *k);
void nc_timeouts_kind(nc_chan *k, const char *what, nacre_span name);
void nc_timeouts_no_channel(nacre_server_conn *c); /* the last one is gone, or the login is over */
void nc_timeouts_clear(nacre_server_conn *c);

#endif
