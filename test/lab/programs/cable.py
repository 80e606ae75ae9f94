# A serial cable: a pseudo-terminal whose far end lies at the path LINK, where a unit looks for its serial line. Standard input goes into
# it, and what comes out goes to standard output. On a terminal it is a terminal program, and Ctrl-] leaves. The end of standard
# input, or this program's death, pulls the cable: the kernel hangs the line up.
#
#   cable.py LINK

import os
import select
import sys
import termios
import tty

LEAVE = b"\x1d"
AHEAD_BYTES = 65536


def relay(near, is_terminal):
    to_line = b""
    while True:
        sources = [near] + ([0] if len(to_line) < AHEAD_BYTES else [])
        readable, writable, _ = select.select(sources, [near] if to_line else [], [])
        if near in readable:
            os.write(1, os.read(near, 4096))
        if near in writable:
            to_line = to_line[os.write(near, to_line[:4096]):]
        if 0 in readable:
            data = os.read(0, 4096)
            if not data or (is_terminal and LEAVE in data):
                return
            to_line += data


def main():
    link = sys.argv[1]
    near, far = os.openpty()
    tty.setraw(far)
    os.symlink(os.ttyname(far), link + ".new")
    os.rename(link + ".new", link)
    os.set_blocking(near, False)
    is_terminal = os.isatty(0)
    before = termios.tcgetattr(0) if is_terminal else None
    try:
        if is_terminal:
            sys.stderr.write("The cable is in; the unit finds it within 2 s. Ctrl-] pulls it.\r\n")
            tty.setraw(0)
        relay(near, is_terminal)
    finally:
        if is_terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            sys.stderr.write("\r\n")
        os.unlink(link)


main()
