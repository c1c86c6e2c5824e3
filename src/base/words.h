/*
 * words.h - the grammar that ssh_config(5) and sshd_config(5) share: lines, keywords, words in quotes,
 * and numbers, times and sizes. It knows no keyword and reads no file.
 */
#ifndef NC_BASE_WORDS_H
#define NC_BASE_WORDS_H

#include "nacre/base.h"

bool nc_is_blank(char c); /* what stands between words; not the end of a line */
nacre_span nc_trim_blanks(nacre_span s);

/* Takes the next line off *text, without its newline. False: there is none. */
bool nc_next_line(nacre_span *text, nacre_span *line);
/*
 * The keyword at *at, which ends at a blank or at a "=" that may have blanks around it; *at goes to the
 * value. Empty: there is none.
 */
nacre_span nc_next_keyword(const char **at);
/*
 * The next word: 'single' and "double" quotes, in the middle too; a backslash before a quote or a
 * backslash, and outside of quotes before a blank; a word that begins with '#' ends the line.
 * 1: it is in out; 0: none left; NACRE_SYNTAX: a quote is not closed; NACRE_TOO_LARGE: size is too small.
 * A word is never longer than what it is made from.
 */
int nc_next_word(const char **at, char *out, size_t size) NACRE_MUST_CHECK;

/* Decimal digits at *at, whose value is max at most; *at goes behind them. */
bool nc_parse_digits(const char **at, uint64_t max, uint64_t *out) NACRE_MUST_CHECK;
/* The same for a whole text. *out is touched on success only, here and below. */
bool nc_parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out) NACRE_MUST_CHECK;
/* "90", "2w", "1h30m": seconds, INT32_MAX at most. */
bool nc_parse_time(const char *text, uint32_t *seconds) NACRE_MUST_CHECK;
/* "16", "512K", "1G": bytes. */
bool nc_parse_size(const char *text, uint64_t *bytes) NACRE_MUST_CHECK;
/* The two words of RekeyLimit: "default" and "none" are 0 where they are possible. */
bool nc_parse_rekey_size(const char *text, uint64_t *bytes) NACRE_MUST_CHECK;
bool nc_parse_rekey_time(const char *text, uint32_t *seconds) NACRE_MUST_CHECK;

#endif
