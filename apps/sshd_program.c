/*
 * sshd_program.c - AuthorizedKeysCommand and AuthorizedPrincipalsCommand: programs whose output says who may log
 * in. They run as their own user, without a shell, with nothing of ours but a pipe to write to. What they say
 * counts only when they end well, in time, and in few enough words.
 */
#include "sshd.h"

#include <nacre/process.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    OUTPUT_MAX = 4 << 20, /* every key of a large house, and far below what hurts */
    PROGRAM_MS = 30000    /* a directory service that is asked and does not answer */
};

/* ---- tokens --------------------------------------------------------------------------------------------- */

/* "type base64" in two; base64 is "" when it does not fit. */
static void cut_line(const nacre_key *key, char *line, size_t size, const char **type,
                     const char **base64)
{
    int n = nacre_key_public_line(key, line, size);
    char *blank = n > 0 ? strchr(line, ' ') : NULL;
    *type = *base64 = "";
    if (blank) {
        *blank = '\0';
        *type = line;
        *base64 = blank + 1;
    }
}

void program_tokens(program_words *w, const login *l, const nacre_key *key)
{
    const nacre_endpoint *peer = nacre_server_conn_peer(l->c);
    const nacre_endpoint *local = nacre_server_conn_local(l->c);
    nacre_sshd_tokens_init(&w->t);
    (void)snprintf(w->uid, sizeof(w->uid), "%lu", (unsigned long)l->account->uid);
    (void)snprintf(w->connection, sizeof(w->connection), "%s %u %s %u", peer->address, peer->port,
                   local->address, local->port);
    w->print[0] = '\0';
    (void)nacre_key_fingerprint(key, "sha256", w->print, sizeof(w->print));
    w->t.user = l->account->name;
    w->t.home = l->account->home;
    w->t.uid = w->uid;
    w->t.connection = w->connection;
    w->t.rdomain = "";
    w->t.key_print = w->print;
    cut_line(key, w->line, sizeof(w->line), &w->t.key_type, &w->t.key);
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything up to the end; NULL: too much, too late, or an error, which is logged. */
static char *read_to_end(int fd, int64_t deadline, const char *keyword, size_t *n)
{
    size_t room = 4096;
    char *text = malloc(room);
    *n = 0;
    while (text) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        ssize_t got = ready > 0 ? read(fd, text + *n, room - *n) : -1;
        if (ready == 0) {
            say(LOG_LEVEL_ERROR, "%s did not end in time", keyword);
        }
        if ((ready < 0 || (ready > 0 && got < 0)) && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (got == 0) {
            return text;
        }
        *n += got > 0 ? (size_t)got : 0;
        if (*n >= OUTPUT_MAX) {
            say(LOG_LEVEL_ERROR, "%s wrote more than %d bytes", keyword, OUTPUT_MAX);
        }
        if (got < 0 || *n >= OUTPUT_MAX) {
            break;
        }
        if (*n == room) {
            char *grown = realloc(text, 2 * room);
            if (!grown) {
                break;
            }
            text = grown;
            room *= 2;
        }
    }
    free(text);
    return NULL;
}

/* It may close its output and go on: then it ends with the deadline. */
static bool ended_well(pid_t pid, int64_t deadline, bool kill_now, const char *keyword)
{
    int status = 0;
    pid_t got = 0;
    while (!kill_now && (got = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < deadline) {
        (void)poll(NULL, 0, 2);
    }
    if (got == 0) {
        (void)kill(-pid, SIGKILL); /* it leads a process group: what it started ends, too */
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        say(LOG_LEVEL_ERROR, "%s was ended", keyword);
        return false;
    }
    if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        say(LOG_LEVEL_ERROR, "%s failed (wait status %d): what it said does not count", keyword,
            status);
        return false;
    }
    return true;
}

static char *run_program(const login *l, const char *keyword, const nacre_sshd_command *command,
                         const nacre_account *as, size_t *n)
{
    char env[3][512];
    char *envp[5] = {env[0], env[1], env[2], NULL, NULL};
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    nacre_spawn_options o;
    nacre_process p;
    nacre_error why = {0};
    int ends[2];
    (void)snprintf(env[0], sizeof(env[0]), "USER=%s", as->name);
    (void)snprintf(env[1], sizeof(env[1]), "LOGNAME=%s", as->name);
    (void)snprintf(env[2], sizeof(env[2]), "HOME=%s", as->home);
    envp[3] = path;
    nacre_spawn_options_init(&o);
    o.program = command->argv[0];
    o.argv = command->argv;
    o.envp = envp;
    o.cwd = "/";
    o.new_session = true;
    o.stdio = NACRE_STDIO_FDS;
    o.account = l->d->root ? as : NULL;
    o.umask = 077;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return NULL;
    }
    o.fds[0] = -1;
    o.fds[1] = ends[1];
    o.fds[2] = -1;
    int rc = nacre_spawn(&o, &p, &why);
    (void)close(ends[1]);
    char *text = NULL;
    if (rc == NACRE_OK) {
        int64_t deadline = now_ms() + PROGRAM_MS;
        text = read_to_end(ends[0], deadline, keyword, n);
        if (!ended_well(p.pid, deadline, text == NULL, keyword)) {
            free(text);
            text = NULL;
        }
    } else {
        say(LOG_LEVEL_ERROR, "%s: %s", keyword, why.text);
    }
    (void)close(ends[0]);
    return text;
}

/* NULL: nobody, or somebody that we cannot become. */
static nacre_account *runs_as(const login *l, const char *keyword, const char *name)
{
    nacre_account *as = NULL;
    nacre_error why = {0};
    if (!name) {
        say(LOG_LEVEL_ERROR, "%s is not run: no user is named for it", keyword);
        return NULL;
    }
    if (nacre_account_lookup(&as, NULL, name, &why) != NACRE_OK) {
        say(LOG_LEVEL_ERROR, "%s is not run: there is no user %s", keyword, plain_text(name));
        return NULL;
    }
    if (!l->d->root && as->uid != l->d->uid) {
        say(LOG_LEVEL_ERROR, "%s is not run: only root could run it as %s", keyword,
            plain_text(name));
        nacre_account_free(as);
        return NULL;
    }
    return as;
}

char *program_output(const login *l, const char *keyword, const char *line, const char *user,
                     const nacre_sshd_tokens *tokens, size_t *n)
{
    nacre_sshd_command *command = NULL;
    nacre_error why = {0};
    char *text = NULL;
    nacre_account *as = runs_as(l, keyword, user);
    if (!as) {
        return NULL;
    }
    int rc = nacre_sshd_command_new(&command, NULL, line, tokens, &why);
    if (rc == NACRE_OK) {
        rc = nacre_path_secure(command->argv[0], -1, 0, NULL, &why); /* root's, to the last link */
    }
    if (rc == NACRE_OK) {
        text = run_program(l, keyword, command, as, n);
    } else {
        say(LOG_LEVEL_ERROR, "%s is not run: %s", keyword, why.text);
    }
    nacre_sshd_command_free(command);
    nacre_account_free(as);
    return text;
}
