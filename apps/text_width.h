/*
 * text_width.h - how much room text takes on a terminal: wide and combining characters counted as they
 * are shown.
 */
#ifndef TEXT_WIDTH_H
#define TEXT_WIDTH_H

#include <stddef.h>

/* Makes the C library read text as UTF-8, whatever the environment says. Once, early in main. */
void text_locale(void);
/* Columns of text that nacre_escape has made fit to be shown. */
size_t text_columns(const char *text);
/* Bytes of as much of it as fits into so many columns. */
size_t text_cut(const char *text, size_t columns);

#endif
