/*
 * edit.c - lines from a person: editing, history, completion (complete.c), and what ^C does.
 */
#include "edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY = 500 };

static app *who; /* libedit's callbacks get only the EditLine */

static char *prompt(EditLine *el)
{
    static char text[] = "sftp> ";
    (void)el;
    return text;
}

/* One character, waited for with the connection kept alive. 1, 0 at the end, -1 interrupted. */
static int read_char(EditLine *el, wchar_t *out)
{
    mbstate_t state;
    memset(&state, 0, sizeof(state));
    for (;;) {
        char byte;
        if (!wait_for_input(who, STDIN_FILENO)) {
            errno = EINTR;
            return -1;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            el_set(el, EL_REFRESH); /* back from being stopped, or the window has another size */
            continue;
        }
        if (n <= 0) {
            return (int)n;
        }
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == (size_t)-1) {
            memset(&state, 0, sizeof(state)); /* no character: as if it had not been typed */
        } else if (used != (size_t)-2) {
            return 1;
        }
    }
}

static unsigned char on_tab(EditLine *el, int key)
{
    (void)key;
    return (unsigned char)complete(who, el);
}

static EditLine *start(History **past)
{
    HistEvent event;
    EditLine *el = el_init("nacre-sftp", stdin, stdout, stderr);
    *past = history_init();
    if (!el || !*past) {
        return NULL;
    }
    history(*past, &event, H_SETSIZE, HISTORY);
    history(*past, &event, H_SETUNIQUE, 1);
    el_set(el, EL_HIST, history, *past);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 1);
    el_set(el, EL_GETCFN, read_char);
    el_source(el, NULL);
    el_set(el, EL_ADDFN, "sftp-complete", "Complete the word before the cursor", on_tab);
    el_set(el, EL_BIND, "^I", "sftp-complete", NULL);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(el, EL_BIND, "^W", "ed-delete-prev-word", NULL);
    el_set(el, EL_BIND, "\\e[1;5C", "em-next-word", NULL); /* control and the arrows */
    el_set(el, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
    return el;
}

/* One line and what it says. False: that was the last. */
static bool one_line(app *a, EditLine *el, History *past)
{
    HistEvent event;
    int n = 0;
    const char *line = el_gets(el, &n);
    if (a->lost) {
        return false;
    }
    if (a->interrupted) {
        a->interrupted = 0;
        el_reset(el);
        putchar('\n');
        return true;
    }
    if (!line || n <= 0) {
        putchar('\n');
        return false;
    }
    char *copy = keep(strdup(line));
    copy[strcspn(copy, "\r\n")] = '\0';
    if (*copy) {
        history(past, &event, H_ENTER, line);
    }
    run_line(a, copy);
    fflush(stdout);
    free(copy);
    a->interrupted = 0;
    return !a->ended && !session_over(a);
}

int edited_lines(app *a)
{
    History *past = NULL;
    who = a;
    EditLine *el = start(&past);
    if (!el) {
        return complain("nacre-sftp: line editing cannot be started");
    }
    while (one_line(a, el, past)) {
    }
    complete_forget();
    history_end(past);
    el_end(el);
    return session_over(a) ? -1 : 0;
}
