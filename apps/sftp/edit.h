/*
 * edit.h - completion of what is being typed.
 */
#ifndef SFTP_EDIT_H
#define SFTP_EDIT_H

#include "app.h"

#include <histedit.h>

/* The word before the cursor: a command, or a path on the side that the command means. Returns CC_*. */
int complete(app *a, EditLine *el);
/* Drops the listings that it keeps for some seconds. */
void complete_forget(void);

#endif
