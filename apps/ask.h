/*
 * ask.h - asking a person: on the terminal, or through the program that SSH_ASKPASS names (which is executed,
 * not handed to a shell). What all programs share.
 */
#ifndef ASK_H
#define ASK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ask_question {
    const char *program; /* our name, for messages */
    const char *prompt;
    const char *hint; /* SSH_ASKPASS_PROMPT, "confirm"; NULL: none */
    bool echo;
    /*
     * As ssh-keygen asks: standard input serves where there is no terminal, and where it is not one itself a
     * display's SSH_ASKPASS comes first.
     */
    bool stdin_ok;
} ask_question;

/* The length of the answer, which is not terminated; -1: nobody answered. A signal that was held back meanwhile
 * ends the program with 255. */
int ask_person(const ask_question *q, char *out, size_t size);
/* Whether the program of SSH_ASKPASS is what would be asked: some have a mere button for "yes". */
bool ask_is_program(const ask_question *q);

#endif
