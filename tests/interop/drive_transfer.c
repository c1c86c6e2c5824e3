/*
 * drive_transfer.c - one file, on a command line: OPERATION [OPTION...] FROM TO -- SERVER ARGUMENT... Streams
 * go from and to files of this program's own. Says how it ended.
 */
#include "nacre/sftp_transfer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool into_file(void *user, const void *p, size_t n)
{
    return fwrite(p, 1, n, user) == n;
}

static bool from_file(void *user, void *p, size_t n, size_t *got)
{
    *got = fread(p, 1, n, user);
    return ferror((FILE *)user) == 0;
}

static int stream(nacre_sftp *s, bool up, const char *from, const char *to,
                  const nacre_sftp_transfer_options *o)
{
    FILE *f = fopen(up ? from : to, up ? "rb" : "wb");
    if (!f) {
        return NACRE_IO;
    }
    int rc = up ? nacre_sftp_putfo(s, from_file, f, UINT64_MAX, to, 0640, o)
                : nacre_sftp_getfo(s, from, into_file, f, o);
    return fclose(f) == 0 ? rc : NACRE_IO;
}

static int transfer(nacre_sftp *s, const char *what, const char *from, const char *to,
                    const nacre_sftp_transfer_options *o)
{
    if (strcmp(what, "get") == 0) {
        return nacre_sftp_get(s, from, to, o);
    }
    if (strcmp(what, "put") == 0) {
        return nacre_sftp_put(s, from, to, o);
    }
    if (strcmp(what, "copy") == 0) {
        return nacre_sftp_copy(s, from, to, o);
    }
    return stream(s, strcmp(what, "putfo") == 0, from, to, o);
}

static void set(nacre_sftp_transfer_options *o, const char *name)
{
    o->resume = o->resume || strcmp(name, "resume") == 0;
    o->atomic = o->atomic || strcmp(name, "atomic") == 0;
    o->preserve = o->preserve || strcmp(name, "preserve") == 0;
    o->sync = o->sync || strcmp(name, "sync") == 0;
    o->direct = o->direct || strcmp(name, "direct") == 0;
    if (strcmp(name, "verify") == 0) {
        o->verify = NACRE_SFTP_VERIFY_REQUIRED;
    }
}

static pid_t start(nacre_sftp **s, char **argv)
{
    int fds[2];
    nacre_error err = {.status = NACRE_OK};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 0);
        dup2(fds[1], 1);
        execv(argv[0], argv);
        _exit(127);
    }
    close(fds[1]);
    nacre_sftp_options o;
    nacre_sftp_options_init(&o);
    o.timeout_ms = 60000;
    if (pid < 0 || nacre_sftp_open_pipe(s, fds[0], fds[0], &o, &err) != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return pid;
}

int main(int argc, char **argv)
{
    int end = 1;
    while (end < argc && strcmp(argv[end], "--") != 0) {
        end++;
    }
    if (end < 4 || end + 1 >= argc) {
        fprintf(stderr, "usage: drive_transfer get|put|getfo|putfo|copy OPTION... FROM TO -- "
                        "SERVER ARGUMENT...\n");
        return 2;
    }
    nacre_sftp *s = NULL;
    nacre_sftp_transfer_options o;
    nacre_sftp_transfer_options_init(&o);
    for (int i = 2; i < end - 2; i++) {
        set(&o, argv[i]);
    }
    pid_t pid = start(&s, argv + end + 1);
    if (pid < 0) {
        return 1;
    }
    int rc = transfer(s, argv[1], argv[end - 2], argv[end - 1], &o);
    printf("%s %s\n", nacre_status_symbol(rc), nacre_sftp_error(s)->text);
    nacre_sftp_close(s);
    waitpid(pid, NULL, 0);
    return 0;
}
