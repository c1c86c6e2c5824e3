/*
 * sftp_job.h - the insides of nacre_sftp_job, shared by its files: sftp_job.c (the list, running,
 * stopping, what is told), sftp_job_ask.c (requests without waiting), sftp_job_dir.c (directories and
 * their descriptors), sftp_job_item.c (files and links), sftp_job_get.c and sftp_job_put.c (walking).
 *
 * A directory lives until all below it is over, and is counted by its parent; what is in it is read as
 * long as there is room for more names, so that the size of a listing bounds nothing. Deeper directories
 * have more room than those above them: the deepest one can always go on, and a tree cannot get stuck.
 */
#ifndef NC_CLIENT_SFTP_JOB_H
#define NC_CLIENT_SFTP_JOB_H

#include "client/sftp_xfer.h"
#include "client/transfer_report.h"

#include <dirent.h>
#include <sys/stat.h>

enum {
    NC_JOB_ITEMS = 2048,  /* names that wait or are on the way */
    NC_JOB_DIRS = 1024,   /* directories that are not over ... */
    NC_JOB_DEEPER = 32,   /* ... and how many more for each step down */
    NC_JOB_IDLE_FDS = 32, /* descriptors of directories that nothing uses now */
    NC_JOB_DEPTH_MAX = 1024,
    NC_JOB_AHEAD = 2 /* READDIRs on the way for each directory */
};

typedef struct nc_job_dir nc_job_dir;
typedef struct nc_job_item nc_job_item;
typedef struct nc_job_ask nc_job_ask;

/* ---- requests ----------------------------------------------------------------------------------------- */

struct nc_job_ask {
    nc_sftp_op op; /* first: what the machine gives back is the op's call */
    void (*keep)(nc_sftp_call *call, nacre_sftp *s, const nacre_sftp_event *ev);
    nacre_sftp_job *j;
    nc_sftp_request r; /* for the caller to fill; what it points to lives until it is answered */
    void (*answered)(nc_job_ask *a);
    void *owner;
    int rc; /* not NACRE_OK: it was never sent, or nobody waits any more */
    nc_job_ask *prev, *next;
    struct nc_job_asks *in; /* NULL: nothing is asked */
};

typedef struct nc_job_asks {
    nc_job_ask *first, *last;
} nc_job_asks;

/* Queues it; answered(a) is called from the job's pump, never from within. */
void nc_job_ask_start(nacre_sftp_job *j, nc_job_ask *a, void *owner,
                      void (*answered)(nc_job_ask *a));
int nc_job_ask_judge(const nc_job_ask *a, nacre_error *err);
/* Nobody wants the answer any more; answered is not called. */
void nc_job_ask_drop(nc_job_ask *a);
void nc_job_asks_send(nacre_sftp_job *j);
void nc_job_asks_answer(nacre_sftp_job *j);
/* Those that are not sent yet, or all of them, are answered by rc. */
void nc_job_asks_fail(nacre_sftp_job *j, int rc, bool all);
/* CLOSE, whenever there is room. */
void nc_job_close_handle(nacre_sftp_job *j, nacre_span handle);

/* ---- directories -------------------------------------------------------------------------------------- */

/* Hashes of the names of one listing, to find those that come twice. */
typedef struct nc_job_seen {
    uint64_t *slots;
    size_t count, room; /* room: a power of two */
} nc_job_seen;

struct nc_job_dir {
    nacre_sftp_job *j;
    nc_job_dir *parent;      /* NULL: what the caller named */
    nc_job_dir *prev, *next; /* in one of the job's lists */
    struct nc_job_dirs *in;
    char *remote, *local;
    char *name; /* in parent's local directory; NULL without parent */
    uint32_t depth;
    bool up;
    bool flat;      /* without the directories in it */
    bool silent;    /* not told to anybody: it only holds what a caller's pattern found */
    bool exists;    /* is not made: must be there */
    bool follows;   /* up: reached by a link that is to be followed */
    bool made;      /* by us */
    bool begun;     /* told as started */
    bool failed;    /* told as failed */
    size_t pending; /* what is below and not over, and its own listing */

    int fd; /* -1: opened again when it is needed, and compared with these */
    dev_t dev;
    ino_t ino;
    unsigned users;
    nc_job_dir *idle_prev, *idle_next;
    bool idle;

    mode_t mode;            /* down: of what was made */
    nacre_sftp_attrs attrs; /* down: the remote one's; up: what is sent */
    struct stat st;         /* up: the local one's */
    nc_job_ask ask;         /* MKDIR, STAT, OPENDIR, SETSTAT */
    nc_job_seen seen;

    /* listing, down */
    char *real; /* without links; only when they are followed */
    uint8_t handle[NACRE_SFTP_MAX_HANDLE];
    size_t handle_len;
    nc_job_ask *reads; /* NC_JOB_AHEAD of them; in turn */
    bool ready[NC_JOB_AHEAD];
    unsigned turn, empty;
    bool taking; /* names are the turn's */
    nacre_sftp_names names;
    /* up */
    DIR *stream;
    uint32_t refused; /* the server's code for MKDIR */
};

typedef struct nc_job_dirs {
    nc_job_dir *first;
} nc_job_dirs;

/* Its own listing is pending. Takes over remote, local and name, also when it fails. NULL: no memory. */
nc_job_dir *nc_job_dir_new(nacre_sftp_job *j, nc_job_dir *parent, char *remote, char *local,
                           char *name);
void nc_job_dir_list(nc_job_dirs *list, nc_job_dir *d); /* NULL: off its list */
/* The most deeply nested of a list; among equals one whose listing has begun. */
nc_job_dir *nc_job_dir_deepest(const nc_job_dirs *list);
/* What was pending is over. d may be gone. */
void nc_job_dir_drop(nc_job_dir *d);
/* The end of what nc_job_dir_drop began. */
void nc_job_dir_over(nc_job_dir *d);
void nc_job_dir_begun(nc_job_dir *d);
void nc_job_dir_failed(nc_job_dir *d, const nacre_error *why, uint32_t code);
void nc_job_dir_free(nc_job_dir *d);
/*
 * The local directory's descriptor, for as long as nc_job_dir_release is not called; never following a
 * link that was put in its place. -1: err is told.
 */
int nc_job_dir_hold(nc_job_dir *d, nacre_error *err);
void nc_job_dir_release(nc_job_dir *d);
/* Room for one more directory below d. */
bool nc_job_dir_room(const nc_job_dir *d);
/* NACRE_OK, NACRE_EXISTS: it was there already, NACRE_NO_MEMORY. */
int nc_job_seen_add(nacre_sftp_job *j, nc_job_seen *seen, nacre_span name);

/* ---- files and links ---------------------------------------------------------------------------------- */

struct nc_job_item {
    nacre_sftp_job *j;
    nc_job_dir *dir; /* NULL: what the caller named */
    bool up, link;
    bool followed; /* a link was */
    bool begun;
    bool flat, exists; /* of the directory that the caller named, see there */
    char *remote, *local, *name;
    nacre_sftp_attrs attrs;
    char *target; /* of a link */
    int tries;
    nc_job_ask ask;
    nc_xfer *x;
    bool held; /* dir's descriptor */
    nc_job_item *prev, *next;
    struct nc_job_items *in;
};

typedef struct nc_job_items {
    nc_job_item *first, *last;
} nc_job_items;

/* Takes over the strings, also when it fails; without name (dir NULL) it is what the caller named. */
nc_job_item *nc_job_item_new(nacre_sftp_job *j, nc_job_dir *dir, bool up, char *remote, char *local,
                             char *name);
void nc_job_item_queue(nc_job_item *i); /* a file that is to be moved */
void nc_job_items_start(nacre_sftp_job *j);
void nc_job_item_begun(nc_job_item *i);
/* The end, with what is told. i is gone. */
void nc_job_item_copied(nc_job_item *i, uint64_t bytes);
void nc_job_item_skipped(nc_job_item *i, const char *why);
void nc_job_item_failed(nc_job_item *i, const nacre_error *why, uint32_t code);
void nc_job_item_refused(nc_job_item *i); /* by the answer of its ask */
void nc_job_item_gone(nc_job_item *i);    /* nothing is told */
void nc_job_items_stop(nacre_sftp_job *j, const nacre_error *why);
char *nc_job_join(nacre_sftp_job *j, const char *dir, nacre_span name);
/* "a socket" ...; NULL: files, directories and links. */
const char *nc_job_odd_kind(uint32_t permissions);

/* ---- the two directions ------------------------------------------------------------------------------- */

void nc_job_get_source(nc_job_item *i);
void nc_job_get_lists(nacre_sftp_job *j);
/* Local attributes, when all below is over. */
void nc_job_get_finish(nc_job_dir *d);
/* The listing is given up. */
void nc_job_get_unlist(nc_job_dir *d);

void nc_job_put_source(nc_job_item *i);
void nc_job_put_lists(nacre_sftp_job *j);
void nc_job_put_finish(nc_job_dir *d);
void nc_job_put_unlist(nc_job_dir *d);

/* ---- the job ------------------------------------------------------------------------------------------ */

typedef struct nc_job_source {
    bool up, flat;
    nc_job_dir *into; /* down: in it, under the name; NULL: local is a path */
    char *from, *to;
    nacre_sftp_attrs attrs; /* down: as far as the caller knows them */
} nc_job_source;

struct nacre_sftp_job {
    nc_sftp_task task; /* first */
    nacre_sftp *s;
    const nacre_allocator *alloc;
    nacre_sftp_tree_options o;
    nc_job_source *sources;
    size_t source_count, source_room, source_next;

    nc_job_asks waiting, out, answered;
    nc_job_items queue, running;
    size_t items, started; /* all that are not over; those with an xfer */
    size_t dirs;
    nc_job_dirs to_open, listing; /* down */
    nc_job_dirs to_read;          /* up */
    nc_job_dirs others;           /* waiting for something else */
    nc_job_dir *idle_first, *idle_last;
    size_t idle_count;
    size_t lists;   /* remote directories that are open */
    size_t handles; /* that the server may have to give us, all together */
    size_t lists_most, files_most;
    uint64_t seed;       /* of seen */
    nc_job_seen targets; /* remote files, where several sources may come to the same */

    nacre_sftp_report report;
    nacre_error first; /* failure */
    uint32_t first_code;
    nacre_error end; /* not NACRE_OK: why everything ends */
    bool stop;       /* as soon as the pump is at a safe place */
    bool stopping;
    bool ran;
};

/* Also counts. The why is escaped here. */
void nc_job_tell(nacre_sftp_job *j, const nacre_sftp_item *item, bool link);
/* Everything ends: status and a sentence. */
void nc_job_end(nacre_sftp_job *j, int status, const char *text);
void nc_job_no_memory(nacre_sftp_job *j);
/* The pump has its turn (again) in this round. */
void nc_job_kick(nacre_sftp_job *j);
/* What goes into a local directory that is there; name is a plain one. */
int nc_job_get_into(nacre_sftp_job *j, const char *remote, nc_job_dir *into,
                    const char *name) NACRE_MUST_CHECK;
nc_job_dir *nc_job_into(nacre_sftp_job *j, const char *local_dir);
int nc_job_flat(nacre_sftp_job *j, bool up, const char *from, const char *to) NACRE_MUST_CHECK;

#endif
