/* A PAM module that does what @ORDERS@ says: "STEP USER DEED". */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <security/pam_modules.h>

static void *spin(void *nothing)
{
	for (;;)
		free(malloc(64));
	return nothing;
}

static void change(pam_handle_t *h)
{
	struct itimerval soon = { {0, 0}, {0, 200000} };

	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	setitimer(ITIMER_REAL, &soon, NULL);
	umask(0);
	(void) !chdir("/tmp");
	pam_putenv(h, "LD_PRELOAD=/evil.so");
	pam_putenv(h, "PATH=/evil");
	setenv("LD_PRELOAD", "/evil.so", 1);
	setenv("TZ", "/evil", 1);
}

static int act(pam_handle_t *h, const char *now)
{
	const char *user;
	char step[16], name[64], deed[16];
	FILE *file = fopen("@ORDERS@", "r");
	int count;
	pthread_t thread;

	if (!file)
		return PAM_SUCCESS;
	count = fscanf(file, "%15s %63s %15s", step, name, deed);
	fclose(file);
	if (count != 3 || strcmp(step, now) || pam_get_user(h, &user, NULL) != PAM_SUCCESS
	    || strcmp(user, name))
		return PAM_SUCCESS;
	if (!strcmp(deed, "exit"))
		exit(0);
	if (!strcmp(deed, "abort"))
		abort();
	if (!strcmp(deed, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(deed, "close"))
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
	if (!strcmp(deed, "fork") && fork() == 0) {
		sleep(5);
		_exit(0);
	}
	if (!strcmp(deed, "thread"))
		pthread_create(&thread, NULL, spin, NULL);
	if (!strcmp(deed, "euid"))
		(void) !seteuid(65534);
	if (!strcmp(deed, "root"))
		pam_set_item(h, PAM_USER, "root");
	if (!strcmp(deed, "print")) {
		puts("* BYE");
		fflush(stdout);
	}
	if (!strcmp(deed, "hang")) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	if (!strcmp(deed, "change"))
		change(h);
	return PAM_SUCCESS;
}

int pam_sm_authenticate(pam_handle_t *h, int flags, int count, const char **arguments)
{
	return act(h, "auth");
}

int pam_sm_setcred(pam_handle_t *h, int flags, int count, const char **arguments)
{
	return PAM_SUCCESS;
}

int pam_sm_open_session(pam_handle_t *h, int flags, int count, const char **arguments)
{
	return act(h, "open");
}

int pam_sm_close_session(pam_handle_t *h, int flags, int count, const char **arguments)
{
	FILE *file = fopen("@ORDERS@.closed", "w");

	if (file)
		fclose(file);
	return act(h, "close");
}
