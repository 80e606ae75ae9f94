// A paced flow, and how long it was silent: a datagram each millisecond both ways, and over a TCP connection a small request and its
// response, one after the other, at most one in a millisecond.
//
//   pulse serve PORT                  waits for whoever beats, and beats back
//   pulse beat ADDRESS PORT           beats to that one
//
// Commands on stdin, a character each:
//   m     forgets what was until now
//   l     prints, since then: received (datagrams), silenceMillis (the longest between two of them, the one that lasts included),
//         silentMillis (the one that lasts), exchanges, exchangeSilenceMillis, exchangeSilentMillis, isBroken (the connection has ended)
// Ends with its stdin.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NANOS 1000000u

struct silence {
  uint64_t count, last, longest;
};

static struct silence datagrams, exchanges;
static struct sockaddr_in other = {.sin_family = AF_INET};
static int listener = -1, connection = -1, is_broken, is_asked;

static void fail(const char *what) {
  fprintf(stderr, "pulse: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_nanos(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t lasting(const struct silence *s, uint64_t now) { return s->last == 0 ? 0 : now - s->last; }

static void sounded(struct silence *s, uint64_t now) {
  if (lasting(s, now) > s->longest) s->longest = lasting(s, now);
  s->last = now, s->count++;
}

static double longest_millis(const struct silence *s, uint64_t now) {
  return (double)(lasting(s, now) > s->longest ? lasting(s, now) : s->longest) / 1e6;
}

static void obey(char command, uint64_t now) {
  if (command == 'm') datagrams.count = datagrams.longest = exchanges.count = exchanges.longest = 0;
  if (command != 'l') return;
  printf("{\"received\":%llu,\"silenceMillis\":%.1f,\"silentMillis\":%.1f,", (unsigned long long)datagrams.count, longest_millis(&datagrams, now),
         (double)lasting(&datagrams, now) / 1e6);
  printf("\"exchanges\":%llu,\"exchangeSilenceMillis\":%.1f,\"exchangeSilentMillis\":%.1f,\"isBroken\":%s}\n", (unsigned long long)exchanges.count,
         longest_millis(&exchanges, now), (double)lasting(&exchanges, now) / 1e6, is_broken ? "true" : "false");
  fflush(stdout);
}

static void connection_take(int socket) {
  int yes = 1;
  if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes)) fail("TCP_NODELAY");
  connection = socket;
}

/** A request or a response has come, or the connection has ended. */
static void connection_read(int is_server, uint64_t now) {
  char bytes[64];
  ssize_t count = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT);
  if (count > 0) {
    sounded(&exchanges, now);
    is_asked = 0;
    if (is_server && send(connection, bytes, (size_t)count, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) is_broken = 1;
  } else if (count == 0 || errno != EAGAIN) {
    is_broken = 1;
    close(connection);
    connection = -1;
  }
}

static void datagrams_read(int socket, uint64_t now) {
  char bytes[64];
  struct sockaddr_in from;
  socklen_t length = sizeof from;
  while (recvfrom(socket, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &length) > 0) {
    sounded(&datagrams, now);
    other = from;
  }
}

static void beat(int socket, int is_server) {
  static const char BYTES[18] = "twinwall";
  // Nobody is heard of an error: that nothing arrives is what is measured.
  if (other.sin_port != 0) (void)!sendto(socket, BYTES, sizeof BYTES, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&other, sizeof other);
  if (is_server || connection < 0 || is_asked) return;
  is_asked = 1;
  (void)!send(connection, BYTES, sizeof BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int main(int count, char **argument) {
  const int is_server = count == 3 && strcmp(argument[1], "serve") == 0;
  if (!is_server && !(count == 4 && strcmp(argument[1], "beat") == 0)) return fprintf(stderr, "usage: see pulse.c\n"), 2;
  const uint16_t port = htons((uint16_t)atoi(argument[count - 1]));
  int socket_udp = socket(AF_INET, SOCK_DGRAM, 0), socket_tcp = socket(AF_INET, SOCK_STREAM, 0);
  if (socket_udp < 0 || socket_tcp < 0) fail("socket");
  if (is_server) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = port};
    if (bind(socket_udp, (struct sockaddr *)&any, sizeof any) || bind(socket_tcp, (struct sockaddr *)&any, sizeof any) || listen(socket_tcp, 1)) fail("bind");
    listener = socket_tcp;
  } else {
    other.sin_port = port;
    if (inet_pton(AF_INET, argument[2], &other.sin_addr) != 1) fail(argument[2]);
    if (connect(socket_tcp, (struct sockaddr *)&other, sizeof other)) fail("connect");
    connection_take(socket_tcp);
  }
  puts("{\"ready\":true}");
  fflush(stdout);
  for (uint64_t due = now_nanos();;) {
    uint64_t now = now_nanos();
    if (now >= due) {
      beat(socket_udp, is_server);
      due += BEAT_NANOS;
      // Beats that this process was not run for are not made up for.
      if (due < now) due = now + BEAT_NANOS;
    }
    struct pollfd fds[] = {{0, POLLIN, 0}, {socket_udp, POLLIN, 0}, {connection < 0 ? listener : connection, POLLIN, 0}};
    now = now_nanos();
    struct timespec wait = {.tv_nsec = due > now ? (long)(due - now) : 0};
    if (ppoll(fds, 3, &wait, NULL) < 0) fail("poll");
    now = now_nanos();
    if (fds[1].revents != 0) datagrams_read(socket_udp, now);
    if (fds[2].revents != 0 && connection >= 0) connection_read(is_server, now);
    else if (fds[2].revents != 0) connection_take(accept(listener, NULL, NULL));
    char command;
    if (fds[0].revents != 0) {
      if (read(0, &command, 1) != 1) return 0;
      obey(command, now);
    }
  }
}
