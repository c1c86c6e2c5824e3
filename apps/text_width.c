/*
 * text_width.c - columns of text on a terminal.
 */
#include "text_width.h"

#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <wchar.h>

void text_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        setlocale(LC_CTYPE,
                  "C.UTF-8"); /* names are nearly always UTF-8; others are escaped anyway */
    }
}

/* One character: its bytes, and its columns. A byte that is no character counts as one column. */
static size_t step(const char *text, size_t *columns)
{
    wchar_t c;
    mbstate_t state;
    memset(&state, 0, sizeof(state));
    size_t n = mbrtowc(&c, text, strlen(text), &state);
    if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
        *columns = 1;
        return 1;
    }
    int width = wcwidth(c);
    *columns = width < 0 ? 1 : (size_t)width;
    return n;
}

size_t text_columns(const char *text)
{
    size_t sum = 0;
    size_t wide;
    while (*text) {
        text += step(text, &wide);
        sum += wide;
    }
    return sum;
}

size_t text_cut(const char *text, size_t columns)
{
    size_t at = 0;
    size_t wide;
    while (text[at]) {
        size_t n = step(text + at, &wide);
        if (wide > columns) {
            break;
        }
        columns -= wide;
        at += n;
    }
    return at;
}
