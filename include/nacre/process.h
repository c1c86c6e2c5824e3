/*
 * nacre/process.h - programs: spawning with pipes or a pseudo-terminal, as another user; terminals.
 *
 * Nothing here starts a shell, nacre_shell_run apart: what runs is what argv says.
 */
#ifndef NACRE_PROCESS_H
#define NACRE_PROCESS_H

#include "nacre/account.h"
#include "nacre/base.h"
#include "nacre/transport.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nacre_stdio {
    NACRE_STDIO_PIPES = 0, /* three pipes */
    NACRE_STDIO_SOCKETS,   /* stdin and stdout are one socket pair, stderr a pipe */
    NACRE_STDIO_PTY,       /* all three are a new pseudo-terminal; implies a new session */
    NACRE_STDIO_FDS        /* fds[0..2] of the caller; -1: /dev/null */
} nacre_stdio;

typedef struct nacre_spawn_options {
    size_t size; /* set by nacre_spawn_options_init */
    const char *
        program; /* path of the file to execute; NULL: argv[0]. Without "/" it is searched in PATH of envp */
    char *const *argv; /* NULL-ended; argv[0] is what the program sees as its name */
    char *const *envp; /* NULL-ended; NULL: our own environment */
    const char *cwd;   /* NULL: stay */
    bool cwd_optional; /* when it is not possible to go there: "/" instead of a failure */
    nacre_stdio stdio;
    int fds[3];                   /* NACRE_STDIO_FDS */
    bool keep_stderr;             /* PIPES, SOCKETS: the program's stderr is ours */
    nacre_pty pty;                /* PTY: size and modes (term is not looked at) */
    bool new_session;             /* setsid: a process group of its own, no terminal */
    const nacre_account *account; /* become this user; NULL: stay who we are */
    const char *
        chroot_dir; /* chroot here first (as root), or NULL; must be root's alone: not checked here */
    int umask;      /* -1: keep */
    int extra_fd;   /* one more fd to hand down, as fd 3; -1: none */
    const char *pty_env; /* PTY: the variable that gets the terminal's path ("SSH_TTY"), or NULL */
    /*
     * A program to run first, as what program runs: same user, place, environment and outputs. NULL-ended, [0]
     * is its path; it reads before_input (4096 bytes at most, the rest is cut) and then the end. program
     * follows when it has ended, whatever came of it; nacre_spawn does not wait for that, so a program that
     * cannot be executed is no failure of the call then, but ends with status 127.
     */
    char *const *before;
    nacre_span before_input;
} nacre_spawn_options;
NACRE_API void nacre_spawn_options_init(nacre_spawn_options *o);

/* Our ends are close-on-exec and owned by the caller; -1 where there is none. */
typedef struct nacre_process {
    pid_t pid;
    int in;            /* write: the program's stdin; SOCKETS: same number as out */
    int out;           /* read: its stdout */
    int err;           /* read: its stderr */
    int pty;           /* PTY: the master; in, out, err are -1 */
    char pty_name[64]; /* "/dev/pts/3" */
} nacre_process;

/*
 * Returns when the program was executed, or could not be: NACRE_IO with errno in detail and the step
 * in text. The child has default signal dispositions, no blocked signals and no fds but 0, 1, 2
 * (and 3). When it becomes another user, it is verified that there is no way back.
 */
NACRE_API int nacre_spawn(const nacre_spawn_options *o, nacre_process *out,
                          nacre_error *err) NACRE_MUST_CHECK;
/* Closes our ends. Does not wait. */
NACRE_API void nacre_process_close(nacre_process *p);
/* Signal to the process group when the program leads one, else to it. name without "SIG" (RFC 4254
 * 6.10); NACRE_UNKNOWN_NAME. */
NACRE_API int nacre_process_signal(pid_t pid, const char *name) NACRE_MUST_CHECK;
/* "TERM" for SIGTERM; NULL: not one of RFC 4254's or the system's known ones. And back; 0: unknown. */
NACRE_API const char *nacre_signal_name(int signo);
NACRE_API int nacre_signal_number(nacre_span name) NACRE_MUST_CHECK;

/*
 * Runs a command line by the user's shell ($SHELL, or /bin/sh) and waits for its end: *status is its exit status, or
 * 128 and the signal that ended it. Standard input is /dev/null, so is standard output if quiet. The text must be
 * the user's own, with nothing in it that came from elsewhere unchecked. NACRE_IO: it could not be started.
 */
NACRE_API int nacre_shell_run(const char *command, bool quiet, int *status,
                              nacre_error *err) NACRE_MUST_CHECK;

/* For programs that run as root: becomes the account for good in this process (groups, gid, uid),
 * verified. On failure the process must end: it may be half changed. */
NACRE_API int nacre_become(const nacre_account *account, nacre_error *err) NACRE_MUST_CHECK;

/* ---- pseudo-terminals and terminals ------------------------------------------------------------------ */

/* Applies a window-change. */
NACRE_API int nacre_pty_resize(int master, const nacre_pty *size) NACRE_MUST_CHECK;
/*
 * What a BREAK on the line would do to the terminal behind master (termios(3): IGNBRK, BRKINT): nothing, SIGINT to
 * its foreground, or a zero byte to read. Never waits. NACRE_IO: it is no pty.
 */
NACRE_API int nacre_pty_break(int master) NACRE_MUST_CHECK;
/* Size of the terminal fd; columns .. height_px are set, the rest is zeroed. NACRE_NOT_FOUND: no terminal. */
NACRE_API int nacre_tty_size(int fd, nacre_pty *out) NACRE_MUST_CHECK;
/* Terminal modes of fd as RFC 4254 section 8 encodes them; *n in: room, out: length. No terminal: only
 * TTY_OP_END. NACRE_TOO_LARGE (1024 bytes are always enough). */
NACRE_API int nacre_tty_modes(int fd, uint8_t *out, size_t *n) NACRE_MUST_CHECK;
/* Applies encoded modes to the terminal fd. Unknown opcodes are skipped; undecodable rest is ignored. */
NACRE_API int nacre_tty_apply_modes(int fd, nacre_span modes) NACRE_MUST_CHECK;

/* Raw mode, and the way back. Returns owned in *out. */
typedef struct nacre_tty nacre_tty;
NACRE_API int nacre_tty_raw(nacre_tty **out, int fd, nacre_error *err) NACRE_MUST_CHECK;
/* Puts the terminal back as it was. Idempotent and async-signal-safe. NULL ok. */
NACRE_API void nacre_tty_restore(nacre_tty *tty);
/* Raw again, after a restore (job control). In the background of a guarded terminal: once it is in front. */
NACRE_API int nacre_tty_resume(nacre_tty *tty) NACRE_MUST_CHECK;
/*
 * Whatever ends this process puts the terminal back first: exit(3), a signal that ends programs, a crash; all
 * but SIGKILL. SIGTSTP puts it back and stops; when the process goes on in the foreground, however it was
 * stopped, the terminal is made raw again and SIGWINCH raised, since its size may have changed meanwhile.
 * Only signals at their default are taken, and given back by nacre_tty_free; those that the program handles
 * are its own affair. One terminal of a process at a time: NACRE_EXISTS. Children are not concerned.
 */
NACRE_API int nacre_tty_guard(nacre_tty *tty, nacre_error *err) NACRE_MUST_CHECK;
/* Restores and frees. NULL ok. */
NACRE_API void nacre_tty_free(nacre_tty *tty);
/*
 * Asks on /dev/tty (or the fds 0 and 2 when use_stdio), without echo unless echo. Returns owned in
 * *answer (zero-terminated, without the newline; wipe it with nacre_tty_forget).
 * NACRE_NOT_FOUND: there is no terminal; NACRE_CANCELLED: interrupted by a signal that ends programs.
 */
NACRE_API int nacre_tty_ask(const char *prompt, bool echo, bool use_stdio, char **answer,
                            nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_tty_forget(char *answer); /* frees it, too; NULL ok */

#ifdef __cplusplus
}
#endif
#endif
