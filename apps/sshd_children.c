/*
 * sshd_children.c - the processes of connections as their parent counts them: who may have one (MaxStartups,
 * PerSourceMaxStartups, PerSourcePenalties), which of them have logged in, and how they ended.
 */
#include "sshd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_CHILDREN =
        4096, /* processes, whatever else is allowed: a table of them has to end somewhere */
    STATUS_OFFENCE =
        64,       /* exit status of a child whose client did not log in: this and the offence */
    SAY_MS = 1000 /* refusals are a line each at most so often: a flood shall not fill the log */
};

typedef struct child {
    struct child *next, *prev; /* the newest first */
    children *all;
    pid_t pid;
    int pipe_fd; /* -1: it has logged in, or is known to be over */
    nacre_endpoint peer;
    bool in;      /* logged in */
    bool dropped; /* by us: its end is nobody's offence */
} child;

struct children {
    nacre_loop *loop;
    nacre_sources *sources;
    child *first;
    size_t count;
    /* refusals that no line has told of yet */
    unsigned untold;
    uint64_t told_ms;
    bool throttling;
    uint64_t throttling_since;
};

children *children_new(nacre_server *server)
{
    children *all = calloc(1, sizeof(*all));
    if (all) {
        all->loop = nacre_server_loop(server);
        all->sources = nacre_server_sources(server);
    }
    return all;
}

void children_free(children *all)
{
    while (all && all->first) {
        child *c = all->first;
        all->first = c->next;
        if (c->pipe_fd >= 0) {
            nacre_loop_remove(all->loop, c->pipe_fd);
            (void)close(c->pipe_fd);
        }
        free(c);
    }
    free(all);
}

/* ---- the child's side --------------------------------------------------------------------------------- */

void children_tell_login(int *startup_fd)
{
    if (*startup_fd >= 0) {
        ssize_t put = write(*startup_fd, "y", 1);
        if (put != 1) {
            say(LOG_LEVEL_ERROR, "cannot tell the parent of the login: %s", strerror(errno));
        }
        (void)close(*startup_fd);
        *startup_fd = -1;
    }
}

int children_status(nacre_server *server, int status)
{
    nacre_source_counts n = {.size = sizeof(n)};
    nacre_sources_counts(nacre_server_sources(server), &n);
    for (int o = NACRE_OFFENCE_NONE + 1; o < NACRE_OFFENCES; o++) {
        if (n.offences[o] > 0) {
            return STATUS_OFFENCE + o;
        }
    }
    return status;
}

/* ---- how they come --------------------------------------------------------------------------------------- */

static uint32_t roll_dice(void)
{
    uint32_t dice = 0; /* the worst for the stranger */
    FILE *f = fopen("/dev/urandom", "re");
    if (f) {
        if (fread(&dice, sizeof(dice), 1, f) != 1) {
            dice = 0;
        }
        (void)fclose(f);
    }
    return dice;
}

static void tell_refusal(children *all, const nacre_endpoint *peer, const char *why)
{
    uint64_t now = nacre_loop_now(all->loop);
    if (all->told_ms && now - all->told_ms < SAY_MS) {
        all->untold++;
        return;
    }
    char others[64] = "";
    if (all->untold > 0) {
        (void)snprintf(others, sizeof(others), " (and %u more before)", all->untold);
    }
    say(LOG_LEVEL_INFO, "drop connection from [%s]:%u: %s%s", peer->address, peer->port, why,
        others);
    all->untold = 0;
    all->told_ms = now;
}

static void throttle(children *all, bool on)
{
    uint64_t now = nacre_loop_now(all->loop);
    if (on && !all->throttling) {
        say(LOG_LEVEL_INFO, "beginning MaxStartups throttling");
        all->throttling_since = now;
    } else if (!on && all->throttling) {
        say(LOG_LEVEL_INFO, "ended MaxStartups throttling after %llu s",
            (unsigned long long)(now - all->throttling_since) / 1000);
    }
    all->throttling = on;
}

static void over(child *c);

/* The one that has waited longest of the source that has most of them. */
static void drop_one(children *all)
{
    child *oldest = NULL;
    for (child *c = all->first; c; c = c->next) {
        if (c->pipe_fd >= 0 && !c->dropped && nacre_sources_crowded(all->sources, &c->peer)) {
            oldest = c;
        }
    }
    if (oldest) {
        oldest->dropped = true;
        (void)kill(oldest->pid, SIGTERM);
        tell_refusal(all, &oldest->peer, "its source has the most that are not logged in");
        over(oldest);
    }
}

/* What the client is told and the log, by verdict; NULL: it may come. */
static const char *const reasons[][2] = {
    [NACRE_ADMIT_NOT_STARTUPS] = {"Exceeded MaxStartups\r\n", "past MaxStartups"},
    [NACRE_ADMIT_NOT_SOURCE] = {"Exceeded MaxStartups\r\n", "past PerSourceMaxStartups"},
    [NACRE_ADMIT_NOT_PENALTY] = {"Not allowed at this time\r\n", "its source has a penalty"},
    [NACRE_ADMIT_NOT_OVERFLOW] = {"Not allowed at this time\r\n",
                                  "too many sources have penalties"},
    [NACRE_ADMIT] = {NULL, NULL},
    [NACRE_ADMIT_INSTEAD] = {NULL, NULL},
};

const char *children_refuse(children *all, const nacre_endpoint *peer)
{
    nacre_admission verdict = NACRE_ADMIT_NOT_STARTUPS;
    if (all->count < MAX_CHILDREN) {
        verdict = nacre_sources_ask(all->sources, peer, nacre_loop_now(all->loop), roll_dice());
    }
    throttle(all, verdict == NACRE_ADMIT_NOT_STARTUPS || verdict == NACRE_ADMIT_INSTEAD);
    if (verdict == NACRE_ADMIT_INSTEAD) {
        drop_one(all);
    }
    if (reasons[verdict][0]) {
        const char *why = reasons[verdict][1];
        nacre_offence offence = NACRE_OFFENCE_NONE;
        char text[96];
        uint32_t ms =
            nacre_sources_refused_for(all->sources, peer, nacre_loop_now(all->loop), &offence);
        if (ms > 0) {
            (void)snprintf(text, sizeof(text), "penalty for %lu s more: %s",
                           (unsigned long)(ms + 999) / 1000, nacre_offence_name(offence));
            why = text;
        }
        tell_refusal(all, peer, why);
    }
    return reasons[verdict][0];
}

/* ---- how they go ------------------------------------------------------------------------------------------- */

/* It logged in, or it is gone: it waits no more. */
static void over(child *c)
{
    char said = 0;
    if (c->pipe_fd < 0) {
        return;
    }
    c->in = read(c->pipe_fd, &said, 1) == 1 && said == 'y';
    nacre_loop_remove(c->all->loop, c->pipe_fd);
    (void)close(c->pipe_fd);
    c->pipe_fd = -1;
    nacre_sources_leave(c->all->sources, &c->peer);
}

static void on_pipe(void *user, int fd, unsigned ready)
{
    (void)fd;
    (void)ready;
    over(user);
}

/* Who ended the process decides: what an administrator does to it is nobody's offence. */
static nacre_offence offence_of(const child *c, int wait_status)
{
    if (c->in || c->dropped) {
        return NACRE_OFFENCE_NONE;
    }
    if (WIFSIGNALED(wait_status)) {
        static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGKILL};
        for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
            if (WTERMSIG(wait_status) == ours[i]) {
                return NACRE_OFFENCE_NONE;
            }
        }
        return WTERMSIG(wait_status) == SIGALRM ? NACRE_OFFENCE_GRACE : NACRE_OFFENCE_CRASH;
    }
    int o = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) - STATUS_OFFENCE : 0;
    return o > NACRE_OFFENCE_NONE && o < NACRE_OFFENCES ? (nacre_offence)o : NACRE_OFFENCE_NONE;
}

static void forget(child *c)
{
    if (c->prev) {
        c->prev->next = c->next;
    } else {
        c->all->first = c->next;
    }
    if (c->next) {
        c->next->prev = c->prev;
    }
    c->all->count--;
    free(c);
}

static void on_end(void *user, pid_t pid, int wait_status)
{
    child *c = user;
    children *all = c->all;
    over(c);
    nacre_offence offence = offence_of(c, wait_status);
    if (offence == NACRE_OFFENCE_CRASH) {
        say(LOG_LEVEL_ERROR, "process %ld of [%s]:%u died of signal %d before a login", (long)pid,
            c->peer.address, c->peer.port, WTERMSIG(wait_status));
    }
    uint32_t ms =
        nacre_sources_penalize(all->sources, &c->peer, offence, nacre_loop_now(all->loop));
    if (ms > 0) {
        say(LOG_LEVEL_VERBOSE, "source of [%s] is refused for %lu s: %s", c->peer.address,
            (unsigned long)(ms + 999) / 1000, nacre_offence_name(offence));
    }
    forget(c);
}

bool children_add(children *all, pid_t pid, int pipe_fd, const nacre_endpoint *peer)
{
    child *c = calloc(1, sizeof(*c));
    if (!c || nacre_sources_enter(all->sources, peer) != NACRE_OK) {
        free(c);
        (void)close(pipe_fd);
        return false;
    }
    c->all = all;
    c->pid = pid;
    c->peer = *peer;
    c->pipe_fd = pipe_fd;
    c->next = all->first;
    if (all->first) {
        all->first->prev = c;
    }
    all->first = c;
    all->count++;
    int flags = fcntl(pipe_fd, F_GETFL);
    bool good = flags >= 0 && fcntl(pipe_fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
                nacre_loop_add(all->loop, pipe_fd, NACRE_READ, on_pipe, c) == NACRE_OK &&
                nacre_loop_on_child(all->loop, pid, on_end, c) == NACRE_OK;
    if (!good) {
        over(c);
        forget(c);
    }
    return good;
}
