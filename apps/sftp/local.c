/*
 * local.c - the commands of nacre-sftp that are about this machine.
 */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int lcd_command(app *a, const call *c)
{
    (void)a;
    char *path = tilde(c->count > 0 && *c->at[0].text ? c->at[0].text : "~");
    int rc = 0;
    if (chdir(path) != 0) {
        rc =
            complain("Couldn't change local directory to \"%s\": %s", shown(path), strerror(errno));
    }
    free(path);
    return rc;
}

int lpwd_command(app *a, const call *c)
{
    char *dir = getcwd(NULL, 0);
    (void)a;
    (void)c;
    if (!dir) {
        return complain("Couldn't get local cwd: %s", strerror(errno));
    }
    printf("Local working directory: %s\n", shown(dir));
    free(dir);
    return 0;
}

int lmkdir_command(app *a, const call *c)
{
    (void)a;
    if (c->count < 1) {
        return complain("You must specify a path after a %s command.", c->name);
    }
    if (mkdir(c->at[0].text, 0777) != 0) {
        return complain("Couldn't create local directory \"%s\": %s", shown(c->at[0].text),
                        strerror(errno));
    }
    return 0;
}

int lumask_command(app *a, const call *c)
{
    uint32_t mask;
    (void)a;
    if (c->count < 1 || !whole_number(c->at[0].text, 8, &mask)) {
        return complain("You must supply a numeric argument to the %s command.", c->name);
    }
    umask((mode_t)(mask & 0777));
    printf("Local umask: %03lo\n", (unsigned long)mask);
    return 0;
}

/* ---- the shell ---------------------------------------------------------------------------------------- */

typedef struct child {
    bool over;
    int status;
} child;

static void on_end(void *user, pid_t pid, int wait_status)
{
    child *c = user;
    (void)pid;
    c->over = true;
    c->status = wait_status;
}

static int is_over(void *user)
{
    const child *c = user;
    return c->over ? NACRE_OK : NACRE_AGAIN;
}

/* However long it takes: the connection is kept alive meanwhile. */
static int wait_for(app *a, pid_t pid)
{
    child c = {0};
    nacre_client *client = connection_client(a->conn);
    nacre_loop *loop = client ? nacre_client_loop(client) : NULL;
    if (loop && nacre_loop_on_child(loop, pid, on_end, &c) == NACRE_OK) {
        while (!c.over) {
            int rc = nacre_client_run(client, is_over, &c, NACRE_FOREVER);
            if (rc != NACRE_OK && rc != NACRE_CANCELLED && !c.over) {
                (void)!nacre_loop_run_once(loop, -1); /* no connection any more: the child alone */
            }
        }
        return c.status;
    }
    while (waitpid(pid, &c.status, 0) < 0 && errno == EINTR) {
    }
    return c.status;
}

/* The user's own shell, on the user's own command: not a string of any peer's. */
void run_shell(app *a, const char *script)
{
    const char *sh = getenv("SHELL");
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        complain("Couldn't fork: %s", strerror(errno));
        return;
    }
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        sh = sh && *sh ? sh : "/bin/sh";
        if (*script) {
            execl(sh, sh, "-c", script, (char *)NULL);
        } else {
            execl(sh, sh, (char *)NULL);
        }
        complain("Couldn't execute \"%s\": %s", sh, strerror(errno));
        _exit(1);
    }
    int status = wait_for(a, pid);
    if (!WIFEXITED(status)) {
        complain("Shell exited abnormally");
    } else if (WEXITSTATUS(status) != 0) {
        complain("Shell exited with status %d", WEXITSTATUS(status));
    }
}

int lls_command(app *a, const call *c)
{
    const char *rest = c->raw + strspn(c->raw, " \t");
    char *script = text_of("ls%s%s", *rest ? " " : "", rest);
    run_shell(a, script);
    free(script);
    return 0;
}
