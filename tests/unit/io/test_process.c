/*
 * test_process.c - spawning, pseudo-terminals, terminal modes, signals by name, accounts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/fd.h"
#include "io/process.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static size_t read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while (n < size - 1 && (got = nc_fd_read(fd, NC_FD_PIPE, out + n, size - 1 - n)) > 0) {
        n += (size_t)got;
    }
    out[n] = '\0';
    return n;
}

static void run(nacre_spawn_options *o, char *const *argv, char *out, size_t size, int *status)
{
    nacre_process p;
    nacre_error err = {0};
    o->argv = argv;
    assert_int_equal(nacre_spawn(o, &p, &err), NACRE_OK);
    assert_true(p.pid > 0);
    nc_fd_close(&p.in);
    int from = p.pty >= 0 ? p.pty : p.out;
    assert_true(fcntl(from, F_GETFD) & FD_CLOEXEC);
    (void)read_all(from, out, size);
    *status = wait_for(p.pid);
    nacre_process_close(&p);
}

static void test_status_and_signal(void **state)
{
    (void)state;
    char text[256];
    int status = 0;
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    char *exit9[] = {"sh", "-c", "echo $0; exit 9", NULL};
    run(&o, exit9, text, sizeof(text), &status);
    assert_string_equal(text, "sh\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    char *killed[] = {"sh", "-c", "kill -KILL $$", NULL};
    run(&o, killed, text, sizeof(text), &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_false(nc_wait_core_dumped(status));
}

static void test_exec_failures(void **state)
{
    (void)state;
    nacre_process p;
    nacre_spawn_options o;
    static const char *const bad[] = {"/nonexistent/program", "no-such-program-anywhere", "/tmp",
                                      ""};
    static const int why[] = {ENOENT, ENOENT, EACCES, ENOENT};
    nacre_spawn_options_init(&o);
    for (int i = 0; i < 4; i++) {
        nacre_error err = {0};
        char *argv[] = {(char *)(uintptr_t)bad[i], NULL};
        o.argv = argv;
        assert_int_equal(nacre_spawn(&o, &p, &err), NACRE_IO);
        assert_int_equal(err.detail, why[i]);
        assert_non_null(strstr(err.text, "execute"));
        assert_int_equal(p.pid, -1);
        assert_int_equal(p.in, -1);
        assert_int_equal(p.out, -1);
    }
    char *argv[] = {"true", NULL};
    nacre_error err = {0};
    o.argv = argv;
    o.cwd = "/nonexistent";
    assert_int_equal(nacre_spawn(&o, &p, &err), NACRE_IO);
    assert_non_null(strstr(err.text, "directory"));
    o.cwd_optional = true;
    assert_int_equal(nacre_spawn(&o, &p, NULL), NACRE_OK);
    assert_int_equal(wait_for(p.pid), 0);
    nacre_process_close(&p);
    o.argv = NULL;
    assert_int_equal(nacre_spawn(&o, &p, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}

static void test_clean_child(void **state)
{
    (void)state;
    char text[4096];
    int status = 0;
    sigset_t some, old;
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    int leak = open("/dev/null", O_RDONLY); /* deliberately without close-on-exec */
    int high = fcntl(leak, F_DUPFD, 77);
    assert_int_equal(high, 77);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &some, &old), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    /* The last command takes the shell's place: a shell that waits blocks signals of its own. */
    char *argv[] = {"sh", "-c",
                    "ls /proc/$$/fd | tr '\\n' ' '; exec grep -E 'Sig(Blk|Ign)' /proc/self/status",
                    NULL};
    run(&o, argv, text, sizeof(text), &status);
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    assert_null(strstr(text, "77"));
    assert_true(strncmp(text, "0 1 2 ", 6) == 0);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(text, "SigIgn:\t0000000000000000"));
    close(leak);
    close(high);
}

static void test_env_cwd_umask_fds(void **state)
{
    (void)state;
    char text[256];
    int status = 0, p[2];
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    char *envp[] = {"PATH=/nowhere:/bin:/usr/bin", "X=y z", NULL};
    char *argv[] = {"sh", "-c", "pwd; umask; echo \"$X\"; echo $HOME", NULL};
    o.envp = envp;
    o.cwd = "/";
    o.umask = 027;
    o.new_session = true;
    run(&o, argv, text, sizeof(text), &status);
    assert_string_equal(text, "/\n0027\ny z\n\n");
    assert_int_equal(status, 0);
    /* Descriptors of the caller, crossed over on purpose. */
    nacre_process proc;
    assert_int_equal(nc_fd_pipe(p, false), 0);
    char *cross[] = {"sh", "-c", "read x; echo \"<$x>\" >&3", NULL};
    int in[2];
    assert_int_equal(nc_fd_pipe(in, false), 0);
    o.argv = cross;
    o.stdio = NACRE_STDIO_FDS;
    o.fds[0] = in[0];
    o.extra_fd = p[1];
    assert_int_equal(nacre_spawn(&o, &proc, NULL), NACRE_OK);
    assert_int_equal(write(in[1], "hello\n", 6), 6);
    assert_int_equal(wait_for(proc.pid), 0);
    close(p[1]);
    (void)read_all(p[0], text, sizeof(text));
    assert_string_equal(text, "<hello>\n");
    close(p[0]);
    close(in[0]);
    close(in[1]);
}

static void test_pty(void **state)
{
    (void)state;
    char text[4096];
    int status = 0;
    /* VINTR = ^B, ECHO off, ONLCR off, an unknown opcode, ispeed 9600, end, and rubbish behind it. */
    static const uint8_t modes[] = {1, 0,  0, 0, 2, 53, 0,   0, 0, 0,    72,   0, 0, 0,
                                    0, 99, 1, 2, 3, 4,  128, 0, 0, 0x25, 0x80, 0, 7, 7};
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    o.stdio = NACRE_STDIO_PTY;
    o.pty.columns = 132;
    o.pty.rows = 43;
    o.pty.width_px = 70000; /* above what the system can hold: capped */
    o.pty.modes = nc_span(modes, sizeof(modes));
    char *argv[] = {"sh", "-c",
                    "stty size; stty -a | tr ';' '\\n'; ps -o tty= -p $$ >/dev/null && tty", NULL};
    run(&o, argv, text, sizeof(text), &status);
    assert_true(strncmp(text, "43 132\n", 7) == 0); /* and no carriage return: ONLCR is off */
    assert_non_null(strstr(text, "intr = ^B"));
    assert_non_null(strstr(text, "-echo "));
    assert_non_null(strstr(text, "/dev/pts/"));
}

/* Opened for ourselves: nobody else's to open, whatever the mount says. */
static void test_pty_is_private(void **state)
{
    (void)state;
    int master = -1, slave = -1;
    char name[64];
    nacre_pty want = {.columns = 80, .rows = 24};
    struct stat st;
    assert_int_equal(nc_pty_open(&want, NULL, &master, &slave, name, sizeof(name), NULL), NACRE_OK);
    assert_int_equal(fstat(slave, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_mode & 0777 & ~0620u, 0);
    nc_fd_close(&slave);
    nc_fd_close(&master);
}

static void test_tty_calls(void **state)
{
    (void)state;
    int master = -1, slave = -1;
    char name[64];
    uint8_t before[1024], after[1024];
    size_t n = sizeof(before), m = sizeof(after);
    nacre_pty size = {.columns = 80, .rows = 25}, got;
    nacre_tty *tty = NULL;
    assert_int_equal(nc_pty_open(&size, NULL, &master, &slave, name, sizeof(name), NULL), NACRE_OK);
    assert_int_equal(nacre_tty_size(slave, &got), NACRE_OK);
    assert_int_equal(got.columns, 80);
    assert_int_equal(got.rows, 25);
    size.columns = 100;
    assert_int_equal(nacre_pty_resize(master, &size), NACRE_OK);
    assert_int_equal(nacre_tty_size(slave, &got), NACRE_OK);
    assert_int_equal(got.columns, 100);
    assert_int_equal(nacre_tty_modes(slave, before, &n), NACRE_OK);
    assert_true(n > 100 && n % 5 == 1 && before[n - 1] == 0);
    assert_int_equal(nacre_tty_raw(&tty, slave, NULL), NACRE_OK);
    assert_int_equal(nacre_tty_modes(slave, after, &m), NACRE_OK);
    assert_int_equal(m, n);
    assert_memory_not_equal(before, after, n);
    nacre_tty_restore(tty);
    nacre_tty_restore(tty);
    m = sizeof(after);
    assert_int_equal(nacre_tty_modes(slave, after, &m), NACRE_OK);
    assert_memory_equal(before, after, n);
    assert_int_equal(nacre_tty_resume(tty), NACRE_OK);
    nacre_tty_free(tty); /* restores */
    assert_int_equal(nacre_tty_modes(slave, after, &m), NACRE_OK);
    assert_memory_equal(before, after, n);
    m = 10;
    assert_int_equal(nacre_tty_modes(slave, after, &m), NACRE_TOO_LARGE);
    close(slave);
    close(master);
    int null = open("/dev/null", O_RDWR);
    m = sizeof(after);
    assert_int_equal(nacre_tty_modes(null, after, &m), NACRE_OK);
    assert_int_equal(m, 1);
    assert_int_equal(nacre_tty_raw(&tty, null, NULL), NACRE_IO);
    assert_int_equal(nacre_tty_size(null, &got), NACRE_NOT_FOUND);
    close(null);
}

static void test_modes_hostile(void **state)
{
    (void)state;
    struct termios tio, back;
    uint8_t bytes[1024];
    size_t n = sizeof(bytes);
    memset(&tio, 0, sizeof(tio));
    tio.c_lflag = ECHO | ISIG;
    tio.c_cflag = CS7;
    tio.c_cc[VINTR] = 3;
    (void)cfsetospeed(&tio, B38400);
    (void)cfsetispeed(&tio, B38400);
    assert_int_equal(nc_tty_modes_encode(&tio, bytes, &n), NACRE_OK);
    memset(&back, 0, sizeof(back));
    assert_int_equal(nc_tty_modes_decode(&back, nc_span(bytes, n)), NACRE_OK);
    assert_int_equal(back.c_lflag, tio.c_lflag);
    assert_int_equal(back.c_cflag & CSIZE, CS7);
    assert_int_equal(back.c_cc[VINTR], 3);
    assert_true(cfgetospeed(&back) == B38400);
    for (size_t cut = 0; cut < n; cut++) {
        int rc = nc_tty_modes_decode(&back, nc_span(bytes, cut));
        assert_int_equal(rc, cut % 5 == 0 ? NACRE_OK : NACRE_MALFORMED);
    }
    static const uint32_t values[] = {0, 1, 255, 256, 0x7fffffff, 0x80000000u, 0xffffffffu};
    for (unsigned op = 0; op < 256; op++) {
        for (size_t i = 0; i < 7; i++) {
            uint8_t one[5] = {(uint8_t)op, (uint8_t)(values[i] >> 24), (uint8_t)(values[i] >> 16),
                              (uint8_t)(values[i] >> 8), (uint8_t)values[i]};
            assert_int_equal(nc_tty_modes_decode(&back, nc_span(one, 5)), NACRE_OK);
        }
    }
    assert_true(cfgetospeed(&back) != B0);
}

static void test_signal_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "SIGTERM", "term", "TERM ", "TER", "9", "STOP", "TERM\n"};
    assert_string_equal(nacre_signal_name(SIGTERM), "TERM");
    assert_null(nacre_signal_name(SIGSTOP));
    assert_null(nacre_signal_name(0));
    assert_null(nacre_signal_name(-1));
    assert_int_equal(nacre_signal_number(nc_span_cstr("USR2")), SIGUSR2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nacre_signal_number(nc_span_cstr(bad[i])), 0);
        assert_int_equal(nacre_process_signal(getpid(), bad[i]), NACRE_UNKNOWN_NAME);
    }
    assert_int_equal(nacre_process_signal(0, "TERM"), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_process_signal(-1, "TERM"), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_process_signal(1, "TERM"), NACRE_INVALID_ARGUMENT);
    nacre_process p;
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    char *argv[] = {"sleep", "1000", NULL};
    o.argv = argv;
    o.new_session = true;
    assert_int_equal(nacre_spawn(&o, &p, NULL), NACRE_OK);
    assert_int_equal(nacre_process_signal(p.pid, "HUP"), NACRE_OK);
    int status = wait_for(p.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    assert_int_equal(nacre_process_signal(p.pid, "HUP"), NACRE_NOT_FOUND);
    nacre_process_close(&p);
}

static void test_become(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    char text[256];
    int status = 0;
    nacre_account *nobody = NULL;
    nacre_spawn_options o;
    nacre_spawn_options_init(&o);
    assert_int_equal(nacre_account_lookup(&nobody, NULL, "nobody", NULL), NACRE_OK);
    o.account = nobody;
    o.cwd = "/";
    char *argv[] = {"sh", "-c", "id -u; id -ru; id -g; id -G", NULL};
    run(&o, argv, text, sizeof(text), &status);
    char want[64];
    (void)snprintf(want, sizeof(want), "%u\n%u\n%u\n%u\n", nobody->uid, nobody->uid, nobody->gid,
                   nobody->gid);
    assert_string_equal(text, want);
    /* A user who is not root becomes nobody else. */
    nacre_account *root = NULL;
    assert_int_equal(nacre_account_lookup_uid(&root, NULL, 0, NULL), NACRE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        bool good = nacre_become(nobody, NULL) == NACRE_OK && nacre_become(nobody, NULL) == 0 &&
                    nacre_become(root, NULL) == NACRE_IO && getuid() == nobody->uid;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(wait_for(pid), 0);
    nacre_account_free(root);
    nacre_account_free(nobody);
}

static void test_accounts(void **state)
{
    (void)state;
    nacre_account *a = NULL;
    assert_int_equal(nacre_account_lookup_uid(&a, NULL, 0, NULL), NACRE_OK);
    assert_string_equal(a->name, "root");
    assert_true(a->home[0] == '/' && a->shell[0] == '/' && a->group_count >= 1);
    nacre_account_free(a);
    nacre_error err = {0};
    assert_int_equal(nacre_account_lookup(&a, NULL, "no-such-user-\x1b[2J", &err), NACRE_NOT_FOUND);
    assert_null(strchr(err.text, '\x1b'));
    assert_int_equal(nacre_account_lookup(&a, NULL, "", NULL), NACRE_NOT_FOUND);
    assert_null(a);
    nacre_account_free(NULL);
}

static void test_passwords(void **state)
{
    (void)state;
    static const char good[] = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDe"
                               "hy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"; /* of "secret" */
    static const char of_nothing[] = "$6$saltsalt$qkTgsCrWMTAS9gBGcf9W60sFfH.hU0oTCAOJjhbz5tSp/sU3"
                                     "/xXZK4OFwCtq8lIIdpJ6CatVdOTSHKp97TPkt/";
    static const char hash[] = "$6$saltsalt$";
    nacre_span pw = nc_span_cstr("secret");
    static const char *const bad[] = {"",  "*",  "*0",     "*1", "!",   "!$6$x",
                                      "x", "!!", "secret", hash, "$6$", "$99$zz$zz"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nacre_password_matches(bad[i], pw), NACRE_AUTH_FAILED);
        assert_int_equal(nacre_password_matches(bad[i], nc_span_cstr(bad[i])), NACRE_AUTH_FAILED);
    }
    assert_int_equal(nacre_password_matches(NULL, pw), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_account_check_password(NULL, pw), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_account_check_password("no-such-user", pw), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_account_check_password("nobody", nc_span_cstr("*")), NACRE_AUTH_FAILED);
    nacre_span zero = nc_span("secret\0x", 8);
    assert_int_equal(nacre_password_matches(good, pw), NACRE_OK);
    assert_int_equal(nacre_password_matches(good, zero), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(good, nc_span_cstr("secreT")), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(good, nc_span(NULL, 0)), NACRE_AUTH_FAILED);
    /* Somebody has stored the hash of an empty password: it opens nothing. */
    assert_string_equal(crypt("", of_nothing), of_nothing);
    assert_int_equal(nacre_password_matches(of_nothing, nc_span(NULL, 0)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(of_nothing, nc_span_cstr("")), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(of_nothing, nc_span("\0", 1)), NACRE_AUTH_FAILED);
    assert_int_equal(nacre_password_matches(NULL, zero), NACRE_AUTH_FAILED);
    char *lengthy = malloc(5000);
    memset(lengthy, 'a', 5000);
    assert_int_equal(nacre_password_matches(NULL, nc_span(lengthy, 5000)), NACRE_AUTH_FAILED);
    free(lengthy);
}

static void test_path_secure(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-perm-XXXXXX", file[64], link[64];
    nacre_error err = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/keys", dir);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    int fd = open(file, O_CREAT | O_RDWR, 0600);
    uid_t me = geteuid();
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(nacre_path_secure(file, -1, me, dir, NULL), NACRE_OK);
    assert_int_equal(nacre_path_secure(link, fd, me, dir, NULL), NACRE_OK);
    assert_int_equal(chmod(file, 0620), 0);
    assert_int_equal(nacre_path_secure(file, -1, me, dir, &err), NACRE_KEY_PERMISSIONS);
    assert_non_null(strstr(err.text, file));
    assert_int_equal(nacre_path_secure(link, -1, me, dir, NULL), NACRE_KEY_PERMISSIONS);
    assert_int_equal(nacre_path_secure("/dev/null", fd, me, NULL, NULL), NACRE_KEY_PERMISSIONS);
    assert_int_equal(chmod(file, 0602), 0);
    assert_int_equal(nacre_path_secure(file, fd, me, dir, NULL), NACRE_KEY_PERMISSIONS);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    assert_int_equal(nacre_path_secure(file, -1, me, dir, NULL), NACRE_KEY_PERMISSIONS);
    assert_int_equal(chmod(dir, 0700), 0);
    /* Without a home below which to stay, the sticky but world-writable /tmp counts. */
    assert_int_equal(nacre_path_secure(file, -1, me, NULL, NULL), NACRE_KEY_PERMISSIONS);
    assert_int_equal(nacre_path_secure(dir, -1, me, NULL, NULL), NACRE_KEY_PERMISSIONS);
    if (me == 0) {
        assert_int_equal(fchown(fd, 1234, 1234), 0);
        assert_int_equal(nacre_path_secure(file, -1, 1234, dir, NULL), NACRE_OK);
        assert_int_equal(nacre_path_secure(file, -1, 0, dir, NULL), NACRE_KEY_PERMISSIONS);
    }
    close(fd);
    unlink(link);
    unlink(file);
    assert_int_equal(nacre_path_secure(file, -1, me, dir, NULL), NACRE_NOT_FOUND);
    rmdir(dir);
}

/* ---- last logins ---- */

static void test_last_logins(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-last-XXXXXX", path[64], link[64], text[300];
    nacre_last_login in = {.when = 1700000000}, out;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/lastlog", dir);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    (void)snprintf(in.line, sizeof(in.line), "pts/7");
    memset(in.host, 'h', sizeof(in.host) - 1); /* longer than the file's field */
    /* Never made, only filled. */
    assert_int_equal(nacre_last_login_write(path, 3, &in), NACRE_NOT_FOUND);
    assert_int_equal(nacre_last_login_read(path, 3, &out), NACRE_NOT_FOUND);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(nacre_last_login_write(path, 3, &in), NACRE_OK);
    assert_int_equal(nacre_last_login_read(path, 3, &out), NACRE_OK);
    assert_true(out.when == in.when);
    assert_string_equal(out.line, "pts/7");
    assert_int_equal(strlen(out.host), 256);
    assert_int_equal(nacre_last_login_read(path, 2, &out), NACRE_NOT_FOUND); /* a hole */
    assert_int_equal(nacre_last_login_read(path, 4, &out), NACRE_NOT_FOUND); /* behind the end */
    assert_true(out.when == 0 && out.host[0] == '\0');
    memset(text, 'x', sizeof(text));
    assert_int_equal(pwrite(fd, text, sizeof(text), 292 * 4), sizeof(text));
    assert_int_equal(nacre_last_login_read(path, 4, &out),
                     NACRE_OK); /* nonsense is read as it is */
    assert_int_equal(strlen(out.line), 32);
    assert_int_equal(ftruncate(fd, 292 * 4 + 100), 0);
    assert_int_equal(nacre_last_login_read(path, 4, &out), NACRE_NOT_FOUND); /* cut */
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(nacre_last_login_write(link, 3, &in), NACRE_IO);
    assert_int_equal(nacre_last_login_read(dir, 3, &out), NACRE_IO);
    (void)close(fd);
    (void)unlink(link);
    (void)unlink(path);
    (void)rmdir(dir);
}

/* ---- a program that goes first ---- */

static void test_before_runs_first_and_reads_its_input(void **state)
{
    (void)state;
    char text[256];
    int status;
    nacre_spawn_options o;
    char *first[] = {"/bin/sh", "-c", "cat; echo first $X $(pwd)", NULL};
    char *argv[] = {"/bin/sh", "-c", "echo second; cat; exit 4", NULL};
    char *envp[] = {"X=y", NULL};
    nacre_spawn_options_init(&o);
    o.before = first;
    o.before_input = nc_span_cstr("input\n");
    o.envp = envp;
    o.cwd = "/";
    run(&o, argv, text, sizeof(text), &status);
    assert_string_equal(text, "input\nfirst y /\nsecond\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

static void test_before_that_fails_stops_nothing(void **state)
{
    (void)state;
    char text[256];
    int status;
    nacre_spawn_options o;
    char *missing[] = {"/no/such/program", NULL},
         *failing[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
    char *argv[] = {"/bin/sh", "-c", "echo second", NULL};
    nacre_spawn_options_init(&o);
    o.before = missing;
    run(&o, argv, text, sizeof(text), &status);
    assert_string_equal(text, "second\n");
    o.before = failing;
    run(&o, argv, text, sizeof(text), &status);
    assert_string_equal(text, "second\n");
    /* Nor is the program's own absence a failure of the call any more. */
    char *absent[] = {"/no/such/program", NULL};
    run(&o, absent, text, sizeof(text), &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void test_before_gets_no_more_than_a_pipe_holds(void **state)
{
    (void)state;
    static uint8_t much[3 * 4096];
    char text[256];
    int status;
    nacre_spawn_options o;
    char *first[] = {"/bin/sh", "-c", "wc -c", NULL}, *argv[] = {"/bin/true", NULL};
    nacre_spawn_options_init(&o);
    o.before = first;
    o.before_input = nc_span(much, sizeof(much));
    run(&o, argv, text, sizeof(text), &status);
    assert_int_equal(atoi(text), 4096);
}

/* ---- break ---- */

static void break_on(const char *command, bool dies)
{
    char text[256] = "";
    size_t n = 0;
    nacre_process p;
    nacre_error err = {0};
    nacre_spawn_options o;
    char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)command, NULL};
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.stdio = NACRE_STDIO_PTY;
    assert_int_equal(nacre_spawn(&o, &p, &err), NACRE_OK);
    while (!strstr(text, "ready")) {
        ssize_t got = nc_fd_read(p.pty, NC_FD_OTHER, text + n, sizeof(text) - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
        text[n] = '\0';
    }
    assert_int_equal(nacre_pty_break(p.pty), NACRE_OK);
    if (!dies) {
        assert_int_equal(nc_fd_write(p.pty, NC_FD_OTHER, "x\n", 2), 2);
    }
    (void)read_all(p.pty, text, sizeof(text));
    int status = wait_for(p.pid);
    assert_true(dies ? WIFSIGNALED(status) && WTERMSIG(status) == SIGINT
                     : WIFEXITED(status) && WEXITSTATUS(status) == 5);
    nacre_process_close(&p);
}

static void test_break(void **state)
{
    (void)state;
    int fds[2];
    break_on("stty brkint -ignbrk; echo ready; read x; exit 5", true);
    break_on("stty ignbrk; echo ready; read x; test \"$x\" = x && exit 5", false);
    break_on("stty -brkint -ignbrk -icanon min 1; echo ready; x=$(head -c 1 | od -An -tx1); "
             "test \"$x\" = ' 00' && exit 5",
             false);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(nacre_pty_break(fds[1]), NACRE_IO);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(nacre_pty_break(-1), NACRE_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_and_signal),
        cmocka_unit_test(test_exec_failures),
        cmocka_unit_test(test_clean_child),
        cmocka_unit_test(test_env_cwd_umask_fds),
        cmocka_unit_test(test_pty),
        cmocka_unit_test(test_pty_is_private),
        cmocka_unit_test(test_tty_calls),
        cmocka_unit_test(test_modes_hostile),
        cmocka_unit_test(test_signal_names),
        cmocka_unit_test(test_become),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_path_secure),
        cmocka_unit_test(test_before_runs_first_and_reads_its_input),
        cmocka_unit_test(test_before_that_fails_stops_nothing),
        cmocka_unit_test(test_before_gets_no_more_than_a_pipe_holds),
        cmocka_unit_test(test_break),
        cmocka_unit_test(test_last_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
