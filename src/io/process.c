/*
 * process.c - spawning. The parent prepares everything that allocates; between fork and exec the child
 * makes only async-signal-safe calls, because other threads of ours may hold any lock. What fails
 * there comes back through a pipe that a successful exec closes.
 */
#include "io/process.h"

#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    BEFORE_INPUT = 4096,   /* POSIX grants a pipe so much */
    FD_HIGH = 10,          /* above everything that is handed down */
    FD_SCAN_MAX = 1 << 16, /* without close_range: the highest number looked at */
    SIGNALS = 65,
    EXEC_FAILED = 127
};

typedef struct plan {
    const nacre_spawn_options *o;
    int child[4];     /* what becomes 0, 1, 2 and 3; -1: /dev/null (3: nothing) */
    int report;       /* write end */
    char *candidates; /* paths to execute, each with its terminator, then an empty one */
    char *const *envp;
} plan;

typedef struct failure {
    char step[48];
    int errnum;
} failure;

void nacre_spawn_options_init(nacre_spawn_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->fds[0] = o->fds[1] = o->fds[2] = -1;
    o->umask = -1;
    o->extra_fd = -1;
}

/* ---- in the child ---- */

static _Noreturn void report_and_exit(int fd, const char *step)
{
    failure f = {{0}, errno};
    if (fd < 0) {
        _exit(EXEC_FAILED); /* who waited knows already that we began */
    }
    size_t n = strlen(step);
    memcpy(f.step, step, n < sizeof(f.step) ? n : sizeof(f.step) - 1);
    ssize_t put;
    do {
        put = write(fd, &f, sizeof(f));
    } while (put < 0 && errno == EINTR);
    _exit(EXEC_FAILED);
}

static void reset_signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigemptyset(&sa.sa_mask);
    for (int signo = 1; signo < SIGNALS; signo++) {
        (void)sigaction(signo, &sa, NULL); /* KILL, STOP and libc's own refuse: fine */
    }
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void mark_others(unsigned from)
{
#if defined(SYS_close_range) && defined(CLOSE_RANGE_CLOEXEC)
    if (syscall(SYS_close_range, from, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
        return;
    }
#elif defined(SYS_close_range)
    if (syscall(SYS_close_range, from, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0) {
        return;
    }
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    int end = limit > 0 && limit < FD_SCAN_MAX ? (int)limit : FD_SCAN_MAX;
    for (int fd = (int)from; fd < end; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

/* Moves what is handed down out of the way of 0 to 3 first: the numbers may overlap. */
static void place_fds(plan *p)
{
    int n = p->child[3] >= 0 ? 4 : 3;
    int high = fcntl(p->report, F_DUPFD_CLOEXEC, FD_HIGH);
    if (high < 0) {
        report_and_exit(p->report, "arrange descriptors");
    }
    p->report = high;
    for (int i = 0; i < n; i++) {
        int fd = p->child[i] >= 0 ? p->child[i] : open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        p->child[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_HIGH);
        if (p->child[i] < 0) {
            report_and_exit(p->report, "arrange descriptors");
        }
    }
    for (int i = 0; i < n; i++) {
        if (dup2(p->child[i], i) < 0) {
            report_and_exit(p->report, "arrange descriptors");
        }
    }
    mark_others((unsigned)n);
}

static void change_place(const plan *p)
{
    const nacre_spawn_options *o = p->o;
    const char *step = "";
    if (o->chroot_dir && (chroot(o->chroot_dir) != 0 || chdir("/") != 0)) {
        report_and_exit(p->report, "change the root directory");
    }
    if (o->account && nc_become_steps(o->account, &step) != 0) {
        report_and_exit(p->report, step);
    }
    if (o->umask >= 0) {
        (void)umask((mode_t)o->umask);
    }
    /* As the user: what he may not enter, he does not begin in. */
    if (o->cwd && chdir(o->cwd) != 0 && (!o->cwd_optional || chdir("/") != 0)) {
        report_and_exit(p->report, "change to its directory");
    }
}

/* o->before, from beginning to end. What fails here is passed over: the program is what was asked for. */
static void run_before(plan *p)
{
    const nacre_spawn_options *o = p->o;
    int in[2];
    size_t n = o->before_input.n < BEFORE_INPUT ? o->before_input.n : BEFORE_INPUT;
    (void)close(p->report);
    p->report = -1;
    if (nc_fd_pipe(in, false) != 0) {
        return;
    }
    /* It fits into the pipe: nobody need read it yet. */
    bool fed = n == 0 || nc_fd_write_all(in[1], NC_FD_PIPE, o->before_input.p, n) == 0;
    (void)close(in[1]);
    pid_t pid = fed ? fork() : -1;
    if (pid == 0) {
        if (dup2(in[0], STDIN_FILENO) == STDIN_FILENO) {
            (void)execve(o->before[0], o->before, p->envp);
        }
        _exit(EXEC_FAILED);
    }
    (void)close(in[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static _Noreturn void run_child(plan *p)
{
    const nacre_spawn_options *o = p->o;
    bool pty = o->stdio == NACRE_STDIO_PTY;
    reset_signals();
    if ((pty || o->new_session) && setsid() < 0 && getpgrp() != getpid()) {
        report_and_exit(p->report, "begin a session");
    }
    if (pty && ioctl(p->child[0], TIOCSCTTY, 0) != 0) {
        report_and_exit(p->report, "take the terminal");
    }
    place_fds(p);
    change_place(p);
    if (o->before) {
        run_before(p);
    }
    /* A path that may not be executed does not hide a later one that may (as execvp). */
    int why = ENOENT;
    for (const char *path = p->candidates; *path; path += strlen(path) + 1) {
        (void)execve(path, o->argv, p->envp);
        if (errno != ENOENT && errno != ENOTDIR) {
            why = errno;
        }
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
            break;
        }
    }
    errno = why;
    report_and_exit(p->report, "execute");
}

/* ---- in the parent ---- */

static const char *path_of(char *const *envp)
{
    for (; *envp; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0) {
            return *envp + 5;
        }
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static char *list_candidates(const char *program, char *const *envp)
{
    size_t n = strlen(program);
    bool direct = n == 0 || strchr(program, '/') != NULL;
    const char *path = direct ? "" : path_of(envp);
    size_t dirs = 1;
    for (const char *c = path; *c; c++) {
        dirs += *c == ':';
    }
    char *list = nc_zalloc(NULL, strlen(path) + dirs * (n + 4) + 2);
    if (!list) {
        return NULL;
    }
    if (direct) {
        memcpy(list, program, n);
        return list;
    }
    char *at = list;
    for (const char *dir = path;; dir++) {
        size_t len = strcspn(dir, ":");
        /* An empty element means the working directory to a shell; nobody wants that here. */
        if (len > 0) {
            memcpy(at, dir, len);
            at += len;
            *at++ = '/';
            memcpy(at, program, n);
            at += n + 1;
        }
        dir += len;
        if (!*dir) {
            return list;
        }
    }
}

static int make_pipe(int *ours, int *theirs, bool they_read, nacre_error *err)
{
    int fds[2];
    if (nc_fd_pipe(fds, false) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot make a pipe");
    }
    *ours = fds[they_read ? 1 : 0];
    *theirs = fds[they_read ? 0 : 1];
    return NACRE_OK;
}

static int make_stdio(const nacre_spawn_options *o, plan *p, nacre_process *out, nacre_error *err)
{
    int rc = NACRE_OK;
    switch (o->stdio) {
    case NACRE_STDIO_PTY:
        rc = nc_pty_open(&o->pty, o->account, &out->pty, &p->child[0], out->pty_name,
                         sizeof(out->pty_name), err);
        p->child[1] = p->child[2] = p->child[0];
        return rc;
    case NACRE_STDIO_FDS:
        memcpy(p->child, o->fds, sizeof(o->fds));
        return NACRE_OK;
    case NACRE_STDIO_SOCKETS: {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
            return nc_os_fail(err, NACRE_IO, errno, "cannot make a socket pair");
        }
        out->in = out->out = pair[0];
        p->child[0] = p->child[1] = pair[1];
        break;
    }
    default:
        rc = make_pipe(&out->in, &p->child[0], true, err);
        if (rc == NACRE_OK) {
            rc = make_pipe(&out->out, &p->child[1], false, err);
        }
        break;
    }
    if (rc == NACRE_OK && o->keep_stderr) {
        p->child[2] = STDERR_FILENO;
    } else if (rc == NACRE_OK) {
        rc = make_pipe(&out->err, &p->child[2], false, err);
    }
    return rc;
}

/* envp and the terminal's path; one allocation, pair and all. */
static char **with_terminal(char *const *envp, const char *name, const char *path)
{
    size_t count = 0;
    size_t n = strlen(name);
    while (envp[count]) {
        count++;
    }
    size_t pair_size = n + strlen(path) + 2;
    char **all = nc_zalloc(NULL, (count + 2) * sizeof(*all) + pair_size);
    if (!all) {
        return NULL;
    }
    char *pair = (char *)(all + count + 2);
    (void)snprintf(pair, pair_size, "%s=%s", name, path);
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(envp[i], name, n) != 0 || envp[i][n] != '=') {
            all[to++] = envp[i];
        }
    }
    all[to] = pair;
    return all;
}

/* Our copies of the child's ends: its alone from now on, or its EOF would never come. */
static void close_child_ends(const nacre_spawn_options *o, plan *p)
{
    for (int i = 0; o->stdio != NACRE_STDIO_FDS && i < 3; i++) {
        bool shared = i > 0 && p->child[i] == p->child[i - 1];
        if (p->child[i] >= 0 && !shared && !(i == 2 && p->child[i] == STDERR_FILENO)) {
            (void)close(p->child[i]);
        }
    }
}

static pid_t fork_quietly(void)
{
    /* No handler of ours may run in the child before it has reset them. */
    sigset_t all, old;
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &old);
    pid_t pid = fork();
    int saved = errno;
    if (pid != 0) {
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
    }
    errno = saved;
    return pid;
}

/* Waits for the exec: nothing comes when it worked. */
static int await_exec(int fd, const nacre_spawn_options *o, pid_t pid, nacre_error *err)
{
    failure f;
    size_t n = 0;
    while (n < sizeof(f)) {
        ssize_t got = nc_fd_read(fd, NC_FD_PIPE, (uint8_t *)&f + n, sizeof(f) - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    if (n == 0) {
        return NACRE_OK;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    const char *program = o->program ? o->program : o->argv[0];
    f.step[sizeof(f.step) - 1] = '\0';
    return n == sizeof(f) ? nc_os_fail(err, NACRE_IO, f.errnum, "cannot start %s: cannot %s",
                                       NC_ESC(nc_span_cstr(program)), f.step)
                          : nc_fail(err, NACRE_IO, "cannot start a program: it died early");
}

int nacre_spawn(const nacre_spawn_options *opts, nacre_process *out, nacre_error *err)
{
    nc_error_clear(err);
    nacre_spawn_options o;
    nacre_process made = {.pid = -1, .in = -1, .out = -1, .err = -1, .pty = -1};
    int report[2] = {-1, -1};
    char **own_env = NULL;
    *out = made;
    if (!opts || opts->size == 0 || opts->size > sizeof(o) || !opts->argv || !opts->argv[0]) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "there is no program to start");
    }
    nacre_spawn_options_init(&o);
    memcpy(&o, opts, opts->size);
    plan p = {.o = &o, .child = {-1, -1, -1, o.extra_fd}, .report = -1};
    p.envp = o.envp ? o.envp : environ;
    p.candidates = list_candidates(o.program ? o.program : o.argv[0], p.envp);
    int rc = p.candidates ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "no memory to start it");
    if (rc == NACRE_OK && nc_fd_pipe(report, false) != 0) {
        rc = nc_os_fail(err, NACRE_IO, errno, "cannot make a pipe");
    }
    if (rc == NACRE_OK) {
        rc = make_stdio(&o, &p, &made, err);
    }
    if (rc == NACRE_OK && o.pty_env && made.pty >= 0) {
        own_env = with_terminal(p.envp, o.pty_env, made.pty_name);
        p.envp = own_env;
        rc = own_env ? NACRE_OK : nc_fail(err, NACRE_NO_MEMORY, "no memory to start it");
    }
    if (rc == NACRE_OK) {
        p.report = report[1];
        made.pid = fork_quietly();
        if (made.pid == 0) {
            run_child(&p);
        }
        if (made.pid < 0) {
            rc = nc_os_fail(err, NACRE_IO, errno, "cannot make a process");
        }
    }
    nc_fd_close(&report[1]);
    close_child_ends(&o, &p);
    if (rc == NACRE_OK) {
        rc = await_exec(report[0], &o, made.pid, err);
    }
    nc_fd_close(&report[0]);
    nc_free(NULL, p.candidates);
    nc_free(NULL, own_env);
    if (rc != NACRE_OK) {
        nacre_process_close(&made);
        return rc;
    }
    *out = made;
    return NACRE_OK;
}

void nacre_process_close(nacre_process *p)
{
    if (p->out == p->in) {
        p->out = -1;
    }
    nc_fd_close(&p->in);
    nc_fd_close(&p->out);
    nc_fd_close(&p->err);
    nc_fd_close(&p->pty);
}
