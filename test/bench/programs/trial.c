// Opens an AF_XDP socket and ends: status 0 where that is to be had, 1 and the reason where it is not.
//
//   trial DEVICE

#include "rings.h"

int main(int count, char **argument) {
  if (count != 2) return fprintf(stderr, "usage: see trial.c\n"), 2;
  port_open(argument[1], area_create(SLOTS), SLOTS);
  return 0;
}
